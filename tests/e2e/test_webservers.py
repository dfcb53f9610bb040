"""A core of the contract through each web server with its sample configuration from deploy/."""

import gzip
import json

import pytest

from procs import wait_for
from web import TEXT, messages, offsets
from webservers import ALL

LIMIT = 1_000_000


@pytest.fixture(scope="module", params=list(ALL))
def stand(request, shared_helper, broker):
    server = ALL[request.param](shared_helper(broker))
    server.start()
    yield server
    server.end()


@pytest.fixture
def site(stand):
    return stand.site


def test_ping(site):
    reply = site.ping()
    assert (reply.status, reply.body) == (200, b"pong")
    assert site.curl("HEAD", "/_ping").headers["content-length"] == "4"


@pytest.mark.parametrize("value", [b"", bytes(range(256)), b"x" * LIMIT], ids=["empty", "all bytes", "at the limit"])
def test_produce(site, broker, topic, value):
    at = site.produce(topic, value, key="1", sync=True).json
    assert (at["partition"], at["offset"]) == (0, 0)
    assert site.produce(topic, value).body == b"{}"
    found = wait_for(lambda: len(m := broker.read_all(topic)) == 2 and m, 15, "both arrive", every=0.2)
    assert sorted((m.key or b"", m.value) for m in found) == [(b"", value), (b"1", value)]


def test_form(site, broker, topic):
    reply = site.curl("POST", messages(topic), args=["-d", "msg=a+b%2B&key=k&sync"])
    assert "offset" in reply.json
    assert [(m.key, m.value) for m in broker.read_all(topic)] == [(b"k", b"a b+")]
    assert "-H 'Content-Type: text/plain'" in site.curl("POST", messages(topic), args=["-d", "hello"]).error


def test_chunked_body(site, broker, topic):
    reply = site.post(messages(topic), b"c" * 100_000, "sync", headers={"Transfer-Encoding": "chunked"})
    assert reply.status == 200
    assert [m.value for m in broker.read_all(topic)] == [b"c" * 100_000]


def test_value_over_the_limit(site, broker, topic):
    """In JSON, also where the web server itself says it."""
    for size in (LIMIT + 1, LIMIT * 20):
        assert site.produce(topic, b"x" * size, sync=True).status == 413
    assert broker.read_all(topic) == []


@pytest.mark.parametrize("query, key", [("a+b%2B%26", b"a b+&"), ("%c3%a9", b"\xc3\xa9"), ("a=b;c/d?e", b"a=b;c/d?e")])
def test_query_reaches_the_gateway_as_it_is(site, broker, topic, query, key):
    assert site.post(messages(topic), b"v", f"key={query}&sync").status == 200
    assert [m.key for m in broker.read_all(topic)] == [key]


def test_consume(site, topic, name):
    site.join(topic, name)
    sent = site.produce(topic, b"\x00value\xff", key="k", sync=True).json
    assert site.consume(topic, name).message == (sent["partition"], sent["offset"], b"k", b"\x00value\xff")


def test_offsets(site, broker, topic, name):
    broker.produce_lines(topic, range(3), partition=1)
    rows = [{"partition": 1, "offset": 2, "metadata": "m"}]
    assert site.post(offsets(topic), json.dumps(rows).encode(), {"group": name}).body == b"{}"
    assert site.offsets(topic, name)[1] == {"partition": 1, "begin": 0, "end": 3, "count": 3, "offset": 2, "lag": 1,
                                            "metadata": "m"}
    reply = site.post(offsets(topic), b"[{}]", {"group": name})
    assert reply.status == 400 and reply.error.startswith("Failed to parse the request: ")


def test_consumers(site, topic, name):
    site.post(offsets(topic), json.dumps([{"partition": p, "offset": -2} for p in range(4)]).encode(), {"group": name})
    site.produce(topic, b"v", sync=True)
    site.consume_all(topic, name, 1)
    (partitions,) = wait_for(lambda: site.consumers(topic, name).json.get(name), 10, "the group shows").values()
    assert partitions == [0, 1, 2, 3]
    assert (site.consumers(topic, "none").status, site.consumers(topic, "none").error) == (
        400, "either group or topic is incorrect")


@pytest.mark.parametrize("method, path, query, status", [
    ("GET", "/", None, 404), ("GET", "/topics/{}", None, 404), ("POST", "/topics/{}/messages/", None, 404),
    ("PUT", "/topics/{}/messages", None, 405), ("DELETE", "/topics/{}/offsets", "group=g", 405),
    ("POST", "/_ping", None, 405), ("GET", "/topics/{}/messages", None, 400),
    ("GET", "/topics/{}/offsets", "group=a&group=b", 400), ("GET", "/topics/unknown/offsets", "group=g", 404),
    ("POST", "/topics/unknown/messages", None, 404), ("POST", "/topics/a%20b/messages", None, 400),
    ("GET", "/topics/%C3%A9/offsets", "group=g", 400), ("GET", "/topics/{}/offsets", "group=%2e%2e", 400)])
def test_errors_are_json(site, topic, method, path, query, status):
    reply = site.curl(method, path.format(topic), query, body=b"v" if method in ("POST", "PUT") else None, headers=TEXT)
    assert reply.status == status and reply.error, reply
    assert status != 405 or "allow" in reply.headers


def test_body_that_would_be_stored_as_something_else(site, broker, topic):
    """Compressed, or with the boundaries of a form."""
    zipped = site.post(messages(topic), gzip.compress(b"v"), "sync", headers={"Content-Encoding": "gzip"})
    assert zipped.status == 415 and "uncompressed" in zipped.error
    form = site.curl("POST", messages(topic), args=["-F", "msg=hello"])
    assert form.status == 415 and "--data-binary" in form.error
    rows = site.post(offsets(topic), gzip.compress(b"[]"), "group=g", headers={"Content-Encoding": "gzip"})
    assert rows.status == 415
    assert site.post(messages(topic), b"v", "sync", headers={"Content-Encoding": "identity"}).status == 200
    assert [m.value for m in broker.read_all(topic)] == [b"v"]


def test_post_without_a_body(site, topic):
    """As the examples of docs/api.md have it; and without a length, which lighttpd does not take."""
    path, query = f"/topics/{topic}/acks", "group=g&partition=99&offset=0"
    assert site.curl("POST", path, query, args=["-d", ""]).status == 404
    reply = site.curl("POST", path, query)
    assert reply.status == 404 or (reply.status == 411 and "-d ''" in reply.error), reply


@pytest.mark.parametrize("request_line", [b"BREW / HTTP/1.1", b"GET / HTTP/9.9", b"garbage", b"GET /%00 HTTP/1.1"])
def test_what_is_no_request_is_refused_in_json(site, request_line):
    raw = site.raw(request_line + b"\r\nHost: h\r\nConnection: close\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert 400 <= int(head.split()[1]) < 600 and b"\r\nContent-Type: application/json" in head, raw
    assert list(json.loads(body)) == ["error"]


def test_slash_in_a_name_stays_in_the_name(site, topic):
    """A web server may refuse it, or decode it, but never so that another topic gets the message."""
    reply = site.post(f"/topics/x%2F..%2F{topic}/messages", b"v", "sync", rules=False)
    assert 400 <= reply.status < 500


def test_helper_that_is_away_and_comes_back(stand, site, topic):
    stand.helper.stop()
    try:
        for reply in (site.ping(), site.produce(topic, b"v"), site.consume(topic, "g")):
            assert reply.status == 503 and reply.error
    finally:
        stand.helper.start()
    assert site.produce(topic, b"v", sync=True).status == 200


def test_nothing_is_left_after_a_stop(stand, topic):
    """Stops and starts the server again: its responders go with it, and the new ones work."""
    stand.end()
    stand.start()
    assert stand.site.produce(topic, b"v", sync=True).status == 200

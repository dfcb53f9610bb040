"""Hostile names and bodies at every endpoint, and what of them comes back. The list of checks, and the tests of each,
are in tests/README.md."""

import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote_to_bytes

import pytest

from hostile import HOSTILE
from web import TEXT, messages, offsets, parse_reply, request

ODD = [f"%{c:02x}" for c in [*range(1, 33), 0x7f, 0x2f, 0x5c, 0x80, 0xa0, 0xff]]
NAMES = list(dict.fromkeys(HOSTILE + [f"a{c}b" for c in ODD] + [f"{c}" for c in ODD[:8]] + [
    "..%2f" * n + "etc" for n in range(1, 9)] + ["%2e%2e%2f" * n + "brokers" for n in range(1, 9)] + [
    "..%252fbrokers", "%252e%252e", "..%5c..", "..;", ".%00.", "...", "....", ".%2e", "%2e.", "%2E%2E", "zookeeper%00", "zookeeper%2fquota",
    "zookeeper%20", "Zookeeper", "%7a%6f%6f%6b%65%65%70%65%72", "consumers%2fx%2fids", "brokers%2fids%2f0", "admin%2fdelete_topics%2ft",
    "config%2ftopics", "controller", "controller_epoch", "isr_change_notification", "%c0%ae%c0%ae%c0%af", "%e0%80%af", "%f0%80%80%af",
    "%ef%bc%8f", "%e2%88%95", "%e2%81%84", "%ef%bc%8e%ef%bc%8e", "%e2%80%ae", "%ef%bb%bf", "%c2%85", "%c2%9b", "%1b%5b31m", "%0d", "%0a", "%0d%0a%0d%0a",
    "%0d%0aHTTP%2f1.1%20200%20OK", "a%0d%0aContent-Length:%200", "a%0d%0a%0d%0a%7b%7d", "%u002f", "%26%23x2f;", "&#47;", "..%c0%af", "A" * 249 + "%2f",
    "A" * 249, "%41" * 249, "%2d", "-rf", "--help", "@file", "%40%2fetc%2fpasswd", "~", "~root", "*%2f*", "%", "%%", "%%32%66", "a%", "%2", "%x0", "a:b", "a,b", "a=b",
    "a%3db", "a%26b", "a%23b", "a%3fb", "a%25b", "true", "nil", "NaN", "-1", "0x0", "1e9", "__consumer_offsets", "%5f%5fconsumer_offsets",
    "'%20OR%20'1'='1", "a');DROP%20TABLE%20pending;--", "%22%7d%2c%22x%22:1", "%5b%5d", "%7b%22a%22:1%7d", "%u0000", "%00%00%00%00", "a" * 250, "%2b", "%2500", "a%0b", "%e2%80%8f"]))
KNOWN_HEADERS = {"server", "date", "content-type", "content-length", "connection", "retry-after", "allow", "x-kafka-pixy-id"}


@pytest.fixture(scope="module")
def gw(shared_gateway, broker):
    return shared_gateway(broker, logLevel="debug")


def decoded(name, plus=False):
    """What is meant by it, None where the escapes are broken."""
    if re.search(r"%(?![0-9a-fA-F]{2})", name):
        return None
    return unquote_to_bytes(name.replace("+", " ") if plus else name)


def is_topic(name):
    meant = decoded(name.partition("?")[0].partition("#")[0])
    return meant is not None and meant not in (b".", b"..") and re.fullmatch(rb"[A-Za-z0-9._-]{1,249}", meant) is not None


def is_group(name):
    meant = decoded(name.partition("&")[0].partition("#")[0], plus=True)
    return (meant is not None and meant not in (b".", b"..", b"zookeeper")
            and re.fullmatch(rb"[!-.0-~]{1,249}", meant) is not None)


def served(reply):
    """A good name that nothing goes by."""
    return (reply.status in (200, 404, 409) or b"either group or topic is incorrect" in reply.body
            or b"Kafka: Broker: Invalid topic" in reply.body)  # its own, into which nobody else may write


BODIES = {"POST": b'[{"partition": 0, "offset": 0}]', "GET": b""}


def hostile_requests(topic, name):
    """(method, target, whether the name in it is a good one)"""
    top, group = is_topic(name), is_group(name)
    for method, end in [("POST", "messages"), ("POST", "messages?sync"), ("GET", "offsets?group=g"), ("POST", "offsets?group=g"),
                        ("GET", "consumers"), ("GET", "consumers?group=g")]:
        yield method, f"/topics/{name}/{end}", top
    if not top:
        yield "GET", f"/topics/{name}/messages?group=g", False
        yield "POST", f"/topics/{name}/acks?group=g&partition=0&offset=0", False
    for method, end in [("GET", "offsets"), ("POST", "offsets"), ("GET", "consumers")]:
        # Without a group, or with one that is dropped for its escapes, this asks for all of them.
        all_of_them = end == "consumers" and (decoded(name) is None or name[:1] in ("", "&", "#"))
        yield method, f"/topics/{topic}/{end}?group={name}", group or all_of_them
    if not group:
        yield "GET", f"/topics/{topic}/messages?group={name}", False
        yield "POST", f"/topics/{topic}/acks?group={name}&partition=0&offset=0", False
    yield "GET", f"/_messages/{name}", re.fullmatch(rb"0*[1-9][0-9]*", decoded(name) or b"") is not None
    yield "GET", f"/_status/{name}", False


def test_two_hundred_hostile_names_at_every_endpoint(gw, broker, topic, note):
    tree, topics = broker.zk_paths(), broker.topics() | {"__consumer_offsets"}
    assert len(NAMES) >= 200
    wrong, statuses = [], {}

    def ask(name):
        found = []
        for method, target, good in hostile_requests(topic, name):
            reply = parse_reply(gw.tcp.raw(request(method, target, BODIES[method]), timeout=20))
            found.append(reply.status)
            if not (served(reply) if good else 400 <= reply.status < 500):
                wrong.append((method, target[:90], reply.status, reply.body[:90]))
            if not set(reply.headers) <= KNOWN_HEADERS or b"\r" in reply.body:
                wrong.append((method, target[:90], reply.headers, reply.body[:90]))
        return found
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(ask, NAMES):
            for status in found:
                statuses[status] = statuses.get(status, 0) + 1
    assert not wrong, "\n".join(map(str, wrong[:20]))
    assert broker.topics() <= topics
    made = broker.zk_paths() - tree
    assert not [p for p in made if not re.match(r"/consumers/(g|[!-.0-~]+)(/|$)", p) or ".." in p], made
    groups = {p.split("/")[2] for p in made}
    assert all(is_group(g) for g in groups - {"g"}), groups
    note(f"hostile names: {len(NAMES)}, requests by status {dict(sorted(statuses.items()))}, ZooKeeper nodes made: {len(made)}")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nSet-Cookie: b", "\r\n\r\n{}", "a\0b"])
def test_nothing_of_a_request_gets_into_the_head_of_its_answer(gw, topic, value):
    query = {"key": value, "group": value, "sync": value, "partition": value, "offset": value}
    for path in (messages(topic), offsets(topic), f"/topics/{topic}/acks", "/_ping", "/_status", f"/{value.strip()}"):
        for method in ("GET", "POST"):
            path = path.replace("\r", "%0d").replace("\n", "%0a").replace("\0", "%00").replace(" ", "%20")
            reply = gw.tcp.curl(method, path, query, body=b"x" if method == "POST" else None, headers=TEXT, rules=False)
            assert set(reply.headers) <= KNOWN_HEADERS, reply
            assert int(reply.headers["content-length"]) == len(reply.body)


@pytest.mark.parametrize("size, statuses", [(1 << 20, {400}), ((1 << 20) + 1, {413})])
def test_body_of_offsets_has_an_end(gw, topic, size, statuses):
    body = b"[" + b" " * (size - 2) + b"x"
    for headers in (None, {"Transfer-Encoding": "chunked"}):
        reply = gw.tcp.post(offsets(topic), body, {"group": "g"}, headers)
        assert reply.status in statuses, reply

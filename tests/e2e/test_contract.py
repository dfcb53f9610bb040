"""The whole HTTP contract through the launcher, over TCP and over the Unix socket: on Kafka 3.9.1 with
ZooKeeper, whose broker creates no topics, and on Kafka 4.1.0 with local coordination, whose broker does. In the
long run on both with groups that the brokers manage, and on Kafka 0.8.2.2 and 0.9.0.1, too."""

import json
import re
import threading
import uuid
from collections import Counter

import pytest

from contract import MEMBER, UNKNOWN, arrived, from_start
from gateway import stopwatch
from kafka import KafkaKraft, KafkaWithZookeeper
from procs import rounds, wait_for
from web import FORM, TEXT, messages, offsets

LIMIT = 1_000_000

SHORT = {"zookeeper": ("kafka_zk", None), "kraft": ("kafka_kraft", None)}
LONG = {"zookeeper-kafka": ("kafka_zk", "kafka"), "kraft-kafka": ("kafka_kraft", "kafka")}
OLD = {"0.8.2.2": ("kafka_082", None), "0.9.0.1": ("kafka_090", None)}
STANDS = {**SHORT, **LONG, **OLD}
not_on_old = pytest.mark.only(*SHORT, *LONG)


@pytest.fixture(scope="module", params=rounds(list(SHORT), list(STANDS)))
def stand(request, shared_gateway):
    kind, coordination = STANDS[request.param]
    return shared_gateway(request.getfixturevalue(kind), coordination=coordination)


@pytest.fixture
def broker(stand):
    return stand.broker


@pytest.fixture(scope="module")
def any_topic(stand):
    """One topic for all tests that do not look at what is in it."""
    return stand.broker.create_topic(f"any-{uuid.uuid4().hex[:10]}")


@pytest.fixture(params=["tcp", "unix"])
def site(stand, request):
    return getattr(stand, request.param)


# Produce.

def test_sync_reply_is_where_the_message_is(site, broker, topic):
    reply = site.produce(topic, b"hello", key="k", sync=True)
    assert reply.status == 200
    at = reply.json
    assert reply.body == b'{\n  "partition": %d,\n  "offset": %d\n}' % (at["partition"], at["offset"])
    (m,) = broker.read_all(topic)
    assert (m.partition, m.offset, m.key, m.value) == (at["partition"], at["offset"], b"k", b"hello")


def test_async_reply_is_empty_and_the_message_arrives(site, broker, topic):
    reply = site.produce(topic, b"hello")
    assert (reply.status, reply.body) == (200, b"{}")
    (m,) = arrived(broker, topic, 1)
    assert (m.key, m.value) == (None, b"hello")


@pytest.mark.parametrize("value", [b"", b"\n", bytes(range(256)), b"\x00", b'{"a": "\xff"}',
                                   pytest.param(b"x" * LIMIT, marks=not_on_old)],
                         ids=["empty", "newline", "all bytes", "NUL", "broken UTF-8", "at the limit"])
def test_value_is_kept_byte_for_byte(site, broker, topic, value):
    assert site.produce(topic, value, sync=True).status == 200
    assert site.produce(topic, value).status == 200
    assert [m.value for m in arrived(broker, topic, 2)] == [value, value]


def test_value_over_the_limit_is_413_and_not_sent(site, broker, topic):
    for sync in (True, False):
        assert site.produce(topic, b"x" * (LIMIT + 1), sync=sync).status == 413
    assert site.produce(topic, b"next", sync=True).status == 200
    assert [m.value for m in broker.read_all(topic)] == [b"next"]


@pytest.mark.parametrize("query, is_sync", [
    ("sync", True), ("sync=", True), ("sync=false", True), ("sync=true", True), ("a=b&sync&c", True),
    ("Sync", False), ("synch", False), ("asynch=1", False), ("", False)])
def test_sync_counts_by_presence(site, any_topic, query, is_sync):
    assert ("offset" in site.post(messages(any_topic), b"v", query).json) == is_sync


def test_keys_choose_the_partitions_of_the_hash(site, broker, topic):
    for key in "12345" * 10:
        assert site.produce(topic, b"v", key=key).status == 200
    found = arrived(broker, topic, 50)
    assert Counter(m.partition for m in found) == {0: 20, 1: 10, 2: 10, 3: 10}
    assert Counter(m.key for m in found) == {k.encode(): 10 for k in "12345"}


def test_empty_key_is_a_key_and_no_key_is_random(site, broker, topic):
    for _ in range(8):
        assert site.produce(topic, b"e", key="", sync=True).json["partition"] == 3
    where = {site.produce(topic, b"n", sync=True).json["partition"] for _ in range(24)}
    assert len(where) > 1
    assert {(m.key, m.value) for m in broker.read_all(topic)} == {(b"", b"e"), (None, b"n")}


@pytest.mark.parametrize("query, key", [
    ("key=a+b", b"a b"), ("key=%41%2B", b"A+"), ("key=%00%FF%0a", b"\x00\xff\n"), ("key=a&key=b", b"a"),
    ("key", b""), ("key=a=b", b"a=b"), ("key=%zz", None), ("key=%4", None), ("KEY=a", None),
    ("x=%zz&key=k", b"k"), ("%6bey=k", b"k"), ("key=" + "k" * 3000, b"k" * 3000)])
def test_key_in_the_query(site, broker, topic, query, key):
    assert site.post(messages(topic), b"v", query + "&sync").status == 200
    assert [m.key for m in broker.read_all(topic)] == [key]


@pytest.mark.parametrize("form, key, value, is_sync", [
    (b"msg=hello", None, b"hello", False), (b"msg=a+b%2B%00", None, b"a b+\x00", False),
    (b"msg=", None, b"", False), (b"msg=v&key=k", b"k", b"v", False), (b"key=&msg=v&sync", b"", b"v", True)])
@pytest.mark.parametrize("kind", [FORM["Content-Type"], FORM["Content-Type"] + "; charset=UTF-8"],
                         ids=["plain", "charset"])
def test_form(site, broker, topic, form, key, value, is_sync, kind):
    reply = site.post(messages(topic), form, headers={"Content-Type": kind})
    assert reply.status == 200 and ("offset" in reply.json) == is_sync
    (m,) = arrived(broker, topic, 1)
    assert (m.key, m.value) == (key, value)


def test_body_that_would_be_stored_as_something_else(site, broker, topic):
    for args in (["-H", "Content-Encoding: gzip", "--data-binary", "x"], ["-F", "msg=v"]):
        reply = site.curl("POST", messages(topic), args=args)
        assert reply.status == 415 and "is not taken: send" in reply.error
    assert broker.read_all(topic) == []


def test_form_without_msg_says_what_to_do(site, broker, topic):
    # What `curl -d` sends when nobody thought of a type.
    reply = site.curl("POST", messages(topic), args=["-d", "hello"])
    assert reply.status == 400 and "-H 'Content-Type: text/plain'" in reply.error
    assert broker.read_all(topic) == []


@pytest.mark.parametrize("size", [0, 1, 70_000, pytest.param(LIMIT, marks=not_on_old)])
def test_chunked_body(site, broker, topic, size):
    chunked = {"Transfer-Encoding": "chunked"}
    assert site.post(messages(topic), b"c" * size, "sync", headers=chunked).status == 200
    assert [m.value for m in broker.read_all(topic)] == [b"c" * size]


def test_chunked_body_over_the_limit(site, broker, topic):
    chunked = {"Transfer-Encoding": "chunked"}
    assert site.post(messages(topic), b"c" * (LIMIT + 1), "sync", headers=chunked).status == 413
    assert broker.read_all(topic) == []


@pytest.mark.parametrize("length", [b"x", b"-1", b"1x", b"+4", b"99999999999999999999"])
def test_content_length_that_is_no_length(site, broker, topic, length):
    raw = site.raw(b"POST /topics/%s/messages?sync HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\nbody"
                   % (topic.encode(), length))
    assert raw.split(b" ")[1] in (b"400", b"413"), raw
    assert site.produce(topic, b"next", sync=True).status == 200
    assert [m.value for m in broker.read_all(topic)] == [b"next"]


def test_body_that_ends_early_is_not_sent(site, broker, topic):
    site.raw(b"POST /topics/%s/messages HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nbody" % topic.encode(),
             half_close=True)
    assert site.produce(topic, b"next", sync=True).status == 200
    assert [m.value for m in broker.read_all(topic)] == [b"next"]


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
def test_produce_to_an_unknown_topic(site, broker, name, sync):
    reply = site.produce(name, b"v", sync=sync)
    if broker.creates_topics:
        assert reply.status == 200
        assert [m.value for m in arrived(broker, name, 1)] == [b"v"]
    else:
        assert (reply.status, reply.error) == UNKNOWN
        assert name not in broker.topics()


# Paths, methods, names.

@pytest.mark.parametrize("path", [
    "/", "/topics", "/topics/", "/topics/{}", "/topics/{}/", "/topics/{}/nothing", "/topics/{}/messages/",
    "/topics/{}/offsets/", "/topics/{}/messages/1", "/topic/{}/messages", "//topics/{}/messages",
    "/topics/{}%2Fmessages", "/Topics/{}/messages", "/_ping/", "/_pings", "/ping", "/index.html"])
def test_wrong_path(site, any_topic, path):
    for method in ("GET", "POST"):
        reply = site.curl(method, path.format(any_topic), "group=g", body=b"v" if method == "POST" else None,
                          headers=TEXT)
        assert reply.status == 404, reply
        assert reply.error


@pytest.mark.parametrize("path, wrong, right", [
    ("/topics/{}/messages", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"], {"GET", "POST"}),
    ("/topics/{}/offsets", ["PUT", "DELETE", "PATCH"], {"GET", "POST"}),
    ("/topics/{}/consumers", ["POST", "PUT", "DELETE"], {"GET"}),
    ("/_ping", ["POST", "PUT", "DELETE"], {"GET"})])
def test_wrong_method(site, any_topic, path, wrong, right):
    for method in wrong:
        reply = site.curl(method, path.format(any_topic), "group=g", body=b"v" if method in ("POST", "PUT") else None)
        allow = {m.strip() for m in reply.headers.get("allow", "").split(",")}
        assert reply.status == 405 and right <= allow and method not in allow, reply


def test_escapes_in_a_path_are_decoded_after_the_split(site, any_topic):
    escaped = "".join(f"%{b:02x}" for b in any_topic.encode())
    assert site.post(f"/topics/{escaped}/messages", b"v", "sync").status == 200
    assert site.post(f"/topics/{any_topic}%2Fx/messages", b"v", "sync").status == 400


@pytest.mark.parametrize("bad", ["%2e", "%2E%2E", "a%2Fb", "%20", "a+b", "a:b", "%C3%A9", "%FF", "a%0Ab", "a" * 250])
def test_topic_names_have_a_rule(site, bad):
    for method, path in [("POST", "messages"), ("GET", "messages"), ("GET", "offsets"), ("POST", "offsets"),
                         ("GET", "consumers")]:
        reply = site.curl(method, f"/topics/{bad}/{path}", "group=g", body=b"[]" if method == "POST" else None,
                          headers=TEXT)
        assert reply.status == 400 and "topic" in reply.error.lower(), (method, path, reply)


@pytest.mark.parametrize("bad", ["", ".", "..", "zookeeper", "a%2Fb", "%00", "a%0D%0Ab", "%7F", "%C3%A9", "a" * 250])
def test_group_names_have_a_rule(site, any_topic, bad):
    for method, path in [("GET", messages), ("GET", offsets), ("POST", offsets)]:
        reply = site.curl(method, path(any_topic), f"group={bad}", body=b"[]" if method == "POST" else None)
        assert reply.status == 400 and "group" in reply.error.lower(), (method, reply)


@pytest.mark.parametrize("query, count", [("", 0), ("x=y", 0), ("Group=g", 0), ("group=a&group=b", 2),
                                          ("group=a&group=a", 2), ("group=a&group=b&group=c", 3)])
def test_one_group_is_expected(site, any_topic, query, count):
    for method, path in [("GET", messages), ("GET", offsets), ("POST", offsets)]:
        reply = site.curl(method, path(any_topic), query, body=b"[]" if method == "POST" else None)
        assert (reply.status, reply.error) == (400, f"One consumer group is expected, but {count} provided")


def test_ping(site):
    reply = site.ping()
    assert (reply.status, reply.body) == (200, b"pong")


def test_head_is_get_without_a_body(site, any_topic, name):
    for path, query in [("/_ping", None), (offsets(any_topic), {"group": name})]:
        get, head = site.get(path, query), site.curl("HEAD", path, query)
        assert (head.status, head.headers["content-type"]) == (get.status, get.headers["content-type"])
        assert head.headers["content-length"] == get.headers["content-length"]


# Consume.

def test_first_use_of_a_group_stores_its_offsets_before_the_reply(site, broker, topic, name):
    broker.produce_lines(topic, ["old"] * 3, partition=1)
    elapsed = stopwatch()
    reply = site.consume(topic, name)
    seconds = elapsed()
    stored = broker.committed(name, topic, 4)
    assert reply.status == 408
    assert reply.body == b'{\n  "error": "long polling timeout"\n}' and len(reply.body) == 37
    assert 2.9 <= seconds <= 5, "3 s of waiting and at most 1 s around it, and a curl"
    assert stored == {0: 0, 1: 3, 2: 0, 3: 0}
    site.produce(topic, b"new", key="1", sync=True)
    assert site.consume(topic, name).message == (0, 0, b"1", b"new")


@pytest.mark.parametrize("key, value, shown", [
    ("k", b"value", '"key": "aw==",\n  "value": "dmFsdWU="'), ("", b"v", '"key": "",\n  "value": "dg=="'),
    (None, b"", '"key": null,\n  "value": ""'),
    ("k", b"\xfb\xff\xbf", '"key": "aw==",\n  "value": "+/+/"')], ids=["both", "empty key", "null key", "alphabet"])
def test_consumed_message_byte_for_byte(site, topic, name, key, value, shown):
    at = site.produce(topic, value, key=key, sync=True).json
    reply = site.consume(topic, from_start(site, topic, name))
    assert reply.body.decode() == f'{{\n  {shown},\n  "partition": {at["partition"]},\n  "offset": {at["offset"]}\n}}'


def test_message_of_kcat_comes_out(site, broker, topic, name):
    value = bytes(range(256)) * 400
    broker.produce(topic, value, key="k1", partition=2)
    from_start(site, topic, name)
    assert site.consume(topic, name).message == (2, 0, b"k1", value)


def test_null_value(site, broker, topic, name):
    broker.kcat("-P", "-t", topic, "-p", 0, "-Z", "-K:", stdin=b"k:\n")
    assert [(m.key, m.value) for m in broker.read_all(topic)] == [(b"k", None)]
    reply = site.consume(topic, from_start(site, topic, name))
    assert reply.body == b'{\n  "key": "aw==",\n  "value": null,\n  "partition": 0,\n  "offset": 0\n}'


def test_order_and_turns_of_partitions(site, broker, topic, name):
    """In order within a partition; a heavy partition does not starve the others."""
    broker.produce_lines(topic, range(500), partition=0)
    broker.produce_lines(topic, range(3), partition=1)
    broker.produce_lines(topic, range(3), partition=3)
    found = site.consume_all(topic, from_start(site, topic, name), 100)
    for p in (0, 1, 3):
        seen = [o for q, o, _, _ in found if p == q]
        assert seen == list(range(len(seen)))
    assert Counter(m[0] for m in found) == {0: 94, 1: 3, 3: 3}


def test_requests_of_a_group_share_its_messages(site, topic, name):
    for n in range(20):
        site.produce(topic, b"%d" % n, sync=True)
    from_start(site, topic, name)
    found = []
    threads = [threading.Thread(target=lambda: found.extend(site.consume_all(topic, name, 2))) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert sorted(int(m[3]) for m in found) == list(range(20))


def test_consumed_messages_are_committed(site, broker, topic, name):
    broker.produce_lines(topic, range(5), partition=2)
    site.consume_all(topic, from_start(site, topic, name), 3)
    wait_for(lambda: broker.committed(name, topic, 4)[2] == 3, 5, "offset 3 is committed")
    assert site.offsets(topic, name)[2]["offset"] == 3


@pytest.mark.only("zookeeper", "zookeeper-kafka", *OLD)  # the other broker creates it
def test_consume_of_an_unknown_topic_does_not_block_the_group(site, topic, name):
    assert site.produce(topic, b"v", sync=True).status == 200
    reply = site.consume(f"{name}-unknown", name)
    assert (reply.status, reply.error) == UNKNOWN
    assert site.consume(topic, from_start(site, topic, name)).message[3] == b"v"


@pytest.mark.parametrize("query", ["ackPartition=0", "ackOffset=0", "noAck&ackPartition=0"])
def test_acknowledgement_takes_both(site, any_topic, name, query):
    reply = site.get(messages(any_topic), f"group={name}&{query}")
    assert (reply.status, reply.error) == (400, "ackPartition and ackOffset either both should be provided or neither")


@pytest.mark.parametrize("partition, offset", [("-1", "0"), ("0", "-1"), ("x", "0"), ("0", ""), ("0", "1.5"),
                                               ("2147483648", "0"), ("0", "9223372036854775808")])
def test_acknowledgement_takes_numbers(site, any_topic, name, partition, offset):
    reply = site.get(messages(any_topic), f"group={name}&ackPartition={partition}&ackOffset={offset}")
    assert reply.status == 400, reply


# Offsets.

def test_offsets_of_a_group_never_seen(site, broker, topic, name):
    broker.produce_lines(topic, range(2), partition=1)
    rows = [f'{{\n    "partition": {p},\n    "begin": 0,\n    "end": {n},\n    "count": {n},\n    "offset": -1,\n'
            f'    "lag": 0\n  }}' for p, n in enumerate([0, 2, 0, 0])]
    reply = site.get(offsets(topic), {"group": name})
    assert (reply.status, reply.body.decode()) == (200, "[\n  " + ",\n  ".join(rows) + "\n]")


def test_offsets_round_trip(site, broker, topic, name):
    broker.produce_lines(topic, range(10), partition=0)
    rows = [{"partition": 0, "offset": 4, "metadata": 'm "é" <&>'}, {"partition": 2, "offset": 0}]
    assert site.post(offsets(topic), json.dumps(rows).encode(), {"group": name}).body == b"{}"
    reply = site.get(offsets(topic), {"group": name})
    assert reply.json == [
        {"partition": 0, "begin": 0, "end": 10, "count": 10, "offset": 4, "lag": 6, "metadata": 'm "é" <&>'},
        {"partition": 1, "begin": 0, "end": 0, "count": 0, "offset": -1, "lag": 0},
        {"partition": 2, "begin": 0, "end": 0, "count": 0, "offset": 0, "lag": 0},
        {"partition": 3, "begin": 0, "end": 0, "count": 0, "offset": -1, "lag": 0}]
    assert '"metadata": "m \\"é\\" \\u003c\\u0026\\u003e"'.encode() in reply.body
    for _ in range(2):  # what GET says can be posted back
        known = [r for r in reply.json if r["offset"] >= 0]
        assert site.post(offsets(topic), json.dumps(known).encode(), {"group": name}).status == 200
        assert site.get(offsets(topic), {"group": name}).body == reply.body


def test_newest_and_oldest_become_real_offsets_at_once(site, broker, topic, name):
    broker.produce_lines(topic, range(5), partition=0)
    broker.produce_lines(topic, range(5), partition=1)
    rows = [{"partition": 0, "offset": -1}, {"partition": 1, "offset": -2}]
    assert site.post(offsets(topic), json.dumps(rows).encode(), {"group": name}).status == 200
    broker.produce_lines(topic, range(2), partition=0)
    assert broker.committed(name, topic, 2) == {0: 5, 1: 0}
    assert [(r["offset"], r["lag"]) for r in site.offsets(topic, name)[:2]] == [(5, 2), (0, 5)]


GOOD = '{"partition": 0, "offset": 1}'


@pytest.mark.parametrize("body", [
    "", " ", "{", "null", "1", '"x"', "{}", GOOD, "[1]", "[null]", "[[]]", "[{}]", '[{"partition": 0}]',
    '[{"offset": 1}]', '[{"partition": "0", "offset": 1}]', '[{"partition": 0, "offset": "1"}]',
    '[{"partition": 0.5, "offset": 1}]', '[{"partition": 0, "offset": 1.0}]', '[{"partition": 0, "offset": 1e2}]',
    '[{"partition": true, "offset": 1}]', '[{"partition": 0, "offset": null}]',
    '[{"partition": 2147483648, "offset": 1}]', '[{"partition": 0, "offset": 9223372036854775808}]',
    '[{"partition": 0, "offset": 1e999}]', '[{"partition": 0, "offset": -3}]', '[{"partition": -1, "offset": 1}]',
    f"[{GOOD}, {GOOD}]", f"[{GOOD}] x", f"[{GOOD}][]", f"[{GOOD},]", f"[{GOOD}, 1]",
    '[{"partition": 0, "offset": 1, "metadata": 5}]', "[" * 5000, "\ufeff", '[{"partition": 0, "offset": 1'])
def test_offsets_that_cannot_be_parsed(site, any_topic, name, body):
    before = site.get(offsets(any_topic), {"group": name}).body
    reply = site.post(offsets(any_topic), body.encode(), {"group": name})
    assert reply.status == 400 and reply.error.startswith("Failed to parse the request: "), reply
    assert site.get(offsets(any_topic), {"group": name}).body == before


def test_offsets_change_all_or_nothing(site, any_topic, name):
    before = site.get(offsets(any_topic), {"group": name}).body
    rows = [{"partition": 0, "offset": 0}, {"partition": 4, "offset": 0}]
    assert site.post(offsets(any_topic), json.dumps(rows).encode(), {"group": name}).status == 404
    assert site.get(offsets(any_topic), {"group": name}).body == before


@pytest.mark.only("zookeeper", "zookeeper-kafka", *OLD)
def test_offsets_of_an_unknown_topic(site, broker, name):
    for reply in (site.get(offsets(name), {"group": "g"}),
                  site.post(offsets(name), f"[{GOOD}]".encode(), {"group": "g"})):
        assert (reply.status, reply.error) == UNKNOWN
    assert name not in broker.topics()


def test_offsets_set_on_a_live_group_take_effect_at_once(site, broker, topic, name):
    broker.produce_lines(topic, range(6), partition=1)
    site.consume_all(topic, from_start(site, topic, name), 4)
    for offset in (1, 5, 0):
        rows = [{"partition": 1, "offset": offset}]
        assert site.post(offsets(topic), json.dumps(rows).encode(), {"group": name}).status == 200
        assert site.consume(topic, name).message[:2] == (1, offset)


@not_on_old  # they have no request to delete records
@pytest.mark.parametrize("offset, next_seen", [(0, 4), (1000, None)], ids=["before the oldest", "past the newest"])
def test_offset_out_of_range_resumes_at_the_nearest(site, broker, topic, name, offset, next_seen):
    from confluent_kafka import TopicPartition
    broker.produce_lines(topic, range(6), partition=1)
    broker.admin().delete_records([TopicPartition(topic, 1, 4)])[TopicPartition(topic, 1)].result(15)
    rows = [{"partition": p, "offset": offset if p == 1 else 0} for p in range(4)]
    assert site.post(offsets(topic), json.dumps(rows).encode(), {"group": name}).status == 200
    row = site.offsets(topic, name)[1]
    assert (row["begin"], row["end"], row["count"]) == (4, 6, 2)
    if next_seen is None:
        assert site.consume(topic, name).status == 408
        broker.produce_lines(topic, ["new"], partition=1)
        next_seen = 6
    assert site.consume_all(topic, name, 1)[0][:2] == (1, next_seen)


# Consumers.

@pytest.mark.only("zookeeper", *OLD)
def test_consumers_of_a_group(site, broker, topic, name):
    site.produce(topic, b"v", sync=True)
    site.consume_all(topic, from_start(site, topic, name), 1)
    wait_for(lambda: len(broker.owners(name, topic)) == 4, 10, "all partitions are claimed")
    shown = re.compile(r'\{\n  "%s": \{\n    "%s": \[0,1,2,3\]\n  \}\n\}' % (name, MEMBER))
    for group in (name, None, ""):
        reply = site.consumers(topic, group)
        assert reply.status == 200 and shown.fullmatch(reply.body.decode()), reply
    assert set(broker.owners(name, topic).values()) == set(site.consumers(topic, name).json[name])


@pytest.mark.only("zookeeper", *OLD)
def test_consumers_of_several_groups(site, topic, name):
    groups = [f"{name}-b", f"{name}-a"]
    site.produce(topic, b"v", sync=True)
    for g in groups:
        site.consume_all(topic, from_start(site, topic, g), 1)
    found = wait_for(lambda: len(r := site.consumers(topic).json) == 2 and r, 10, "both groups show")
    assert list(found) == sorted(groups)


@pytest.mark.only("zookeeper", *LONG, *OLD)
def test_no_consumers(site, topic, name):
    assert (site.consumers(topic).status, site.consumers(topic).body) == (200, b"{}")
    reply = site.consumers(topic, name)
    assert (reply.status, reply.error) == (400, "either group or topic is incorrect")


@pytest.mark.only("kraft")
def test_consumers_of_local_coordination(site, topic, name):
    site.produce(topic, b"v", sync=True)
    site.consume_all(topic, from_start(site, topic, name), 1)
    (member, partitions), = site.consumers(topic, name).json[name].items()
    assert re.fullmatch(MEMBER, member) and partitions == [0, 1, 2, 3]


@pytest.mark.only("zookeeper-kafka", "kraft-kafka")
def test_consumers_of_groups_of_the_brokers(site, broker, topic, name):
    reply = site.consumers(topic, name)
    assert (reply.status, reply.error) == (400, "either group or topic is incorrect")
    site.produce(topic, b"v", sync=True)
    site.consume_all(topic, from_start(site, topic, name), 1)
    (member, partitions), = site.consumers(topic, name).json[name].items()
    assert re.fullmatch(MEMBER, member) and partitions == [0, 1, 2, 3]
    assert site.consumers(topic).json == site.consumers(topic, name).json
    if broker.zk_peers:
        assert not broker.owners(name, topic)


# A cluster that no group has ever used: Kafka makes the topic of their offsets while the request waits.

@pytest.fixture(params=[KafkaKraft, KafkaWithZookeeper])
def fresh(request):
    broker = request.param()
    broker.start()
    yield broker
    broker.end()


def test_first_group_of_a_cluster_stores_its_offsets(gateway, fresh, name):
    site = gateway(fresh).tcp
    fresh.create_topic(name)
    fresh.produce_lines(name, ["old"] * 3, partition=1)
    reply = site.consume(name, name)
    stored = fresh.committed(name, name, 4)
    assert reply.status == 408 and stored == {0: 0, 1: 3, 2: 0, 3: 0}, (reply, stored)
    sent = site.produce(name, b"new", sync=True).json
    assert site.consume(name, name).message == (sent["partition"], sent["offset"], None, b"new")


def test_first_offsets_of_a_cluster(gateway, fresh, name):
    site = gateway(fresh).tcp
    fresh.create_topic(name)
    assert [row["offset"] for row in site.offsets(name, name)] == [-1] * 4


# The embedded broker: the quick start on a machine without Kafka.

def test_embedded_broker(gateway, name):
    site = gateway(None).tcp
    site.join(name, "g")
    first = site.produce(name, b"one", key="k", sync=True).json
    assert site.produce(name, b"two", key="k").body == b"{}"
    found = site.consume_all(name, "g", 2)
    assert found == [(first["partition"], first["offset"], b"k", b"one"),
                     (first["partition"], first["offset"] + 1, b"k", b"two")]
    wait_for(lambda: site.offsets(name, "g")[first["partition"]]["lag"] == 0, 5, "both are committed")
    assert site.consumers(name, "g").status == 200

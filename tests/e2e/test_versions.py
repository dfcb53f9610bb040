"""What Kafka there is, old and new, behind each coordination: the heart of the contract on each, through the launcher. The
long run has the whole of test_contract.py on the old ones, too."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from contract import MEMBER, UNKNOWN, arrived, from_start
from procs import rounds, wait_for
from web import offsets

# Kafka and the coordination, and the fixture of the broker: a row more is a line more.
MATRIX = {
    "0.8.2.2 zookeeper": "kafka_082",
    "0.9.0.1 zookeeper": "kafka_090",
    "0.9.0.1 kafka": "kafka_090",
    "3.9.1 zookeeper": "kafka_zk",
    "3.9.1 kafka": "kafka_zk",
    "4.1.0 kafka": "kafka_kraft",
    "4.1.0 local": "kafka_kraft",
    "4.4.0 kafka": "kafka_44",
    "4.4.0 local": "kafka_44",
}

# Of what test_contract.py has on the newer ones in every run, this is left to the long one.
rest = pytest.mark.only(*[row for row in MATRIX if row.startswith("0.") or rounds(False, True)])


@pytest.fixture(scope="module", params=list(MATRIX))
def stand(request, shared_gateway):
    version, coordination = request.param.split()
    broker = request.getfixturevalue(MATRIX[request.param])
    assert broker.version == version
    return shared_gateway(broker, coordination=coordination)


@pytest.fixture
def broker(stand):
    return stand.broker


@pytest.fixture
def site(stand):
    return stand.tcp


def test_produce_sync_and_async(site, broker, topic):
    at = site.produce(topic, b"sync", key="k", sync=True).json
    for n in range(20):
        assert site.produce(topic, b"async %d" % n, key="k").body == b"{}"
    found = arrived(broker, topic, 21)
    assert (found[0].partition, found[0].offset, found[0].key, found[0].value) == (
        at["partition"], at["offset"], b"k", b"sync")
    assert [m.value for m in found[1:]] == [b"async %d" % n for n in range(20)]
    large = bytes(range(256)) * 3900
    assert site.produce(topic, large, key="k", sync=True).json == {"partition": at["partition"], "offset": 21}
    assert broker.read_all(topic)[-1].value == large


def test_keys_choose_the_partitions(site, broker, topic):
    where = [site.produce(topic, b"v", key=key, sync=True).json["partition"] for key in "12345"]
    assert sorted(where) == [0, 0, 1, 2, 3]
    assert [site.produce(topic, b"v", key=key, sync=True).json["partition"] for key in "12345"] == where
    assert {site.produce(topic, b"v", key="", sync=True).json["partition"] for _ in range(4)} == {3}
    assert len({site.produce(topic, b"v", sync=True).json["partition"] for _ in range(24)}) > 1
    assert {m.key for m in broker.read_all(topic)} == {None, b"", b"1", b"2", b"3", b"4", b"5"}


def test_consume(site, broker, topic, name):
    broker.produce_lines(topic, ["old"] * 3, partition=1)
    site.join(topic, name)
    assert broker.committed(name, topic, 4) == {0: 0, 1: 3, 2: 0, 3: 0}, "stored before the reply"
    sent = {(r["partition"], r["offset"], key, b"v%d" % n)
            for n, key in enumerate([None, b"", b"k", b"1", b"2"])
            for r in [site.produce(topic, b"v%d" % n, key=key.decode() if key is not None else None, sync=True).json]}
    assert set(site.consume_all(topic, name, 5)) == sent
    ends = {p: 3 if p == 1 else 0 for p in range(4)}
    for partition, offset, _, _ in sent:
        ends[partition] = max(ends[partition], offset + 1)
    wait_for(lambda: broker.committed(name, topic, 4) == ends, 5, "what was consumed is committed")
    assert [row["lag"] for row in site.offsets(topic, name)] == [0] * 4


@rest
def test_offsets_with_metadata(site, broker, topic, name):
    broker.produce_lines(topic, range(10), partition=0)
    assert [(r["begin"], r["end"], r["offset"], r["lag"]) for r in site.offsets(topic, name)] == (
        [(0, 10, -1, 0)] + [(0, 0, -1, 0)] * 3)
    rows = [{"partition": 0, "offset": 4, "metadata": 'm "é" <&>'}, {"partition": 2, "offset": 0}]
    assert site.post(offsets(topic), json.dumps(rows).encode(), {"group": name}).body == b"{}"
    said = site.offsets(topic, name)
    assert said[0] == {"partition": 0, "begin": 0, "end": 10, "count": 10, "offset": 4, "lag": 6, "metadata": 'm "é" <&>'}
    assert [r["offset"] for r in said] == [4, -1, 0, -1]
    assert broker.committed(name, topic, 1) == {0: 4}
    known = [r for r in said if r["offset"] >= 0]
    assert site.post(offsets(topic), json.dumps(known).encode(), {"group": name}).status == 200
    assert site.offsets(topic, name) == said


@rest
def test_offsets_are_set(site, broker, topic, name):
    broker.produce_lines(topic, range(6), partition=1)
    site.consume_all(topic, from_start(site, topic, name), 4)

    def set_to(offset):
        rows = [{"partition": 1, "offset": offset}]
        assert site.post(offsets(topic), json.dumps(rows).encode(), {"group": name}).body == b"{}"
    for offset, seen in [(1, 1), (5, 5), (-2, 0), (3, 3)]:  # while the group is consumed
        set_to(offset)
        assert site.consume(topic, name).message[:2] == (1, seen)
    set_to(-1)
    broker.produce_lines(topic, ["new"], partition=1)
    assert site.consume(topic, name).message[:2] == (1, 6)
    rows = [{"partition": 4, "offset": 0}]
    assert site.post(offsets(topic), json.dumps(rows).encode(), {"group": name}).status == 404


@rest
def test_consumers(site, topic, name):
    site.produce(topic, b"v", sync=True)
    site.consume_all(topic, from_start(site, topic, name), 1)
    said = wait_for(lambda: (r := site.consumers(topic, name)).status == 200 and r.json, 10, "a consumer")
    (member, partitions), = said[name].items()
    assert re.fullmatch(MEMBER, member) and partitions == [0, 1, 2, 3]
    assert site.consumers(topic).json == said


@rest
def test_unknown_topic(site, broker, name):
    replies = [site.get(offsets(name), {"group": name}),
               site.post(offsets(name), b'[{"partition": 0, "offset": 0}]', {"group": name})]
    if not broker.creates_topics:
        replies += [site.produce(name, b"v"), site.produce(name, b"v", sync=True), site.consume(name, name)]
    for reply in replies:
        assert (reply.status, reply.error) == UNKNOWN
    assert name not in broker.topics()


# What only old ones have.

OLD = pytest.mark.only(*[row for row in MATRIX if row.startswith("0.")])


@OLD
def test_largest_message_of_an_old_broker(site, broker, topic):
    key, value = "k" * 986, b"v" * 999_000
    assert site.produce(topic, value, key=key, sync=True).status == 200
    reply = site.produce(topic, value + b"v", key=key, sync=True)
    assert (reply.status, reply.error) == (413, "Kafka: Broker: Message size too large")
    assert len(broker.read_all(topic)) == 1


@OLD
def test_old_broker_is_named_with_the_hint(gateway, stand, topic, name):
    """One hangs up when it is asked for its version; the other says nothing, for as long as one likes to wait."""
    broker = stand.broker
    g = gateway(broker, kafkaVersion=None, X="api.version.request.timeout.ms=1000")
    cause = f"{broker.peers}: the broker "

    def says_it(text):
        return text and text.startswith("Kafka cannot be reached") and cause in text and (
            "one before 0.10 needs --kafkaVersion" in text)
    wait_for(lambda: says_it(g.tcp.get("/_status", rules=False).json["kafka"]["lastError"]), 15, "the cause in the status")
    with ThreadPoolExecutor(4) as threads:
        asked = [(threads.submit(g.tcp.consume, topic, name), 503), (threads.submit(g.tcp.produce, topic, b"v", sync=True), 504),
                 (threads.submit(g.tcp.get, offsets(topic), {"group": name}), 503)]
        kept = threads.submit(g.tcp.produce, topic, b"kept")
    for reply, status in [(future.result(), status) for future, status in asked]:
        assert reply.status == status and says_it(reply.error), reply
    assert kept.result().status == 200
    wait_for(lambda: re.search(r" warn helper\[\d+\]: health part=kafka state=down: .*" + re.escape(cause), g.proc.output()), 5,
             "the cause in the log")
    # What was kept is sent when the version is given.
    g.stop()
    g.options.update(broker.options, X=None)
    g.start()
    assert [m.value for m in arrived(broker, topic, 1)] == [b"kept"]

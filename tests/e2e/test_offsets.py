"""Offsets set by time, on real Kafka: 3.9.1 with ZooKeeper, 4.1.0 with local coordination."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from confluent_kafka import Producer

from web import offsets

START = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
STEP = timedelta(minutes=10)
COUNT = 6


@pytest.fixture(scope="module", params=["zookeeper", "kraft"])
def stand(request, shared_gateway):
    broker = request.getfixturevalue({"zookeeper": "kafka_zk", "kraft": "kafka_kraft"}[request.param])
    return shared_gateway(broker)


@pytest.fixture
def broker(stand):
    return stand.broker


@pytest.fixture
def site(stand):
    return stand.tcp


def ms(at):
    return int(at.timestamp() * 1000)


@pytest.fixture
def aged(broker, name):
    """A topic with six messages in each of partitions 0 and 1, ten minutes apart. Old as they are, they stay."""
    topic = broker.create_topic(name, retention_ms="-1")
    producer = Producer({"bootstrap.servers": broker.peers, "log_level": 0})
    for n in range(COUNT):
        for p in range(2):
            producer.produce(topic, b"%d" % n, partition=p, timestamp=ms(START + n * STEP))
        producer.flush(30)
    return topic


def set_rows(site, topic, group, *rows):
    return site.post(offsets(topic), json.dumps(list(rows)).encode(), {"group": group})


TIMES = [
    ("2026-01-31T12:00:00Z", 0), ("2026-01-31T11:59:59.999Z", 0), ("1970-01-01T00:00:00Z", 0), (0, 0),
    ("2026-01-31T12:00:00.0001Z", 1), ("2026-01-31T12:00:00.001Z", 1), ("2026-01-31T12:10:00Z", 1),
    ("2026-01-31T13:40:00+01:30", 1), ("2026-01-31t12:10:00.000000z", 1),
    (ms(START + 3 * STEP), 3), (ms(START + 3 * STEP) + 1, 4), ("2026-01-31T12:50:00Z", 5),
    ("2026-01-31T12:50:00.001Z", 6), ("9999-12-31T23:59:59.999Z", 6)]


def test_first_message_at_or_after_a_time(site, broker, aged, name):
    for time, offset in TIMES:
        reply = set_rows(site, aged, name, {"partition": 0, "time": time, "metadata": "m"},
                         {"partition": 1, "offset": 2}, {"partition": 2, "time": time})
        assert (reply.status, reply.body) == (200, b"{}"), reply
        rows = site.offsets(aged, name)
        assert [r["offset"] for r in rows] == [offset, 2, 0, -1] and rows[0]["metadata"] == "m", time
        assert broker.committed(name, aged, 3) == {0: offset, 1: 2, 2: 0}, "real offsets"


def test_takes_effect_at_once_on_a_live_group(site, aged, name):
    assert set_rows(site, aged, name, *({"partition": p, "time": 0} for p in range(4))).status == 200
    assert len(site.consume_all(aged, name, 2 * COUNT)) == 2 * COUNT
    for n in (4, 1, 5):
        assert set_rows(site, aged, name, {"partition": 1, "time": ms(START + n * STEP)}).status == 200
        assert site.consume(aged, name).message == (1, n, None, b"%d" % n)
    assert set_rows(site, aged, name, {"partition": 1, "time": ms(START + COUNT * STEP)}).status == 200
    assert site.consume(aged, name).status == 408


def test_what_is_set_while_the_first_request_comes(site, aged, name):
    """The start of a group that is being joined must not undo it."""
    for n in range(3):
        group = f"{name}-{n}"
        assert set_rows(site, aged, group, *({"partition": p, "offset": -1} for p in range(4))).status == 200
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(site.consume, aged, group)
            assert set_rows(site, aged, group, {"partition": 1, "offset": 2}).status == 200
            reply = asked.result()
        found = reply if reply.status == 200 else site.consume(aged, group)
        assert found.message[:2] == (1, 2), f"round {n}"


NO_TIMES = [
    ({"partition": 0, "offset": 1, "time": 1}, 'element 1: "time" and "offset" exclude each other'),
    ({"partition": 0, "time": "yesterday"}, 'element 1: "time" is neither a time, such as 2026-01-31T12:00:00Z'),
    ({"partition": 0, "time": "2026-02-30T12:00:00Z"}, 'element 1: "time" is neither a time'),
    ({"partition": 0, "time": "2026-01-31T12:00:00"}, 'element 1: "time" is neither a time'),
    ({"partition": 0, "time": 1.5}, 'element 1: "time" is neither a time'),
    ({"partition": 0, "time": None}, 'element 1: "time" is neither a time'),
    ({"partition": 0, "time": -1}, 'element 1: "time" is out of range'),
    ({"partition": 0, "time": 253402300800000}, 'element 1: "time" is out of range'),
    ({"time": 1}, 'element 1: "partition" is missing')]


def test_times_that_are_none_change_nothing(site, aged, name):
    before = site.get(offsets(aged), {"group": name}).body
    for row, why in NO_TIMES:
        reply = set_rows(site, aged, name, {"partition": 1, "time": 0}, row)
        assert reply.status == 400 and reply.error.startswith(f"Failed to parse the request: {why}"), reply
    assert site.get(offsets(aged), {"group": name}).body == before


def test_all_or_nothing_by_time(site, aged, name):
    reply = set_rows(site, aged, name, {"partition": 0, "time": 0}, {"partition": 4, "time": 0})
    assert (reply.status, reply.error) == (404, "Unknown partition 4: the topic has 4")
    assert [r["offset"] for r in site.offsets(aged, name)] == [-1] * 4

"""What time does to a group: offsets that are set by time, topics that grow, offsets that nobody commits anew."""

import json
import time
from datetime import datetime, timezone

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions

from kafka import KafkaKraft, KafkaWithZookeeper
from procs import wait_for
from web import Workers, messages, offsets

KINDS = ["kafka_zk", "kafka_kraft"]
HOUR = 3_600_000


def produce_at(broker, topic, rows):
    """Messages (partition, milliseconds), whose value is the time."""
    producer = Producer({"bootstrap.servers": broker.peers, "log_level": 0})
    for partition, ms in rows:
        producer.produce(topic, str(ms).encode(), partition=partition, timestamp=ms)
    assert producer.flush(30) == 0


def rfc3339(ms, digits=3):
    whole = datetime.fromtimestamp(ms // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ms % 1000:03}"[:20 + digits].rstrip(".") + "Z"


def set_offsets(site, topic, group, rows):
    return site.post(offsets(topic), json.dumps(rows).encode(), {"group": group})


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_by_time(request, gateway, kind, name):
    """The first message at or after it, in a live group too; past the last one: the end."""
    broker = request.getfixturevalue(kind)
    topic, group = broker.create_topic(name), f"{name}-g"
    start = int(time.time() * 1000) - 5 * HOUR
    produce_at(broker, topic, [(0, start + n * HOUR) for n in range(5)] + [(1, start + n * 1000) for n in range(5)])
    gw = gateway(broker)
    reply = set_offsets(gw.tcp, topic, group, [
        {"partition": 0, "time": start + 2 * HOUR, "metadata": "exactly"}, {"partition": 1, "time": rfc3339(start + 1001)},
        {"partition": 2, "time": start}, {"partition": 3, "offset": 0}])
    assert (reply.status, reply.body) == (200, b"{}"), reply
    assert broker.committed(group, topic, 4) == {0: 2, 1: 2, 2: 0, 3: 0}
    assert gw.tcp.offsets(topic, group)[0]["metadata"] == "exactly"
    for when, found in [(0, 0), (start, 0), (start + 1, 1), (start + 4 * HOUR, 4), (start + 4 * HOUR + 1, 5),
                        (rfc3339(start + HOUR), 1), (rfc3339(start + HOUR + 1000, 0), 2), ("9999-12-31T23:59:59.999Z", 5)]:
        assert set_offsets(gw.tcp, topic, group, [{"partition": 0, "time": when}]).status == 200
        assert broker.committed(group, topic, 1) == {0: found}, when
    # Of a group that is consumed here: the next message of that partition is from there.
    set_offsets(gw.tcp, topic, group, [{"partition": p, "offset": -1, "metadata": f"of {p}"} for p in range(4)])
    gw.tcp.join(topic, group)
    gw.tcp.join(topic, group)
    assert [row["metadata"] for row in gw.tcp.offsets(topic, group)] == [f"of {p}" for p in range(4)], "none is lost"
    assert set_offsets(gw.tcp, topic, group, [{"partition": 0, "time": rfc3339(start + 3 * HOUR)}]).status == 200
    assert gw.tcp.consume(topic, group).message == (0, 3, None, str(start + 3 * HOUR).encode())
    # Nothing changes when one of them is wrong.
    wait_for(lambda: broker.committed(group, topic, 1) == {0: 4}, 5, "what was consumed is committed")
    before = broker.committed(group, topic, 4)
    for wrong, status in [({"partition": 1, "time": "yesterday"}, 400), ({"partition": 1, "time": -1}, 400),
                          ({"partition": 1, "time": 1, "offset": 1}, 400), ({"partition": 4, "time": 1}, 404)]:
        assert set_offsets(gw.tcp, topic, group, [{"partition": 2, "time": 0}, wrong]).status == status, wrong
    assert broker.committed(group, topic, 4) == before


@pytest.mark.timeout(240)
@pytest.mark.parametrize("busy", [False, pytest.param(True, marks=pytest.mark.long)], ids=["quiet", "busy"])
@pytest.mark.parametrize("kind", KINDS)
def test_topic_grows(request, gateway, kind, busy, name, note):
    """From 4 to 8 partitions: what is in the new ones comes from its beginning, also what came before anybody knew."""
    broker = request.getfixturevalue(kind)
    topic = broker.create_topic(name)
    gw = gateway(broker)
    gw.tcp.join(topic, name)
    seen = []

    def work(session, _, stop):
        while not stop.is_set():
            reply = session.call("GET", messages(topic), {"group": name})
            if not isinstance(reply, Exception) and reply.status == 200:
                seen.append((reply.message[0], reply.message[1]))

    def keep_busy(session, _, stop):
        while not stop.wait(0.005):
            session.call("POST", messages(topic), None, b"busy")
    with Workers([gw.tcp], work), Workers([gw.tcp] if busy else [], keep_busy):
        broker.admin().create_partitions([NewPartitions(topic, 8)])[topic].result(30)
        broker.await_leaders([(topic, 8)])
        grown = time.monotonic()
        for p in range(4, 8):
            broker.produce(topic, b"new", partition=p)
        wanted = {(p, 0) for p in range(4, 8)}
        wait_for(lambda: wanted <= set(seen), 90, "the first message of each new partition")
        took = time.monotonic() - grown
    assert len(seen) == len(set(seen))
    note(f"a {'busy' if busy else 'quiet'} topic of {kind} grows: the new partitions are read after {took:.1f} s")


IDLE = 300
RETENTION = "offsets.retention.minutes=1\noffsets.retention.check.interval.ms=2000\n"


class ForgetfulZk(KafkaWithZookeeper):
    def __init__(self):
        super().__init__()
        self.config.write_text(self.config.read_text() + RETENTION)


class ForgetfulKraft(KafkaKraft):
    def __init__(self):
        super().__init__()
        self.config.write_text(self.config.read_text() + RETENTION)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", [ForgetfulZk, ForgetfulKraft])
def test_offsets_of_an_idle_group_do_not_expire(stand, kind, name, note):
    """Kafka forgets what was not committed for a minute. The group that commits anew goes on where it was; the other one,
    which would not for an hour, is the control. (Of partition 0 something is committed whenever somebody waits.)"""
    broker, ones = kind(), {}
    broker.start()
    try:
        topic = broker.create_topic(name, 2)
        broker.produce_lines(topic, range(5), partition=1)
        groups = {ms: f"{name}-{ms}" for ms in (HOUR, 10_000)}
        for ms in groups:
            # It starts without the knob, so that its web server finds it, and then again with it.
            one = ones[ms] = stand(broker)
            one.helper.stop()
            one.helper.start(KP_RECOMMIT_MS=str(ms))
            reply = set_offsets(one.site, topic, groups[ms], [{"partition": p, "offset": 0} for p in (0, 1)])
            assert reply.status == 200, reply
            assert [m[1] for m in one.site.consume_all(topic, groups[ms], 5)] == [0, 1, 2, 3, 4]
        polls = [Workers([ones[ms].site], poll(topic, groups[ms])) for ms in groups]
        time.sleep(IDLE)  # it is the time that is tested
        for workers in polls:
            workers.stop.set()
            workers.join(30)
        stored = {ms: broker.committed(groups[ms], topic, 2)[1] for ms in groups}
        note(f"offsets of groups that were idle for {IDLE} s on Kafka {broker.version}: {stored[10_000]} when committed anew, "
             f"{stored[HOUR]} when not")
        assert stored[10_000] == 5 and stored[HOUR] < 0
        one = ones[10_000]
        one.helper.stop()
        broker.produce_lines(topic, range(5, 8), partition=1)
        one.helper.start()
        assert [m[1] for m in one.site.consume_all(topic, groups[10_000], 3)] == [5, 6, 7]
    finally:
        for one in ones.values():
            if one.helper.proc.running():
                one.stop()
        broker.end()


def poll(topic, group):
    def work(session, _, stop):
        while not stop.is_set():
            session.call("GET", messages(topic), {"group": group})
    return work

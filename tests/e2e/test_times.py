"""The time of a message is that of its acceptance, and what becomes of one whose time a broker refuses; real Kafka 4.1."""

import time
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from commands import Operator, helper_socket, status
from procs import wait_for

LIMIT = 1000  # message.timestamp.before.max.ms of the topic


@dataclass
class Kept:
    value: bytes
    since: float  # ms, before and after the request
    until: float


def produce(gw, topic, count, first=0, sync=False):
    """Keyed alike, so in order; returns when each was accepted."""
    session, found = gw.tcp.session(), []
    for i in range(first, first + count):
        since = time.time() * 1000
        reply = session.call("POST", f"/topics/{topic}/messages", [("key", "k")] + ([("sync", "")] if sync else []), b"%d" % i)
        assert reply.status == 200, reply
        found.append(Kept(b"%d" % i, since, time.time() * 1000))
    session.close()
    return found


def read(broker, topic, count):
    """(value, CreateTime) of the only partition, in order."""
    reader = Consumer({"bootstrap.servers": broker.peers, "group.id": "reader", "enable.auto.commit": False, "log_level": 0})
    reader.assign([TopicPartition(topic, 0, 0)])
    found = []

    def poll():
        m = reader.poll(1)
        if m and not m.error():
            found.append((m.value(), m.timestamp()[1]))
        return len(found) >= count
    wait_for(poll, 40, f"{count} messages", every=0)
    reader.close()
    return found


def assert_times(found, kept):
    assert [f[0] for f in found] == [k.value for k in kept]
    for (value, at), k in zip(found, kept):
        assert k.since - 1 <= at <= k.until + 1, (value, at - k.since, k)


def settled(gw, **wanted):
    def same():
        found = status(gw)[1]
        return all(found[name] == value for name, value in wanted.items()) and found
    return wait_for(same, 40, f"{wanted}")


def test_an_outage_that_is_longer_than_the_limit(gateway, kafka_kraft, name):
    """Messages of a topic without a limit keep the time of their acceptance, over a kill, too. Those that a broker finds
    too old go with the present time, in order; or, if that was chosen, become dead letters."""
    plain = kafka_kraft.create_topic(name, 1)
    strict, mortal = (kafka_kraft.create_topic(f"{name}-{n}", 1, message_timestamp_before_max_ms=str(LIMIT)) for n in "ab")
    gw, other = gateway(kafka_kraft), gateway(kafka_kraft, onOldTimestamp="dead")
    kept = produce(gw, plain, 5)
    young = produce(gw, strict, 5)
    settled(gw, delivered=10)
    kept += produce(gw, plain, 2, 5, sync=True)
    kafka_kraft.stop()
    try:
        kept += produce(gw, plain, 5, 7)
        old = produce(gw, strict, 150, 5)
        gw.kill_helper()
        gw.await_ready()
        kept += produce(gw, plain, 5, 12)
        old += produce(gw, strict, 150, 155)
        produce(other, mortal, 3)
        time.sleep(1.5 * LIMIT / 1000)
    finally:
        kafka_kraft.start()
    settled(gw, pending=0, delivered=320, dead=0)
    fresh = produce(gw, strict, 3, 305)
    settled(gw, delivered=323)
    fresh += produce(gw, strict, 2, 308, sync=True)
    assert_times(read(kafka_kraft, plain, len(kept)), kept)
    found = read(kafka_kraft, strict, 310)
    assert_times(found[:5], young)
    assert [f[0] for f in found[5:305]] == [k.value for k in old]
    assert all(at - k.until > LIMIT for (_, at), k in zip(found[5:305], old))
    assert_times(found[305:], fresh)
    assert gw.proc.output().count("older than the broker takes") == 1
    stay_dead_or_go(other)


def stay_dead_or_go(gw):
    """Letters that are sent again are refused again, as their time is the same; with the other choice they go."""
    operator = Operator(helper_socket(gw))
    settled(gw, pending=0, delivered=0, dead=3)
    assert {m["reason"] for m in operator.json("dead")} == {"Broker: Invalid timestamp"}
    operator.run("retry", "--all")
    settled(gw, pending=0, delivered=0, dead=3)
    gw.options["onOldTimestamp"] = "now"
    gw.restart()
    Operator(helper_socket(gw)).run("retry", "--all")
    settled(gw, pending=0, delivered=3, dead=0)

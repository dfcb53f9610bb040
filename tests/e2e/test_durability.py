"""A 200 means kept: what was answered 200 to async produce is in Kafka afterwards, also when Kafka was away.

What kills do is in test_kills.py, what takes long in test_long.py; oracle.py is the judge of all.
"""

import os
import re
import time

import pytest
from confluent_kafka.admin import NewPartitions

from oracle import Oracle, status, wall_ms
from procs import wait_for
from web import Workers, messages

OUTAGE = 20


def test_kafka_away_under_load(gateway, kafka_kraft, name, note):
    """Async keeps answering 200 from the store, and everything arrives afterwards, in order."""
    gw = gateway(kafka_kraft)
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    with oracle.load(gw.site, rate=600, sync=0):
        oracle.await_traffic(100)
        begin, before = wall_ms(), oracle.answered()
        kafka_kraft.stop()
        try:
            time.sleep(OUTAGE)
            kept = oracle.answered() - before
        finally:
            kafka_kraft.start()
            oracle.fault("Kafka away", begin)
        oracle.await_traffic(100, what="traffic after the outage")
    assert not oracle.statuses, f"not every reply was 200: {oracle.statuses}"
    assert kept > 16 * OUTAGE
    oracle.settle(gw)
    note(f"Kafka away for {OUTAGE} s: {kept} answered 200 meanwhile; {oracle.counts()}")


@pytest.mark.parametrize("how", ["orderly", "killed"])
def test_restart_sends_what_is_left_in_order(gateway, kafka_kraft, name, how, note):
    gw = gateway(kafka_kraft)
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    with oracle.load(gw.site, rate=400, producers=4, sync=0):
        oracle.await_traffic(20)
        begin = wall_ms()
        kafka_kraft.stop()
        try:
            oracle.await_traffic(500, 60, "500 messages in the store")
        except BaseException:
            kafka_kraft.start()
            raise
    try:
        if how == "orderly":
            gw.stop()
            (left,) = re.findall(r"stopped in_store=(\d+)", gw.proc.output())
            assert int(left) >= 500, "the log says what stays in the store"
        else:
            gw.kill_all()
    finally:
        kafka_kraft.start()
        oracle.fault(f"{how} restart while Kafka was away", begin)
    gw.start()
    oracle.settle(gw)
    note(f"restart: {oracle.counts()}")


def test_partitions_are_added_under_load(gateway, kafka_kraft, name, note):
    """Keys move to the new partitions; in each partition a key stays in order, nothing is lost, nothing comes twice."""
    gw = gateway(kafka_kraft, X="topic.metadata.refresh.interval.ms=100")
    topic = kafka_kraft.create_topic(name, partitions=2)
    sent = [0] * 8

    def send(session, number, stop):
        while not stop.is_set():
            reply = session.call("POST", messages(topic), {"key": f"k{number}"}, str(sent[number]).encode())
            assert reply.status == 200, reply
            sent[number] += 1

    with Workers([gw.tcp] * len(sent), send):
        wait_for(lambda: min(sent) > 50, 20, "traffic to two partitions")
        kafka_kraft.admin().create_partitions([NewPartitions(topic, 6)])[topic].result(15)
        wait_for(lambda: {m.partition for m in kafka_kraft.read_all(topic)} > {0, 1}, 20, "messages in the new ones")
        grown = min(sent)
        wait_for(lambda: min(sent) > grown + 50, 20, "traffic to six partitions")
    wait_for(lambda: status(gw)["pending"] == 0, 20, "Kafka has all")
    found, last = kafka_kraft.read_all(topic), {}
    for m in found:
        assert last.get((m.partition, m.key), -1) < int(m.value), f"out of order or twice: {m}"
        last[m.partition, m.key] = int(m.value)
    assert len(found) == sum(sent)
    note(f"partitions added under load: {len(found)} messages of {len(sent)} keys, {len(last)} places, all in order")


def test_the_oracle_sees_a_loss(gateway, kafka_kraft, name, note):
    """The control: a gateway that keeps nothing loses messages when it is killed, and the oracle must notice."""
    gw = gateway(kafka_kraft, durability="memory")
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    with oracle.load(gw.site, rate=400, producers=4, sync=0):
        wait_for(lambda: oracle.follow().read().copies, 10, "a message in Kafka")
        kafka_kraft.pause()
        try:
            oracle.await_traffic(100)
            gw.kill_helper()
        finally:
            kafka_kraft.resume()
    gw.await_ready()
    assert gw.tcp.produce(oracle.topic, b"last", sync=True).status == 200
    lost = oracle.lost()
    note(f"control durability memory: LOST {len(lost)} of {len(oracle.ok)} after 1 kill")
    assert 0 < len(lost) < len(oracle.ok)


def test_store_is_private_and_has_one_owner(gateway, kafka_kraft, name):
    gw = gateway(kafka_kraft)
    assert gw.tcp.produce(kafka_kraft.create_topic(name), b"v").status == 200
    for path in gw.store.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others"
    second = gateway(kafka_kraft, start=False, store=gw.store)
    second.start(wait=False)
    assert second.proc.wait(15) == 1
    assert str(gw.store) in second.proc.output() or "store" in second.proc.output()
    assert gw.answers() and os.path.exists(gw.store)

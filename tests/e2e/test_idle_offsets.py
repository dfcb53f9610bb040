"""Offsets of a group that consumes nothing for longer than brokers keep them."""

import time

import pytest
from confluent_kafka import Consumer, TopicPartition

import fastcgi
from consumer_oracle import open_poll
from kafka import KafkaWithZookeeper
from procs import wait_for

RETENTION = 60
IDLE = 300


@pytest.fixture
def forgetful():
    """It keeps offsets for a minute after the last commit."""
    broker = KafkaWithZookeeper()
    broker.config.write_text(broker.config.read_text() +
                             "offsets.retention.minutes=1\noffsets.retention.check.interval.ms=5000\n")
    broker.start()
    broker.warm_up()
    yield broker
    broker.end()


def poll(r, topic, group):
    with open_poll(r.socket, topic, group) as s:
        return fastcgi.read(s)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_idle_offsets_do_not_expire(faulty, responder, forgetful, name, note):
    """With an hour made 15 s. Somebody else's offset, which nobody commits again, must be gone: else it proves nothing."""
    topic, control = forgetful.create_topic(name, 1), f"{name}-control"
    forgetful.produce_lines(topic, range(3))
    h = faulty(forgetful, initialOffset="oldest").start(KP_RECOMMIT_MS="15000")
    r = responder(h)
    assert [poll(r, topic, name).message[1] for _ in range(2)] == [0, 1]
    wait_for(lambda: forgetful.committed(name, topic, 1) == {0: 2}, 5, "committed")
    reader = Consumer({"bootstrap.servers": forgetful.peers, "group.id": control, "log_level": 0})
    reader.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
    reader.close()
    assert poll(r, topic, name).message[1] == 2
    began = time.monotonic()
    while time.monotonic() - began < IDLE:
        assert poll(r, topic, name).status == 408
    assert forgetful.committed(control, topic, 1) == {0: -1001}, "brokers forget what is not committed again"
    assert forgetful.committed(name, topic, 1) == {0: 3}
    h.stop()
    h.start()
    forgetful.produce_lines(topic, ["next"])
    assert poll(r, topic, name).message[:2] == (0, 3)
    note(f"idle for {IDLE} s with offsets kept for {RETENTION} s: still there")

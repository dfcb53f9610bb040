"""Explicit acknowledgement with curl: on Kafka 3.9.1 with ZooKeeper, and on Kafka 4.1.0 with local coordination; in the
long run on that with groups that the brokers manage, too."""

import random
import time

import pytest

from procs import rounds, wait_for
from web import messages


STANDS = {"zookeeper": ("kafka_zk", None), "kraft": ("kafka_kraft", None), "kafka": ("kafka_kraft", "kafka")}


@pytest.fixture(params=rounds(["zookeeper", "kraft"], list(STANDS)))
def stand(request):
    return request.param


@pytest.fixture
def broker(request, stand):
    return request.getfixturevalue(STANDS[stand][0])


@pytest.fixture
def make(gateway, stand, broker):
    """A gateway of the kind."""
    return lambda **options: gateway(broker, coordination=STANDS[stand][1], **options)


@pytest.fixture
def gw(make):
    return make()


@pytest.fixture
def topic(broker, name):
    return broker.create_topic(name, 1)


def take(gw, topic, group, acked=None):
    """The offset of the next message, which is pending then; None: there is none."""
    query = {"group": group}
    query |= {"noAck": ""} if acked is None else {"ackPartition": 0, "ackOffset": acked}
    reply = gw.tcp.get(messages(topic), query)
    if reply.status == 408:
        return None
    return reply.message[1]


def ack(gw, topic, group, offset, partition=0):
    return gw.tcp.post(f"/topics/{topic}/acks", b"", {"group": group, "partition": partition, "offset": offset})


def acked(gw, topic, group, offset):
    reply = ack(gw, topic, group, offset)
    assert (reply.status, reply.body) == (200, b"{}"), reply


def await_row(gw, topic, group, offset, metadata=None):
    def row():
        (found,) = gw.tcp.offsets(topic, group)
        return (found["offset"], found.get("metadata")) == (offset, metadata)
    wait_for(row, 10, f"committed: {offset} {metadata}")


def test_acknowledged_by_get_and_by_post(gw, broker, topic, name):
    gw.tcp.join(topic, name)
    broker.produce_lines(topic, range(4), partition=0)
    assert take(gw, topic, name) == 0
    assert take(gw, topic, name, acked=0) == 1
    assert take(gw, topic, name) == 2
    await_row(gw, topic, name, 1)
    acked(gw, topic, name, 2)
    await_row(gw, topic, name, 1, "BB")
    acked(gw, topic, name, 2)
    acked(gw, topic, name, 1)
    await_row(gw, topic, name, 3)
    # Without the parameters it is enough that the answer was taken.
    assert gw.tcp.consume(topic, name).message[1] == 3
    await_row(gw, topic, name, 4)


def test_refusals(gw, broker, topic, name):
    gw.tcp.join(topic, name)
    broker.produce_lines(topic, range(1), partition=0)
    for offset, partition, status, error in [
            (0, 0, 404, "offset 0 of partition 0 has not been handed out"),
            (0, 9, 404, "Unknown partition 9: the topic has 1"),
            ("x", 0, 400, "offset is expected to be a non-negative integer"),
            (0, "", 400, "partition is expected to be a non-negative integer")]:
        reply = ack(gw, topic, name, offset, partition)
        assert (reply.status, reply.error) == (status, error)
    assert take(gw, topic, name) == 0


def test_not_acknowledged_comes_again(make, broker, topic, name):
    gw = make(ackTimeout=2)
    gw.tcp.join(topic, name)
    broker.produce_lines(topic, range(1), partition=0)
    assert take(gw, topic, name) == 0
    begin = time.monotonic()
    assert take(gw, topic, name) == 0
    assert 1 < time.monotonic() - begin < 4
    acked(gw, topic, name, 0)
    await_row(gw, topic, name, 1)
    assert take(gw, topic, name) is None


def test_killed_helpers_skip_nothing_and_repeat_little(stand, gw, broker, topic, name, note):
    # ZooKeeper, and brokers, take the dead for alive for as long as their session lasts.
    rng, count, kills = random.Random(), 30, rounds(3, 30) if stand == "kraft" else rounds(1, 10)
    gw.tcp.join(topic, name)
    repeated = ackd = 0
    done, base = set(), 0
    for _ in range(kills):
        broker.produce_lines(topic, range(count), partition=0)
        got = [take(gw, topic, name) for _ in range(count)]
        assert None not in got and not done & set(got), "what is acknowledged and committed does not come again"
        lost = rng.sample(got, 10)
        for offset in rng.sample(got, len(got)):
            if offset not in lost:
                acked(gw, topic, name, offset)
                done.add(offset)
        ackd += len(got) - len(lost)
        await_row_at(gw, topic, name, min(lost))
        gw.kill_helper()
        gw.await_ready()
        # All that was pending comes again, and nothing else: half of it late, half of it read.
        wait_for(lambda: ack(gw, topic, name, lost[0]).status == 200, 30, "the partition is served again")
        for offset in lost[:5]:
            acked(gw, topic, name, offset)
        again = {take(gw, topic, name) for _ in range(5)}
        assert again == set(lost[5:])
        for offset in again:
            acked(gw, topic, name, offset)
        done |= set(lost)
        repeated += len(again)
        base += count
        await_row(gw, topic, name, base)
    assert done == set(range(kills * count))
    note(f"acks: kills={kills} messages={kills * count} acknowledged={ackd} repeated={repeated} lost=0")


def await_row_at(gw, topic, group, offset):
    """Committed, with all the ranges above it: the second commit after the last acknowledgement is whole."""
    wait_for(lambda: gw.tcp.offsets(topic, group)[0]["offset"] == offset, 10, f"offset {offset} is committed")
    time.sleep(1.2)  # nothing tells when the ranges are the last ones


@pytest.mark.only("zookeeper", "kafka")
def test_partition_of_another_host(make, broker, name):
    topic = broker.create_topic(name, 2)
    a, b = make(), make()
    wait_for(lambda: [x.tcp.consume(topic, name).status for x in (a, b)] == [408, 408] and
             len(a.tcp.owners(topic, name)) == 2, 30, "both own a partition")
    for partition in (0, 1):
        broker.produce_lines(topic, range(3), partition=partition)
    replies = {x: x.tcp.get(messages(topic), {"group": name, "noAck": ""}).message for x in (a, b)}
    assert {m[0] for m in replies.values()} == {0, 1}
    partition, offset = replies[a][:2]
    reply = ack(b, topic, name, offset, partition)
    assert reply.status == 409 and reply.error.startswith(f"partition {partition} is consumed by another host now"), reply
    assert ack(a, topic, name, offset, partition).status == 200
    # The one that stays gets what is pending, and takes acknowledgements of it from the other's clients.
    b.stop()
    partition, offset = replies[b][:2]
    wait_for(lambda: list(a.tcp.owners(topic, name).values()) == [[0, 1]], 30, "one owns both")
    assert ack(a, topic, name, offset, partition).status == 200
    wait_for(lambda: broker.committed(name, topic, 2)[partition] == offset + 1, 10, "committed by the new owner")

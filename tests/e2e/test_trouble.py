"""Empty or broken: 408 only when the group works and there is nothing, else 503 with the cause and since when, on real
Kafka and ZooKeeper; and the same in /_status."""

import json
import re
import time

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import NewTopic

from cluster import KraftCluster
from contract import DATE, age
from gateway import stopwatch
from procs import wait_for
from web import offsets

SESSION = 15
STALL = 26  # a partition that gives nothing is told after this
RECONNECT = 25  # a client of ZooKeeper may wait so long for a server that is just starting


@pytest.fixture
def site(gateway, kafka_kraft, zookeeper, name):
    """A gateway whose ZooKeeper is not Kafka's, and a topic with a group that works."""
    kafka_kraft.create_topic(name)
    made = gateway(kafka_kraft, coordination="zookeeper", zookeeperPeers=f"127.0.0.1:{zookeeper.port}/apart")
    made.tcp.join(name, name)
    return made.tcp


def trouble_of(site, group):
    """The row of /_status; None when there is none."""
    found = site.get("/_status", rules=False).json
    assert found["troubledTopics"] == len(found["troubles"])
    return next((t for t in found["troubles"] if t["group"] == group), None)


def await_trouble(site, topic, group, pattern, within):
    """Polls until it is 503 with that cause, which is the same in /_status. Returns the reply."""
    reply = wait_for(lambda: r if (r := site.consume(topic, group)).status == 503 else None, within, "503")
    assert re.fullmatch(pattern, reply.error), reply.error
    shown = wait_for(lambda: trouble_of(site, group), 5, "/_status says so")  # what is over in 3 s it does not mention
    assert shown["topic"] == topic and re.fullmatch(pattern, shown["error"]), shown
    assert -1 <= age(shown["since"]) < within + 10
    return reply


def await_empty(site, topic, group, within):
    wait_for(lambda: site.consume(topic, group).status == 408, within, "408 again")
    assert trouble_of(site, group) is None


def test_a_clean_start_is_no_error(site):
    """What was not connected yet in its first moments."""
    found = wait_for(lambda: (s := site.get("/_status", rules=False)).status == 200 and s.json, 10, "all serve")
    assert found["zookeeper"]["state"] == found["kafka"]["state"] == "up"
    assert found["zookeeper"]["lastError"] is None and found["zookeeper"]["lastErrorTime"] is None, found
    assert found["kafka"]["lastError"] is None, found


def test_zookeeper_killed(site, zookeeper, name):
    assert trouble_of(site, name) is None
    zookeeper.kill()
    try:
        where = re.escape(f"127.0.0.1:{zookeeper.port}")
        reply = await_trouble(site, name, name, rf"no connection to ZooKeeper at {where} since {DATE} \(.+\)", 10)
        assert reply.headers["retry-after"] == "5"
        took = stopwatch()
        assert site.consume(name, name).status == 503 and took() < 4.5
    finally:
        zookeeper.start()
    await_empty(site, name, name, RECONNECT + SESSION)


def test_zookeeper_that_hangs(site, zookeeper, name):
    zookeeper.pause()
    try:
        await_trouble(site, name, name, rf"no connection to ZooKeeper at .* since {DATE} \(.+\)", SESSION + 5)
    finally:
        zookeeper.resume()
    await_empty(site, name, name, RECONNECT + SESSION)


def test_partition_that_another_member_keeps(gateway, kafka_zk, name):
    kafka_zk.create_topic(name)
    site = gateway(kafka_zk).tcp
    path = f"/consumers/{name}/owners/{name}/2"
    kafka_zk.zk().create(path, b"stranger", ephemeral=True, makepath=True)
    reply = await_trouble(site, name, name, rf"rebalancing since {DATE}: partition 2 has not been released yet by another "
                          "member of the group", 10)
    assert reply.headers["retry-after"] == "5"
    kafka_zk.zk().delete(path)
    await_empty(site, name, name, 10)


@pytest.mark.parametrize("coordination", ["local", "kafka"])
def test_an_end_that_is_no_message_is_no_trouble(gateway, kafka_kraft, name, coordination):
    """The last offset of a transaction is a mark of Kafka's own, which nobody is given."""
    topic = kafka_kraft.create_topic(name, 1)
    gw = gateway(kafka_kraft, coordination=coordination)
    gw.tcp.join(topic, name)
    producer = Producer({"bootstrap.servers": kafka_kraft.peers, "transactional.id": name, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    for _ in range(3):
        producer.produce(topic, b"x")
    producer.commit_transaction(30)
    assert [m[1] for m in gw.tcp.consume_all(topic, name, 3)] == [0, 1, 2]
    took = stopwatch()
    while took() < STALL:
        assert gw.tcp.consume(topic, name).status == 408
    (row,) = gw.tcp.offsets(topic, name)
    assert (row["offset"], row["end"], row["lag"]) == (4, 4, 0), row
    assert "partition stalls" not in gw.proc.output()


class Managed:
    """A member of the group that brokers manage, by the old protocol or by that of Kafka 4."""

    def __init__(self, broker, topic, group, protocol):
        own = {"session.timeout.ms": 6000} if protocol == "classic" else {}
        self.reader = Consumer({"bootstrap.servers": broker.peers, "group.id": group, "group.protocol": protocol,
                                "log_level": 0, "auto.offset.reset": "earliest", "enable.auto.commit": False, **own})
        self.reader.subscribe([topic])
        self.seen = []
        wait_for(self.poll, 20, "it has joined")

    def poll(self):
        message = self.reader.poll(0.2)
        if message and not message.error():
            self.seen.append((message.partition(), message.offset()))
        return self.reader.assignment()


MANAGED = "the group is managed by the broker protocol and has members"


@pytest.mark.parametrize("coordination, protocol", [
    ("zookeeper", "classic"), pytest.param("local", "classic", marks=pytest.mark.long),
    pytest.param("local", "consumer", marks=pytest.mark.long)])
def test_member_that_brokers_manage(request, gateway, name, coordination, protocol):
    broker = request.getfixturevalue({"zookeeper": "kafka_zk", "local": "kafka_kraft"}[coordination])
    topic = broker.create_topic(name, 1)
    site = gateway(broker).tcp
    site.join(topic, name)
    broker.produce_lines(topic, ["a", "b"])
    assert site.consume_all(topic, name, 1)[0][:2] == (0, 0)
    wait_for(lambda: site.offsets(topic, name)[0]["offset"] == 1, 5, "committed")
    row = json.dumps([{"partition": 0, "offset": 0}]).encode()

    member = Managed(broker, topic, name, protocol)
    reply = wait_for(lambda: r if (r := site.consume(topic, name)).status == 503 else None, 20, "503")
    assert re.fullmatch(rf"{MANAGED} since {DATE}", reply.error) and reply.headers["retry-after"] == "10", reply
    wait_for(lambda: (trouble_of(site, name) or {}).get("error", "").startswith(MANAGED), 10, "/_status says so")
    for _ in range(2):  # nothing is offered meanwhile, whatever comes
        broker.produce_lines(topic, ["c"])
        assert site.consume(topic, name).status == 503
        reply = site.post(offsets(topic), row, {"group": name})
        assert (reply.status, reply.error) == (409, f"{MANAGED}; stop them first")
    fresh = f"{name}-fresh"
    other = Managed(broker, topic, fresh, protocol)
    assert re.fullmatch(rf"{MANAGED} since {DATE}", site.consume(topic, fresh).error), "a group that starts now"
    other.reader.close()
    wait_for(lambda: member.poll() and (0, 3) in member.seen, 20, "it has read all")
    member.reader.commit(asynchronous=False)
    member.reader.close()

    await_empty(site, topic, name, 15)  # what the others have consumed is not consumed again
    broker.produce_lines(topic, ["d"])
    assert site.consume_all(topic, name, 1)[0] == (0, 4, None, b"d")
    assert site.post(offsets(topic), row, {"group": name}).status == 200
    assert site.consume(topic, name).message[:2] == (0, 0)


@pytest.fixture
def cluster():
    made = KraftCluster()
    made.start()
    made.warm_up()
    yield made
    made.end()


@pytest.mark.timeout(300)
def test_partition_without_a_leader(gateway, cluster, name, note):
    """A topic of which each broker has one partition, and no copy of another."""
    cluster.admin().create_topics([NewTopic(name, 3, 1)])[name].result(30)
    cluster.await_leaders([(name, 3)])
    site = gateway(cluster).tcp
    site.join(name, name)
    victim = cluster.leader(name, 2)
    victim.kill()
    killed = time.monotonic()
    wanted = rf"partition 2 has no leader since {DATE}"
    wait_for(lambda: cluster.partitions(name) and cluster.leader(name, 2) is None, 30, "no leader")
    reply = await_trouble(site, name, name, wanted, 20)
    took = time.monotonic() - killed
    assert reply.headers["retry-after"] == "5"
    fresh = f"{name}-fresh"
    await_trouble(site, name, fresh, wanted, 20)
    for p in (0, 1):
        cluster.produce_lines(name, ["m"], partition=p)
    for group in (name, fresh):  # the others go on
        assert sorted(m[0] for m in site.consume_all(name, group, 2)) == [0, 1]
    victim.start()
    cluster.await_leaders([(name, 3)])
    # Also of the group that has never seen the partition with a leader, though it is to begin at the newest message.
    cluster.produce_lines(name, ["late"], partition=2)
    for group in (name, fresh):
        found = wait_for(lambda: (r := site.consume(name, group)).status == 200 and r, 30, "the message")
        assert found.message == (2, 0, None, b"late")
    note(f"a partition without a leader was told {took:.1f} s after its broker was killed")

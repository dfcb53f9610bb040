"""408 is an empty topic; whatever else keeps messages from coming is 503, with the cause and since when, in the status too."""

import json
import re
import time
from calendar import timegm

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import NewTopic
from kazoo.client import KazooClient

from kafka import KafkaWithZookeeper, Zookeeper
from procs import rounds, wait_for
from test_operator import Operator, helper_socket
from web import offsets

TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
SILENCE = 10  # ZooKeeper's client takes a silent server for gone after two thirds of its session time-out
MANAGED = "the group is managed by the broker protocol and has members; stop them first"


@pytest.fixture
def keeper():
    """A ZooKeeper for our groups alone, which Kafka does not need."""
    server = Zookeeper()
    server.start()
    yield server
    server.resume()
    server.stop()


def consume(gw, topic, group):
    reply = gw.tcp.consume(topic, group)
    assert reply.status in (200, 408, 503), reply
    return reply


def consume_through(gw, topic, group, count, within):
    """`count` messages, whatever trouble there is in between."""
    found, deadline = [], time.monotonic() + within
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} messages in {within} s"
        reply = consume(gw, topic, group)
        if reply.status == 200:
            found.append(reply.message)
    return found


def await_trouble(gw, topic, group, cause, within, retry_s, began=None):
    """503 for this cause, since about `began`, with the same in the status; the seconds until it was said."""
    began, start = began or time.time(), time.monotonic()
    reply = wait_for(lambda: (lambda r: r.status == 503 and re.search(cause, r.error) and r)(consume(gw, topic, group)),
                     within, f"503: {cause}")
    took = time.monotonic() - start
    since = timegm(time.strptime(re.search(f"since ({TIME})", reply.error)[1], "%Y-%m-%dT%H:%M:%SZ"))
    assert began - 2 <= since <= time.time() + 1, f"{reply.error}: {since - began:.1f} s after it began"
    assert int(reply.headers["retry-after"]) == retry_s, reply

    def listed():
        found = gw.tcp.get("/_status", rules=False).json
        assert found["troubledTopics"] == len(found["troubledGroups"])
        return [t for t in found["troubledGroups"] if (t["group"], t["topic"]) == (group, topic)]
    (row,) = wait_for(listed, 5, "in the status")
    assert re.search(cause, row["error"]) and re.fullmatch(TIME, row["since"]), row
    line = f"group {group}, topic {topic}: "
    # Which ends with 1 when ZooKeeper itself is down.
    down = gw.tcp.get("/_status", rules=False).status == 503
    said = Operator(helper_socket(gw)).run("status", status=int(down))[0]
    (found,) = [text for text in said.splitlines() if text.startswith(line)]
    assert re.search(cause, found.removeprefix(line))
    return took


def await_empty(gw, topic, group, within):
    """408, and the status lists it no more; the seconds until then."""
    start = time.monotonic()
    wait_for(lambda: consume(gw, topic, group).status == 408, within, "408")
    took = time.monotonic() - start
    assert not [t for t in gw.tcp.get("/_status", rules=False).json["troubledGroups"] if t["group"] == group]
    return took


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_zookeeper_is_away(gateway, keeper, kafka_kraft, name, note, how):
    topic = kafka_kraft.create_topic(name)
    gw = gateway(kafka_kraft, coordination="zookeeper", zookeeperPeers=f"127.0.0.1:{keeper.port}")
    gw.tcp.join(topic, name)
    began = time.time()
    keeper.pause() if how == "stopped" else keeper.kill()
    cause = rf"^no connection to ZooKeeper at 127\.0\.0\.1:{keeper.port} since {TIME}"
    said = await_trouble(gw, topic, name, cause, SILENCE + 8, 5, began)
    fresh = gw.tcp.consume(topic, f"{name}-new")
    assert fresh.status == 503 and re.search(cause, fresh.error), fresh
    keeper.resume() if how == "stopped" else keeper.start()
    works = await_empty(gw, topic, name, 30)
    gw.tcp.produce(topic, b"after", sync=True)
    assert gw.tcp.consume_all(topic, name, 1)[0][3] == b"after"
    note(f"ZooKeeper {how}: 503 after {said:.1f} s, works {works:.1f} s after it is back")


class SecondBroker(KafkaWithZookeeper):
    """Another broker of the same cluster."""

    def __init__(self, first):
        super().__init__()
        text = self.config.read_text().replace(self.zk_peers, first.zk_peers)
        self.config.write_text(text.replace("broker.id=0", "broker.id=1").replace("timeout.ms=6000", "timeout.ms=2000"))
        self.first = first

    started = r"\[KafkaServer id=1\] started"

    def ready(self):
        return re.search(self.started, self.proc.output()) and "2 brokers:" in self.kcat("-L", check=False)

    def start(self):
        wait_for(lambda: not self.first.zk().exists("/brokers/ids/1"), 30, "its old session has ended")
        self.launch()
        self.proc.wait_ready(self.ready, 60, "ready to serve")


@pytest.fixture
def second(kafka_zk):
    broker = SecondBroker(kafka_zk)
    broker.topics_made = []
    broker.start()
    yield broker
    if not broker.proc.running():
        broker.start()
    for deleted in broker.admin().delete_topics(broker.topics_made).values() if broker.topics_made else []:
        deleted.result(30)
    broker.stop()


def test_a_partition_without_a_leader(gateway, kafka_zk, second, name, note):
    """The first broker has partition 0, the second has partition 1, and dies."""
    topic, first = name, kafka_zk
    made = NewTopic(topic, 2, replica_assignment=[[0], [1]])
    first.admin().create_topics([made])[topic].result(30)
    second.topics_made = [topic]
    second.await_leaders([(topic, 2)])
    gw = gateway(first, kafkaPeers=f"{first.peers},{second.peers}")
    gw.tcp.join(topic, name)
    second.produce(topic, b"one", partition=1)
    assert gw.tcp.consume_all(topic, name, 1)[0][:2] == (1, 0)
    began = time.time()
    second.kill()
    cause = f"^partition 1 has no leader since {TIME}$"
    said = await_trouble(gw, topic, name, cause, 20, 5, began)
    # The other partition goes on, for a group that has just come too.
    await_trouble(gw, topic, f"{name}-new", cause, 20, 5)
    first.produce(topic, b"zero", partition=0)
    for group in (name, f"{name}-new"):
        assert gw.tcp.consume_all(topic, group, 1)[0][:2] == (0, 0)
    second.start()
    # The group that came meanwhile has been answered: what comes from now on is its own.
    second.produce(topic, b"two", partition=1)
    back = time.monotonic()
    for group in (name, f"{name}-new"):
        assert consume_through(gw, topic, group, 1, 20) == [(1, 1, None, b"two")]
    works = time.monotonic() - back
    for group in (name, f"{name}-new"):
        await_empty(gw, topic, group, 20)
    note(f"partition without a leader: 503 after {said:.1f} s, works {works:.1f} s after the broker is back")


class Managed:
    """A member of the group that the brokers manage. It takes nothing for consumed."""

    def __init__(self, broker, group, topic):
        self.consumer = Consumer({"bootstrap.servers": broker.peers, "group.id": group, "enable.auto.commit": False,
                                  "session.timeout.ms": 6000, "log_level": 0})
        self.consumer.subscribe([topic])
        wait_for(lambda: self.consumer.poll(0.2) is None and self.consumer.assignment(), 30, "it is a member")

    def stay(self):
        self.consumer.poll(0)

    def leave(self):
        self.consumer.close()


@pytest.mark.parametrize("kind", ["kafka_zk", "kafka_kraft"])
def test_a_group_that_brokers_manage(request, gateway, kind, name, note):
    """It joins the group of ours and leaves it; what nobody has consumed is still there."""
    broker = request.getfixturevalue(kind)
    topic = broker.create_topic(name)
    gw = gateway(broker)
    gw.tcp.join(topic, name)
    broker.produce_lines(topic, range(10))
    seen = [m[3] for m in gw.tcp.consume_all(topic, name, 10)]
    rows = json.dumps([{"partition": 0, "offset": -2}]).encode()
    took = []
    turns = rounds(1, 5)
    for n in range(turns):
        wait_for(lambda: sum(row["lag"] for row in gw.tcp.offsets(topic, name)) == 0, 5, "all is committed")
        member = Managed(broker, name, topic)
        took.append(await_trouble(gw, topic, name, f"^{MANAGED} since {TIME}$", 15, 10))
        reply = gw.tcp.post(offsets(topic), rows, {"group": name})
        assert (reply.status, reply.error) == (409, MANAGED)
        # It is refused from the first request on, too.
        broker.produce_lines(topic, range(10 * n + 10, 10 * n + 20))
        reply = gw.tcp.consume(topic, name)
        assert reply.status == 503 and reply.error.startswith(MANAGED), reply
        member.leave()
        left = time.monotonic()
        seen += [m[3] for m in consume_through(gw, topic, name, 10, 15)]
        took.append(time.monotonic() - left)
    await_empty(gw, topic, name, 5)
    assert sorted(map(int, seen)) == list(range(10 * turns + 10))
    assert gw.tcp.post(offsets(topic), rows, {"group": name}).status == 200
    note(f"member of the brokers ({kind}, {turns} times): 503 after {max(took[::2]):.1f} s at most, "
         f"all is read {max(took[1::2]):.1f} s after it has left at most")


def test_a_group_that_brokers_manage_already(gateway, kafka_zk, name):
    topic = kafka_zk.create_topic(name)
    member = Managed(kafka_zk, name, topic)
    gw = gateway(kafka_zk)
    await_trouble(gw, topic, name, f"^{MANAGED} since {TIME}$", 3.9, 10)
    assert all(o < 0 for o in kafka_zk.committed(name, topic, 4).values()), "nothing is stored behind its back"
    member.leave()
    await_empty(gw, topic, name, 15)


def test_a_rebalance_that_does_not_end(gateway, kafka_zk, name):
    """Somebody else has claimed a partition that is ours by the rule."""
    topic = kafka_zk.create_topic(name)
    stranger = KazooClient(f"127.0.0.1:{kafka_zk.zookeeper.port}{kafka_zk.chroot}")
    stranger.start(30)
    try:
        path = f"/consumers/{name}/owners/{topic}/2"
        stranger.create(path, b"stranger", ephemeral=True, makepath=True)
        gw = gateway(kafka_zk)
        cause = f"^rebalancing since {TIME}: partition 2 has not been released yet by another member of the group$"
        await_trouble(gw, topic, name, cause, 3.9, 5)
        kafka_zk.produce(topic, b"of another partition", partition=1)
        assert consume_through(gw, topic, name, 1, 5)[0][0] == 1
        stranger.delete(path)
        await_empty(gw, topic, name, 8)
    finally:
        stranger.stop()
        stranger.close()


def test_kafka_is_away(gateway, stand_alone, name):
    topic = stand_alone.create_topic(name)
    gw = gateway(stand_alone, coordination="local")
    gw.tcp.join(topic, name)
    for gone, back in ((stand_alone.pause, stand_alone.resume), (stand_alone.kill, stand_alone.start)):
        began = time.time()
        gone()
        await_trouble(gw, topic, name, f"^Kafka cannot be reached since {TIME}$", 20, 5, began)
        back()
        await_empty(gw, topic, name, 30)


@pytest.fixture
def stand_alone(kafka_kraft):
    """The shared one; it runs again afterwards."""
    yield kafka_kraft
    kafka_kraft.resume()
    if not kafka_kraft.proc.running():
        kafka_kraft.start()

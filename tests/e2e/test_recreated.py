"""Topics that are deleted and made again, and clusters that are wiped: what is new is read from its beginning."""

import json
import re
import shutil
import time

import pytest

from kafka import KafkaKraft
from procs import wait_for
from web import offsets

OLD = 5
IDLE = 22  # after 20 s a group has forgotten its topics


@pytest.fixture(params=["local", "kafka", "zookeeper"])
def coordination(request):
    return request.param


@pytest.fixture
def broker(request, coordination):
    return request.getfixturevalue("kafka_zk" if coordination == "zookeeper" else "kafka_kraft")


def read_old(gw, broker, topic, group):
    """The group has read all of the topic, and that is committed."""
    broker.produce_lines(topic, [f"old{i}" for i in range(OLD)], partition=0)
    assert gw.tcp.post(offsets(topic), json.dumps([{"partition": 0, "offset": 0}]).encode(),
                       {"group": group}).status == 200
    gw.tcp.consume_all(topic, group, OLD)
    wait_for(lambda: broker.committed(group, topic, 1) == {0: OLD}, 10, "committed")


def delete(broker, topic):
    broker.admin().delete_topics([topic])[topic].result(30)
    # With ZooKeeper it is marked, and goes a little later.
    wait_for(lambda: topic not in broker.topics() and not (
        broker.zk_peers and broker.zk().exists(f"/admin/delete_topics/{topic}")), 20, "deleted")


def await_all(reader, count):
    """The reader gets new0, new1, ..."""
    wanted = {f"new{i}".encode() for i in range(count)}
    wait_for(lambda: wanted <= {v for _, _, v in list(reader.seen)}, 20, "all that is new")


# More than the group had read, so that its offset lies in range; and less.
@pytest.mark.parametrize("count", [2 * OLD, pytest.param(OLD - 2, marks=pytest.mark.long)])
def test_topic_made_again(broker, gateway, client, coordination, name, count):
    gw = gateway(broker, coordination=coordination)
    topic = broker.create_topic(name, 1)
    read_old(gw, broker, topic, name)
    reader = client(gw, topic, name)
    delete(broker, topic)
    broker.create_topic(name, 1)
    broker.produce_lines(topic, [f"new{i}" for i in range(count)], partition=0)
    await_all(reader, count)


@pytest.mark.long
@pytest.mark.parametrize("idle", [0, IDLE])
@pytest.mark.parametrize("initial", ["newest", "oldest"])
def test_topic_made_again_while_nobody_asks(broker, gateway, client, coordination, name, initial, idle):
    """Also with fewer partitions."""
    gw = gateway(broker, coordination=coordination, initialOffset=initial)
    topic = broker.create_topic(name, 3)
    read_old(gw, broker, topic, name)
    delete(broker, topic)
    broker.create_topic(name, 1)
    broker.produce_lines(topic, [f"new{i}" for i in range(2 * OLD)], partition=0)
    time.sleep(idle)  # so long nobody asks
    await_all(client(gw, topic, name), 2 * OLD)


@pytest.mark.parametrize("coordination", ["zookeeper"], indirect=True)
def test_accepted_for_a_topic_that_is_away(broker, gateway, client, name):
    """On a broker that makes no topics by itself."""
    gw = gateway(broker)
    topic = broker.create_topic(name, 1)
    read_old(gw, broker, topic, name)
    assert gw.tcp.produce(topic, b"old").status == 200
    delete(broker, topic)
    for i in range(OLD):
        assert gw.tcp.produce(topic, f"new{i}".encode(), key="k").status == 200
    reader = client(gw, topic, name)
    wait_for(lambda: f" topic={topic} " in "".join(re.findall("sender again.*", gw.proc.output())), 20, "refused")
    broker.create_topic(name, 1)
    await_all(reader, OLD)


class Wiped(KafkaKraft):
    """It can be stopped, and begin again as another cluster at the same address."""

    def wipe(self):
        self.stop()
        shutil.rmtree(self.folder / "data")
        self.format()
        self.made, self._admin = [], None


@pytest.fixture
def wiped():
    broker = Wiped()
    broker.start()
    broker.warm_up()
    yield broker
    broker.end()


@pytest.mark.long
@pytest.mark.parametrize("made", ["by itself", "by its admin"])
@pytest.mark.parametrize("member", ["local", "kafka"])
def test_cluster_wiped(wiped, gateway, client, name, member, made):
    """What was accepted while it was away is in the new one, and in front."""
    broker = wiped
    if made == "by its admin":
        broker.config.write_text(broker.config.read_text() + "auto.create.topics.enable=false\n")
    gw = gateway(broker, coordination=member)
    topic = broker.create_topic(name, 1)
    read_old(gw, broker, topic, name)
    reader = client(gw, topic, name)
    broker.wipe()
    assert gw.tcp.produce(topic, b"new0").status == 200
    broker.start()
    if made == "by its admin":
        broker.create_topic(name, 1)
    wait_for(lambda: topic in broker.topics() and "new0" in broker.kcat(
        "-C", "-e", "-t", topic, check=False), 60, "in the new cluster")
    broker.produce_lines(topic, [f"new{i}" for i in range(1, 2 * OLD)], partition=0)
    await_all(reader, 2 * OLD)

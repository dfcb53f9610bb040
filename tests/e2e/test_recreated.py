"""Topics that are deleted and made again, and clusters that are wiped: what is new is read from its beginning."""

import time

import pytest

from procs import wait_for
from web import messages

OLD, NEW = 5, 10


@pytest.fixture(params=["local", "kafka", "zookeeper"])
def coordination(request):
    return request.param


@pytest.fixture
def broker(request, coordination):
    return request.getfixturevalue("kafka_zk" if coordination == "zookeeper" else "kafka_kraft")


def values(reader, prefix):
    return {v.decode() for _, _, v in list(reader.seen) if v.decode().startswith(prefix)}


def read_old(gw, broker, topic, group):
    """The group has read all of the topic, and that is committed."""
    gw.tcp.join(topic, group)
    broker.produce_lines(topic, [f"old{i}" for i in range(OLD)], partition=0)
    gw.tcp.consume_all(topic, group, OLD)
    wait_for(lambda: broker.committed(group, topic, 1) == {0: OLD}, 10, "committed")


def delete(broker, topic):
    broker.admin().delete_topics([topic])[topic].result(30)
    # With ZooKeeper it is marked, and goes a little later.
    wait_for(lambda: topic not in broker.topics() and not (
        broker.zk_peers and broker.zk().exists(f"/admin/delete_topics/{topic}")), 20, "deleted")


@pytest.mark.parametrize("polled", [True, False], ids=["polled", "left alone"])
@pytest.mark.parametrize("initial", ["newest", "oldest"])
def test_topic_made_again(gateway, client, broker, coordination, name, initial, polled):
    gw = gateway(broker, coordination=coordination, initialOffset=initial)
    topic = broker.create_topic(name, 1)
    read_old(gw, broker, topic, name)
    reader = client(gw, topic, name) if polled else None
    delete(broker, topic)
    broker.create_topic(name, 1)
    broker.produce_lines(topic, [f"new{i}" for i in range(NEW)], partition=0)
    reader = reader or client(gw, topic, name)
    try:
        wait_for(lambda: len(values(reader, "new")) == NEW, 20, "new")
    except AssertionError:
        pass
    print(coordination, initial, polled, sorted(values(reader, "new")))
    assert len(values(reader, "new")) == NEW

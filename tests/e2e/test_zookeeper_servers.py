"""Several servers and a chroot in --zookeeperPeers, through the launcher: on three real ZooKeepers, and on one behind
servers that are not there."""

import pytest
from kazoo.client import KazooClient
from kazoo.security import make_acl

from contract import from_start
from gateway import stopwatch
from kafka import Ensemble
from procs import free_port, wait_for


@pytest.fixture(scope="module")
def ensemble():
    made = Ensemble()
    made.start()
    yield made
    made.stop()


def tree(peers):
    client = KazooClient(hosts=peers)
    client.start(30)
    return client


def await_zookeeper(g):
    wait_for(lambda: g.tcp.get("/_status", rules=False).json["zookeeper"]["state"] == "up", 20, "ZooKeeper is there")


def next_message(site, topic, group, value, within):
    """Of a group that may be between two servers: 503 until then."""
    def got():
        reply = site.consume(topic, group)
        assert reply.status in (200, 408, 503), reply
        return reply.status == 200 and reply.message[3]
    assert wait_for(got, within, f"{value} is consumed") == value


@pytest.mark.parametrize("dead", [1, 3])
def test_first_servers_of_the_list_are_down(gateway, broker, topic, name, dead):
    live = f"127.0.0.1:{broker.zookeeper.port}"
    # As people write them: IPv6 in brackets, a server without a port, a slash at the end.
    first = ["127.0.0.9"] + [f"127.0.0.1:{free_port()}" for _ in range(dead - 1)]
    g = gateway(broker, zookeeperPeers=f"{','.join(first)},[::ffff:127.0.0.1]:{broker.zookeeper.port}/{name}/not/there/")
    g.tcp.produce(topic, b"v", sync=True)
    await_zookeeper(g)
    from_start(g.tcp, topic, name)
    next_message(g.tcp, topic, name, b"v", 15)
    zk = tree(f"{live}/{name}/not/there")
    (member,) = zk.get_children(f"/consumers/{name}/ids")
    assert zk.get(f"/consumers/{name}/owners/{topic}/0")[0].decode() == member
    assert g.tcp.consumers(topic, name).json == {name: {member: [0, 1, 2, 3]}}
    zk.stop()
    zk.close()


def test_chroot_that_cannot_be_made(gateway, broker, topic, name):
    """Its parent is somebody else's: no consumer gets anything, and hears why, until somebody makes it."""
    zk = broker.zk()
    zk.chroot = ""
    zk.create(f"/{name}", b"", acl=[make_acl("world", "anyone", read=True)])
    g = gateway(broker, zookeeperPeers=f"127.0.0.1:{broker.zookeeper.port}/{name}/x")
    zk.chroot = broker.chroot
    reply = g.tcp.consume(topic, name)
    assert reply.status == 503 and f"ZooKeeper does not let us use the chroot /{name}/x" in reply.error
    assert g.tcp.produce(topic, b"v", sync=True).status == 200


def test_each_server_may_go(gateway, broker, ensemble, topic, name, note):
    """The session moves to another server: the same member keeps its partitions."""
    g = gateway(broker, zookeeperPeers=f"{ensemble.peers}/chroot")
    await_zookeeper(g)
    from_start(g.tcp, topic, name)
    g.tcp.produce(topic, b"first", sync=True)
    next_message(g.tcp, topic, name, b"first", 15)
    members, slowest = g.tcp.consumers(topic, name).json, 0
    for n, server in enumerate(ensemble.servers):
        server.kill()
        elapsed = stopwatch()
        g.tcp.produce(topic, b"%d" % n, sync=True)
        next_message(g.tcp, topic, name, b"%d" % n, 30)
        shown = wait_for(lambda: (r := g.tcp.consumers(topic, name)).status == 200 and r.json, 30, "the consumers")
        slowest = max(slowest, elapsed())
        assert shown == members
        server.start()
    note(f"three ZooKeepers, each killed once: all worked again within {slowest:.1f} s, by the same session")

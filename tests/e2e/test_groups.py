"""Several gateways on one machine share a group through real ZooKeeper, as several hosts would."""

import json
import threading
import time
from collections import Counter

import pytest
from confluent_kafka.admin import NewPartitions

from procs import wait_for
from web import TEXT, Workers, messages, offsets

PARTITIONS = 10
SESSION = 15  # ZooKeeper declares a killed member dead after this
QUIET = 20  # a host without requests gives its partitions back after this
GRACE = 5
MESSAGES = 10_000
RATE = 200  # a second


@pytest.fixture
def topic(broker, name):
    return broker.create_topic(name, PARTITIONS)


def shares(broker, group, topic):
    """How many partitions each member owns, in the order of their ids; [] until all are owned."""
    owners = broker.owners(group, topic)
    if len(owners) < PARTITIONS:
        return []
    members = sorted(set(owners.values()))
    assert [owners[p] for p in range(PARTITIONS)] == sorted(owners.values()), "ranges in the order of ids"
    return [list(owners.values()).count(m) for m in members]


def await_shares(broker, group, topic, wanted, timeout):
    wait_for(lambda: settled(broker, group, topic) == wanted, timeout,
             f"partitions owned {wanted}, last seen {broker.owners(group, topic)}", every=0.1)


def settled(broker, group, topic):
    try:
        return shares(broker, group, topic)
    except AssertionError:
        return None  # on the way from one assignment to the next


def test_two_share_evenly_and_one_that_leaves_hands_over(gateway, client, broker, topic, name):
    a, b = gateway(broker), gateway(broker)
    client(a, topic, name)
    await_shares(broker, name, topic, [10], GRACE)
    leaving = client(b, topic, name)
    await_shares(broker, name, topic, [5, 5], GRACE)
    members = a.tcp.consumers(topic, name).json[name]
    assert sorted(members.values()) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    leaving.stop()
    b.stop()
    await_shares(broker, name, topic, [10], GRACE)
    assert len(broker.zk().get_children(f"/consumers/{name}/ids")) == 1


def test_offsets_of_a_group_on_another_host(gateway, client, broker, topic, name):
    a, b = gateway(broker), gateway(broker)
    client(a, topic, name)
    await_shares(broker, name, topic, [10], GRACE)
    (member,) = set(broker.owners(name, topic).values())
    rows = json.dumps([{"partition": 0, "offset": 0}]).encode()
    reply = b.tcp.post(offsets(topic), rows, {"group": name})
    assert reply.status == 409 and member in reply.error
    assert a.tcp.post(offsets(topic), rows, {"group": name}).status == 200


@pytest.mark.timeout(200)
def test_partitions_that_are_added(gateway, client, broker, name, note):
    """Two hosts share them, too, and the first message of each is seen."""
    topic = broker.create_topic(name, 4)
    clients = [client(gateway(broker), topic, name) for _ in range(2)]
    wait_for(lambda: sorted(Counter(broker.owners(name, topic).values()).values()) == [2, 2], GRACE * 2, "two each")
    broker.admin().create_partitions([NewPartitions(topic, 8)])[topic].result(30)
    began = time.monotonic()
    broker.await_leaders([(topic, 8)])
    for p in range(8):
        broker.produce_lines(topic, [f"{p}"], partition=p)
    wait_for(lambda: sorted(Counter(broker.owners(name, topic).values()).values()) == [4, 4], 90, "four each", every=0.2)
    took = time.monotonic() - began
    wait_for(lambda: {int(v) for c in clients for _, _, v in c.seen} == set(range(8)), 20, "all first messages")
    note(f"added partitions were shared after {took:.1f} s")


@pytest.mark.timeout(300)
def test_every_message_is_seen_across_a_quiet_host_and_a_killed_one(gateway, client, broker, topic, name, note):
    gateways = [gateway(broker) for _ in range(3)]
    a, b, c = gateways
    rows = json.dumps([{"partition": p, "offset": -2} for p in range(PARTITIONS)]).encode()
    assert a.tcp.post(offsets(topic), rows, {"group": name}).status == 200
    clients = [client(g, topic, name) for g in gateways]
    done = threading.Event()

    def produce(session, _, stop):
        """Paced, so that it lasts until the last change."""
        start = time.monotonic()
        for n in range(MESSAGES):
            if stop.wait(max(0, start + n / RATE - time.monotonic())):
                return
            reply = session.call("POST", messages(topic), None, b"%d" % n, TEXT)
            assert not isinstance(reply, Exception) and reply.status == 200, reply
        done.set()

    with Workers([a.tcp], produce) as producer:
        await_shares(broker, name, topic, [4, 3, 3], GRACE * 2)
        clients[1].stop()
        quiet = time.monotonic()
        await_shares(broker, name, topic, [5, 5], QUIET + GRACE)
        moved = time.monotonic() - quiet
        clients.append(client(b, topic, name))
        await_shares(broker, name, topic, [4, 3, 3], GRACE * 2)
        c.kill_all()
        killed = time.monotonic()
        clients[2].workers.stop.set()
        await_shares(broker, name, topic, [5, 5], SESSION + GRACE)
        taken = time.monotonic() - killed
        wait_for(lambda: done.is_set() or producer.errors, 150, "all are produced")

    def missing():
        return set(range(MESSAGES)) - {int(v) for cl in clients for _, _, v in cl.seen}
    wait_for(lambda: not missing(), 60, f"{MESSAGES} messages seen", every=0.5)
    for cl in clients[:2] + clients[3:]:
        cl.stop()
    seen = [(p, o) for cl in clients for p, o, _ in cl.seen]
    ends = {m.partition: m.offset + 1 for m in broker.read_all(topic)}
    assert {(p, o) for p, end in ends.items() for o in range(end)} == set(seen), "an offset was skipped"
    note(f"group of three: {MESSAGES} messages, {len(seen) - len(set(seen))} seen twice; quiet host's partitions "
         f"moved after {moved:.1f} s, killed host's after {taken:.1f} s")

"""Groups that the brokers manage, through the launcher, on Kafka 4.1.0 (KRaft) and 3.9.1: who gets what and who says
so, offsets, what is answered while nothing works, and what an idle group costs."""

import json
import re
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import NewPartitions

from contract import MEMBER, from_start
from gateway import stopwatch
from kafka import cache
from procs import rounds, wait_for
from web import Workers, messages, offsets

PARTITIONS = 10
QUIET = 20  # a host without requests gives its partitions back after this
SESSION = 6
SLACK = 3
FAST = [f"consumer.session.timeout.ms={SESSION * 1000}", f"consumer.max.poll.interval.ms={SESSION * 1000}",
        "consumer.topic.metadata.refresh.interval.ms=2000"]


@pytest.fixture(params=["kraft", "zookeeper"])
def broker(request):
    return request.getfixturevalue({"kraft": "kafka_kraft", "zookeeper": "kafka_zk"}[request.param])


@pytest.fixture
def kraft(kafka_kraft):
    return kafka_kraft


@pytest.fixture
def host(gateway):
    """Makes gateways that leave groups to the brokers."""
    return lambda broker, **options: gateway(broker, coordination="kafka", X=FAST, **options)


def await_shares(gateway, topic, group, wanted, timeout):
    wait_for(lambda: sorted(gateway.tcp.owners(topic, group).values()) == wanted, timeout,
             f"partitions {wanted}, last seen {gateway.tcp.owners(topic, group)}", every=0.1)


def set_offset(gateway, topic, group, partition, offset, **more):
    rows = [{"partition": partition, "offset": offset, **more}]
    return gateway.tcp.post(offsets(topic), json.dumps(rows).encode(), {"group": group})


def test_two_share_and_one_that_leaves_hands_over(host, client, broker, name, note):
    topic = broker.create_topic(name, PARTITIONS)
    a, b = host(broker), host(broker)
    client(a, topic, name)
    await_shares(a, topic, name, [list(range(10))], 10)
    assert re.fullmatch(r'\{\n  "%s": \{\n    "%s": \[0,1,2,3,4,5,6,7,8,9\]\n  \}\n\}' % (name, MEMBER),
                        a.tcp.consumers(topic, name).body.decode())
    leaving = client(b, topic, name)
    await_shares(a, topic, name, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], 10)
    assert a.tcp.consumers(topic).json == b.tcp.consumers(topic, name).json
    assert set(a.tcp.owners(topic, name)) == set(b.tcp.owners(topic, name)), "both say the same"
    members = set(a.tcp.owners(topic, name))
    leaving.stop()
    elapsed = stopwatch()
    b.stop()
    stopped = elapsed()
    await_shares(a, topic, name, [list(range(10))], 10)
    assert set(a.tcp.owners(topic, name)) < members
    note(f"two hosts on {broker.version}: one that left was gone after {stopped:.1f} s, its partitions were given "
         f"to the other {elapsed() - stopped:.1f} s later at most")


def test_who_does_not_take_part_is_not_known(host, broker, topic, name):
    a = host(broker)
    assert (a.tcp.consumers(topic).status, a.tcp.consumers(topic).body) == (200, b"{}")
    for t, group in [(topic, name), (f"{name}-unknown", name)]:
        if t in broker.topics() or not broker.creates_topics:
            reply = a.tcp.consumers(t, group)
            assert (reply.status, reply.error) == (400, "either group or topic is incorrect"), (t, reply)


def test_members_with_the_same_name_are_told_apart(host, broker, name):
    """Plain clients of Kafka in the same group, of which nobody named any."""
    topic = broker.create_topic(name, 4)
    a = host(broker)
    others = [Consumer({"bootstrap.servers": broker.peers, "group.id": name, "log_level": 0}) for _ in range(2)]
    for c in others:
        c.subscribe([topic])
    try:
        def settled():
            for c in others:
                c.poll(0.1)
            return sorted(a.tcp.owners(topic, name).values()) == [[0, 1], [2, 3]]
        wait_for(settled, 15, "two members")
        assert all(member.startswith("rdkafka-") for member in a.tcp.owners(topic, name))
        reply = set_offset(a, topic, name, 0, 0)
        assert reply.status == 409 and "rdkafka-" in reply.error
    finally:
        for c in others:
            c.close()
    assert wait_for(lambda: set_offset(a, topic, name, 0, 0).status == 200, 10, "nobody is left in the group")


@pytest.mark.parametrize("version, librdkafka", [("4.1.0", None), ("4.1.0", "2.16.0"), pytest.param(
    "4.4.0", None, marks=pytest.mark.long), pytest.param("4.4.0", "2.16.0", marks=pytest.mark.long)])
def test_members_of_the_new_protocol(request, gateway, name, version, librdkafka):
    """Members of group.protocol=consumer, which librdkafka sees from 2.10 on: before, that is said, and nobody is overwritten."""
    broker = request.getfixturevalue({"4.1.0": "kafka_kraft", "4.4.0": "kafka_44"}[version])
    topic, alone = broker.create_topic(name, 4), f"{name}-alone"
    a = gateway(broker, coordination="kafka", X=FAST, start=False)
    if librdkafka:
        if not (cache() / f"librdkafka-{librdkafka}").is_dir():
            pytest.skip(f"librdkafka {librdkafka} is not here: tests/setup.sh could not fetch it from PyPI")
        a.env["LD_LIBRARY_PATH"] = str(cache() / f"librdkafka-{librdkafka}")
    a.start()
    found = a.tcp.get("/_status", rules=False).json["librdkafka"]
    assert librdkafka in (None, found)
    sees = tuple(map(int, found.split("."))) >= (2, 10)
    a.tcp.join(topic, name)
    others = {group: Consumer({"bootstrap.servers": broker.peers, "group.id": group, "client.id": "new",
                               "group.protocol": "consumer", "log_level": 0}) for group in (name, alone)}
    shares = {name: 2, alone: 4}
    for c in others.values():
        c.subscribe([topic])

    def settled():
        a.tcp.consume(topic, name)
        for c in others.values():
            c.poll(0.1)
        return all(len(c.assignment()) == shares[group] for group, c in others.items())
    wait_for(settled, 30, "both have their share")
    try:
        for group, c in others.items():
            theirs = sorted(p.partition for p in c.assignment())
            ours = sorted({0, 1, 2, 3} - set(theirs))
            reply = a.tcp.consumers(topic, group)
            if sees:
                assert sorted(reply.json[group].values()) == sorted(filter(None, [ours, theirs])), reply
                assert reply.json[group]["new"] == theirs
            else:
                assert (reply.status, reply.error) == (501, "the group uses Kafka's new consumer protocol "
                                                       "(group.protocol=consumer), of which librdkafka sees the members "
                                                       f"from 2.10 on; this is {found}")
                assert a.tcp.consumers(topic).json == {}
            reply = set_offset(a, topic, group, 0, 0)
            assert reply.status == 409, reply
            assert reply.error == ("the group is being consumed by new; stop it first" if sees else
                                   "the group is being consumed by members of Kafka's new consumer protocol; stop them first")
    finally:
        for c in others.values():
            c.close()
    assert wait_for(lambda: (r := a.tcp.consumers(topic, alone)).status == 200 and r.json == {}, 10, "nobody is left in it")
    assert set_offset(a, topic, alone, 0, 0).status == 200
    a.tcp.consume(topic, name)
    await_shares(a, topic, name, [[0, 1, 2, 3]], 20)
    assert set_offset(a, topic, name, 0, 0).status == 200


def test_offsets_set_here_and_elsewhere(host, client, broker, topic, name):
    broker.produce_lines(topic, range(6), partition=1)
    a, b = host(broker), host(broker)
    assert set_offset(a, topic, name, 1, 4, metadata="kept").status == 200  # nobody is in the group
    assert a.tcp.consume(topic, name).message[:2] == (1, 4)
    (member,) = a.tcp.owners(topic, name)
    reply = set_offset(b, topic, name, 1, 0)
    assert reply.status == 409 and member in reply.error
    for offset in (1, 5, 0):
        assert set_offset(a, topic, name, 1, offset).status == 200
        assert a.tcp.consume(topic, name).message[:2] == (1, offset)
    assert set_offset(a, topic, name, 2, 0, metadata="kept").status == 200
    a.stop()
    assert set_offset(b, topic, name, 1, 2).status == 200
    row = b.tcp.offsets(topic, name)[2]
    assert (row["offset"], row.get("metadata")) == (0, "kept"), "set, and started again since"
    assert b.tcp.consume(topic, name).message[:2] == (1, 2)


def test_first_message_soon_after_the_first_request(host, broker, topic, name, note):
    a = host(broker)
    times = []
    for n in range(rounds(3, 20)):
        group = from_start(a.tcp, topic, f"{name}-{n}")
        broker.produce_lines(topic, ["x"], partition=n % 4)
        elapsed = stopwatch()
        assert a.tcp.consume(topic, group).status == 200
        times.append(elapsed())
    note(f"first consume of a group on {broker.version}: {min(times):.2f} to {max(times):.2f} s")
    assert max(times) < 1 + SLACK


def test_rate_of_one_client(host, kraft, name, note):
    topic, count = kraft.create_topic(name), rounds(5000, 50_000)
    a = host(kraft)
    from_start(a.tcp, topic, name)
    for p in range(4):
        kraft.produce_lines(topic, ["x" * 100] * (count // 4 + 10), partition=p)
    session = a.tcp.session()
    assert session.call("GET", messages(topic), {"group": name}).status == 200
    elapsed = stopwatch()
    for _ in range(count):
        assert session.call("GET", messages(topic), {"group": name}).status == 200
    rate = count / elapsed()
    session.close()
    note(f"one client, one connection (Python): {rate:.0f} messages/s")
    assert rate > 300  # 1,000 on a machine that has nothing else to do


def test_topic_that_does_not_exist_holds_up_no_other(host, kafka_zk, name):
    topic = kafka_zk.create_topic(name)
    a = host(kafka_zk)
    a.tcp.join(topic, name)
    reply = a.tcp.consume(f"{name}-unknown", name)
    assert (reply.status, reply.error) == (404, "Unknown topic")
    kafka_zk.produce_lines(topic, ["x"])
    assert a.tcp.consume(topic, name).status == 200


def test_many_topics_of_one_group(host, kraft, name):
    """Each new one is a rebalance of all; those who wait get what there is."""
    topics = [kraft.create_topic(f"{name}-{n}", 2) for n in range(rounds(5, 20))]
    a = host(kraft, initialOffset="oldest")
    for t in topics:
        kraft.produce_lines(t, ["x"] * 4)
    found = []

    def work(session, number, stop):
        deadline, seen = time.monotonic() + 40, 0
        while seen < 4 and time.monotonic() < deadline:
            reply = session.call("GET", messages(topics[number]), {"group": name})
            if reply.status == 200:
                seen += 1
                found.append((number, *reply.message[:2]))
            else:
                stop.wait(0.05)
    Workers([a.tcp] * len(topics), work).join(60)
    assert len(found) == len(set(found)) == 4 * len(topics), "an orderly rebalance repeats nothing"


def test_partitions_that_come_are_noticed(host, client, kraft, name):
    """What is in them from before they were noticed is not skipped."""
    topic = kraft.create_topic(name, 2)
    a = host(kraft)
    a.tcp.join(topic, name)
    seen = client(a, topic, name).seen
    kraft.admin().create_partitions([NewPartitions(topic, 4)])[topic].result(15)
    wait_for(lambda: len(kraft.admin().list_topics(topic, timeout=5).topics[topic].partitions) == 4, 10, "4 partitions")
    for p in range(4):
        kraft.produce_lines(topic, ["x"] * 5, partition=p)
    wait_for(lambda: {(p, o) for p, o, _ in seen} == {(p, o) for p in range(4) for o in range(5)}, 30,
             f"all of four partitions: {seen}")


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


@pytest.mark.long
def test_nobody_asks_for_a_while(host, kraft, name, note):
    """The group stays joined, and reads no more than its share ahead; after 20 s it is left."""
    topic = kraft.create_topic(name, 4)
    a = host(kraft)
    a.tcp.join(topic, name)
    before, elapsed = rss(a.helper()), stopwatch()
    for p in range(4):
        kraft.produce_lines(topic, ["x" * 500] * 25_000, partition=p)
    wait_for(lambda: elapsed() > SESSION + 4, 30, "longer than the longest pause between two polls")
    assert a.tcp.owners(topic, name), "still a member"
    assert "membership revoked" not in a.proc.output()
    grown = rss(a.helper()) - before
    note(f"50 MB that nobody asks for: {grown / 1024:.1f} MiB more memory")
    assert grown < 24 * 1024
    wait_for(lambda: "topic left" in a.proc.output(), QUIET + SLACK, "the topic is left", every=0.01)
    assert QUIET - 3 < elapsed() < QUIET + SLACK + 3
    assert a.tcp.consume(topic, name).message[1] == 0, "also while the group is being left"
    assert a.tcp.owners(topic, name)


@pytest.mark.long
def test_without_a_broker(host, gateway, name, note):
    """What is answered while nothing works says why; afterwards it works again by itself."""
    from kafka import KafkaKraft
    broker = KafkaKraft()
    broker.start()
    try:
        topic = broker.create_topic(name)
        a = host(broker)
        a.tcp.join(topic, name)
        broker.stop()
        causes = set()

        def fails():
            reply = a.tcp.consume(topic, name)
            causes.add((reply.status, reply.error))
            return reply.status == 503
        wait_for(fails, 30, "503")
        assert all("reached" in e or "not joined" in e or "rebalancing" in e for s, e in causes if s == 503), causes
        assert a.tcp.consumers(topic, name).status == 503
        broker.start()
        elapsed = stopwatch()
        broker.produce_lines(topic, ["x"], partition=1)
        wait_for(lambda: a.tcp.consume(topic, name).status == 200, 30, "messages again")
        note(f"without a broker: {sorted(causes)}; messages again {elapsed():.1f} s after it")
        wait_for(lambda: broker.committed(name, topic, 2)[1] == 1, 10, "it is committed, so that nothing has to wait")
    finally:
        broker.end()


def cost(pid):
    """(threads, descriptors, KiB) of a process."""
    return (len(list(Path(f"/proc/{pid}/task").iterdir())), len(list(Path(f"/proc/{pid}/fd").iterdir())), rss(pid))


@pytest.mark.parametrize("coordination", ["kafka", pytest.param("zookeeper", marks=pytest.mark.long)])
def test_what_an_idle_group_costs(gateway, kafka_zk, name, note, coordination):
    topic, count = kafka_zk.create_topic(name), rounds(10, 200)
    a = gateway(kafka_zk, coordination=coordination)
    a.tcp.join(topic, f"{name}-first")
    before = cost(a.helper())
    threads = [threading.Thread(target=a.tcp.session().call, args=("GET", messages(topic), {"group": f"{name}-{n}"}))
               for n in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    after = cost(a.helper())
    stat = Path(f"/proc/{a.helper()}/stat").read_text
    ticks, elapsed = sum(map(int, stat().split()[13:15])), stopwatch()
    time.sleep(5)  # what is measured is a group that does nothing
    cpu = (sum(map(int, stat().split()[13:15])) - ticks) / elapsed() / count
    each = [(b - a) / count for a, b in zip(before, after)]
    note(f"an idle group of {count}, {coordination}: {each[0]:.1f} threads, {each[1]:.1f} descriptors, {each[2]:.0f} KiB, "
         f"{cpu:.2f} % of a core")
    assert each[2] < 4096


@pytest.mark.long
@pytest.mark.timeout(600)
def test_coordinators_that_move(gateway, client, name, note):
    """Three brokers, of which each is killed once: who coordinates the group, and who leads its partitions, changes."""
    from cluster import KraftCluster
    cluster = KraftCluster()
    cluster.start()
    try:
        topic = cluster.create_topic(name, 6)
        a, b = (gateway(cluster, coordination="kafka", X=FAST, initialOffset="oldest") for _ in range(2))
        seen, pids, asked, sent = [client(g, topic, name).seen for g in (a, b)], (a.helper(), b.helper()), [0, 0], 0
        for node in cluster.nodes:
            node.kill()
            elapsed = stopwatch()
            while elapsed() < 10:
                cluster.kcat("-P", "-t", topic, "-X", "acks=all", stdin=b"x\n" * 20, check=False)
                sent += 20
                for g in (a, b):
                    asked[g.tcp.consumers(topic, name).status == 200] += 1
                    assert g.tcp.consumers(topic).status in (200, 503), "asks all brokers, of which one is not there"
            node.start()
            cluster.await_whole(topic)

        def missing():
            had = {(p, o) for s in seen for p, o, _ in s}
            return {(m.partition, m.offset) for m in cluster.read_all(topic)} - had
        wait_for(lambda: not missing(), 60, "all are seen", every=1)
        assert (a.helper(), b.helper()) == pids, "no helper has died"
        total = sum(map(len, seen))
        assert asked[1] > 0
        note(f"each of three brokers killed: {sent} sent, {total} seen; consumers asked {sum(asked)} times, {asked[1]} "
             "answers")
    finally:
        cluster.end()

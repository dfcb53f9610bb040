"""Groups divided through a real ZooKeeper, without Kafka: zkdrive takes part and prints what it is told."""

import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

from gateway import HELPER, TREE, Sanitizers, binary
from kafka import Zookeeper
from procs import Proc, new_folder, rounds, wait_for

SESSION_TIMEOUT = 15
# A server that is just starting may take a connection and never answer on it; a client waits for ten seconds.
RECONNECT = 25
LSAN_OPTIONS = f"suppressions={TREE}/tests/lsan.supp:print_suppressions=0"
TOPIC = "t"
PARTITIONS = 10

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def zookeeper():
    server = Zookeeper()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def zk(zookeeper):
    client = KazooClient(f"127.0.0.1:{zookeeper.port}")
    client.start(30)
    yield client
    client.stop()
    client.close()


class Member:
    """One zkdrive. `held` is what it thinks it has, from the lines it has printed."""

    def __init__(self, servers, group, *topics, name=None):
        # Numbered, so that the order of ids is the order of joining.
        self.id = name or f"m{next(_numbers):05d}"
        self.group = group
        self.folder = new_folder("zkdrive")
        self.sanitizers = Sanitizers(self.folder)
        argv = [binary("zkdrive"), servers, group, self.id, *(topics or [f"{TOPIC}:{PARTITIONS}"])]
        env = {**self.sanitizers.env, "LSAN_OPTIONS": LSAN_OPTIONS}
        self.proc = Proc("zkdrive", argv, self.folder, env=env, stdin=subprocess.PIPE)

    def tell(self, line):
        self.proc.popen.stdin.write(f"{line}\n".encode())
        self.proc.popen.stdin.flush()

    def lines(self, pattern):
        return re.findall(rf"^{pattern}$", self.proc.output(), re.M)

    def ask(self, line):
        """The answer of zkdrive, which begins with the question's first word."""
        what = line.split()[0]
        before = len(self.lines(f"{what} .*"))
        self.tell(line)
        return wait_for(lambda: self.lines(f"{what} (.*)")[before:], 10, f"an answer to {line}")[0]

    def held(self, topic=TOPIC):
        found = set()
        for what, partition in self.lines(rf"(claimed|revoke|lost) {topic} (\d+)"):
            if what == "claimed":
                assert int(partition) not in found, f"{topic} {partition} claimed twice"
                found.add(int(partition))
            else:
                found.discard(int(partition))
        return sorted(found)

    def settled(self):
        return self.ask(f"trouble {TOPIC}") == "none"

    def quit(self, within=5):
        self.proc.signal(signal.SIGTERM)
        assert self.proc.wait(within) == 0
        assert self.lines("end")

    def kill(self):
        self.proc.signal(signal.SIGKILL)
        self.proc.wait(5)

    def end(self):
        if self.proc.running():
            self.quit(12)
        self.sanitizers.check([self.proc.log])


@pytest.fixture
def join(zookeeper, name):
    made = []

    def make(*topics, servers=None, group=name, **more):
        made.append(Member(servers or f"127.0.0.1:{zookeeper.port}", group, *topics, **more))
        return made[-1]
    yield make
    for member in made:
        member.end()


def owners(zk, group, topic=TOPIC, top=""):
    """{member id: partitions} by the owner nodes."""
    base, found = f"{top}/consumers/{group}/owners/{topic}", {}
    try:
        for p in sorted(map(int, zk.get_children(base))):
            found.setdefault(zk.get(f"{base}/{p}")[0].decode(), []).append(p)
    except NoNodeError:
        return {}
    return found


def expect(zk, members, shares, within, group=None, top=""):
    """Members hold contiguous slices of these sizes, in order, and ZooKeeper says the same. Returns the seconds."""
    group = group or members[0].group
    starts = [sum(shares[:i]) for i in range(len(shares))]
    want = [list(range(s, s + n)) for s, n in zip(starts, shares)]
    began = time.monotonic()

    def as_wanted():
        ids = owners(zk, group, top=top)
        return ([m.held() for m in members] == want
                and sorted(ids.values()) == sorted(w for w in want if w))
    try:
        wait_for(as_wanted, within, f"slices {want}", every=0.01)
    except AssertionError:
        print([m.held() for m in members], owners(zk, group, top=top))
        raise
    took = time.monotonic() - began
    print(f"slices {shares} after {took:.2f} s")
    return took


def registration(zk, member, top=""):
    """The path of the member's registration, whatever its id has become; None when there is none."""
    base = f"{top}/consumers/{member.group}/ids"
    try:
        return next((f"{base}/{c}" for c in zk.get_children(base) if c.split(".")[0] == member.id), None)
    except NoNodeError:
        return None


def delete_tree(zk, top):
    """All of it at once: one by one, members would be faster to make it again."""
    def below(path):
        return [path] + [p for c in zk.get_children(path) for p in below(f"{path}/{c}")]

    def deleted():
        try:
            paths = below(top)
        except NoNodeError:
            return False
        change = zk.transaction()
        for path in reversed(paths):
            change.delete(path)
        return all(result is True for result in change.commit())
    wait_for(deleted, 5, f"{top} is deleted")


def password(session):
    """The server makes it from the id, so anybody can end anybody's session: Java's Random, 16 bytes."""
    seed = (session ^ 0xB3415C00 ^ 0x5DEECE66D) & ((1 << 48) - 1)
    out = b""
    while len(out) < 16:
        seed = (seed * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        out += ((seed >> 16) & 0xFFFFFFFF).to_bytes(4, "little")
    return out


def all_stopped(pid):
    states = [t.read_text().rpartition(")")[2].split()[0] for t in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) == {"T"}


def expire(zookeeper, zk, member):
    """Ends the member's session on the server, as if its time had run out while it was stopped."""
    session = zk.get(registration(zk, member))[1].ephemeralOwner
    connect = struct.pack(">iqiqi16s?", 0, 0, 15000, session, 16, password(session), False)
    close = struct.pack(">ii", 1, -11)
    # Awake, it would be back within a millisecond and take its session back.
    member.proc.signal(signal.SIGSTOP)
    wait_for(lambda: all_stopped(member.proc.pid), 5, "all its threads stand still", every=0.001)
    with socket.create_connection(("127.0.0.1", zookeeper.port)) as s:
        s.sendall(b"".join(struct.pack(">i", len(m)) + m for m in (connect, close)))
        while s.recv(4096):
            pass
    wait_for(lambda: not registration(zk, member), 5, "its nodes are gone")
    member.proc.signal(signal.SIGCONT)


def test_one_two_three_members(zk, join):
    a = join()
    expect(zk, [a], [10], 3)
    b = join()
    expect(zk, [a, b], [5, 5], 3)
    c = join()
    expect(zk, [a, b, c], [4, 3, 3], 3)
    assert all(wait_for(m.settled, 3, "settled") for m in (a, b, c))


def test_registration_is_that_of_kafka_pixy(zk, join):
    a = join("foo:2", "bar:3")
    wait_for(lambda: a.held("foo") == [0, 1] and a.held("bar") == [0, 1, 2], 3, "both topics")
    data, stat = zk.get(registration(zk, a))
    assert re.fullmatch(rb'{"pattern":"static","subscription":{"bar":1,"foo":1},"timestamp":\d{10},"version":1}', data)
    assert stat.ephemeralOwner != 0
    data, stat = zk.get(f"/consumers/{a.group}/owners/bar/2")
    assert data.decode() == a.id and stat.ephemeralOwner != 0


def test_leave_in_order(zk, join):
    a, b, c = join(), join(), join()
    expect(zk, [a, b, c], [4, 3, 3], 5)
    a.quit()
    assert expect(zk, [b, c], [5, 5], 2) < 1.5
    c.quit()
    assert expect(zk, [b], [10], 2) < 1.5
    b.quit()
    assert not zk.exists(f"/consumers/{b.group}")


def test_leaves_what_is_not_its_own(zk, join):
    a = join()
    expect(zk, [a], [10], 3)
    zk.ensure_path(f"/consumers/{a.group}/offsets/{TOPIC}/0")
    a.quit()
    assert zk.get_children(f"/consumers/{a.group}") == ["offsets"]


def test_killed_member_is_replaced(zk, join):
    a, b = join(), join()
    expect(zk, [a, b], [5, 5], 5)
    a.kill()
    took = expect(zk, [b], [10], SESSION_TIMEOUT + 5)
    assert took <= SESSION_TIMEOUT + 5


def test_topics_come_and_go(zk, join):
    a, b = join("x:4"), join("x:4", "y:2")
    wait_for(lambda: a.held("x") == [0, 1] and b.held("x") == [2, 3] and b.held("y") == [0, 1], 5, "divided")
    a.tell("subscribe y 2")
    wait_for(lambda: a.held("y") == [0] and b.held("y") == [1], 5, "y divided")
    b.tell("unsubscribe x")
    wait_for(lambda: a.held("x") == [0, 1, 2, 3] and b.held("x") == [], 5, "x has one member")
    a.tell("subscribe x 6")
    wait_for(lambda: a.held("x") == [0, 1, 2, 3, 4, 5], 5, "x has grown")
    for topic in "xy":
        a.tell(f"unsubscribe {topic}")
    b.tell("unsubscribe y")
    wait_for(lambda: not zk.exists(f"/consumers/{a.group}"), 5, "nothing is left")
    b.tell("subscribe y 2")
    wait_for(lambda: b.held("y") == [0, 1], 5, "it starts again")


def test_nothing_is_taken_before_it_is_released(zk, join):
    a = join()
    expect(zk, [a], [10], 3)
    a.tell("hold")
    b = join()
    wait_for(lambda: len(a.lines("revoke .*")) == 5, 3, "five are asked for")
    time.sleep(1.2)
    assert b.held() == [] and len(owners(zk, a.group)[a.id]) == 10
    assert "not been released" in b.ask(f"trouble {TOPIC}")
    a.tell("release")
    expect(zk, [a, b], [5, 5], 1)


@pytest.mark.timeout(rounds(180, 3000))
def test_expired_session_is_replaced(zookeeper, zk, join):
    a, b = join(), join()
    expect(zk, [a, b], [5, 5], 5)
    last = rounds(3, 200)
    for number in range(1, last + 1):
        expire(zookeeper, zk, a)
        began = time.monotonic()
        wait_for(lambda: (registration(zk, a) or "").endswith(f".{number}"), 5, "registered again", every=0.01)
        took = time.monotonic() - began
        print(f"registered again after {took:.2f} s")
        assert took < 2
        assert len(a.lines(f"lost {TOPIC} .*")) >= 5 * number
        expect(zk, [a, b], [5, 5], 5)
        ours = zk.get(registration(zk, a))[1].ephemeralOwner
        for p in range(5):
            assert zk.get(f"/consumers/{a.group}/owners/{TOPIC}/{p}")[1].ephemeralOwner == ours
    assert sorted(owners(zk, a.group)) == sorted([f"{a.id}.{last}", b.id])


@pytest.mark.timeout(rounds(180, 3000))
def test_parents_deleted_under_it(zk, join):
    a, b = join(), join()
    expect(zk, [a, b], [5, 5], 5)
    for _ in range(rounds(5, 1000)):
        delete_tree(zk, f"/consumers/{a.group}")
        wait_for(lambda: registration(zk, a) and registration(zk, b), 5, "both are registered again")
        expect(zk, [a, b], [5, 5], 5)


def test_registration_deleted_under_it(zk, join):
    a = join()
    expect(zk, [a], [10], 3)
    old = zk.get(registration(zk, a))[1].czxid
    zk.delete(registration(zk, a))
    wait_for(lambda: registration(zk, a) and zk.get(registration(zk, a))[1].czxid > old, 3, "registered again")
    expect(zk, [a], [10], 3)


def test_claim_deleted_under_it(zk, join):
    a = join()
    expect(zk, [a], [10], 3)
    zk.delete(f"/consumers/{a.group}/owners/{TOPIC}/3")
    wait_for(lambda: a.lines(f"lost {TOPIC} 3"), 3, "it notices")
    expect(zk, [a], [10], 3)


def test_members_that_write_nonsense(zk, join, name):
    a = join()
    expect(zk, [a], [10], 3)
    for i, data in enumerate([b"", b"null", b"[" * 100000, b'{"subscription":{"t":99999999999999999999}}',
                              b'{"subscription":{"t":0}}', b'{"subscription":7}', b"\xff\xfe"]):
        zk.create(f"/consumers/{name}/ids/a{i}", data, ephemeral=True)
    time.sleep(1)
    expect(zk, [a], [10], 3)
    zk.create(f"/consumers/{name}/ids/a9", b'{"subscription":{"t":1},"version":1}', ephemeral=True)
    wait_for(lambda: a.held() == [5, 6, 7, 8, 9], 3, "a good one counts")
    zk.set(f"/consumers/{name}/ids/a9", b'{"subscription":{}}')
    wait_for(lambda: a.held() == list(range(10)), 3, "a change in place is noticed")


def test_members_that_write_hostile_things(zk, join, name):
    """What makes no sense takes part in nothing; what does counts, whatever else it says."""
    def says(count, **more):
        return json.dumps({"subscription": {TOPIC: count}, **more}).encode()

    a = join(name="mm")
    expect(zk, [a], [10], 3)
    bad = [says(0), says(-1), says(1 << 31), says(1 << 63), says(1.5), says("1"), says(None), says([1]), says(1001),
           says(1)[:-1], b"[" + says(1) + b"]", json.dumps({"subscription": [TOPIC]}).encode(),
           b'{"subscription":{"t' + b"x" * 900_000 + b'":1}}', b'{"a":' * 50_000, b"\0" * 1000, "{“}".encode()]
    for i, data in enumerate(bad):
        zk.create(f"/consumers/{name}/ids/a{i}", data, ephemeral=True)
    zk.create(f"/consumers/{name}/ids/b-é-漢字-\u202e", says(0), ephemeral=True)
    zk.create(f"/consumers/{name}/ids/b" + "x" * 400, says(0), ephemeral=True)
    zk.ensure_path(f"/consumers/{name}/ids/c/below/it")
    time.sleep(1)  # nothing is to happen
    expect(zk, [a], [10], 3)
    good = [says(1, timestamp=1e300), says(1, timestamp=None, version="x"), says(1, unknown={"deep": [1]})]
    for i, data in enumerate(good):
        zk.create(f"/consumers/{name}/ids/é{i}", data, ephemeral=True)  # behind us: é is above all of ASCII
    wait_for(lambda: a.held() == [0, 1, 2], 3, "three more members")
    for i in range(len(good)):
        zk.delete(f"/consumers/{name}/ids/é{i}")
    expect(zk, [a], [10], 3)
    for pattern in ("white_list", "black_list"):
        zk.create(f"/consumers/{name}/ids/zz", json.dumps(
            {"pattern": pattern, "subscription": {"(((": 1}, "timestamp": "1443133276000"}).encode(), ephemeral=True)
        wait_for(lambda: a.held() == [0, 1, 2, 3, 4], 3, "a pattern counts as a subscriber")
        zk.delete(f"/consumers/{name}/ids/zz")
        expect(zk, [a], [10], 3)


def test_a_java_member_counts_by_threads(zk, join, name):
    """And gets what is its own before it gives up, which is 6 s after it has come."""
    a, b = join(name="m1"), join(name="m2")
    expect(zk, [a, b], [5, 5], 5)
    java = f"{name}_host-1443133276000-0badcafe"  # before m1
    java = f"a{java}"
    began = time.monotonic()
    zk.create(f"/consumers/{name}/ids/{java}", json.dumps(
        {"version": 1, "subscription": {TOPIC: 3}, "pattern": "static", "timestamp": "1443133276000"}).encode(),
        ephemeral=True)
    # Five takers: three threads, then m1, m2.
    wait_for(lambda: (a.held(), b.held()) == ([6, 7], [8, 9]), 5, "room for three threads", every=0.01)
    for p in range(6):
        wait_for(lambda p=p: not zk.exists(f"/consumers/{name}/owners/{TOPIC}/{p}"), 2, "released", every=0.01)
        zk.create(f"/consumers/{name}/owners/{TOPIC}/{p}", f"{java}-{p // 2}".encode(), ephemeral=True)
    took = time.monotonic() - began
    print(f"given up after {took:.2f} s")
    assert took < 3
    assert a.settled() and b.settled()
    for p in range(6):
        zk.delete(f"/consumers/{name}/owners/{TOPIC}/{p}")
    zk.delete(f"/consumers/{name}/ids/{java}")
    expect(zk, [a, b], [5, 5], 5)


def test_standing_still_for_a_moment(zk, join):
    """Longer than a third of the session's time: nothing that was held is trusted, until it was looked at."""
    a = join()
    expect(zk, [a], [10], 3)
    session = zk.get(registration(zk, a))[1].ephemeralOwner
    a.proc.signal(signal.SIGSTOP)
    time.sleep(SESSION_TIMEOUT / 3 + 1.5)
    assert len(owners(zk, a.group)[a.id]) == 10, "its session goes on"
    a.proc.signal(signal.SIGCONT)
    wait_for(lambda: len(a.lines(f"lost {TOPIC} .*")) == 10, 2, "it trusts nothing", every=0.01)
    expect(zk, [a], [10], 5)
    assert zk.get(registration(zk, a))[1].ephemeralOwner == session


def test_standing_still_for_longer_than_the_session(zk, join):
    a, b = join(), join()
    expect(zk, [a, b], [5, 5], 5)
    a.tell("hold")  # what it would answer to a revoke, it must not be asked
    a.proc.signal(signal.SIGSTOP)
    try:
        wait_for(lambda: b.held() == list(range(10)), SESSION_TIMEOUT + 5, "the other one has all")
    finally:
        a.proc.signal(signal.SIGCONT)
    wait_for(lambda: len(a.lines(f"lost {TOPIC} .*")) == 5 and a.held() == [], 3, "it has lost its own", every=0.01)
    expect(zk, [a, b], [5, 5], 10)
    assert registration(zk, a).endswith(".1") and not a.lines("revoke .*")


def test_server_that_says_nothing(zookeeper, zk, join):
    """Claims are given up when 2/3 of the session's time are over, before the server lets others have them."""
    a = join()
    expect(zk, [a], [10], 3)
    zookeeper.pause()
    began = time.monotonic()
    try:
        wait_for(lambda: a.held() == [], SESSION_TIMEOUT, "it no longer trusts its claims", every=0.01)
        took = time.monotonic() - began
    finally:
        zookeeper.resume()
    print(f"given up after {took:.2f} s")
    assert SESSION_TIMEOUT / 3 - 1 < took < SESSION_TIMEOUT * 2 / 3 + 1
    wait_for(lambda: zk.connected, 30, "we are connected ourselves")
    expect(zk, [a], [10], SESSION_TIMEOUT + RECONNECT)


def test_a_strangers_claim_is_waited_for(zk, join, name):
    path = f"/consumers/{name}/owners/{TOPIC}/0"
    zk.create(path, b"stranger", ephemeral=True, makepath=True)
    a = join()
    wait_for(lambda: a.held() == list(range(1, 10)), 3, "all others")
    began = time.monotonic()
    zk.delete(path)
    wait_for(lambda: 0 in a.held(), 3, "that one too", every=0.01)
    assert time.monotonic() - began < 0.5


def test_own_id_of_another_session_is_not_ours(zk, join, name):
    """What a process before us has left: it says our id, and is about to vanish."""
    zk.create(f"/consumers/{name}/owners/{TOPIC}/0", b"m-old", ephemeral=True, makepath=True)
    a = join(name="m-old")
    expect(zk, [a], [10], 3)
    own = zk.get(f"/consumers/{name}/owners/{TOPIC}/0")[1].ephemeralOwner
    assert own == zk.get(registration(zk, a))[1].ephemeralOwner


def test_id_in_use_by_another_session(zk, join, name):
    zk.create(f"/consumers/{name}/ids/m-same", b"{}", ephemeral=True, makepath=True)
    a = join(name="m-same")
    wait_for(lambda: a.held() == list(range(10)), 3, "it takes part")
    assert sorted(zk.get_children(f"/consumers/{name}/ids")) == ["m-same", "m-same_1"]


def test_consumers(zk, join, name):
    a, b = join(), join()
    expect(zk, [a, b], [5, 5], 5)
    assert a.ask(f"consumers {TOPIC} {name}") == f"ok {name}/{a.id}=0,1,2,3,4 {name}/{b.id}=5,6,7,8,9"
    assert f" {name}/{a.id}=0,1,2,3,4 {name}/{b.id}=5,6,7,8,9" in a.ask(f"consumers {TOPIC}")
    assert a.ask("consumers unknown") == "ok"
    assert a.ask(f"consumers unknown {name}") == "either group or topic is incorrect"
    assert a.ask(f"consumers {TOPIC} unknown") == "either group or topic is incorrect"
    zk.create(f"/consumers/{name}/owners/{TOPIC}/x", b"?")
    zk.create(f"/consumers/{name}/owners/{TOPIC}/007", b"bond")
    zk.create(f"/consumers/{name}/owners/empty", b"")
    assert a.ask(f"consumers {TOPIC} {name}") == f"ok {name}/{a.id}=0,1,2,3,4 {name}/{b.id}=5,6,7,8,9"
    assert a.ask(f"consumers empty {name}") == "ok"


def test_chroot_that_does_not_exist(zookeeper, zk, join, name):
    top = f"/{name}/some/chroot"
    a = join(servers=f"127.0.0.1:{zookeeper.port}{top}", group="g")
    expect(zk, [a], [10], 3, top=top)
    delete_tree(zk, f"/{name}")
    wait_for(lambda: registration(zk, a, top), 5, "the chroot is made again")
    expect(zk, [a], [10], 5, top=top)
    a.quit()
    assert zk.get_children(f"{top}/consumers") == []


def test_stop_and_start_of_the_server(zookeeper, zk, join):
    a, b = join(), join()
    expect(zk, [a, b], [5, 5], 5)
    zookeeper.kill()
    wait_for(lambda: "no connection to ZooKeeper" in a.ask(f"trouble {TOPIC}"), 3, "it knows")
    assert "no connection to ZooKeeper" in a.ask(f"consumers {TOPIC}")
    zookeeper.start()
    wait_for(lambda: zk.connected, 30, "we are connected ourselves")
    expect(zk, [a, b], [5, 5], RECONNECT)
    wait_for(lambda: a.settled() and b.settled(), RECONNECT, "settled")
    for m in (a, b):
        long = m.lines(".* zk no connection .*")
        assert long or not m.lines("lost .*"), "the same session, soon: what was held is held"


def test_long_absence_of_the_server(zookeeper, zk, join):
    a = join()
    expect(zk, [a], [10], 3)
    zookeeper.kill()
    wait_for(lambda: a.held() == [], 10, "it no longer trusts its claims")
    a.tell(f"unsubscribe {TOPIC}")
    zookeeper.start()
    wait_for(lambda: zk.connected, 30, "we are connected ourselves")
    wait_for(lambda: not zk.exists(f"/consumers/{a.group}"), RECONNECT, "claims and registration are taken back")
    a.tell(f"subscribe {TOPIC} {PARTITIONS}")
    expect(zk, [a], [10], 5)


def test_groups_that_come_and_go_leave_nothing_behind(zookeeper, zk, join, name):
    """Neither here nor in ZooKeeper, although a member stays that they read, and owners that they wait for."""
    groups, times = 40, rounds(25, 250)
    a = join()
    there = json.dumps({"pattern": "static", "subscription": {TOPIC: 1}, "timestamp": 1, "version": 1}).encode()
    for n in range(groups):
        base = f"/consumers/{name}-{n}"
        zk.create(f"{base}/ids/zz", there, ephemeral=True, makepath=True)
        zk.create(f"{base}/owners/{TOPIC}/{n % 2}", b"zz", ephemeral=True, makepath=True)

    def watches():
        return int(re.search(r"Total watches:(\d+)", zookeeper.four_letters("wchs"))[1])

    def run(times):
        before = len(a.lines("rounds .*"))
        a.tell(f"rounds {groups} {times}")
        return int(wait_for(lambda: a.lines(r"rounds (\d+)")[before:], 2 * times + 20, "the rounds are over")[0])
    size, seen = run(3), watches()
    grown = run(times) - size
    print(f"{groups * times} rounds: {grown} bytes more, watches {seen} -> {watches()}")
    assert grown < 32 * 1024
    assert watches() <= seen


def test_questions_about_all_groups_are_behind_claims(zookeeper, zk, join, name):
    """However many groups there are: a topic that is subscribed while they are answered is not held up."""
    a, n = join(), 1500
    made = [zk.create_async(f"/consumers/{name}-{i}/owners/q/0", b"somebody", ephemeral=True, makepath=True) for i in range(n)]
    for m in made:
        m.get(30)
    began, questions = time.monotonic(), 12
    for _ in range(questions):
        a.tell("consumers q")
    a.tell("subscribe fresh 10")
    wait_for(lambda: a.held("fresh") == list(range(10)), 10, "it is claimed")
    claimed, answered = time.monotonic() - began, len(a.lines("consumers .*"))
    wait_for(lambda: len(a.lines("consumers .*")) == questions, 10, "all are answered")
    print(f"claimed after {claimed:.2f} s, with {answered} of {questions} answered, all after {time.monotonic() - began:.2f} s")
    assert answered < questions
    for line in a.lines("consumers (.*)"):
        assert line == "ZooKeeper did not answer in time" or line.count("/somebody=0") == n
    assert a.lines("consumers ok.*")


def test_quit_without_a_server(zookeeper, zk, join):
    a = join()
    expect(zk, [a], [10], 3)
    zookeeper.kill()
    wait_for(lambda: "no connection" in a.ask(f"trouble {TOPIC}"), 3, "it knows")
    began = time.monotonic()
    a.quit(10)
    print(f"ended after {time.monotonic() - began:.2f} s")
    zookeeper.start()
    wait_for(lambda: zk.connected, 30, "we are connected ourselves")
    wait_for(lambda: not zk.get_children(f"/consumers/{a.group}/ids"), SESSION_TIMEOUT + RECONNECT, "the session has ended")


@pytest.mark.long
def test_server_that_hangs(zookeeper, zk, join):
    a, b = join(), join()
    expect(zk, [a, b], [5, 5], 5)
    zookeeper.pause()
    try:
        began = time.monotonic()
        assert a.ask(f"consumers {TOPIC}") == "ZooKeeper did not answer in time"
        assert 2.5 < time.monotonic() - began < 4
        began = time.monotonic()
        a.quit(11)
        print(f"ended after {time.monotonic() - began:.2f} s")
    finally:
        zookeeper.resume()
    expect(zk, [b], [10], SESSION_TIMEOUT + RECONNECT)


def test_server_absent_at_the_start(join):
    server = Zookeeper()
    a = join(servers=f"127.0.0.1:{server.port}/late")
    wait_for(lambda: "no connection to ZooKeeper" in a.ask(f"trouble {TOPIC}"), 3, "it says so")
    time.sleep(1)
    server.start()
    wait_for(lambda: a.held() == list(range(10)), RECONNECT, "it works once the server is there")
    a.quit()
    server.stop()


def test_helper_that_cannot_start_ends_in_order(zookeeper):
    """Its socket is made last: then ZooKeeper's threads are at work already, and post what they hear. ASan looks."""
    folder = new_folder("helper")
    sanitizers = Sanitizers(folder)
    for n in range(rounds(5, 50)):
        run = subprocess.run([binary(HELPER), "--kafkaPeers", "127.0.0.1:1", "--store", folder / "store" / "store.db", "--socket",
                              folder / "nowhere" / "h.sock", "--zookeeperPeers", f"127.0.0.1:{zookeeper.port}"],
                             capture_output=True, text=True, timeout=20, env={**os.environ, **sanitizers.env})
        assert run.returncode == 1 and "nowhere/h.sock" in run.stderr, run
    sanitizers.check([])


@pytest.mark.parametrize("servers", ["", "/chroot", "127.0.0.1:1//a", "127.0.0.1:one/a"])
def test_servers_that_cannot_be_read(servers):
    run = subprocess.run([binary("zkdrive"), servers, "g", "m"], capture_output=True, timeout=10)
    assert run.returncode == 1


def test_host_that_cannot_be_resolved(join):
    a = join(servers="no-such-host.invalid:2181")
    wait_for(lambda: "no connection to ZooKeeper at no-such-host.invalid:2181" in a.ask(f"trouble {TOPIC}"), 3, "it says so")
    a.quit(12)

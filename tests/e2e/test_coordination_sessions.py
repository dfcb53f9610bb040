"""Sessions of a group's members that end, and ZooKeepers that are slow, silent, absent or none."""

import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from coordination import PARTITIONS, RECONNECT, SESSION_TIMEOUT, TOPIC, expect, owners, registration
from gateway import HELPER, Sanitizers, binary
from kafka import Zookeeper
from procs import new_folder, rounds, wait_for


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

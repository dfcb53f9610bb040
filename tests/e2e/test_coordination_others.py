"""What others do to a group in ZooKeeper: nonsense and hostile registrations, claims of strangers, nodes deleted."""

import json
import time

import pytest

from coordination import TOPIC, delete_tree, expect, registration
from procs import rounds, wait_for


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

"""Groups divided through a real ZooKeeper, without Kafka: members that come, share, and leave nothing behind."""

import json
import re
import time

from coordination import SESSION_TIMEOUT, TOPIC, delete_tree, expect, owners, registration
from procs import rounds, wait_for


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

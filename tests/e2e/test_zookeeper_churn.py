"""Hosts of one group come, leave, die and stand still, among members that are not ours: nothing is skipped, every
partition has one owner again in time, and what comes twice had a cause."""

import random
import signal
import threading
import time
from collections import defaultdict

import pytest
from confluent_kafka import Producer
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError

import fastcgi
from conftest import end_all, maker
from consumer_oracle import ConsumerOracle
from gateway import Helper
from kafka import Zookeeper
from procs import rounds, seed, wait_for
from scripted import Java, Pixy, by_members, by_threads, is_java, registrations
from web import Workers
from webservers import Responder

PARTITIONS = 10
HOSTS = 3
RATE = 200  # messages a second
# ZooKeeper declares a dead host dead after this. The long run has what hosts ask for; else the server allows less.
SESSION = rounds(6, 15)
SLACK = 3  # of a machine that has more to do

STEPS = {"ours": ["join", "join", "leave", "kill", "join", "stand_still", "leave"],
         "others": ["join", "pixy_joins", "join", "pixy_leaves", "java_joins", "leave", "join", "java_leaves"]}
KINDS = {"ours": ["leave", "kill", "stand_still", "leave", "kill", "expire_silently"],
         "others": ["leave", "kill", "pixy_joins", "pixy_leaves", "java_joins", "java_leaves", "pixy_leaves", "java_leaves"]}


class Host:
    """A helper, a responder and two clients that never stop asking."""

    def __init__(self, number, broker, oracle, make, servers):
        self.number, self.oracle = number, oracle
        self.helper = make(broker, start=False, coordination="zookeeper", zookeeperPeers=servers, initialOffset="oldest")
        self.responder = self.workers = None

    def up(self):
        self.helper.start()
        if self.responder is None:
            self.responder = Responder(self.helper)
            self.responder.start()
            self.workers = Workers([fastcgi.Direct(self.responder.socket)] * 2, self.work)

    def work(self, session, _, stop):
        self.oracle.client(0.002)(session, self.number, stop)

    def end(self):
        if self.workers:
            self.workers.stop.set()
            self.workers.join(40)
        if self.responder:
            self.responder.end()


class Numbered:
    """Produces numbered messages at a steady pace."""

    def __init__(self, broker, topic):
        self.producer = Producer({"bootstrap.servers": broker.peers, "enable.idempotence": True, "log_level": 0, "linger.ms": 5})
        self.topic, self.n, self.stop = topic, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        start = time.monotonic()
        while not self.stop.is_set():
            self.producer.poll(0)
            while self.n < (time.monotonic() - start) * RATE:
                self.producer.produce(self.topic, f"{self.n}:".encode(), partition=self.n % PARTITIONS)
                self.n += 1
            self.stop.wait(0.01)

    def end(self):
        self.stop.set()
        self.thread.join(10)
        assert self.producer.flush(60) == 0


class Observer:
    """Records who owned what, every 50 ms, from the owner nodes."""

    def __init__(self, servers, group, topic):
        self.zk = KazooClient(servers)
        self.zk.start(30)
        self.group, self.base = group, f"/consumers/{group}/owners/{topic}"
        self.changes = []  # (time, partition, owner or None)
        self.now = {}
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.wait(0.05):
            try:
                found = self.look()
            except KazooException:
                continue
            for p in set(found) | set(self.now):
                if found.get(p) != self.now.get(p):
                    self.changes.append((time.monotonic(), p, found.get(p)))
            self.now = found

    def look(self):
        found = {}
        try:
            names = self.zk.get_children(self.base)
        except NoNodeError:
            return found
        for p in names:
            try:
                found[int(p)] = self.zk.get(f"{self.base}/{p}")[0].decode()
            except NoNodeError:
                pass
        return found

    def as_divided(self, topic, members):
        """True when so many are there and own exactly what the rule gives to them, by the rule written down once more."""
        try:
            said = registrations(self.zk, self.group)
        except NoNodeError:
            return False
        java = any(is_java(r) for r in said.values())
        shares = (by_threads if java else by_members)(said, topic, PARTITIONS)
        # A member of ours or of Kafka-Pixy names itself, not its only thread.
        wanted = {p: name if not java or is_java(said[name.rpartition("-")[0]]) else name.rpartition("-")[0]
                  for name, mine in shares.items() for p in mine}
        return len(said) == members and wanted == self.now

    def end(self):
        self.stop.set()
        self.thread.join(10)
        self.zk.stop()
        self.zk.close()


class Churn:
    def __init__(self, broker, oracle, hosts, rng, servers):
        self.broker, self.oracle, self.hosts, self.rng, self.servers = broker, oracle, hosts, rng, servers
        self.observer = Observer(servers, oracle.group, oracle.topic)
        self.up, self.guests = set(), {Pixy: [], Java: []}
        self.waits = defaultdict(list)
        self.windows = []  # (from, to) in which two may give messages of one partition

    def log(self):
        with self.oracle.lock:
            return list(self.oracle.log)

    def members(self):
        return len(self.up) + sum(map(len, self.guests.values()))

    def settle(self, what, since, limit):
        """Every partition belongs to exactly whom the rule gives it to, in time."""
        wait_for(lambda: self.observer.as_divided(self.oracle.topic, self.members()), limit + SLACK + 10,
                 f"{what}: all is divided among {self.members()}", every=0.02)
        took = time.monotonic() - since
        self.waits[f"divided after {what}"].append(took)
        assert took < limit + SLACK, f"{what}: divided after {took:.1f} s"

    def served_by(self, host):
        """Partitions of which the host gave the last message."""
        last = {}
        for s in self.log():
            last[s.partition] = s.member
        return {p for p, m in last.items() if m == str(host.number)}

    def await_others(self, what, partitions, since, number, limit):
        """Until each of these partitions gives messages through somebody else."""
        def first():
            found = {}
            for s in reversed(self.log()):
                if s.time < since:
                    break
                if s.partition in partitions and s.member != str(number):
                    found[s.partition] = s.time
            return found if len(found) == len(partitions) else None
        found = wait_for(first, limit, f"{what}: {partitions} of host {number} are served by others", every=0.02)
        if partitions:
            self.waits[what].append(max(t - since for t in found.values()))

    def pick(self):
        return self.rng.choice([h for h in self.hosts if h.number in self.up])

    # Hosts of ours.

    def join(self):
        host = self.rng.choice([h for h in self.hosts if h.number not in self.up])
        host.helper.start() if host.responder else host.up()
        since = time.monotonic()
        self.up.add(host.number)

        def first():
            return next((s.time for s in self.log() if s.time > since and s.member == str(host.number)), None)
        self.waits["join"].append(wait_for(first, 30, f"host {host.number} serves", every=0.02) - since)
        self.settle("join", since, SESSION + 5)

    def leave(self):
        host = self.pick()
        mine, since = self.served_by(host), time.monotonic()
        host.helper.stop()
        self.up.discard(host.number)
        self.await_others("leave", mine, since, host.number, SESSION + SLACK + 10)
        self.settle("leave", since, SESSION + 5)

    def kill(self):
        host = self.pick()
        mine, since = self.served_by(host), time.monotonic()
        self.oracle.fault("kill")
        host.helper.kill()
        self.up.discard(host.number)
        self.windows.append((since, since + SESSION + SLACK))
        self.await_others("kill", mine, since, host.number, SESSION + 2 + SLACK + 10)
        self.settle("kill", since, SESSION + 5)

    def stand_still(self, seconds=None):
        """Longer than the session: the others have what it had when it wakes up."""
        seconds = seconds or rounds(SESSION + 3, 20)
        host = self.pick()
        mine, since = self.served_by(host), time.monotonic()
        self.oracle.fault("stop")
        host.helper.proc.signal(signal.SIGSTOP)
        try:
            if len(self.up) > 1 and seconds > SESSION + 2:
                self.await_others("stand still", mine, since, host.number, SESSION + 2 + SLACK + 10)
            time.sleep(max(0, since + seconds - time.monotonic()))  # it is the pause that is tested
        finally:
            self.oracle.fault("continue")
            host.helper.proc.signal(signal.SIGCONT)
        awake = time.monotonic()
        self.settle("standing still", awake, SESSION + 5)
        self.oracle.fault("continued")
        self.windows.append((since, time.monotonic()))

    def expire_silently(self):
        """A pause that may or may not end the session."""
        self.stand_still(self.rng.uniform(SESSION / 4, SESSION * 1.2))

    # Members that are not ours.

    def joins(self, kind):
        """Of one kind at a time: Kafka-Pixy cannot read what Java registers."""
        other = Java if kind is Pixy else Pixy
        while self.guests[other]:
            self.leaves(other)
        since = time.monotonic()
        self.guests[kind].append(kind(self.servers, self.broker, self.oracle))
        self.settle(f"{kind.__name__} joins", since, SESSION + 5)

    def leaves(self, kind):
        if self.guests[kind]:
            since = time.monotonic()
            self.guests[kind].pop(self.rng.randrange(len(self.guests[kind]))).leave()
            self.settle(f"{kind.__name__} leaves", since, SESSION + 5)

    def pixy_joins(self):
        self.joins(Pixy)

    def java_joins(self):
        self.joins(Java)

    def pixy_leaves(self):
        self.leaves(Pixy)

    def java_leaves(self):
        self.leaves(Java)

    def run(self, steps, kinds, count):
        """The steps, and then that many chosen at random."""
        self.join()
        for step in steps:
            getattr(self, step)()
        for _ in range(count):
            step = self.rng.choice(kinds)
            if len(self.up) < 2 or len(self.up) < HOSTS and self.rng.random() < 0.5:
                step = "join"
            elif step.endswith("joins") and sum(map(len, self.guests.values())) >= 3:
                step = step.replace("joins", "leaves")
            try:
                getattr(self, step)()
            finally:
                for guest in self.guests[Pixy] + self.guests[Java]:
                    assert guest.error is None, f"{step}: {guest.error!r}"

    def end(self):
        for guest in self.guests[Pixy] + self.guests[Java]:
            guest.leave()
        self.guests = {Pixy: [], Java: []}
        self.observer.end()

    def check_owners(self):
        """Once one gave a message, no other gives an earlier one of that partition, outside the windows."""
        top = {}
        for s in sorted(self.log(), key=lambda s: s.time):
            offset, member, when = top.get(s.partition, (-1, None, 0.0))
            if s.offset > offset:
                top[s.partition] = (s.offset, s.member, s.time)
            elif s.member != member and s.time > when + 0.5:
                assert any(a <= s.time <= b + SESSION for a, b in self.windows), \
                    f"partition {s.partition}: {s.member} gives {s.offset} after {member} gave {offset}"


@pytest.fixture(scope="module")
def keeper():
    server = Zookeeper()
    server.config.write_text(server.config.read_text().replace("maxSessionTimeout=40000", f"maxSessionTimeout={SESSION * 1000}"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def hosts(keeper):
    make, made = maker(Helper)
    found = []

    def make_hosts(broker, oracle, servers):
        found.extend(Host(n, broker, oracle, make, servers) for n in range(HOSTS))
        return found
    yield make_hosts
    for h in found:
        h.end()
    end_all(made)


@pytest.mark.timeout(rounds(240, 5400))
@pytest.mark.parametrize("among", list(STEPS))
def test_hosts_come_and_go(hosts, keeper, kafka_kraft, name, note, among):
    broker, s, servers = kafka_kraft, seed(), f"127.0.0.1:{keeper.port}"
    topic = broker.create_topic(name, PARTITIONS)
    oracle = ConsumerOracle(broker, topic, name, PARTITIONS)
    churn = Churn(broker, oracle, hosts(broker, oracle, servers), random.Random(s), servers)
    producer = Numbered(broker, topic)
    count = rounds(0, 100)
    with oracle:
        try:
            churn.run(STEPS[among], KINDS[among], count)
        finally:
            producer.end()
            note(f"churn, {among}: {1 + len(STEPS[among]) + count} rounds, session {SESSION} s, seconds: " +
                 "; ".join(f"{what} {min(v):.1f} to {max(v):.1f}" for what, v in churn.waits.items()) + f"; seed {s}")
        ends = oracle.await_all(60)
        churn.end()
    assert sum(ends.values()) == producer.n
    oracle.check(ends)
    churn.check_owners()
    note(f"churn, {among}: {len(churn.observer.changes)} changes of owners, {oracle.counts()}; seed {s}")
    assert max(churn.waits["leave"]) < 1 + SLACK
    assert max(churn.waits["join"]) < 1 + SLACK
    if churn.waits["kill"]:
        assert max(churn.waits["kill"]) < SESSION + 2 + SLACK

"""Hosts of one group that the brokers manage come, leave, die and stand still: nothing is skipped, and what comes
twice had a cause."""

import random
import signal
import threading
import time
from collections import defaultdict

import pytest
from confluent_kafka import KafkaException, Producer

import fastcgi
from conftest import end_all, maker
from consumer_oracle import ConsumerOracle
from gateway import Helper
from procs import rounds, seed, wait_for
from web import Workers, consumers
from webservers import Responder

SESSION = 6  # the least that brokers allow; a host that died is missed after this
PARTITIONS = 6
HOSTS = 3
RATE = 150  # messages a second
FORGETS = 30  # seconds without a delivery: longer than any broker is away here
SLACK = 3  # of a machine that has more to do
BROKERS = {"kraft": "kafka_kraft", "zookeeper": "kafka_zk"}
# One of each kind; more at random in the long run.
STEPS = {"kraft": ["join", "kill", "join", "leave", "restart_broker"], "zookeeper": ["join", "leave", "join", "kill"]}
KINDS = ["leave", "kill", "stand_still", "leave", "kill", "restart_broker"]


class Host:
    """A helper, a responder and two clients that never stop asking."""

    def __init__(self, number, broker, oracle, make):
        self.number, self.oracle = number, oracle
        self.helper = make(broker, start=False, coordination="kafka", initialOffset="oldest",
                           X=[f"consumer.session.timeout.ms={SESSION * 1000}"])
        self.responder, self.workers = None, None

    def up(self):
        self.helper.start()
        if self.responder is None:
            self.responder = Responder(self.helper)
            self.responder.start()
        if self.workers is None:
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
    """Produces numbered messages at a steady pace, whatever becomes of the broker."""

    def __init__(self, broker, topic):
        self.settings = {"bootstrap.servers": broker.peers, "acks": "all", "log_level": 0,
                         "linger.ms": 5, "reconnect.backoff.max.ms": 500}
        self.producer = Producer(self.settings)
        self.topic, self.n, self.arrived, self.stop = topic, 0, 0, threading.Event()
        self.waiting, self.last = set(), time.monotonic()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        start = time.monotonic()
        while not self.stop.is_set():
            self.producer.poll(0)
            try:
                if self.waiting and time.monotonic() - self.last > FORGETS:
                    self.renew()
                while self.n < (time.monotonic() - start) * RATE:
                    self.put(self.n)
                    self.n += 1
            except (BufferError, KafkaException):
                pass  # a broker that has just started may not know the topic yet
            self.stop.wait(0.01)

    def put(self, n):
        def delivered(error, _):
            if error is None and n in self.waiting:
                self.waiting.remove(n)
                self.arrived, self.last = self.arrived + 1, time.monotonic()
        self.producer.produce(self.topic, f"{n}:".encode(), partition=n % PARTITIONS, on_delivery=delivered)
        self.waiting.add(n)

    def renew(self):
        """After a restart of the broker a client may ask nobody any more who leads: a new one does."""
        self.producer.purge()
        self.producer, self.last = Producer(self.settings), time.monotonic()
        for n in sorted(self.waiting):
            self.put(n)

    def end(self):
        self.stop.set()
        self.thread.join(10)
        self.producer.flush(30)
        if self.waiting:
            self.renew()
            assert self.producer.flush(30) == 0


class Churn:
    """What happens to the hosts, and how long their partitions then wait for another."""

    def __init__(self, broker, oracle, hosts, rng):
        self.broker, self.oracle, self.hosts, self.rng = broker, oracle, hosts, rng
        self.up = set()
        self.waits = defaultdict(list)
        self.windows = []  # (from, to) in which two may have one partition

    def log(self):
        with self.oracle.lock:
            return list(self.oracle.log)

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
        if not partitions:
            return
        found = wait_for(first, limit, f"{what}: {partitions} of host {number} are served by others", every=0.02)
        self.waits[what].append(max([t - since for t in found.values()], default=0.0))

    def await_all(self, what, since, limit):
        self.await_others(what, set(range(PARTITIONS)), since, None, limit)

    def join(self):
        host = self.rng.choice([h for h in self.hosts if h.number not in self.up])
        since = time.monotonic()
        host.up()
        self.up.add(host.number)
        wait_for(lambda: any(s.member == str(host.number) for s in reversed(self.log()) if s.time > since), 30,
                 f"host {host.number} serves")
        self.waits["join"].append(next(s.time for s in self.log()
                                       if s.time > since and s.member == str(host.number)) - since)

    def settle(self):
        """Until the brokers know of nobody but those who are there: they wait for the dead before they divide anew."""
        def settled():
            host = self.pick()
            reply = fastcgi.call(host.responder.socket, "GET", f"{consumers(self.oracle.topic)}?group={self.oracle.group}")
            shares = reply.json.get(self.oracle.group, {}) if reply.status == 200 else {}
            return len(shares) == len(self.up) and sum(map(len, shares.values())) == PARTITIONS
        wait_for(settled, 30, f"{len(self.up)} members that have all partitions", every=0.1)

    def leave(self):
        """Mostly from a group that is settled; that is how long it is measured."""
        settled = self.rng.random() < 0.7 or not self.waits["leave"]
        if settled:
            self.settle()
        host = self.pick()
        mine, since = self.served_by(host), time.monotonic()
        host.helper.stop()
        self.up.discard(host.number)
        self.await_others("leave" if settled else "leave at once", mine, since, host.number, SESSION + SLACK + 10)

    def kill(self):
        self.settle()
        host = self.pick()
        mine, since = self.served_by(host), time.monotonic()
        self.oracle.fault("kill")
        host.helper.kill()
        self.up.discard(host.number)
        self.windows.append((since, since + SESSION + SLACK))
        self.await_others("kill", mine, since, host.number, SESSION + 2 + SLACK + 10)

    def stand_still(self):
        """Longer than the session: the others have what it had when it wakes up."""
        host = self.pick()
        mine, since = self.served_by(host), time.monotonic()
        self.oracle.fault("stop")
        host.helper.proc.signal(signal.SIGSTOP)
        try:
            self.await_others("stand still", mine, since, host.number, SESSION + 2 + SLACK + 10)
            time.sleep(max(0, since + rounds(SESSION + 2, 20) - time.monotonic()))  # it is the pause that is tested
        finally:
            self.oracle.fault("continue")
            host.helper.proc.signal(signal.SIGCONT)
        self.windows.append((since, time.monotonic() + SLACK))
        self.await_all("after it", time.monotonic(), 30)

    def restart_broker(self):
        """No commit is taken until the group has been loaded; who is not heard of in time has lost its part by then."""
        since, over = time.monotonic(), threading.Event()

        def explain():
            while not over.wait(0.2):
                self.oracle.fault("broker")
        explaining = threading.Thread(target=explain, daemon=True)
        explaining.start()
        try:
            self.broker.stop()
            self.broker.start()
            back = time.monotonic()
            self.await_all("broker back", back, 60)
            time.sleep(max(0, back + SESSION + 1 - time.monotonic()))  # until all members of before are forgotten
        finally:
            over.set()
            explaining.join()
        self.windows.append((since, time.monotonic()))

    def pick(self):
        return self.rng.choice([h for h in self.hosts if h.number in self.up])

    def run(self, steps, rounds):
        """The steps, and then that many chosen at random."""
        self.join()
        for step in steps:
            getattr(self, step)()
        for _ in range(rounds):
            few = len(self.up) < 2
            if few or len(self.up) < HOSTS and self.rng.random() < 0.6:
                self.join()
            else:
                getattr(self, self.rng.choice(KINDS))()

    def check_owners(self):
        """Once one host gave a message, no other gives an earlier one of that partition, outside the windows."""
        top = {}
        for s in sorted(self.log(), key=lambda s: s.time):
            offset, member, when = top.get(s.partition, (-1, None, 0.0))
            if s.offset > offset:
                top[s.partition] = (s.offset, s.member, s.time)
            elif s.member != member and s.time > when + 0.5:
                assert any(a <= s.time <= b + SESSION for a, b in self.windows), \
                    f"partition {s.partition}: host {s.member} gives {s.offset} after {member} gave {offset}"


@pytest.fixture
def hosts():
    make, made = maker(Helper)
    found = []

    def make_hosts(broker, oracle):
        found.extend(Host(n, broker, oracle, make) for n in range(HOSTS))
        return found
    yield make_hosts
    for h in found:
        h.end()
    end_all(made)


@pytest.mark.timeout(rounds(240, 3500))
@pytest.mark.parametrize("kind", list(BROKERS))
def test_hosts_come_and_go(hosts, request, kind, name, note):
    broker, s = request.getfixturevalue(BROKERS[kind]), seed()
    rng = random.Random(s)
    topic = broker.create_topic(name, PARTITIONS)
    oracle = ConsumerOracle(broker, topic, name, PARTITIONS)
    churn = Churn(broker, oracle, hosts(broker, oracle), rng)
    producer = Numbered(broker, topic)
    with oracle:
        count = rounds(0, 100 - len(STEPS[kind]))
        try:
            churn.run(STEPS[kind], count)
        finally:
            producer.end()
        ends = oracle.await_all(60)
    note(f"churn on {broker.version}: {len(STEPS[kind]) + count} rounds, seconds: " +
         "; ".join(f"{what} {min(v):.1f} to {max(v):.1f}" for what, v in churn.waits.items()))
    # A copy more where the broker went in between.
    assert sum(ends.values()) >= producer.arrived > 0.8 * producer.n
    oracle.check(ends)
    churn.check_owners()
    note(f"churn on {broker.version}: {oracle.counts()}; seed {s}")
    assert max(churn.waits["leave"]) < 1 + SLACK
    assert max(churn.waits["kill"]) < SESSION + 2 + SLACK

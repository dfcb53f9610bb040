"""Hosts that come, leave, die and stand still while a group consumes, alone and together with members that speak the
rules of Kafka-Pixy 0.11 and of Java: each partition has one owner again in bounded time, and nothing is skipped."""

import random
import signal
import threading
import time

import pytest
from confluent_kafka import Producer

import fastcgi
from consumer_oracle import ConsumerOracle, Seen
from procs import rounds, seed, wait_for
from web import Workers
from webservers import Responder
from zkpeers import Java, Pixy011

PARTITIONS = 10
SESSION = 15
GRACE = 5
PAUSE = 20
RATE = 100  # messages a second
POLLERS = 3


class Producing:
    """Numbered messages to all partitions in turn, until it is stopped."""

    def __init__(self, broker, topic):
        self.producer = Producer({"bootstrap.servers": broker.peers, "linger.ms": 5, "log_level": 0})
        self.topic, self.stop, self.sent = topic, threading.Event(), 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stop.wait(1 / RATE):
            self.producer.produce(self.topic, b"%d" % self.sent, partition=self.sent % PARTITIONS)
            self.sent += 1
            self.producer.poll(0)

    def end(self):
        self.stop.set()
        self.thread.join(10)
        assert self.producer.flush(30) == 0


class Observer:
    """Notes who owned what when. A node has one owner; that the owner is alone with its messages, the oracle sees."""

    def __init__(self, broker, group, topic):
        self.broker, self.group, self.topic = broker, group, topic
        self.log = []  # (time, {partition: owner}), whenever it has changed
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stop.wait(0.03):
            owners = self.broker.owners(self.group, self.topic)
            if not self.log or owners != self.log[-1][1]:
                self.log.append((time.monotonic(), owners))

    def owners(self):
        return self.log[-1][1] if self.log else {}

    def end(self):
        self.stop.set()
        self.thread.join(10)


class Host:
    """A helper and a responder with clients, as one host of the group."""

    def __init__(self, churn, helper, responder):
        self.churn, self.helper = churn, helper(churn.broker, start=False, initialOffset="oldest")
        self.make_responder, self.responder, self.clients = responder, None, None

    def join(self):
        """Returns how long its first message took after its first claim."""
        self.helper.start()
        self.responder = self.responder or self.make_responder(self.helper)
        before, began = len(self.churn.oracle.log), time.monotonic()
        self.clients = Workers([fastcgi.Direct(self.responder.socket)] * POLLERS, self.work)
        return before, began

    def work(self, session, number, stop):
        self.churn.oracle.client()(session, self.helper.folder.name, stop)

    def quiet(self):
        self.clients.stop.set()

    def leave(self):
        """In order. Returns when it was told to."""
        began = time.monotonic()
        self.helper.stop()
        self.quiet()
        self.clients.join(15)
        return began

    def kill(self):
        self.helper.kill()
        self.churn.oracle.fault("kill")
        self.quiet()
        self.clients.join(15)


class Churn:
    """The group and its books."""

    def __init__(self, broker, name, note):
        self.broker, self.name, self.note = broker, name, note
        self.topic = broker.create_topic(name, PARTITIONS)
        self.oracle = ConsumerOracle(broker, self.topic, name, PARTITIONS)
        self.observer = Observer(broker, name, self.topic)
        self.hosts, self.peers = [], []
        self.times = {"joined": [], "left": [], "killed": [], "stood still": [], "first message": []}

    def members(self):
        return len([h for h in self.hosts if h.clients]) + len(self.peers)

    @staticmethod
    def owned_by(host, owner):
        return f"_{host.helper.proc.pid}_" in owner

    def settled(self):
        """Each partition has an owner, and all who are there own some: neither the dead nor the forgotten."""
        owners = self.observer.owners()
        if len(owners) < PARTITIONS:
            return False
        ids = set(self.broker.zk().get_children(f"/consumers/{self.name}/ids"))
        owning = {o if o in ids else o.rpartition("-")[0] for o in owners.values()}
        return owning == ids and len(ids) == self.members()

    def await_settled(self, since, what, within=GRACE * 2):
        wait_for(self.settled, within, f"each partition has one owner after {what}: {self.observer.owners()}", every=0.02)
        at = self.observer.log[-1][0]  # of the last change
        self.times[what].append(max(0.0, at - since))

    def note_peer(self, partition, offset):
        with self.oracle.lock:
            self.oracle.log.append(Seen(self.name, "peer", partition, offset, b"", time.monotonic()))

    # What can happen.

    def join(self, host):
        before, began = host.join()
        self.hosts.append(host) if host not in self.hosts else None
        self.await_settled(began, "joined")
        mine = host.helper.folder.name
        first = wait_for(lambda: next((s.time for s in self.oracle.log[before:] if s.member == mine), None), 10,
                         "a first message", every=0.01)
        claimed = next(t for t, owners in self.observer.log
                       if t >= began and any(self.owned_by(host, o) for o in owners.values()))
        self.times["first message"].append(max(0.0, first - claimed))

    def leave(self, host):
        began = host.leave()
        host.clients = None
        self.await_settled(began, "left")

    def kill(self, host):
        began = time.monotonic()
        host.kill()
        host.clients = None
        self.await_settled(began, "killed", SESSION + GRACE)

    def stand_still(self, host, others=()):
        """For 20 s: its partitions go to the others, and it comes back without harm. `others` are killed meanwhile."""
        began = time.monotonic()
        host.helper.proc.signal(signal.SIGSTOP)
        self.oracle.fault("stop")
        for other in others:
            self.kill_only(other)
        clients, host.clients = host.clients, None
        try:
            self.await_settled(began, "stood still", SESSION + GRACE)
            time.sleep(max(0, began + PAUSE - time.monotonic()))
        finally:
            self.oracle.fault("continue")
            host.helper.proc.signal(signal.SIGCONT)
            host.clients = clients
        self.await_settled(time.monotonic(), "joined", SESSION + GRACE)

    def kill_only(self, host):
        host.kill()
        host.clients = None

    def finish(self, producing, s):
        producing.end()
        ends = self.oracle.await_all(60)
        for h in self.hosts:
            if h.clients:
                h.quiet()
                h.clients.join(15)
        for p in self.peers:
            p.leave()
        self.observer.end()
        assert sum(ends.values()) == producing.sent
        self.oracle.check(ends)
        times = ", ".join(f"{what} {len(v)}x {max(v):.2f} s" for what, v in self.times.items() if v)
        self.note(f"{producing.sent} produced, {self.oracle.counts()}, {len(self.observer.log)} changes of owners; "
                  f"at most: {times}; seed {s}")


@pytest.fixture
def churn(helper, broker, name, note):
    made, responders = Churn(broker, name, note), []

    def responder(h):
        responders.append(Responder(h))
        responders[-1].start()
        return responders[-1]
    made.host = lambda: Host(made, helper, responder)
    with made.oracle:
        yield made
    made.observer.end()
    for host in made.hosts:
        host.helper.proc.signal(signal.SIGCONT)
        if host.clients:
            host.quiet()
    for peer in made.peers:
        peer.end()
    for r in responders:
        r.end()


@pytest.mark.timeout(200 if rounds(1, 100) == 1 else 7200)
def test_hosts_that_come_and_go(churn, broker):
    s = seed()
    rng = random.Random(s)
    hosts = [churn.host() for _ in range(3)]
    producing = Producing(broker, churn.topic)
    churn.join(hosts[0])
    for turn in range(rounds(1, 100)):
        for h in hosts:
            if not h.clients:
                churn.join(h)
        churn.leave(rng.choice(hosts))
        churn.join(next(h for h in hosts if not h.clients))
        dies, stands, _ = rng.sample(hosts, 3)
        if turn % 2 == 0:
            churn.stand_still(stands, [dies])
        else:
            churn.kill(dies)
            churn.join(dies)
            churn.stand_still(stands)
    churn.finish(producing, s)
    assert max(churn.times["left"]) < 2.5 and max(churn.times["killed"] or [0]) < SESSION + GRACE


@pytest.mark.parametrize("kind", [Pixy011, Java])
@pytest.mark.timeout(200 if rounds(1, 100) == 1 else 3600)
def test_together_with_members_of_other_kinds(churn, broker, kind):
    s = seed()
    rng = random.Random(s)
    hosts = [churn.host() for _ in range(2)]
    producing = Producing(broker, churn.topic)
    churn.join(hosts[0])

    def peer_joins():
        churn.peers.append(kind(broker, churn.name, churn.topic, PARTITIONS, churn.note_peer))
        churn.await_settled(time.monotonic(), "joined", GRACE * 2)

    def peer_leaves():
        peer = churn.peers.pop(rng.randrange(len(churn.peers)))
        began = time.monotonic()
        peer.leave()
        churn.await_settled(began, "left")

    def peer_resubmits():
        rng.choice(churn.peers).resubmit()
        time.sleep(0.5)  # nothing to wait for: it may be over before it is seen
        churn.await_settled(time.monotonic(), "joined")

    def host_comes_or_goes():
        churn.leave(hosts[1]) if hosts[1].clients else churn.join(hosts[1])

    peer_joins()
    for _ in range(rounds(8, 100)):
        possible = [host_comes_or_goes, peer_resubmits] if churn.peers else []
        possible += [peer_joins] if len(churn.peers) < 2 else []
        possible += [peer_leaves] if churn.peers else []
        rng.choice(possible)()
        for p in churn.peers:
            assert p.error is None, p.error
    churn.finish(producing, s)

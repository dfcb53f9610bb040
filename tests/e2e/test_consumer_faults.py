"""Consumers whose clients, helpers or responders go away at any moment: nothing is skipped."""

import random
import re
import select
import signal
import socket
import struct
import time

import pytest
from confluent_kafka import Producer

import fastcgi
from consumer_oracle import ConsumerOracle, open_poll
from procs import rounds, seed, wait_for
from web import Workers, messages, offsets, parse_reply, read_reply
from webservers import Nginx

LEAVE = 3.2  # a client goes at a random moment until then; a long poll ends after 3 s
SESSION = 15  # ZooKeeper declares a killed helper dead after this


def leave_unread(responder, topic, group, count):
    """Web servers that close a long poll once its reply is there, and read none of it."""
    for _ in range(count):
        with open_poll(responder.socket, topic, group) as s:
            assert select.select([s], [], [], 10)[0], "no reply"


def test_web_server_that_leaves_with_the_reply_unread(helper, responder, broker, name, note):
    """What lies in the buffer of a connection is not yet taken: the message comes again."""
    topic = broker.create_topic(name, 1)
    broker.produce_lines(topic, range(5))
    h = helper(broker, coordination="local", initialOffset="oldest")
    r = responder(h)
    oracle = ConsumerOracle(broker, topic, name, 1)
    with oracle:
        leave_unread(r, topic, name, 20)
        wait_for(lambda: oracle.has_seen({0: 5}) or read_one(oracle, r), 10, "all five")
    oracle.check({0: 5})
    note(f"web server that leaves with the reply unread: 20 times, {oracle.counts()}")


def read_one(oracle, r):
    with open_poll(r.socket, oracle.topic, oracle.group) as s:
        oracle.note(0, fastcgi.read(s))


def test_a_text_beside_an_offset_stays_while_the_offset_does(faulty, responder, broker, name):
    """It is committed again every hour, here 0.1 s."""
    topic = broker.create_topic(name, 1)
    r = responder(faulty(broker, coordination="local").start(KP_RECOMMIT_MS="100"))
    direct = fastcgi.Direct(r.socket)
    where = (offsets(topic), {"group": name})

    def text():
        return direct.call("GET", *where).json[0].get("metadata")
    row = b'[{"partition": 0, "offset": 0, "metadata": "by hand"}]'
    assert direct.call("POST", *where, body=row).status == 200
    with open_poll(r.socket, topic, name) as s:
        assert fastcgi.read(s).status == 408
    assert text() == "by hand"
    broker.produce_lines(topic, [0])
    with open_poll(r.socket, topic, name) as s:
        assert fastcgi.read(s).status == 200
    wait_for(lambda: text() is None, 5, "gone with the next offset")


# Negative control.

def test_the_oracle_sees_a_commit_before_the_write(faulty, responder, broker, name):
    """The same with a helper that counts what it has only offered: the oracle must notice."""
    topic = broker.create_topic(name, 1)
    broker.produce_lines(topic, range(5))
    h = faulty(broker, coordination="local", initialOffset="oldest").start(KP_BREAK="early-commit")
    r = responder(h)
    oracle = ConsumerOracle(broker, topic, name, 1)
    with oracle:
        leave_unread(r, topic, name, 2)
        wait_for(lambda: len(oracle.seen()) == 3 or read_one(oracle, r), 10, "what is left")
        wait_for(lambda: oracle.samples and oracle.samples[-1][2] == 5, 10, "the last commit")
    with pytest.raises(AssertionError, match="SKIPPED 2"):
        oracle.check({0: 5})
    with pytest.raises(AssertionError, match=r"COMMITTED \d"):
        oracle.check_commits()


# Clients that leave.

class NginxTaken(Nginx):
    """Logs of each request how much of its reply nginx has read from the responder."""

    main = Nginx.main.replace("access_log {run}/access.log;", """
    log_format taken '$arg_n $status $upstream_bytes_received $upstream_http_content_length';
    access_log {run}/access.log taken;""")

    def taken(self):
        """The numbers of requests of which nginx had the whole reply."""
        rows = (line.split() for line in (self.run / "access.log").read_text().splitlines())
        return {int(n) for n, status, had, length in rows if status == "200" and n != "-" and int(had) >= int(length)}


def whole(data):
    """True when these bytes are all of a reply."""
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)(\r\n|$)", head, re.I)
    return length is not None and len(body) == int(length[1])


class Leavers:
    """Clients of which each sends a GET and leaves at a random moment, in one of several ways."""

    def __init__(self, site, oracle, count, rng):
        self.site, self.oracle, self.rng = site, oracle, rng
        self.count, self.numbers = count, iter(range(1, 1 << 30))
        self.left = {}  # number of the request: how its client went

    def work(self, _, __, stop):
        while len(self.left) < self.count and not stop.is_set():
            with self.oracle.lock:
                number, how = next(self.numbers), self.rng.choice(["close", "reset", "half"])
                patience, part = self.rng.uniform(0, LEAVE), self.rng.choice([None, 0, 1, 300, 5000, 500_000])
            s = self.site.open_get(messages(self.oracle.topic), {"group": self.oracle.group, "n": number})
            with s:
                self.leave(s, number, how, patience, part)

    def leave(self, s, number, how, patience, part):
        if not select.select([s], [], [], patience)[0]:
            self.left[number] = f"{how} in the poll"
            if how == "half":
                s.shutdown(socket.SHUT_WR)
                self.take(number, read_reply(s))
                return
            s.setblocking(False)
            try:
                self.take(number, s.recv(1 << 22))  # what was there when it left
            except BlockingIOError:
                pass
        elif part is None:
            self.oracle.note(number, parse_reply(read_reply(s)))  # stays after all
            return
        else:
            self.left[number] = f"{how} in the reply"
            data = b""
            while len(data) < part and not whole(data) and (more := s.recv(min(65536, part - len(data)))):
                data += more
            if how == "half":
                s.shutdown(socket.SHUT_WR)
                while more := s.recv(65536):
                    data += more
            self.take(number, data)
        if how == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def take(self, number, data):
        """Notes the message when all of it came, though its client is about to be gone."""
        if whole(data) and self.oracle.note(number, parse_reply(data)):
            self.oracle.fault("left with the reply")


def trickle(broker, topic, rate, rng):
    """Work that produces messages of all sizes, more slowly than clients ask for them."""
    def work(_, __, stop):
        producer, n = Producer({"bootstrap.servers": broker.peers, "log_level": 0}), 0
        while not stop.wait(rng.expovariate(rate)):
            n += 1
            size = rng.choice([0, 10, 1000, 1000, 30_000, 100_000, 900_000])
            producer.produce(topic, f"{n}:".encode() + b"x" * size, partition=rng.randrange(4))
            producer.poll(0)
        assert producer.flush(20) == 0
    return work


def test_clients_that_leave_at_any_moment(helper, broker, topic, name, note):
    count, at_once, s = rounds(100, 5000), rounds(40, 120), seed()
    rng = random.Random(s)
    h = helper(broker, coordination="local", initialOffset="oldest")
    nginx = NginxTaken(h)
    nginx.start()
    oracle = ConsumerOracle(broker, topic, name)
    leavers = Leavers(nginx.site, oracle, count, rng)

    def taken():
        """By nginx, for a client that never got it."""
        had = {int(m.member) for m in oracle.log if int(m.member) > 0}
        return len((nginx.taken() & set(leavers.left)) - had)

    with oracle, Workers([nginx.site] * 2, lambda session, _, stop: oracle.client()(session, 0, stop)) as stay:
        with Workers([nginx.site], trickle(broker, topic, at_once / 5, rng)) as producer:
            Workers([nginx.site] * at_once, leavers.work).join(rounds(60, 600))
            assert not producer.errors and not stay.errors
        ends = oracle.await_all(20)
    oracle.check(ends, taken())
    nginx.end()
    ways = sorted(set(leavers.left.values()))
    assert len(leavers.left) >= count and len(ways) == 6
    said = ", ".join(f"{list(leavers.left.values()).count(w)} {w}" for w in ways)
    note(f"clients that left: {said}; {oracle.counts()}; seed {s}")


# Named points at which a helper or a responder dies.

MESSAGES = 400
PACE = 0.01  # of each of two clients, so that there are commits and claims meanwhile


class Case:
    """One point, a helper or responder that dies there, and a group of its own. `other`: a second host."""

    def __init__(self, point, rng, broker, faulty, responder, group):
        self.point, self.died, self.workers = point, [], []
        self.topic = broker.create_topic(f"{group}-{point}")
        self.oracle = ConsumerOracle(broker, self.topic, group)
        lasts = {"C4": 2, "C5": 2, "C6": 2, "C3": 150, "R1": 150}  # what is sure to be passed so often
        self.turn = rng.randint(1, lasts.get(point, 100))
        two = point in ("C5", "C6")
        options = {"coordination": "zookeeper" if two else "local", "initialOffset": "oldest"}
        self.hosts = [faulty(broker, **options) for _ in range(2 if two else 1)]
        self.doors = []
        self.make_door = responder

    def produce(self, share=1.0):
        self.oracle.broker.produce_lines(self.topic, [f"{n}" for n in range(int(MESSAGES * share))])

    def start(self):
        """The one that dies; at C6 it joins a host that holds all, at C5 one comes that it has to give to."""
        kill = {"KP_KILL_AT": f"{self.point}:{self.turn}"}
        self.produce()
        self.oracle.__enter__()
        if self.point == "R1":
            self.hosts[0].env.update(kill)
        for host in self.hosts:
            host.start(**(kill if host is self.hosts[0] and self.point != "R1" else {}))
            self.doors.append(self.make_door(host))
        self.hosts[0].env.pop("KP_KILL_AT", None)
        self.victim = self.doors[0] if self.point == "R1" else self.hosts[0]
        self.join(1 if self.point == "C6" else 0)

    def join(self, host):
        self.workers.append(Workers([fastcgi.Direct(self.doors[host].socket)] * 2, self.oracle.client(PACE)))

    def step(self):
        """True when it has died, was started again, and all has been seen."""
        if len(self.hosts) > len(self.workers) and len(self.oracle.seen()) > MESSAGES / 8:
            self.join(1 - (self.point == "C6"))
        if not self.died and not self.victim.proc.running():
            assert self.victim.proc.popen.returncode == -signal.SIGKILL, f"{self.point}: not killed at its point"
            self.died.append(time.monotonic())
            self.oracle.fault(self.point)
            self.produce(0.25)
            self.victim.start()
        assert not any(w.errors for w in self.workers)
        return self.died and len(self.oracle.seen()) >= MESSAGES * 1.25

    def stop(self):
        for w in self.workers:
            w.stop.set()

    def finish(self):
        for w in self.workers:
            w.join(15)
        self.oracle.__exit__()
        self.oracle.check(self.oracle.ends())


def test_killed_at_named_points(faulty, responder, broker, name, note):
    s = seed()
    rng = random.Random(s)
    for turn in range(rounds(1, 20)):
        cases = [Case(point, rng, broker, faulty, responder, f"{name}-{turn}")
                 for point in ("C5", "C6", "C1", "C2", "C3", "C4", "R1")]
        for c in cases:
            c.start()
        wait_for(lambda: all([c.step() for c in cases]), SESSION + 60,
                 f"all are over, {[(c.point, len(c.died), len(c.oracle.seen())) for c in cases]}", every=0.02)
        for c in cases:
            c.stop()
        for c in cases:
            c.finish()
            note(f"killed at {c.point}:{c.turn}: {c.oracle.counts()}; seed {s}")
            for end in c.doors + c.hosts:
                end.end()

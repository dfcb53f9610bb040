"""Processes around the helper that die, are restarted or hang, under load: nothing answered 200 is lost, nothing
skipped, and every request ends in time.
"""

import itertools
import os
import random
import select
import signal
import socket
import subprocess
import time

import pytest

import fastcgi
from consumer_oracle import ConsumerOracle
from gateway import RESPONDER
from procs import descendants, kill, program, rounds, seed, wait_for
from produced import Produced
from web import Workers, messages, offsets
from webservers import ALL, Nginx, Responder

FREED = 1  # seconds until a dead responder's place in the helper is free again
LONG = rounds(180, 3600)


# A responder that dies in the middle of a request.

class FastCgi:
    """One request to a responder of its own, in steps."""

    def __init__(self, helper, victim):
        self.responder = victim  # a Responder, started for each request
        self.responder.start()

    def begin(self, method, uri, length=None):
        self.s = fastcgi.connect(self.responder.socket)
        self.s.sendall(fastcgi.begin(method, uri, length))

    def body(self, data, last=True):
        records = fastcgi.stdin(data)
        self.s.sendall(records if last else records[:-8])

    def some(self, n):
        return self.s.recv(n)

    def readable(self, timeout):
        return bool(select.select([self.s], [], [], timeout)[0])

    def kill(self):
        kill(self.responder.proc.pid)
        self.responder.proc.wait(5)

    def rest(self, had=b""):
        """The reply when all of it came, else the error."""
        try:
            return fastcgi.read(self.s) if not had else OSError("cut")
        except OSError as e:
            return e
        finally:
            self.s.close()


class Cgi:
    """The same as a process of plain CGI."""

    def __init__(self, helper, _):
        self.helper = helper

    def begin(self, method, uri, length=None):
        path, _, query = uri.partition("?")
        env = {"REQUEST_METHOD": method, "REQUEST_URI": uri, "QUERY_STRING": query, "SERVER_PROTOCOL": "HTTP/1.1",
               "CONTENT_TYPE": "text/plain", "GATEWAY_INTERFACE": "CGI/1.1", **self.helper.env}
        if length is not None:
            env["CONTENT_LENGTH"] = str(length)
        self.p = subprocess.Popen([self.helper.responder], env={**os.environ, **env}, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, bufsize=0)

    def body(self, data, last=True):
        self.p.stdin.write(data)
        if last:
            self.p.stdin.close()

    def some(self, n):
        return self.p.stdout.read(n)

    def readable(self, timeout):
        return bool(select.select([self.p.stdout], [], [], timeout)[0])

    def kill(self):
        kill(self.p.pid)

    def rest(self, had=b""):
        out = self.p.stdout.read()
        status = self.p.wait(5)
        self.p.stdout.close()
        self.p.stdin.close()
        return fastcgi.cgi_reply(out) if status == 0 and not had else OSError(f"CGI ended with {status}")


def fds(helper):
    return len(os.listdir(f"/proc/{helper.proc.pid}/fd"))


class Mortals:
    """What a responder may be doing when it is killed. `other` is one that lives, and takes what comes back."""

    def __init__(self, helper, other, victim, topic, group, broker, rng):
        self.helper, self.topic, self.group, self.rng = helper, topic, group, rng
        self.other, self.victim = fastcgi.Direct(other.socket), victim
        self.oracle = ConsumerOracle(broker, topic, group)
        self.produced = Produced(broker, topic)
        self.numbers = itertools.count(1)

    def value(self, size=100):
        return f"{next(self.numbers)}:".encode().ljust(size, b".")

    def put(self, value):
        reply = self.other.call("POST", messages(self.topic), {"sync": ""}, value)
        self.produced.note(value, reply)
        assert reply.status == 200, reply

    def take(self, within=FREED):
        """The next message comes to the living one at once, so no dead one's request holds it."""
        start = time.monotonic()
        reply = self.other.call("GET", messages(self.topic), {"group": self.group})
        assert self.oracle.note(0, reply), reply
        assert time.monotonic() - start < within, "the place of the dead was not free"

    def drain(self):
        ends = self.oracle.ends()
        while not self.oracle.has_seen(ends):
            self.take(4)

    def consume(self, kind, size, look):
        """`look`: what the web server does with the reply before the responder dies."""
        self.drain()
        r = kind(self.helper, self.victim)
        r.begin("GET", f"{messages(self.topic)}?group={self.group}")
        r.body(b"")
        if look is None:
            time.sleep(self.rng.uniform(0, 0.2))  # at some moment of the poll
        else:
            self.put(self.value(size))
            assert r.readable(5)
        had = r.some(look) if look else b""
        self.die(r, look is not None)  # in the poll it may not have come that far
        if look is None:
            self.put(self.value())
        self.take()
        reply = r.rest(had)
        if not isinstance(reply, Exception) and reply.status == 200:
            self.oracle.note(1, reply)

    def produce(self, kind, sync, part):
        """`part` of the body was sent when it dies; with all of it, it dies a little later."""
        r, value = kind(self.helper, self.victim), self.value(5000)
        r.begin("POST", messages(self.topic) + ("?sync" if sync else ""), len(value))
        if part:
            r.body(value[:int(len(value) * part)], part == 1)
        time.sleep(self.rng.uniform(0, 0.012 if part == 1 else 0.004))
        self.die(r)
        reply = r.rest()
        self.produced.note(value, reply)
        if part < 1:
            assert isinstance(reply, Exception)
            self.produced.never.add(value)

    def die(self, r, connections=0):
        """`connections`: how many it surely has to the helper."""
        self.oracle.fault("responder")
        before, had = time.monotonic(), fds(self.helper)
        r.kill()
        wait_for(lambda: fds(self.helper) <= had - connections, FREED, "the helper has closed the dead one's connection", every=0.005)
        self.slowest = max(self.slowest, time.monotonic() - before)

    slowest = 0.0

    def ways(self, kind):
        return ([lambda a=a: self.consume(kind, *a) for a in ((0, None), (100, 0), (900_000, 0), (900_000, 1000))]
                + [lambda s=s, p=p: self.produce(kind, s, p) for s in (True, False) for p in (0, 0.5, 1, 1)])


@pytest.mark.timeout(LONG)
def test_responder_killed_in_the_middle(helper, broker, topic, name, note):
    count, s = rounds(30, 500), seed()
    h = helper(broker, coordination="local", initialOffset="oldest")
    other, victim = Responder(h), Responder(h)
    other.start()
    m = Mortals(h, other, victim, topic, name, broker, random.Random(s))
    m.put(m.value())
    m.take(4)
    ways = m.ways(FastCgi) + m.ways(Cgi)
    with m.oracle:
        for _, way in zip(range(count), itertools.cycle(m.rng.sample(ways, len(ways)))):
            way()
        m.produced.check()
        m.drain()
    m.oracle.check(m.oracle.ends())
    note(f"responder killed in the middle: {count} times, place free after {m.slowest * 1000:.0f} ms at most; "
         f"{m.produced.counts()}; {m.oracle.counts()}; seed {s}")
    other.end()


# A web server that is reloaded, restarted or killed.

RELOAD = {"lighttpd": signal.SIGUSR1, "apache": signal.SIGUSR1, "nginx": signal.SIGHUP}  # the graceful ones


class Stand:
    """One web server under load of its own; what it does is done to all of them at once."""

    def __init__(self, kind, helper, broker, group):
        self.server, self.broker = kind(helper), broker
        self.oracle = ConsumerOracle(broker, broker.create_topic(f"{group}-{kind.name}"), group)
        self.produced = Produced(broker, self.oracle.topic)
        self.unanswered, self.faults, self.slowest = 0, 0, 0.0

    def load(self):
        work = [self.produced.client(sync=True), self.produced.client(), self.consume, self.consume]
        self.workers = Workers([self.server.site] * len(work), lambda session, n, stop: work[n](session, n, stop))

    def consume(self, session, number, stop):
        """A GET without an answer: the web server may have had a message for it, and took it along."""
        while not stop.is_set():
            reply = session.call("GET", messages(self.oracle.topic), {"group": self.oracle.group})
            if isinstance(reply, Exception) or reply.status not in (200, 408):
                self.unanswered += not isinstance(reply, ConnectionRefusedError)
                stop.wait(0.02)
            else:
                self.oracle.note(number, reply)

    def answered(self):
        assert not self.workers.errors, self.workers.errors
        return len(self.produced.acked), len(self.oracle.log)

    def moved(self):
        """Both ways, since the last fault; notes how long that took at most."""
        done = all(now > then + 5 for now, then in zip(self.answered(), self.before))
        if not done:
            self.slowest = max(self.slowest, time.monotonic() - self.since)
        return done

    def mark(self):
        self.before, self.since = self.answered(), time.monotonic()

    def hit(self, how):
        self.oracle.fault(how)
        self.faults += 1
        if how == "reload":
            self.server.reload(next(sig for name, sig in RELOAD.items() if self.server.name.startswith(name)))
        elif how == "restart":
            self.server.proc.signal(signal.SIGTERM)
        else:
            for pid in [self.server.proc.pid, *descendants(self.server.proc.pid)]:
                if program(pid) != RESPONDER:  # which ends with the one that has started it
                    kill(pid)

    def come_back(self, how):
        if how != "reload":
            self.server.proc.wait(20)
            self.server.launch()
        self.mark()

    def responders(self):
        """Those of this stand, whoever is their parent, zombies too."""
        return [pid for pid in all_pids() if program_path(pid) == str(self.server.helper.responder)]


def all_pids():
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def program_path(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read().split("\0")[0]
    except OSError:
        return ""


def zombies(parent):
    """Dead children that a web server has not buried."""
    found = []
    for pid in [parent, *descendants(parent)]:
        for child in all_pids():
            try:
                with open(f"/proc/{child}/stat") as f:
                    state, ppid = f.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state == "Z" and int(ppid) == pid:
                found.append(child)
    return found


@pytest.mark.timeout(LONG)
def test_web_server_reloaded_restarted_killed(helper, broker, name, note):
    kinds = ["nginx", "lighttpd", "apache-proxy_fcgi", "lighttpd-bin-path", "apache-fcgid"]
    stands = [Stand(ALL[k], helper(broker, coordination="local", initialOffset="oldest"), broker, name) for k in kinds]
    for s in stands:
        s.server.start()
        s.oracle.__enter__()
        s.load()
        s.mark()
    wait_for(lambda: all([s.moved() for s in stands]), 30, "traffic before")
    for how in ["reload", "restart", "kill"] * rounds(1, 20):
        for s in stands:
            s.hit(how)
        for s in stands:
            s.come_back(how)
        wait_for(lambda: all([s.moved() for s in stands]), 30, f"traffic after a {how}")
    for s in stands:
        s.workers.stop.set()
    for s in stands:
        s.workers.join()
        wait_for(lambda s=s: not zombies(s.server.proc.pid), 10, f"no zombies below {s.server.name}")
        s.produced.check()
        last = Workers([s.server.site], s.oracle.client())
        ends = s.oracle.await_all(20)
        last.stop.set()
        last.join()
        s.oracle.__exit__()
        s.oracle.check(ends, s.unanswered)  # whose messages a web server may have had when it went
        s.server.end()
        wait_for(lambda s=s: not s.responders(), 10, f"no responders of {s.server.name}: {s.responders()}")
        note(f"{s.server.name}: {s.faults} reloads, restarts, kills; traffic after {s.slowest:.1f} s at most; "
             f"{s.produced.counts()}; {s.oracle.counts()} ({s.unanswered} GETs unanswered)")


# A helper that is not there, hangs, is being restarted, or takes no more connections.

class Patient:
    """A helper behind nginx, and what each kind of request may take while the helper is in trouble."""

    SYNC, SLACK = 1, 0.8  # seconds: the option, and what a busy machine adds

    def __init__(self, h, produced, group):
        self.h, self.produced, self.group = h, produced, group
        self.server = Nginx(h)
        self.crowd = []

    def start(self):
        self.h.env["KAFKA_PIXY_SYNC_TIMEOUT_MS"] = str(self.SYNC * 1000)  # the responders' own
        self.h.start()
        self.server.start()
        return self

    def hit(self, kind):
        if kind == "absent":
            self.h.kill()
        elif kind == "no socket":
            self.h.kill()
            self.h.socket.unlink(missing_ok=True)
        elif kind == "restarting":
            self.h.kill()
        elif kind == "hung":
            self.h.proc.signal(signal.SIGSTOP)
        else:
            self.server.backend.end()
            self.server.backend.start()  # one that has no connections yet
            self.h.proc.signal(signal.SIGSTOP)
            self.fill()

    def fill(self):
        """Connections until the queue of the stopped helper takes no more."""
        while len(self.crowd) < 8192:
            s = socket.socket(socket.AF_UNIX)
            self.crowd.append(s)
            s.setblocking(False)
            try:
                s.connect(str(self.h.socket))
            except BlockingIOError:
                return
        raise AssertionError("the backlog has no end")

    def during(self, kind):
        if kind == "restarting":
            for _ in range(3):
                self.h.start()
                self.h.kill()

    def undo(self, kind):
        for s in self.crowd:
            s.close()
        self.crowd.clear()
        if kind in ("hung", "backlog full"):
            self.h.proc.signal(signal.SIGCONT)
        else:
            self.h.start()

    def calls(self, kind):
        """(what, most seconds, how): a second to connect, or the request's own time and a second of grace."""
        hung = kind == "hung" or kind == "restarting"
        topic = self.produced.topic
        return [("ping", 1 + 2 * hung, lambda s: s.call("GET", "/_ping")),
                ("async", 1 + 5 * hung, lambda s: self.post(s, {})),
                ("sync", 1 + self.SYNC * hung, lambda s: self.post(s, {"sync": ""})),
                ("consume", 1 + 3 * hung, lambda s: s.call("GET", messages(topic), {"group": self.group})),
                ("offsets", 1 + 6 * hung, lambda s: s.call("GET", offsets(topic), {"group": self.group}))]

    def post(self, session, query):
        value = f"{time.monotonic_ns()} {id(self)} {query}".encode()
        reply = session.call("POST", messages(self.produced.topic), query, value)
        self.produced.note(value, reply)
        return reply

    def works(self):
        """As soon as the helper is there."""
        s = self.server.site.session()
        replies = [self.post(s, {"sync": ""}), self.post(s, {}), s.call("GET", "/_ping")]
        s.close()
        return all(not isinstance(r, Exception) and r.status == 200 for r in replies)


@pytest.mark.timeout(LONG)
def test_helper_absent_hung_restarting_crowded(helper, broker, topic, name, note):
    s, produced, slowest, back = seed(), Produced(broker, topic), {}, 0.0
    rng, answers = random.Random(s), []
    stands = [Patient(helper(broker, start=False, coordination="local", syncTimeoutMs=Patient.SYNC * 1000), produced,
                      f"{name}-{n}").start() for n in range(4)]
    assert all(p.works() for p in stands)
    kinds, turns = ["absent", "no socket", "restarting", "backlog full"], rounds(5, 25)
    for turn in range(turns):
        mix = ["hung"] * 4 if turn % 5 == 0 else rng.sample(kinds, 4)
        asks = [(kind, *call, p) for p, kind in zip(stands, mix) for call in p.calls(kind)]

        def ask(session, number, _):
            kind, what, limit, call, _ = asks[number]
            start = time.monotonic()
            reply = call(session)
            answers.append((kind, what, limit, time.monotonic() - start, reply if isinstance(reply, Exception) else reply.status))
        for p, kind in zip(stands, mix):
            p.hit(kind)
        with Workers([p.server.site for *_, p in asks], ask) as workers:
            for p, kind in zip(stands, mix):
                p.during(kind)
            workers.join()
        start = time.monotonic()
        for p, kind in zip(stands, mix):
            p.undo(kind)
        for p in stands:
            wait_for(p.works, 10, "works again")
        back = max(back, time.monotonic() - start)
    for kind, what, limit, took, status in answers:
        allowed = (200, 408, 503, 504) if kind == "restarting" else (503, 504)
        assert status in allowed and took < limit + Patient.SLACK, (kind, what, limit, took, status)
        slowest[what] = max(slowest.get(what, 0), took)
    produced.check()
    said = ", ".join(f"{what} {took:.1f} s" for what, took in slowest.items())
    note(f"helper in trouble {4 * turns} times, {len(answers)} requests, slowest {said}; works again after {back:.1f} s; "
         f"{produced.counts()}; seed {s}")
    for p in stands:
        p.server.end()

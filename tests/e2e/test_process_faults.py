"""Processes around the helper that die, are restarted or hang, under load: nothing answered 200 is lost, nothing
skipped, and every request ends in time.
"""

import itertools
import os
import random
import select
import signal
import subprocess
import time

import pytest

import fastcgi
from consumer_oracle import ConsumerOracle
from procs import Proc, descendants, kill, program, rounds, seed, wait_for
from produced import Produced
from web import Workers, messages, offsets
from webservers import ALL, Nginx, Responder

FREED = 1  # seconds until a dead responder's place in the helper is free again
LONG = rounds(180, 3600)


@pytest.fixture(scope="module")
def broker(kafka_zk):
    return kafka_zk


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
        self.die(r, 1)
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

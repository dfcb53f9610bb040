"""Names that do not exist, many of them: they are told to be unknown, delay nobody, and are forgotten.

The environment makes the flood that is to be forgotten larger: KP_NAMES=100000.
"""

import os
import statistics
import threading
import time
from pathlib import Path

import pytest

from procs import rounds, wait_for
from web import Workers, messages, offsets

CLIENTS = 250  # enough for RATE: each name that nobody knows takes two seconds
CROWD = 200  # clients that ask at once, none of them waiting for another
RATE = 100  # unknown names a second, beside which others are served
SECONDS = rounds(8, 60)
NAMES = int(os.environ.get("KP_NAMES", rounds(3000, 100000)))
FORGET = 6  # s: longer than anything that may make a topic remembers its name
TICK = os.sysconf("SC_CLK_TCK")

KINDS = [
    lambda s, topic: s.call("POST", messages(topic), body=b"lost?"),
    lambda s, topic: s.call("GET", messages(topic), {"group": "g"}),
    lambda s, topic: s.call("GET", offsets(topic), {"group": "g"}),
]
SYNC = [lambda s, topic: s.call("POST", messages(topic), {"sync": ""}, body=b"lost?")]


@pytest.fixture(scope="module")
def gw(shared_gateway, kafka_zk):
    """The broker makes no topics."""
    return shared_gateway(kafka_zk)


@pytest.fixture(scope="module")
def broker(gw):
    return gw.broker


@pytest.fixture
def known(gw, topic, name):
    """A topic with a group, whose offsets are known to all that is between us and Kafka."""
    gw.tcp.produce(topic, b"here", sync=True)
    gw.tcp.join(topic, name)
    gw.tcp.offsets(topic, name)
    return topic


class Clock:
    """How long questions about what is known take, in ms, asked one after the other."""

    def __init__(self, gw, topic, group):
        self.took, self.bad = [], []

        def work(session, _, stop):
            while not stop.is_set():
                begin = time.monotonic()
                reply = session.call("GET", offsets(topic), {"group": group})
                self.took.append((time.monotonic() - begin) * 1000)
                if isinstance(reply, Exception) or reply.status != 200:
                    self.bad.append(reply)
                stop.wait(0.02)
        self.workers = Workers([gw.tcp], work)

    def stop(self):
        self.workers.stop.set()
        self.workers.join()
        assert not self.bad, self.bad[:3]
        return self

    def part(self, n):
        return statistics.quantiles(self.took, n=100)[n - 1]

    def __str__(self):
        return f"{len(self.took)} questions: median {self.part(50):.1f}, p99 {self.part(99):.1f}, most {max(self.took):.1f} ms"


def flood(gw, prefix, count, kinds, rate=None, clients=CLIENTS):
    """Asks for `count` names that nobody knows, and gives how often each status was answered."""
    found, lock, begin = {}, threading.Lock(), time.monotonic()

    def work(session, number, stop):
        for n in range(number, count, clients):
            if rate:
                stop.wait(max(0.0, begin + n / rate - time.monotonic()))
            if stop.is_set():
                return
            reply = kinds[n % len(kinds)](session, f"{prefix}-{n}")
            status = reply if isinstance(reply, Exception) else reply.status
            with lock:
                found[str(status)] = found.get(str(status), 0) + 1
    Workers([gw.tcp] * clients, work).join(60 + count / (rate or 100))
    return found


def cpu(pid, seconds):
    """The share of a core that a process takes."""
    def used():
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    before = used()
    time.sleep(seconds)
    return (used() - before) / TICK / seconds


def test_unknown_names_delay_nobody_and_are_404(gw, known, name, note):
    """By many at once as by one; and none of it is taken for a Kafka that cannot be reached."""
    before = gw.tcp.get("/_status").json
    clock = Clock(gw, known, name)
    found = flood(gw, f"x-{name}", RATE * SECONDS, KINDS, RATE)
    clock.stop()
    note(f"beside {RATE} unknown names a second by {CLIENTS} clients: {found}; {clock}")
    after = gw.tcp.get("/_status").json
    assert (after["accepted"], after["dead"]) == (before["accepted"], before["dead"])
    assert found == {"404": RATE * SECONDS}
    assert clock.part(90) <= 50, str(clock)


@pytest.mark.parametrize("kinds", rounds([KINDS + SYNC], [KINDS + SYNC, SYNC, *([k] for k in KINDS)]))
def test_crowd_that_asks_at_once_is_told_404(gw, known, name, kinds, note):
    """Each client about names of its own, as fast as it can."""
    found = flood(gw, f"w-{name}", 2 * CROWD, kinds, clients=CROWD)
    note(f"{2 * CROWD} unknown names by {CROWD} clients at once: {found}")
    assert found == {"404": 2 * CROWD}


def test_names_are_forgotten(gw, known, name, note):
    idle = cpu(gw.helper(), 3)
    found = flood(gw, f"y-{name}", NAMES, KINDS[2:])
    assert found == {"404": NAMES}
    loads = [cpu(gw.helper(), 2)]
    wait_for(lambda: loads.append(cpu(gw.helper(), 2)) or loads[-1] <= idle + 0.01, 60, f"nothing is left of it: {loads}")
    clock = Clock(gw, known, name)
    time.sleep(2)  # what is measured
    clock.stop()
    note(f"after {NAMES} unknown names: {loads[0]:.1%} of a core, then {loads[-1]:.1%}, before {idle:.1%}; {clock}")
    assert clock.part(90) <= 50, str(clock)


def test_deleted_topics_stay_deleted(gateway, kafka_kraft, name):
    """With a broker that makes each topic that it is asked for: to have asked for one is no use of it."""
    broker = kafka_kraft
    gw = gateway(broker, X="topic.metadata.refresh.interval.ms=1000")
    there, made = broker.create_topic(f"there-{name}"), f"made-{name}"
    gw.tcp.offsets(there, name)
    assert gw.tcp.get(messages(made), {"group": name}).status == 408
    wait_for(lambda: made in broker.topics(), 20, "the broker has made it")
    time.sleep(FORGET)  # so long it may go on to ask for what was to be made
    for deleted in broker.admin().delete_topics([there, made]).values():
        deleted.result(30)
    wait_for(lambda: not broker.topics() & {there, made}, 20, "both are deleted")
    time.sleep(FORGET)  # what made them again would do so meanwhile
    assert not broker.topics() & {there, made}

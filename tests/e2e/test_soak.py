"""Nothing grows: mixed load at a pace far below what there is room for, and what each process takes at the end beside
what it took at the beginning. Async, sync, consume, each kind of acknowledgement, offsets, who consumes, receipts, names
and groups that nobody has heard of, 300 topics, 50 groups that come and go; brokers and responders are restarted, the
broker comes back on another port, and a topic is deleted and made again.

    KP_SOAK               seconds (116, and 7200 with KP_LONG=1), beside a warm-up
    KP_SOAK_COORDINATION  kafka, zookeeper or local (local, and kafka with KP_LONG=1)
    KP_SOAK_RATE          async messages a second to the busy topics (300)
    KP_SOAK_BROKERS       1 or 3 (1: with three, two cores have no room for anything else, and none moves)

A quarter of it, of whole cycles of the groups, is looked at; in the next two parts are restarted; and the last quarter
is beside the first. Neither of these has a restart in it, but the warm-up has, so both see the same load on the same
parts after restarts, and what a restart leaves behind is seen in the last.
"""

import csv
import itertools
import json
import os
import signal
import time
import uuid
from collections import Counter
from statistics import median

import pytest

from cluster import KraftCluster, ZookeeperCluster
from gateway import BUILD, HELPER, RESPONDER
from kafka import KafkaKraft, KafkaWithZookeeper
from oracle import conserved, status
from procs import Proc, Proxy, alive, free_port, kill, new_folder, program, rounds, tail, wait_for
from sampler import Sampler
from web import offsets

TOPICS, BUSY, GROUPS, PARTITIONS = 300, 4, 50, 2
WORK_S, REST_S = 4, 25  # a group is left when nobody has asked for it for 20 s, after a poll of 3 s
CYCLE_S = WORK_S + REST_S
RESPONDERS = 3

SOAK_S = int(os.environ.get("KP_SOAK") or rounds(4 * CYCLE_S, 7200))
QUARTER_S = max(SOAK_S // 4 // CYCLE_S, 1) * CYCLE_S
SETTLE_S = max(CYCLE_S, SOAK_S // 12)  # after the restarts of the warm-up
BEHIND = 3000  # messages for groups that rest, and some
COORDINATION = os.environ.get("KP_SOAK_COORDINATION") or rounds("local", "kafka")
RATE = float(os.environ.get("KP_SOAK_RATE") or 300)
BROKERS = int(os.environ.get("KP_SOAK_BROKERS") or 1)
LONG = bool(os.environ.get("KP_LONG"))

# How much more the last quarter may take than the first, and what is no more than noise.
BOUND = 0.05
FLOOR = {"rss_kb": 256, "threads": 2, "fds": 4} if LONG else {"rss_kb": 2048, "threads": 32, "fds": 64}
# A young helper takes more with the first restarts of Kafka: what malloc keeps, and receipts.
YOUNG_KB = 0 if LONG else 8192
CPU_BOUND = 0.05  # in the long run alone: beside other tests for two minutes it says nothing
MISSED = 0.01  # in a quarter, of what was asked

# What happens in the middle, one after the other.
EVERY_S = 200 if LONG else 15
MOVES = BROKERS == 1 and COORDINATION != "zookeeper"
EVENTS = ["broker", "responder", "topic", "move", "responder"] if MOVES else ["broker", "responder", "topic", "responder"]

pytestmark = pytest.mark.timeout(SETTLE_S + 4 * QUARTER_S + 1200)


WITHOUT_CREATION = "auto.create.topics.enable=false\ncontrolled.shutdown.enable=true\n"


def without_creation(kind):
    class Kind(kind):
        """It creates no topics that are asked for, and moves its leaders before it stops."""
        def start(self):
            for node in nodes(self):
                text = node.config.read_text().removesuffix(WITHOUT_CREATION)
                node.config.write_text(text + WITHOUT_CREATION)
            super().start()
    return Kind


def make_broker():
    zookeeper = COORDINATION == "zookeeper"
    one, three = (KafkaWithZookeeper, ZookeeperCluster) if zookeeper else (KafkaKraft, KraftCluster)
    return without_creation({1: one, 3: three}[BROKERS])()


def nodes(broker):
    return getattr(broker, "nodes", [broker])


def make_topics(broker, run):
    """Old messages go, so that a disk does not fill up in hours."""
    names = [f"{run}-{i}" for i in range(TOPICS)]
    for at in range(0, TOPICS, 50):
        broker.create_topics(names[at:at + 50], PARTITIONS, segment_bytes=16 << 20, retention_bytes=48 << 20)


class Load:
    """build/soak, and what it has told so far."""

    def __init__(self, gw, run):
        self.folder = new_folder("soak")
        self.proc = Proc("soak", [BUILD / "soak", "--port", gw.tcp.port, "--run", run, "--topics", TOPICS, "--busy", BUSY,
                                  "--groups", GROUPS, "--work", WORK_S, "--rest", REST_S, "--pace", f"async={RATE}"],
                         self.folder)

    def lines(self):
        return [json.loads(line) for line in self.proc.output().splitlines() if line.endswith("}")]

    def await_ready(self):
        self.proc.wait_ready(lambda: '"ready"' in self.proc.output(), 120, "all groups have joined")

    def await_settled(self):
        """All is asked in time, and nobody is behind by more than is due to rests."""
        def settled():
            lines = self.lines()[-5:]
            return lines[0].get("missed") == lines[-1]["missed"] and all(line.get("behind", BEHIND) < BEHIND for line in lines)
        wait_for(settled, 240, "consumers have caught up", every=1)

    def unasked(self):
        """Kafka will not be there: no more posts to unknown names, whose answers would be 200 then, and rightly."""
        told = len(self.lines())
        self.proc.signal(signal.SIGUSR1)
        wait_for(lambda: any(line.get("posts_out") == 0 for line in self.lines()[told + 1:]), 30,
                 "all posts to unknown names are answered", every=0.2)

    def finish(self):
        """Consumes what is left. What it says at the end."""
        self.proc.signal(signal.SIGTERM)
        assert self.proc.wait(300) == 0, self.proc.output()[-2000:]
        return self.lines()[-1]


# The processes.

RESTARTED = "responders restarted"


def names_of(gw, spared):
    """{pid: name} of all parts: a responder that was spared restarts is not one of the others."""
    found = {gw.proc.pid: "launcher"}
    for pid in gw.pids():
        what = program(pid)
        if what == HELPER:
            found[pid] = "helper"
        elif what == RESPONDER:
            found[pid] = "responder" if pid == spared else RESTARTED
        elif what == "nginx":
            found[pid] = "nginx"
    return found


def restart_responder(gw, spared, count):
    """In order, as one does to all of them, one after the other; the launcher starts another."""
    pids = sorted(p for p in gw.pids(RESPONDER) if p != spared)
    pid = pids[count % len(pids)]
    kill(pid, signal.SIGTERM)
    wait_for(lambda: not alive(pid) and len(gw.pids(RESPONDER)) == RESPONDERS, 30, "the responder was restarted")


def restart_broker(broker, gw, load, count):
    node = nodes(broker)[count % len(nodes(broker))]
    alone = len(nodes(broker)) == 1
    if alone:
        load.unasked()
    node.stop()
    node.start()
    broker.await_all_whole()
    if alone:
        wait_for(lambda: "error" not in status(gw), 30, "Kafka is up, says the gateway")
        load.proc.signal(signal.SIGUSR2)


def move_broker(broker, door, gw, load):
    load.unasked()
    broker.move()
    door.set(f"target {broker.port}")
    wait_for(lambda: "error" not in status(gw), 60, "Kafka is found, says the gateway")
    load.proc.signal(signal.SIGUSR2)


def make_topic_again(broker, gw, topic):
    """All of the new one is read by a group that has read the old one."""
    old = topic in broker.topics()
    if old:
        broker.admin().delete_topics([topic])[topic].result(30)
        wait_for(lambda: topic not in broker.topics(), 20, "the topic is deleted")
    broker.create_topics([topic], 1)
    for i in range(10):
        wait_for(lambda: gw.tcp.produce(topic, b"%d" % i, sync=True).status == 200, 20, "it is produced to")
    if not old:
        gw.tcp.post(offsets(topic), b'[{"partition": 0, "offset": 0}]', {"group": topic})
    gw.tcp.consume_all(topic, topic, 10)


class Soak:
    """A gateway, its load, and what is done to it."""

    def __init__(self, broker, door, gw, run):
        self.broker, self.door, self.gw, self.again = broker, door, gw, f"{run}-again"
        self.spared = min(gw.pids(RESPONDER))
        self.old = [gw.helper(), self.spared, *gw.pids("nginx")]
        self.done = Counter()
        self.sampler = Sampler(lambda: names_of(gw, self.spared))
        self.load = Load(gw, run)

    def restart(self, what):
        if what == "responder":
            restart_responder(self.gw, self.spared, self.done[what])
        elif what == "topic":
            make_topic_again(self.broker, self.gw, self.again)
        elif what == "move":
            move_broker(self.broker, self.door, self.gw, self.load)
        else:
            restart_broker(self.broker, self.gw, self.load, self.done[what])
        self.done[what] += 1

    def last(self, seconds):
        """Looks on. When that was, from and to."""
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            assert self.load.proc.running() and self.gw.proc.running()
            died = [self.sampler.names.get(pid) for pid in self.old if not alive(pid)]
            assert not died, f"{died} ended:\n{tail(self.gw.proc.log)}"
            time.sleep(0.5)
        return begin, begin + seconds

    def run(self):
        """The first quarter and the last, as times."""
        self.load.await_ready()
        self.restart("responder")
        for _ in range(max(len(nodes(self.broker)), 2)):
            self.restart("broker")
        self.load.await_settled()
        self.last(SETTLE_S)
        first = self.last(QUARTER_S)
        until = time.monotonic() + 2 * QUARTER_S - CYCLE_S
        for what in itertools.cycle(EVENTS):
            self.restart(what)
            if time.monotonic() > until - EVERY_S:
                break
            self.last(EVERY_S)
        self.load.await_settled()
        self.last(max(until - time.monotonic(), 0) + CYCLE_S)
        return first, self.last(QUARTER_S)

    def end(self):
        self.sampler.stop()
        self.load.proc.end()


# The verdict.

TIMED = ("async", "sync", "offsets", "unknown")


def measured(soak, times):
    """What was answered in a quarter, how fast, and what it cost."""
    begin, end = times
    lines = [line for line in soak.load.lines() if begin <= line.get("t", 0) < end]
    done = {kind: sum(line[kind][0] for line in lines) for kind in ("async", "quiet", "sync")}
    messages, cpu = sum(done.values()), soak.sampler.cpu_s(begin, end)

    def typical(kind, place):
        return median([line[kind][place] for line in lines if line[kind][0]] or [0])
    return {"rate": messages / (end - begin), "missed": (lines[-1]["missed"] - lines[0]["missed"]) / messages,
            "work": median(line["work"] for line in lines),
            "cpu": {name: 1e6 * s / messages for name, s in cpu.items()}, "cpu_all": 1e6 * sum(cpu.values()) / messages,
            "times": {f"{kind} {what}": typical(kind, place) for kind in TIMED for what, place in (("p50", 1), ("p99", 2))}}


def compare(soak, first, last):
    """Lines of a report, and what is beyond its bound."""
    lines, wrong = [], []

    def row(name, before, after, beyond=False, unit=""):
        lines.append(f"{name:30} {before:10.1f} {after:10.1f} {unit:3}{' BEYOND' if beyond else ''}".rstrip())
        if beyond:
            wrong.append(f"{name}: {before:.1f}, then {after:.1f} {unit}".rstrip())
    old = soak.sampler.lived(first[0], last[1])
    for name in ("launcher", "helper", "responder", "nginx"):  # what was restarted was young in the first
        for what, floor in FLOOR.items():
            if name == "helper" and what == "rss_kb":
                floor = max(floor, YOUNG_KB)
            # As many threads come and go as are asked at the same time. They are judged by themselves.
            if name == "responder" and what == "fds":
                what = "fds_besides"
            before, after = (soak.sampler.typical(old[name], what, *times) for times in (first, last))
            row(f"{name} {what}", before, after, after - before > max(before * BOUND, floor))
    before, after = measured(soak, first), measured(soak, last)
    drift = after["work"] / before["work"]
    row("a piece of work", before["work"], after["work"], unit="us")
    row("CPU a message", before["cpu_all"], after["cpu_all"],
        LONG and after["cpu_all"] / drift > before["cpu_all"] * (1 + CPU_BOUND), "us")
    for name in sorted(before["cpu"]):
        row(f"  {name}", before["cpu"][name], after["cpu"].get(name, 0), unit="us")
    row("messages", before["rate"], after["rate"], after["rate"] < before["rate"] * (1 - BOUND), "/s")
    row("missed", 100 * before["missed"], 100 * after["missed"], after["missed"] > MISSED, "%")
    for name in before["times"]:
        row(name, before["times"][name], after["times"][name], unit="us")
    return lines, wrong


# What load counts, and must not.
NEVER = ("lost", "phantom", "refused_seen", "kept_unknown", "dead")


def keep(sampler, folder):
    with open(folder / "samples.csv", "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["pid", "name", "at", "rss_kb", "anon_kb", "threads", "fds", "cpu_s"])
        for pid, seen in sampler.seen.items():
            out.writerows([pid, sampler.names[pid], round(s.at, 1), s.rss_kb, s.anon_kb, s.threads, s.fds, round(s.cpu_s, 2)]
                          for s in seen)


def test_nothing_grows(gateway, note):
    broker, run, soak, door = make_broker(), "s" + uuid.uuid4().hex[:6], None, None
    try:
        broker.start()
        broker.warm_up()
        make_topics(broker, run)
        options = {"coordination": COORDINATION, "responders": RESPONDERS}
        if MOVES:
            door = Proxy(free_port(), broker.port)
            options["kafkaPeers"] = f"127.0.0.1:{door.port}"
        gw = gateway(broker, **options)
        soak = Soak(broker, door, gw, run)
        first, last = soak.run()
        said = soak.load.finish()
        wait_for(lambda: status(gw)["pending"] == 0, 60, "nothing is pending")
        said["dead"] = conserved(gw)["dead"]
        lines, wrong = compare(soak, first, last)
        keep(soak.sampler, soak.load.folder)
        wrong += [f"{what} {said[what]}" for what in NEVER if said[what]]
        note(f"soak of {4 * QUARTER_S} s, {COORDINATION}, Kafka {broker.version}, brokers {len(nodes(broker))}, "
             f"restarts {dict(soak.done)}: {said}\n" + "\n".join(lines))
        assert not wrong, "; ".join(wrong) + f" (samples in {soak.load.folder})"
    finally:
        if soak:
            soak.end()
        if door:
            door.end()
        broker.end()

"""Nothing grows: mixed load at a pace far below what there is room for, and what each process takes at its end beside
what it took at its beginning. Async, sync, consume, all kinds of acknowledgements, offsets, who consumes, receipts, names
and groups that nobody has heard of, 300 topics, 50 groups that come and go; brokers and responders are restarted.

    KP_SOAK               seconds (128, and 7200 with KP_LONG=1), beside a warm-up
    KP_SOAK_COORDINATION  kafka, zookeeper or local (kafka)
    KP_SOAK_RATE          async messages a second to the busy topics (300)

Four quarters of whole cycles of the groups. Restarts fall into the warm-up and the two in the middle, so that the first
and the last see the same load on the same parts, and what a restart has left behind is seen in the last.
"""

import csv
import json
import os
import signal
import subprocess
import time
import uuid
from collections import Counter
from statistics import median

import pytest
from confluent_kafka.admin import NewTopic

from cluster import KraftCluster, ZookeeperCluster
from gateway import BUILD, HELPER, RESPONDER
from kafka import KafkaKraft, KafkaWithZookeeper
from oracle import conserved, status
from procs import Proc, alive, kill, new_folder, program, rounds, wait_for
from sampler import Sampler

TOPICS, BUSY, GROUPS, PARTITIONS = 300, 4, 50, 2
WORK_S, REST_S = 6, 26  # a group is left when nobody has asked for it for 20 s, after a poll of 3 s
CYCLE_S = WORK_S + REST_S
RESPONDERS = 3

SOAK_S = int(os.environ.get("KP_SOAK") or rounds(4 * CYCLE_S, 7200))
QUARTER_S = max(SOAK_S // 4 // CYCLE_S, 1) * CYCLE_S
WARM_S = max(QUARTER_S // 4 // CYCLE_S, 1) * CYCLE_S
COORDINATION = os.environ.get("KP_SOAK_COORDINATION") or "kafka"
RATE = float(os.environ.get("KP_SOAK_RATE") or 300)

# How much more the last quarter may take than the first, and what is no more than noise.
BOUND = 0.05
FLOOR = {"rss_kb": 256, "threads": 2, "fds": 4}
CPU_BOUND = rounds(0.5, 0.05)
EVERY_S = {"responder": rounds(20, 240), "broker": rounds(1000, 400)}  # restarts in the middle

pytestmark = pytest.mark.timeout(WARM_S + 4 * QUARTER_S + 900)


def without_creation(kind):
    class Kind(kind):
        """It creates no topics that are asked for."""
        def __init__(self):
            super().__init__()
            for node in getattr(self, "nodes", [self]):
                node.config.write_text(node.config.read_text() + "auto.create.topics.enable=false\n")
    return Kind


def make_broker():
    zookeeper = COORDINATION == "zookeeper"
    one, three = (KafkaWithZookeeper, ZookeeperCluster) if zookeeper else (KafkaKraft, KraftCluster)
    return without_creation(rounds(one, three))()


def nodes(broker):
    return getattr(broker, "nodes", [broker])


def make_topics(broker, run):
    """As many at once as it takes; old messages go, so that a disk does not fill up in hours."""
    config = {"segment.bytes": str(16 << 20), "retention.bytes": str(48 << 20)}
    names = [f"{run}-{i}" for i in range(TOPICS)]
    for at in range(0, TOPICS, 50):
        made = broker.admin().create_topics([NewTopic(n, PARTITIONS, broker.replicas, config=config)
                                             for n in names[at:at + 50]])
        for f in made.values():
            f.result(60)
    await_in_step(broker, 120)


def await_in_step(broker, timeout=180):
    """All partitions have all their copies, and leaders that act as such."""
    def in_step():
        found = broker.admin().list_topics(timeout=10).topics
        return len(found) >= TOPICS and all(
            len(p.isrs) == broker.replicas and p.leader >= 0 for t in found.values() for p in t.partitions.values())
    wait_for(in_step, timeout, "all copies in step", every=0.5)


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

    def finish(self):
        """Consumes what is left. What it says at the end."""
        self.proc.signal(signal.SIGTERM)
        assert self.proc.wait(300) == 0, self.proc.output()[-2000:]
        return self.lines()[-1]


# The processes.

def names_of(gw, spared):
    """{pid: name} of all parts: a responder that was spared restarts is not one of the others."""
    found = {gw.proc.pid: "launcher"}
    workers = 0
    for pid in sorted(gw.pids()):
        what = program(pid)
        if what == HELPER:
            found[pid] = "helper"
        elif what == RESPONDER:
            found[pid] = "responder" if pid == spared else "responders restarted"
        elif what == "nginx":
            master = pid == min(p for p in gw.pids("nginx"))
            workers += not master
            found[pid] = "nginx" if master else f"nginx worker {workers}"
    return found


def restart_responder(gw, spared, count):
    """In order, as one does to all of them, one after the other; the launcher starts another."""
    pids = sorted(p for p in gw.pids(RESPONDER) if p != spared)
    pid = pids[count % len(pids)]
    kill(pid, signal.SIGTERM)
    wait_for(lambda: not alive(pid) and len(gw.pids(RESPONDER)) == RESPONDERS, 30, "the responder was restarted")


def restart_broker(broker, load, count):
    node = nodes(broker)[count % len(nodes(broker))]
    alone = len(nodes(broker)) == 1
    if alone:
        load.proc.signal(signal.SIGUSR1)
    node.stop()
    node.start()
    await_in_step(broker)
    if alone:
        load.proc.signal(signal.SIGUSR2)


class Restarts:
    """One of each kind in the warm-up, then each EVERY_S of the middle, and at least one."""

    def __init__(self, begin):
        middle = (begin + QUARTER_S, begin + 3 * QUARTER_S - CYCLE_S / 2)
        self.due, self.done = [], Counter()
        for what, every in EVERY_S.items():
            self.due.append((begin - WARM_S + 2, what))
            at = middle[0] + 2
            while at < middle[1]:
                self.due.append((at, what))
                at += every
        self.due.sort()

    def next(self):
        return self.due.pop(0) if self.due else (float("inf"), None)


# The verdict.

def quarters(load, sampler, begin):
    """What was answered, how fast, and what it cost, of each quarter."""
    lines, found = [line for line in load.lines() if "t" in line], []
    for i in range(4):
        b, e = begin + i * QUARTER_S, begin + (i + 1) * QUARTER_S
        mine = [line for line in lines if b <= line["t"] < e]
        done = {k: sum(line[k][0] for line in mine) for k, v in mine[0].items() if isinstance(v, list)}
        messages = done["async"] + done["quiet"] + done["sync"]
        cpu = sampler.cpu_s(b, e)
        found.append({
            "begin": b, "end": e, "rate": messages / QUARTER_S, "consumed": done["consume"] / QUARTER_S,
            "p50": {k: median(line[k][1] for line in mine if line[k][0]) for k in ("async", "sync", "offsets", "unknown")},
            "p99": {k: median(line[k][2] for line in mine if line[k][0]) for k in ("async", "sync", "offsets", "unknown")},
            "work": median(line["work"] for line in mine),
            "cpu": {name: 1e6 * s / messages for name, s in cpu.items()},
            "cpu_all": 1e6 * sum(cpu.values()) / messages})
    return found


def compare(sampler, q):
    """Lines of a report, and what is beyond its bound."""
    first, last = q[0], q[3]
    lines, wrong = [], []

    def row(name, before, after, beyond, unit=""):
        lines.append(f"{name:34} {before:10.1f} {after:10.1f} {unit:4}{'  BEYOND' if beyond else ''}")
        if beyond:
            wrong.append(f"{name}: {before:.1f} then {after:.1f} {unit}")
    for pid in sampler.lived(first["begin"], last["end"]):
        for what, floor in FLOOR.items():
            before = sampler.typical(pid, what, first["begin"], first["end"])
            after = sampler.typical(pid, what, last["begin"], last["end"])
            row(f"{sampler.names[pid]} {what}", before, after, after - before > max(before * BOUND, floor))
    drift = last["work"] / first["work"]
    row("a piece of work", first["work"], last["work"], False, "us")
    row("CPU a message", first["cpu_all"], last["cpu_all"],
        last["cpu_all"] / drift > first["cpu_all"] * (1 + CPU_BOUND), "us")
    for name in sorted(first["cpu"]):
        row(f"    {name}", first["cpu"][name], last["cpu"].get(name, 0), False, "us")
    row("messages", first["rate"], last["rate"], last["rate"] < first["rate"] * (1 - BOUND), "/s")
    row("consumed", first["consumed"], last["consumed"], False, "/s")
    for what in ("p50", "p99"):
        for kind in first[what]:
            row(f"{kind} {what}", first[what][kind], last[what][kind], False, "us")
    return lines, wrong


def keep(sampler, folder):
    with open(folder / "samples.csv", "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["pid", "name", "at", "rss_kb", "anon_kb", "threads", "fds", "cpu_s"])
        for pid, seen in sampler.seen.items():
            out.writerows([pid, sampler.names[pid], round(s.at, 1), s.rss_kb, s.anon_kb, s.threads, s.fds, round(s.cpu_s, 2)]
                          for s in seen)


def test_nothing_grows(gateway, note):
    broker, run = make_broker(), "s" + uuid.uuid4().hex[:6]
    sampler = load = None
    try:
        broker.start()
        broker.warm_up()
        make_topics(broker, run)
        gw = gateway(broker, coordination=COORDINATION, responders=RESPONDERS)
        spared = min(gw.pids(RESPONDER))
        sampler = Sampler(lambda: names_of(gw, spared))
        load = Load(gw, run)
        load.await_ready()
        begin = time.monotonic() + WARM_S
        restarts = Restarts(begin)
        at, what = restarts.next()
        while time.monotonic() < begin + 4 * QUARTER_S:
            assert load.proc.running() and gw.proc.running()
            if time.monotonic() >= at:
                restart_responder(gw, spared, restarts.done[what]) if what == "responder" else \
                    restart_broker(broker, load, restarts.done[what])
                restarts.done[what] += 1
                at, what = restarts.next()
            time.sleep(0.5)
        said = load.finish()
        wait_for(lambda: status(gw)["pending"] == 0, 60, "nothing is pending")
        kept = conserved(gw)
        q = quarters(load, sampler, begin)
        lines, wrong = compare(sampler, q)
        keep(sampler, load.folder)
        for what in ("lost_count", "phantom", "refused_seen", "kept_unknown"):
            if said[what]:
                wrong.append(f"{what} {said[what]}")
        if kept["dead"]:
            wrong.append(f"dead {kept['dead']}")
        if said["missed"] > said["sent"] * BOUND:
            wrong.append(f"missed {said['missed']}")
        note(f"soak of {4 * QUARTER_S} s, {COORDINATION}, Kafka {broker.version}, {len(nodes(broker))} brokers; restarts "
             f"{dict(restarts.done)}; {said}; accepted {kept['accepted']}, dead {kept['dead']}\n" + "\n".join(lines))
        assert not wrong, "; ".join(wrong) + f" (samples in {load.folder})"
    finally:
        if sampler:
            sampler.stop()
        if load:
            load.proc.end()
        broker.end()

"""What takes long: brokers that fail under load, an outage until the store is full, and a soak. `make check-long`.

    KP_FAULTS   leaders that fail (default 50)
    KP_OUTAGE   seconds without Kafka (600)
    KP_SOAK     seconds of mixed load with kills (1200)
"""

import os
import random
import signal
import time

import pytest

from cluster import KraftCluster, ZookeeperCluster
from oracle import Oracle, conserved, status, wall_ms
from procs import _stat, wait_for
from stand import kill
from web import Workers, messages

pytestmark = [pytest.mark.long, pytest.mark.timeout(7000)]

FAULTS = int(os.environ.get("KP_FAULTS", 50))
OUTAGE = int(os.environ.get("KP_OUTAGE", 600))
SOAK = int(os.environ.get("KP_SOAK", 1200))

RESTARTS = min(20, OUTAGE // 15)
RSS_MAX_MB = 160
WAL_MAX_MB = 64
FDS_MAX = 500
DRAIN_MIN = 5000


class Body:
    """The most that the helper has taken so far, of memory, descriptors and log."""

    def __init__(self, stand):
        self.stand = stand
        self.rss_mb = self.fds = self.wal_mb = 0

    def look(self):
        pid = self.stand.helper.proc.pid
        with open(f"/proc/{pid}/status") as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
        wal = self.stand.store.with_name(self.stand.store.name + "-wal")
        self.rss_mb = max(self.rss_mb, rss / 1024)
        self.fds = max(self.fds, len(os.listdir(f"/proc/{pid}/fd")))
        self.wal_mb = max(self.wal_mb, wal.stat().st_size / 2**20 if wal.exists() else 0)

    def check(self):
        assert self.rss_mb < RSS_MAX_MB and self.fds < FDS_MAX and self.wal_mb < WAL_MAX_MB, str(self)

    def __str__(self):
        return f"RSS {self.rss_mb:.0f} MB, {self.fds} descriptors, log {self.wal_mb:.0f} MB at most"


# Brokers that fail.

def break_leader(cluster, oracle, rng, how):
    """The leader of a partition dies, or stands still for 5 to 60 s; another must take over meanwhile."""
    partition = rng.randrange(4)
    old = wait_for(lambda: cluster.leader(oracle.topic, partition), 30, "a leader")
    begin = wall_ms()
    pause_until = time.monotonic() + rng.uniform(5, 60)
    if how == "kill":
        old.kill()
        assert old.proc.popen.returncode == -signal.SIGKILL
    else:
        old.pause()
        wait_for(lambda: _stat(old.proc.pid)[0] == "T", 5, "it stands still")
    try:
        wait_for(lambda: cluster.leader(oracle.topic, partition) not in (old, None), 60, "another leader", every=0.2)
        oracle.await_traffic(20, 60, "traffic during the fault")
        if how == "pause":
            time.sleep(max(0, pause_until - time.monotonic()))
    finally:
        old.launch() if how == "kill" else old.resume()
    if how == "kill":
        old.await_ready()
    cluster.await_whole(oracle.topic)
    oracle.fault(f"leader {how}", begin)


@pytest.mark.parametrize("kind", [KraftCluster, ZookeeperCluster])
def test_nothing_is_lost_when_leaders_fail(stand, name, note, kind):
    cluster = kind()
    try:
        cluster.start()
        at = stand(cluster, coordination="local")
        oracle = Oracle(cluster, cluster.create_topic(name))
        rng = random.Random(oracle.seed)
        with oracle.load(at.site, rate=400, large=2000):
            for _ in range(FAULTS if kind is KraftCluster else max(FAULTS // 5, 2)):
                oracle.await_traffic(50, 60)
                break_leader(cluster, oracle, rng, rng.choice(["kill", "pause"]))
            oracle.await_traffic(50, 60)
        oracle.settle(at, 120)
        note(f"Kafka {cluster.version}, 3 brokers, min.insync.replicas 2: {oracle.counts()}")
    finally:
        cluster.end()


# An outage.

def drain(stand, count):
    """Messages a second, from the first of `count` that leaves the store to the last."""
    wait_for(lambda: status(stand)["pending"] < count, 90, "Kafka takes messages again", every=0.02)
    begin, left = time.monotonic(), status(stand)["pending"]
    wait_for(lambda: status(stand)["pending"] == 0, 60 + count / 1000, "the store is empty", every=0.05)
    return left / (time.monotonic() - begin)


def test_long_outage(stand, kafka_kraft, name, note):
    """Kafka is away until the store is full, and longer; the helper is killed or stopped up to 20 times."""
    rate = 1000
    at = stand(storeMaxBytes=max(OUTAGE * rate * 80, 4 << 20))
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    body, begin = Body(at), wall_ms()
    with oracle.load(at.site, rate=rate, sync=0, most=1000):
        oracle.await_traffic(100)
        kafka_kraft.stop()
        try:
            began = time.monotonic()
            for i in range(1, RESTARTS + 1):
                while time.monotonic() < began + OUTAGE * i / (RESTARTS + 1):
                    body.look()
                    time.sleep(0.5)
                if i % 2:
                    kill(at, oracle)
                else:
                    at.stop()
                at.helper.start()
                sent = len(oracle.follow().sent)
                wait_for(lambda: len(oracle.follow().sent) > sent, 10, "traffic between the restarts")
            time.sleep(max(0, began + OUTAGE - time.monotonic()))
            body.look()
        except BaseException:
            kafka_kraft.start()
            raise
    pending = conserved(at)["pending"]
    kafka_kraft.launch()
    speed = drain(at, pending)
    body.look()
    kafka_kraft.await_ready()
    oracle.fault("Kafka away", begin)
    full = oracle.full
    assert full and min(full) >= 1 and max(full) <= 300, full
    oracle.settle(at, 300)
    body.check()
    note(f"outage of {OUTAGE} s, {RESTARTS} restarts, {pending} pending at its end, {full.total()} refused as it was "
         f"full (Retry-After {min(full)} to {max(full)} s), then {speed:.0f} messages a second; {body}: "
         f"{oracle.counts()}")
    assert speed >= DRAIN_MIN


# A soak.

def test_soak(stand, kafka_kraft, name, note):
    """Mixed load for long, consumers too, and a kill now and then: nothing is lost, and nothing grows."""
    at = stand()
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    rng, body, consumed = random.Random(oracle.seed), Body(at), []

    def consume(session, number, stop):
        while not stop.is_set():
            reply = session.call("GET", messages(oracle.topic), {"group": name})
            if not isinstance(reply, Exception) and reply.status == 200:
                consumed.append(number)
            else:
                stop.wait(0.1)
    until = time.monotonic() + SOAK
    with oracle.load(at.site, rate=300, large=1000), Workers([at.site] * 2, consume):
        while time.monotonic() < until:
            kill_at = time.monotonic() + rng.uniform(30, min(300, max(31, SOAK / 4)))
            while time.monotonic() < min(kill_at, until):
                body.look()
                time.sleep(1)
            oracle.await_traffic(20)
            before = len(consumed)
            wait_for(lambda: len(consumed) > before, 30, "a consumed message")
            kill(at, oracle)
            at.helper.start()
        oracle.await_traffic(20)
    oracle.settle(at)
    body.check()
    note(f"soak of {SOAK} s: {len(consumed)} consumed; {body}: {oracle.counts()}")

"""A bad network between helper and broker: what was answered is true, nothing is lost or skipped, memory stays bounded."""

import random
import re
import time

import pytest

from consumer_oracle import ConsumerOracle
from procs import rounds, seed, wait_for
from produced import Produced
from web import Workers
from webservers import Nginx

RSS = 64 << 20  # what a helper may grow by
SOCKET_TIMEOUT = 3000  # ms; librdkafka's own 60 s is longer than a test
KINDS = ["latency", "trickle", "reset", "blackhole", "halfopen", "cut"]


def memory(pid, what):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(rf"^{what}:\s*(\d+) kB$", f.read(), re.M)[1]) << 10


def allowed(pid):
    with open(f"/proc/{pid}/maps") as f:
        return RSS * (4 if "libasan" in f.read() else 1)  # which keeps what was freed


def command(rng, kind):
    if kind == "latency":
        return f"latency {rng.choice([5, 50, 300, 1000])}"
    return f"cut {rng.choice([0, 1, 3, 4, 8, 20, rng.randrange(1, 300), rng.randrange(1, 5000)])}" if kind == "cut" else kind


@pytest.mark.timeout(rounds(180, 3600))
def test_bad_network(helper, kafka_kraft, proxy, name, note):
    broker, count, s = kafka_kraft, rounds(10, 200), seed()
    rng, topic = random.Random(s), broker.create_topic(name)
    h = helper(broker, kafkaPeers=f"127.0.0.1:{broker.proxied}", initialOffset="oldest", syncTimeoutMs=2000,
               X=f"socket.timeout.ms={SOCKET_TIMEOUT}")
    h.env["KAFKA_PIXY_SYNC_TIMEOUT_MS"] = "2000"
    nginx = Nginx(h)
    nginx.start()
    oracle, produced, slowest = ConsumerOracle(broker, topic, name), Produced(broker, topic, 1000), 0.0
    work = [produced.client(sync=True, pace=0.005)] * 3 + [produced.client(pace=0.005)] * 3 + [oracle.client()] * 3
    order = [rng.sample(KINDS, len(KINDS)) for _ in range(count // len(KINDS) + 1)]
    with oracle, Workers([nginx.site] * len(work), lambda session, n, stop: work[n](session, n, stop)) as load:
        def moved():
            now = (sum(at is not None for at in list(produced.acked.values())), len(produced.acked), len(oracle.log))
            assert not load.errors, load.errors
            return now[0] > before[0] + 10 and now[1] > before[1] + 30 and now[2] > before[2] + 10
        before = (0, 0, 0)
        wait_for(moved, 30, "traffic before")
        base, hits = memory(h.proc.pid, "VmRSS"), 0
        for kind in sum(order, [])[:count]:
            oracle.fault(kind)
            _, hit = proxy.set(command(rng, kind))
            load.stop.wait(rng.uniform(0.3, 2))
            _, now = proxy.set("pass")
            hits += now > hit or kind in ("reset", "halfopen")
            oracle.fault(f"{kind} ends")
            start = time.monotonic()
            before = (sum(at is not None for at in list(produced.acked.values())), len(produced.acked), len(oracle.log))
            wait_for(moved, 30, f"traffic after {kind}")
            slowest = max(slowest, time.monotonic() - start)
    with Workers([nginx.site] * 2, oracle.client()):
        produced.check()
        ends = oracle.await_all(30)
    oracle.check(ends, interval=SOCKET_TIMEOUT / 1000 + 10)
    peak, limit = memory(h.proc.pid, "VmHWM"), allowed(h.proc.pid)
    note(f"bad network: {count} episodes of {len(KINDS)} kinds, {hits} seen to hit, traffic again after {slowest:.1f} s at "
         f"most, memory +{(peak - base) >> 20} MiB; {produced.counts()}; {oracle.counts()}; seed {s}")
    nginx.end()
    assert hits == count and peak - base < limit

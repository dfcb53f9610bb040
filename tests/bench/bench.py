"""What the store costs: throughput beside another build, with much pending, and after a start with a large backlog."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import gateway
from gateway import Gateway
from kafka import KafkaKraft
from storefile import add

ROUNDS = 5
SECONDS = 6
LUA = """
wrk.method = "POST"
wrk.body = string.rep("x", 100)
wrk.headers["Content-Type"] = "text/plain"
"""


def load(gw, topic, seconds=SECONDS, connections=64):
    """(answers a second, of which not 2xx, p99 in ms) of async produce by wrk."""
    script = gw.folder / "post.lua"
    script.write_text(LUA)
    said = subprocess.run(["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script,
                           f"http://127.0.0.1:{gw.tcp.port}/topics/{topic}/messages?key=k"],
                          capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"Requests/sec: *([\d.]+)", said)[1])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    p99, unit = re.search(r"99% *([\d.]+)(us|ms|s)", said).groups()
    return rate, int(bad[1]) if bad else 0, float(p99) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def median(values):
    return sorted(values)[len(values) // 2]


def status(gw):
    return gw.tcp.session().call("GET", "/_status").json


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def fill(path, topic, rows):
    """Adds pending rows of 100 bytes to the store of a stopped helper."""
    add(path, ((topic, b"%02d" % (i % 50), b"x" * 88 + b"%012d" % i) for i in range(rows)))


def throughput(broker, other=None):
    builds = {"this": gateway.BUILD, **({"other": Path(other).resolve()} if other else {})}
    rates = {name: [] for name in builds}
    for n in range(ROUNDS):
        for name, build in builds.items():
            gateway.BUILD = build
            gw = Gateway(broker).start()
            topic = broker.create_topic(f"throughput-{name}-{n}")
            load(gw, topic, 1)
            rate, bad, p99 = load(gw, topic)
            rates[name].append(rate)
            print(f"{name}: {rate:,.0f} a second, p99 {p99} ms, {bad} not 2xx", flush=True)
            gw.stop()
    for name, values in rates.items():
        print(f"async, fsync, 64 connections: {name}: median {median(values):,.0f} a second")
    if other:
        print(f"ratio this/other: {median(rates['this']) / median(rates['other']):.3f}")


def pending(broker, rows=10_000_000):
    rates = {}
    gw = Gateway(broker, storeMaxBytes=1 << 34, storeMinFreeBytes=0).start()
    topic = broker.create_topic("pending")
    gw.tcp.produce(topic, b"first", sync=True)
    gw.stop()
    for count in (10, int(rows)):
        fill(gw.store, topic, count)
        gw.start()
        broker.pause()
        rates[count] = [load(gw, topic)[0] for _ in range(ROUNDS)]
        broker.resume()
        gw.proc.end()
        print(f"{count:,} pending and no Kafka: median {median(rates[count]):,.0f} a second", flush=True)
    few, many = (median(v) for v in rates.values())
    print(f"ratio many/few: {many / few:.3f}")


def backlog(broker, rows=10_000_000):
    rows = int(rows)
    gw = Gateway(broker, storeMaxBytes=1 << 34, storeMinFreeBytes=0).start()
    topic = broker.create_topic("backlog")
    for _ in range(50):
        gw.tcp.produce(topic, b"warm", sync=True)
    idle = rss(gw.helper())
    gw.stop()
    fill(gw.store, topic, rows)
    print(f"{rows:,} rows, {os.path.getsize(gw.store):,} bytes", flush=True)
    begin = time.monotonic()
    gw.start()
    print(f"serves after {time.monotonic() - begin:.2f} s", flush=True)
    peak, last, said = 0, rows, time.monotonic()
    while last > 0:
        time.sleep(0.5)
        assert gw.tcp.produce(topic, b"new").status == 200
        last, peak = status(gw)["pending"], max(peak, rss(gw.helper()))
        if time.monotonic() - said > 10:
            said = time.monotonic()
            print(f"  {last:,} left, {peak - idle:,} bytes above idle", flush=True)
        if last < 100:
            break
    took = time.monotonic() - begin
    print(f"drained in {took:.1f} s: {rows / took:,.0f} a second; at most {(peak - idle) / 2**20:.1f} MiB above idle")
    gw.stop()


if __name__ == "__main__":
    kafka = KafkaKraft()
    kafka.start()
    try:
        {"throughput": throughput, "pending": pending, "backlog": backlog}[sys.argv[1]](kafka, *sys.argv[2:])
    finally:
        kafka.resume()
        kafka.end()

"""A 200 means kept: what was answered 200 to async produce is in Kafka afterwards, whatever died meanwhile.

The oracle: every client notes what it is about to send and what was answered 200; afterwards all partitions
are read by kcat. LOST = answered 200 and not there. PHANTOM = there and never sent. A run counts only if the
faults were seen and traffic flowed between them.
"""

import os
import random
import re
import threading
import time
import zlib

import pytest

from procs import wait_for
from web import TEXT, Workers, messages
from webservers import Nginx

KILLS = 20
CLIENTS = 16
OUTAGE = 20


class Oracle:
    def __init__(self, broker, topic):
        self.broker, self.topic = broker, topic
        self.intent, self.acked, self.refused, self.unknown = set(), set(), 0, 0
        self.statuses = []  # (time, status) of each reply that was not 200
        self.lock = threading.Lock()

    def client(self, pause=0.0):
        """The work of one client: numbered messages with a checksum and padding of random length."""
        def work(session, number, stop):
            seq, rng = 0, random.Random(number)
            while not stop.is_set():
                seq += 1
                text = f"{number}:{seq}:{rng.randbytes(rng.choice([0, 10, 100, 1000])).hex()}"
                value = f"{text}:{zlib.crc32(text.encode()):08x}".encode()
                with self.lock:
                    self.intent.add(value)
                reply = session.call("POST", messages(self.topic), {"key": f"c{number}"}, value, TEXT)
                with self.lock:
                    if isinstance(reply, Exception):
                        self.unknown += 1
                        self.statuses.append((time.monotonic(), repr(reply)))
                    elif reply.status == 200:
                        self.acked.add(value)
                    else:
                        self.refused += 1
                        self.statuses.append((time.monotonic(), reply.status))
                if isinstance(reply, Exception) or reply.status != 200:
                    stop.wait(0.02)
                elif pause:
                    stop.wait(pause)
        return work

    def lost(self):
        self.present = [m.value for m in self.broker.read_all(self.topic)]
        return self.acked - set(self.present)

    def settle(self, timeout=60):
        """Waits until nothing is lost; then nothing may be there that nobody sent."""
        try:
            wait_for(lambda: not self.lost(), timeout, "all that was answered 200 is in Kafka", every=0.5)
        except AssertionError:
            lost = self.lost()
            raise AssertionError(f"LOST {len(lost)} of {len(self.acked)}: {[v[:40] for v in sorted(lost)[:3]]}") from None
        phantom = set(self.present) - self.intent
        assert not phantom, f"PHANTOM {len(phantom)}: {[v[:40] for v in sorted(phantom)[:3]]}"

    def counts(self):
        return (f"{len(self.acked)} answered 200, {self.refused} refused, {self.unknown} without an answer, "
                f"{len(self.present) - len(set(self.present))} twice in Kafka, 0 lost")

    def check_order(self):
        """A client sends one after the other under one key: they must lie in that order."""
        last = {}
        for value in dict.fromkeys(self.present):  # of one that came twice the first counts
            client, seq = map(int, value.split(b":")[:2])
            assert seq > last.get(client, 0), f"client {client}: {seq} after {last[client]}"
            last[client] = seq


def test_nothing_is_lost_when_the_helper_is_killed(helper, kafka_kraft, name, note):
    """Behind an external web server, where the test itself starts the next helper: no back-off between kills."""
    topic = kafka_kraft.create_topic(name)
    h = helper(kafka_kraft)
    nginx = Nginx(h)
    nginx.start()
    oracle, rng, kills = Oracle(kafka_kraft, topic), random.Random(1), 0
    with Workers([nginx.site] * CLIENTS, oracle.client()) as load:
        for _ in range(KILLS):
            before = len(oracle.acked)
            wait_for(lambda: len(oracle.acked) > before + 2 * CLIENTS or load.errors, 30, "traffic before a kill",
                     every=0.005)
            load.stop.wait(rng.uniform(0, 0.5))  # at a random moment
            h.kill()
            kills += 1
            h.start()
        before = len(oracle.acked)
        wait_for(lambda: len(oracle.acked) > before + CLIENTS, 30, "traffic after the last kill")
    oracle.settle()
    nginx.end()
    note(f"{kills} kills: {oracle.counts()}")
    assert kills == KILLS and len(oracle.acked) > KILLS * CLIENTS


def test_kafka_away_under_load(gateway, kafka_kraft, name, note):
    """Async keeps answering 200 from the store, and everything arrives afterwards, in order."""
    topic = kafka_kraft.create_topic(name)
    gw = gateway(kafka_kraft)
    oracle = Oracle(kafka_kraft, topic)
    with Workers([gw.tcp] * CLIENTS, oracle.client(pause=0.02)) as load:
        wait_for(lambda: len(oracle.acked) > 100, 30, "traffic")
        kafka_kraft.stop()
        try:
            before = len(oracle.acked)
            load.stop.wait(OUTAGE)
            kept = len(oracle.acked) - before
        finally:
            kafka_kraft.start()
        back = len(oracle.acked)
        wait_for(lambda: len(oracle.acked) > back + 100, 30, "traffic after the outage")
    assert not oracle.statuses, f"not every reply was 200: {oracle.statuses[:5]}"
    assert kept > OUTAGE * CLIENTS
    oracle.settle()
    oracle.check_order()
    note(f"Kafka away for {OUTAGE} s: {kept} answered 200 meanwhile; {oracle.counts()}")


@pytest.mark.parametrize("how", ["orderly", "killed"])
def test_restart_sends_what_is_left_in_order(gateway, kafka_kraft, name, how, note):
    topic = kafka_kraft.create_topic(name)
    gw = gateway(kafka_kraft)
    assert gw.tcp.produce(topic, b"999:1:", sync=True).status == 200
    oracle = Oracle(kafka_kraft, topic)
    oracle.intent.add(b"999:1:")
    kafka_kraft.stop()
    try:
        with Workers([gw.tcp] * 4, oracle.client()) as load:
            wait_for(lambda: len(oracle.acked) >= 500 or load.errors, 60, "500 messages in the store")
        if how == "orderly":
            gw.stop()
            (left,) = re.findall(r"stopped in_store=(\d+)", gw.proc.output())
            assert int(left) >= 500, "the log says what stays in the store"
        else:
            gw.kill_all()
    finally:
        kafka_kraft.start()
    gw.start()
    oracle.settle()
    oracle.check_order()
    note(f"{how} restart while Kafka was away: {oracle.counts()}")


def test_the_oracle_sees_a_loss(gateway, kafka_kraft, name):
    """The control: a gateway that keeps nothing loses messages when it is killed, and the oracle must notice."""
    topic = kafka_kraft.create_topic(name)
    gw = gateway(kafka_kraft, durability="memory")
    assert gw.tcp.produce(topic, b"first", sync=True).status == 200
    oracle = Oracle(kafka_kraft, topic)
    kafka_kraft.pause()
    try:
        with Workers([gw.tcp] * 4, oracle.client()) as load:
            wait_for(lambda: len(oracle.acked) >= 100 or load.errors, 30, "100 replies of 200")
        gw.kill_helper()
    finally:
        kafka_kraft.resume()
    gw.await_ready()
    assert gw.tcp.produce(topic, b"last", sync=True).status == 200
    assert oracle.lost()


def test_store_is_private_and_has_one_owner(gateway, kafka_kraft, name):
    gw = gateway(kafka_kraft)
    assert gw.tcp.produce(kafka_kraft.create_topic(name), b"v").status == 200
    for path in gw.store.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others"
    second = gateway(kafka_kraft, start=False, store=gw.store)
    second.start(wait=False)
    assert second.proc.wait(15) == 1
    assert str(gw.store) in second.proc.output() or "store" in second.proc.output()
    assert gw.answers() and os.path.exists(gw.store)

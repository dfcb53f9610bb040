"""A 200 means kept, whatever kills the helper: at random moments, and at the named points of common/fault.h.

The helper runs behind an nginx of the test, which starts the next one itself: no back-off between kills. Every
run is judged by the oracle; a run counts only if each kill was seen and traffic flowed before it. The last tests
are the controls: a helper that breaks its promise must be found out by the same kills.
"""

import os
import random
import signal
import sqlite3
import time

import pytest

from gateway import Helper
from oracle import Oracle, status, wall_ms
from procs import rounds, wait_for
from webservers import Nginx

KILLED = -signal.SIGKILL

# Every how many kills the broker stands still at the moment of the kill, so that Kafka has nothing of what was
# accepted last.
PAUSED_KILL = 4


class Stand:
    """A helper, and the nginx and the responder in front of it, which stay while helpers come and go."""

    def __init__(self, helper):
        self.helper = helper
        self.nginx = Nginx(helper)
        self.nginx.start()
        self.site, self.store = self.nginx.site, helper.store

    def stop(self):
        self.helper.stop()

    def end(self):
        self.nginx.end()


@pytest.fixture
def stand(helper, kafka_kraft):
    """Makes a stand; with the same options as before it is the one of before."""
    made = []

    def make(**options):
        made.append(Stand(helper(kafka_kraft, **options)))
        return made[-1]
    yield make
    for one in made:
        one.end()


def kill(stand, oracle, rng, broker=None):
    """SIGKILL to the helper; `broker`: while it stands still."""
    begin = wall_ms()
    if broker:
        broker.pause()
        time.sleep(rng.uniform(0.02, 0.3))
    try:
        at = wall_ms()
        stand.helper.proc.signal(signal.SIGKILL)
        assert stand.helper.proc.wait(10) == KILLED
        oracle.fault("kill", at)
    finally:
        if broker:
            broker.resume()
            oracle.fault("pause", begin)


def kill_rounds(stand, oracle, rng, count, broker, **faults):
    """Kills after 50 to 1,500 ms of traffic, each time a new helper; one in ten dies already while it starts."""
    for i in range(count):
        oracle.await_traffic(5, what=f"traffic before kill {i + 1} of {count}")
        time.sleep(rng.uniform(0.05, 1.5))
        kill(stand, oracle, rng, broker if i % PAUSED_KILL == 0 else None)
        stand.helper.start(**faults)
        if rng.random() < 0.1:
            kill(stand, oracle, rng)
            stand.helper.start(**faults)
    oracle.await_traffic(20, what="traffic after the last kill")


@pytest.mark.timeout(rounds(180, 3600))
@pytest.mark.parametrize("durability, check, long", [("fsync", 60, 1000), ("os", 10, 100)])
def test_nothing_is_lost_when_the_helper_is_killed(stand, kafka_kraft, name, note, durability, check, long):
    at = stand(durability=durability)
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    rng, count = random.Random(oracle.seed), rounds(check, long)
    with oracle.load(at.site, rate=rng.choice([300, 600, 1000, 1500]), large=2000):
        kill_rounds(at, oracle, rng, count, kafka_kraft)
    oracle.settle(at)
    note(f"helper killed, durability {durability}: {oracle.counts()}")

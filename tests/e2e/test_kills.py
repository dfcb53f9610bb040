"""A 200 means kept, whatever kills the helper: at random moments, and at the named points of common/fault.h.

The helper runs behind an nginx of the test, which starts the next one itself: no back-off between kills. Every
run is judged by the oracle; a run counts only if each kill was seen and traffic flowed before it. The last tests
are the controls: a helper that breaks its promise must be found out by the same kills.
"""

import os
import random
import signal
import sqlite3
from contextlib import contextmanager

import pytest

from oracle import Oracle, stored_after_kill, wall_ms
from procs import rounds, wait_for
from stand import KILLED, kill, kill_rounds


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


# Named points.

# Points that traffic alone passes, and the last turn at which to die there.
POINTS = {"P1": 100, "P2": 100, "P4": 100, "P5": 100, "P6": 100, "P7": 100, "P8": 100, "P9": 50}


def die_at(stand, oracle, point, turn, within=30):
    """Starts a helper that is to die at a point, and sees it die there, while there is traffic."""
    before = len(oracle.follow().sent)
    stand.helper.launch(KP_KILL_AT=f"{point}:{turn}")
    assert stand.helper.proc.wait(within) == KILLED, f"did not die at {point}:{turn}"
    oracle.fault(point, wall_ms())
    wait_for(lambda: len(oracle.follow().sent) > before, 5, f"traffic while it died at {point}:{turn}")
    if point != "P14":
        stored_after_kill(stand.store)


def back_up(stand, oracle):
    """An ordinary helper again, and traffic that proves it."""
    stand.helper.start()
    oracle.await_traffic(5)


@contextmanager
def filled(oracle, broker, count):
    """Kafka stands still while the block runs; it begins after `count` messages were answered from the store alone."""
    begin = wall_ms()
    broker.pause()
    try:
        oracle.await_traffic(count, what=f"{count} messages in the store")
        yield
    finally:
        broker.resume()
        oracle.fault("pause", begin)


@pytest.mark.timeout(rounds(180, 3600))
def test_nothing_is_lost_at_the_named_points(stand, kafka_kraft, name, note):
    at = stand()
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    rng, count = random.Random(oracle.seed), rounds(3, 20)
    with oracle.load(at.site, rate=1000):
        oracle.await_traffic(20)
        kill(at, oracle)
        for point, last in POINTS.items():
            for _ in range(count):
                before = oracle.answered()
                die_at(at, oracle, point, rng.randint(2, last))
                if oracle.answered() == before:  # what was left from before passes some points too
                    back_up(at, oracle)
                    at.stop()
        back_up(at, oracle)
    oracle.settle(at)
    note(f"helper dies at {len(POINTS)} points, {count} each: {oracle.counts()}")


@pytest.mark.timeout(rounds(180, 3600))
def test_nothing_is_lost_when_it_dies_while_it_catches_up(stand, kafka_kraft, name, note):
    """P12: what an earlier start has left is being sent; three deaths in a row."""
    at = stand()
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    rng = random.Random(oracle.seed)
    with oracle.load(at.site, rate=1000):
        for _ in range(rounds(3, 20)):
            oracle.await_traffic(20)
            with filled(oracle, kafka_kraft, 300):
                kill(at, oracle)
            for _ in range(3):
                die_at(at, oracle, "P12", rng.randint(1, 90))
            back_up(at, oracle)
    oracle.settle(at)
    note(f"helper dies while it catches up: {oracle.counts()}")


@pytest.mark.timeout(rounds(180, 3600))
def test_nothing_is_lost_when_it_dies_while_it_stops(stand, kafka_kraft, name, note):
    """P13: SIGTERM, and death while Kafka takes the last messages."""
    at = stand()
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    rng = random.Random(oracle.seed)
    with oracle.load(at.site, rate=1000):
        for _ in range(rounds(3, 20)):
            oracle.await_traffic(20)
            at.helper.stop()
            at.helper.start(KP_KILL_AT=f"P13:{rng.randint(1, 50)}")
            oracle.await_traffic(20)
            with filled(oracle, kafka_kraft, 200):
                at.helper.proc.signal(signal.SIGTERM)
                wait_for(lambda: "stop signal=" in at.helper.proc.output(), 5, "it has begun to stop")
            assert at.helper.proc.wait(20) == KILLED, "did not die at P13"
            oracle.fault("P13", wall_ms())
            back_up(at, oracle)
    oracle.settle(at)
    note(f"helper dies while it stops: {oracle.counts()}")


SCHEMA_1 = """
CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE pending (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, accepted_ms INTEGER NOT NULL, key BLOB,
    value BLOB NOT NULL);
CREATE INDEX pending_topic ON pending (topic, id);
CREATE TABLE dead (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, accepted_ms INTEGER NOT NULL, key BLOB,
    value BLOB NOT NULL, buried_ms INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def make_version_1(store):
    """Writes the store anew, as the first version of the schema had it; the number of messages in it."""
    old = store.with_name("old.db")
    for end in ("", "-wal"):
        os.rename(f"{store}{end}", f"{old}{end}")
    new = sqlite3.connect(store)
    new.executescript(SCHEMA_1)
    new.execute("ATTACH ? AS old", (str(old),))
    new.execute("INSERT INTO topic SELECT id, name FROM old.topic")
    new.execute("INSERT INTO pending SELECT row_number() OVER (ORDER BY id), topic, accepted_ms, key, value FROM old.pending")
    new.execute("INSERT INTO meta VALUES ('boots', 1)")
    new.commit()
    (count,) = new.execute("SELECT count(*) FROM pending").fetchone()
    new.close()
    store.chmod(0o600)
    for path in store.parent.glob("old.db*"):
        path.unlink()
    return count


@pytest.mark.timeout(rounds(180, 3600))
def test_nothing_is_lost_when_it_dies_while_it_upgrades_the_store(stand, kafka_kraft, name, note):
    """P14: an older version has left a store behind."""
    at = stand()
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    rng, found = random.Random(oracle.seed), 0
    with oracle.load(at.site, rate=1000):
        for _ in range(rounds(1, 20)):
            oracle.await_traffic(20)
            with filled(oracle, kafka_kraft, 200):
                kill(at, oracle)
                found += make_version_1(at.store)
                die_at(at, oracle, "P14", rng.randint(1, 12))
            back_up(at, oracle)
    oracle.settle(at, counted=False)
    note(f"helper dies while it upgrades a store, {found} messages in it: {oracle.counts()}")


# The controls.

@pytest.mark.timeout(600)
@pytest.mark.parametrize("promise", ["early-answer", pytest.param("early-delete", marks=pytest.mark.long)])
def test_the_oracle_finds_out(stand, kafka_kraft, name, note, promise):
    """The same kills, and a helper that answers before the message is kept, or deletes before Kafka has it."""
    at = stand()
    oracle = Oracle(kafka_kraft, kafka_kraft.create_topic(name))
    rng, kills, lost = random.Random(oracle.seed), 0, []
    while not lost:
        assert kills < 50, f"{promise}: nothing was found to be lost: {oracle.counts()}"
        at.stop()
        at.helper.start(KP_BREAK=promise, KP_KILL_AT=f"P2:{rng.randint(300, 500)}")
        with oracle.load(at.site, rate=1000):
            with filled(oracle, kafka_kraft, 20):
                assert at.helper.proc.wait(20) == KILLED, "did not die at P2"
                oracle.fault("P2", wall_ms())
            at.helper.start(KP_BREAK=promise)
            kill_rounds(at, oracle, rng, 1, kafka_kraft, KP_BREAK=promise)
        kills = sum(f.kind != "pause" for f in oracle.faults)
        oracle.await_delivery(at)
        lost = oracle.lost()
    note(f"control {promise}: LOST {len(lost)} of {len(oracle.ok)} after {kills} kills, seed {oracle.seed}")

"""The oracle: what became of every message, from the books of processes that no fault ever hits.

Load (load.c) tells a log what it is about to send, and then how it was answered. Afterwards all partitions
are read back, and the two must agree:

    LOST       answered 200, and not there
    PHANTOM    there, and never sent
    CORRUPT    there, and not as it was sent: key, length or CRC-32
    REFUSED    there, and the client was told that it is not
    MISPLACED  answered with a partition and an offset, and not there at that place
    ORDER      answered 200 one after the other under one key, and not in that order (first copies)
    DUP        there more often than the faults explain, see Oracle.unexplained()

What was answered neither 200 nor with a refusal is UNKNOWN, and may be there or not.
"""

import os
import shutil
import sqlite3
import tempfile
import time
import uuid
import zlib
from collections import Counter, defaultdict, namedtuple
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from gateway import BUILD
from procs import Proc, new_folder, seed, wait_for

PRODUCERS_A_LOAD = 64

# The most messages of one topic that the helper hands to Kafka without having heard of them.
WINDOW = 5000
# How long before a fault a message can have been handed to Kafka and still come twice: Kafka's answer, 100 ms in
# which deletes gather, the commit; with much to spare for a busy machine.
SHORTLY_S = 2.0
UNCOUNTED_MS = 200

# Words of an error after which the message is not, and never will be, in Kafka. Every other 5xx is UNKNOWN.
STORE_FULL = ("the store is full", "the topic has its share of the store")
NOT_KEPT = (*STORE_FULL, "the helper is shutting down", "The helper cannot be reached",
            "Kafka cannot be reached; nothing was sent", "Kafka did not take the message in time; nothing was sent")

Sent = namedtuple("Sent", "bytes crc sync ms")
Answer = namedtuple("Answer", "id partition offset ms")
Copy = namedtuple("Copy", "partition offset ms")
Fault = namedtuple("Fault", "kind begin end")


def wall_ms():
    return int(time.time() * 1000)


class Load:
    """One process that produces to one gateway until stop()."""

    def __init__(self, oracle, number, site, rate, producers, sync, large, most):
        assert producers <= PRODUCERS_A_LOAD
        self.log = oracle.folder / f"load-{number}.log"
        self.log.touch()
        self.proc = Proc(f"load-{number}-out", [
            BUILD / "load", "--port", site.port, "--topic", oracle.topic, "--run", oracle.run, "--log", self.log,
            "--first", number * PRODUCERS_A_LOAD, "--producers", producers, "--sync", sync, "--rate", rate,
            "--large", large, "--most", most, "--seed", oracle.seed + number], oracle.folder)
        self.at = 0  # up to here the log was followed

    def lines(self):
        """Whole lines that are new."""
        with open(self.log, "rb") as f:
            f.seek(self.at)
            data = f.read()
        data = data[:data.rfind(b"\n") + 1]
        self.at += len(data)
        return data.decode(errors="replace").splitlines()

    def stop(self):
        if self.proc.running():
            self.proc.popen.terminate()
        assert self.proc.wait(45) == 0, self.proc.output()


class Oracle:
    def __init__(self, broker, topic, run_seed=None):
        self.broker, self.topic = broker, topic
        self.folder = new_folder("oracle")
        self.run = uuid.uuid4().hex[:12]
        self.seed = seed() if run_seed is None else run_seed
        self.loads, self.faults = [], []
        self.sent = {}  # (producer, seq): Sent
        self.ok = {}  # likewise: Answer
        self.refused, self.unknown = {}, {}  # likewise: text
        self.statuses = Counter()  # of replies that were not 200, and of what came instead of one
        self.full = Counter()  # Retry-After of replies that the store is full
        self.copies = defaultdict(list)  # (producer, seq): Copy, as read
        self.read_to = {}  # partition: next offset
        self.strange = defaultdict(list)  # PHANTOM and CORRUPT

    # The load.

    @contextmanager
    def load(self, site, rate=800, producers=16, sync=2, large=0, most=1000000, processes=2):
        """Traffic while the block runs, by processes of their own: `rate` a second at most, `sync` of the producers
        wait for Kafka. One message in `large` is too large, no other has a pad of more than `most` bytes."""
        begun = [Load(self, len(self.loads) + i, site, max(rate // processes, 1), producers // processes,
                      sync // processes, large, most) for i in range(processes)]
        self.loads += begun
        try:
            yield self
        finally:
            for one in begun:
                one.proc.popen.terminate()
            for one in begun:
                one.stop()
            self.follow()

    def follow(self):
        """Reads what is new in the logs."""
        for one in self.loads:
            for line in one.lines():
                self.book(line.split(" ", 6))
        return self

    def book(self, words):
        what, key = words[0], (int(words[1]), int(words[2]))
        if what == "I":
            self.sent[key] = Sent(int(words[3]), int(words[4], 16), words[5] == "s", int(words[6]))
        elif what == "O":
            self.ok[key] = Answer(*map(int, words[3:7]))
        else:
            status, text = words[3], words[6] if len(words) > 6 else ""
            self.statuses[status if what == "E" else text] += 1
            if text.startswith(STORE_FULL):
                self.full[int(words[4])] += 1
            no = what == "E" and (status.startswith("4") or text.startswith(NOT_KEPT))
            (self.refused if no else self.unknown)[key] = text

    def answered(self):
        return len(self.follow().ok)

    def await_traffic(self, more, timeout=30, what="traffic"):
        """Until `more` further messages were answered 200."""
        before = self.answered()
        wait_for(lambda: self.answered() >= before + more, timeout, what, every=0.01)

    def fault(self, kind, begin, end=None):
        """Notes that something was seen to fail, with the wall clock's milliseconds."""
        self.faults.append(Fault(kind, begin, wall_ms() if end is None else end))

    # Kafka.

    def read(self):
        """Reads what is new in all partitions, as they are now."""
        reader = Consumer({"bootstrap.servers": self.broker.peers, "group.id": f"oracle-{self.run}",
                           "enable.auto.commit": False, "log_level": 0, "fetch.wait.max.ms": 10,
                           "fetch.max.bytes": 8 << 20, "max.partition.fetch.bytes": 2 << 20})
        try:
            parts = reader.list_topics(self.topic, timeout=30).topics[self.topic].partitions
            ends = {p: reader.get_watermark_offsets(TopicPartition(self.topic, p), timeout=30)[1] for p in parts}
            left = {p for p, end in ends.items() if self.read_to.get(p, 0) < end}
            reader.assign([TopicPartition(self.topic, p, self.read_to.get(p, OFFSET_BEGINNING)) for p in left])
            deadline = time.monotonic() + 120
            while left:
                assert time.monotonic() < deadline, f"partitions {left} of {self.topic} cannot be read to their end"
                for m in reader.consume(5000, 0.2):
                    if m.error():
                        continue
                    self.take(m)
                    if m.offset() + 1 >= ends[m.partition()]:
                        left.discard(m.partition())
        finally:
            reader.close()
        return self

    def take(self, m):
        """One message as it lies in Kafka."""
        self.read_to[m.partition()] = m.offset() + 1
        where, value = f"{m.partition()}:{m.offset()}", m.value() or b""
        try:
            run, producer, seq, length, crc, _ = value[:128].split(b":", 5)
            head = len(run + producer + seq + length) + 4
            key, length, crc = (int(producer), int(seq)), int(length), int(crc, 16)
        except ValueError:
            self.strange["PHANTOM"].append(f"{where} {value[:40]!r}")
            return
        pad = memoryview(value)[head + 9:]
        sent = self.sent.get(key)
        if run != self.run.encode() or sent is None and self.follow().sent.get(key) is None:
            self.strange["PHANTOM"].append(f"{where} {value[:40]!r}")
            return
        sent = sent or self.sent[key]
        if (len(pad) != length or length != sent.bytes or crc != sent.crc or m.key() != b"p%d" % key[0] or
                zlib.crc32(pad, zlib.crc32(value[:head])) != crc):
            self.strange["CORRUPT"].append(f"{where} {value[:40]!r} key={m.key()!r} bytes={len(pad)}")
        self.copies[key].append(Copy(m.partition(), m.offset(), m.timestamp()[1]))

    # The verdict.

    def lost(self):
        """Of what was answered 200. Only final once nothing is on its way any more."""
        self.follow().read()
        return [key for key in self.ok if key not in self.copies]

    def unordered(self):
        """A producer sends one after the other under one key: first copies lie in that order. Messages whose answer
        is not known are left out: their bytes may be late, from the connection of a helper that was killed."""
        last, wrong = {}, []
        for key in self.copies:  # in the order of each partition
            if key not in self.ok:
                continue
            producer, seq = key
            before = last.setdefault(producer, seq)
            if seq < before:
                first, other = self.copies[key][0], self.copies[producer, before][0]
                wrong.append(f"producer {producer}: {seq} at {first} after {before} at {other}")
            last[producer] = max(seq, before)
        return wrong

    def unexplained(self):
        """Further copies that no fault explains. One does when the copy before was handed to Kafka while it went
        on, or shortly before: then nobody knew yet that Kafka had it. And no fault explains more than a window."""
        wrong, of_fault = [], Counter()
        for key, copies in self.copies.items():
            times = sorted(c.ms for c in copies)
            for before, again in zip(times, times[1:]):
                blame = next((f for f in self.faults if f.begin - SHORTLY_S * 1000 <= before <= f.end and
                              (again == before or again >= f.begin)), None)
                of_fault[blame] += 1
                if blame is None:
                    wrong.append(f"{key} at {before} and {again}")
        return wrong + [f"{n} by {f}" for f, n in of_fault.items() if f and n > WINDOW + self.in_a_moment(f)]

    def in_a_moment(self, fault):
        """How many messages were handed over shortly before a fault."""
        first = fault.begin - SHORTLY_S * 1000
        return sum(first <= s.ms <= fault.begin for s in self.sent.values())

    def findings(self):
        """{what is wrong: the places}, empty when nothing is."""
        found = {"LOST": self.lost(), **self.strange}
        found["REFUSED"] = [key for key in self.refused if key in self.copies]
        found["MISPLACED"] = [key for key, a in self.ok.items() if a.partition >= 0 and
                              (a.partition, a.offset) not in [c[:2] for c in self.copies.get(key, [])]]
        found["ORDER"] = self.unordered()
        found["DUP"] = self.unexplained()
        ids = Counter(a.id for a in self.ok.values() if a.id >= 0)
        found["ID"] = [i for i, n in ids.items() if n > 1] if len(ids) < sum(ids.values()) else []
        return {what: places for what, places in found.items() if places}

    def twice(self):
        return sum(len(c) - 1 for c in self.copies.values())

    def check(self):
        found = self.findings()
        assert not found, "; ".join(f"{what} {len(places)} of {len(self.ok)}, such as {places[:3]}"
                                    for what, places in found.items()) + f" (KP_SEED={self.seed}, {self.folder})"

    def counts(self):
        faults = Counter(f.kind for f in self.faults)
        return (f"faults {sum(faults.values())} ({', '.join(f'{n} {kind}' for kind, n in faults.items()) or 'none'}), "
                f"acknowledged {len(self.ok)}, refused {len(self.refused)}, unknown {len(self.unknown)}, "
                f"LOST 0, DUP {self.twice()}, seed {self.seed}")

    def settle(self, gw, timeout=60, counted=True):
        """After the load: Kafka gets all that was kept; the gateway is stopped, and everything must agree.
        `counted`: its store has counted all of this run, and nothing else."""
        self.await_delivery(gw, timeout)
        said = conserved(gw)
        gw.stop()
        kept = stored(gw.store)
        assert kept == {name: said[name] for name in kept}, f"{said}; in its file {kept}"
        assert (kept["pending"], kept["dead"]) == (0, 0), kept
        self.check()
        if counted:
            self.check_accepted(kept["accepted"])

    def await_delivery(self, gw, timeout=60):
        """Until Kafka has all that was kept."""
        wait_for(lambda: status(gw)["pending"] == 0, timeout, "nothing is pending", every=0.1)

    def check_accepted(self, accepted):
        """The gateway has counted each async message once. It cannot know of those whose answer nobody knows, and
        one that Kafka had before the disk is counted with the next commit, which a kill may prevent."""
        ok = [key for key in self.ok if not self.sent[key].sync]
        maybe = sum(not self.sent[key].sync for key in self.sent if key not in self.ok and key not in self.refused)
        ends = [f.begin for f in self.faults if f.kind != "pause"]
        late = sum(any(end - UNCOUNTED_MS <= self.ok[key].ms <= end for end in ends) for key in ok)
        assert len(ok) - late <= accepted <= len(ok) + maybe, f"{len(ok)} answered 200, {maybe} unknown: {accepted}"


def status(gw):
    """GET /_status."""
    reply = gw.site.session().call("GET", "/_status")
    assert not isinstance(reply, Exception) and reply.status in (200, 503), reply
    return reply.json


def check_sum(n):
    assert n["accepted"] == n["delivered"] + n["pending"] + n["dead"] + n["dropped"], n
    return n


def conserved(gw):
    """Nothing that was accepted can vanish: asserts it of a gateway at rest, and returns its status."""
    return check_sum(status(gw))


def stored(store):
    """What the file of a store counts, which must agree with its rows; nobody may have it open."""
    db = sqlite3.connect(store)
    try:
        (sound,), = db.execute("PRAGMA quick_check(1)")
        assert sound == "ok", sound
        accepted, delivered, dropped = db.execute("SELECT accepted, delivered, dropped FROM counts").fetchone()
        pending, dead = (db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("pending", "dead"))
        for table in ("pending", "dead"):
            rows = f"FROM {table} r WHERE r.topic = t.id"
            wrong = db.execute(f"SELECT name FROM topic t WHERE {table} != (SELECT count(*) {rows}) OR {table}_bytes !="
                               f" (SELECT coalesce(sum(length(value) + coalesce(length(key), 0)), 0) {rows})").fetchall()
            assert not wrong, f"topics whose counts are not those of their rows: {wrong}"
    finally:
        db.close()
    return check_sum({"accepted": accepted, "delivered": delivered, "pending": pending, "dead": dead,
                      "dropped": dropped})


def stored_after_kill(store):
    """The same of a copy: what the helper finds at its next start stays as the kill has left it."""
    with tempfile.TemporaryDirectory(dir=store.parent) as folder:
        for path in store.parent.glob(f"{store.name}*"):
            if path.name in (store.name, f"{store.name}-wal"):
                shutil.copy(path, folder)
        return stored(os.path.join(folder, store.name))

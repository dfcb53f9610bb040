"""What consumers may count on, checked from outside: nothing skipped, nothing twice without a cause.

Every client notes each message of which it got all bytes. Meanwhile the committed offsets are sampled. At the
end every offset of every partition was seen, except where a web server had taken a message for a client that
left (the caller counts those and says so); no sample lies past a message that nobody had seen; and what was
seen twice was out, or not committed yet, when something died.
"""

import bisect
import itertools
import threading
import time
from collections import defaultdict
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

import fastcgi
from procs import wait_for
from web import messages

# Confirmed messages are committed each 500 ms by a timer of 250 ms; the rest is the way to Kafka on a busy machine,
# which is longest for the first commit of a group.
COMMIT_INTERVAL = 5.0
# From the byte that the web server passed on to the line that the client notes.
CLIENT_LATE = 2.0


@dataclass(frozen=True)
class Seen:
    group: str
    member: str
    partition: int
    offset: int
    id: bytes  # the first bytes of its value
    time: float


class ConsumerOracle:
    """Of one group on one topic that is read from its beginning."""

    def __init__(self, broker, topic, group, partitions=4):
        self.broker, self.topic, self.group, self.partitions = broker, topic, group, partitions
        self.log, self.samples, self.faults = [], [], []
        self.lock = threading.Lock()
        self._offsets, self._seen = set(), 0
        self._stop, self._sampler = threading.Event(), None

    # While it runs.

    def note(self, member, reply):
        """What a client calls with a whole reply; true when it was a message."""
        if reply.status != 200:
            return False
        partition, offset, _, value = reply.message
        with self.lock:
            self.log.append(Seen(self.group, str(member), partition, offset, (value or b"")[:32], time.monotonic()))
        return True

    def client(self, pace=0.0):
        """The work of one consumer that stays, for web.Workers; `pace`: seconds between messages."""
        def work(session, number, stop):
            while not stop.is_set():
                reply = session.call("GET", messages(self.topic), {"group": self.group})
                if isinstance(reply, Exception) or reply.status not in (200, 408):
                    stop.wait(0.02)
                elif self.note(number, reply):
                    stop.wait(pace)
        return work

    def fault(self, what="crash"):
        """Notes that something dies now: what is out, or not committed, may come again."""
        self.faults.append((time.monotonic(), what))

    def seen(self):
        with self.lock:
            for s in itertools.islice(self.log, self._seen, None):
                self._offsets.add((s.partition, s.offset))
            self._seen = len(self.log)
        return self._offsets

    def has_seen(self, ends):
        return len(self.seen()) >= sum(ends.values())

    def __enter__(self):
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._sampler.join(15)

    def _sample(self):
        """Each 100 ms. A broker that cannot say, or is behind a fault, is asked again."""
        reader = Consumer({"bootstrap.servers": self.broker.peers, "group.id": self.group, "log_level": 0,
                           "enable.auto.commit": False})
        asked = [TopicPartition(self.topic, p) for p in range(self.partitions)]
        while not self._stop.wait(0.1):
            try:
                reply = reader.committed(asked, timeout=5)
            except KafkaException:
                continue
            now = time.monotonic()
            self.samples += [(now, tp.partition, tp.offset) for tp in reply if tp.offset >= 0]
        reader.close()

    # Afterwards.

    def ends(self):
        """{partition: end} as Kafka has them."""
        reader = Consumer({"bootstrap.servers": self.broker.peers, "group.id": self.group, "log_level": 0})
        try:
            return {p: reader.get_watermark_offsets(TopicPartition(self.topic, p), timeout=20)[1]
                    for p in range(self.partitions)}
        finally:
            reader.close()

    def await_all(self, timeout=60):
        """Until all is seen, or all is committed: then what is missing is missing for good. Returns the ends."""
        ends = self.ends()

        def done():
            committed = {p: offset for _, p, offset in self.samples[-self.partitions:]}
            return self.has_seen(ends) or all(committed.get(p, 0) == end for p, end in ends.items())
        try:
            wait_for(done, timeout, "all offsets are seen or committed", every=0.1)
        except AssertionError:
            pass  # check() says it better
        return ends

    def check(self, ends, taken=0, late=CLIENT_LATE, interval=COMMIT_INTERVAL):
        """`taken`: how many messages a web server took for a client that left before it had them."""
        unseen = {(p, o) for p, end in ends.items() for o in range(end)} - self.seen()
        assert len(unseen) <= taken, f"SKIPPED {len(unseen)} ({taken} taken for clients that left): {sorted(unseen)[:5]}"
        beyond = self.seen() - {(p, o) for p, end in ends.items() for o in range(end)}
        assert not beyond, f"PHANTOM {sorted(beyond)[:5]}"
        self.check_commits(unseen, late)
        again = self._twice(interval)
        assert not again, f"DUP without a cause {len(again)}: {again[:5]}; faults {self.faults[-5:]}"
        self.missing = len(unseen)

    def check_commits(self, excused=(), late=CLIENT_LATE):
        """Each commit that was sampled covers only what a client had, or noted soon after."""
        first, done = {}, defaultdict(list)  # done[p][o]: when all offsets up to o had been seen
        for s in self.log:
            first.setdefault((s.partition, s.offset), s.time)
        for p in range(self.partitions):
            latest = 0.0
            for o in itertools.count():
                if (p, o) not in first and (p, o) not in excused:
                    break
                latest = max(latest, first.get((p, o), 0.0))
                done[p].append(latest)
        for when, p, committed in self.samples:
            assert committed <= len(done[p]), f"COMMITTED {committed} of partition {p}, where {len(done[p])} was not seen"
            assert committed == 0 or done[p][committed - 1] <= when + late, (
                f"COMMITTED {committed} of partition {p} {done[p][committed - 1] - when:.1f} s before it was seen")

    def _twice(self, interval):
        """What came again though nothing died in between, or though it was seen to be committed when that died."""
        last, bad, self.dups, self.oldest = {}, [], 0, 0.0
        for s in sorted(self.log, key=lambda s: s.time):
            at = (s.partition, s.offset)
            if at in last:
                self.dups += 1
                # The reply of a request that was under way may be noted a little after the fault.
                ages = [t - last[at] for t, _ in self.faults
                        if last[at] - 0.5 <= t <= s.time and self._committed(s.partition, t) <= s.offset]
                self.oldest = max(self.oldest, min(ages, default=0))
                if not ages or min(ages) > interval:
                    bad.append((*at, round(last[at], 2), round(s.time, 2)))
            last[at] = s.time
        return bad

    def _committed(self, partition, when):
        """The last that was sampled before `when`."""
        at = bisect.bisect_left(self.samples, when, key=lambda sample: sample[0])
        return next((offset for _, p, offset in reversed(self.samples[:at]) if p == partition), 0)

    def counts(self):
        return (f"{len(self.log)} consumed, {len(self.faults)} faults, {len(self.samples)} commits sampled, "
                f"SKIPPED 0, taken for clients that left {self.missing}, DUP {self.dups} of the last {self.oldest:.1f} s")


def open_poll(responder, topic, group):
    """A long poll on a responder's socket, whose reply nobody has read yet."""
    s = fastcgi.connect(responder)
    s.sendall(fastcgi.begin("GET", f"{messages(topic)}?group={group}") + fastcgi.stdin(b""))
    return s

"""Members of a group in ZooKeeper that are not ours: as Kafka-Pixy 0.11 plays, and as the consumer of Kafka 0.8 in Java.

Each consumes what it has claimed, commits what it has consumed before it gives a partition up, and obeys the rules
and pauses of its original, its faults included: both notice nothing but a change of the children of ids.
"""

import json
import threading
import time
import uuid

from confluent_kafka import Consumer, KafkaException, TopicPartition
from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError

from consumer_oracle import Seen


def slices(names, partitions):
    """{name: partitions}: contiguous ranges in the order of names, the first ones one longer."""
    names, found, at = sorted(names), {}, 0
    for i, n in enumerate(names):
        count = partitions // len(names) + (i < partitions % len(names))
        found[n] = list(range(at, at + count))
        at += count
    return found


def by_members(registrations, topic, partitions):
    """{member: partitions} as Kafka-Pixy divides: one share a member."""
    return slices([m for m, r in registrations.items() if r["subscription"].get(topic)], partitions)


def by_threads(registrations, topic, partitions):
    """{thread: partitions} as Java divides: one share a thread."""
    return slices([f"{m}-{n}" for m, r in registrations.items() for n in range(r["subscription"].get(topic, 0))], partitions)


def is_java(registration):
    return isinstance(registration.get("timestamp"), str)


def registrations(zk, group):
    """{member: registration} of all that can be read."""
    found = {}
    for m in zk.get_children(f"/consumers/{group}/ids"):
        try:
            found[m] = json.loads(zk.get(f"/consumers/{group}/ids/{m}")[0])
        except NoNodeError:
            pass
    return found


class Scripted:
    """The thread of one. Subclasses say how it registers and what it does about a change of the members."""

    session_s = None

    def __init__(self, servers, broker, oracle):
        self.oracle, self.group, self.topic = oracle, oracle.group, oracle.topic
        self.base = f"/consumers/{self.group}"
        self.changed, self.stopping = threading.Event(), threading.Event()
        self.error, self.next = None, {}  # the offset to read and commit next, of each partition it has
        self.zk = KazooClient(servers, timeout=self.session_s)
        self.zk.start(30)
        self.reader = Consumer({"bootstrap.servers": broker.peers, "group.id": self.group, "log_level": 0,
                                "enable.auto.commit": False, "enable.auto.offset.store": False,
                                "auto.offset.reset": "error", "fetch.wait.max.ms": 100})
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            self.register()
            while not self.stopping.is_set():
                if self.changed.is_set():
                    self.changed.clear()
                    self.rebalance()
                self.consume()
            self.give_up(list(self.next))
            self.zk.delete(f"{self.base}/ids/{self.id}")
        except BaseException as e:
            self.error = e
        finally:
            self.reader.close()
            self.zk.stop()
            self.zk.close()

    def leave(self):
        self.stopping.set()
        self.thread.join(30)
        assert not self.thread.is_alive() and self.error is None, repr(self.error)

    def create(self, path, data, **more):
        """With the parents, which others may delete at any moment."""
        while True:
            try:
                return self.zk.create(path, data.encode(), **more)
            except NoNodeError:
                self.zk.ensure_path(path.rpartition("/")[0])

    def members(self):
        """And whatever changes from now on wakes it."""
        self.zk.get_children(f"{self.base}/ids", watch=lambda _: self.changed.set())
        return registrations(self.zk, self.group)

    def claim(self, partition, owner):
        self.create(f"{self.base}/owners/{self.topic}/{partition}", owner, ephemeral=True)

    def start(self, partitions):
        """After the claim: from what is committed."""
        asked = [TopicPartition(self.topic, p) for p in partitions]
        for tp in self.reader.committed(asked, timeout=20) if asked else []:
            self.next[tp.partition] = tp.offset = max(tp.offset, 0)
            self.reader.incremental_assign([tp])

    def consume(self):
        for m in self.reader.consume(20, 0.05):
            if m.error() or m.partition() not in self.next:
                continue
            assert m.offset() == self.next[m.partition()], f"partition {m.partition()}: {m.offset()}, not {self.next}"
            self.next[m.partition()] += 1
            with self.oracle.lock:
                self.oracle.log.append(Seen(self.group, self.id, m.partition(), m.offset(), m.value()[:32], time.monotonic()))

    def give_up(self, partitions):
        """Stops, commits, and lets others have them."""
        if partitions:
            self.reader.incremental_unassign([TopicPartition(self.topic, p) for p in partitions])
            done = [TopicPartition(self.topic, p, self.next.pop(p)) for p in partitions]
            deadline = time.monotonic() + 20
            while True:
                try:
                    self.reader.commit(offsets=done, asynchronous=False)
                    break
                except KafkaException:
                    assert time.monotonic() < deadline
                    time.sleep(0.5)
        for p in partitions:
            self.release(p)


class Pixy(Scripted):
    """Waits 250 ms after a change, does nothing when nobody has changed, claims each partition until it gets it."""

    session_s = 15
    settle_s, retry_s = 0.25, 0.5

    def __init__(self, *args):
        self.last = None
        self.id = f"pixy_scripted-{uuid.uuid4().hex[:4]}_1_{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
        super().__init__(*args)

    def register(self):
        said = json.dumps({"pattern": "static", "subscription": {self.topic: 1}, "timestamp": int(time.time()), "version": 1})
        self.create(f"{self.base}/ids/{self.id}", said, ephemeral=True)
        self.changed.set()

    def rebalance(self):
        members = self.members()
        time.sleep(self.settle_s)
        if members == self.last:
            return
        self.last = members
        mine = by_members(members, self.topic, self.oracle.partitions).get(self.id, [])
        self.give_up([p for p in self.next if p not in mine])
        wanted = [p for p in mine if p not in self.next]
        while wanted and not self.changed.is_set() and not self.stopping.is_set():
            for p in list(wanted):
                try:
                    self.claim(p, self.id)
                except NodeExistsError:
                    continue
                wanted.remove(p)
                self.start([p])
            if wanted:
                began = time.monotonic()
                while time.monotonic() < began + self.retry_s:
                    self.consume()

        if wanted:
            self.last = None

    def release(self, p):
        self.zk.delete(f"{self.base}/owners/{self.topic}/{p}", version=0)


class Java(Scripted):
    """Lets go of everything at each change, and gives up for good when it does not get all of its own in time."""

    session_s = 6
    threads, retries, backoff_s = 2, 4, 2.0

    def __init__(self, *args):
        self.tries = 0
        super().__init__(*args)

    def register(self):
        self.id = f"{self.group}_host-{int(time.time() * 1000)}-{uuid.uuid4().hex[:8]}"
        said = json.dumps({"version": 1, "subscription": {self.topic: self.threads}, "pattern": "static",
                           "timestamp": str(int(time.time() * 1000))})
        self.create(f"{self.base}/ids/{self.id}", said, ephemeral=True)
        self.changed.set()

    def rebalance(self):
        for n in range(self.retries):
            self.give_up(list(self.next))
            if self.claim_all():
                self.tries = max(self.tries, n + 1)
                return
            time.sleep(self.backoff_s)
        raise AssertionError(f"can't rebalance after {self.retries} retries")

    def claim_all(self):
        shares = by_threads(self.members(), self.topic, self.oracle.partitions)
        claimed = []
        for n in range(self.threads):
            for p in shares.get(f"{self.id}-{n}", []):
                try:
                    self.claim(p, f"{self.id}-{n}")
                except NodeExistsError:
                    for done in claimed:
                        self.release(done)
                    return False
                claimed.append(p)
        self.start(claimed)
        return True

    def release(self, p):
        """Whoever it belongs to."""
        try:
            self.zk.delete(f"{self.base}/owners/{self.topic}/{p}")
        except NoNodeError:
            pass

"""Scripted members of a group, by the rules that others follow: Kafka-Pixy 0.11, and the high-level consumer of Java.

Each takes part through ZooKeeper as its model does, reads what it has claimed, and commits as a simple consumer. It
hands what it has read to note(partition, offset).
"""

import itertools
import json
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError

_numbers = itertools.count(1)


def ranges(takers, partitions):
    """{taker: partitions}: the first of the sorted ones take one more when it leaves a rest."""
    each, rest = divmod(partitions, len(takers))
    found, first = {}, 0
    for i, taker in enumerate(sorted(takers)):
        n = each + (i < rest)
        found[taker] = list(range(first, first + n))
        first += n
    return found


class Peer:
    """One member with its session, its consumer and its thread. Subclasses have the rules."""

    def __init__(self, broker, group, topic, partitions, note):
        self.broker, self.group, self.topic, self.partitions, self.note = broker, group, topic, partitions, note
        self.base = f"/consumers/{group}"
        self.id = self.make_id(next(_numbers))
        self.held, self.changed, self.leaving = {}, threading.Event(), threading.Event()
        self.error = None
        self.zk = KazooClient(f"127.0.0.1:{broker.zookeeper.port}{broker.chroot}")
        self.zk.start(30)
        self.reader = Consumer({"bootstrap.servers": broker.peers, "group.id": group, "enable.auto.commit": False,
                                "auto.offset.reset": "error", "fetch.wait.max.ms": 50, "log_level": 0})
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def leave(self):
        """In order: commits, releases, is gone. Raises what went wrong."""
        self.leaving.set()
        self.changed.set()
        self.thread.join(30)
        self.end()
        if self.error:
            raise self.error

    def end(self):
        self.leaving.set()
        self.changed.set()
        self.thread.join(30)
        self.zk.stop()
        self.zk.close()

    def _run(self):
        try:
            self.register()
            while not self.leaving.is_set():
                if self.changed.is_set():
                    self.changed.clear()
                    self.rebalance()
                self.consume()
            self.unregister()
        except (KazooException, KafkaException, AssertionError) as e:
            self.error = e
        finally:
            self.reader.close()

    # What all have in common.

    def members(self):
        """{id: registration} of those that want the topic. Watches the children."""
        found = {}
        for child in self.zk.get_children(f"{self.base}/ids", watch=lambda _: self.changed.set()):
            try:
                found[child] = json.loads(self.zk.get(f"{self.base}/ids/{child}")[0])
            except NoNodeError:
                continue
        return {m: r for m, r in found.items() if self.topic in r["subscription"]}

    def write(self, registration):
        self.zk.create(f"{self.base}/ids/{self.id}", json.dumps(registration, separators=(",", ":")).encode(),
                       ephemeral=True, makepath=True)

    def path(self, partition):
        return f"{self.base}/owners/{self.topic}/{partition}"

    def start(self, partition, owner):
        """After the claim: from the committed offset, which the first owner stores."""
        self.held[partition] = owner
        at = TopicPartition(self.topic, partition)
        (stored,) = self.reader.committed([at], timeout=10)
        if stored.offset < 0:
            stored.offset = self.reader.get_watermark_offsets(at, timeout=10)[1]
            self.commit(partition, stored.offset)
        self.reader.incremental_assign([TopicPartition(self.topic, partition, stored.offset)])

    def commit(self, partition, offset):
        self.reader.commit(offsets=[TopicPartition(self.topic, partition, offset)], asynchronous=False)

    def stop(self, partition):
        """Before the release. All is committed: consume() does nothing else."""
        self.reader.incremental_unassign([TopicPartition(self.topic, partition)])

    def consume(self):
        message = self.reader.poll(0.02)
        if message is None:
            return
        if message.error():
            assert message.error().code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT), message.error()
            return
        self.note(message.partition(), message.offset())
        self.commit(message.partition(), message.offset() + 1)


class Pixy011(Peer):
    """Watches the children of ids alone, settles for 250 ms, claims and releases each 500 ms until it works."""

    @staticmethod
    def make_id(number):
        return f"pixy_scripted_{number:05d}_2015-09-24T22:21:05Z"

    def register(self):
        self.topics = {self.topic: 1}
        self._submit()
        self.changed.set()

    def _submit(self):
        self.write({"pattern": "static", "subscription": self.topics, "timestamp": int(time.time()), "version": 1})

    def resubmit(self):
        """Another topic comes or goes: its registration is deleted, and made again."""
        self.topics = {self.topic: 1} if len(self.topics) > 1 else {self.topic: 1, "another": 1}
        try:
            self.zk.delete(f"{self.base}/ids/{self.id}")
        except NoNodeError:
            pass
        self._submit()

    def unregister(self):
        self.zk.delete(f"{self.base}/ids/{self.id}")
        for p in list(self.held):
            self._release(p)

    def _release(self, partition):
        self.stop(partition)
        data, stat = self.zk.get(self.path(partition))
        assert data.decode() == self.id
        self.zk.delete(self.path(partition), version=stat.version)
        del self.held[partition]

    def rebalance(self):
        time.sleep(0.25)
        members = self.members()
        mine = ranges(members, self.partitions).get(self.id, []) if members else []
        for p in [p for p in self.held if p not in mine]:
            self._release(p)
        for p in [p for p in mine if p not in self.held]:
            try:
                self.zk.create(self.path(p), self.id.encode(), ephemeral=True, makepath=True)
            except NodeExistsError:
                self._later()
                continue
            self.start(p, self.id)

    def _later(self):
        timer = threading.Timer(0.5, self.changed.set)
        timer.daemon = True
        timer.start()


class Java(Peer):
    """Two threads, sorted by their ids; gives everything up first, and then up itself after the fourth try."""

    THREADS = 2
    RETRIES, BACKOFF = 4, 2.0

    def make_id(self, number):
        return f"{self.group}_scripted-{1443133276000 + number}-{number:08x}"

    def register(self):
        self.write({"version": 1, "subscription": {self.topic: self.THREADS}, "pattern": "static",
                    "timestamp": str(int(time.time() * 1000))})
        self.changed.set()

    def resubmit(self):
        self.changed.set()  # it rebalances whenever it likes

    def unregister(self):
        self._give_up()
        self.zk.delete(f"{self.base}/ids/{self.id}")

    def _give_up(self):
        for p in list(self.held):
            self.stop(p)
            del self.held[p]
            try:
                self.zk.delete(self.path(p))  # whosever it is
            except NoNodeError:
                pass

    def rebalance(self):
        for attempt in range(self.RETRIES):
            self._give_up()
            threads = [f"{m}-{n}" for m, r in self.members().items() for n in range(r["subscription"][self.topic])]
            shares = ranges(threads, self.partitions)
            if self._claim({p: t for t in shares if t.rpartition("-")[0] == self.id for p in shares[t]}):
                return
            if self.leaving.wait(self.BACKOFF):
                return
        raise AssertionError(f"ConsumerRebalanceFailedException after {self.RETRIES} tries: {self.id}")

    def _claim(self, owners):
        made = []
        for p, thread in owners.items():
            try:
                self.zk.create(self.path(p), thread.encode(), ephemeral=True, makepath=True)
                made.append(p)
            except NodeExistsError:
                for p in made:
                    self.zk.delete(self.path(p))
                return False
        for p, thread in owners.items():
            self.start(p, thread)
        return True

"""A log of what producers were told, and its comparison with what is in Kafka. For faults that producers share with
consumers; test_durability.py has more of order and crashes.
"""

import threading
from collections import Counter

from procs import wait_for
from web import TEXT, messages

NOTHING_SENT = "; nothing was sent"


class Produced:
    def __init__(self, broker, topic, size=100):
        self.broker, self.topic, self.size = broker, topic, size
        self.intent, self.never = set(), set()  # sent at all; told that it is not, and will not be, in Kafka
        self.acked = {}  # value: (partition, offset) where the answer was Kafka's own
        self.replies = Counter()  # by status, or the name of an error
        self.lock = threading.Lock()

    def client(self, sync=False, pace=0.01):
        """The work of one producer, for web.Workers."""
        def work(session, number, stop):
            n = 0
            while not stop.wait(pace):
                n += 1
                value = f"{'sync' if sync else 'async'}:{number}:{n}:".encode().ljust(self.size, b".")
                with self.lock:
                    self.intent.add(value)
                query = {"key": f"{number}", **({"sync": ""} if sync else {})}
                self.note(value, session.call("POST", messages(self.topic), query, value, TEXT))
        return work

    def note(self, value, reply):
        with self.lock:
            self.intent.add(value)
            self.replies[type(reply).__name__ if isinstance(reply, Exception) else reply.status] += 1
            if isinstance(reply, Exception):
                return
            if reply.status == 200:
                self.acked[value] = (reply.json["partition"], reply.json["offset"]) if reply.json else None
            elif NOTHING_SENT.encode() in reply.body:
                self.never.add(value)

    def check(self, timeout=30):
        """Waits until all that was answered 200 is there; fails when something never comes, or is what it should not be."""
        def missing():
            self.present = {}
            for m in self.broker.read_all(self.topic):
                self.present.setdefault(m.value, []).append((m.partition, m.offset))
            return set(self.acked) - set(self.present)
        try:
            wait_for(lambda: not missing(), timeout, "all is there", every=0.5)
        except AssertionError:
            lost = sorted(missing())
            raise AssertionError(f"LOST {len(lost)} of {len(self.acked)}: {[v[:40] for v in lost[:3]]}") from None
        moved = [v[:40] for v, at in self.acked.items() if at and at not in self.present[v]]
        assert not moved, f"D1: not where the answer said: {moved[:3]}"
        phantom = set(self.present) - self.intent
        assert not phantom, f"PHANTOM {[v[:40] for v in sorted(phantom)[:3]]}"
        there = self.never & set(self.present)
        assert not there, f"told that nothing was sent: {[v[:40] for v in sorted(there)[:3]]}"

    def counts(self):
        told = ", ".join(f"{n} {what}" for what, n in sorted(self.replies.items(), key=str))
        twice = sum(len(at) - 1 for at in self.present.values())
        return f"produced {told}: LOST 0, DUP {twice}"

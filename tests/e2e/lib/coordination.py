"""Members of a group that a real ZooKeeper divides, without Kafka: zkdrive takes part and prints what it is told."""

import itertools
import re
import signal
import subprocess
import time

from kazoo.exceptions import NoNodeError

from gateway import TREE, Sanitizers, binary
from procs import Proc, new_folder, wait_for

SESSION_TIMEOUT = 15
# A server that is just starting may take a connection and never answer on it; a client waits for ten seconds.
RECONNECT = 25
LSAN_OPTIONS = f"suppressions={TREE}/tests/lsan.supp:print_suppressions=0"
TOPIC = "t"
PARTITIONS = 10

_numbers = itertools.count(1)


class Member:
    """One zkdrive. `held` is what it thinks it has, from the lines it has printed."""

    def __init__(self, servers, group, *topics, name=None):
        # Numbered, so that the order of ids is the order of joining.
        self.id = name or f"m{next(_numbers):05d}"
        self.group = group
        self.folder = new_folder("zkdrive")
        self.sanitizers = Sanitizers(self.folder)
        argv = [binary("zkdrive"), servers, group, self.id, *(topics or [f"{TOPIC}:{PARTITIONS}"])]
        env = {**self.sanitizers.env, "LSAN_OPTIONS": LSAN_OPTIONS}
        self.proc = Proc("zkdrive", argv, self.folder, env=env, stdin=subprocess.PIPE)

    def tell(self, line):
        self.proc.popen.stdin.write(f"{line}\n".encode())
        self.proc.popen.stdin.flush()

    def lines(self, pattern):
        return re.findall(rf"^{pattern}$", self.proc.output(), re.M)

    def ask(self, line):
        """The answer of zkdrive, which begins with the question's first word."""
        what = line.split()[0]
        before = len(self.lines(f"{what} .*"))
        self.tell(line)
        return wait_for(lambda: self.lines(f"{what} (.*)")[before:], 10, f"an answer to {line}")[0]

    def held(self, topic=TOPIC):
        found = set()
        for what, partition in self.lines(rf"(claimed|revoke|lost) {topic} (\d+)"):
            if what == "claimed":
                assert int(partition) not in found, f"{topic} {partition} claimed twice"
                found.add(int(partition))
            else:
                found.discard(int(partition))
        return sorted(found)

    def settled(self):
        return self.ask(f"trouble {TOPIC}") == "none"

    def quit(self, within=5):
        self.proc.signal(signal.SIGTERM)
        assert self.proc.wait(within) == 0
        assert self.lines("end")

    def kill(self):
        self.proc.signal(signal.SIGKILL)
        self.proc.wait(5)

    def end(self):
        if self.proc.running():
            self.quit(12)
        self.sanitizers.check([self.proc.log])


def owners(zk, group, topic=TOPIC, top=""):
    """{member id: partitions} by the owner nodes."""
    base, found = f"{top}/consumers/{group}/owners/{topic}", {}
    try:
        for p in sorted(map(int, zk.get_children(base))):
            found.setdefault(zk.get(f"{base}/{p}")[0].decode(), []).append(p)
    except NoNodeError:
        return {}
    return found


def expect(zk, members, shares, within, group=None, top=""):
    """Members hold contiguous slices of these sizes, in order, and ZooKeeper says the same. Returns the seconds."""
    group = group or members[0].group
    starts = [sum(shares[:i]) for i in range(len(shares))]
    want = [list(range(s, s + n)) for s, n in zip(starts, shares)]
    began = time.monotonic()

    def as_wanted():
        ids = owners(zk, group, top=top)
        return ([m.held() for m in members] == want
                and sorted(ids.values()) == sorted(w for w in want if w))
    try:
        wait_for(as_wanted, within, f"slices {want}", every=0.01)
    except AssertionError:
        print([m.held() for m in members], owners(zk, group, top=top))
        raise
    took = time.monotonic() - began
    print(f"slices {shares} after {took:.2f} s")
    return took


def registration(zk, member, top=""):
    """The path of the member's registration, whatever its id has become; None when there is none."""
    base = f"{top}/consumers/{member.group}/ids"
    try:
        return next((f"{base}/{c}" for c in zk.get_children(base) if c.split(".")[0] == member.id), None)
    except NoNodeError:
        return None


def delete_tree(zk, top):
    """All of it at once: one by one, members would be faster to make it again."""
    def below(path):
        return [path] + [p for c in zk.get_children(path) for p in below(f"{path}/{c}")]

    def deleted():
        try:
            paths = below(top)
        except NoNodeError:
            return False
        change = zk.transaction()
        for path in reversed(paths):
            change.delete(path)
        return all(result is True for result in change.commit())
    wait_for(deleted, 5, f"{top} is deleted")

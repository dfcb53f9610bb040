"""What processes take, from /proc, each second: memory, threads, descriptors, CPU time."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Sample:
    at: float  # monotonic
    rss_kb: int  # all of it, and what is its own
    anon_kb: int
    threads: int
    fds: int
    cpu_s: float  # since its start

    @property
    def fds_besides(self):
        """Those that are not the two of each thread of a responder, which are to a web server and to the helper."""
        return self.fds - 2 * self.threads


def sample(pid):
    """None when it is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        return Sample(time.monotonic(), int(status["VmRSS"].split()[0]), int(status["RssAnon"].split()[0]),
                      int(status["Threads"]), len(os.listdir(folder / "fd")),
                      (int(fields[11]) + int(fields[12])) * TICK_S)
    except (OSError, KeyError, IndexError):
        return None


class Sampler:
    """Samples what processes() names, {pid: name}, until stop(). All that came and went are in `seen`."""

    def __init__(self, processes, every=1.0):
        self.processes, self.every = processes, every
        self.names, self.seen = {}, {}  # {pid: name}; {pid: [Sample]}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending.wait(self.every):
            for pid, name in self.processes().items():
                found = sample(pid)
                if found:
                    self.names[pid] = name
                    self.seen.setdefault(pid, []).append(found)

    def stop(self):
        self.ending.set()
        self.thread.join(10)

    def between(self, pid, begin, end):
        return [s for s in self.seen[pid] if begin <= s.at < end]

    def lived(self, begin, end, slack=5):
        """{name: pids} of those that were there from one time to the other."""
        found = {}
        for pid, seen in self.seen.items():
            if seen[0].at <= begin + slack and seen[-1].at >= end - slack:
                found.setdefault(self.names[pid], []).append(pid)
        return found

    def typical(self, pids, what, begin, end):
        """Of all of them together."""
        return sum(median(getattr(s, what) for s in self.between(pid, begin, end)) for pid in pids)

    def cpu_s(self, begin, end):
        """{name: CPU time of all processes of that name}."""
        took = {}
        for pid in self.seen:
            part = self.between(pid, begin, end)
            if part:
                took[self.names[pid]] = took.get(self.names[pid], 0) + part[-1].cpu_s - part[0].cpu_s
        return took

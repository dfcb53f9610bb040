"""Child processes of the tests: each in a folder of its own with a log file, each known by its pid.

Nothing here sleeps for a guessed time: wait_for() polls a condition until a deadline. The test run adopts
orphans (PR_SET_CHILD_SUBREAPER), so that whatever a killed launcher left behind is found and ended.
"""

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

# Ports from below the range that the kernel gives to outgoing connections, so that one which is reserved
# now and bound a minute later is still free; each worker has its share.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
PORTS = range(15000 + 4000 * _worker, 15000 + 4000 * (_worker + 1))
_ports_given = set()

_folders = 0


def rounds(check, long):
    """How often a random test is to be done: in `make check`, and with KP_LONG=1 in `make check-long`."""
    return long if os.environ.get("KP_LONG") else check


def seed():
    """Of everything random in a test; KP_SEED repeats a run. Print it with the counts."""
    return int(os.environ.get("KP_SEED") or random.SystemRandom().randrange(1 << 31))


def new_folder(name):
    """A fresh folder that web servers of other users may enter."""
    global _folders
    _folders += 1
    folder = Path(os.environ["KP_E2E_FOLDERS"]) / f"{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}-{_folders}-{name}"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def free_port():
    while True:
        port = random.choice(PORTS)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _ports_given:
            _ports_given.add(port)
            return port


def wait_for(condition, timeout, what, every=0.05):
    """Returns the first true value of condition(); fails with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(every)


def can_connect(address):
    """`address` is a path, or a (host, port) pair."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as s:
        s.settimeout(1)
        try:
            s.connect(address if family == socket.AF_INET else str(address))
        except OSError:
            return False
        return True


class Proc:
    """One child. Its output goes to <folder>/<name>.log; a restart appends."""

    all = []

    def __init__(self, name, argv, folder, env=None, user=None, stdin=subprocess.DEVNULL, stderr=None):
        self.name, self.folder = name, folder
        self.log = folder / f"{name}.log"
        # The child ends when the test run does, however that ends.
        argv = ["setpriv", "--pdeathsig", "TERM", *(["--reuid", user, "--regid", user, "--init-groups"] if user else []),
                *map(str, argv)]
        with open(self.log, "ab") as log:
            self.log_start = log.tell()
            self.popen = subprocess.Popen(argv, stdin=stdin, stdout=log, stderr=stderr or log, cwd=folder,
                                          env={**os.environ, **(env or {})}, start_new_session=True)
        self.ended_at = None
        Proc.all.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        if self.popen.poll() is None:
            return True
        self.ended_at = self.ended_at or time.monotonic()
        return False

    def output(self):
        """What it has written since this start."""
        with open(self.log, "rb") as f:
            f.seek(self.log_start)
            return f.read().decode(errors="replace")

    def wait_ready(self, condition, timeout, what):
        """wait_for(), but a child that ends before fails at once with its last words."""
        def ready_or_dead():
            if condition():
                return True
            assert self.running(), f"{self.name} ended with {self.popen.returncode}:\n{tail(self.log)}"
            return False
        wait_for(ready_or_dead, timeout, f"{self.name}: {what}")

    def signal(self, sig):
        if self.running():
            self.popen.send_signal(sig)

    def wait(self, timeout):
        """Its exit status; fails if it still runs after `timeout` seconds."""
        try:
            status = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} (pid {self.pid}) still runs after {timeout} s") from None
        self.ended_at = self.ended_at or time.monotonic()
        return status

    def end(self, timeout=20):
        """Orderly if it can be, by force if not. For clean-up, not for tests of stopping."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except AssertionError:
            self.signal(signal.SIGKILL)
            return self.wait(10)


class Proxy:
    """netproxy.py between a port that the broker names as its own and the broker."""

    def __init__(self, listen, target):
        script = Path(__file__).with_name("netproxy.py")
        self.port = listen
        self.popen = subprocess.Popen([sys.executable, script, str(listen), str(target)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        assert self.popen.stdout.readline() == "ready\n"

    def set(self, command):
        """(connections, hits so far)"""
        self.popen.stdin.write(f"{command}\n")
        self.popen.stdin.flush()
        return tuple(map(int, self.popen.stdout.readline().split()))

    def end(self):
        self.popen.stdin.close()
        self.popen.wait(10)
        self.popen.stdout.close()


def tail(path, lines=25):
    try:
        said = path.read_text(errors="replace").splitlines()
        return "\n".join([line for line in said if not line.startswith("\tat ")][-lines:])  # Java's stacks
    except OSError as e:
        return str(e)


# Looking at the process tree.

def _stat(pid):
    """(state, parent) or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


def program(pid):
    """The file name of the program that a pid runs; its process name is cut at 15 characters."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()
    except OSError:
        return ""
    return os.path.basename(words[0].rstrip(":")) if words else ""  # "nginx: worker process"


def descendants(pid, name=None):
    """The pids below `pid`, zombies left out; with `name`, those that run this program."""
    children = {}
    for entry in os.listdir("/proc"):
        stat = _stat(entry) if entry.isdigit() else None
        if stat and stat[0] != "Z":
            children.setdefault(stat[1], []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return [p for p in found if name is None or program(p) == name]


def alive(pid):
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def kill(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def orphans():
    """The children that the test run adopted, and whether each still runs."""
    ours = {p.pid for p in Proc.all if p.running()}
    for entry in os.listdir("/proc"):
        stat = _stat(entry) if entry.isdigit() else None
        if stat is not None and stat[1] == os.getpid() and int(entry) not in ours:
            yield entry, stat[0] != "Z"


def reap_orphans():
    """Ends the children that the test run adopted and buries the dead; returns what it had to end. A child whose
    parent was just killed may be about to end by itself."""
    until = time.monotonic() + 3
    while any(running for _, running in orphans()) and time.monotonic() < until:
        time.sleep(0.05)
    ended = []
    for entry, running in orphans():
        if running:
            ended.append(f"{program(entry)} ({entry})")
        kill(int(entry))
        try:
            os.waitpid(int(entry), 0)
        except ChildProcessError:
            pass
    return ended

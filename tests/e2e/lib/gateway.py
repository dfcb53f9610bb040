"""The programs under test: the launcher with all that it starts, or a helper for somebody else's web server."""

import os
import pwd
import shutil
import signal
import time
from pathlib import Path

import pytest

from procs import Proc, alive, can_connect, descendants, free_port, kill, new_folder, program, tail, wait_for
from web import Site

TREE = Path(__file__).resolve().parents[3]
BUILD = (TREE / os.environ.get("KP_BUILD", "build")).resolve()

HELPER = "kafka-pixy-helper"
RESPONDER = "kafka-pixy.fcgi"

STOP_WITHIN = 15

# Whom the external web servers run as.
WEB_USER = "www-data" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")


def binary(name, faults=False):
    """`faults`: from the build whose places of common/fault.h are real."""
    path = (BUILD / "faults" if faults else BUILD) / name
    assert path.exists(), f"{path} is not built"
    return path


def flags(options):
    """--name=value for each; a list gives the option several times."""
    found = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        found += [f"-{name}={v}" if len(name) == 1 else f"--{name}={v}" for v in values if v is not None]
    return found


def bare(folder, **options):
    """The command of a helper that needs nobody."""
    return [str(w) for w in [binary(HELPER), *flags({"kafkaPeers": "embedded", "socket": folder / "h.sock", **options})]]


def broker_options(broker, coordination=None):
    """How a gateway reaches a broker; None is the embedded one."""
    if broker is None:
        return {"kafkaPeers": "embedded"}
    if broker.zk_peers is None:
        return {"kafkaPeers": broker.peers, "coordination": coordination or "local", **broker.options}
    return {"kafkaPeers": broker.peers, "zookeeperPeers": broker.zk_peers,
            "coordination": coordination or "zookeeper", **broker.options}


class Sanitizers:
    """Where ASan, UBSan and TSan write; a report fails the test."""

    def __init__(self, folder):
        self.folder = folder / "sanitizers"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        log = f"log_path={self.folder}/report"
        self.env = {"ASAN_OPTIONS": log, "UBSAN_OPTIONS": f"{log}:print_stacktrace=1", "TSAN_OPTIONS": log}

    def check(self, logs=()):
        found = [tail(f, 60) for f in sorted(self.folder.iterdir())]
        for log in logs:
            text = log.read_text(errors="replace") if log.exists() else ""
            if "Sanitizer:" in text or ": runtime error: " in text:
                found.append(f"{log}:\n{tail(log, 60)}")
        assert not found, "sanitizer reports:\n" + "\n".join(found)


class Gateway:
    """`kafka-pixy` in a folder of its own. `tcp` and `unix` are the two ways in."""

    def __init__(self, broker=None, coordination=None, folder=None, **options):
        self.broker = broker
        self.folder = folder or new_folder("gateway")
        self.sanitizers = Sanitizers(self.folder)
        self.pid_file = self.folder / "kafka-pixy.pid"
        store = self.folder / "store"
        store.mkdir(mode=0o700)
        self.store = store / "store.db"
        self.tcp = self.site = Site(port=free_port())
        self.unix = Site(unix=self.folder / "http.sock")
        self.options = {"tcpAddr": f"127.0.0.1:{self.tcp.port}", "unixAddr": self.unix.unix,
                        "pidFile": self.pid_file, "store": self.store,
                        **broker_options(broker, coordination), **options}
        self.extra = []  # more words of the command line
        self.before = []  # a program that starts it
        self.env = {}
        self.stderr = None  # the log's place, when it is not the file of the process
        self.proc = None

    def start(self, wait=True):
        self.proc = Proc("kafka-pixy", [*self.before, binary("kafka-pixy"), *flags(self.options), *self.extra],
                         self.folder, env={**self.sanitizers.env, **self.env}, stderr=self.stderr)
        if wait:
            self.await_ready()
        return self

    def await_ready(self, timeout=20):
        self.proc.wait_ready(lambda: self.has_said_so() and self.answers(), timeout, "answers /_ping")

    def has_said_so(self):
        """What is done to a gateway before, is done to a start. True where its log does not tell."""
        tells = self.stderr is None and self.options.get("logLevel") in (None, "info", "debug")
        return not tells or ": serving on " in self.proc.output()

    def answers(self):
        session = self.tcp.session()
        session.timeout = 5
        reply = session.call("GET", "/_ping")
        session.close()
        return not isinstance(reply, Exception) and reply.status == 200

    # The processes below.

    def pids(self, name=None):
        return descendants(self.proc.pid, name)

    def helper(self):
        (pid,) = self.pids(HELPER)
        return pid

    def nginx_master(self, launcher=None):
        (pid,) = [p for p in self.pids("nginx") if p in descendants_once(launcher or self.proc.pid)]
        return pid

    def kill_helper(self):
        """SIGKILL; the launcher starts another. Returns when the killed one is gone."""
        pid = wait_for(lambda: (self.pids(HELPER) or [None])[0], 15, "a helper to kill")
        kill(pid)
        wait_for(lambda: not alive(pid), 10, "the killed helper is gone")

    def kill_all(self):
        """The host loses power, as far as its peers can see: launcher, helper, responders, nginx."""
        below = self.pids()
        options = Path(f"/proc/{self.helper()}/cmdline").read_text().split("\0")
        (socket,) = [o for o in options if o.startswith("--socket=")]
        self.proc.signal(signal.SIGKILL)
        for pid in below:
            kill(pid)
        self.proc.wait(10)
        # Nobody is left to remove the launcher's folder of sockets.
        shutil.rmtree(Path(socket.partition("=")[2]).parent, ignore_errors=True)

    def stop(self, sig=signal.SIGTERM):
        """Must end with status 0 within the promised time and leave no process behind."""
        below = {pid: program(pid) for pid in self.pids()}
        self.proc.signal(sig)
        status = self.proc.wait(STOP_WITHIN)
        assert status == 0, f"exit status {status}:\n{tail(self.proc.log)}"
        left = {pid: name for pid, name in below.items() if alive(pid)}
        assert not left, f"still running after the launcher has ended: {left}"

    def restart(self):
        self.stop()
        self.start()

    def end(self):
        """At the end of a test: an orderly stop when it still runs, and a look at the sanitizers."""
        if self.proc and self.proc.running():
            self.stop()
        self.sanitizers.check([self.proc.log] if self.proc else [])


def descendants_once(pid):
    """The direct children."""
    return [p for p in descendants(pid) if _parent(p) == pid]


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


class Helper:
    """`kafka-pixy-helper` on a socket, for responders that a web server or the test starts."""

    def __init__(self, broker=None, coordination=None, **options):
        self.folder = new_folder("helper")
        self.sanitizers = Sanitizers(self.folder)
        run = self.folder / "run"
        run.mkdir()
        run.chmod(0o755)
        self.socket = run / "helper.sock"
        store = self.folder / "store"
        store.mkdir(mode=0o700)
        self.store = store / "store.db"
        self.options = {"socket": self.socket, "store": self.store, "socketUsers": WEB_USER,
                        "socketGroup": WEB_USER if os.getuid() == 0 else None,
                        **broker_options(broker, coordination), **options}
        self.env = {"KAFKA_PIXY_SOCKET": str(self.socket), **self.sanitizers.env}
        # A copy, because web servers' users may not enter the tree.
        self.responder = self.folder / "bin" / RESPONDER
        self.responder.parent.mkdir()
        shutil.copy(binary(RESPONDER), self.responder)
        self.responder.chmod(0o755)
        self.before = []  # a program that starts it
        self.proc = None

    def launch(self, **faults):
        """Does not wait. `faults`: what common/fault.h reads, KP_KILL_AT="P4:3" or KP_BREAK="early-answer"."""
        self.proc = Proc(HELPER, [*self.before, binary(HELPER, faults=bool(faults)), *flags(self.options)], self.folder,
                         env={**self.sanitizers.env, **faults})

    def start(self, **faults):
        self.launch(**faults)
        self.proc.wait_ready(lambda: can_connect(self.socket), 20, "listens on its socket")
        return self

    def kill(self):
        self.proc.signal(signal.SIGKILL)
        self.proc.wait(10)

    def stop(self):
        self.proc.signal(signal.SIGTERM)
        status = self.proc.wait(STOP_WITHIN)
        assert status == 0, f"exit status {status}:\n{tail(self.proc.log)}"

    def end(self):
        if self.proc and self.proc.running():
            self.stop()
        self.sanitizers.check([self.proc.log] if self.proc else [])


def stopwatch():
    """A function that tells the seconds since this call."""
    start = time.monotonic()
    return lambda: time.monotonic() - start


class FaultyHelper(Helper):
    """A helper and responders of the build that dies at named points; `env` of start() says where."""

    def __init__(self, broker, **options):
        super().__init__(broker, **options)
        self.responder.unlink()
        self.responder.write_bytes(binary(RESPONDER, faults=True).read_bytes())
        self.responder.chmod(0o755)

    def start(self, **env):
        self.proc = Proc(HELPER, [binary(HELPER, faults=True), *flags(self.options)], self.folder,
                         env={**self.sanitizers.env, **env})
        self.proc.wait_ready(lambda: can_connect(self.socket), 20, "listens on its socket")
        return self

"""What an operator asks: the commands of `kafka-pixy`, and /_status."""

import json
import os
import subprocess
from pathlib import Path

from gateway import binary

COUNTERS = ["accepted", "delivered", "pending", "dead", "dropped"]
KEYS = ["version", "librdkafka", "uptime", "durability", "embedded", *COUNTERS, "bytes", "maxBytes", "freeBytes",
        "oldestAge", "deliveredPerSecond", "kafka", "zookeeper", "store", "troubledTopics", "troubles"]


def helper_socket(gw):
    """Where the launcher has put the socket of its helper."""
    words = Path(f"/proc/{gw.helper()}/cmdline").read_text().split("\0")
    (socket,) = [w.partition("=")[2] for w in words if w.startswith("--socket=")]
    return socket


class Operator:
    """The commands, on one socket."""

    def __init__(self, socket, program=None, user=None):
        self.socket, self.program = socket, program or binary("kafka-pixy")
        self.prefix = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if user else []

    def run(self, *words, status=0):
        """What it prints to standard output and standard error; its exit status must be that one, None: any."""
        env = {**os.environ, "KAFKA_PIXY_SOCKET": str(self.socket)}
        done = subprocess.run([*self.prefix, self.program, *map(str, words)], capture_output=True, text=True,
                              timeout=30, env=env, stdin=subprocess.DEVNULL, cwd="/")
        assert status in (done.returncode, None), f"{words}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout, done.stderr

    def json(self, *words, status=0):
        return json.loads(self.run(*words, "--json", status=status)[0])

    def export(self, *words):
        return [json.loads(line) for line in self.run("export", *words)[0].splitlines()]


def status(gw):
    reply = gw.tcp.get("/_status", rules=False)
    assert reply.headers["content-type"] == "application/json" and not reply.body.endswith(b"\n")
    found = reply.json
    assert list(found) == (KEYS if reply.status == 200 else ["error", *KEYS]), found
    assert reply.status == 200 or int(reply.headers["retry-after"]) > 0
    return reply.status, found

"""A quota of the brokers is neither an empty topic nor a broken one."""

import subprocess
import time

import pytest

from kafka import JAVA
from procs import rounds, wait_for
from webservers import Nginx

RATE = 10000  # bytes a second
SIZE = 40000
COUNT = rounds(6, 30)


def set_quota(broker, change):
    run = subprocess.run([*JAVA, "-cp", broker.jars, "kafka.admin.ConfigCommand", "--bootstrap-server", broker.peers, "--alter",
                    "--entity-type", "clients", "--entity-default", *change], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture
def quota(kafka_kraft):
    """For each client, whoever it is; a function that lifts it."""
    def lift():
        if at_end:
            set_quota(kafka_kraft, at_end.pop())
    set_quota(kafka_kraft, ["--add-config", f"consumer_byte_rate={RATE}"])
    at_end = [["--delete-config", "consumer_byte_rate"]]
    yield lift
    lift()


@pytest.mark.timeout(rounds(120, 300))
def test_throttled(helper, kafka_kraft, quota, name, note):
    topic = kafka_kraft.create_topic(name, 1)
    h = helper(kafka_kraft, start=False, initialOffset="oldest")
    h.start(KP_STALL_MS="1000")
    nginx = Nginx(h)
    nginx.start()
    site, seen, got = nginx.site, [], []
    site.join(topic, topic)
    for i in range(COUNT):
        assert site.produce(topic, b"%03d" % i + bytes(SIZE), sync=True).status == 200
    produced, lifted = time.monotonic(), None
    while len(got) < COUNT:
        reply = site.consume(topic, topic)
        seen.append(reply.status)
        if reply.status == 200:
            got.append(reply.message[1])
        else:
            assert reply.status == 503 and reply.error.startswith("throttled by a quota of the brokers since "), reply
        if lifted is None and seen.count(503) >= rounds(2, 20):
            found = site.get("/_status", rules=False).json["troubles"]
            assert [t["error"].split(" since ")[0] for t in found] == ["throttled by a quota of the brokers"], found
            quota()
            lifted = time.monotonic()
    assert got == list(range(COUNT)), "once each, in order"
    assert lifted is not None, "it was not throttled"
    wait_for(lambda: site.consume(topic, topic).status == 408, 30, "empty again")
    said = h.proc.output()
    assert "partition stalls" not in said and "starts anew" not in said
    nginx.end()
    note(f"throttled: {seen.count(503)} times 503 in {lifted - produced:.0f} s, all {COUNT} messages "
         f"{time.monotonic() - lifted:.0f} s after the quota was lifted")

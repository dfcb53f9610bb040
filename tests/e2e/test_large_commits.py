"""Commits of many partitions, each with as much metadata as brokers take: one record of a broker's log has 1 MB at most."""

import json

import pytest

import fastcgi
from consumer_oracle import open_poll
from procs import wait_for

PARTITIONS = 300
LARGEST = "m" * 4096


@pytest.mark.parametrize("coordination", ["local", "kafka"])
def test_more_than_a_broker_takes_at_once(faulty, responder, kafka_kraft, coordination, name):
    """Offsets set by a user, a group that starts, and what is committed again with an hour made a second."""
    topic = kafka_kraft.create_topic(name, PARTITIONS)
    h = faulty(kafka_kraft, coordination=coordination).start(KP_RECOMMIT_MS="1000")
    r = responder(h)
    uri = f"/topics/{topic}/offsets?group={name}"

    def set_metadata(partitions):
        rows = [{"partition": p, "offset": 0, "metadata": LARGEST} for p in partitions]
        reply = fastcgi.call(r.socket, "POST", uri, json.dumps(rows).encode())
        assert reply.status == 200, reply

    def rows():
        return json.loads(fastcgi.call(r.socket, "GET", uri).body)

    def poll():
        with open_poll(r.socket, topic, name) as s:
            return fastcgi.read(s)
    set_metadata(range(245))        # 1 MiB of JSON, and more than 1,000,000 bytes in Kafka's log
    set_metadata(range(200, 300))
    kafka_kraft.produce_lines(topic, ["x"])
    first = wait_for(lambda: (reply := poll()).status == 200 and reply, 20, "a group that starts")
    partition = first.message[0]
    wait_for(lambda: rows()[partition]["offset"] == 1, 10, "it is committed")
    set_metadata([partition])       # of a group that is being consumed
    kafka_kraft.produce_lines(topic, range(PARTITIONS))
    assert poll().status == 200
    wait_for(lambda: sum(row["offset"] for row in rows()) >= 1, 10, "it is committed")
    others = [row for row in rows() if row["offset"] == 0]
    assert len(others) > PARTITIONS - 5 and all(row["metadata"] == LARGEST for row in others)
    assert "commit failed" not in h.proc.output()

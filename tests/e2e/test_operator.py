"""What an operator sees and does: /_status, receipts, and the commands of `kafka-pixy`, on real Kafka."""

import base64
import os
import shutil
import subprocess

import pytest

from commands import COUNTERS, Operator, helper_socket, status
from gateway import WEB_USER, binary, stopwatch
from procs import wait_for

LIMIT = 500  # max.message.bytes of a topic that makes dead letters
LARGE = os.urandom(2000)


def conserved(gw):
    """The counters, once nothing is on its way."""
    def quiet():
        found = status(gw)[1]
        return found if found["accepted"] == sum(found[c] for c in COUNTERS[1:]) else None
    return wait_for(quiet, 10, "accepted = delivered + pending + dead + dropped")


def receipt(gw, message):
    return gw.tcp.get(f"/_messages/{message}").json


def produce(gw, topic, value, key=None):
    """Async; the id of the message."""
    reply = gw.tcp.produce(topic, value, key)
    assert (reply.status, reply.body) == (200, b"{}"), reply
    return reply.headers["x-kafka-pixy-id"]


def bury(gw, broker, topic, letters):
    """Accepted while Kafka hangs, so that it can refuse them only afterwards; their ids."""
    broker.pause()
    try:
        ids = [produce(gw, topic, value, key) for key, value in letters]
        assert all(receipt(gw, i) == {"id": i, "state": "pending"} for i in ids)
    finally:
        broker.resume()
    wait_for(lambda: all(receipt(gw, i)["state"] == "dead" for i in ids), 20, "dead letters")
    return ids


def sent_again(gw, op, message):
    """Once; true when Kafka has taken it."""
    op.run("retry", message)
    return wait_for(lambda: receipt(gw, message)["state"] != "pending" and receipt(gw, message), 10,
                    "the end of it")["state"] == "delivered"


@pytest.fixture(scope="module")
def stand(shared_gateway, kafka_zk):
    gw = shared_gateway(kafka_zk)
    return gw, kafka_zk, Operator(helper_socket(gw))


def test_dead_letters_are_seen_exported_dropped_and_sent_again(stand, name, note):
    gw, broker, op = stand
    topic = broker.create_topic(name, 1, max_message_bytes=LIMIT)
    small = produce(gw, topic, b"small", "k")
    wait_for(lambda: receipt(gw, small)["state"] == "delivered", 10, "the small one is delivered")
    letters = [("k", LARGE), (None, LARGE + b"2"), ("", LARGE + b"\0\xff"), ("k", LARGE + b"4")]
    ids = bury(gw, broker, topic, letters)
    assert receipt(gw, ids[0]) == {"id": ids[0], "state": "dead", "reason": "Broker: Message size too large"}
    assert receipt(gw, small) == {"id": small, "state": "delivered", "partition": 0, "offset": 0}
    before = conserved(gw)
    assert before["dead"] == 4

    # Seen, without a body.
    out, err = op.run("dead", "--topic", topic)
    assert err == "" and out.splitlines()[0].split() == ["id", "topic", "age", "size", "tries", "died", "reason"]
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [[i, topic] for i in ids]
    assert out.count("Broker: Message size too large\n") == 4 and out.count("2.0 KiB") == 4
    out, err = op.run("dead", "--topic", topic, "--limit", 3)
    assert len(out.splitlines()) == 4 and "--limit shows more" in err
    assert op.run("dead", "--topic", topic, "--limit", 4)[1] == ""
    rows = op.json("dead", "--topic", topic)
    assert [r["id"] for r in rows] == ids and all(r["bytes"] in (2000, 2001, 2002) and r["attempts"] > 0 for r in rows)
    assert "value" not in rows[0] and op.json("dead", "--topic", "other") == []

    # Exported, with all of it.
    found = op.export("--topic", topic)
    assert [r["id"] for r in found] == ids and set(found[0]) >= {"accepted", "died", "reason", "attempts"}
    assert [(None if r["key"] is None else base64.b64decode(r["key"]).decode(), base64.b64decode(r["value"]))
            for r in found] == letters
    assert op.export("--pending", "--topic", topic) == []

    # Sent again too early, it is dead again, and is found by the same id.
    assert op.run("retry", ids[0])[0] == "1 message goes to Kafka again\n"
    again = wait_for(lambda: [r for r in op.json("dead", "--topic", topic) if r["id"] == ids[0]], 20, "it is dead again")
    assert again[0]["attempts"] > rows[0]["attempts"], again
    assert receipt(gw, ids[0])["state"] == "dead"

    # Dropped.
    out, _ = op.run("drop", "--yes", ids[3], 17, status=1)
    assert out == "1 dead letter is gone for good; 1 of the ids is not a dead letter: 17\n"
    assert gw.tcp.get(f"/_messages/{ids[3]}").status == 404
    assert "no --yes" in op.run("drop", "--all", status=2)[1]

    # Sent again after the cause is gone.
    broker.set_topic(topic, max_message_bytes=100_000)
    wait_for(lambda: sent_again(gw, op, ids[0]), 20, "the broker has taken notice of the new limit")
    assert op.run("retry", "--all", "--topic", topic)[0] == "2 messages go to Kafka again\n"
    wait_for(lambda: len(broker.read_all(topic)) == 4, 20, "they are in Kafka", every=0.3)
    sent = [(None if m.key is None else m.key.decode(), m.value) for m in broker.read_all(topic)]
    assert sorted(sent, key=str) == sorted([("k", b"small"), *letters[:3]], key=str)
    wait_for(lambda: all(receipt(gw, i)["state"] == "delivered" for i in ids[:3]), 10, "receipts of the delivered")
    assert op.run("retry", ids[0], status=1)[0].startswith("0 messages go to Kafka again; 1 of the ids is not")
    assert op.run("dead", "--topic", topic) == ("", "there are no dead letters of this topic\n")
    after = conserved(gw)
    assert (after["dead"], after["pending"], after["dropped"] - before["dropped"]) == (0, 0, 1)
    note(f"operator: 4 dead letters, 3 sent again, 1 dropped; accepted {after['accepted']} = delivered "
         f"{after['delivered']} + dropped {after['dropped']}")


def test_kafka_is_away_and_comes_back(stand, name):
    gw, broker, op = stand
    topic = broker.create_topic(name, 1)
    reply = gw.tcp.produce(topic, b"first", sync=True)
    assert reply.status == 200 and "x-kafka-pixy-id" not in reply.headers
    wait_for(lambda: status(gw)[0] == 200, 10, "all serve")
    code, found = status(gw)
    shown = op.json("status")
    moving = ["uptime", "freeBytes", "oldestAge", "deliveredPerSecond"]
    assert {k: v for k, v in shown.items() if k not in moving} == {k: v for k, v in found.items() if k not in moving}
    assert found["kafka"]["state"] == found["zookeeper"]["state"] == found["store"]["state"] == "up"
    assert found["durability"] == "fsync" and found["maxBytes"] == 1 << 30 and found["freeBytes"] > 0
    out, err = op.run("status")
    assert err == "" and "durability fsync" in out and out.count(" up ") == 4

    broker.stop()
    try:
        ids = [produce(gw, topic, b"kept %d" % n) for n in range(3)]
        elapsed = stopwatch()
        code, found = wait_for(lambda: (lambda s: s if s[0] == 503 else None)(status(gw)), 15, "/_status tells it")
        assert found["error"].startswith("Kafka is down since 20") and found["kafka"]["lastError"], found
        assert elapsed() < 10 and found["kafka"]["state"] == "down" and found["store"]["state"] == "up"
        out, _ = op.run("status", status=1)
        assert "down" in out and "none is delivered now" in out
        assert op.json("status", status=1)["error"] == found["error"]
        assert found["pending"] == 3
        assert [r["id"] for r in op.json("pending")] == ids
        assert [line.split()[0] for line in op.run("pending", "--topic", topic)[0].splitlines()[1:]] == ids
        assert [base64.b64decode(r["value"]) for r in op.export("--pending")] == [b"kept 0", b"kept 1", b"kept 2"]
        assert receipt(gw, ids[2]) == {"id": ids[2], "state": "pending"}
        assert gw.tcp.curl("HEAD", "/_status", rules=False).status == 503
    finally:
        broker.start()
    wait_for(lambda: status(gw)[0] == 200, 20, "200 again")
    wait_for(lambda: receipt(gw, ids[2])["state"] == "delivered", 20, "the kept ones are delivered")
    assert [receipt(gw, i)["offset"] for i in ids] == [1, 2, 3]
    assert op.run("pending") == ("", "nothing is pending\n")
    assert conserved(gw)["pending"] == 0
    op.run("status")


def test_receipts_that_are_none(stand):
    gw, _, _ = stand
    reply = gw.tcp.get("/_messages/17")
    assert reply.status == 404 and "17" in reply.error
    for bad in ["0", "-1", "x", "9223372036854775808", "1%2F2"]:
        reply = gw.tcp.get(f"/_messages/{bad}")
        assert reply.status == 400 and "X-Kafka-Pixy-Id" in reply.error


def test_the_helper_is_found_without_being_told(stand):
    """Other gateways may run on this machine: then ours is in the list to choose from."""
    _, _, op = stand
    env = {k: v for k, v in os.environ.items() if k != "KAFKA_PIXY_SOCKET"}
    done = subprocess.run([op.program, "status"], capture_output=True, text=True, timeout=30, env=env)
    if done.returncode == 3:
        assert "several gateways" in done.stderr and op.socket in done.stderr, done.stderr
    else:
        assert done.returncode == 0 and "Kafka-Pixy" in done.stdout, done


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become other users")
def test_only_the_operator_may_see_and_change_what_is_stored(helper):
    """A user of --socketUsers, as the web server is one, may ask how it is; a stranger may not even connect."""
    h = helper(None)
    program = h.responder.parent / "kafka-pixy"
    shutil.copy(binary("kafka-pixy"), program)
    guest = Operator(h.socket, program, WEB_USER)
    wait_for(lambda: Operator(h.socket).json("status", status=None)["kafka"]["state"] == "up", 20, "it serves")
    out, _ = guest.run("status")
    assert "with the broker in memory" in out
    for words in [["pending"], ["dead"], ["export"], ["retry", "1"], ["retry", "--all"], ["drop", "--yes", "1"]]:
        out, err = guest.run(*words, status=1)
        assert out == "" and "only root and the helper's own user" in err, err
    out, err = Operator(h.socket, program, "65534").run("status", status=3)
    assert out == "" and "Permission denied" in err
    h.stop()
    assert "cannot be reached" in Operator(h.socket).run("status", status=3)[1]
    del h.options["socketUsers"]
    h.start()
    out, err = guest.run("status", status=3)
    assert out == "" and "add it to --socketUsers" in err


def end_of(gw, broker, topic, values):
    """Accepted while Kafka hangs, so that they go in one batch; their states in the end."""
    broker.pause()
    try:
        ids = [produce(gw, topic, value) for value in values]
    finally:
        broker.resume()
    wait_for(lambda: all(receipt(gw, i)["state"] != "pending" for i in ids), 20, "the end of all")
    return [receipt(gw, i)["state"] for i in ids]


def test_one_that_is_too_large_takes_nobody_with_it(stand, name):
    gw, broker, _ = stand
    topic = broker.create_topic(name, 1, max_message_bytes=LIMIT)
    assert end_of(gw, broker, topic, [b"1", LARGE, b"2"]) == ["delivered", "dead", "delivered"]


def test_a_backlog_of_good_messages_makes_no_dead_letters(stand, name):
    """max.message.bytes is that of a batch: ten of 100 bytes are more than 500 together."""
    gw, broker, _ = stand
    topic = broker.create_topic(name, 1, max_message_bytes=LIMIT)
    assert end_of(gw, broker, topic, [os.urandom(100) for _ in range(10)]) == ["delivered"] * 10

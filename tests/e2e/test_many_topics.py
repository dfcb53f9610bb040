"""As many topics as the helper and its store have room for: only messages of new ones are refused."""

import sqlite3

import pytest

from commands import Operator, helper_socket
from gateway import stopwatch
from procs import free_port, rounds, wait_for
from storefile import add
from web import messages

STORED_MAX, WAITING_MAX = 10_000, 4_096


class Nowhere:
    """A Kafka that never answers."""
    zk_peers, options = None, {}

    def __init__(self):
        self.peers = f"127.0.0.1:{free_port()}"


@pytest.fixture
def filled(gateway):
    """Starts a gateway without Kafka on a store with these rows."""
    def make(rows, dead, **options):
        gw = gateway(Nowhere(), **options)
        gw.stop()
        add(gw.store, rows, dead)
        return gw.start()
    return make


def refused(reply, why):
    assert reply.status == 503 and why in reply.error and int(reply.headers["retry-after"]) > 0, reply
    return True


def taken(reply):
    assert (reply.status, reply.body) == (200, b"{}"), reply
    return True


def test_a_topic_too_many_in_the_store(filled):
    gw = filled(((f"dead-{i}", b"k", b"v") for i in range(STORED_MAX - 1)), dead=True)
    assert taken(gw.tcp.produce("new-1", b"v"))
    assert refused(gw.tcp.produce("new-2", b"v"), "the topic is new, and too many others have messages in the store")
    assert taken(gw.tcp.produce("new-1", b"v"))
    assert taken(gw.tcp.produce("dead-5", b"v"))
    gw.kill_helper()
    gw.await_ready()
    assert refused(gw.tcp.produce("new-2", b"v"), "the topic is new")
    assert taken(gw.tcp.produce("new-1", b"v"))
    # One topic less makes room for one.
    op = Operator(helper_socket(gw))
    op.run("drop", "--all", "--topic", "dead-7", "--yes")
    assert taken(gw.tcp.produce("new-2", b"v"))
    assert refused(gw.tcp.produce("new-3", b"v"), "the topic is new")


def test_a_topic_too_many_that_waits(filled):
    gw = filled(((f"waits-{i}", b"k", b"v") for i in range(WAITING_MAX)), dead=False)
    assert refused(gw.tcp.produce("new", b"v"), "the topic is new, and too many others have messages that wait")
    assert taken(gw.tcp.produce("waits-9", b"v"))
    assert taken(gw.tcp.produce(f"waits-{WAITING_MAX - 1}", b"v"))


def test_dead_letters_of_before_are_in_their_topics_half(filled):
    gw = filled((("dead", b"k", b"v" * 10_000) for _ in range(53)), dead=True, storeMaxBytes=1 << 20)
    assert refused(gw.tcp.produce("dead", b"v"), "its share of the store")
    assert taken(gw.tcp.produce("other", b"v"))
    Operator(helper_socket(gw)).run("drop", "--all", "--topic", "dead", "--yes")
    assert taken(gw.tcp.produce("dead", b"v"))


@pytest.mark.timeout(rounds(180, 1800))
def test_one_topic_after_the_other(gateway, note):
    """Of each a message, which Kafka takes: none of them is in the way of the next."""
    count, took = rounds(500, STORED_MAX + 500), stopwatch()
    gw = gateway(None, durability="os")
    session = gw.tcp.session()
    for i in range(count):
        reply = session.call("POST", messages(f"topic-{i}"), {"key": "k"}, b"v")
        assert reply.status == 200, (i, reply)
    wait_for(lambda: gw.tcp.get("/_status", rules=False).json["pending"] == 0, 60, "all are delivered")
    gw.stop()
    db = sqlite3.connect(gw.store)
    (names,) = db.execute("SELECT count(*) FROM topic").fetchone()
    db.close()
    assert names <= 1000
    note(f"{count} topics one after the other: {took():.0f} s, {names} names left in the store")

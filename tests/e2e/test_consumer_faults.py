"""Consumers whose clients, helpers or responders go away at any moment: nothing is skipped."""

import os
import select
import signal
import time

import pytest

import fastcgi
from conftest import end_all, maker
from consumer_oracle import ConsumerOracle, open_poll
from gateway import HELPER, RESPONDER, Helper, binary, flags
from procs import Proc, can_connect, rounds, seed, wait_for
from web import messages
from webservers import Responder


@pytest.fixture(scope="module")
def broker(kafka_zk):
    return kafka_zk


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


@pytest.fixture
def faulty():
    make, made = maker(FaultyHelper)
    yield lambda broker, **options: make(broker, start=False, **options)
    end_all(made)


@pytest.fixture
def responder():
    made = []

    def make(helper):
        made.append(Responder(helper))
        made[-1].start()
        return made[-1]
    yield make
    for r in made:
        r.end()


def leave_unread(responder, topic, group, count):
    """Web servers that close a long poll once its reply is there, and read none of it."""
    for _ in range(count):
        with open_poll(responder.socket, topic, group) as s:
            assert select.select([s], [], [], 10)[0], "no reply"


def test_web_server_that_leaves_with_the_reply_unread(helper, responder, broker, name, note):
    """What lies in the buffer of a connection is not yet taken: the message comes again."""
    topic = broker.create_topic(name, 1)
    broker.produce_lines(topic, range(5))
    h = helper(broker, coordination="local", initialOffset="oldest")
    r = responder(h)
    oracle = ConsumerOracle(broker, topic, name, 1)
    with oracle:
        leave_unread(r, topic, name, 20)
        wait_for(lambda: oracle.has_seen({0: 5}) or read_one(oracle, r), 10, "all five")
    oracle.check({0: 5})
    note(f"web server that leaves with the reply unread: 20 times, {oracle.counts()}")


def read_one(oracle, r):
    with open_poll(r.socket, oracle.topic, oracle.group) as s:
        oracle.note(0, fastcgi.read(s))

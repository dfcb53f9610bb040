"""Long polls: a client that hangs up consumes nothing, and those that wait delay nobody else."""

import json
import random
import threading

import pytest

from gateway import stopwatch
from web import Workers, consumers, messages, offsets, parse_reply, read_reply
from webservers import Nginx

POLLS = 60
POLL = 3  # seconds


@pytest.fixture(scope="module")
def gw(shared_gateway, broker):
    return shared_gateway(broker)


@pytest.fixture(scope="module")
def nginx(shared_helper, broker):
    server = Nginx(shared_helper(broker))
    server.start()
    yield server.site
    server.end()


@pytest.fixture(params=["launcher tcp", "launcher unix", "nginx"])
def site(request):
    """The ways in that tell a responder that the client has gone."""
    if request.param == "nginx":
        return request.getfixturevalue("nginx")
    return getattr(request.getfixturevalue("gw"), request.param.split()[1])


def hang_up(polls):
    for s in polls:
        s.close()


def test_client_that_hangs_up_consumes_nothing(site, topic, name):
    site.join(topic, name)
    rng, gone = random.Random(2), threading.Event()
    for n in range(10):
        poll = site.open_get(messages(topic), {"group": name})
        gone.wait(rng.uniform(0, 0.5))  # hangs up at some moment of the poll
        poll.close()
        if n % 2:
            gone.wait(rng.uniform(0, 0.1))
        sent = site.produce(topic, b"%d" % n, sync=True).json
        assert site.consume(topic, name).message == (sent["partition"], sent["offset"], None, b"%d" % n)


def half_closed(site, method, target, body=b""):
    """The answer to a client that closes its sending side after the request, as `nc -N` does; b"" for none."""
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    return site.raw(f"{method} {target} HTTP/1.1\r\nHost: h\r\n{length}\r\n".encode() + body, half_close=True)


def test_client_that_closes_its_sending_side_is_answered(site, broker, topic, name):
    rows = json.dumps([{"partition": p, "offset": -2} for p in range(4)]).encode()
    for method, target, body, status in [
            ("GET", "/_ping", b"", 200), ("GET", "/_status", b"", 200), ("GET", "/_messages/1", b"", 404),
            ("POST", f"{messages(topic)}?sync", b"1", 200), ("POST", messages(topic), b"2", 200),
            ("GET", f"{offsets(topic)}?group={name}", b"", 200), ("POST", f"{offsets(topic)}?group={name}", rows, 200),
            ("GET", consumers(topic), b"", 200),
            ("POST", f"/topics/{topic}/acks?group={name}&partition=0&offset=99", b"", 404),
            ("GET", "/topics/none/offsets?group=g", b"", 404), ("POST", "/topics/none/messages?sync", b"x", 404)]:
        reply = parse_reply(half_closed(site, method, target, body), method).check_rules()
        assert reply.status == status, (method, target, reply)
    assert sorted(m[3] for m in site.consume_all(topic, name, 2)) == [b"1", b"2"]


def test_long_poll_of_a_client_that_closes_its_sending_side_takes_nothing(site, topic, name):
    """nginx cannot tell it from one that has gone: it ends the poll, and the message is there for the next one."""
    site.join(topic, name)
    elapsed = stopwatch()
    for way in (messages(topic), f"/topics/%{ord(topic[0]):02x}{topic[1:]}/mess%61ges"):
        assert half_closed(site, "GET", f"{way}?group={name}") == b""
    assert elapsed() < POLL
    sent = site.produce(topic, b"1", sync=True).json
    assert site.consume(topic, name).message == (sent["partition"], sent["offset"], None, b"1")


def test_many_that_hang_up_at_once(site, topic, name):
    site.join(topic, name)
    hang_up([site.open_get(messages(topic), {"group": name}) for _ in range(20)])
    for n in range(5):
        site.produce(topic, b"%d" % n, key="k", sync=True)
    assert [m[3] for m in site.consume_all(topic, name, 5)] == [b"%d" % n for n in range(5)]


def test_client_that_reads_no_reply_and_hangs_up(site, broker, topic, name):
    """The message was on its way when the client left: it comes again, or its reply was written whole."""
    site.join(topic, name)
    broker.produce_lines(topic, range(10), partition=0)
    polls = [site.open_get(messages(topic), {"group": name}) for _ in range(10)]
    hang_up(polls)
    broker.produce_lines(topic, ["last"], partition=0)
    found = [m[3] for m in consume_until(site, topic, name, b"last")]
    assert found == sorted(found[:-1], key=int) + [b"last"]


def consume_until(site, topic, group, value):
    found = []
    while not found or found[-1][3] != value:
        found += site.consume_all(topic, group, 1)
    return found


def test_message_that_comes_during_a_poll_ends_it(site, topic, name):
    site.join(topic, name)
    elapsed = stopwatch()
    poll = site.open_get(messages(topic), {"group": name})
    sent = site.produce(topic, b"now", key="k", sync=True).json
    with poll:
        reply = parse_reply(read_reply(poll))
    assert reply.message == (sent["partition"], sent["offset"], b"k", b"now")
    assert elapsed() < POLL


def test_sixty_polls_do_not_delay_a_produce(site, broker, topic, name):
    site.join(topic, name)
    other = broker.create_topic(f"{topic}-other")
    assert site.produce(other, b"first", sync=True).status == 200  # the way there is warm
    polls = [site.open_get(messages(topic), {"group": name}) for _ in range(POLLS)]
    for sync in (True, False) * 3:
        elapsed = stopwatch()
        assert site.produce(other, b"v", sync=sync).status == 200
        assert elapsed() < POLL / 2
    for poll in polls:
        with poll:
            reply = parse_reply(read_reply(poll)).check_rules()
            assert (reply.status, reply.error) == (408, "long polling timeout")


def test_more_polls_than_can_wait(gateway, broker, topic, name):
    """Past its share of the threads a poll gets 429, and produce still has threads of its own."""
    site = gateway(broker, responders=1, threads=8).tcp
    site.join(topic, name)
    statuses = []

    def poll(session, *_):
        statuses.append(session.call("GET", messages(topic), {"group": name}).check_rules().status)
    with Workers([site] * 24, poll) as polls:
        elapsed = stopwatch()
        assert site.produce(topic, b"v", sync=True).status == 200
        assert elapsed() < POLL / 2
        polls.join()
    assert len(statuses) == 24 and statuses.count(200) == 1 and set(statuses) == {200, 408, 429}

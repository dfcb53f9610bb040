"""Hostile input of every kind gets the right status or a closed connection, and the next request works."""

import os
import random
import socket
import subprocess

import pytest

import fastcgi
from gateway import BUILD, RESPONDER
from hostile import HOSTILE
from procs import wait_for
from web import Workers, messages, offsets, parse_reply, request
from webservers import Responder

LIMIT = 1_000_000

# Among them are good names: these need no 4xx.
GOOD = {"zookeeper", "consumers", "brokers", "-", "_", "0", "null"}
GOOD_GROUPS = GOOD - {"zookeeper"} | {
    "*", "a;b", "a'b", "{}", "[]", "$(id)", "`id`", "|id", "?", "a%20b", "a+b", "%25", "%2500", "a%22b", "%3Cscript%3E", "a%5cb",
    "%20", "%s%n", "%", "%4", "%zz"}


@pytest.fixture(scope="module")
def gw(shared_gateway, broker):
    return shared_gateway(broker)


@pytest.fixture(scope="module")
def helper(shared_helper, broker):
    return shared_helper(broker)


@pytest.fixture(scope="module")
def responder(helper):
    """A responder without a web server, to which anything can be said."""
    r = Responder(helper)
    r.start()
    yield r.socket
    r.end()


@pytest.fixture
def works(gw, topic):
    """Proves after the test that the gateway still does its work."""
    yield
    assert gw.tcp.produce(topic, b"next", sync=True).status == 200
    assert gw.tcp.ping().status == 200


@pytest.fixture
def responder_works(responder, topic):
    yield
    reply = fastcgi.call(responder, "POST", f"{messages(topic)}?sync", b"next").check_rules()
    assert reply.status == 200 and "offset" in reply.json


# Names.

def test_hostile_names(gw, broker, topic, works):
    paths, topics = broker.zk_paths("/consumers"), broker.topics() | {"__consumer_offsets"}
    bodies = {"POST": b'[{"partition": 0, "offset": 0}]', "GET": b""}
    wrong = []
    for bad in HOSTILE:
        for method, target, good in [
                ("POST", f"/topics/{bad}/messages", GOOD), ("GET", f"/topics/{bad}/messages?group=g", GOOD),
                ("GET", f"/topics/{bad}/offsets?group=g", GOOD), ("POST", f"/topics/{bad}/offsets?group=g", GOOD),
                ("GET", f"/topics/{bad}/consumers", GOOD),
                ("GET", f"/topics/{topic}/offsets?group={bad}", GOOD_GROUPS),
                ("GET", f"/topics/{topic}/consumers?group={bad}", GOOD_GROUPS | {""})]:
            reply = parse_reply(gw.tcp.raw(request(method, target, bodies[method])))
            if not (400 <= reply.status < 500 or bad in good and reply.status == 200):
                wrong.append((method, target[:80], reply.status, reply.body[:80]))
            if "x-injected" in reply.headers or "set-cookie" in reply.headers:
                wrong.append((method, target, reply.headers))
    assert not wrong
    assert broker.topics() <= topics
    assert all(p.startswith("/consumers/g/") or p == "/consumers/g" for p in broker.zk_paths("/consumers") - paths)


def test_hostile_groups_join_nothing_outside_their_own_node(gw, broker, topic, name, works):
    before = broker.zk_paths()
    for bad in HOSTILE:
        if bad not in GOOD_GROUPS:
            assert parse_reply(gw.tcp.raw(request("GET", f"{messages(topic)}?group={bad}"))).status in (400, 414)
    for odd in ("$(id)", "a~b"):
        gw.tcp.join(topic, odd)
    made = broker.zk_paths() - before
    homes = [f"/consumers/{g}" for g in ("$(id)", "a~b")]
    assert made and all(any(p == h or p.startswith(f"{h}/") for h in homes) for p in made), made


# What no web server would pass on.

@pytest.mark.parametrize("length, body, text", [
    ("5", b"abc", "Message size does not match Content-Length: expected=5, actual=3"),
    ("1000", b"", "Message size does not match Content-Length: expected=1000, actual=0"),
    ("2", b"abc", "Message size does not match Content-Length: expected=2, actual=3"),
    ("x", b"abc", "Invalid Content-Length header: x"), ("-1", b"abc", "Invalid Content-Length header: -1"),
    ("3.0", b"abc", "Invalid Content-Length header: 3.0"), ("0x3", b"abc", "Invalid Content-Length header: 0x3"),
    (" 3", b"abc", "Invalid Content-Length header:  3")])
def test_length_and_body_must_agree(responder, topic, broker, responder_works, length, body, text):
    for query in ("", "?sync"):
        reply = fastcgi.call(responder, "POST", messages(topic) + query, body, length).check_rules()
        assert (reply.status, reply.error) == (400, text)
    assert broker.read_all(topic) == []


@pytest.mark.parametrize("length", [LIMIT + 1, 1 << 31, 1 << 62, 10 ** 30])
def test_length_over_the_limit_is_refused_without_reading(responder, topic, responder_works, length):
    reply = fastcgi.call(responder, "POST", messages(topic), b"x", length, timeout=10).check_rules()
    assert reply.status == 413 or length > 1 << 62 and reply.status == 400


@pytest.mark.parametrize("params, statuses", [
    ({"REQUEST_METHOD": None, "REQUEST_URI": "/_ping"}, {400, 405}),
    ({"REQUEST_METHOD": "G\r\nET", "REQUEST_URI": "/_ping"}, {400, 405}),
    ({"REQUEST_METHOD": "X" * 9000, "REQUEST_URI": "/_ping"}, {400, 405}),
    ({"REQUEST_URI": None, "PATH_INFO": None}, {400, 404}), ({"REQUEST_URI": "\0"}, {400, 404}),
    ({"REQUEST_URI": "http://h/_ping"}, {200, 400, 404}),
    ({"REQUEST_URI": None, "PATH_INFO": "/_ping"}, {200}), ({"REQUEST_URI": None, "PATH_INFO": "", "SCRIPT_NAME": "/_ping"}, {200}),
    ({"REQUEST_URI": "/pre/_ping", "KAFKA_PIXY_PREFIX": "/pre"}, {200}),
    ({"REQUEST_URI": "/other/_ping", "KAFKA_PIXY_PREFIX": "/pre"}, {404}),
    ({"QUERY_STRING": "&".join(["a=b"] * 10_000), "REQUEST_URI": "/_ping"}, {200, 400, 414}),
    ({"HTTP_PROXY": "http://127.0.0.1:1/", "REQUEST_URI": "/_ping"}, {200}),
    ({"CONTENT_TYPE": "x" * 60_000, "REQUEST_URI": "/_ping"}, {200, 400})])
def test_odd_parameters(responder, topic, responder_works, params, statuses):
    reply = fastcgi.call(responder, "GET", "/", **params).check_rules()
    assert reply.status in statuses, reply


@pytest.mark.parametrize("group", ["a&group=b", "", "a%00", "..", "%2e%2e", "zookeeper", "x/y", "x%2Fy", "é", "A" * 250])
@pytest.mark.parametrize("path", [messages, offsets])
def test_groups_that_are_none(responder, topic, responder_works, path, group):
    reply = fastcgi.call(responder, "GET", f"{path(topic)}?group={group}").check_rules()
    assert reply.status == 400 and "group" in reply.error.lower()


def test_web_server_that_goes_away_at_any_point(responder, topic, responder_works):
    whole = fastcgi.begin("POST", f"{messages(topic)}?sync", 4) + fastcgi.stdin(b"body")
    for at in range(0, len(whole), 7):
        with fastcgi.connect(responder) as s:
            s.sendall(whole[:at])


def test_garbage_to_the_responder(responder, topic, responder_works):
    rng = random.Random(3)
    for _ in range(50):
        with fastcgi.connect(responder) as s:
            s.sendall(rng.randbytes(rng.randrange(1, 400)))


# Bodies of which a parser could make many times their bytes.

MIB = 1 << 20
ONE = b'{"partition":%d,"offset":1}'


def filled(before, unit, after, size):
    return before + unit * ((size - len(before) - len(after)) // len(unit)) + after


BOMBS = {
    "empty objects": (offsets, filled(b"[", b"{},", b"{}]", MIB), 400),
    "many values": (offsets, filled(b'[{"partition":0,"offset":1,"x":[', b"{},", b"{}]}]", MIB), 400),
    "long text": (offsets, filled(b'[{"partition":0,"offset":1,"x":"', b"x", b'"}]', MIB), 400),
    "many partitions": (offsets, b"[" + b",".join(ONE % n for n in range(10_000)) + b"]", 404),
    "form of many fields": (messages, filled(b"msg=x", b"&a", b"", 3_200_000), 400),
    "form of nothing": (messages, filled(b"msg=x", b"&", b"", 3_200_000), 200),
    "form of escapes": (messages, filled(b"msg=", b"%41", b"", 2_999_999), 200)}


def peak_kib(pid):
    """The most resident memory since the last call."""
    with open(f"/proc/{pid}/status") as f:
        (kib,) = [int(line.split()[1]) for line in f if line.startswith("VmHWM:")]
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")
    return kib


@pytest.mark.parametrize("bomb", BOMBS)
def test_bodies_that_expand(gateway, bomb, note):
    """Twenty at once, through nginx, in one responder: with all that is made of them, they take at most four times
    what they have."""
    path, body, status = BOMBS[bomb]
    gw = gateway(responders=1)
    gw.tcp.produce("t", b"x", sync=True)
    (pid,) = gw.pids(RESPONDER)
    peak_kib(pid)
    before, replies = peak_kib(pid), []
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    def post(session, *_):
        replies.append(session.call("POST", path("t"), {"group": "g"}, body, headers))
    with Workers([gw.tcp] * 20, post) as workers:
        workers.join()
    grown = (peak_kib(pid) - before) * 1024
    assert [r.status for r in replies] == [status] * 20, {r.body for r in replies}
    note(f"{bomb}: {grown / MIB:.0f} MiB for 20 of {len(body) / MIB:.1f} MiB")
    assert grown < 20 * (4 * len(body) + 256 * 1024) or "asan" in str(BUILD)
    assert gw.tcp.ping().status == 200


# The helper's own socket.

def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def garbage():
    rng = random.Random(4)
    yield b"GET / HTTP/1.1\r\n\r\n"
    for n in (1, 4, 8, 16, 24, 32, 4096):
        yield b"\x00" * n
        yield b"\xff" * n
        yield rng.randbytes(n)
    yield rng.randbytes(1 << 20)


def test_garbage_on_the_helpers_socket(helper, responder, topic, responder_works):
    fastcgi.call(responder, "GET", "/_ping")
    before = fds(helper.proc.pid)
    for data in garbage():
        with fastcgi.connect(helper.socket, timeout=10) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):  # an answer, or none; then the end
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert helper.proc.running()
    wait_for(lambda: fds(helper.proc.pid) <= before, 5, "no descriptor is left of them")


def test_silent_connections_to_the_helper(helper, responder, topic, responder_works):
    silent = [fastcgi.connect(helper.socket) for _ in range(50)]
    assert fastcgi.call(responder, "GET", "/_ping").status == 200
    for s in silent:
        s.close()


STRANGER = """
$SIG{PIPE} = "IGNORE"; alarm 10;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 7;
syswrite $s, "x" x 100;
1 while sysread($s, my $answer, 100);  # a word of refusal, and the end
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be a stranger")
def test_stranger_on_the_helpers_socket(helper, responder, topic, responder_works):
    """Even where the file's mode lets somebody in, the helper looks who it is."""
    stranger = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "perl", "-MIO::Socket::UNIX",
                "-e", STRANGER, helper.socket]
    mode = os.stat(helper.socket).st_mode
    assert subprocess.run(stranger, timeout=20).returncode == 7, "the socket's mode lets nobody in"
    os.chmod(helper.socket, 0o666)
    try:
        assert subprocess.run(stranger, timeout=20).returncode == 0, "the connection is closed"
    finally:
        os.chmod(helper.socket, mode & 0o777)
    wait_for(lambda: "uid=65534" in helper.proc.output(), 5, "the log says who came")


# HTTP that is none, through the launcher.

@pytest.mark.parametrize("raw", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9.9\r\n\r\n",
    b"GET " + b"/a" * 50_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /_ping HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"POST /topics/t/messages HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /topics/t/messages HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"GET /topics/t/offsets?group=g\x00 HTTP/1.1\r\nHost: h\r\n\r\n"],
    ids=["nothing", "no path", "TLS", "version", "long path", "long header", "bad chunk", "two lengths", "NUL"])
def test_http_that_is_none(gw, works, raw):
    try:
        reply = gw.tcp.raw(raw, timeout=10, half_close=True)
    except ConnectionResetError:
        return
    assert not reply or 400 <= parse_reply(reply).status < 600, reply

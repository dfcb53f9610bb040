"""What somebody hostile meets: at the helper's socket, in names, in logs, in the memory of the programs. The list of
checks, and the tests of each, are in tests/README.md."""

import base64
import os
import re
import signal
import socket
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from gateway import HELPER, RESPONDER, TREE, WEB_USER, binary, flags
from procs import Proc, can_connect, descendants, new_folder, wait_for
from test_bad_input import HOSTILE, request
from test_operator import helper_socket
from web import TEXT, messages, offsets, parse_reply, read_reply

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")


@pytest.fixture(scope="module")
def broker(kafka_zk):
    return kafka_zk


@pytest.fixture(scope="module")
def gw(shared_gateway, broker):
    return shared_gateway(broker, logLevel="debug")


# The helper's socket.

def bare(folder, **options):
    """The command of a helper that needs nobody."""
    return [str(w) for w in [binary(HELPER), *flags({"kafkaPeers": "embedded", "socket": folder / "h.sock", **options})]]


def stale(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


def plant_live(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.listen()
    return s


def plant_of_another(path):
    stale(path)
    os.chown(path, NOBODY, -1)


def link_to_stale(path):
    stale(path.with_name("target"))
    path.symlink_to("target")


def link_to_file(path):
    path.with_name("target").write_text("precious")
    path.symlink_to("target")


# What is there before: whether the helper starts, and with which mode the socket is there then.
PLACES = [
    ("nothing", lambda p: None, {}, 0o600),
    ("nothing, and a group", lambda p: None, {"socketGroup": "root"}, 0o660),
    ("a stale socket", stale, {}, 0o600),
    ("a stale socket open to all", lambda p: (stale(p), p.chmod(0o777)), {}, 0o600),
    ("a live socket", plant_live, {}, None),
    ("a stale socket of another user", plant_of_another, {}, None),
    ("a file", lambda p: p.write_text("precious"), {}, None),
    ("an empty file open to all", lambda p: (p.touch(), p.chmod(0o666)), {}, None),
    ("a directory", lambda p: p.mkdir(), {}, None),
    ("a pipe", lambda p: os.mkfifo(p), {}, None),
    ("a link to a stale socket", link_to_stale, {}, None),
    ("a link to a file", link_to_file, {}, None),
    ("a link to nothing", lambda p: p.symlink_to("target"), {}, None),
]


def look(folder):
    """All that can be seen of what is in a folder."""
    return {p.name: (p.lstat().st_ino, p.lstat().st_mode, p.lstat().st_uid, p.is_file() and p.read_bytes())
            for p in folder.iterdir()}


@as_root
def test_socket_takes_the_place_of_nothing_but_its_own(note):
    started = refused = 0
    for what, plant, options, mode in PLACES:
        folder = new_folder("socket")
        path = folder / "h.sock"
        kept = plant(path)
        before = look(folder)
        log = open(folder.with_suffix(".log"), "w+")
        old = os.umask(0)
        p = subprocess.Popen(bare(folder, **options), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        os.umask(old)
        try:
            if mode is None:
                assert p.wait(10) == 1, what
                assert look(folder) == before, f"{what}: was touched"
                log.seek(0)
                assert "--socket" in log.read(), what
                refused += 1
            else:
                wait_for(lambda: can_connect(path), 10, f"{what}: the helper listens")
                assert stat.S_IMODE(path.lstat().st_mode) == mode, what
                p.send_signal(signal.SIGTERM)
                assert p.wait(10) == 0
                assert not path.exists()
                started += 1
        finally:
            p.kill()
            p.wait()
            log.close()
            if kept and hasattr(kept, "close"):
                kept.close()
    note(f"places of the socket: {started} taken, {refused} refused")


@as_root
@pytest.mark.parametrize("whose", ["the folder", "its parent", "a folder open to all"])
def test_root_makes_its_files_where_nobody_can_take_their_place(gateway, whose):
    """su and sudo -E leave root with the $XDG_RUNTIME_DIR of whoever called them."""
    parent = new_folder("runtime")
    folder = parent / "user"
    folder.mkdir()
    if whose == "a folder open to all":
        folder.chmod(0o777)
    else:
        os.chown(folder if whose == "the folder" else parent, NOBODY, -1)
    gw = gateway(None, start=False)
    gw.env = {"XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)}
    gw.start()
    assert not list(folder.iterdir())
    path = Path(helper_socket(gw)).parent
    while path != path.parent:
        path = path.parent
        st = path.lstat()
        assert st.st_uid == 0 and (not st.st_mode & 0o022 or st.st_mode & stat.S_ISVTX), path


PEER = r"""
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1])
s.sendall(struct.pack(">IBBHII", 0, int(sys.argv[2]), 1, 0, 7, 5000) + b"x" * 1000)
print("sent", flush=True)
got, end = b"", "closed"
try:
    while len(got) < 16 or len(got) < 16 + struct.unpack(">I", got[:4])[0]:
        chunk = s.recv(4096)
        if not chunk:
            break
        got += chunk
    if int(sys.argv[3]):
        s.recv(1)
except ConnectionResetError:
    end = "reset"
kind, ident = (got[5], struct.unpack(">I", got[8:12])[0]) if len(got) >= 16 else (0, 0)
print(kind, ident, end)
"""
WIRE_VERSION = int(re.search(r"#define WIRE_VERSION (\d+)",
                             (TREE / "common/wire.h").read_text()).group(1))
DONE, ERROR = 64, 69


@as_root
def test_peers_by_their_user(helper):
    """A stranger is told so under the id 0, by a helper that has not read a byte of his: what a socket holds unread
    when it is closed makes the other side's next read a reset."""
    h = helper(None)
    os.chmod(h.socket, 0o666)

    def peer(uid, to_the_end):
        # All is there before the helper hears of it.
        h.proc.signal(signal.SIGSTOP)
        p = subprocess.Popen(["/usr/bin/python3", "-c", PEER, str(h.socket), str(WIRE_VERSION), str(to_the_end)],
                             user=uid, group=NOBODY, extra_groups=[], stdout=subprocess.PIPE, cwd="/")
        with p:
            assert p.stdout.readline() == b"sent\n"
            h.proc.signal(signal.SIGCONT)
            return p.pid, p.stdout.read().decode().split()
    web = int(subprocess.check_output(["id", "-u", WEB_USER]))
    for uid in (NOBODY, 1, web + 1):
        pid, said = peer(uid, 1)
        assert said == [str(ERROR), "0", "reset"], (uid, said)
        wait_for(lambda: f"uid={uid} pid={pid} " in h.proc.output(), 5, "the log says who came")
    # Root and the users of --socketUsers are served, whatever their groups.
    for uid in (0, web):
        assert peer(uid, 0)[1] == [str(DONE), "7", "closed"]
    assert h.proc.output().count("ipc peer refused") == 3


# Names.

ODD = [f"%{c:02x}" for c in [*range(1, 33), 0x7f, 0x2f, 0x5c, 0x80, 0xa0, 0xff]]
NAMES = list(dict.fromkeys(HOSTILE + [f"a{c}b" for c in ODD] + [f"{c}" for c in ODD[:8]] + [
    "..%2f" * n + "etc" for n in range(1, 9)] + ["%2e%2e%2f" * n + "brokers" for n in range(1, 9)] + [
    "..%252fbrokers", "%252e%252e", "..%5c..", "..;", ".%00.", "...", "....", ".%2e", "%2e.", "%2E%2E", "zookeeper%00", "zookeeper%2fquota",
    "zookeeper%20", "Zookeeper", "%7a%6f%6f%6b%65%65%70%65%72", "consumers%2fx%2fids", "brokers%2fids%2f0", "admin%2fdelete_topics%2ft",
    "config%2ftopics", "controller", "controller_epoch", "isr_change_notification", "%c0%ae%c0%ae%c0%af", "%e0%80%af", "%f0%80%80%af",
    "%ef%bc%8f", "%e2%88%95", "%e2%81%84", "%ef%bc%8e%ef%bc%8e", "%e2%80%ae", "%ef%bb%bf", "%c2%85", "%c2%9b", "%1b%5b31m", "%0d", "%0a", "%0d%0a%0d%0a",
    "%0d%0aHTTP%2f1.1%20200%20OK", "a%0d%0aContent-Length:%200", "a%0d%0a%0d%0a%7b%7d", "%u002f", "%26%23x2f;", "&#47;", "..%c0%af", "A" * 249 + "%2f",
    "A" * 249, "%41" * 249, "%2d", "-rf", "--help", "@file", "%40%2fetc%2fpasswd", "~", "~root", "*%2f*", "%", "%%", "%%32%66", "a%", "%2", "%x0", "a:b", "a,b", "a=b",
    "a%3db", "a%26b", "a%23b", "a%3fb", "a%25b", "true", "nil", "NaN", "-1", "0x0", "1e9", "__consumer_offsets", "%5f%5fconsumer_offsets",
    "'%20OR%20'1'='1", "a');DROP%20TABLE%20pending;--", "%22%7d%2c%22x%22:1", "%5b%5d", "%7b%22a%22:1%7d", "%u0000", "%00%00%00%00", "a" * 250, "%2b", "%2500", "a%0b", "%e2%80%8f"]))
KNOWN_HEADERS = {"server", "date", "content-type", "content-length", "connection", "retry-after", "allow", "x-kafka-pixy-id"}


def decoded(name, plus=False):
    """What is meant by it, None where the escapes are broken."""
    if re.search(r"%(?![0-9a-fA-F]{2})", name):
        return None
    return unquote_to_bytes(name.replace("+", " ") if plus else name)


def is_topic(name):
    meant = decoded(name.partition("?")[0].partition("#")[0])
    return meant is not None and meant not in (b".", b"..") and re.fullmatch(rb"[A-Za-z0-9._-]{1,249}", meant) is not None


def is_group(name):
    meant = decoded(name.partition("&")[0].partition("#")[0], plus=True)
    return (meant is not None and meant not in (b".", b"..", b"zookeeper")
            and re.fullmatch(rb"[!-.0-~]{1,249}", meant) is not None)


def served(reply):
    """A good name that nothing goes by."""
    return (reply.status in (200, 404, 409) or b"either group or topic is incorrect" in reply.body
            or b"Kafka: Broker: Invalid topic" in reply.body)  # its own, into which nobody else may write


BODIES = {"POST": b'[{"partition": 0, "offset": 0}]', "GET": b""}


def hostile_requests(topic, name):
    """(method, target, whether the name in it is a good one)"""
    top, group = is_topic(name), is_group(name)
    for method, end in [("POST", "messages"), ("POST", "messages?sync"), ("GET", "offsets?group=g"), ("POST", "offsets?group=g"),
                        ("GET", "consumers"), ("GET", "consumers?group=g")]:
        yield method, f"/topics/{name}/{end}", top
    if not top:
        yield "GET", f"/topics/{name}/messages?group=g", False
        yield "POST", f"/topics/{name}/acks?group=g&partition=0&offset=0", False
    for method, end in [("GET", "offsets"), ("POST", "offsets"), ("GET", "consumers")]:
        # Without a group, or with one that is dropped for its escapes, this asks for all of them.
        all_of_them = end == "consumers" and (decoded(name) is None or name[:1] in ("", "&", "#"))
        yield method, f"/topics/{topic}/{end}?group={name}", group or all_of_them
    if not group:
        yield "GET", f"/topics/{topic}/messages?group={name}", False
        yield "POST", f"/topics/{topic}/acks?group={name}&partition=0&offset=0", False
    yield "GET", f"/_messages/{name}", re.fullmatch(rb"0*[1-9][0-9]*", decoded(name) or b"") is not None
    yield "GET", f"/_status/{name}", False


def test_two_hundred_hostile_names_at_every_endpoint(gw, broker, topic, note):
    tree, topics = broker.zk_paths(), broker.topics() | {"__consumer_offsets"}
    assert len(NAMES) >= 200
    wrong, statuses = [], {}

    def ask(name):
        found = []
        for method, target, good in hostile_requests(topic, name):
            reply = parse_reply(gw.tcp.raw(request(method, target, BODIES[method]), timeout=20))
            found.append(reply.status)
            if not (served(reply) if good else 400 <= reply.status < 500):
                wrong.append((method, target[:90], reply.status, reply.body[:90]))
            if not set(reply.headers) <= KNOWN_HEADERS or b"\r" in reply.body:
                wrong.append((method, target[:90], reply.headers, reply.body[:90]))
        return found
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(ask, NAMES):
            for status in found:
                statuses[status] = statuses.get(status, 0) + 1
    assert not wrong, "\n".join(map(str, wrong[:20]))
    assert broker.topics() <= topics
    made = broker.zk_paths() - tree
    assert not [p for p in made if not re.match(r"/consumers/(g|[!-.0-~]+)(/|$)", p) or ".." in p], made
    groups = {p.split("/")[2] for p in made}
    assert all(is_group(g) for g in groups - {"g"}), groups
    note(f"hostile names: {len(NAMES)}, requests by status {dict(sorted(statuses.items()))}, ZooKeeper nodes made: {len(made)}")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nSet-Cookie: b", "\r\n\r\n{}", "a\0b"])
def test_nothing_of_a_request_gets_into_the_head_of_its_answer(gw, topic, value):
    query = {"key": value, "group": value, "sync": value, "partition": value, "offset": value}
    for path in (messages(topic), offsets(topic), f"/topics/{topic}/acks", "/_ping", "/_status", f"/{value.strip()}"):
        for method in ("GET", "POST"):
            path = path.replace("\r", "%0d").replace("\n", "%0a").replace("\0", "%00").replace(" ", "%20")
            reply = gw.tcp.curl(method, path, query, body=b"x" if method == "POST" else None, headers=TEXT, rules=False)
            assert set(reply.headers) <= KNOWN_HEADERS, reply
            assert int(reply.headers["content-length"]) == len(reply.body)


@pytest.mark.parametrize("size, statuses", [(1 << 20, {400}), ((1 << 20) + 1, {413})])
def test_body_of_offsets_has_an_end(gw, topic, size, statuses):
    body = b"[" + b" " * (size - 2) + b"x"
    for headers in (None, {"Transfer-Encoding": "chunked"}):
        reply = gw.tcp.post(offsets(topic), body, {"group": "g"}, headers)
        assert reply.status in statuses, reply


# Logs.

KEY, VALUE = "keyk3yKEYk3y", "valuev4lueVALUEv4lue"


def marks():
    """Their text, in base64 at each alignment, and in hexadecimal."""
    for text in (KEY.encode(), VALUE.encode()):
        yield text
        yield text.hex().encode()
        for shift in range(3):
            yield base64.b64encode(b"\0" * shift + text)[4:16]


def say_everything(site, topic, small, group):
    """Marked keys and values on every path that there is, those of failures too."""
    body = VALUE.encode()
    site.post(offsets(topic), b'[{"partition": 0, "offset": -2}, {"partition": 1, "offset": -2}]', {"group": group})
    for t in (topic, small, "no-such-topic"):
        for sync in (True, False):
            site.produce(t, body, key=KEY, sync=sync)
    site.produce(small, body * 100, key=KEY, sync=True)
    site.produce(small, body * 100, key=KEY)
    site.post(messages(topic), f"msg={VALUE}&key={KEY}".encode(), headers={"Content-Type": "application/x-www-form-urlencoded"})
    site.post(messages(topic), f"nomsg={VALUE}&key={KEY}".encode(), headers={"Content-Type": "application/x-www-form-urlencoded"})
    site.produce(topic, body * 60_000, key=KEY)
    site.produce(topic, body, key=KEY * 9000, rules=False)
    for method, path in [("POST", "/topics/../messages"), ("GET", messages(topic)), ("DELETE", messages(topic)), ("POST", "/nowhere"),
                         ("POST", "/topics/%/messages"), ("POST", messages("a b"))]:
        site.curl(method, path, f"key={KEY}&x=%zz{VALUE}", body=None if method == "GET" else body, rules=False)
    site.post(offsets(topic), f'[{{"partition": 0, "offset": "{VALUE}"}}]'.encode(), {"group": group})
    site.raw(request("POST", f"{messages(topic)}?key={KEY}", body).replace(b"Length: ", b"Length: 9"), timeout=5, half_close=True)
    site.raw(request("POST", f"{messages(topic)}?key={KEY}", body).replace(b"Length: ", b"Length: x"), timeout=5)
    for _ in range(2):
        site.consume(topic, group)


LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) [a-z-]+\[\d+\]: [^\0-\x1f\x7f]*")


def logs_of(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and "store" not in p.name and not p.suffix == ".fcgi"}


def test_keys_and_values_are_in_no_log(gateway, broker, topic, name, note):
    small = f"{name}-small"
    broker.create_topic(small)
    resource = ConfigResource(ConfigResource.Type.TOPIC, small, incremental_configs=[
        ConfigEntry("max.message.bytes", "1000", incremental_operation=AlterConfigOpType.SET)])
    broker.admin().incremental_alter_configs([resource])[resource].result(30)
    g = gateway(broker, logLevel="debug", storeMaxBytes=1 << 20, syncTimeoutMs=1000)
    say_everything(g.tcp, topic, small, name)

    def buried():
        """Kafka's refusal may come before the message is kept: then its sender hears of it, and there is none."""
        g.tcp.produce(small, VALUE.encode() * 100, key=KEY)
        return "dead letter" in g.proc.output()
    wait_for(buried, 20, "a dead letter")
    # What nginx says when a responder or the helper is not there.
    for pid in g.pids(RESPONDER):
        os.kill(pid, signal.SIGSTOP)
    s = g.tcp.connect(5)
    s.sendall(request("POST", f"{messages(topic)}?key={KEY}", VALUE.encode()))
    for pid in g.pids(RESPONDER):
        os.kill(pid, signal.SIGKILL)
    read_reply(s)
    s.close()
    g.kill_helper()
    g.tcp.produce(topic, VALUE.encode(), key=KEY)
    g.await_ready()
    g.stop()
    logs = logs_of(g.folder)
    found = [(p.name, m, line[:300]) for p, text in logs.items() for line in text.splitlines() for m in marks() if m in line]
    assert not found, "\n".join(map(str, found[:10]))
    lines = g.proc.output().splitlines()
    assert len(lines) > 50 and any(" debug " in line for line in lines)
    odd = [line for line in lines if not LINE.fullmatch(line)]
    assert not odd, "\n".join(odd[:10])
    note(f"logs: {len(lines)} lines at level debug in {len(logs)} files, none with a key or a value")


def test_one_event_is_one_line_whatever_is_in_it(gw, broker, topic):
    """A name that holds lines of a log, percent-encoded in the path and plain in a header."""
    fake = "2026-01-31T12:00:00.123Z error helper[1]: owned"
    before = gw.proc.output().count("owned")
    for text in (f"x%0a{fake}", f"x%0d%0a{fake}", f"x%e2%80%a8{fake}", f"x%c2%85{fake}", f"%1b[2K%0d{fake}"):
        target = text.replace(" ", "%20")
        for path in (f"/topics/{target}/messages", f"/{target}", f"/topics/{topic}/offsets?group={target}", f"/_messages/{target}"):
            gw.tcp.raw(request("GET", path))
            gw.tcp.raw(request("POST", path, b"x"))
    wait_for(lambda: gw.proc.output().count("owned") > before, 5, "the names are in the log")
    for line in gw.proc.output().splitlines():
        assert not line.startswith(fake[:24]) or LINE.fullmatch(line)
        assert not re.match(r"\S+ error helper\[1\]", line), line
        assert LINE.fullmatch(line), line


# Secrets, and the memory they are in.

SECRET = "s3cr3tPassw0rd"


def everything_of(pid):
    """What others may come to see of a process."""
    for name in ("cmdline", "environ"):
        yield Path(f"/proc/{pid}/{name}").read_bytes()


def limits_of(pid):
    text = Path(f"/proc/{pid}/limits").read_text()
    return re.search(r"Max core file size\s+(\S+)\s+(\S+)", text).groups()


def test_secrets_are_in_files_only(gateway, note):
    folder = new_folder("secret")
    secret, conf = folder / "password", folder / "pixy.conf"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    conf.write_text(f"X = sasl.password=@{secret}\nX = sasl.username=pixy{SECRET}\nX = ssl.key.password={SECRET}\n")
    conf.chmod(0o600)
    g = gateway(None, logLevel="debug", config=conf)
    pids = [g.proc.pid, *g.pids()]
    assert len(pids) >= 5
    for pid in pids:
        assert not any(SECRET.encode() in seen for seen in everything_of(pid)), pid
        assert limits_of(pid) == ("0", "0"), f"{pid} may leave a core file"
    g.tcp.produce("t", b"v", sync=True)
    below = [p for p in Path(f"/proc/{g.proc.pid}/cwd").resolve().rglob("*") if p.is_file()]
    g.stop()
    said = g.proc.output()
    assert " debug " in said and SECRET not in said
    assert not [p for p in below if p.exists() and SECRET.encode() in p.read_bytes()]
    note(f"secrets: {len(pids)} processes looked at")


# What is in the place of the file, whether it is taken, and what the log says else.
SECRET_FILES = [
    ("0600", lambda p: p.chmod(0o600), None), ("0400", lambda p: p.chmod(0o400), None),
    ("0640", lambda p: p.chmod(0o640), "others may read it: chmod 600"),
    ("0604", lambda p: p.chmod(0o604), "others may read it: chmod 600"),
    ("link", lambda p: (p.rename(p.with_name("real")), p.symlink_to("real")), "it is a symbolic link"),
    ("none", lambda p: p.unlink(), "No such file or directory"),
    ("pipe", lambda p: (p.unlink(), os.mkfifo(p, 0o600)), "it is no regular file"),
    ("large", lambda p: p.write_text(SECRET * 2000), "it is too large for a secret"),
    ("lines", lambda p: p.write_text(f"{SECRET}\n{SECRET}\n"), "it has more than one line"),
    *([("of another", lambda p: os.chown(p, NOBODY, -1), "it belongs to another user")] if os.getuid() == 0 else []),
]


@pytest.mark.parametrize("plant, refusal", [case[1:] for case in SECRET_FILES], ids=[case[0] for case in SECRET_FILES])
def test_file_of_a_secret_is_for_its_owner_alone(plant, refusal):
    folder = new_folder("mode")
    secret = folder / "password"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    plant(secret)
    p = subprocess.Popen(bare(folder, X=f"sasl.password=@{secret}"), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        if refusal:
            assert p.wait(10) == 1
            said = p.stderr.read().decode()
            assert f"{secret}: {refusal}" in said and " error helper[" in said and SECRET not in said
        else:
            wait_for(lambda: can_connect(folder / "h.sock"), 10, "the helper listens")
    finally:
        p.terminate()
        p.wait(10)
        p.stderr.close()


def test_only_secrets_are_read_from_files(gateway):
    """Elsewhere a @ is a @; in a secret it is doubled. A secret in a command line is not there for long."""
    g = gateway(None, X=["client.rack=@nowhere", f"sasl.password=@@{SECRET}", f"ssl.key.password={SECRET}"])
    for pid in [g.proc.pid, *g.pids()]:
        assert not any(SECRET.encode() in seen for seen in everything_of(pid)), pid
    assert "a secret on the command line is seen by all users" in g.proc.output()


@as_root
def test_memory_of_the_programs_is_closed(helper):
    """Of a process that others of its user may look into, /proc/<pid> belongs to that user; else to root. And a
    crash leaves no file."""
    folder = new_folder("closed")
    run = folder / "run"
    run.mkdir()
    run.chmod(0o777)
    copy = helper(None).responder
    program = copy.with_name(HELPER)
    program.write_bytes(Path(binary(HELPER)).read_bytes())
    program.chmod(0o755)
    h = Proc(HELPER, [program, *flags({"kafkaPeers": "embedded", "socket": run / "h.sock"})], folder, user=WEB_USER)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(run / "r.sock"))
        s.listen()
        r = Proc(RESPONDER, [copy], folder, env={"KAFKA_PIXY_SOCKET": str(run / "h.sock")}, user=WEB_USER, stdin=s)
    try:
        h.wait_ready(lambda: can_connect(run / "h.sock"), 10, "listens")
        for p in (h, r):
            (pid,) = [q for q in [p.pid, *descendants(p.pid)] if not Path(f"/proc/{q}/exe").resolve().name == "setpriv"]
            wait_for(lambda: Path(f"/proc/{pid}/environ").stat().st_uid == 0, 5, f"{p.name} is closed")
            assert Path(f"/proc/{pid}/status").read_text().count("Uid:\t0") == 0
            assert limits_of(pid) == ("0", "0")
            p.signal(signal.SIGSEGV)
            assert p.wait(10) in (-signal.SIGSEGV, 1)
    finally:
        h.end()
        r.end()
    assert not [p for p in [*folder.rglob("core*"), *run.rglob("core*")]]


# Responders that crash.

def test_crash_of_a_responder_is_its_own(gateway, note):
    """Of two responders one crashes again and again: the requests of the other are served, it comes back at a
    measured pace, and there is no core file."""
    g = gateway(None, start=False, responders=2)
    g.sanitizers.env["ASAN_OPTIONS"] += ":handle_segv=0"
    g.start()
    (first, second) = sorted(g.pids(RESPONDER))
    g.tcp.produce("t", b"warm", sync=True)
    seen, crashes = {first}, 0
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for pid in set(g.pids(RESPONDER)) - {second}:
            seen.add(pid)
            os.kill(pid, signal.SIGSEGV)
            crashes += 1
        assert os.path.exists(f"/proc/{second}")
        reply = parse_reply(g.tcp.raw(request("GET", "/_ping")))
        assert reply.status in (200, 502, 503)
        time.sleep(0.02)
    # A second, then two: not as fast as it can crash.
    assert 2 <= len(seen) <= 8, seen
    assert second in g.pids(RESPONDER)
    wait_for(lambda: len(g.pids(RESPONDER)) == 2, 20, "it is there again")
    wait_for(lambda: g.tcp.produce("t", b"next", sync=True, rules=False).status == 200, 10, "and all is well")
    assert not [p for p in g.folder.rglob("core*")]
    note(f"responder crashed {len(seen)} times in 2 s; the other one ran on")


# The programs themselves.

def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize("name", ["kafka-pixy", HELPER, RESPONDER])
def test_programs_are_hardened(name):
    path = binary(name)
    header, dynamic, segments, symbols = (readelf(o, path) for o in ("-h", "-d", "-l", "--dyn-syms"))
    if "__asan_init" in symbols or "__tsan_init" in symbols:
        return  # nobody installs a build with sanitizers; the plain one has been looked at
    assert "DYN (Position-Independent Executable" in header
    assert "GNU_RELRO" in segments and "BIND_NOW" in dynamic
    assert re.search(r"GNU_STACK\s.*\bRW\b", segments), "the stack is executable"
    assert not re.search(r"LOAD\s.*\bRWE\b", segments), "memory that is writable and executable"
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__(v?snprintf|memcpy|read|strcat)_chk", symbols), "built without _FORTIFY_SOURCE"
    assert not re.search(r"R(UN)?PATH", dynamic)
    if "X86-64" in header:
        # The mark of the whole program is lost: start files of Debian 12 do not have it.
        code = subprocess.check_output(["objdump", "-d", "--disassemble=main", path]).decode()
        assert re.search(r"<main>:\n.*\bendbr64", code), "built without CET"

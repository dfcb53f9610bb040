"""Logs: one event is one line, and no key and no value is in any. The list of checks, and the tests of each, are in
tests/README.md."""

import base64
import os
import re
import signal

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from gateway import RESPONDER
from procs import wait_for
from web import messages, offsets, read_reply, request

KEY, VALUE = "keyk3yKEYk3y", "valuev4lueVALUEv4lue"

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) [a-z-]+\[\d+\]: [^\0-\x1f\x7f]*")


@pytest.fixture(scope="module")
def gw(shared_gateway, broker):
    return shared_gateway(broker, logLevel="debug")


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

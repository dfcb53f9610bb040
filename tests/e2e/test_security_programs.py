"""The programs themselves: one that crashes takes nobody with it, and all are hardened. The list of checks, and the
tests of each, are in tests/README.md."""

import os
import re
import signal
import subprocess
import time

import pytest

from gateway import HELPER, RESPONDER, binary
from procs import wait_for
from web import parse_reply, request


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

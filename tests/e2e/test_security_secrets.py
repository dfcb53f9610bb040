"""Secrets are in files only, and the memory that they are in is closed. The list of checks, and the tests of each, are
in tests/README.md."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from gateway import HELPER, NOBODY, RESPONDER, WEB_USER, as_root, bare, binary, flags
from procs import Proc, can_connect, descendants, new_folder, wait_for

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

"""The helper's socket: what may be in its place, where root makes it, and who is served there. The list of checks,
and the tests of each, are in tests/README.md."""

import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from commands import helper_socket
from gateway import NOBODY, TREE, WEB_USER, as_root, bare
from procs import can_connect, new_folder, wait_for


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

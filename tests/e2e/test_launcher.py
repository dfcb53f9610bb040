"""`kafka-pixy` as a program: its flags, its files, its children, and how it stops."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from commands import helper_socket
from gateway import HELPER, RESPONDER, STOP_WITHIN, binary, descendants_once, stopwatch
from procs import alive, descendants, kill, new_folder, rounds, wait_for
from web import Workers, messages, offsets

SEED_FLAGS = ["kafkaPeers", "zookeeperPeers", "tcpAddr", "unixAddr", "pidFile", "help"]


def run(*args):
    """(status, stdout, lines of stderr) of a launcher that should end by itself."""
    done = subprocess.run([binary("kafka-pixy"), *map(str, args)], capture_output=True, text=True, timeout=20,
                          cwd=new_folder("run"))
    return done.returncode, done.stdout, done.stderr.splitlines()


def refused(gw, timeout=15):
    """What a launcher says that must end with status 1 and leave nothing behind."""
    gw.start(wait=False)
    assert gw.proc.wait(timeout) == 1
    return gw.proc.output()


# The command line.

@pytest.mark.parametrize("flag", ["-help", "--help", "-h"])
def test_help(flag):
    status, out, err = run(flag)
    assert (status, err) == (0, [])
    for name in SEED_FLAGS:
        assert f"-{name}" in out


@pytest.mark.parametrize("flag", ["-version", "--version"])
def test_version(flag):
    status, out, err = run(flag)
    assert (status, err) == (0, [])
    ours, helper = out.splitlines()
    version = ours.removeprefix("kafka-pixy ")
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert re.fullmatch(rf"kafka-pixy-helper {re.escape(version)}, librdkafka \d+\.\d+\.\d+\S*", helper)


@pytest.mark.parametrize("args, about", [
    (["--noSuchFlag"], "noSuchFlag"), (["-noSuchFlag=1"], "noSuchFlag"), (["stray"], "argument"),
    (["--kafkaPeers"], "kafkaPeers"), (["--coordination", "nobody"], "coordination"),
    (["--storeMaxBytes", "many"], "storeMaxBytes"), (["-X", "novalue"], "-X")])
def test_usage_errors_end_at_once_with_one_line(args, about):
    status, out, err = run(*args)
    assert (status, out, len(err)) == (2, "", 1) and about in err[0], err


@pytest.mark.parametrize("flag", ["-kafkaPeers embedded", "--kafkaPeers embedded", "-kafkaPeers=embedded",
                                  "--kafkaPeers=embedded"])
def test_both_spellings_of_a_flag(gateway, flag):
    gw = gateway(None, start=False)
    del gw.options["kafkaPeers"]
    gw.extra = flag.split()
    gw.start()
    assert gw.tcp.produce("t", b"v", sync=True).status == 200


def test_embedded_says_that_it_keeps_nothing(gateway):
    gw = gateway(None)
    wait_for(lambda: re.search(r"memory", gw.proc.output()), 5, "it says so")


# What it cannot start with.

@pytest.mark.parametrize("taken", ["tcp", "unix"])
def test_address_in_use(gateway, taken):
    other = gateway(None)
    gw = gateway(None, start=False)
    flag = {"tcp": "tcpAddr", "unix": "unixAddr"}[taken]
    gw.options[flag] = other.options[flag]
    said = refused(gw)
    assert str(other.tcp.port if taken == "tcp" else other.unix.unix) in said, said
    assert other.tcp.ping().status == 200 and other.unix.ping().status == 200


def test_unix_address_that_nobody_serves_any_more(gateway):
    gw = gateway(None, start=False)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(gw.unix.unix))
    stale.close()
    gw.start()
    assert gw.unix.ping().status == 200


def test_of_two_that_start_at_once_one_has_the_unix_address(gateway, note):
    """The other one ends, and takes nothing with it."""
    late = 0
    for _ in range(rounds(4, 20)):
        pair = [gateway(None, start=False) for _ in range(2)]
        pair[1].options["unixAddr"] = pair[0].options["unixAddr"]
        for gw in pair:
            gw.start(wait=False)
        loser = wait_for(lambda: next((gw for gw in pair if not gw.proc.running()), None), 20, "one of them ends")
        winner = pair[1 - pair.index(loser)]
        assert loser.proc.wait(1) == 1 and f"cannot listen on {loser.options['unixAddr']}: " in loser.proc.output()
        late += "helper" in loser.proc.output()
        winner.await_ready()
        assert pair[0].unix.ping().status == 200
        old = descendants(winner.nginx_master()) + [winner.nginx_master()]
        os.kill(old[-1], signal.SIGKILL)
        # Its workers go on for a moment.
        wait_for(lambda: not any(alive(pid) for pid in old) and winner.answers(), 15, "answers again")
        assert pair[0].unix.ping().status == 200
        winner.stop()
        assert not pair[0].unix.unix.exists()
    note(f"two launchers with one --unixAddr: the second one saw it late {late} times")


def test_unwritable_store(gateway):
    gw = gateway(None, start=False)
    (gw.folder / "file").write_text("not a folder")
    gw.options["store"] = gw.folder / "file" / "store.db"
    assert "store" in refused(gw)


def test_second_gateway_on_the_same_store(gateway):
    first = gateway(None)
    assert "store" in refused(gateway(None, start=False, store=first.store))
    assert first.tcp.ping().status == 200


@pytest.mark.skipif(os.getuid() != 0, reason="only root's nginx has workers of another user")
def test_run_folder_that_is_closed_to_the_workers_of_nginx(gateway):
    """Root's own $XDG_RUNTIME_DIR, /run/user/0, is."""
    gw = gateway(None, start=False)
    closed = new_folder("runtime")
    closed.chmod(0o700)
    gw.env = {"XDG_RUNTIME_DIR": str(closed)}
    gw.start()
    assert gw.tcp.produce("t", b"v", sync=True).status == gw.unix.ping().status == 200
    assert not list(closed.iterdir())


@pytest.mark.parametrize("meddle, about", [
    pytest.param('chmod 700 "$4"', r"tcpAddr: nginx answers 502, .* folder",
                 marks=pytest.mark.skipif(os.getuid() != 0, reason="only root's nginx has workers of another user")),
    ('sed -i "/unix:.*http.sock/d" "$6"', r"unixAddr: no answer to GET /_ping: No such file or directory")])
def test_start_that_serves_nothing_is_no_start(gateway, meddle, about):
    """Every part runs, nginx is ready, and an address does not serve."""
    gw = gateway(None, start=False)
    nginx = gw.folder / "bin" / "nginx"
    nginx.parent.mkdir()
    real = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin")
    nginx.write_text(f'#!/bin/sh -e\n{meddle}\nexec {real} "$@"\n')
    nginx.chmod(0o755)
    gw.env = {"PATH": f"{nginx.parent}:{os.environ['PATH']}"}
    elapsed, said = stopwatch(), refused(gw)
    for name in ("tcpAddr", "unixAddr"):
        about = about.replace(name, re.escape(str(gw.options[name])))
    assert re.search(f" error kafka-pixy.*nothing is served on {about}", said), said
    assert "serving on" not in said and elapsed() < 12
    assert not gw.unix.unix.exists()


@pytest.mark.parametrize("address", ["0.0.0.0:{}", "[::]:{}", ":{}", "[::1]:{}", "localhost:{}"])
def test_it_finds_its_own_front_door(gateway, address):
    gw = gateway(None, start=False)
    gw.options["tcpAddr"] = address.format(gw.tcp.port)
    gw.start(wait=False)
    wait_for(lambda: f"serving on {gw.options['tcpAddr']} and " in gw.proc.output(), 20, "it serves")


# Files and signals.

def test_pid_file(gateway):
    gw = gateway(None)
    assert gw.pid_file.read_text().strip() == str(gw.proc.pid)
    gw.stop()
    assert not gw.pid_file.exists()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_signals_stop_everything(gateway, sig):
    gw = gateway(None)
    gw.tcp.join("t", "g")
    poll = gw.tcp.open_get(messages("t"), {"group": "g"})  # a request that waits must not hold it up
    gw.stop(sig)
    poll.close()
    assert not gw.unix.unix.exists()
    with pytest.raises(OSError):
        gw.tcp.connect()


NOHUP = ["env", "--ignore-signal=HUP"]


def test_under_nohup_the_end_of_the_terminal_is_nothing(gateway):
    """Every part alone: had it taken the first signal, that would be the one that stopped it."""
    gw = gateway(None, start=False)
    gw.before = NOHUP
    gw.start()
    for pid in gw.pids(HELPER) + gw.pids(RESPONDER):
        os.kill(pid, signal.SIGHUP)
    gw.proc.signal(signal.SIGHUP)
    assert gw.tcp.produce("t", b"v", sync=True).status == 200
    gw.stop()
    said = gw.proc.output()
    assert re.findall(r"\bstop(?:ping)? signal=(\d+)", said) == ["15"] * 4, said
    assert "child died" not in said


@pytest.mark.parametrize("nohup", [False, True])
def test_helper_drains_when_its_terminal_goes(helper, nohup):
    h = helper(None, start=False)
    h.before = NOHUP if nohup else []
    h.start()
    h.proc.signal(signal.SIGHUP)
    if nohup:
        h.proc.signal(signal.SIGTERM)
    assert h.proc.wait(STOP_WITHIN) == 0
    said = h.proc.output()
    assert f": stop signal={15 if nohup else 1} " in said and said.endswith(": stopped\n"), said


class Blocked:
    """A pipe that nobody reads, with no room left."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.fill()

    def fill(self):
        os.set_blocking(self.writer, False)
        try:
            while os.write(self.writer, b"\n"):
                pass
        except BlockingIOError:
            os.set_blocking(self.writer, True)

    def read(self):
        """What is in it now."""
        said = b""
        try:
            while chunk := os.read(self.reader, 65536):
                said += chunk
        except BlockingIOError:
            pass
        return said.decode()

    def end(self):
        os.close(self.reader)
        os.close(self.writer)


def test_log_that_nobody_reads_stops_nobody(gateway):
    topic = "t" * 200  # long lines
    log = Blocked()
    gw = gateway(None, start=False, logLevel="debug", durability="memory")
    gw.stderr = log.writer
    gw.start()
    gw.tcp.join(topic, "g")
    for n in range(20):
        assert gw.tcp.produce(topic, b"%d" % n, sync=True).status == 200
        assert gw.tcp.consume(topic, "g").status == 200
    for child in gw.pids(RESPONDER)[:1] + gw.pids(HELPER):
        kill(child)
        wait_for(lambda: not alive(child), 10, "it is gone")
        wait_for(gw.answers, 15, "answers again")
    said, lines = [], [r"error kafka-pixy\[\d+\]: child died name=helper ", r"warn responder\[\d+\]: log lines dropped=\d"]
    session = gw.tcp.session()
    for _ in range(4000):
        assert session.call("POST", messages(topic), body=b"v").status == 200
    session.close()

    def told():
        said.append(log.read())
        return all(re.search(line, "".join(said)) for line in lines)
    wait_for(told, 20, "what happened meanwhile, and how many lines were dropped")
    log.fill()
    elapsed = stopwatch()
    gw.stop()
    assert elapsed() < STOP_WITHIN
    log.end()


def test_log_that_nobody_reads_stops_no_cgi(helper):
    h, log = helper(None), Blocked()
    env = {**os.environ, "REQUEST_METHOD": "GET", "REQUEST_URI": "/_ping", "KAFKA_PIXY_SOCKET": str(h.socket),
           "KAFKA_PIXY_LOG_LEVEL": "debug"}
    elapsed = stopwatch()
    done = subprocess.run([binary(RESPONDER)], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log.writer,
                          timeout=20)
    assert done.returncode == 0 and b"\r\n\r\npong" in done.stdout and elapsed() < 5
    assert log.read().strip() == ""
    log.end()


def test_words_of_nginx_are_lines_of_the_log(gateway):
    gw = gateway(None)
    worker = descendants(gw.nginx_master())[0]
    kill(worker)
    wait_for(lambda: re.search(rf"Z error kafka-pixy\[\d+\]: nginx: .*worker process {worker} exited on signal 9", gw.proc.output()), 10,
             "nginx has said so")


def test_it_starts_again_at_once(gateway):
    gw = gateway(None)
    for _ in range(3):
        gw.restart()
    assert gw.tcp.ping().status == 200


def test_signal_while_it_starts(gateway):
    gw = gateway(None, start=False)
    gw.start(wait=False)
    wait_for(gw.pids, 10, "a first child")
    gw.stop()


def run_dir(gw):
    return Path(helper_socket(gw)).parent


def spool_dir(gw):
    return Path(re.search(r'client_body_temp_path "(.*)/tmp";', (run_dir(gw) / "nginx.conf").read_text()).group(1))


def killed(gw):
    """A launcher that is killed, and all that it had started gone."""
    below = gw.pids()
    gw.proc.signal(signal.SIGKILL)
    gw.proc.wait(10)
    wait_for(lambda: not any(map(alive, below)), 20, "its children end as well")


def test_next_start_removes_what_a_killed_one_has_left(gateway):
    """And neither what is used, nor what somebody else has put there."""
    place = new_folder("runtime")
    for name in ("kafka-pixy.backup", "kafka-pixy.abcdef"):
        (place / name).mkdir()
    (place / "kafka-pixy.backup" / "precious").touch()

    def start():
        gw = gateway(None, start=False)
        gw.env = {"XDG_RUNTIME_DIR": str(place)}
        return gw.start()
    first, left = start(), set()
    live = {run_dir(first), spool_dir(first)}
    for _ in range(3):
        gw = start()
        left |= {run_dir(gw), spool_dir(gw)}
        killed(gw)
    assert sum(path.exists() for path in left) == 2, "only those of the last one are there"
    last = start()
    now = {run_dir(last), spool_dir(last)}
    assert not any(path.exists() for path in left) and all(path.exists() for path in live | now)
    assert set(place.iterdir()) == {p for p in live | now if p.parent == place} | {place / "kafka-pixy.backup"}
    assert first.tcp.ping().status == last.tcp.ping().status == 200
    for gw in (first, last):
        gw.stop()
    assert not any(path.exists() for path in live | now)


def test_large_bodies_lie_on_the_disk_and_have_a_bound(gateway):
    gw = gateway(None, maxMessageBytes=64 << 20)
    spool = spool_dir(gw)
    assert spool.parent == Path("/var/tmp")
    head = f"POST {messages('t')} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {150 << 20}\r\n\r\n"
    uploads = [gw.tcp.connect() for _ in range(5)]
    for s in uploads:
        s.sendall(head.encode() + b"x" * 200000)

    def spooled():
        found = [os.readlink(fd) for pid in gw.pids("nginx") for fd in Path(f"/proc/{pid}/fd").iterdir()]
        return [path for path in found if path.startswith(f"{spool}/")]
    wait_for(lambda: len(spooled()) == 5, 5, "five bodies in files")
    for body in (b"y" * 200000, b"y" * 90000):
        reply = gw.tcp.produce("t", body)
        assert reply.status == 503 and reply.headers["retry-after"] == "1" and reply.error
    assert gw.tcp.produce("t", b"y" * 50000, sync=True).status == 200, "it fits into memory"
    for s in uploads:
        s.close()
    wait_for(lambda: gw.tcp.produce("t", b"y" * 200000).status == 200, 5, "there is room again")
    gw.stop()
    assert not spool.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a namespace of processes")
def test_as_process_1_it_buries_orphans(gateway):
    """nginx's workers, when their master was killed."""
    gw = gateway(None, start=False)
    gw.before = ["unshare", "--pid", "--fork", "--kill-child"]
    gw.sanitizers.env["ASAN_OPTIONS"] += ":detect_leaks=0"  # which looks for threads in a /proc that has other numbers
    gw.start()
    (launcher,) = descendants_once(gw.proc.pid)
    workers = descendants(gw.nginx_master(launcher))
    assert workers
    kill(gw.nginx_master(launcher))
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 10, "the workers are buried")
    wait_for(gw.answers, 15, "answers again")
    os.kill(launcher, signal.SIGTERM)
    assert gw.proc.wait(STOP_WITHIN) == 0


# Children.

@pytest.mark.parametrize("child", [HELPER, RESPONDER, "nginx"])
def test_killed_child_is_started_again(gateway, child):
    gw = gateway(None)
    for _ in range(2):
        victims = [gw.nginx_master()] if child == "nginx" else gw.pids(child)
        assert victims
        for pid in victims:
            kill(pid)
        wait_for(lambda: not any(map(alive, victims)), 10, f"{child} is gone")
        wait_for(gw.answers, 15, f"answers again after the death of {child}")
        assert gw.tcp.produce("t", b"v", sync=True).status == 200
        assert gw.unix.ping().status == 200
        wait_for(lambda: len(gw.pids(child)) >= len(victims), 15, f"as many {child} as before")
    words = {HELPER: "helper", RESPONDER: "responder|fcgi", "nginx": "nginx"}[child]
    assert re.search(f"error.*({words})", gw.proc.output()), "its death is not in the log"


def test_hung_helper_gets_503_in_time(gateway):
    """Every reply comes within its deadline, even when the helper hangs."""
    gw = gateway(None, syncTimeoutMs=2000)
    assert gw.tcp.produce("t", b"v", sync=True).status == 200
    answers = []
    calls = [gw.tcp.ping, lambda: gw.tcp.consume("t", "g"), lambda: gw.tcp.produce("t", b"v", sync=True),
             lambda: gw.tcp.produce("t", b"v"), lambda: gw.tcp.get(offsets("t"), {"group": "g"})]

    def call(_, number, stop):
        elapsed = stopwatch()
        answers.append((calls[number]().status, elapsed()))
    helper = gw.helper()
    os.kill(helper, signal.SIGSTOP)
    try:
        with Workers([gw.tcp] * len(calls), call) as workers:
            workers.join()
    finally:
        os.kill(helper, signal.SIGCONT)
    assert len(answers) == len(calls)
    assert all(status in (503, 504) and seconds < 15 for status, seconds in answers), answers
    wait_for(gw.answers, 15, "answers again")


# Without Kafka and ZooKeeper.

@pytest.mark.parametrize("kind", ["kafka_zk", "kafka_kraft"])
def test_it_starts_without_them_and_works_once_they_are_there(request, gateway, kind, name):
    broker = request.getfixturevalue(kind)
    topic = broker.create_topic(name)
    broker.stop()
    if broker.zk_peers:
        broker.zookeeper.stop()
    try:
        gw = gateway(broker, syncTimeoutMs=1000)
        site = gw.tcp
        assert site.produce(topic, b"kept").body == b"{}"
        reply = site.produce(topic, b"told that it failed", sync=True)
        assert reply.status == 504, reply
        elapsed = stopwatch()
        reply = site.consume(topic, name)
        assert reply.status == 503 and reply.error != "long polling timeout" and elapsed() < 5
        assert site.get(f"/topics/{topic}/offsets", {"group": name}).status == 503
        if broker.zk_peers:
            assert site.consumers(topic, name).status == 503
        assert site.ping().status == 200
    finally:
        if broker.zk_peers:
            broker.zookeeper.start()
        broker.start()
    wait_for(lambda: [m.value for m in broker.read_all(topic)] == [b"kept"], 30, "the kept message", every=0.3)
    wait_for(lambda: site.produce(topic, b"after", sync=True).status == 200, 30, "sync produce works")
    wait_for(lambda: site.consume(topic, name).status == 408, 30, "the group works")
    sent = site.produce(topic, b"new", sync=True).json
    assert site.consume_all(topic, name, 1) == [(sent["partition"], sent["offset"], None, b"new")]
    assert b"told that it failed" not in {m.value for m in broker.read_all(topic)}


def test_stops_in_time_while_kafka_is_away(gateway, kafka_kraft, name):
    topic = kafka_kraft.create_topic(name)
    gw = gateway(kafka_kraft)
    gw.tcp.join(topic, name)
    kafka_kraft.pause()
    try:
        for n in range(10):
            assert gw.tcp.produce(topic, b"%d" % n).status == 200
        elapsed = stopwatch()
        gw.stop()
        assert elapsed() < STOP_WITHIN
    finally:
        kafka_kraft.resume()
    gw.start()
    wait_for(lambda: len(kafka_kraft.read_all(topic)) >= 10, 30, "what was left arrives", every=0.3)

"""`kafka-pixy` as a program: its flags, its files, its children, and how it stops."""

import os
import re
import signal
import socket
import subprocess

import pytest

from gateway import HELPER, RESPONDER, STOP_WITHIN, binary, stopwatch
from procs import alive, kill, new_folder, wait_for
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
    assert re.search(r"memory", gateway(None).proc.output())


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


def test_unwritable_store(gateway):
    gw = gateway(None, start=False)
    (gw.folder / "file").write_text("not a folder")
    gw.options["store"] = gw.folder / "file" / "store.db"
    assert "store" in refused(gw)


def test_second_gateway_on_the_same_store(gateway):
    first = gateway(None)
    assert "store" in refused(gateway(None, start=False, store=first.store))
    assert first.tcp.ping().status == 200


# Files and signals.

def test_pid_file(gateway):
    gw = gateway(None)
    assert gw.pid_file.read_text().strip() == str(gw.proc.pid)
    gw.stop()
    assert not gw.pid_file.exists()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_stop_everything(gateway, sig):
    gw = gateway(None)
    gw.tcp.join("t", "g")
    poll = gw.tcp.open_get(messages("t"), {"group": "g"})  # a request that waits must not hold it up
    gw.stop(sig)
    poll.close()
    assert not gw.unix.unix.exists()
    with pytest.raises(OSError):
        gw.tcp.connect()


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

"""A broker that comes back on another port, or address: whoever was given a name that leads to it finds it again."""

import pytest

from gateway import stopwatch
from kafka import KafkaKraft, Zookeeper
from procs import Proxy, free_port, new_folder, rounds, wait_for
from web import Workers
from webservers import Nginx

FOUND = 30  # s after it serves again
LOST_MS = rounds(5000, 20000)


@pytest.fixture(scope="module")
def moving():
    broker = KafkaKraft()
    broker.start()
    broker.warm_up()
    yield broker
    broker.end()


@pytest.fixture
def door(moving):
    """What --kafkaPeers names."""
    proxy = Proxy(free_port(), moving.port)
    yield proxy
    proxy.end()


def peers_of(door):
    return f"127.0.0.1:{door.port}"


@pytest.fixture
def zookeeper():
    server = Zookeeper()
    server.start()
    yield server
    server.stop()


def committed(broker, name):
    """How many messages; the broker may be too young to say."""
    return sum(o for o in (broker.committed(name, name, 4) or {}).values() if o > 0)


def start(helper, broker, peers, env=None, **options):
    h = helper(broker, start=False, kafkaPeers=peers, initialOffset="oldest", **options)
    h.sanitizers.env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"  # something may be loaded before
    h.start(KP_LOST_MS=str(LOST_MS), **(env or {}))
    nginx = Nginx(h)
    nginx.start()
    return h, nginx


def check(helper, broker, peers, move, name, note, coordination, **options):
    """`move` ends when it serves elsewhere."""
    broker.create_topic(name)
    h, nginx = start(helper, broker, peers, coordination=coordination, **options)
    site, seen = nginx.site, []

    def poll(session, n, stop):
        while not stop.is_set():
            seen.append(site.consume(name, name))

    for i in range(8):
        assert site.produce(name, b"before %d" % i, sync=True).status == 200
    site.consume_all(name, name, 8)
    wait_for(lambda: committed(broker, name) == 8, 10, "all commits")
    with Workers([site], poll):
        move()
        since = stopwatch()
        sent = wait_for(lambda: site.produce(name, b"after", sync=True).status == 200 and since(), FOUND, "sync produce")
        got = wait_for(lambda: any(r.status == 200 for r in seen) and since(), FOUND, "a message")
        kept = wait_for(lambda: committed(broker, name) >= 9 and since(), FOUND, "a commit")
        reply = site.produce(name, b"and more")
        assert reply.status == 200
        wait_for(lambda: committed(broker, name) >= 10 and since(), 10, "async produce, and its commit")
    assert {r.status for r in seen} <= {200, 408, 503}
    h.stop()
    nginx.end()
    note(f"{coordination}: a broker that moved took a message after {sent:.1f} s, gave one after {got:.1f} s, "
         f"and took a commit after {kept:.1f} s")


def check_port(helper, broker, door, *args, **options):
    def move():
        broker.move()
        door.set(f"target {broker.port}")
    check(helper, broker, peers_of(door), move, *args, **options)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("coordination", ["local", "kafka"])
def test_broker_moves(helper, moving, door, name, note, coordination):
    check_port(helper, moving, door, name, note, coordination)


class NamedKafka(KafkaKraft):
    """Who comes in at `behind` hears of it by a name alone."""

    known_as, host = "kafka.test", "127.0.0.1"

    def configure(self):
        super().configure()
        self.config.write_text(self.config.read_text()
                               .replace(f"PROXIED://127.0.0.1:{self.proxied}", f"PROXIED://{self.known_as}:{self.behind}")
                               .replace(f"PROXIED://127.0.0.1:{self.behind}", f"PROXIED://{self.host}:{self.behind}"))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("coordination", ["local", "kafka"])
def test_name_resolves_anew(helper, name, note, coordination):
    broker, hosts = NamedKafka(), new_folder("names") / "hosts"

    def resolve():
        hosts.write_text(f"{broker.host} {broker.known_as}\n")

    def move():
        broker.host = "127.0.0.2"
        broker.move()
        resolve()
    env = {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_HOSTS": str(hosts)}
    resolve()
    broker.start()
    broker.warm_up()
    try:
        check(helper, broker, f"{broker.known_as}:{broker.behind}", move, name, note, coordination, env=env)
    finally:
        broker.end()


@pytest.mark.timeout(240)
def test_old_address_hangs(helper, moving, name, note):
    """Nothing tells that the broker has gone from there."""
    broker = moving
    broker.create_topic(name)
    old, door = Proxy(broker.proxied, broker.behind), Proxy(free_port(), broker.behind)
    h, nginx = start(helper, broker, peers_of(door), coordination="local")
    site = nginx.site
    assert site.produce(name, b"0", sync=True).status == 200
    assert site.produce(name, b"1").status == 200
    site.consume_all(name, name, 2)
    old.set("halfopen")
    broker.move()
    new = Proxy(broker.proxied, broker.behind)
    since = stopwatch()
    assert site.produce(name, b"2").status == 200
    sent = wait_for(lambda: site.produce(name, b"3", sync=True).status == 200 and since(), FOUND, "sync produce")
    seen = set()

    def all_seen():
        reply = site.consume(name, name)
        if reply.status == 200:
            seen.add(reply.message[3])
        return {b"2", b"3"} <= seen
    wait_for(all_seen, FOUND, "both messages")
    note(f"an old address that hangs: sync after {sent:.1f} s, all messages after {since():.1f} s")
    wait_for(lambda: committed(broker, name) >= 4, FOUND, "commits")
    h.stop()
    nginx.end()
    for proxy in (old, door, new):
        proxy.end()


@pytest.mark.long
def test_broker_moves_beside_zookeeper(helper, moving, zookeeper, door, name, note):
    check_port(helper, moving, door, name, note, "zookeeper", zookeeperPeers=f"127.0.0.1:{zookeeper.port}/apart")


def kafka_of(site):
    return site.get("/_status", rules=False).json["kafka"]


def test_controller_among_the_peers(helper, moving, name):
    """It is named and left out, and the brokers are asked."""
    moving.create_topic(name)
    h = helper(moving, kafkaPeers=f"{moving.controller},{moving.peers}", initialOffset="oldest")
    nginx = Nginx(h)
    nginx.start()
    site = nginx.site
    told = f"{moving.controller} in --kafkaPeers is no broker: left out"
    wait_for(lambda: kafka_of(site)["lastError"] == told, 10, "/_status says so")
    assert kafka_of(site)["state"] == "up"
    assert h.proc.output().count(f"kafka peer={moving.controller} is no broker") == 1
    for i in range(5):
        assert site.produce(name, b"sync %d" % i, sync=True).status == 200
        assert site.produce(name, b"async %d" % i).status == 200
    site.consume_all(name, name, 10)
    nginx.end()


def test_nothing_but_a_controller(helper, moving, name):
    h = helper(moving, kafkaPeers=moving.controller)
    nginx = Nginx(h)
    nginx.start()
    told = f"{moving.controller} in --kafkaPeers is no broker: name brokers there, not controllers"
    wait_for(lambda: kafka_of(nginx.site)["lastError"] == f"Kafka cannot be reached: {told}", 10, "/_status says so")
    assert kafka_of(nginx.site)["state"] == "down"
    reply = nginx.site.produce(name, b"sync", sync=True)
    assert reply.status in (503, 504) and told in reply.error, reply
    nginx.end()

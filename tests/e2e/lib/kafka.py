"""Real ZooKeeper and real Kafka from the jars in the cache, and what tests ask of them.

Kafka 3.9.1, and the old 0.8.2.2 and 0.9.0.1, run with ZooKeeper under a chroot and do not create topics on their
own; Kafka 4.1.0 and 4.4.0 run as KRaft and do. Each keeps its port and its data over stop and start.
"""

import json
import os
import re
import signal
import socket
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic
from kazoo.client import KazooClient

from procs import Proc, free_port, new_folder, rounds, wait_for

# What starts soon, or for hours takes less of the machine.
JAVA = ["java", "-Xmx512m", rounds("-XX:TieredStopAtLevel=1", "-XX:+TieredCompilation"), "-XX:+UseSerialGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaServer=info",
        "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info"]

SETTINGS = """
num.partitions=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""

STARTS = 5  # of a broker that loses its session as it starts


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("KP_CACHE") or Path(base) / "kafka-pixy")


def need_jars(version):
    """The class path of a Kafka version, or a skip that says what is missing."""
    jars = cache() / f"kafka-{version}"
    if not jars.is_dir():
        pytest.skip(f"real Kafka {version} is not here: tests/setup.sh could not fetch it from Maven Central")
    return f"{jars}/*"


@dataclass(frozen=True)
class Message:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Java:
    """A Java server with one port. Subclasses write its files and say when it is ready."""

    name = version = main = None
    port = None
    flags = []  # of the Java machine

    def __init__(self):
        self.jars = need_jars(self.version)
        self.folder = new_folder(self.name)
        self.port = free_port()
        self.proc = None

    def start(self):
        self.launch()
        self.await_ready()

    def launch(self):
        self.proc = Proc(self.name, [*JAVA, *self.flags, "-cp", self.jars, self.main, self.config], self.folder)

    def await_ready(self):
        """On a busy machine Kafka can lose its session of ZooKeeper while it starts, and ends: again, as an init system
        would do, but not for ever."""
        def expired():
            return not self.proc.running() and "SessionExpiredException" in self.proc.output()
        for _ in range(STARTS - 1):
            self.proc.wait_ready(lambda: self.ready() or expired(), 60, "ready to serve")
            if not expired():
                return
            self.launch()
        self.proc.wait_ready(self.ready, 60, f"ready to serve, at the start number {STARTS}")

    def stop(self):
        if self.proc:
            self.proc.end()

    def kill(self):
        self.proc.signal(signal.SIGKILL)
        self.proc.wait(10)

    def pause(self):
        self.proc.signal(signal.SIGSTOP)

    def resume(self):
        self.proc.signal(signal.SIGCONT)


class Zookeeper(Java):
    name = "zookeeper"
    version = "3.9.1"
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"

    def __init__(self):
        super().__init__()
        self.config = self.folder / "zoo.cfg"
        self.config.write_text(
            f"dataDir={self.folder}/data\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            "tickTime=1000\nmaxSessionTimeout=40000\nmaxClientCnxns=0\nadmin.enableServer=false\n"
            "4lw.commands.whitelist=srvr,wchs\n")

    def four_letters(self, word):
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(word.encode())
            return s.makefile("rb").read().decode()

    def ready(self):
        """Its port opens before it serves."""
        try:
            return "Mode:" in self.four_letters("srvr")
        except OSError:
            return False


class Ensemble:
    """Three ZooKeepers that are one; it serves while two of them do."""

    def __init__(self):
        self.servers = [Zookeeper() for _ in range(3)]
        lines = [f"server.{n}=127.0.0.1:{free_port()}:{free_port()}\n" for n in (1, 2, 3)]
        for n, server in enumerate(self.servers, 1):
            (server.folder / "data").mkdir()
            (server.folder / "data" / "myid").write_text(str(n))
            server.config.write_text(server.config.read_text() + "initLimit=20\nsyncLimit=10\n" + "".join(lines))
        self.peers = ",".join(f"127.0.0.1:{s.port}" for s in self.servers)

    def start(self):
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.await_ready()

    def stop(self):
        for server in self.servers:
            server.stop()


class Broker(Java):
    """One broker, and kcat and an admin client to look at it from outside."""

    name = "kafka"
    main = "kafka.Kafka"
    started = None  # what it logs at last
    zk_peers = None
    replicas = 1  # of the topics that tests make
    client = {}  # what librdkafka must be told to talk to it
    options = {}  # and a gateway

    def __init__(self):
        super().__init__()
        self.peers = f"127.0.0.1:{self.port}"
        self.config = self.folder / "server.properties"
        self.made = []  # (topic, number of partitions)
        self._admin = None

    def ready(self):
        # Its port opens before it answers on it: a client that comes then waits for ten seconds.
        return re.search(self.started, self.proc.output()) and "1 brokers:" in self.kcat("-L", check=False)

    def await_ready(self):
        super().await_ready()
        # A client that asked when the broker knew of no broker yet, not even itself, does not ask again for minutes.
        self._admin = None
        self.await_leaders(self.made[-10:])

    def warm_up(self):
        """Kafka makes the topic of its groups' offsets when the first group comes, and is not ready until then."""
        wait_for(lambda: self.committed("warm-up", "none", 1), 30, "the coordinator of groups")

    def admin(self):
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.peers, "log_level": 0, **self.client})
        return self._admin

    def create_topic(self, name, partitions=4, **config):
        config = {key.replace("_", "."): value for key, value in config.items()}
        self.admin().create_topics([NewTopic(name, partitions, self.replicas, config=config)])[name].result(30)
        self.made.append((name, partitions))
        self.await_leaders(self.made[-1:])
        return name

    def create_topics(self, names, partitions=4, **config):
        """Many at once."""
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        made = self.admin().create_topics([NewTopic(n, partitions, self.replicas, config=config) for n in names])
        for f in made.values():
            f.result(60)
        self.made += [(n, partitions) for n in names]
        self.await_all_whole()

    def await_all_whole(self, timeout=180):
        """Until every partition of every topic that was made has a leader and all its copies."""
        def whole():
            try:
                found = self.admin().list_topics(timeout=10).topics
            except KafkaException:
                self._admin = None  # it asked one that is not there
                return False
            return {name for name, _ in self.made} <= set(found) and all(
                len(p.isrs) == self.replicas and p.leader >= 0 for t in found.values() for p in t.partitions.values())
        wait_for(whole, timeout, "all copies of all partitions", every=0.5)

    def await_leaders(self, topics):
        """A broker that has just started, or made a topic, names itself the leader before it acts as one."""
        asked = [f"{t}:{p}:-1" for t, n in topics for p in range(n)]

        def all_led():
            said = self.kcat("-Q", *[word for a in asked for word in ("-t", a)], check=False)
            return said.count(" offset ") == len(asked)
        wait_for(all_led, 30, "leaders of all partitions")

    def set_topic(self, name, **config):
        """Changes settings of a topic: max_message_bytes is max.message.bytes."""
        entries = [ConfigEntry(key.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET)
                   for key, value in config.items()]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        self.admin().incremental_alter_configs([resource])[resource].result(30)

    def topics(self):
        return set(self.admin().list_topics(timeout=10).topics)

    def committed(self, group, topic, partitions):
        """{partition: offset} as Kafka has it, -1001 where nothing was ever stored; None when it cannot say."""
        reader = Consumer({"bootstrap.servers": self.peers, "group.id": group, "enable.auto.commit": False,
                           "log_level": 0, **self.client})
        try:
            reply = reader.committed([TopicPartition(topic, p) for p in range(partitions)], timeout=10)
        except KafkaException:
            return None
        finally:
            reader.close()
        return {tp.partition: tp.offset for tp in reply}

    def kcat(self, *args, stdin=b"", check=True, text=True):
        told = [word for name, value in self.client.items() for word in ("-X", f"{name}={value}")]
        run = subprocess.run(["kcat", "-q", "-b", self.peers, *told, *map(str, args)], input=stdin,
                             capture_output=True, timeout=120)
        assert not check or run.returncode == 0, run.stderr.decode()
        return run.stdout.decode(errors="replace") if text else run.stdout

    def produce(self, topic, value, key=None, partition=None):
        """One message by kcat, byte for byte."""
        path = self.folder / f"value-{uuid.uuid4().hex}"
        path.write_bytes(value)
        keyed = [] if key is None else ["-k", key]
        placed = [] if partition is None else ["-p", partition]
        self.kcat("-P", "-t", topic, *keyed, *placed, path)
        path.unlink()

    def produce_lines(self, topic, values, partition=None):
        """Many small messages without a key by one kcat."""
        placed = [] if partition is None else ["-p", partition]
        self.kcat("-P", "-t", topic, *placed, stdin="".join(f"{v}\n" for v in values).encode())

    def read_all(self, topic):
        """Every message of every partition, in the order of partition and offset."""
        raw = self.kcat("-C", "-e", "-o", "beginning", "-X", "fetch.wait.max.ms=10",
                        "-t", topic, "-f", "%p %o %K %S\\n%k%s\\n", text=False)
        found, at = [], 0
        while at < len(raw):
            head = re.compile(rb"(\d+) (\d+) (-?\d+) (-?\d+)\n").match(raw, at)
            partition, offset, key_len, value_len = map(int, head.groups())
            at = head.end()
            key = raw[at:at + max(key_len, 0)] if key_len >= 0 else None
            at += max(key_len, 0)
            value = raw[at:at + max(value_len, 0)] if value_len >= 0 else None
            at += max(value_len, 0) + 1
            found.append(Message(partition, offset, key, value))
        return sorted(found, key=lambda m: (m.partition, m.offset))


class KafkaWithZookeeper(Broker):
    """Kafka 3.9.1. Topics must be created; ZooKeeper holds everything under a chroot."""

    version = "3.9.1"
    started = r"\[KafkaServer id=0\] started"
    creates_topics = False
    chroot = "/some/chroot"

    def __init__(self):
        super().__init__()
        self.zookeeper = Zookeeper()
        self.zk_peers = f"127.0.0.1:{self.zookeeper.port}{self.chroot}"
        self._zk = None
        self.config.write_text(SETTINGS + (
            f"broker.id=0\nlisteners=PLAINTEXT://{self.peers}\nlog.dirs={self.folder}/data\n"
            f"zookeeper.connect={self.zk_peers}\nzookeeper.session.timeout.ms=6000\n"
            "controlled.shutdown.enable=false\n"
            "auto.create.topics.enable=false\n"))

    def start(self):
        if self.zookeeper.proc is None:
            self.zookeeper.start()
        # After a kill the broker's old session must end first, or it refuses to start.
        wait_for(lambda: not self.zk().exists("/brokers/ids/0"), 30, "the old session of the broker has ended")
        super().start()

    def end(self):
        self.stop()
        if self._zk:
            self._zk.stop()
            self._zk.close()
        self.zookeeper.stop()

    def zk(self):
        """A ZooKeeper client below the chroot."""
        if self._zk is None:
            self._zk = KazooClient(hosts=f"127.0.0.1:{self.zookeeper.port}")
            self._zk.start(30)
            self._zk.ensure_path(self.chroot)
            self._zk.chroot = self.chroot
        return self._zk

    def zk_paths(self, top="/"):
        """Every path of the tree at and below `top`."""
        found, todo = set(), [top]
        while todo:
            path = todo.pop()
            found.add(path)
            if self.zk().exists(path):
                todo += [f"{path.rstrip('/')}/{c}" for c in self.zk().get_children(path)]
        return found

    def owners(self, group, topic):
        """{partition: member id} of the claims that stand now."""
        base, found = f"/consumers/{group}/owners/{topic}", {}
        try:
            for p in self.zk().get_children(base):
                found[int(p)] = self.zk().get(f"{base}/{p}")[0].decode()
        except Exception as e:  # a claim that vanishes while we look is simply not there
            if type(e).__name__ != "NoNodeError":
                raise
            found = {p: m for p, m in found.items() if self.zk().exists(f"{base}/{p}")}
        return found


class OldKafka(KafkaWithZookeeper):
    """What is older than 0.10: it cannot be asked for its version, and has no requests to make topics."""

    started = r"\[Kafka Server 0\], started"

    def __init__(self):
        super().__init__()
        log = self.folder / "log4j.properties"
        log.write_text("log4j.rootLogger=WARN, out\nlog4j.logger.kafka.server.KafkaServer=INFO\n"
                       "log4j.appender.out=org.apache.log4j.ConsoleAppender\n"
                       "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n"
                       "log4j.appender.out.layout.ConversionPattern=%d %p %m%n\n")
        # 0.9 asks for the address of this host's name, and stops at one that nobody knows, as in a bare root.
        hosts = self.folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")
        self.flags = [f"-Dlog4j.configuration=file:{log}", f"-Djdk.net.hosts.file={hosts}"]
        self.client = {"api.version.request": "false", "broker.version.fallback": self.version}
        self.options = {"kafkaVersion": self.version}
        self.config.write_text(self.config.read_text() + f"port={self.port}\nhost.name=127.0.0.1\n")

    def ready(self):
        """Its metadata lists no broker before the first topic is there."""
        return re.search(self.started, self.proc.output())

    def warm_up(self):
        self.create_topic("warm-up")
        super().warm_up()

    def create_topic(self, name, partitions=4, **config):
        """As its command does it: by nodes of ZooKeeper."""
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        self.make_node(f"/config/topics/{name}", {"version": 1, "config": config})
        self.make_node(f"/brokers/topics/{name}", {"version": 1, "partitions": {str(p): [0] for p in range(partitions)}})
        self.made.append((name, partitions))
        self.await_leaders(self.made[-1:])
        return name

    def make_node(self, path, value):
        self.zk().create(path, json.dumps(value).encode(), makepath=True)


class Kafka082(OldKafka):
    version = "0.8.2.2"


class Kafka090(OldKafka):
    version = "0.9.0.1"


class KafkaKraft(Broker):
    """Kafka 4.1.0 without ZooKeeper. Creates a topic of four partitions when somebody asks for one.

    To clients that come in at `behind` it names the port `proxied` as its own: who listens there is between them.
    """

    version = "4.1.0"
    started = "Kafka Server started"
    creates_topics = True

    def __init__(self):
        super().__init__()
        self.controller = f"127.0.0.1:{free_port()}"
        self.proxied, self.behind = free_port(), free_port()
        self.configure()

    def configure(self):
        self.config.write_text(SETTINGS + (
            "broker.session.timeout.ms=2000\nbroker.heartbeat.interval.ms=500\n"
            "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT\n"
            f"advertised.listeners=PLAINTEXT://{self.peers},PROXIED://127.0.0.1:{self.proxied}\n"
            f"controller.quorum.voters=1@{self.controller}\nlog.dirs={self.folder}/data\n"
            f"listeners=PLAINTEXT://{self.peers},PROXIED://127.0.0.1:{self.behind},CONTROLLER://{self.controller}\n"))

    def start(self):
        if self.proc is None:
            self.format()
        super().start()

    def format(self):
        """As a new cluster."""
        cluster = uuid.uuid4().hex[:22]
        subprocess.run([*JAVA, "-cp", self.jars, "kafka.tools.StorageTool", "format", "-t", cluster,
                        "-c", self.config], check=True, capture_output=True, timeout=60)

    def move(self):
        """To other ports, of which only who asks for them hears; `behind` stays."""
        self.stop()
        self.port, self.proxied = free_port(), free_port()
        self.peers = f"127.0.0.1:{self.port}"
        self.configure()
        self.start()

    def end(self):
        self.stop()


class Kafka44(KafkaKraft):
    version = "4.4.0"

"""Three real brokers that keep three copies of everything, and what it takes to lose one of them."""

import re
import subprocess
import uuid

from confluent_kafka import KafkaException

from kafka import JAVA, SETTINGS, Broker, Java, Zookeeper
from procs import free_port, new_folder, wait_for

SIZE = 3
COMMON = SETTINGS.replace("replication.factor=1", f"replication.factor={SIZE}") + f"""
default.replication.factor={SIZE}
min.insync.replicas=2
unclean.leader.election.enable=false
controlled.shutdown.enable=false
"""


class Node(Java):
    """One of them. It keeps its port and its data over stop and start."""

    name = "kafka"
    main = "kafka.Kafka"

    def __init__(self, cluster, number):
        self.name, self.version = f"kafka-{number}", cluster.version
        super().__init__()
        self.cluster, self.number = cluster, number
        self.address = f"127.0.0.1:{self.port}"
        self.controller = f"127.0.0.1:{free_port()}"
        self.config = self.folder / "server.properties"

    def ready(self):
        return re.search(self.cluster.started, self.proc.output())


class Cluster(Broker):
    """All of them, as one broker is to the tests."""

    replicas = SIZE

    def __init__(self):
        self.folder = new_folder("cluster")
        self.nodes = [Node(self, i) for i in range(1, SIZE + 1)]
        self.peers = ",".join(n.address for n in self.nodes)
        self.made, self._admin = [], None

    def configure(self, text):
        for n in self.nodes:
            n.config.write_text(COMMON + f"log.dirs={n.folder}/data\n" + text(n))

    def start(self):
        for n in self.nodes:
            n.launch()
        for n in self.nodes:
            n.await_ready()
        wait_for(lambda: f" {SIZE} brokers:" in self.kcat("-L", check=False), 60, "all brokers")

    def end(self):
        for n in self.nodes:
            n.stop()

    def partitions(self, topic):
        """{partition: metadata}, as the cluster says now; empty when it does not, as the one asked may stand still."""
        try:
            return self.admin().list_topics(topic, timeout=5).topics[topic].partitions
        except KafkaException:
            self._admin = None
            return {}

    def leader(self, topic, partition):
        """The node that leads, None while nobody does."""
        known = self.partitions(topic).get(partition)
        return next((n for n in self.nodes if known and n.number == known.leader), None)

    def await_whole(self, topic, timeout=120):
        """Until all copies are in step again: a second fault before that would be two at once."""
        def whole():
            found = self.partitions(topic).values()
            return found and all(len(p.isrs) == SIZE and p.leader > 0 for p in found)
        wait_for(whole, timeout, "all copies in step", every=0.2)


class KraftCluster(Cluster):
    version = "4.1.0"
    started = "Kafka Server started"

    def __init__(self):
        super().__init__()
        voters = ",".join(f"{n.number}@{n.controller}" for n in self.nodes)
        self.configure(lambda n: (
            "broker.session.timeout.ms=2000\nbroker.heartbeat.interval.ms=500\n"
            f"process.roles=broker,controller\nnode.id={n.number}\ncontroller.listener.names=CONTROLLER\n"
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
            f"controller.quorum.voters={voters}\n"
            f"listeners=PLAINTEXT://{n.address},CONTROLLER://{n.controller}\n"))
        cluster = uuid.uuid4().hex[:22]
        for n in self.nodes:
            subprocess.run([*JAVA, "-cp", n.jars, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", n.config],
                           check=True, capture_output=True, timeout=60)


class ZookeeperCluster(Cluster):
    version = "3.9.1"
    started = r"\[KafkaServer id=\d\] started"

    def __init__(self):
        super().__init__()
        self.zookeeper = Zookeeper()
        self.zk_peers = f"127.0.0.1:{self.zookeeper.port}"
        self.configure(lambda n: (
            f"broker.id={n.number}\nlisteners=PLAINTEXT://{n.address}\n"
            f"zookeeper.connect={self.zk_peers}\nzookeeper.session.timeout.ms=4000\n"
            "auto.create.topics.enable=false\n"))

    def start(self):
        self.zookeeper.start()
        super().start()

    def end(self):
        super().end()
        self.zookeeper.stop()

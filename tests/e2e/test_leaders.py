"""Three brokers with three copies of everything, while a group consumes and commits: leaders die, stand still and move.
Nothing is skipped, and what is produced to the new leader is consumed within 10 s."""

import random
import threading

import pytest
from confluent_kafka import ElectionType, Producer, TopicPartition

from cluster import KraftCluster, ZookeeperCluster
from consumer_oracle import ConsumerOracle
from gateway import stopwatch
from procs import rounds, seed, wait_for
from web import Workers

PARTITIONS = 4
RESUMES = 10
REBALANCE = 30  # brokers of a group that lose its coordinator: so old may be what comes again

STANDS = {"local": KraftCluster, "kafka": KraftCluster, "zookeeper": ZookeeperCluster}


class Numbered:
    """Produces all the time, each message once as far as anybody can know, until stop()."""

    def __init__(self, cluster, topic):
        self.topic, self.sent = topic, 0
        self.producer = Producer({"bootstrap.servers": cluster.peers, "enable.idempotence": True, "log_level": 0,
                                  "topic.metadata.refresh.interval.ms": 500, "socket.timeout.ms": 3000})
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending.wait(0.02):
            self.put(random.randrange(PARTITIONS), b"%d" % self.sent)
            self.producer.poll(0)

    def put(self, partition, value):
        self.sent += 1
        self.producer.produce(self.topic, value, partition=partition)

    def stop(self):
        self.ending.set()
        self.thread.join(10)
        assert self.producer.flush(60) == 0


def break_leader(cluster, topic, partition, how):
    """Another leads the partition now. Returns what mends the old one."""
    old = wait_for(lambda: cluster.leader(topic, partition), 30, "a leader")
    old.kill() if how == "kill" else old.pause()
    wait_for(lambda: cluster.leader(topic, partition) not in (old, None), 60, "another leader", every=0.1)
    return old.start if how == "kill" else old.resume


def move_leaders(cluster, topic):
    """To where they belong, from where faults have left them."""
    before = {p: cluster.leader(topic, p) for p in range(PARTITIONS)}
    cluster.admin().elect_leaders(ElectionType.PREFERRED, [TopicPartition(topic, p) for p in before]).result(30)
    return wait_for(lambda: [p for p in before if cluster.leader(topic, p) not in (before[p], None)], 30, "a leader that moved")


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("coordination", list(STANDS))
def test_leaders_fail_and_move(gateway, name, note, coordination):
    cluster, s = STANDS[coordination](), seed()
    rng = random.Random(s)
    took = {"kill": [], "pause": [], "move": []}
    try:
        cluster.start()
        cluster.warm_up()
        topic = cluster.create_topic(name, PARTITIONS)
        hosts = [gateway(cluster, coordination=coordination, initialOffset="oldest")
                 for _ in range(1 if coordination == "local" else 2)]
        oracle = ConsumerOracle(cluster, topic, name, PARTITIONS)
        with oracle, Workers([h.tcp for h in hosts], oracle.client()) as clients:
            numbered = Numbered(cluster, topic)

            def resumes(how, partition):
                """A message that the new leader is given now is consumed."""
                elapsed, value = stopwatch(), b"mark %d" % numbered.sent
                numbered.put(partition, value)
                wait_for(lambda: any(seen.id == value for seen in reversed(oracle.log[-5000:])), RESUMES,
                         f"partition {partition} is consumed again after: {how}", every=0.02)
                took[how].append(elapsed())
            for how in ["kill", "pause"] * rounds(1, 5):
                resumed = len(oracle.log)
                wait_for(lambda: len(oracle.log) > resumed + 50, 30, "traffic before the fault")
                partition = rng.randrange(PARTITIONS)
                oracle.fault(how)
                mend = break_leader(cluster, topic, partition, how)
                resumes(how, partition)
                mend()
                cluster.await_whole(topic)
                oracle.fault(f"mended: {how}")
                moved = move_leaders(cluster, topic)
                resumes("move", moved[0])
            numbered.stop()
            ends = oracle.await_all(60)
            assert not clients.errors
        oracle.check(ends, interval=REBALANCE)
        worst = ", ".join(f"{how} {max(times):.1f} s" for how, times in took.items())
        note(f"leaders, {coordination}, Kafka {cluster.version}: {numbered.sent} sent; consumed again after at most {worst}; "
             f"{oracle.counts()}; seed {s}")
    finally:
        cluster.end()

"""Three brokers that are restarted one after the other, in order, as on any day of maintenance, under async and sync load:
nothing is lost, and nothing that was accepted becomes a dead letter. A broker that has just started may not know of topics
that are there; that passes."""

import os
from contextlib import ExitStack

import pytest

from cluster import KraftCluster, ZookeeperCluster
from oracle import Oracle, conserved, wall_ms
from procs import rounds

# All three brokers so often.
ROUNDS = int(os.environ.get("KP_RESTARTS") or rounds(1, 20))
ORACLES, OTHERS = 3, 60


def restart(cluster, node, oracles):
    """Orderly: its leaders move first. Until all copies are in step again."""
    begin = wall_ms()
    node.stop()
    assert node.proc.popen.returncode in (0, 143), node.proc.popen.returncode
    node.start()
    cluster.await_all_whole()
    for o in oracles:
        o.await_traffic(20, 60, "traffic after a restart")
        o.fault("restart", begin)


@pytest.mark.timeout(300 + ROUNDS * 300)
@pytest.mark.parametrize("kind", rounds([ZookeeperCluster], [ZookeeperCluster, KraftCluster]))
def test_restarted_brokers_bury_nothing(stand, name, note, kind):
    cluster = kind()
    try:
        for node in cluster.nodes:
            node.config.write_text(node.config.read_text() + "controlled.shutdown.enable=true\n")
        cluster.start()
        # The more a broker has to learn at its start, the longer it knows only a part of it.
        cluster.create_topics([f"{name}-other-{i}" for i in range(OTHERS)])
        at = stand(cluster, coordination="local")
        oracles = [Oracle(cluster, cluster.create_topic(f"{name}-{i}")) for i in range(ORACLES)]
        with ExitStack() as loads:
            for o in oracles:
                loads.enter_context(o.load(at.site, rate=150, producers=12, sync=3, processes=1, most=10000))
            for i in range(ROUNDS):
                for node in cluster.nodes:
                    restart(cluster, node, oracles)
        for o in oracles:
            o.await_delivery(at, 60)
        said = conserved(at)
        cluster.await_leaders([(o.topic, 4) for o in oracles])
        for o in oracles:
            o.check()
        counts = "; ".join(o.counts() for o in oracles)
        note(f"3 brokers restarted one after the other, Kafka {cluster.version}: {ROUNDS * len(cluster.nodes)} restarts, dead {said['dead']}; {counts}")
        assert said["dead"] == 0, said
    finally:
        cluster.end()

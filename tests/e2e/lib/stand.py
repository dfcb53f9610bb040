"""A helper that dies often: behind an nginx that stays, under load, with the oracle's books of each death."""

import signal
import time

from oracle import stored_after_kill, wall_ms
from webservers import Nginx

KILLED = -signal.SIGKILL

# Every how many kills the broker stands still at the moment of the kill, so that Kafka has nothing of what was
# accepted last.
PAUSED_KILL = 4


class Stand:
    """A helper, and the nginx and the responder in front of it, which stay while helpers come and go."""

    def __init__(self, helper):
        self.helper = helper
        self.nginx = Nginx(helper)
        self.nginx.start()
        self.site, self.store = self.nginx.site, helper.store

    def stop(self):
        self.helper.stop()

    def end(self):
        self.nginx.end()


def kill(stand, oracle, broker=None, paused_s=0):
    """SIGKILL to the helper; with a broker, while that stands still, and has for so long."""
    begin = wall_ms()
    if broker:
        broker.pause()
        time.sleep(paused_s)
    try:
        at = wall_ms()
        stand.helper.proc.signal(signal.SIGKILL)
        assert stand.helper.proc.wait(10) == KILLED
        oracle.fault("kill", at)
    finally:
        if broker:
            broker.resume()
            oracle.fault("pause", begin)
    stored_after_kill(stand.store)


def kill_rounds(stand, oracle, rng, count, broker, **faults):
    """Kills after 50 to 1,500 ms of traffic, each time a new helper; one in ten dies already while it starts."""
    for i in range(count):
        oracle.await_traffic(5, what=f"traffic before kill {i + 1} of {count}")
        time.sleep(rng.uniform(0.05, 1.5))
        kill(stand, oracle, broker if i % PAUSED_KILL == 0 else None, rng.uniform(0.02, 0.3))
        stand.helper.start(**faults)
        if rng.random() < 0.1:
            kill(stand, oracle)
            stand.helper.start(**faults)
    oracle.await_traffic(20, what="traffic after the last kill")

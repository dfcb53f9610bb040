"""What several tests hold a gateway to."""

import json
from datetime import datetime, timezone

from procs import wait_for
from web import offsets

UNKNOWN = (404, "Unknown topic")
MEMBER = r"pixy_[^\s\"]+_\d+_\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
DATE = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def arrived(broker, topic, count):
    """The messages in Kafka once there are `count`."""
    return wait_for(lambda: (m := broker.read_all(topic)) and len(m) >= count and m, 15,
                    f"{count} messages in {topic}", every=0.2)


def from_start(site, topic, group, partitions=4):
    """The group will start at the oldest messages, without a first poll that finds nothing."""
    rows = [{"partition": p, "offset": -2} for p in range(partitions)]
    reply = site.post(offsets(topic), json.dumps(rows).encode(), {"group": group})
    assert (reply.status, reply.body) == (200, b"{}"), reply
    return group


def age(date):
    return (datetime.now(timezone.utc) - datetime.fromisoformat(date)).total_seconds()

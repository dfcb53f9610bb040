"""Records that cannot be handed out: too large, damaged on the broker's disk, in a codec that nobody knows. Each is named with
its offset, the operator chooses to pass it, and whatever else there is goes on; real Kafka 4.1."""

import json
import re
import struct

import pytest
from confluent_kafka import Producer

from gateway import stopwatch
from procs import wait_for
from test_operator import Operator, helper_socket, status
from test_trouble import DATE, age
from web import offsets

LARGE = 70_000_000  # more than a frame between helper and responder has room for
FITS = 65 * 1024 * 1024 - 29  # a value without a key that just fits


def produce(broker, topic, *values, partition=0, **options):
    """A batch for each."""
    producer = Producer({"bootstrap.servers": broker.peers, "message.max.bytes": 100_000_000, "log_level": 0, **options})
    for value in values:
        producer.produce(topic, value, partition=partition)
        assert producer.flush(60) == 0


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


class Segment:
    """The file of a partition, whose batches can be spoilt under the broker."""

    def __init__(self, broker, topic, partition=0):
        self.path = broker.folder / "data" / f"{topic}-{partition}" / f"{0:020}.log"

    def _change(self, offset, change):
        data, at = self.path.read_bytes(), 0
        while True:
            base, length = struct.unpack_from(">qi", data, at)
            if base == offset:
                break
            at += 12 + length
        batch = bytearray(data[at:at + 12 + length])
        change(batch)
        with self.path.open("r+b") as f:
            f.seek(at)
            f.write(batch)

    def damage(self, offset):
        """Its last byte is another one, which the checksum shows."""
        def change(batch):
            batch[-1] ^= 0xff
        self._change(offset, change)

    def recode(self, offset):
        """It is whole, but compressed by something that nobody knows."""
        def change(batch):
            batch[22] = batch[22] & ~7 | 5
            struct.pack_into(">I", batch, 17, crc32c(batch[21:]))
        self._change(offset, change)


@pytest.fixture(params=["local", "kafka"])
def site(gateway, kafka_kraft, name, request):
    """Two partitions, of which a group will read all."""
    kafka_kraft.create_topic(name, 2, max_message_bytes="100000000")
    return gateway(kafka_kraft, coordination=request.param, initialOffset="oldest")


def await_unfit(gw, name, offset, why):
    """503, the status and the command name it, and how to go on behind it."""
    reply = wait_for(lambda: r if (r := gw.tcp.consume(name, name)).status == 503 else None, 15, "503")
    text = (rf"partition 0 stands still at offset {offset} since ({DATE}): {why}; to go on behind it, POST "
            rf"\[\{{\"partition\": 0, \"offset\": {offset + 1}\}}\] to /topics/{name}/offsets\?group={name}")
    found = re.fullmatch(text, reply.error)
    assert found, reply.error
    assert -1 <= age(found[1]) < 30 and reply.headers["retry-after"] == "10"
    (trouble,) = wait_for(lambda: status(gw)[1]["troubles"], 5, "a trouble in the status")
    assert (trouble["group"], trouble["topic"]) == (name, name) and re.fullmatch(text, trouble["error"]), trouble
    out, _ = Operator(helper_socket(gw)).run("status")
    assert f"group {name}, topic {name}: {trouble['error']}" in out.splitlines()
    return reply.error


def go_on(gw, text):
    """As it says."""
    body, path, query = re.search(r"POST (\[.*\]) to (\S+)\?(\S+)$", text).groups()
    reply = gw.tcp.post(path, body.encode(), query)
    assert (reply.status, reply.json) == (200, {}), reply


def peak_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        (kib,) = [int(line.split()[1]) for line in f if line.startswith("VmHWM:")]
    return kib / 1024


def test_one_that_is_too_large(site, kafka_kraft, name):
    produce(kafka_kraft, name, b"before", b"x" * LARGE, b"behind")
    produce(kafka_kraft, name, b"other", partition=1)
    assert {m[3] for m in site.tcp.consume_all(name, name, 2)} == {b"before", b"other"}
    text = await_unfit(site, name, 1, "the message is larger than 65 MiB")
    produce(kafka_kraft, name, b"goes on", partition=1)
    assert site.tcp.consume(name, name).message[3] == b"goes on"
    go_on(site, text)
    assert site.tcp.consume(name, name).message == (0, 2, None, b"behind")
    assert site.tcp.consume(name, name).status == 408
    wait_for(lambda: not status(site)[1]["troubles"], 5, "no trouble any more")
    assert peak_mb(site.helper()) < 250


def test_the_largest_that_fits(gateway, kafka_kraft, name):
    kafka_kraft.create_topic(name, 1, max_message_bytes="100000000")
    gw = gateway(kafka_kraft)
    gw.tcp.join(name, name)
    value = b"x" * FITS
    produce(kafka_kraft, name, value)
    reply = wait_for(lambda: r if (r := gw.tcp.consume(name, name)).status != 408 else None, 10, "it comes")
    assert reply.message == (0, 0, None, value)


@pytest.mark.parametrize("how, why", [("damage", "its checksum is wrong"), ("recode", "librdkafka does not know its codec or format")])
def test_one_that_cannot_be_read(site, kafka_kraft, name, how, why):
    produce(kafka_kraft, name, b"before", b"unfit", b"behind", b"last")
    getattr(Segment(kafka_kraft, name), how)(1)
    assert site.tcp.consume(name, name).message == (0, 0, None, b"before")
    text = await_unfit(site, name, 1, why)
    produce(kafka_kraft, name, b"goes on", partition=1)
    assert site.tcp.consume(name, name).message[3] == b"goes on"
    go_on(site, text)
    assert [m[3] for m in site.tcp.consume_all(name, name, 2)] == [b"behind", b"last"]

"""Records that cannot be handed out: too large, damaged on the broker's disk, in a codec that nobody knows. Each is named with
its offset, the operator chooses to pass it, and whatever else there is goes on; real Kafka 4.1."""

import re
import struct

import pytest
from confluent_kafka import Producer

from commands import Operator, helper_socket, status
from contract import DATE, age
from procs import wait_for

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

    def garble(self, offset):
        """The checksum is right, and the record in it has no end."""
        def change(batch):
            batch[61:63] = b"\xfe\x7f"
            struct.pack_into(">I", batch, 17, crc32c(batch[21:]))
        self._change(offset, change)

    def recode(self, offset):
        """It is whole, but compressed by something that nobody knows."""
        def change(batch):
            batch[22] = batch[22] & ~7 | 5
            struct.pack_into(">I", batch, 17, crc32c(batch[21:]))
        self._change(offset, change)


def group(name):
    """Which the path of the advice must quote."""
    return f"{name}+&=%"


def start(gateway, broker, name, coordination):
    """A topic of two partitions, of which the group will read all."""
    broker.create_topic(name, 2, max_message_bytes="100000000")
    return gateway(broker, coordination=coordination, initialOffset="oldest")


def await_unfit(gw, name, offset, why, within=15):
    """503, the status and the command name it, and how to go on behind it."""
    def told():
        reply = gw.tcp.consume(name, group(name))
        return reply if reply.status == 503 and "stands still" in reply.error else None
    reply = wait_for(told, within, "503")
    text = (rf"partition 0 stands still at offset {offset} since ({DATE}): {why}; to go on behind it, POST "
            rf"\[\{{\"partition\": 0, \"offset\": {offset + 1}\}}\] to /topics/{name}/offsets\?group=\S+")
    found = re.fullmatch(text, reply.error)
    assert found, reply.error
    assert -1 <= age(found[1]) < within + 15 and reply.headers["retry-after"] == "10"
    (trouble,) = wait_for(lambda: status(gw)[1]["troubles"], 5, "a trouble in the status")
    assert (trouble["group"], trouble["topic"]) == (group(name), name) and re.fullmatch(text, trouble["error"]), trouble
    out, _ = Operator(helper_socket(gw)).run("status")
    assert f"group {group(name)}, topic {name}: {trouble['error']}" in out.splitlines()
    return reply.error


def go_on(gw, text):
    """As it says."""
    body, path, query = re.search(r"POST (\[.*\]) to (\S+)\?(\S+)$", text).groups()
    reply = gw.tcp.post(path, body.encode(), query)
    assert (reply.status, reply.json) == (200, {}), reply


def take(gw, name, *values):
    """They are the next ones. On a busy machine offsets take longer than a long poll to be read."""
    for value in values:
        reply = wait_for(lambda: r if (r := gw.tcp.consume(name, group(name))).status == 200 else None, 60, value[:20])
        assert reply.message[3] == value


def peak_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        (kib,) = [int(line.split()[1]) for line in f if line.startswith("VmHWM:")]
    return kib / 1024


@pytest.mark.parametrize("coordination", ["local", pytest.param("kafka", marks=pytest.mark.long)])
def test_one_that_is_too_large(gateway, kafka_kraft, name, coordination):
    gw = start(gateway, kafka_kraft, name, coordination)
    produce(kafka_kraft, name, b"before", b"x" * LARGE, b"behind")
    take(gw, name, b"before")
    text = await_unfit(gw, name, 1, "the message is larger than 65 MiB")
    produce(kafka_kraft, name, b"x" * FITS, partition=1)
    take(gw, name, b"x" * FITS)
    go_on(gw, text)
    take(gw, name, b"behind")
    assert gw.tcp.consume(name, group(name)).status == 408 and not status(gw)[1]["troubles"]
    assert peak_mb(gw.helper()) < 250


def test_those_that_cannot_be_read(gateway, kafka_kraft, name):
    gw = start(gateway, kafka_kraft, name, "local")
    produce(kafka_kraft, name, b"0", b"damaged", b"2", b"recoded", b"4", b"5")
    segment = Segment(kafka_kraft, name)
    segment.damage(1)
    segment.recode(3)
    take(gw, name, b"0")
    text = await_unfit(gw, name, 1, "its checksum is wrong")
    produce(kafka_kraft, name, b"other", partition=1)
    take(gw, name, b"other")
    go_on(gw, text)
    take(gw, name, b"2")
    go_on(gw, await_unfit(gw, name, 3, "librdkafka does not know its codec or format"))
    take(gw, name, b"4", b"5")
    assert "group starts anew" not in gw.proc.output()


@pytest.mark.long
def test_one_that_nobody_explains(gateway, kafka_kraft, name):
    """librdkafka says nothing of it: it is told once the group has started anew in vain."""
    gw = start(gateway, kafka_kraft, name, "local")
    produce(kafka_kraft, name, b"0", b"garbled", b"2")
    Segment(kafka_kraft, name).garble(1)
    take(gw, name, b"0")
    go_on(gw, await_unfit(gw, name, 1, "Kafka does not give what is there", 120))
    take(gw, name, b"2")
    assert gw.tcp.consume(name, group(name)).status == 408 and not status(gw)[1]["troubles"]
    assert gw.proc.output().count("group starts anew") == 1

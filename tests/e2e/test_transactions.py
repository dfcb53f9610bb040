"""Transactions on Kafka 4.1: what was committed is given, what was aborted or is still open is not, and their marks, which
nobody is given, count as consumed: no lag is left behind them, and nothing is taken for broken."""

import json

import pytest
from confluent_kafka import Producer

from gateway import stopwatch
from procs import wait_for
from web import offsets
from webservers import Nginx

STALL_MS = "500"  # a partition that gives nothing is told, and the group starts anew, after two looks


@pytest.fixture
def host(faulty, kafka_kraft):
    """Makes helpers that soon say that a partition gives nothing, and ways into them."""
    made = []

    def make(coordination, **options):
        h = faulty(kafka_kraft, coordination=coordination, **options).start(KP_STALL_MS=STALL_MS)
        made.append(Nginx(h))
        made[-1].start()
        return h, made[-1].site
    yield make
    for nginx in made:
        nginx.end()


@pytest.fixture
def transactions(kafka_kraft, name):
    """A producer of transactions: begin(), send(), end()."""
    return Transactions(kafka_kraft, name)


class Transactions:
    def __init__(self, broker, name):
        self.topic = broker.create_topic(name, 1)
        self.producer = Producer({"bootstrap.servers": broker.peers, "transactional.id": name, "log_level": 0, "linger.ms": 5})
        self.producer.init_transactions(30)

    def send(self, *values):
        """Kafka has them; the transaction stays open."""
        self.producer.begin_transaction()
        for v in values:
            self.producer.produce(self.topic, v)
        assert self.producer.flush(30) == 0

    def commit(self, *values):
        if values:
            self.send(*values)
        self.producer.commit_transaction(30)

    def abort(self, *values):
        if values:
            self.send(*values)
        self.producer.abort_transaction(30)


def values(site, topic, group, count):
    return [m[3] for m in site.consume_all(topic, group, count)]


def await_no_lag(broker, site, topic, group, end):
    """All is consumed, as we say it and as Kafka has it."""
    wait_for(lambda: broker.committed(group, topic, 1) == {0: end}, 5, f"committed {end}")
    (row,) = site.offsets(topic, group)
    assert (row["offset"], row["end"], row["lag"]) == (end, end, 0), row


@pytest.mark.parametrize("coordination", ["local", "kafka"])
def test_only_what_is_committed(host, kafka_kraft, transactions, name, coordination):
    h, site = host(coordination)
    topic = transactions.topic
    site.join(topic, name)
    transactions.commit(b"a", b"b")  # 0, 1, and a mark at 2
    assert values(site, topic, name, 2) == [b"a", b"b"]
    await_no_lag(kafka_kraft, site, topic, name, 3)  # nobody waits
    transactions.abort(*[b"aborted"] * 1000)  # 3 to 1002, and the mark
    await_no_lag(kafka_kraft, site, topic, name, 1004)
    transactions.commit(b"c")  # 1004, 1005
    transactions.abort(b"aborted")  # 1006, 1007
    transactions.commit(b"d")
    assert values(site, topic, name, 2) == [b"c", b"d"]
    await_no_lag(kafka_kraft, site, topic, name, 1010)
    h.stop()
    h.start(KP_STALL_MS=STALL_MS)
    transactions.commit(b"e")
    assert values(site, topic, name, 1) == [b"e"], "nothing comes twice"


@pytest.mark.parametrize("coordination", ["local", pytest.param("kafka", marks=pytest.mark.long)])
def test_a_transaction_that_stays_open(host, kafka_kraft, transactions, name, coordination):
    h, site = host(coordination)
    topic = transactions.topic
    site.join(topic, name)
    kafka_kraft.produce_lines(topic, ["before"])
    transactions.send(*[b"open"] * 10)  # 1 to 10
    kafka_kraft.produce_lines(topic, ["behind"])  # 11
    assert values(site, topic, name, 1) == [b"before"]
    fresh = f"{name}-fresh"  # what nobody could see yet was not there before this group
    for g in (fresh, name, name):
        site.join(topic, g)
    assert site.get("/_status").json["troubles"] == []
    for g in (name, fresh):
        await_no_lag(kafka_kraft, site, topic, g, 1)
    # Offsets that are set behind it are no reason to doubt that they exist.
    rows = [{"partition": 0, "offset": 11}]
    beyond = f"{name}-beyond"
    assert site.post(offsets(topic), json.dumps(rows).encode(), {"group": beyond}).status == 200
    site.join(topic, beyond)
    (row,) = site.offsets(topic, beyond)
    assert (row["offset"], row["end"], row["lag"]) == (11, 11, 0), row
    transactions.commit()  # its mark is 12
    for g in (name, fresh):
        assert values(site, topic, g, 11) == [b"open"] * 10 + [b"behind"]
    assert site.consume_all(topic, beyond, 1)[0][:2] == (0, 11)
    for g in (name, fresh, beyond):
        await_no_lag(kafka_kraft, site, topic, g, 13)
    assert not any(text in h.proc.output() for text in ("partition stalls", "ends before its offset", "out of range"))


@pytest.mark.long
def test_much_that_was_aborted_on_a_slow_line(host, kafka_kraft, proxy, transactions, name):
    """While it is passed over nothing comes, for longer than a partition may have messages and give none."""
    for _ in range(30):
        transactions.abort(*[b"x" * 1000] * 200)
    transactions.commit(b"c")
    h, site = host("local", kafkaPeers=f"127.0.0.1:{kafka_kraft.proxied}", initialOffset="oldest", consumeMaxBytes=4 << 20)
    proxy.set("latency 100")  # of each 64 KiB
    took = stopwatch()
    assert values(site, transactions.topic, name, 1) == [b"c"]
    assert took() > 7
    proxy.set("pass")
    assert "partition stalls" not in h.proc.output()


def test_what_is_not_committed_on_demand(host, kafka_kraft, transactions, name):
    h, site = host("local", isolationLevel="read_uncommitted")
    topic = transactions.topic
    site.join(topic, name)
    transactions.abort(b"aborted")
    transactions.send(b"open")
    assert values(site, topic, name, 2) == [b"aborted", b"open"]
    await_no_lag(kafka_kraft, site, topic, name, 3)
    transactions.commit()
    await_no_lag(kafka_kraft, site, topic, name, 4)

"""Fixtures: real brokers, one of each kind a worker, started when first asked for; gateways; failure reports."""

import logging
import os
import shutil
import tempfile
import time
import uuid

import pytest
from kazoo.client import KazooClient

import procs
from coordination import Member
from gateway import FaultyHelper, Gateway, Helper
from kafka import Kafka44, Kafka082, Kafka090, KafkaKraft, KafkaWithZookeeper, Zookeeper
from stand import Stand
from web import Poller
from webservers import Responder

logging.getLogger("kazoo").setLevel(logging.CRITICAL)

# A file's tests share brokers and gateways, so they stay in one worker; those of several long files and
# parameters are spread. The longest go first.
ORDER = ["test_long", "test_soak", "test_kills", "test_durability", "test_process_faults", "test_consumer_faults", "test_kafka_churn",
         "test_restarts", "test_kafka_groups", "test_groups", "test_trouble", "test_churn",
         "test_contract", "test_acks", "test_webservers", "test_launcher", "test_bad_input", "test_network", "test_operator",
         "test_longpoll"]


def broker_fixture(kind, scope="session"):
    @pytest.fixture(scope=scope)
    def fixture():
        broker = kind()
        broker.start()
        broker.warm_up()
        yield broker
        broker.end()
    return fixture


kafka_zk = broker_fixture(KafkaWithZookeeper)
kafka_kraft = broker_fixture(KafkaKraft)
kafka_082 = broker_fixture(Kafka082, "module")
kafka_090 = broker_fixture(Kafka090, "module")
kafka_44 = broker_fixture(Kafka44, "module")


@pytest.fixture(scope="module")
def broker(kafka_zk):
    """That of a file which names no other."""
    return kafka_zk


@pytest.fixture(scope="module")
def zookeeper():
    """One without Kafka, which tests may stop and start again."""
    server = Zookeeper()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def zk(zookeeper):
    client = KazooClient(f"127.0.0.1:{zookeeper.port}")
    client.start(30)
    yield client
    client.stop()
    client.close()


def maker(kind):
    """A function that starts gateways (or helpers), all of which end with the test."""
    made = []

    def make(broker=None, start=True, **options):
        made.append(kind(broker, **options))
        return made[-1].start() if start else made[-1]
    return make, made


def end_all(made):
    errors = []
    for one in reversed(made):
        try:
            one.end()
        except AssertionError as e:
            errors.append(str(e))
    left = procs.reap_orphans()
    assert not errors, "\n".join(errors)
    assert not left, f"left behind by processes that are gone: {left}"


@pytest.fixture
def gateway():
    make, made = maker(Gateway)
    yield make
    end_all(made)


@pytest.fixture
def helper():
    make, made = maker(Helper)
    yield make
    end_all(made)


@pytest.fixture
def faulty():
    make, made = maker(FaultyHelper)
    yield lambda broker, **options: make(broker, start=False, **options)
    end_all(made)


@pytest.fixture
def responder():
    made = []

    def make(helper):
        made.append(Responder(helper))
        made[-1].start()
        return made[-1]
    yield make
    for r in made:
        r.end()


@pytest.fixture
def proxy(kafka_kraft):
    p = procs.Proxy(kafka_kraft.proxied, kafka_kraft.behind)
    yield p
    p.end()


@pytest.fixture
def join(zookeeper, name):
    made = []

    def make(*topics, servers=None, group=name, **more):
        made.append(Member(servers or f"127.0.0.1:{zookeeper.port}", group, *topics, **more))
        return made[-1]
    yield make
    for member in made:
        member.end()


@pytest.fixture
def stand(helper, request):
    """Makes stands that end with the test, on kafka_kraft unless a broker is given."""
    made = []

    def make(broker=None, **options):
        made.append(Stand(helper(broker or request.getfixturevalue("kafka_kraft"), **options)))
        return made[-1]
    yield make
    for one in made:
        one.end()


@pytest.fixture(scope="module")
def shared_gateway():
    make, made = maker(Gateway)
    yield make
    end_all(made)


@pytest.fixture(scope="module")
def shared_helper():
    make, made = maker(Helper)
    yield make
    end_all(made)


@pytest.fixture
def client():
    """Makes clients that poll a gateway for a group until the test ends."""
    made = []

    def make(*args):
        made.append(Poller(*args))
        return made[-1]
    yield make
    for c in made:
        c.workers.stop.set()
    for c in made:
        c.workers.join()


@pytest.fixture
def name():
    """A name that no other test uses, for topics and groups."""
    return "t-" + uuid.uuid4().hex[:10]


@pytest.fixture
def topic(request, name):
    """A fresh topic of four partitions on the broker of the test."""
    return request.getfixturevalue("broker").create_topic(name)


@pytest.fixture
def note(request):
    """Puts a line of counts into the summary of the run."""
    return lambda text: request.node.user_properties.append(("note", text))


# Order and distribution.

def stand_of(item):
    call = getattr(item, "callspec", None)
    return call.params.get("stand", "") if call else ""


def pytest_itemcollected(item):
    item.add_marker(pytest.mark.xdist_group(f"{item.module.__name__} {stand_of(item)}".strip()))


def pytest_collection_modifyitems(items):
    def wanted(item):
        only = item.get_closest_marker("only")
        if item.get_closest_marker("long") and not os.environ.get("KP_LONG"):
            return False
        return only is None or stand_of(item) in only.args

    def place(item):
        module = item.module.__name__
        return ORDER.index(module) if module in ORDER else len(ORDER)

    items[:] = sorted(filter(wanted, items), key=place)


# Folders: one short one a run, because the path of a Unix socket ends at 107 bytes.

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.folders = tempfile.mkdtemp(prefix="kp-", dir="/tmp")
        os.chmod(config.folders, 0o755)  # web servers of other users go in
        os.environ["KP_E2E_FOLDERS"] = config.folders


def pytest_unconfigure(config):
    if hasattr(config, "folders"):
        shutil.rmtree(config.folders, ignore_errors=True)


# Reports.

def pytest_runtest_setup(item):
    item.started = time.monotonic()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr[2]} (with CI=true a skip is a failure)"
    elif report.failed:
        for p in procs.Proc.all:
            if p.running() or p.ended_at > item.started:
                report.sections.append((f"{p.name} in {p.folder}", procs.tail(p.log)))
    return report


def pytest_terminal_summary(terminalreporter, config):
    notes = [text for r in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
             for kind, text in r.user_properties if kind == "note" and r.when == "call"]
    if notes:
        terminalreporter.section("what was counted")
    for text in notes:
        terminalreporter.line(text)
    skipped = [r for r in terminalreporter.getreports("skipped") if isinstance(r.longrepr, tuple)]
    if skipped:
        terminalreporter.section("NOT ALL WAS TESTED", sep="!")
        for reason in sorted({r.longrepr[2].removeprefix("Skipped: ") for r in skipped}):
            count = sum(r.longrepr[2].endswith(reason) for r in skipped)
            terminalreporter.line(f"{count} tests skipped: {reason}")
    if os.environ.get("KP_KEEP") == "1":
        terminalreporter.line(f"folders of this run: {config.folders}")
        del config.folders

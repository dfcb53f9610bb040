"""A Kafka that expects TLS, client certificates, or passwords: it works, a refusal is named, nothing needs a restart when
it is mended at the broker, and no secret gets out."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract import arrived, from_start
from gateway import HELPER, binary
from procs import new_folder, wait_for
from secured import PASSWORDS, Certificates, KafkaSecured, KafkaSecured4
from web import offsets

KEY_PASSWORD = "k3y-passw0rd-Omega"
WRONG = "wr0ng-passw0rd-Sigma"
SECRETS = [*PASSWORDS.values(), KEY_PASSWORD, WRONG]

AUTHENTICATION = "SASL authentication error: Authentication failed"
BROKER = "SSL handshake failed: certificate verify failed: "
OURS = "; the broker does not accept our certificate, or expects one: see ssl.certificate.location"


@dataclass
class Case:
    """How a gateway comes to Kafka, and what it must hear there."""
    listener: str
    cause: str = None
    certificate: str = None
    mechanism: str = None
    user: str = None
    password: str = None
    protocol: str = None
    mended: bool = False  # the broker can mend it


GOOD = {
    "client certificate": Case("mutual", certificate="client"),
    "PLAIN": Case("sasl", mechanism="PLAIN", user="plain", password=PASSWORDS["plain"]),
    "SCRAM-SHA-256": Case("sasl", mechanism="SCRAM-SHA-256", user="alice", password=PASSWORDS["alice"]),
    "SCRAM-SHA-512": Case("sasl", mechanism="SCRAM-SHA-512", user="alice", password=PASSWORDS["alice"]),
}
REFUSED = {
    "password, PLAIN": Case("sasl", AUTHENTICATION, mechanism="PLAIN", user="plain", password=WRONG),
    "password, SCRAM-SHA-256": Case("sasl", AUTHENTICATION, mechanism="SCRAM-SHA-256", user="carol", password=WRONG, mended=True),
    "no such user, SCRAM-SHA-512": Case("sasl", AUTHENTICATION, mechanism="SCRAM-SHA-512", user="bob", password=WRONG, mended=True),
    "broker's certificate expired": Case("expired", BROKER + "it has expired", certificate="client", mended=True),
    "broker's certificate foreign": Case("foreign", BROKER + "its issuer is not known", certificate="client", mended=True),
    "broker's certificate for another host": Case("wrong_host", BROKER + "it is for another host name", certificate="client",
                                                  mended=True),
    "our certificate expired": Case("mutual", OURS, certificate="client-expired"),
    "our certificate foreign": Case("mutual", OURS, certificate="client-foreign"),
    "no certificate": Case("mutual", OURS),
    "no TLS": Case("sasl", "one that expects TLS or SASL -X security.protocol", protocol="plaintext"),
    "no password": Case("sasl", "broker might require SASL authentication", protocol="ssl"),
}
MENDED = [name for name, case in REFUSED.items() if case.mended]


@pytest.fixture(scope="module")
def certificates():
    made = Certificates()
    made.make("client", key_password=KEY_PASSWORD)
    made.make("client-expired", expired=True)
    made.make("client-foreign", ca="foreign-ca")
    return made


@pytest.fixture(scope="module")
def broker(certificates):
    kafka = KafkaSecured(certificates)
    kafka.start()
    kafka.warm_up()
    kafka.set_password("carol", PASSWORDS["alice"], "SCRAM-SHA-256")
    yield kafka
    kafka.end()


def secret_file(text):
    path = new_folder("secret") / "secret"
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def properties(broker, case):
    """-X for it. debug: what librdkafka says of its settings and of the handshakes is in the log."""
    c = broker.certificates
    yield from ("broker.address.family=v4", "debug=conf,security", f"ssl.ca.location={c.path('ca.crt')}")
    yield f"security.protocol={case.protocol or ('sasl_ssl' if case.mechanism else 'ssl')}"
    if case.certificate:
        yield f"ssl.certificate.location={c.path(case.certificate + '.crt')}"
        yield f"ssl.key.location={c.path(case.certificate + '.key')}"
        yield f"ssl.key.password=@{secret_file(KEY_PASSWORD)}"
    if case.mechanism:
        yield f"sasl.mechanisms={case.mechanism}"
        yield f"sasl.username={case.user}"
        yield f"sasl.password=@{secret_file(case.password)}"


def status(g):
    return g.tcp.get("/_status", rules=False)


def start_all(broker, make, cases):
    """A gateway for each case, all at once: most of their time they wait."""
    made = {name: make(broker, start=False, kafkaPeers=broker.address(case.listener), responders=1, threads=8,
                       logLevel="debug", X=list(properties(broker, case))) for name, case in cases.items()}
    for g in made.values():
        g.start(wait=False)
    for g in made.values():
        g.await_ready()
    return made


def stop_all(gateways):
    """What some of them keep, Kafka does not take: each waits for it before it ends."""
    with ThreadPoolExecutor(len(gateways)) as threads:
        list(threads.map(lambda g: g.proc.running() and g.stop(), gateways))


@pytest.fixture(scope="module")
def good(broker, shared_gateway):
    made = start_all(broker, shared_gateway, GOOD)
    for name, g in made.items():
        wait_for(lambda: status(g).json["kafka"]["state"] == "up", 30, f"{name}: Kafka is there")
    return made


@pytest.fixture(scope="module")
def bad(broker, shared_gateway):
    made = start_all(broker, shared_gateway, REFUSED)
    yield made
    stop_all(made.values())


def others_see(g):
    """What can be seen of it from outside, apart from its log."""
    seen = [status(g).body]
    for pid in [g.proc.pid, *g.pids()]:
        seen += [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
    assert b"--config=" in Path(f"/proc/{g.helper()}/cmdline").read_bytes(), HELPER
    return seen


def libversion():
    """Of the librdkafka that the helper runs on."""
    said = subprocess.run([binary("kafka-pixy-helper"), "--version"], capture_output=True, check=True, text=True).stdout
    return tuple(map(int, re.search(r"librdkafka (\d+)\.(\d+)\.(\d+)", said).groups()))


@pytest.fixture(scope="module")
def any_topic(broker):
    return broker.create_topic("any")


@pytest.fixture(scope="module")
def refused(bad, any_topic):
    """{case: replies}, each asked for what it cannot have. Those that nobody can mend from outside end then."""
    def ask(name):
        g = bad[name]
        wait_for(lambda: REFUSED[name].cause in (status(g).json["kafka"]["lastError"] or ""), 30, f"{name}: a cause")
        return {"sync": g.tcp.produce(any_topic, name.encode(), sync=True), "consume": g.tcp.consume(any_topic, "g"),
                "offsets": g.tcp.get(offsets(any_topic), {"group": "g"}), "async": g.tcp.produce(any_topic, name.encode()),
                "status": status(g), "others see": others_see(g)}
    with ThreadPoolExecutor(len(REFUSED)) as threads:
        said = dict(zip(REFUSED, threads.map(ask, REFUSED)))
    stop_all([bad[name] for name in REFUSED if name not in MENDED])
    return said


@pytest.mark.parametrize("case", GOOD)
def test_works(good, broker, topic, name, case):
    site = good[case].tcp
    from_start(site, topic, name)
    assert site.produce(topic, b"sync", key="k", sync=True).status == 200
    assert site.produce(topic, b"async", key="k").body == b"{}"
    assert [m.value for m in arrived(broker, topic, 2)] == [b"sync", b"async"]
    assert [m[3] for m in site.consume_all(topic, name, 2)] == [b"sync", b"async"]
    assert status(good[case]).json["kafka"]["state"] == "up"


def test_files_are_read_once(broker, gateway, topic, name):
    """A group that is new has a client of its own: what becomes of certificates and keys after the start does not matter."""
    case, folder = GOOD["client certificate"], new_folder("certificates")
    x = list(properties(broker, case))
    for i, (key, _, value) in enumerate(line.partition("=") for line in x):
        if key.endswith(".location"):
            copy = folder / Path(value).name
            copy.write_bytes(Path(value).read_bytes())
            copy.chmod(0o600)
            x[i] = f"{key}={copy}"
    g = gateway(broker, kafkaPeers=broker.address(case.listener), X=x)
    wait_for(lambda: status(g).json["kafka"]["state"] == "up", 30, "Kafka is there")
    for path in folder.iterdir():
        path.unlink()
        os.mkfifo(path)  # who opens it stands still
    from_start(g.tcp, topic, name)
    assert g.tcp.produce(topic, b"v", sync=True).status == 200
    assert [m[3] for m in g.tcp.consume_all(topic, name, 1)] == [b"v"]


def test_file_that_cannot_be_read(broker, gateway):
    g = gateway(broker, start=False, X=["security.protocol=ssl", "ssl.ca.location=/nowhere/ca.pem"])
    g.start(wait=False)
    assert g.proc.wait(20) != 0
    assert "-X ssl.ca.location: cannot read /nowhere/ca.pem: No such file or directory" in g.proc.output()


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_is_named(bad, broker, refused, case):
    cause, said = REFUSED[case].cause, refused[case]
    at = broker.address(REFUSED[case].listener)
    begin = f"Kafka cannot be reached: {at}: "
    for what in ("consume", "offsets"):
        assert said[what].status == 503, said[what]
        assert said[what].error.startswith(begin) and cause in said[what].error, said[what]
    failed = f"Kafka cannot be reached; nothing was sent; the latest failure: {at}: "
    assert said["sync"].status == 504 and said["sync"].error.startswith(failed) and cause in said["sync"].error, said["sync"]
    assert (said["async"].status, said["async"].body) == (200, b"{}"), "kept on the disk"
    part = said["status"].json["kafka"]
    assert said["status"].status == 503 and part["state"] == "down" and cause in part["lastError"]
    down = rf" warn helper\[\d+\]: health part=kafka state=down: {re.escape(begin)}.*{re.escape(cause)}"
    assert re.search(down, bad[case].proc.output())


def test_password_that_changes_while_it_runs(good, broker, any_topic, name):
    """What is connected stays so. A group that comes now has connections of its own, which are refused: that is no 408."""
    site, case = good["SCRAM-SHA-256"].tcp, GOOD["SCRAM-SHA-256"]
    assert site.produce(any_topic, b"before", sync=True).status == 200
    broker.set_password(case.user, WRONG, case.mechanism)
    try:
        # The first poll may end before librdkafka has tried.
        reply = wait_for(lambda: (r := site.consume(any_topic, name)).status == 503 and r, 20, "a refusal")
        assert AUTHENTICATION in reply.error, reply
        for _ in range(2):
            reply = site.consume(any_topic, name)
            assert reply.status == 503 and AUTHENTICATION in reply.error, reply
        assert site.produce(any_topic, b"meanwhile", sync=True).status == 200
    finally:
        broker.set_password(case.user, case.password, case.mechanism)
    wait_for(lambda: (r := site.consume(any_topic, name)).status == 200 or (
        r.status == 408 and site.produce(any_topic, b"after", sync=True).status == 200 and None), 30, "a message")


@pytest.fixture(scope="module")
def mended(broker, refused):
    """The broker gets good certificates, and its users the passwords that were given."""
    broker.mend()
    broker.set_password("carol", WRONG, "SCRAM-SHA-256")
    broker.set_password("bob", WRONG, "SCRAM-SHA-512")


@pytest.mark.parametrize("case", MENDED)
def test_what_is_mended_at_the_broker_needs_no_restart(bad, broker, mended, any_topic, name, case):
    g = bad[case]
    helper = g.helper()
    wait_for(lambda: status(g).json["kafka"]["state"] == "up", 30, "Kafka is there")
    wait_for(lambda: (r := status(g).json)["pending"] == 0 and r["delivered"] == 1, 30, "what was kept is sent")
    assert case.encode() in [m.value for m in broker.read_all(any_topic)]
    topic = broker.create_topic(name)
    wait_for(lambda: g.tcp.produce(topic, b"v", sync=True).status == 200, 15, "a produce")
    assert g.helper() == helper


def test_what_is_mended_here_needs_one(bad, broker, mended, topic):
    g = bad["our certificate expired"]
    broker.certificates.make("client-expired")
    g.start()
    assert g.tcp.produce(topic, b"v", sync=True).status == 200


@pytest.fixture(scope="module")
def broker4(certificates):
    kafka = KafkaSecured4(certificates)
    kafka.start()
    kafka.warm_up()
    yield kafka
    kafka.end()


@pytest.mark.long
@pytest.mark.parametrize("case", GOOD)
def test_kafka_4(gateway, broker4, name, case):
    """librdkafka before 2.6.1 sends what Kafka 4 does not take for SCRAM any more. That is said."""
    topic = broker4.create_topic(name)
    site = gateway(broker4, kafkaPeers=broker4.address(GOOD[case].listener), X=list(properties(broker4, GOOD[case]))).tcp
    reply = site.produce(topic, b"v", sync=True)
    if case.startswith("SCRAM") and libversion() < (2, 6, 1):
        assert reply.status == 504 and reply.error.endswith(
            f"invalid credentials with SASL mechanism {case}; with Kafka 4 and later SCRAM takes librdkafka 2.6.1, and this "
            "one is older"), reply
    else:
        assert reply.status == 200, reply
        assert site.consume(topic, from_start(site, topic, name)).message[3] == b"v"


def test_secrets_are_nowhere_to_be_seen(good, bad, refused, note):
    looked = 0
    for name, g in {**good, **bad}.items():
        case = {**GOOD, **REFUSED}[name]
        said = g.proc.log.read_bytes()
        # librdkafka lists its settings at the level debug: what it shows of secrets has been looked at.
        assert (b".password = [redacted]" in said) == bool(case.mechanism or case.certificate)
        seen = [said, *(others_see(g) if name in GOOD else refused[name]["others see"])]
        assert not [s for s in SECRETS for text in seen if s.encode() in text]
        looked += len(seen)
    assert not [s for s in SECRETS for r in refused.values() for reply in r.values()
                if not isinstance(reply, list) and s.encode() in reply.body]
    note(f"secrets: {len(SECRETS)} looked for in {looked} logs, command lines, environments and statuses")

"""A Kafka that expects TLS, client certificates, or SASL, and the certificates, made by openssl for the run."""

import subprocess

from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from kafka import KafkaKraft
from procs import free_port, new_folder

HOST = "localhost"
PASSWORDS = {"alice": "al1ce-s3cret-Ypsilon", "plain": "pl4in=s3cret Zeta"}
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
# What a certificate of a listener may be; `mutual` and `sasl` have a good one.
BAD = ["expired", "foreign", "wrong_host"]


class Certificates:
    """Two authorities, and what they sign: <name>.pem has key and certificate."""

    def __init__(self):
        self.folder = new_folder("certificates")
        for ca in ("ca", "foreign-ca"):
            self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={ca}",
                         "-keyout", f"{ca}.key", "-out", f"{ca}.crt")

    def openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], cwd=self.folder, check=True, capture_output=True, timeout=60)

    def path(self, name):
        return self.folder / name

    def make(self, name, host=HOST, ca="ca", expired=False, key_password=None):
        """Overwrites what was there under this name."""
        days = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"] if expired else ["-days", "2"]
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                     "-out", f"{name}.csr")
        self.path("ca.conf").write_text(
            "[ca]\ndefault_ca=c\n[c]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n"
            f"unique_subject=no\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:{host}\n")
        self.path("index").write_text("")
        self.openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-extensions", "e", "-cert", f"{ca}.crt", "-keyfile",
                     f"{ca}.key", "-in", f"{name}.csr", "-out", f"{name}.crt", *days)
        self.path(f"{name}.pem").write_text(self.path(f"{name}.key").read_text() + self.path(f"{name}.crt").read_text())
        if key_password:
            self.openssl("pkey", "-in", f"{name}.key", "-aes256", "-passout", f"pass:{key_password}", "-out", f"{name}.new")
            self.path(f"{name}.new").rename(self.path(f"{name}.key"))
        self.path(f"{name}.key").chmod(0o600)
        return self.path(f"{name}.pem")


class KafkaSecured(KafkaKraft):
    """Kafka 3.9.1 as KRaft. Listeners: `mutual` wants a client certificate, `sasl` a password over TLS, the others only TLS, with bad
    certificates; and one for the tests themselves, without any of it."""

    version = "3.9.1"

    def __init__(self, certificates):
        super().__init__()
        self.certificates = certificates
        self.ports = {name: free_port() for name in ["mutual", "sasl", *BAD]}
        for name in ("mutual", "sasl", "wrong_host", "expired", "foreign"):
            certificates.make(f"broker-{name}", host="other.example" if name == "wrong_host" else HOST,
                              ca="foreign-ca" if name == "foreign" else "ca", expired=name == "expired")
        self.config.write_text(self.secure(self.config.read_text()))

    def secure(self, plain):
        lines = plain.splitlines()
        for i, line in enumerate(lines):
            key = line.partition("=")[0]
            if key in ("listeners", "advertised.listeners"):
                lines[i] += "".join(f",{name.upper()}://{HOST}:{port}" for name, port in self.ports.items())
            elif key == "listener.security.protocol.map":
                lines[i] += "".join(f",{name.upper()}:{'SASL_SSL' if name == 'sasl' else 'SSL'}" for name in self.ports)
        for name in self.ports:
            at = f"listener.name.{name}."
            lines += [f"{at}ssl.keystore.type=PEM", f"{at}ssl.keystore.location={self.certificates.path(f'broker-{name}.pem')}",
                      f"{at}ssl.truststore.type=PEM", f"{at}ssl.truststore.location={self.certificates.path('ca.crt')}"]
        modules = "org.apache.kafka.common.security."
        lines += ["listener.name.mutual.ssl.client.auth=required",
                  f"listener.name.sasl.sasl.enabled.mechanisms={','.join(MECHANISMS)}",
                  f"listener.name.sasl.plain.sasl.jaas.config={modules}plain.PlainLoginModule required "
                  f"user_plain=\"{PASSWORDS['plain']}\";"]
        lines += [f"listener.name.sasl.{m.lower()}.sasl.jaas.config={modules}scram.ScramLoginModule required;"
                  for m in MECHANISMS[1:]]
        return "\n".join(lines) + "\n"

    def address(self, listener):
        return f"{HOST}:{self.ports[listener]}"

    def mend(self):
        """All listeners have good certificates from now on."""
        for name in BAD:
            self.certificates.make(f"broker-{name}")
        self.stop()
        self.start()

    def warm_up(self):
        super().warm_up()
        for mechanism in MECHANISMS[1:]:
            self.set_password("alice", PASSWORDS["alice"], mechanism)

    def set_password(self, user, password, mechanism):
        """Of a user that is there, or is made by it."""
        kind = {"SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256, "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512}[mechanism]
        change = UserScramCredentialUpsertion(user, ScramCredentialInfo(kind, 4096), password.encode())
        self.admin().alter_user_scram_credentials([change])[user].result(30)


class KafkaSecured4(KafkaSecured):
    version = "4.1.0"

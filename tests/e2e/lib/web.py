"""HTTP to the gateway: real curl for what is asserted, http.client for load, bare sockets for the rest.

Every reply that comes through curl is checked against the common rules (type, exact length, JSON layout), so
that each test proves them on the way.
"""

import base64
import http.client
import json
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from urllib.parse import quote, urlencode

TEXT = {"Content-Type": "text/plain"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Reply:
    status: int
    headers: dict
    body: bytes
    method: str = "GET"

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The text of an error; anything else in the reply is a failure."""
        found = self.json
        assert list(found) == ["error"], f"not an error: {self}"
        return found["error"]

    @property
    def message(self):
        """(partition, offset, key, value) of a consumed message."""
        assert self.status == 200, self
        m = self.json
        assert list(m) == ["key", "value", "partition", "offset"], m
        return m["partition"], m["offset"], unbase64(m["key"]), unbase64(m["value"])

    def check_rules(self):
        length = self.headers.get("content-length")
        assert length is not None, f"no Content-Length: {self}"
        if self.method != "HEAD":
            assert int(length) == len(self.body), f"Content-Length is not exact: {self}"
        if self.status in (429, 503):
            assert int(self.headers["retry-after"]) > 0, f"no Retry-After: {self}"
        if self.body == b"pong" and self.status == 200:
            assert self.headers["content-type"].startswith("text/plain")
        elif self.method != "HEAD":
            assert self.headers["content-type"] == "application/json", self
            self.json
            assert not self.body.endswith(b"\n"), f"newline at the end: {self}"
            if self.status >= 400:
                plain = json.dumps({"error": self.error}, indent=2, ensure_ascii=False)
                for c in "<>&\u2028\u2029":
                    plain = plain.replace(c, f"\\u{ord(c):04x}")
                assert self.body == plain.encode(), f"JSON layout: {self}"
        return self


def unbase64(text):
    return None if text is None else base64.b64decode(text, validate=True)


def messages(topic):
    return f"/topics/{quote(topic, safe='')}/messages"


def offsets(topic):
    return f"/topics/{quote(topic, safe='')}/offsets"


def consumers(topic):
    return f"/topics/{quote(topic, safe='')}/consumers"


class Site:
    """One way into a gateway: a TCP port or a Unix socket. `prefix` stands before every path."""

    def __init__(self, port=None, unix=None, prefix=""):
        self.port, self.unix, self.prefix = port, unix, prefix

    def __str__(self):
        return f"unix:{self.unix}" if self.unix else f"port {self.port}"

    def curl(self, method, path, query=None, body=None, headers=None, args=(), rules=True):
        """One request by real curl. `query`: text as it is, or a dict or list of pairs to encode."""
        if query is not None and not isinstance(query, str):
            query = urlencode(query)
        url = f"http://127.0.0.1:{self.port or 80}{self.prefix}{path}" + (f"?{query}" if query else "")
        argv = ["curl", "-q", "-sS", "-i", "--http1.1", "--path-as-is", "--globoff", "--noproxy", "*",
                "--max-time", "30", *args]
        argv += ["--head"] if method == "HEAD" else ["-X", method]
        if self.unix:
            argv += ["--unix-socket", str(self.unix)]
        for name, value in (headers or {}).items():
            argv += ["-H", f"{name}: {value}"]
        if body is not None:
            argv += ["--data-binary", "@-"]
        run = subprocess.run([*argv, url], input=body or b"", capture_output=True, timeout=60)
        assert run.returncode == 0, f"curl {method} {url}: {run.returncode} {run.stderr.decode()}"
        reply = parse_reply(run.stdout, method)
        return reply.check_rules() if rules else reply

    def get(self, path, query=None, **kw):
        return self.curl("GET", path, query, **kw)

    def post(self, path, body=b"", query=None, headers=None, **kw):
        """A body of any type but a form, unless the headers say so."""
        return self.curl("POST", path, query, body=body, headers={**TEXT, **(headers or {})}, **kw)

    # What most tests do.

    def ping(self):
        return self.get("/_ping")

    def produce(self, topic, value, key=None, sync=False, **kw):
        query = ([("key", key)] if key is not None else []) + ([("sync", "")] if sync else [])
        return self.post(messages(topic), value, query or None, **kw)

    def consume(self, topic, group):
        return self.get(messages(topic), {"group": group})

    def join(self, topic, group):
        """First use of a group: stores the initial offsets and finds nothing."""
        reply = self.consume(topic, group)
        assert (reply.status, reply.error) == (408, "long polling timeout"), reply

    def consume_all(self, topic, group, count, timeout=30):
        """`count` messages as (partition, offset, key, value), whatever 408s come between."""
        found, deadline = [], time.monotonic() + timeout
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} messages in {timeout} s"
            reply = self.consume(topic, group)
            if reply.status != 408:
                found.append(reply.message)
        return found

    def offsets(self, topic, group):
        reply = self.get(offsets(topic), {"group": group})
        assert reply.status == 200, reply
        return reply.json

    def consumers(self, topic, group=None):
        return self.get(consumers(topic), {"group": group} if group is not None else None)

    def owners(self, topic, group):
        """{member: partitions}; {} while nobody is known to have any."""
        reply = self.consumers(topic, group)
        return reply.json.get(group, {}) if reply.status == 200 else {}

    # Below curl.

    def connect(self, timeout=30):
        if self.unix:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(timeout)
            s.connect(str(self.unix))
        else:
            s = socket.create_connection(("127.0.0.1", self.port), timeout)
        return s

    def open_get(self, path, query):
        """Sends a GET and returns the socket, on which nobody has read yet: close it to hang up."""
        s = self.connect()
        s.sendall(f"GET {self.prefix}{path}?{urlencode(query)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return s

    def raw(self, request, timeout=10, half_close=False):
        """Sends bytes as they are, returns what comes back until the server closes or has answered once."""
        with self.connect(timeout) as s:
            s.sendall(request)
            if half_close:
                s.shutdown(socket.SHUT_WR)
            return read_reply(s)

    def session(self):
        return Session(self)


def read_reply(s):
    """One whole reply, or all there is when the server closes."""
    data = b""
    while chunk := s.recv(65536):
        data += chunk
        head, end, body = data.partition(b"\r\n\r\n")
        length = [int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")]
        if end and length and len(body) >= length[0]:
            break
    return data


def parse_reply(raw, method="GET"):
    """The last reply in `raw`: curl shows "100 Continue" as one of its own."""
    while True:
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        if status >= 200:
            break
        raw = body
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Reply(status, headers, body, method)


def request(method, target, body=b""):
    """As it stands on the wire, whatever is in the target."""
    return (f"{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            .encode("latin-1") + body)


class Session:
    """One kept connection for load, without the price of a curl. Not for several threads at once."""

    def __init__(self, site, timeout=30):
        self.site, self.timeout, self.http = site, timeout, None

    def call(self, method, path, query=None, body=None, headers=TEXT):
        """A Reply, or the exception that it ended with: the caller cannot know what became of the request."""
        target = self.site.prefix + path + (f"?{urlencode(query)}" if query else "")
        try:
            if self.http is None:
                self.http = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=self.timeout)
                if self.site.unix:
                    self.http.sock = self.site.connect(self.timeout)
            self.http.request(method, target, body, headers)
            r = self.http.getresponse()
            reply = Reply(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read(), method)
            if self.http.sock is None:  # the server said that it closes
                self.close()
            return reply
        except (OSError, http.client.HTTPException) as e:
            self.close()
            return e

    def close(self):
        if self.http:
            self.http.close()
        self.http = None


class Workers:
    """Threads that each run work(session, number, stop) until it returns; errors come out of join()."""

    def __init__(self, sites, work):
        self.stop, self.errors = threading.Event(), []
        self.threads = [threading.Thread(target=self._run, args=(s, n, work), daemon=True)
                        for n, s in enumerate(sites)]
        for t in self.threads:
            t.start()

    def _run(self, site, number, work):
        session = site.session()
        try:
            work(session, number, self.stop)
        except BaseException as e:
            self.errors.append(e)
            self.stop.set()
        finally:
            session.close()

    def join(self, timeout=60):
        deadline = time.monotonic() + timeout
        for t in self.threads:
            t.join(max(0, deadline - time.monotonic()))
        if self.errors:
            raise self.errors[0]
        assert not any(t.is_alive() for t in self.threads), "workers still run"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


class Poller:
    """Polls one gateway for one group in two threads, and notes all that it gets. stop() hangs nothing up."""

    def __init__(self, gateway, topic, group):
        self.seen = []  # (partition, offset, value)

        def work(session, _, stop):
            while not stop.is_set():
                reply = session.call("GET", messages(topic), {"group": group})
                if isinstance(reply, Exception):
                    stop.wait(0.1)
                elif reply.status == 200:
                    partition, offset, _, value = reply.message
                    self.seen.append((partition, offset, value))
                elif reply.status != 408:
                    stop.wait(0.1)
        self.workers = Workers([gateway.tcp] * 2, work)

    def stop(self):
        self.workers.stop.set()
        self.workers.join()

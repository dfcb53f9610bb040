"""A FastCGI client of a few lines: what no web server would pass on can still be sent to a responder."""

import socket
import struct

from urllib.parse import urlencode

from web import TEXT, parse_reply

BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
RESPONDER_ROLE = 1


def record(kind, content=b""):
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content


def pair(name, value):
    def size(b):
        return struct.pack(">B", len(b)) if len(b) < 128 else struct.pack(">I", len(b) | 1 << 31)
    name, value = name.encode(), value.encode()
    return size(name) + size(value) + name + value


def begin(method, uri, length=None, **params):
    path, _, query = uri.partition("?")
    env = {"REQUEST_METHOD": method, "REQUEST_URI": uri, "SCRIPT_NAME": "", "PATH_INFO": path,
           "QUERY_STRING": query, "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_TYPE": "text/plain", **params}
    if length is not None:
        env["CONTENT_LENGTH"] = str(length)
    return (record(BEGIN, struct.pack(">HB5x", RESPONDER_ROLE, 0))
            + record(PARAMS, b"".join(pair(k, v) for k, v in env.items() if v is not None)) + record(PARAMS))


def stdin(body):
    chunks = [body[i:i + 65000] for i in range(0, len(body), 65000)]
    return b"".join(record(STDIN, c) for c in chunks) + record(STDIN)


def connect(path, timeout=30):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(str(path))
    return s


def call(path, method, uri, body=b"", length=None, timeout=30, **params):
    """The reply to one request, as an HTTP Reply."""
    with connect(path, timeout) as s:
        s.sendall(begin(method, uri, len(body) if length is None else length, **params))
        try:
            s.sendall(stdin(body))
        except OSError:
            pass  # a responder may answer before it has read all
        return read(s, method)


def read(s, method="GET"):
    out, f = b"", s.makefile("rb")
    while head := f.read(8):
        _, kind, _, length, padding = struct.unpack(">BBHHBx", head)
        content = f.read(length + padding)[:length]
        if kind == STDOUT:
            out += content
        elif kind == END:
            break
    else:
        raise ConnectionError("the responder went in the middle of its reply")
    return cgi_reply(out, method)


def cgi_reply(out, method="GET"):
    """What a CGI program has written, as an HTTP Reply."""
    head, _, body = out.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = next((h[7:].strip() for h in lines if h.lower().startswith(b"status:")), b"200 OK")
    return parse_reply(b"HTTP/1.1 " + status + b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body, method)


class Direct:
    """A way into a responder without a web server, for Workers: the site and its only session in one."""

    def __init__(self, path):
        self.path = path

    def session(self):
        return self

    def call(self, method, path, query=None, body=None, headers=TEXT):
        """A Reply of which all came, or the exception that it ended with."""
        uri = path + (f"?{urlencode(query)}" if query else "")
        try:
            return call(self.path, method, uri, body or b"", CONTENT_TYPE=headers["Content-Type"])
        except OSError as e:
            return e

    def close(self):
        pass

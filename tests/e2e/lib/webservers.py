"""nginx, lighttpd and Apache with the sample configurations of deploy/, as they are.

Each sample is included from a main configuration of the test, as it would be from the one of the
distribution. Only its well-known places are changed, by plain text: render() refuses a place that the sample
does not have, so a sample that changes its places fails here first.
"""

import os
import re
import signal
import socket

from gateway import TREE, WEB_USER
from procs import Proc, can_connect, free_port, new_folder, wait_for
from web import Site

DEPLOY = TREE / "deploy"
MODULES = "/usr/lib/apache2/modules"

# The places in the samples.
HELPER_SOCKET = "/run/kafka-pixy/helper.sock"
RESPONDER_SOCKET = "/run/kafka-pixy/responder.sock"
ERROR_FILES = "/usr/share/kafka-pixy/lighttpd-errors"
RESPONDER_BINARY = "/usr/libexec/kafka-pixy/kafka-pixy.fcgi"
PORT = "19092"


def render(sample, folder, places, edit=lambda text: text):
    text = edit((DEPLOY / sample).read_text())
    for old, new in places.items():
        assert old in text, f"deploy/{sample} does not mention {old}"
        text = text.replace(old, str(new))
    path = folder / sample
    path.write_text(text)
    return path


class Responder:
    """`kafka-pixy.fcgi` on a listening socket that it inherits as descriptor 0, as spawn-fcgi and systemd do."""

    def __init__(self, helper):
        self.helper = helper
        self.folder = new_folder("responder")
        self.socket = self.folder / "responder.sock"
        self.proc = None

    def start(self):
        self.socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(self.socket))
            self.socket.chmod(0o666)
            s.listen(511)
            self.proc = Proc("responder", [self.helper.responder], self.folder, env=self.helper.env,
                             user=WEB_USER if os.getuid() == 0 else None, stdin=s)
        assert can_connect(self.socket)

    def end(self):
        if self.proc:
            self.proc.end()


class SpawnFcgi(Responder):
    """The same by deploy/spawn-fcgi.sh."""

    def start(self):
        script = render("spawn-fcgi.sh", self.folder, {
            HELPER_SOCKET: self.helper.socket, RESPONDER_SOCKET: self.socket,
            RESPONDER_BINARY: self.helper.responder, "www-data": WEB_USER})
        self.proc = Proc("spawn-fcgi", ["sh", script], self.folder, env=self.helper.env)
        self.proc.wait_ready(lambda: can_connect(self.socket), 15, "listens")


class WebServer:
    """A web server on a port of its own. Subclasses say how it is started and what its sample needs."""

    sample = main = responder = None
    name = None

    def __init__(self, helper):
        self.helper = helper
        self.folder = new_folder(self.name)
        self.run = self.folder / "run"
        self.run.mkdir()
        self.run.chmod(0o777)
        self.port = free_port()
        self.site = Site(port=self.port)
        self.backend = self.responder(helper) if self.responder else None
        self.proc = None

    def places(self):
        """What the sample mentions: the socket of responders, or the binary and the helper's socket."""
        if self.backend:
            return {RESPONDER_SOCKET: self.backend.socket, PORT: self.port}
        return {RESPONDER_BINARY: self.helper.responder, HELPER_SOCKET: self.helper.socket, PORT: self.port}

    def edit(self, text):
        """What an administrator would change in the sample by hand."""
        return text

    def start(self):
        if self.backend:
            self.backend.start()
        return self.launch()

    def launch(self):
        """The web server alone; also again, after it has ended."""
        sample = render(self.sample, self.folder, self.places(), self.edit)
        config = self.folder / "main.conf"
        config.write_text(self.main.format(user=WEB_USER, run=self.run, sample=sample, port=self.port,
                                           other_port=free_port(), modules=MODULES, folder=self.folder))
        self.proc = Proc(self.name, [a.format(config=config, folder=self.folder) for a in self.argv],
                         self.folder, env=self.helper.env)
        self.proc.wait_ready(lambda: can_connect(("127.0.0.1", self.port)), 15, "listens")
        wait_for(lambda: self.site.curl("GET", "/_ping", rules=False).status == 200, 15, f"{self.name}: /_ping")
        return self

    def end(self):
        if self.proc:
            self.proc.signal(signal.SIGTERM)
            self.proc.wait(20)
            self.helper.sanitizers.check([self.proc.log])  # of responders that the web server has started
        if self.backend:
            self.backend.end()

    def reload(self, sig=signal.SIGHUP):
        self.proc.signal(sig)


class Nginx(WebServer):
    name = "nginx"
    sample = "nginx.conf"
    responder = Responder
    argv = ["nginx", "-p", "{folder}", "-c", "{config}"]
    main = """
user {user};
worker_processes 2;
daemon off;
pid {run}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
    access_log {run}/access.log;
    client_body_temp_path {run}/body;
    fastcgi_temp_path {run}/fastcgi;
    proxy_temp_path {run}/proxy;
    scgi_temp_path {run}/scgi;
    uwsgi_temp_path {run}/uwsgi;
    include {sample};
}}
"""


class NginxSpawnFcgi(Nginx):
    name = "nginx-spawn-fcgi"
    responder = SpawnFcgi


class Lighttpd(WebServer):
    name = "lighttpd"
    sample = "lighttpd.conf"
    responder = Responder
    argv = ["lighttpd", "-D", "-f", "{config}"]
    main = """
server.document-root = "{run}"
server.upload-dirs = ( "{run}" )
server.username = "{user}"
server.groupname = "{user}"
server.bind = "127.0.0.1"
server.port = {other_port}
include "{sample}"
"""

    def places(self):
        return {**super().places(), ERROR_FILES: DEPLOY / "lighttpd-errors"}


class LighttpdBinPath(Lighttpd):
    """Starts the responders itself, as the sample's second fastcgi.server says, which is commented out."""

    name = "lighttpd-bin-path"
    responder = None

    def edit(self, text):
        first, second = re.search(r"^\tfastcgi.server.*?^\t\)\)\)\n", text, re.M | re.S), re.search(
            r"^\t#fastcgi.server.*?^\t#\)\)\)\n", text, re.M | re.S)
        text = text.replace(first.group(), "").replace(second.group(), second.group().replace("\t#", "\t"))
        return text.replace("/run/lighttpd/kafka-pixy.sock", str(self.run / "lighttpd.sock"))


class Apache(WebServer):
    argv = ["apache2", "-DFOREGROUND", "-f", "{config}"]
    modules = []
    common = ["mpm_event", "authz_core", "env", "setenvif", "alias", "headers", "rewrite"]

    @property
    def main(self):
        load = "".join(f"LoadModule {m}_module {{modules}}/mod_{m}.so\n" for m in self.common + self.modules)
        return load + """
ServerRoot "{folder}"
ServerName localhost
User {user}
Group {user}
PidFile {run}/apache.pid
Mutex file:{run} default
<IfModule cgid_module>
    ScriptSock {run}/cgid.sock
</IfModule>
<IfModule fcgid_module>
    FcgidIPCDir {run}
    FcgidProcessTableFile {run}/fcgid_shm
</IfModule>
ErrorLog /dev/stderr
DocumentRoot {run}
Listen 127.0.0.1:{port}
Include {sample}
"""


class ApacheProxyFcgi(Apache):
    name = "apache-proxy_fcgi"
    sample = "apache-proxy_fcgi.conf"
    modules = ["proxy", "proxy_fcgi"]
    responder = Responder


class ApacheFcgid(Apache):
    name = "apache-fcgid"
    sample = "apache-fcgid.conf"
    modules = ["fcgid"]


class ApacheCgi(Apache):
    name = "apache-cgi"
    sample = "apache-cgi.conf"
    modules = ["cgid"]


ALL = {s.name: s for s in (Nginx, NginxSpawnFcgi, Lighttpd, LighttpdBinPath, ApacheProxyFcgi, ApacheFcgid, ApacheCgi)}

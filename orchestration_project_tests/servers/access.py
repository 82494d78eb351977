"""The proxy of deploy/access, as it is, in front of two webservers: all on 127.0.0.1, started and stopped by pid."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import trustme

from orchestration_project_tests.browser.chromium import lacking
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.servers.s3 import unused_ports

PROXY = REPOSITORY / "deploy/access/proxy"
START_SECONDS = 300
PASSWORD = "a pass:word of Ann"  # noqa: S105 - of the tests
# Made by bcrypt, with the lowest cost that there is.
PASSWORD_HASH = "$2b$05$IwDfLx3Kswq56McTtR6Tv.qvRd6cjIIQ71M5/xyEocJom8sXZq3iu"  # noqa: S105
ROBOT = "Bearer " + "0123456789abcdef" * 4
PORTS = ["http", "https", "nobody", "operators", "readers"]
COOKIE = "__Host-session"
SMALL = "orchestration_project_tests.servers.small_site"
REPORT, METRICS = "<p>revenue of the day", "orchestration_project_revenue 1\n"


@dataclass(frozen=True)
class Answer:
    """What was answered to one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def session(self) -> str:
        """The session that it gives."""
        return self.headers["set-cookie"].split(";")[0].partition("=")[2]


@dataclass
class Proxy:
    """nginx with the configuration of deploy/access.

    Attributes:
        folder: of its configuration, keys and logs.
        ports: where it listens, and where it looks for the webservers.
        data: where reports and metrics are.
    """

    folder: Path
    ports: Mapping[str, int]
    data: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://{self.host}"

    @property
    def host(self) -> str:
        """Its name and port."""
        return f"127.0.0.1:{self.ports['https']}"

    @property
    def tls(self) -> ssl.SSLContext:
        """What trusts its certificate."""
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))

    def prepare(self, edits: Mapping[str, str]) -> None:
        """Write its configuration: that of deploy/access with other ports and folders, and with these edits."""
        access = self.folder / "access"
        shutil.copytree(PROXY, access)
        shutil.copy("/etc/nginx/mime.types", self.folder)
        self._issue(access / "tls")
        (access / "people").write_text("ann operator\nbob reader\n# carl has left\n", encoding="utf-8")
        names = ("ann", "bob", "carl")
        (access / "passwords").write_text("".join(f"{name}:{PASSWORD_HASH}\n" for name in names), encoding="utf-8")
        (access / "robots.map").write_text(f'"{ROBOT}" reader;\n', encoding="utf-8")
        self.renew_sessions()
        changes = {**self._places(), **edits}
        files = {path: path.read_text(encoding="utf-8") for path in access.glob("*.conf")}
        assert [old for old in changes if not any(old in text for text in files.values())] == []
        for path, text in files.items():
            changed = reduce(lambda so_far, change: so_far.replace(*change), changes.items(), text)
            path.write_text(changed, encoding="utf-8")
        (access / "nginx.conf").rename(self.folder / "nginx.conf")

    def renew_sessions(self) -> None:
        """End all sessions, as the script for it does."""
        subprocess.run([str(PROXY / "sessions.sh"), str(self.folder / "access")], check=True)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [_program(), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.ports["https"])).close()
                return
            assert time.monotonic() < until
            time.sleep(0.02)

    def reload(self) -> None:
        """Have it read its configuration again; requests that come meanwhile are answered by the old one."""
        assert self.process
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it with its workers."""
        if self.process:
            self.process.terminate()
            self.process.wait(START_SECONDS)
            self.process = None

    def send(self, request: bytes) -> Answer:
        """What it answers to the bytes of a request; status 0: nothing."""
        plain = socket.create_connection(("127.0.0.1", self.ports["https"]), timeout=START_SECONDS)
        with self.tls.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(request)
            return _read(connection, request.partition(b" ")[0].decode("latin-1"))

    def ask(self, path: str, method: str = "GET", body: bytes = b"", /, **headers: str) -> Answer:
        """What it answers to a request for a path, which is sent as it is; `_` in a header's name is a `-`."""
        said = {"Host": self.host, "Connection": "close", **{name.replace("_", "-"): headers[name] for name in headers}}
        if body:
            said["Content-Length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())]
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def query(self, document: str, cookie: str, variables: object = None) -> dict[str, Any]:
        """What GraphQL answers to somebody who is logged in."""
        body = json.dumps({"query": document, "variables": variables}).encode()
        answer = self.ask("/graphql", "POST", body, Cookie=cookie, Content_Type="application/json")
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def log_in(self, name: str, password: str = PASSWORD) -> Answer:
        """What it answers to a name and a password."""
        return self.ask("/login", Authorization="Basic " + b64encode(f"{name}:{password}".encode()).decode())

    def cookie(self, name: str) -> str:
        """The cookie of somebody who is logged in, from the file that the proxy reads."""
        lines = (self.folder / "access/sessions.map").read_text(encoding="utf-8").splitlines()
        return next(f"{COOKIE}={line.split(chr(34))[3]}" for line in lines if line.startswith(f'"{name}"'))

    def _places(self) -> dict[str, str]:
        """What differs from a machine of its own, by what stands in the file."""
        ports = self.ports
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{name}_temp_path {self.folder}/{name};\n" for name in temporary)
        return {
            # Root's workers have to read what tests write, which is root's alone.
            "user www-data;": "" if os.geteuid() else "user root;",
            "worker_processes auto;": "worker_processes 1;",
            "/run/nginx.pid": f"{self.folder}/pid",
            "/var/log/nginx/": f"{self.folder}/",
            "http {": f"http {{\n{folders}",
            "listen 80": f"listen 127.0.0.1:{ports['http']}",
            "listen 443": f"listen 127.0.0.1:{ports['https']}",
            "127.0.0.1:3009": f"127.0.0.1:{ports['nobody']}",
            "127.0.0.1:3000": f"127.0.0.1:{ports['operators']}",
            "127.0.0.1:3001": f"127.0.0.1:{ports['readers']}",
            "ops.example.org": "127.0.0.1",
            "/srv/shop/data": str(self.data),
        }

    def _issue(self, folder: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        folder.mkdir()
        authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))


@contextmanager
def proxy(
    folder: Path, data: Path, edits: Mapping[str, str] | None = None, behind: Mapping[str, int] | None = None
) -> Iterator[Proxy]:
    """A running proxy, in front of nothing, or of webservers that run already.

    Without nginx on the machine the test is skipped, or fails in CI.
    """
    _program()
    folder.mkdir()
    made = Proxy(folder, {**unused_ports(PORTS), **(behind or {})}, data)
    made.prepare(edits or {})
    made.start()
    try:
        yield made
    finally:
        made.stop()


@dataclass(frozen=True)
class Site:
    """A running proxy with what is behind it.

    Attributes:
        proxy: the proxy.
        home: the history of Dagster.
        location: the name of what is loaded.
    """

    proxy: Proxy
    home: Path
    location: str = SMALL


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The proxy in front of both webservers, which have loaded `small_site`; with a report and metrics."""
    folder = tmp_path_factory.mktemp("site")
    data, home = folder / "data", folder / "home"
    for name, text in {"reports/index.html": REPORT, "metrics/orchestration_project.prom": METRICS}.items():
        (data / name).parent.mkdir(parents=True)
        (data / name).write_text(text, encoding="utf-8")
    home.mkdir()
    shutil.copy(REPOSITORY / "dagster.yaml", home)
    # Makes the databases: two processes that make them at the same time disturb each other.
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs()
    with proxy(folder / "proxy", data) as made, webservers(made, home, SMALL):
        yield Site(made, home)


@contextmanager
def webservers(made: Proxy, home: Path, module: str, roles: Sequence[str] = ("operators", "readers")) -> Iterator[None]:
    """The webservers that a proxy looks for, on one history: one for operators, and one that changes nothing."""
    inherited = dict(os.environ)  # noqa: TID251 - the commands run as they would from this shell
    environment = {**inherited, "DATA_DIR": str(made.data), "DAGSTER_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    command = [str(Path(sys.executable).with_name("dagster-webserver")), "-m", module, "--host", "127.0.0.1"]
    with ExitStack() as stack:
        log = stack.enter_context((home / "webservers.log").open("ab"))
        for name in roles:
            options = ["--read-only"] if name == "readers" else []
            whole = [*command, "--port", str(made.ports[name]), *options]
            process = subprocess.Popen(whole, stdout=log, stderr=log, cwd=REPOSITORY, env=environment)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        for name in roles:
            _wait_for(f"http://127.0.0.1:{made.ports[name]}/server_info", home / "webservers.log")
        yield


def _wait_for(url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        with suppress(urllib.error.URLError):
            urllib.request.urlopen(url).close()  # noqa: S310 - on 127.0.0.1
            return
        assert time.monotonic() < until, log.read_text(errors="replace")[-5000:]
        time.sleep(0.1)


def _read(connection: socket.socket, method: str) -> Answer:
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ConnectionResetError):
        return Answer(0, {}, b"")
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def _program() -> str:
    found = shutil.which("nginx", path=f"{os.defpath}:/usr/sbin")
    return found or lacking("nginx is not installed; on Debian: apt install nginx")

"""An HTTP server on 127.0.0.1 that has files, knows ranges and versions, and misbehaves as it is told."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ServedFile:
    """A file of the server.

    Attributes:
        content: its bytes.
        kind: its content type.
        modified: when it was last modified, in seconds since the epoch; None: the server does not tell.
        etag: whether the server tells an `ETag`.
        ranges: whether it knows ranges.
        length: the `Content-Length` that is told in the place of the true one.
        headers: further ones.
    """

    content: bytes
    kind: str = "text/csv"
    modified: float | None = 1_705_300_000.0
    etag: bool = True
    ranges: bool = True
    length: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Its `ETag`."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'


Asked = tuple[str, str, dict[str, str]]
"""Method, path and headers of a request."""


@dataclass
class HttpFiles:
    """The server.

    Attributes:
        url: its address.
        files: by path.
        statuses: by path, the failures that are answered before anything else, one a request: status and headers.
        redirects: by path, where to.
        cuts: by path, after how many bytes of an answer the connection is cut, one an answer.
        pause: how long each answer waits.
        head: whether it knows HEAD.
        login: the `Authorization` that it wants.
        meanwhile: called by a path's GET before its body is sent, with the server.
        asked: the requests so far.
        sent: the paths whose bodies were begun so far.
    """

    url: str = ""
    files: dict[str, ServedFile] = field(default_factory=dict)
    statuses: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    pause: float = 0.0
    head: bool = True
    login: str = ""
    meanwhile: dict[str, Callable[[], object]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def gets(self, path: str) -> list[dict[str, str]]:
        """The headers of the downloads of a path so far."""
        return [headers for method, asked, headers in self.asked if (method, asked) == ("GET", path)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: HttpFiles

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Answer with the head alone."""
        if self.served.head:
            self._answer(with_body=False)
        else:
            self._fail(405, {})

    def do_GET(self) -> None:
        """Answer."""
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        served, path = self.served, self.path.partition("?")[0]
        served.asked.append((self.command, path, dict(self.headers)))
        time.sleep(served.pause)
        if failures := served.statuses.get(path):
            self._fail(*failures.pop(0))
        elif path in served.redirects:
            self._fail(302, {"Location": served.redirects[path]})
        elif served.login and self.headers.get("Authorization") != served.login:
            self._fail(401, {})
        elif path not in served.files:
            self._fail(404, {})
        elif served.files[path].etag and self.headers.get("If-None-Match") == served.files[path].tag:
            self._fail(304, {"ETag": served.files[path].tag})
        else:
            self._send(path, served.files[path], with_body)

    def _fail(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, path: str, file: ServedFile, with_body: bool) -> None:
        wanted = self.headers.get("Range", "")
        same = self.headers.get("If-Range") in (None, file.tag)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and same and file.ranges else 0
        content = file.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(file.content) - 1}/{len(file.content)}")
        self.send_header("Content-Type", file.kind)
        self.send_header("Content-Length", str(len(content) if file.length is None else file.length))
        if file.etag:
            self.send_header("ETag", file.tag)
        if file.modified is not None:
            self.send_header("Last-Modified", formatdate(file.modified, usegmt=True))
        for name, value in file.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self._body(path, content)

    def _body(self, path: str, content: bytes) -> None:
        if act := self.served.meanwhile.pop(path, None):
            act()
        self.served.sent.append(path)
        cuts = self.served.cuts.get(path)
        cut = cuts.pop(0) if cuts else len(content)
        self.wfile.write(content[:cut])
        self.wfile.flush()
        if cut < len(content):
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has hung up is none."""


@contextmanager
def http_files() -> Iterator[HttpFiles]:
    """A server that has no file yet; it ends with the block."""
    served = HttpFiles()
    handler = type("Handler", (_Handler,), {"served": served})
    server = _Server(("127.0.0.1", 0), handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

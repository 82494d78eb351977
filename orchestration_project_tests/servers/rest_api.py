"""A web server on 127.0.0.1 that answers as a test says, honestly or not."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its path, the parameters and headers of it, its body, and how many came before it."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: str
    number: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server sends; with `cut`, only so many bytes of it before it hangs up."""

    body: bytes | str | dict[str, Any] | list[Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None

    @property
    def bytes(self) -> bytes:
        """The body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Answering = Callable[[Asked], Answer]


@dataclass(slots=True)
class RestServer:
    """A server that is running; `answer` may be changed at any time, `asked` has all requests."""

    answer: Answering
    url: str = ""
    asked: list[Asked] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: RestServer, *args: Any) -> None:
        self.rest = server
        super().__init__(*args)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = Asked(parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body, len(self.rest.asked))
        self.rest.asked.append(asked)
        answer = self.rest.answer(asked)
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(answer.bytes)), **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.bytes[: answer.cut])
        self.close_connection = self.close_connection or answer.cut is not None

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        """The test's output is no log."""


@contextmanager
def serving(answer: Answering) -> Iterator[RestServer]:
    """A server that answers by a function, for the time of the block."""
    made = RestServer(answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, made)) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()

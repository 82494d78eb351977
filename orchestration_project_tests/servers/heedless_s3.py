"""A proxy in front of a server with the S3 protocol that takes the conditions out of requests, as if it knew none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import unquote, urlsplit

import requests

from orchestration_project_tests.servers.s3 import BUCKET, S3Server

if TYPE_CHECKING:
    from obstore import HTTP_METHOD

CONDITIONS = {"if-match", "if-none-match"}
Method = Literal["PUT", "GET", "DELETE"]


@dataclass
class HeedlessS3:
    """The proxy: whose conditions it drops, the requests that came (method and path), and its address."""

    drops: frozenset[Method]
    asked: list[str] = field(default_factory=list)
    address: str = ""


@contextmanager
def heedless_s3(server: S3Server, *drops: Method) -> Iterator[HeedlessS3]:
    """A running proxy; `drops` may be changed while it runs."""
    proxy = HeedlessS3(frozenset(drops))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

        def pass_on(self) -> None:
            proxy.asked.append(f"{self.command} {self.path}")
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            url = server.environment["AWS_ENDPOINT_URL"] + self.path
            if self.command in proxy.drops and CONDITIONS & headers.keys():
                # The client has signed its conditions, so the request is signed anew without them.
                headers, url = {}, signed(server, cast("HTTP_METHOD", self.command), self.path)
            answer = requests.request(
                self.command, url, data=content, headers=headers, timeout=60, stream=True, allow_redirects=False
            )
            body = answer.raw.read(decode_content=False)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = pass_on  # noqa: N815 - the library's names

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    proxy.address = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def signed(server: S3Server, method: "HTTP_METHOD", path: str) -> str:
    """The address of an object of the server, signed for a request without conditions."""
    from obstore import sign

    key = unquote(urlsplit(path).path).removeprefix(f"/{BUCKET}/")
    return str(sign(server.client, method, key, timedelta(minutes=5)))

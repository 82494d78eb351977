"""A server that speaks as much of the S3 protocol as one object needs, and heeds only the conditions it is told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

MOMENT = "Sat, 28 Nov 2026 08:00:00 GMT"


@dataclass
class HeedlessS3:
    """The server: which conditions it heeds (`PUT`, `GET`, `DELETE`), its objects and its address."""

    heeds: frozenset[str]
    objects: dict[str, bytes] = field(default_factory=dict)
    address: str = ""


@contextmanager
def heedless_s3(*heeds: str) -> Iterator[HeedlessS3]:
    """A running server."""
    server = HeedlessS3(frozenset(heeds))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

        def answer(self, status: int, body: bytes = b"", tag: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", MOMENT)
            if tag:
                self.send_header("ETag", f'"{tag}"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def handle_one(self) -> None:
            key, content = urlsplit(self.path).path, self.rfile.read(int(self.headers.get("Content-Length", 0)))
            there = server.objects.get(key)
            tag = f'"{md5(there, usedforsecurity=False).hexdigest()}"' if there is not None else ""
            heeded = self.command in server.heeds
            wanted, unless = self.headers.get("If-Match"), self.headers.get("If-None-Match")
            if heeded and ((wanted and wanted != tag) or (unless and there is not None)):
                self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            elif self.command == "PUT":
                server.objects[key] = content
                self.answer(200, tag=md5(content, usedforsecurity=False).hexdigest())
            elif self.command in ("POST", "DELETE"):
                server.objects.pop(key, None)
                self.answer(204)
            elif there is None:
                self.answer(404)
            else:
                self.answer(200, there, tag.strip('"'))

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = handle_one  # noqa: N815 - the library's names

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.address = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()

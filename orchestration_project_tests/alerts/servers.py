"""Servers on 127.0.0.1 that stand at the other end of targets: mail, a webhook, and two that are out of order."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class MailServer:
    """A mail server that keeps what it takes, over STARTTLS and with a login."""

    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    port: int = 0
    certificates: bytes = b""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        """Take a mail."""
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((envelope.rcpt_tos, mail))
        return "250 taken"

    def url(self, to: str, password: str = "secret-word", scheme: str = "mailtos") -> str:  # noqa: S107 - a server of the test
        """The URL for Apprise."""
        mode = "starttls" if scheme == "mailtos" else "insecure"
        return f"{scheme}://bot:{password}@localhost:{self.port}/?from=bot@example.org&mode={mode}&to={to}"

    @property
    def subjects(self) -> list[str]:
        """The subjects of what came."""
        return [str(mail["Subject"]) for _, mail in self.mails]

    @property
    def texts(self) -> list[str]:
        """The texts of what came."""
        return [text_of(mail) for _, mail in self.mails]


def text_of(mail: EmailMessage) -> str:
    """The text of a mail, which is nothing but text."""
    assert mail.get_content_type() == "text/plain"
    return str(mail.get_content()).replace("\r\n", "\n")


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A running mail server; `certificates` are those to trust it by."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    server = MailServer(port=unused_port(), certificates=authority.cert_pem.bytes())

    def login(_server: object, _session: object, _envelope: object, _mechanism: str, given: object) -> AuthResult:
        taken = isinstance(given, LoginPassword) and given.password == b"secret-word"
        return AuthResult(success=taken, handled=False)

    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=server.port,
        tls_context=context,
        authenticator=login,
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@dataclass
class Webhook:
    """A web server that keeps the JSON that it is sent, and answers as it is told."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 200
    port: int = 0
    hold: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Answer at once."""
        self.hold.set()

    def url(self, path: str = "hook") -> str:
        """The URL for Apprise."""
        return f"json://127.0.0.1:{self.port}/{path}"

    @property
    def subjects(self) -> list[str]:
        """The subjects of what came."""
        return [str(call["title"]) for call in self.calls]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A running web server."""
    state = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.calls.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.do_GET()

        def do_GET(self) -> None:
            state.paths.append(self.path)
            state.hold.wait(60)
            self.send_response(state.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        state.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def black_hole() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


def unused_port() -> int:
    """A port that refuses connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

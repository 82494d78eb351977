"""What clients say to PostgreSQL, message by message: a network on which something happens at a chosen statement.

Belongs here: PostgreSQL's protocol, as far as to tell where a message begins and ends. The server is in `postgres`.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from orchestration_project_tests.servers.network import Network

STEPS = {b"Q": "query", b"E": "execute", b"d": "rows", b"c": "end of rows", b"X": "goodbye"}
"""The messages at which something can happen, by their first byte. The others only prepare them."""
NO_STARTUP = (80877103, 80877104)
"""In the place of a startup message: requests for encryption, after which another one follows."""


@dataclass
class Statements(Network):
    """A network that passes whole messages on.

    Attributes:
        said: the statements that have arrived at the server, in order.
    """

    said: list[str] = field(default_factory=list)
    _act: tuple[int, Callable[[], object], bool] | None = None

    def at_statement(self, number: int, act: Callable[[], object], arrives: bool = False) -> None:
        """Have something done when so many statements have arrived, before the next one does.

        Args:
            number: so many, from 0 on.
            act: what is done.
            arrives: whether the statement still arrives afterwards; else it is lost with the connection.
        """
        with self._lock:
            self.said.clear()
            self._act = (number, act, arrives)

    def undisturbed(self) -> None:
        """Have nothing done, and count from 0 on."""
        with self._lock:
            self.said.clear()
            self._act = None

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        # A side that breaks off is the other one's affair, as it would be without a proxy.
        with suppress(OSError), client.makefile("rb") as stream:
            for message in messages(stream):
                if self.is_cut or not self._may_pass(message):
                    break
                server.sendall(message)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _may_pass(self, message: bytes) -> bool:
        if message[:1] not in STEPS:
            return True
        with self._lock:
            due = self._act if self._act and len(self.said) == self._act[0] else None
            self._act = None if due else self._act
        if due:
            due[1]()
            if not due[2]:
                return False
        with self._lock:
            self.said.append(text_of(message))
        return True


def messages(stream: IO[bytes]) -> Iterator[bytes]:
    """The messages of a client. The first ones have no type, but a length like the others."""
    while head := stream.read(4):
        rest = stream.read(int.from_bytes(head, "big") - 4)
        yield head + rest
        if int.from_bytes(rest[:4], "big") not in NO_STARTUP:
            break
    while head := stream.read(5):
        yield head + stream.read(int.from_bytes(head[1:], "big") - 4)


def text_of(message: bytes) -> str:
    """A message for a reader: the kind, and a query's beginning."""
    kind = STEPS[message[:1]]
    query = " ".join(message[5:].rstrip(b"\0").decode(errors="replace").split())
    return query[:80] if kind == "query" else kind

"""The network between clients and a server on 127.0.0.1: a proxy that counts what passes, is slow, or is cut.

It counts exactly, and is no measure of time: every byte passes through Python.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import BaseRequestHandler, ThreadingTCPServer

PIECE = 1 << 16
REQUEST_END = b" HTTP/1.1\r\n"
"""The end of the first line of each request; in compressed data it is as good as never."""


@dataclass
class Network:
    """What lies between clients and a server.

    Attributes:
        server_port: where the server listens.
        port: where clients connect to.
        delay: how many seconds each piece of data takes, in both directions.
        is_cut: whether connections end at once.
        pieces: how many pieces of data clients have sent: the steps at which something can happen.
        sent, received: bytes, from clients to the server and back.
        requests: HTTP requests; 0 for other protocols.
    """

    server_port: int
    port: int = 0
    delay: float = 0.0
    is_cut: bool = False
    pieces: int = 0
    sent: int = 0
    received: int = 0
    requests: int = 0
    _waiting: tuple[int, Callable[[], object]] | None = None
    _open: set[socket.socket] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def at(self, pieces: int, act: Callable[[], object]) -> None:
        """Count from 0 on, and have something done when so many pieces were sent, before the next one arrives."""
        with self._lock:
            self.pieces = self.sent = self.received = self.requests = 0
            self._waiting = (pieces, act)

    def cut(self) -> None:
        """End all connections, and let none be made."""
        self.is_cut = True
        with self._lock:
            sockets = list(self._open)
        for side in sockets:
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let connections be made again, at full speed, and nothing more happen."""
        self.is_cut, self.delay, self._waiting = False, 0.0, None

    def join(self, client: socket.socket) -> None:
        """Pass on what a client and the server say to each other until both have ended."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server_port)) as server:
            with self._lock:
                self._open |= {client, server}
            back = threading.Thread(target=self._pass_back, args=(server, client))
            back.start()
            self._pass_on(client, server)
            back.join()
            with self._lock:
                self._open -= {client, server}

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        before = b""
        for piece in self._pieces(client, server):
            # The mark may lie across two pieces. What is kept of the one before is too short to hold all of it.
            text = before + piece
            with self._lock:
                act = self._due()
                self.pieces += 1
                self.sent += len(piece)
                self.requests += text.count(REQUEST_END)
            before = text[-len(REQUEST_END) + 1 :]
            if act:
                act()

    def _due(self) -> Callable[[], object] | None:
        """What is to be done now, once."""
        if self._waiting is None or self.pieces < self._waiting[0]:
            return None
        (_, act), self._waiting = self._waiting, None
        return act

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        for piece in self._pieces(server, client):
            with self._lock:
                self.received += len(piece)

    def _pieces(self, source: socket.socket, target: socket.socket) -> Iterator[bytes]:
        """What a side says; each piece is passed on after it was looked at. The other side is told of the end."""
        # A side that breaks off is the other one's affair, as it would be without a proxy.
        with suppress(OSError):
            while not self.is_cut and (piece := source.recv(PIECE)):
                yield piece
                time.sleep(self.delay)
                # What was due may have been the cut.
                if not self.is_cut:
                    target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def network(server_port: int) -> Iterator[Network]:
    """A network to a server on 127.0.0.1, as long as the block takes."""
    made = Network(server_port)
    with opened(made):
        yield made


@contextmanager
def opened(made: Network) -> Iterator[None]:
    """Let clients use a network as long as the block takes."""

    class Connection(BaseRequestHandler):
        def handle(self) -> None:
            if not made.is_cut:
                made.join(self.request)

    with ThreadingTCPServer(("127.0.0.1", 0), Connection) as proxy:
        proxy.daemon_threads = True
        made.port = proxy.server_address[1]
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            made.cut()
            proxy.shutdown()
            thread.join()

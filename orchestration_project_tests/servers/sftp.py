"""Servers for SFTP on 127.0.0.1: OpenSSH's, of the machine's own programs, and one that lets in by a password.

OpenSSH takes the passwords of the machine's users only, and tests make none. So the second one is asyncssh's own.
"""

import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from orchestration_project_tests.browser.chromium import lacking
from orchestration_project_tests.servers.s3 import unused_ports

START_SECONDS = 60
# Root may read whatever there is. A server that runs as root lets this user in instead, whom Debian always has.
USER, PASSWORD = getpass.getuser() if os.geteuid() else "nobody", "pass-word:Ä"


@dataclass
class SftpServer:
    """A server, its keys, and a folder for what it has.

    Attributes:
        folder: of its own files.
        port: where it listens.
        process: the server while it runs.
    """

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def key_file(self) -> Path:
        """The private key that is let in."""
        return self.folder / "user_key"

    @property
    def fingerprint(self) -> str:
        """Of the server's own key."""
        return asyncssh.read_public_key(self.folder / "host_key.pub").get_fingerprint()

    def prepare(self) -> None:
        """Make its keys and its configuration."""
        self.folder.chmod(0o755)
        for name in ("host_key", "user_key"):
            key = asyncssh.generate_private_key("ssh-ed25519")
            key.write_private_key(self.folder / name)
            (self.folder / name).chmod(0o600)
            key.write_public_key(self.folder / f"{name}.pub")
        (self.folder / "user_key.pub").chmod(0o644)
        options = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.folder / "host_key",
            "AuthorizedKeysFile": self.folder / "user_key.pub",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "MaxStartups": 100,
            "Subsystem": "sftp internal-sftp",
            "ForceCommand": "internal-sftp",
        }
        lines = (f"{name} {value}\n" for name, value in options.items())
        (self.folder / "config").write_text("".join(lines), encoding="utf-8")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        program = shutil.which("sshd", path=f"{os.defpath}:/usr/sbin") or lacking(
            "OpenSSH's sshd is not installed; on Debian: apt install openssh-server"
        )
        if not os.geteuid():
            # Where the system starts the server, it makes the folder first.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            command = [program, "-D", "-e", "-f", str(self.folder / "config")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            assert time.monotonic() < until
            time.sleep(0.05)

    def stop(self) -> None:
        """End it with all connections, as a machine that is switched off."""
        if self.process:
            # Each connection has processes of its own, which go on when the server is dead.
            for pid in (self.process.pid, *_below(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    found = [child for child, parent in _parents() if parent == pid]
    return [*found, *(below for child in found for below in _below(child))]


def _parents() -> Iterator[tuple[int, int]]:
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The name before it may have blanks and brackets in it.
            yield int(status.parent.name), int(status.read_text(errors="replace").rpartition(")")[2].split()[1])


class _ByPassword(asyncssh.SSHServer):
    """Lets in whoever knows the password."""

    def password_auth_supported(self) -> bool:
        """No other way is offered."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Whether they are right."""
        return (username, password) == (USER, PASSWORD)


async def _listen(key: asyncssh.SSHKey) -> asyncssh.SSHAcceptor:
    return await asyncssh.listen("127.0.0.1", 0, server_factory=_ByPassword, server_host_keys=[key], sftp_factory=True)


@contextlib.contextmanager
def password_server() -> Iterator[tuple[int, str]]:
    """A server that has the machine's files, for whoever knows `PASSWORD`; its port, and its key's fingerprint."""
    key, loop = asyncssh.generate_private_key("ssh-ed25519"), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_listen(key), loop).result(START_SECONDS)
    try:
        yield server.get_port(), key.get_fingerprint()
    finally:
        loop.call_soon_threadsafe(server.close)
        asyncio.run_coroutine_threadsafe(server.wait_closed(), loop).result(START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def sftp_server() -> Iterator[SftpServer]:
    """A running server, for tests that stop it and start it again as well."""
    # Not below the tests' folders, which nobody but their owner may enter.
    with tempfile.TemporaryDirectory(prefix="sftp_") as folder:
        server = SftpServer(Path(folder), unused_ports(["sftp"])["sftp"])
        server.prepare()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def sftp(sftp_server: SftpServer) -> Iterator[Path]:
    """An empty folder that a running server has."""
    if sftp_server.process is None:
        sftp_server.start()
    with tempfile.TemporaryDirectory(prefix="files_", dir=sftp_server.folder) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)

"""A PostgreSQL server of the machine's own programs: for this machine, with passwords, started and stopped by its pid.

The fixture `postgres` is one server for all tests of a process. Each test makes itself a database in it.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from orchestration_project_tests.browser.chromium import lacking

OWNER, PASSWORD = "shop_owner", "a pass:word/of@the test"
START_SECONDS = 120
# A test's server may forget what a crash of the machine would take; the death of its processes costs it nothing.
OPTIONS = ("fsync=off", "unix_socket_directories=", "shared_buffers=32MB")


@dataclass
class PostgresServer:
    """A server and its folder.

    Attributes:
        folder: where its databases are.
        port: where it listens.
        host: the address on which it listens.
        options: settings that it starts with, beside those of all tests' servers or instead of them.
        process: the server while it runs.
    """

    folder: Path
    port: int
    host: str = "127.0.0.1"
    options: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    _names: Iterator[int] = field(default_factory=itertools.count)

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder.parent / "log"

    def url(self, database: str = "postgres", user: str = OWNER, password: str = PASSWORD) -> str:
        """The URL of a database, for a user."""
        quoted = "".join(f"%{byte:02X}" for byte in password.encode())
        return f"postgresql://{user}:{quoted}@{self.host}:{self.port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """Make a database that is as another one, or empty; returns its name."""
        name = f"shop_{next(self._names)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return name

    def is_used_by(self, process: int) -> bool:
        """Whether a process has a session with a lake whose catalog is here, or waits for one."""
        query = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE %s"
        with psycopg.connect(self.url()) as connection:
            return connection.execute(query, [f"%(process {process} on %"]).fetchone() is not None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [_program("postgres"), "-D", str(self.folder), "-p", str(self.port)]
        # Of an option that is given twice, PostgreSQL takes the last.
        for option in (*OPTIONS, f"listen_addresses={self.host}", *self.options):
            command += ["-c", option]
        # The log has to be the folder's own file: a pipe that nobody reads would stop the server when it is full.
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, user=_account(), group=_group())
        self.wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server. SIGINT ends all connections at once; SIGQUIT does not even close files, as in a crash."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(START_SECONDS)
            self.process = None

    def wait(self) -> None:
        """Wait until the server answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                assert self.process
                assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server; its databases are the tests' own."""
    with postgres_server() as server:
        yield server


@contextmanager
def postgres_server(*options: str, host: str = "127.0.0.1") -> Iterator[PostgresServer]:
    """A running server with nothing in it. Without PostgreSQL on the machine the test is skipped, or fails in CI.

    Args:
        options: settings that it starts with, such as `fsync=on`.
        host: the address of this machine on which it listens.
    """
    with tempfile.TemporaryDirectory(prefix="postgres_") as made:
        # Not below the tests' folders, which nobody but their owner may enter.
        top = Path(made)
        server = PostgresServer(top / "data", _free_port(host), host, options)
        _initialize(top, server.folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _initialize(top: Path, folder: Path) -> None:
    words = top / "password"
    words.write_text(PASSWORD, encoding="utf-8")
    if account := _account():
        for path in (top, words):
            shutil.chown(path, account, _group())
    command = [_program("initdb"), "-D", str(folder), "-U", OWNER, "--pwfile", str(words), "--auth=scram-sha-256"]
    command += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    subprocess.run(command, check=True, capture_output=True, user=_account(), group=_group())
    with (folder / "pg_hba.conf").open("a", encoding="utf-8") as rights:
        rights.write("host all all samenet scram-sha-256\n")


def _program(name: str) -> str:
    """A program of PostgreSQL, of the newest release that is installed. Debian has them outside of the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which(name)
    return found or lacking(f"PostgreSQL's {name} is not installed; on Debian: apt install postgresql")


def _account() -> str | None:
    """Whom the server runs as. It refuses root; its own user is made by Debian's package."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return pytest.fail("root cannot run PostgreSQL, and there is neither a user postgres nor nobody")


def _group() -> int | None:
    account = _account()
    return pwd.getpwnam(account).pw_gid if account else None


def _free_port(host: str) -> int:
    with socket.socket() as taken:
        taken.bind((host, 0))
        port: int = taken.getsockname()[1]
        return port

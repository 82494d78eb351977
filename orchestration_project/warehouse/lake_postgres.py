"""A lake's catalog in a PostgreSQL database: for several machines.

Its lock is an advisory lock of the database, held by a connection of its own. The server frees it when that connection
ends, however the process ends. Two first loads of one day would both commit in DuckLake, so writers have to come one at
a time.

The network, or a machine, may vanish without a word. By default the server would keep such a machine's lock for two
hours, and the client would wait for a quarter of an hour. So both are told to give up earlier, and the server in an
order: first the connections that write or wait for the lock, after 10 to 20 seconds without a sign of life, then the
one that holds it, after 30 to 60. When somebody else gets the lock, what the vanished machine sends later can't be
committed any more.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestration_project.errors import WarehouseDown, WarehouseError
from orchestration_project.failpoints import Lake, Point, reached
from orchestration_project.postgres_address import parse_address, psycopg_or, without_password
from orchestration_project.setting_values import SettingsError
from orchestration_project.warehouse.lake_catalog import NEWEST, Attaching, Snapshot
from orchestration_project.warehouse.lock import Holder, busy
from orchestration_project.warehouse.tables import literal

if TYPE_CHECKING:
    from psycopg import Connection

EXTRA = "lake"
LOCK = 0x0A_6C_61_6B_65  # any number will do, as long as it is always the same
LONGEST_NAME = 63
"""PostgreSQL cuts what a connection is called to so many bytes."""
# Milliseconds for what was sent and not answered. The defaults of an address tell how long an answer is waited for.
CLIENT_PATIENCE = {"tcp_user_timeout": "60000"}
# Settings of the server: seconds, a number, and milliseconds, which decide where its system knows them.
SERVER_PATIENCE = {
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}
HOLDER_PATIENCE = {
    "tcp_keepalives_idle": 30,
    "tcp_keepalives_interval": 10,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
HELD_BY = f"""SELECT application_name, coalesce(host(client_addr), 'local'), state_change
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = {LOCK}
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@dataclass(frozen=True, slots=True)
class PostgresCatalog:
    """A PostgreSQL database that has a lake's catalog.

    Attributes:
        shown: its address as it may be shown to anybody.
        parameters: libpq's parameters, secrets included.
    """

    shown: str
    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> "PostgresCatalog":
        """Read `postgres://user:password@host:port/database?sslmode=require`.

        Raises:
            SettingsError: it can't be read, or the extra `lake` is not installed.
        """
        address = parse_address(url, "WAREHOUSE_URL catalog", SettingsError, EXTRA)
        return cls(f"ducklake:{address.shown}", address.parameters)

    @property
    def extension(self) -> str:
        """DuckDB's extension for PostgreSQL."""
        return "postgres_scanner"

    @property
    def where(self) -> str:
        """Its URL, without user and password."""
        return self.shown

    @property
    def name(self) -> str:
        """The database's name."""
        return self.parameters.get("dbname", "postgres")

    @property
    def to_move(self) -> str:
        """The database."""
        return f"the database {self.name} of {self.shown} away (give it another name, make an empty one)"

    def newest(self) -> Snapshot | None:
        """The newest snapshot; None: there is no lake yet.

        Raises:
            WarehouseDown: the server does not answer.
        """
        with self._asking("question") as connection:
            if connection.execute("SELECT to_regclass('ducklake_snapshot') IS NULL").fetchone() == (True,):
                return None
            row = connection.execute(NEWEST.encode()).fetchone()
        return Snapshot(*row) if row else None

    def attaching(self, read_only: bool) -> Attaching:  # noqa: ARG002 - SQLite's catalog asks it
        """How DuckDB attaches the lake."""
        address, password = without_password(self._patient, WarehouseError, EXTRA)
        hidden = "" if password is None else f", PASSWORD {literal(password)}"
        secret = f"CREATE TEMPORARY SECRET catalog (TYPE postgres{hidden})"
        return Attaching(f"postgres:{address}", {"META_SECRET": "'catalog'"}, (secret,))

    def holder(self) -> Holder | None:
        """Who has the lock, as the server tells; None if nobody has, or it does not answer."""
        try:
            with self._asking("question") as connection:
                return _holder(connection)
        except WarehouseError:
            return None

    @contextmanager
    def locked(self, purpose: str, timeout: float) -> Iterator[Callable[[], None]]:
        """Hold the database's advisory lock; gives a proof that it is still held.

        Raises:
            WarehouseBusy: another process held it for longer than `timeout` seconds; names it.
            WarehouseDown: the server does not answer.
        """
        psycopg = psycopg_or(WarehouseError, EXTRA)
        with self._asking(purpose) as connection:
            # PostgreSQL takes 0 for a wait without end.
            connection.execute(f"SET lock_timeout = {max(1, int(timeout * 1000))}".encode())
            try:
                connection.execute(f"SELECT pg_advisory_lock({LOCK})".encode())
            except psycopg.errors.LockNotAvailable as error:
                holder = _holder(connection)
                raise busy(self.shown, holder.who if holder else "another process", timeout) from error
            for name, value in HOLDER_PATIENCE.items():
                connection.execute(f"SET {name} = {value}".encode())
            reached(Point.LOCKED)
            # The server frees the lock with the connection: what answers on it has the lock still.
            yield lambda: self._prove_held(connection)
        reached(Point.UNLOCKED)

    def _prove_held(self, connection: "Connection[tuple[Any, ...]]") -> None:
        try:
            connection.execute("SELECT 1")
        except psycopg_or(WarehouseError, EXTRA).Error as error:
            raise WarehouseDown(
                f"{self.shown} has ended the connection that holds the lock of the warehouse, so somebody else may"
                " write now: nothing was committed, and no file is lost. Run again"
            ) from error
        reached(Lake.PROVEN)

    @contextmanager
    def _asking(self, purpose: str) -> Iterator["Connection[tuple[Any, ...]]"]:
        """A connection of its own, which says what it is for. Errors of the block itself go through unchanged."""
        psycopg = psycopg_or(WarehouseError, EXTRA)
        who = f" (process {os.getpid()} on {socket.gethostname()})"
        named = {"application_name": f"{purpose[: LONGEST_NAME - len(who)]}{who}"}
        try:
            connection = psycopg.connect(**{**self._patient, **named}, autocommit=True)
        except psycopg.Error as error:
            raise self._down(error) from None  # the message has the whole address
        try:
            yield connection
        except psycopg.Error as error:
            raise self._down(error) from None
        finally:
            connection.close()

    @property
    def _patient(self) -> Mapping[str, str]:
        """The parameters of a connection that both sides end when the other one has vanished."""
        told = " ".join(f"-c {name}={value}" for name, value in SERVER_PATIENCE.items())
        # What the address says itself comes later, and counts.
        options = f"{told} {self.parameters.get('options', '')}".strip()
        return {**CLIENT_PATIENCE, **self.parameters, "options": options}

    def _down(self, error: Exception) -> WarehouseDown:
        told = self.masked(str(error)).strip().rpartition("failed: ")[2].splitlines() or ["no answer"]
        return WarehouseDown(
            f"{self.shown}, which has the catalog of the warehouse, can't be used now: {told[0]}. What was not"
            " committed has changed nothing, and no file is lost. Run again when it answers"
        )

    def masked(self, text: str) -> str:
        """A text without the password."""
        secret = self.parameters.get("password")
        return text.replace(secret, "***") if secret else text


def _holder(connection: "Connection[tuple[Any, ...]]") -> Holder | None:
    row = connection.execute(HELD_BY.encode()).fetchone()
    if row is None:
        return None
    name, address, since = row
    return Holder(f"{name} from {address}, since {since:%FT%TZ}", since)

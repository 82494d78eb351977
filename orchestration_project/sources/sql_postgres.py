"""PostgreSQL as a source of rows: one transaction that only reads, a cursor on the server, and the server's own texts.

Belongs here: connections, the types of columns, and what errors say. No message has a password or a value in it.

    numeric(10,2)  DECIMAL(10,2)      timestamptz  an instant      text, uuid, json, arrays, ...  the server's text
    numeric        the server's text, since it has any number of digits
"""

import datetime as dt
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestration_project.errors import SourceDown, SourceError, without_values
from orchestration_project.postgres_address import parse_address, psycopg_or
from orchestration_project.sources.sql_query import numbered, without_end
from orchestration_project.sources.sql_rows import TEXT, Column, Row

if TYPE_CHECKING:
    import psycopg

ROWS_AT_ONCE = 5_000
LOCK_SECONDS = 60
GRACE_SECONDS = 30
"""How long after the server should have ended a query the client ends the connection."""
TYPES = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
}
"""PostgreSQL's types that DuckDB has as well; all others go over as text."""
MOST_DIGITS = 38
# By the class of a code: connection, resources, intervention, system, rollback.
PASSING = ("08", "53", "57P", "58", "40", "55P03")
REFUSING = re.compile(
    r"authentication failed|does not exist|no pg_hba|permission denied|no password|not support SSL|certificate"
)
NO_TIME = "57014"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database on a server.

    Attributes:
        shown: its address as it may be shown to anybody.
        parameters: libpq's parameters, secrets included.
        seconds: how long a query may take, and how long it may send nothing.
    """

    shown: str
    parameters: Mapping[str, str] = field(repr=False)
    seconds: int

    @classmethod
    def parse(cls, url: str, password: str | None, seconds: int) -> "Postgres":
        """Read an address; see `SqlOptions`.

        Raises:
            SourceError: it can't be read, or psycopg is not installed.
        """
        address = parse_address(url, "source", SourceError)
        secret = {"password": password} if password is not None else {}
        return cls(address.shown, {**address.parameters, **secret}, seconds)

    def check(self) -> None:
        """Raise SourceDown or SourceError if the server lets nobody in."""
        with self._opened():
            pass

    @contextmanager
    def query(self, query: str, values: Mapping[str, str]) -> Iterator["PostgresRows"]:
        """Ask a query, in a transaction of its own that sees one state of the database.

        Args:
            query: with parameters like `:since`.
            values: of the parameters.
        """
        import psycopg

        statement, names = numbered(without_end(query))
        with self._opened() as connection, _ended_after(connection, self.seconds + GRACE_SECONDS) as heard:
            row = connection.execute("SELECT now()::text").fetchone()
            assert row
            with closing(psycopg.RawServerCursor(connection, "source")) as cursor:
                cursor.execute(statement.encode(), [values[name] for name in names])
                yield PostgresRows(cursor, dt.datetime.fromisoformat(str(row[0])), heard)

    @contextmanager
    def _opened(self) -> Iterator["psycopg.Connection[Any]"]:
        psycopg = psycopg_or(SourceError)
        try:
            with closing(psycopg.connect(**self.parameters)) as connection:
                _as_texts(connection)
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                # Dates and numbers as texts have to be the same whatever the server's defaults are.
                connection.execute(
                    "SELECT set_config(name, value, false) FROM (VALUES ('datestyle', 'ISO, YMD'), ('timezone', 'UTC'),"
                    " ('intervalstyle', 'postgres'), ('extra_float_digits', '3'), ('bytea_output', 'hex'),"
                    f" ('statement_timeout', '{self.seconds:d}s'), ('lock_timeout', '{LOCK_SECONDS:d}s'))"
                    " AS settings (name, value)"
                )
                yield connection
        except UnicodeDecodeError:
            raise SourceError(f"{self.shown} has a text that is not of the encoding of its database") from None
        except psycopg.Error as error:
            raise self._fault(error) from None

    def _fault(self, error: "psycopg.Error") -> SourceError:
        """What an error means, without secrets and without values of rows."""
        code, said = error.sqlstate or "", error.diag.message_primary
        if code == NO_TIME:
            return SourceError(
                f"{self.shown} ended the query after {self.seconds} seconds: give it an index, divide it by `batches`,"
                " or raise `seconds`"
            )
        told = without_values(Exception(said or _cause(str(error)))) + (f" ({code})" if code else "")
        is_passing = code.startswith(PASSING) if code else not REFUSING.search(str(error))
        if is_passing:
            return SourceDown(f"{self.shown} does not answer, or fails: {told}")
        return SourceError(f"{self.shown} refuses: {told}")


@dataclass(frozen=True, slots=True)
class PostgresRows:
    """The answer to a query.

    Attributes:
        now: the moment at which its transaction began, with a time zone.
    """

    _cursor: "psycopg.RawServerCursor[Any]"
    now: dt.datetime
    _heard: threading.Event

    @property
    def names(self) -> Sequence[str]:
        """Of its columns."""
        return [column.name for column in self._cursor.description or ()]

    def rows(self) -> Iterator[Row]:
        """Its rows, each value as the server's text."""
        while group := self._cursor.fetchmany(ROWS_AT_ONCE):
            self._heard.set()
            yield from group

    def columns(self) -> Sequence[Column]:
        """Its columns with their types."""
        return [Column(column.name, _type_of(column)) for column in self._cursor.description or ()]


def _type_of(column: "psycopg.Column") -> str:
    import psycopg

    info = psycopg.adapters.types.get(column.type_code)
    if info is None or column.type_code == info.array_oid:
        return TEXT
    if info.name == "money":
        raise SourceError(
            f"column {column.name!r} is of type money, whose text depends on the server: cast it to numeric"
        )
    if info.name == "numeric":
        precision, scale = column.precision, column.scale
        # Without digits declared it has any number of them; DuckDB would round.
        is_exact = precision is not None and scale is not None and 0 <= scale <= precision <= MOST_DIGITS
        return f"DECIMAL({precision},{scale})" if is_exact else TEXT
    return TYPES.get(info.name, TEXT)


def _as_texts(connection: "psycopg.Connection[Any]") -> None:
    """Have every value given as the server's own text."""
    import psycopg
    from psycopg.types.string import TextLoader

    for info in psycopg.adapters.types:
        connection.adapters.register_loader(info.oid, TextLoader)
        connection.adapters.register_loader(info.array_oid, TextLoader)


@contextmanager
def _ended_after(connection: "psycopg.Connection[Any]", seconds: float) -> Iterator[threading.Event]:
    """End a connection over which nothing came for a while.

    A server that hangs keeps its connection open, and its own limit of time is not in force then.
    """
    heard, done = threading.Event(), threading.Event()

    def watch() -> None:
        while not done.wait(seconds):
            if not heard.is_set():
                with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)
                return
            heard.clear()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield heard
    finally:
        done.set()
        watcher.join()


def _cause(message: str) -> str:
    # libpq tells of each address of a host, the last one last.
    return message.rpartition("FATAL: ")[2].strip() or "no answer"

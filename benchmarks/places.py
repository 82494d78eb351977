"""Where tables are brought to: a folder, an S3 server and a PostgreSQL server, those of the tests.

Belongs here: an empty place of each kind, and how many rows of a table have arrived there. Nothing is measured here.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import duckdb
import psycopg
import pytest

from benchmarks.measure import Failed
from benchmarks.session import Session
from orchestration_project_tests.servers.postgres import PostgresServer, postgres_server
from orchestration_project_tests.servers.s3 import BUCKET, S3Server, running

TABLE = "cleaned_sales"
"""The table that is brought out. It has the rows as they were sold, and is the largest one."""
HOST = "127.0.0.1"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """A place that tables are brought to.

    Attributes:
        name: how results call it.
        empty: an URL of a place with nothing in it, by a name; what that name had before is gone.
        rows: how many rows of the table are at an URL.
        environment: what clients need in theirs.
        port: where its server listens; None: it has none.
    """

    name: str
    empty: Callable[[str], str]
    rows: Callable[[str], int]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None

    def through(self, port: int, url: str) -> tuple[str, Mapping[str, str]]:
        """The URL and the environment for clients that are to go through another port."""
        old, new = f"{HOST}:{self.port}", f"{HOST}:{port}"
        return url.replace(old, new), {name: value.replace(old, new) for name, value in self.environment.items()}


@contextmanager
def folder_place(session: Session) -> Iterator[Place]:
    """A folder on the disk of the session."""

    def rows(url: str) -> int:
        return _rows_in(Path(url).rglob("*.parquet"))

    yield Place("folder", lambda name: str(session.folder(f"out-{name}")), rows)


@contextmanager
def s3_place(session: Session) -> Iterator[Place]:
    """A SeaweedFS on the disk of the session."""
    with running(session.folder("s3")) as server:

        def empty(name: str) -> str:
            client = server.client
            client.delete([item["path"] for group in client.list(name) for item in group])
            return f"s3://{BUCKET}/{name}/{uuid.uuid4().hex}"

        def rows(url: str) -> int:
            return _rows_in(_fetched(session, server, url.removeprefix(f"s3://{BUCKET}/")))

        yield Place("S3", empty, rows, server.environment, server.ports["s3"])


def _fetched(session: Session, server: S3Server, prefix: str) -> Iterator[Path]:
    folder = session.folder("fetched") / TABLE
    folder.mkdir()
    for group in server.client.list(prefix):
        for item in group:
            if f"/{TABLE}/" in item["path"] and item["path"].endswith(".parquet"):
                path = folder / f"{uuid.uuid4().hex}.parquet"
                path.write_bytes(server.client.get(item["path"]).bytes())
                yield path


def _rows_in(files: Iterable[Path]) -> int:
    """The rows of those files that are of the table."""
    names = [str(file) for file in files if TABLE in file.parts]
    if not names:
        return 0
    row = duckdb.execute("SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata($1)", [names]).fetchone()
    return int(row[0]) if row else 0


@contextmanager
def postgres_place(_: Session) -> Iterator[Place]:
    """A PostgreSQL in the system's folder for temporary files: its own user has to get there."""
    with postgres_server() as server:
        yield Place("PostgreSQL", lambda name: _database(server, name), _rows_of, {}, server.port)


def _database(server: PostgresServer, name: str) -> str:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS out_{name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE out_{name}".encode())
    return server.url(f"out_{name}")


def _rows_of(url: str) -> int:
    with psycopg.connect(url) as connection:
        schemas = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = %s", [TABLE]).fetchall()
        counts = [connection.execute(f'SELECT count(*) FROM "{schema}".{TABLE}'.encode()) for (schema,) in schemas]
        return sum(found[0] for found in (count.fetchone() for count in counts) if found)


def entered(stack: ExitStack, server: AbstractContextManager[T]) -> T:
    """Start a server, which runs as long as the stack is there.

    Raises:
        Failed: the server is not installed, or did not start.
    """
    try:
        return stack.enter_context(server)
    # How the tests' servers say what is not there.
    except (pytest.skip.Exception, pytest.fail.Exception, OSError, AssertionError) as error:
        raise Failed(str(error) or "its server did not start") from None

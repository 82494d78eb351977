"""Places to fetch from, one for each kind of source: real servers, with what they have at first and later.

At first a place has the first day. Later this day is corrected, two more have come, and, where files are taken as they
are, one that can't be read. Among the records are rejects, and keys that an earlier day has or had.
"""

import datetime as dt
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from orchestration_project.contracts.feed import Bound, Column, Feed, FileFormat, Required, SourceFormat
from orchestration_project.sources.kinds import KINDS
from orchestration_project.sources.session import DeclaredSource
from orchestration_project.storage.objects import open_objects
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named, options
from orchestration_project_tests.reliability.fetched_feeds import FetchedFeed
from orchestration_project_tests.servers import mail, sftp
from orchestration_project_tests.servers.http_files import ServedFile, http_files
from orchestration_project_tests.servers.postgres import PostgresServer
from orchestration_project_tests.servers.rest_api import Answer, Asked, serving

Record = tuple[str | None, int | None]
Days = Mapping[int, list[Record]]
FIRST: Days = {1: [("a", 1), ("b", 2), (None, 3)]}
LATER: Days = {1: [("b", 2), (None, 3), ("e", -4)], 2: [("a", 4), ("b", 5)], 3: [("f", 6), ("a", 7), ("g", None)]}
"""The records of each day: `id` and `n`."""
UNREADABLE = 4
"""The day whose file has no header."""
FIRST_FETCH, NOW = (dt.datetime(2024, 1, day, 12, tzinfo=dt.UTC) for day in (1, 4))


@dataclass(frozen=True)
class Place:
    """Where a feed is fetched from.

    Attributes:
        kind: of the source.
        said: its options.
        contract: of the feed.
        put: has it have the records of these days.
        environment: what its clients need.
        first_fetch: the moment of the fetch before its days have come.
        repeats: see `FetchedFeed`.
    """

    kind: str
    said: Mapping[str, Any]
    contract: Feed
    put: Callable[[Days], object]
    environment: Mapping[str, str] = field(default_factory=dict)
    first_fetch: dt.datetime = FIRST_FETCH
    repeats: bool = False

    def feed(self, folder: Path, now: dt.datetime) -> FetchedFeed:
        """The feed in a folder, at some moment."""
        shop = Shop(folder, self.contract, options())
        opened = KINDS[self.kind].options.model_validate(self.said)
        declared = DeclaredSource("f", self.kind, opened, shop.options.batching, 100, 600.0)
        return FetchedFeed(shop, declared, now, self.environment, self.repeats)


def contract(source: SourceFormat | None = None, *more: Column) -> Feed:
    """The contract of a feed whose records have a key, and a number that is not negative."""
    columns = (column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "0")), *more)
    return feed(*columns, source=source, primary_key=("id",))


def written(records: list[Record]) -> bytes:
    """A CSV file of records."""
    lines = (",".join("" if value is None else str(value) for value in record) for record in [("id", "n"), *records])
    return "".join(f"{line}\n" for line in lines).encode()


def files(days: Days) -> dict[str, bytes]:
    """The files that a place has: one a day, and beside several of these one that can't be read."""
    found = {named(number): written(records) for number, records in days.items()}
    return found if len(days) == 1 else found | {named(UNREADABLE): b"no header at all\n"}


@contextmanager
def http_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A web server."""
    with http_files() as server:

        def put(days: Days) -> None:
            served = {f"/{name}": ServedFile(content) for name, content in files(days).items()}
            server.files.update(served)

        said = {"url": f"{server.url}/s_{{year}}-{{month}}-{{day}}.csv", "start": str(day(1))}
        yield Place("http", said, contract(), put)


@contextmanager
def rest_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An API that is asked for one day at a time; each has two pages."""
    there: dict[str, list[Record]] = {}

    def put(days: Days) -> None:
        there.update({str(day(number)): records for number, records in days.items()})

    def answer(asked: Asked) -> Answer:
        records, page = there.get(asked.params["day"], []), int(asked.params.get("page", "1"))
        items = [dict(zip(("id", "n"), record, strict=True)) for record in (records[:1], records[1:])[page - 1]]
        return Answer({"items": items, "next": f"/days?day={asked.params['day']}&page=2" if page == 1 else None})

    with serving(answer) as server:
        said = {"url": f"{server.url}/days", "params": {"day": "{year}-{month}-{day}"}, "start": str(day(1)), **PAGES}
        yield Place("rest", said, contract(DOCUMENTS), put)


@contextmanager
def rest_cursor_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An API that is asked for what is new; it gives the newest record once more."""
    there: list[dict[str, object]] = []

    def put(days: Days) -> None:
        there[:] = [record | {"at": f"{at:%FT%R}:00Z"} for at, record in timed(days)]

    def answer(asked: Asked) -> Answer:
        new = [record for record in there if str(record["at"]) >= asked.params.get("since", "")]
        return Answer({"items": new, "next": None})

    with serving(answer) as server:
        said = {"url": f"{server.url}/new", "cursor": {"field": "at", "parameter": "since"}, **PAGES}
        yield Place("rest", said, contract(DOCUMENTS, column("at")), put, repeats=True)


DOCUMENTS = SourceFormat(FileFormat.JSON, records_path=("items",))
PAGES = {"records": "$.items", "pagination": {"style": "json_link", "next": "$.next"}}


def timed(days: Days) -> Iterator[tuple[dt.datetime, dict[str, object]]]:
    """The records of days, each with a moment of its own."""
    for number, records in days.items():
        for hour, (key, n) in enumerate(records, 8):
            yield dt.datetime.combine(day(number), dt.time(hour)), {"id": key, "n": n}


@contextmanager
def sftp_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A folder of OpenSSH's server."""
    folder: Path = request.getfixturevalue("sftp")
    server: sftp.SftpServer = request.getfixturevalue("sftp_server")

    def put(days: Days) -> None:
        for minute, (name, content) in enumerate(files(days).items()):
            (folder / name).write_bytes(content)
            os.utime(folder / name, (1_704_000_000 + 60 * minute + len(days),) * 2)

    login = {"host": "127.0.0.1", "port": server.port, "user": sftp.USER, "key_file": str(server.key_file)}
    said = {**login, "host_key": server.fingerprint, "path": str(folder)}
    yield Place("sftp", said, contract(), put)


@contextmanager
def object_store_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A bucket of an S3 server."""
    url: str = request.getfixturevalue("s3")

    def put(days: Days) -> None:
        for name, content in files(days).items():
            open_objects(url).put(f"eu/{name}", content)

    yield Place("object_store", {"url": url}, contract(), put, request.getfixturevalue("s3_server").environment)


@contextmanager
def imap_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A folder of a mail server. A correction is a further mail, whose file is one more of that day."""
    server: mail.MailServer = request.getfixturevalue("mails")
    numbers = itertools.count()

    def put(days: Days) -> None:
        for name, content in files(days).items():
            number = next(numbers)
            head = f"From: till@shop.example\r\nMessage-ID: <{number}@shop>\r\nContent-Type: text/csv\r\n"
            attached = f"Content-Disposition: attachment; filename={name}\r\n\r\n{content.decode()}"
            server.deliver((head + attached).encode(), arrived=f"01-Mar-2024 10:{number:02}:00 +0000")

    login = {"host": "127.0.0.1", "port": server.ports["imaps"], "ca_file": str(server.ca_file), "user": mail.USER}
    said = {**login, "password": "env:MAIL_PASSWORD", "name": "{uid}_{name}"}
    yield Place("imap", said, contract(), put, {"MAIL_PASSWORD": mail.PASSWORD})


BATCHES = {
    "query": "SELECT id, n FROM t WHERE at >= :batch_start AND at < :batch_end ORDER BY at",
    "batches": {"start": str(day(1)), "again": 5, "timezone": "UTC"},
}
INCREMENT = {
    "query": "SELECT id, n, at FROM t WHERE at >= :since ORDER BY at",
    "increment": "at",
    "start": str(day(1)),
    "overlap": 7200,
}


@contextmanager
def sql_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A table of PostgreSQL whose days are fetched."""
    yield _table(request, BATCHES)


@contextmanager
def sql_increment_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A table of PostgreSQL whose new rows are fetched."""
    yield _table(request, INCREMENT, column("at"))


def _table(request: pytest.FixtureRequest, said: Mapping[str, Any], *more: Column) -> Place:
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.url(server.new_database())

    def put(days: Days) -> None:
        rows = [(record["id"], record["n"], at.replace(tzinfo=dt.UTC)) for at, record in timed(days)]
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS t (id text, n int, at timestamptz)")
            cursor.execute("DELETE FROM t")
            cursor.executemany("INSERT INTO t VALUES (%s, %s, %s)", rows)

    source = SourceFormat(FileFormat.PARQUET)
    # A day is asked for when it is over.
    begins = FIRST_FETCH + dt.timedelta(days=1)
    environment = {"SHOP_DATABASE_URL": url}
    return Place("sql", {"url": "env:SHOP_DATABASE_URL", **said}, contract(source, *more), put, environment, begins)


PLACES: dict[str, tuple[Callable[[pytest.FixtureRequest], Any], str]] = {
    "http": (http_place, ""),
    "rest": (rest_place, ""),
    "rest since": (rest_cursor_place, ""),
    "sftp": (sftp_place, "sftp"),
    "object_store": (object_store_place, "s3"),
    "imap": (imap_place, "mail"),
    "sql": (sql_place, "postgres"),
    "sql increment": (sql_increment_place, "postgres"),
}
"""By name: what makes the place, and the tests that have to be in one process with it, since they share its server."""

"""Rows from PostgreSQL: exact types, transactions that overlap a fetch, faults of the server, and kills."""

import datetime as dt
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.errors import SourceDown, SourceError
from orchestration_project.sources import sql, sql_postgres
from orchestration_project.sources.sql import SqlSource, open_sql
from orchestration_project.sources.sql_options import SqlOptions
from orchestration_project.sources.sql_rows import Row, line_of
from orchestration_project_tests.ingest.shop import NOW, Shop, column, feed
from orchestration_project_tests.servers.postgres import PASSWORD, PostgresServer, postgres_server
from orchestration_project_tests.sources.fetched import Fetcher

pytestmark = pytest.mark.xdist_group("postgres")
NEW = {
    "query": "SELECT id, n, at FROM t WHERE at >= :since ORDER BY at",
    "increment": "at",
    "start": "2024-01-01",
    "overlap": 600,
}
DAYS = {
    "query": "SELECT id, n, at FROM t WHERE at >= :batch_start AND at < :batch_end ORDER BY id",
    "batches": {"start": "2024-02-28", "timezone": "Asia/Tokyo"},
}


def opened(url: str, now: dt.datetime, said: dict[str, Any]) -> SqlSource:
    return open_sql(SqlOptions.model_validate({"url": "env:SHOP"} | said), "f", now, {"SHOP": url}.__getitem__)


class Store:
    """A database with a table of rows, a feed for it, and what is fetched into it."""

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        self.server, self.database = server, server.new_database()
        source = SourceFormat(format=FileFormat.PARQUET)
        self.shop = Shop(folder / "data", feed(column("id"), column("n", "INTEGER"), column("at"), source=source))
        self.execute("CREATE TABLE t (id text PRIMARY KEY, n int, at timestamptz)")

    def connect(self) -> "psycopg.Connection[Any]":
        """Somebody else's connection."""
        return psycopg.connect(self.server.url(self.database))

    def execute(self, sql: str) -> None:
        """Change the database."""
        with self.connect() as connection:
            connection.execute(sql.encode())

    def fetcher(self, said: dict[str, Any], **login: str) -> Fetcher:
        """What fetches with these options."""
        return Fetcher(self.shop, partial(opened, self.server.url(self.database, **login), NOW, said))

    def loaded(self) -> list[str]:
        """Load what landed; returns the ids of all cleaned rows."""
        self.shop.load()
        assert not self.shop.table("rejected")
        return sorted(row["id"] for row in self.shop.table("cleaned"))


@pytest.fixture
def store(tmp_path: Path, postgres: PostgresServer) -> Store:
    return Store(tmp_path, postgres)


def fault_of(fetcher: Fetcher) -> SourceError:
    """Why the only item was not fetched; nothing of it is in landing."""
    (fault,) = fetcher.fetch().failed.values()
    assert isinstance(fault, SourceError)
    assert fetcher.landed() == {}
    assert PASSWORD not in str(fault)
    return fault


def test_a_row_that_is_committed_late(store: Store) -> None:
    """A transaction that began before a fetch and ends after it is fetched by the next one; no row comes twice."""
    with store.connect() as slow:
        slow.execute("INSERT INTO t VALUES ('late', 1, now())")
        store.execute("INSERT INTO t VALUES ('a', 1, now() - interval '1 minute')")
        store.execute("INSERT INTO t VALUES ('b', 1, clock_timestamp())")
        assert store.fetcher(NEW).fetch().landed[0].records == 2
        slow.commit()
    store.execute("INSERT INTO t VALUES ('c', 1, clock_timestamp())")
    assert store.fetcher(NEW).fetch().landed[0].records == 2
    assert store.fetcher(NEW).fetch().empty == 1
    assert store.loaded() == ["a", "b", "c", "late"]


def test_days_of_a_time_zone(store: Store) -> None:
    """A batch begins and ends at midnight of its own time zone."""
    store.execute("INSERT INTO t VALUES ('before', 1, '2024-02-27 14:59:59.999999Z'), ('a', 1, '2024-02-27 15:00Z')")
    store.execute("INSERT INTO t VALUES ('b', 1, '2024-02-28 15:00Z'), ('after', 1, '2024-02-29 15:00Z')")
    landed = store.fetcher(DAYS).fetch().landed
    assert [(file.item.name, file.records) for file in landed] == [
        ("f_2024-02-28.parquet", 1),
        ("f_2024-02-29.parquet", 1),
    ]
    assert store.loaded() == ["a", "b"]


VALUES = [
    ("12.30::numeric(10,2)", "DECIMAL(10,2)", "12.30"),
    ("12345678901234567890.1234567890::numeric", "VARCHAR", "12345678901234567890.1234567890"),
    ("(1e37::numeric + 0.5)::numeric(38,0)", "DECIMAL(38,0)", "1" + "0" * 36 + "1"),
    ("1.5::numeric(50,2)", "VARCHAR", "1.50"),
    ("'NaN'::numeric", "VARCHAR", "NaN"),
    ("9223372036854775807::bigint", "BIGINT", "9223372036854775807"),
    ("0.1::float8 + 0.2::float8", "DOUBLE", "0.30000000000000004"),
    ("0.1::float4", "FLOAT", "0.1"),
    ("true", "BOOLEAN", "true"),
    ("''::text", "VARCHAR", ""),
    ("E'é\"\\n\\t,\\\\'::text", "VARCHAR", 'é"\n\t,\\'),
    ("NULL::text", "VARCHAR", None),
    ("NULL::numeric(5,1)", "DECIMAL(5,1)", None),
    ("'ab'::char(4)", "VARCHAR", "ab  "),
    ("'2024-02-29'::date", "DATE", "2024-02-29"),
    ("'2024-02-29 23:30:00.000001-01'::timestamptz", "TIMESTAMP WITH TIME ZONE", "2024-03-01 00:30:00.000001+00"),
    ("'2024-02-29 23:30:00.1'::timestamp", "TIMESTAMP", "2024-02-29 23:30:00.1"),
    ("'23:59:59.999999'::time", "TIME", "23:59:59.999999"),
    ("""'{"price": 1.10}'::json""", "VARCHAR", '{"price": 1.10}'),
    ("ARRAY[1.10, NULL]::numeric(5,2)[]", "VARCHAR", "{1.10,NULL}"),
    ("ARRAY['a,b', '']", "VARCHAR", '{"a,b",""}'),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "VARCHAR", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("interval '1 month 2 days'", "VARCHAR", "1 mon 2 days"),
    ("'\\xdead'::bytea", "VARCHAR", "\\xdead"),
]


def test_values_are_exact(store: Store) -> None:
    """Each type arrives as one that holds it exactly, or as the server's own text."""
    selected = ", ".join(f"{value} AS c{number}" for number, (value, _, _) in enumerate(VALUES))
    # Whatever the server's own way of writing is.
    store.execute(f"ALTER DATABASE {store.database} SET datestyle = 'German'")
    store.execute(f"ALTER DATABASE {store.database} SET timezone = 'Asia/Tokyo'")
    fetcher = store.fetcher({"query": f"SELECT {selected}"})
    assert not fetcher.fetch().failed
    (path,) = fetcher.landing.glob("*")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.sql(f"FROM '{path}'")
        assert [str(kind) for kind in rows.types] == [kind for _, kind, _ in VALUES]
        texts = connection.sql(f"SELECT COLUMNS(*)::VARCHAR FROM '{path}'").fetchone()
    assert texts == tuple(text for _, _, text in VALUES)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param("SELECT 'infinity'::date AS d", "column 'd' has a value", id="infinite date"),
        pytest.param("SELECT '-infinity'::timestamptz AS d", "column 'd' has a value", id="infinite moment"),
        pytest.param("SELECT '0044-03-15 BC'::date AS d", "column 'd' has a value", id="before our era"),
        pytest.param("SELECT 'NaN'::numeric(5,2) AS d", "column 'd' has a value", id="not a number"),
        pytest.param("SELECT 1::money AS m", "cast it to numeric", id="money"),
        pytest.param("SELECT 1 AS a, 2 AS a", "two columns 'a'", id="two of a name"),
        pytest.param("SELECT 1 + 1", "without a name", id="no name"),
        pytest.param("INSERT INTO t VALUES ('x') RETURNING id", "refuses", id="writes"),
        pytest.param("WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x", "refuses", id="writes within"),
        pytest.param("SELECT nextval('s') AS a", "read-only transaction", id="writes by a function"),
        pytest.param("SELECT 1 AS a; DROP TABLE t", "refuses", id="two statements"),
        pytest.param("SELECT 'geheim'::int AS a", "invalid input syntax", id="value in the message"),
        pytest.param("SELECT gone FROM t", "does not exist", id="column that is gone"),
        pytest.param("SELECT 1/0 AS a", "division by zero", id="fails"),
        pytest.param("SELECT pg_sleep(30)::text AS a", "ended the query after 1 seconds", id="slow"),
    ],
)
def test_what_is_refused(store: Store, query: str, message: str) -> None:
    """What can't be held exactly, writes, or fails is told without values, and lands nothing."""
    store.execute("CREATE SEQUENCE s")
    fault = fault_of(store.fetcher({"query": query, "seconds": 1}))
    with pytest.raises(SourceError, match=message):
        raise fault
    assert "geheim" not in str(fault)
    assert store.fetcher({"query": "SELECT * FROM t"}).fetch().empty == 1


def test_a_role_that_only_reads(store: Store) -> None:
    """The right to read one table is enough, and what it does not cover is refused."""
    reader = f"reader_{store.database}"
    store.execute(f"CREATE ROLE {reader} LOGIN PASSWORD 'read'; GRANT SELECT ON t TO {reader}; CREATE TABLE u (x int)")
    store.execute("INSERT INTO t VALUES ('a', 1, '2024-02-28 10:00Z')")
    login = {"user": reader, "password": "read"}
    assert store.fetcher(NEW, **login).fetch().landed[0].records == 1
    (fault,) = store.fetcher({"query": "SELECT * FROM u"}, **login).fetch().failed.values()
    assert "permission denied" in str(fault)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param({"password": "wrong geheim"}, SourceError, id="password"),
        pytest.param({"user": "geheim"}, SourceError, id="user"),
        pytest.param({"database": "no_such"}, SourceError, id="database"),
    ],
)
def test_nobody_is_let_in(postgres: PostgresServer, change: dict[str, str], kind: type[SourceError]) -> None:
    """A server that refuses the login is told without the login, and not as a fault that passes."""
    with pytest.raises(kind) as told:
        next(opened(postgres.url(**change), NOW, {"query": "SELECT 1"}).list(None))
    assert not isinstance(told.value, SourceDown)
    assert PASSWORD not in str(told.value)
    assert "geheim" not in str(told.value)
    assert str(told.value).startswith("postgresql://127.0.0.1:")


def test_nobody_listens(postgres: PostgresServer) -> None:
    """A server that is not there is a fault that passes."""
    url = postgres.url().replace(f":{postgres.port}/", ":1/")
    with pytest.raises(SourceDown, match="does not answer"):
        next(opened(url, NOW, {"query": "SELECT 1"}).list(None))


def test_an_address_that_is_none() -> None:
    """What can't be read as an address is refused without being shown."""
    for url in ("postgresql://u:geheim@h:port/d", "postgresql://u:ge@heim@h/d", "postgresql://u:geheim@h/d?geheim=1"):
        with pytest.raises(SourceError) as told:
            opened(url, NOW, {"query": "SELECT 1"})
        assert "heim" not in str(told.value)


MANY = "SELECT i::text AS id, 1 AS n, timestamptz '2024-02-01' + i * interval '1 ms' AS at, repeat('x', 100) AS x"
MANY_SINCE = f"SELECT * FROM ({MANY} FROM generate_series(1, 20000) AS s (i)) AS q WHERE at >= :since"


def at_the_first_row(patched: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something done when the first row came, while most of the rows are still at the server."""
    came = threading.Event()

    def line(row: Row) -> str:
        if not came.is_set():
            came.set()
            act()
        return line_of(row)

    patched.setattr(sql_postgres, "ROWS_AT_ONCE", 10)
    patched.setattr(sql, "line_of", line)


def test_a_server_that_dies_on_the_way(tmp_path: Path) -> None:
    """A server that ends in the middle of the rows is a fault that passes; the next fetch brings all of them."""
    with postgres_server() as server:
        store = Store(tmp_path, server)
        fetcher = store.fetcher(NEW | {"query": MANY_SINCE})
        with pytest.MonkeyPatch.context() as patched:
            at_the_first_row(patched, partial(server.stop, signal.SIGQUIT))
            assert isinstance(fault_of(fetcher), SourceDown)
        server.start()
        assert fetcher.fetch().landed[0].records == 20_000


def test_a_server_that_hangs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that keeps its connection and sends nothing is a fault that passes, after some time."""
    monkeypatch.setattr(sql_postgres, "GRACE_SECONDS", 0)
    backends: list[int] = []

    def hang() -> None:
        with store.connect() as other:
            asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'orchestration-project'"
            backends.extend(pid for (pid,) in other.execute(asked))
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)

    at_the_first_row(monkeypatch, hang)
    try:
        assert isinstance(fault_of(store.fetcher(NEW | {"query": MANY_SINCE, "seconds": 5})), SourceDown)
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)

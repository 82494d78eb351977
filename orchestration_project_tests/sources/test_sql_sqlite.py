"""Rows from SQLite: each of the three ways, values that stay exact, and what is refused."""

import datetime as dt
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.errors import SourceDown, SourceError
from orchestration_project.sources import sql_sqlite
from orchestration_project.sources.sql import SqlSource, open_sql
from orchestration_project.sources.sql_options import SqlOptions
from orchestration_project_tests.ingest.shop import NOW, Shop, column, feed
from orchestration_project_tests.sources.fetched import Fetcher

PARQUET = SourceFormat(format=FileFormat.PARQUET)
NEW = {"query": "SELECT id, n, at FROM t WHERE at >= :since", "increment": "at", "start": "2024-01-01", "overlap": 600}
DAYS = {
    "query": "SELECT id, n, at FROM t WHERE at >= :batch_start AND at < :batch_end ORDER BY id",
    "batches": {"start": "2024-02-26", "again": 2},
}
DAY = dt.timedelta(days=1)
NO_SECRETS: dict[str, str] = {}


def opened(url: str, now: dt.datetime, said: dict[str, Any]) -> SqlSource:
    return open_sql(SqlOptions.model_validate({"url": url} | said), "f", now, NO_SECRETS.__getitem__)


class Store:
    """A database with a table of rows, a feed for it, and what is fetched into it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.db"
        self.shop = Shop(folder / "data", feed(column("id"), column("n", "INTEGER"), column("at"), source=PARQUET))
        self.execute("CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER, at TEXT)")

    def execute(self, sql: str, *parameters: object) -> None:
        """Change the database."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(sql, parameters)

    def add(self, name: str, at: str) -> None:
        """Add a row."""
        self.execute("INSERT INTO t VALUES (?, 1, ?)", name, at)

    def fetcher(self, said: dict[str, Any], now: dt.datetime = NOW) -> Fetcher:
        """What fetches with these options, at some moment."""
        return Fetcher(self.shop, partial(opened, f"sqlite:///{self.path}", now, said))

    def loaded(self) -> list[str]:
        """Load what landed; returns the ids of all cleaned rows."""
        self.shop.load()
        assert not self.shop.table("rejected")
        return sorted(row["id"] for row in self.shop.table("cleaned"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_an_increment(store: Store) -> None:
    """New rows land in a file of their own; late ones come as well, and those of the overlap not again."""
    fetcher = store.fetcher(NEW)
    assert fetcher.fetch().empty == 1
    store.add("a", "2024-02-01 10:00:00")
    store.add("b", "2024-02-01 10:05:00")
    assert fetcher.fetch().landed[0].records == 2
    assert fetcher.fetch().empty == 1
    store.add("late", "2024-02-01 09:58:00")
    store.add("c", "2024-02-01 10:20:00")
    assert fetcher.fetch().landed[0].records == 2
    assert sorted(fetcher.landed()) == ["f_2024-03-01_000001.parquet", "f_2024-03-01_000002.parquet"]
    assert store.loaded() == ["a", "b", "c", "late"]


def test_batches(store: Store) -> None:
    """A batch that is over is a file; one that may change comes again if it did, and a last time after that."""
    store.add("a", "2024-02-26 10:00:00")
    store.add("b", "2024-02-29 10:00:00")
    store.add("today", "2024-03-01 10:00:00")
    first = store.fetcher(DAYS).fetch()
    assert [file.item.name for file in first.landed] == ["f_2024-02-26.parquet", "f_2024-02-29.parquet"]
    assert first.empty == 2
    again = store.fetcher(DAYS).fetch()
    assert (again.landed, again.unchanged, again.empty) == ([], 2, 1)
    assert store.loaded() == ["a", "b"]
    store.add("corrected", "2024-02-29 11:00:00")
    store.add("too late", "2024-02-26 11:00:00")
    (changed,) = store.fetcher(DAYS).fetch().landed
    assert changed.item.name == "f_2024-02-29.parquet"
    assert store.loaded() == ["a", "b", "corrected"]
    store.add("last", "2024-02-29 12:00:00")
    later = store.fetcher(DAYS, NOW + 2 * DAY).fetch(NOW + 2 * DAY)
    assert [file.item.name for file in later.landed] == ["f_2024-02-29.parquet", "f_2024-03-01.parquet"]
    assert store.fetcher(DAYS, NOW + 9 * DAY).fetch().landed == []
    store.shop.load(now=NOW + 9 * DAY)
    assert sorted(row["id"] for row in store.shop.table("cleaned")) == ["a", "b", "corrected", "last", "today"]


def test_a_batch_whose_rows_are_gone(store: Store) -> None:
    """A batch that had rows and has none any more is told, and what was fetched stays."""
    store.add("b", "2024-02-29 10:00:00")
    store.fetcher(DAYS).fetch()
    before = store.fetcher(DAYS).landed()
    store.execute("DELETE FROM t")
    report = store.fetcher(DAYS).fetch()
    assert "has nothing any more" in str(report.failed["batch 2024-02-29"])
    assert store.fetcher(DAYS).landed() == before


def test_all_rows(store: Store) -> None:
    """Without parameters all rows are fetched: a file a day, and again only if something changed."""
    said = {"query": "SELECT * FROM t ORDER BY id", "name": "all_{date}.parquet"}
    store.add("a", "2024-02-01")
    assert len(store.fetcher(said).fetch().landed) == 1
    assert store.fetcher(said).fetch().unchanged == 1
    store.add("b", "2024-02-01")
    assert len(store.fetcher(said).fetch().landed) == 1
    assert [*store.fetcher(said).landed()] == ["all_2024-03-01.parquet"]
    assert store.loaded() == ["a", "b"]


def parquet(fetcher: Fetcher) -> duckdb.DuckDBPyRelation:
    (path,) = fetcher.landing.glob("*")
    return duckdb.sql(f"FROM '{path}'")


def test_values_are_exact(store: Store) -> None:
    """Numbers, texts and their absence arrive as they are."""
    values = f"(0, 0.1, '', 'x\"\n', NULL, {2**63 - 1}), (NULL, 3, NULL, 'é', NULL, {-(2**63)})"
    fetcher = store.fetcher(
        {"query": f"SELECT column1 a, column2 b, column3 c, column4 d, column5 e, column6 f FROM (VALUES {values})"}
    )
    assert not fetcher.fetch().failed
    rows = parquet(fetcher)
    assert [str(kind) for kind in rows.types] == ["BIGINT", "DOUBLE", "VARCHAR", "VARCHAR", "VARCHAR", "BIGINT"]
    assert rows.fetchall() == [(0, 0.1, "", 'x"\n', None, 2**63 - 1), (None, 3.0, None, "é", None, -(2**63))]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param("SELECT x'00' AS b", "has a blob in row 1", id="blob"),
        pytest.param("SELECT 1 AS a, 2 AS A", "two columns 'A'", id="two of a name"),
        pytest.param("SELECT 1 AS a UNION ALL SELECT 'x'", "numbers in some rows and texts", id="mixed"),
        pytest.param("DELETE FROM t", "readonly|can't be used", id="writes"),
        pytest.param("DELETE FROM t RETURNING id", "can't be used", id="writes and answers"),
        pytest.param("ATTACH 'other.db' AS other", "gives no rows|can't be used", id="no query"),
        pytest.param("SELECT 1; SELECT 2", "can't be used|one statement", id="two statements"),
        pytest.param("SELECT secret FROM t WHERE 'geheim'", "no such column", id="unknown column"),
    ],
)
def test_what_is_refused(store: Store, query: str, message: str) -> None:
    """A query whose rows can't be held exactly, or that is none, lands nothing and is told."""
    fetcher = store.fetcher({"query": query})
    (fault,) = fetcher.fetch().failed.values()
    with pytest.raises(SourceError, match=message):
        raise fault
    assert "geheim" not in str(fault)
    assert fetcher.landed() == {}
    assert not Path("other.db").exists()


def test_a_column_set_that_changed(store: Store) -> None:
    """A column that is gone is told by its name, when it is the increment; nothing is passed over."""
    fetcher = store.fetcher(NEW | {"query": "SELECT id FROM t WHERE at >= :since"})
    (fault,) = fetcher.fetch().failed.values()
    assert "has no column 'at'" in str(fault)


def test_no_database(tmp_path: Path) -> None:
    """A file that is not there is refused, and not made."""
    source = opened(f"sqlite:///{tmp_path}/none.db", NOW, {"query": "SELECT 1"})
    with pytest.raises(SourceError, match="can't be used"):
        next(source.list(None))
    assert not (tmp_path / "none.db").exists()


def test_a_slow_query(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that takes too long is ended."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n"
    (fault,) = store.fetcher({"query": endless, "seconds": 1}).fetch().failed.values()
    assert "ended after 1 seconds" in str(fault)


def test_a_locked_database(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that somebody keeps for himself is a fault that passes."""
    monkeypatch.setattr(sql_sqlite, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceDown):
            store.fetcher({"query": "SELECT 1 AS a"}).fetch()


def test_more_than_the_limit(store: Store) -> None:
    """Rows beyond the limit are refused while they come, and nothing of them is left."""
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) SELECT i FROM n"
    source = opened(f"sqlite:///{store.path}", NOW, {"query": query})
    (item,) = source.list(None)
    with pytest.raises(SourceError, match="more than 1,000 characters"):
        source.fetch(item, store.path.with_name(".x.fetching"), 1000)
    assert [*store.path.parent.glob(".*")] == []

"""Tables: made to fit, converted, replaced batch by batch."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from orchestration_project.errors import WarehouseError
from orchestration_project.warehouse.tables import (
    append,
    batch_filter,
    columns_of,
    ensure_table,
    exists,
    ident,
    idents,
    literal,
    literals,
    replace_batches,
)

DAYS = [dt.date(2024, 1, number) for number in (1, 2, 3)]
HOSTILE = "a\"b'c; DROP TABLE t; --"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database."""
    with duckdb.connect() as connection:
        yield connection


def test_a_table_is_made_and_found(connection: duckdb.DuckDBPyConnection) -> None:
    """A table is made with the columns asked for, in their order, and made once."""
    assert not exists(connection, HOSTILE)
    for _ in range(2):
        ensure_table(connection, HOSTILE, {HOSTILE: "INT", "d": "DECIMAL(18,2)"})
    assert exists(connection, HOSTILE)
    assert columns_of(connection, HOSTILE) == {HOSTILE: "INTEGER", "d": "DECIMAL(18,2)"}


def test_columns_are_added_and_types_changed(connection: duckdb.DuckDBPyConnection) -> None:
    """A table gains new columns and wider types; its rows and the columns that nobody asks for stay."""
    connection.execute("CREATE TABLE t AS SELECT 1::INTEGER AS a, 'x' AS old")
    ensure_table(connection, "t", {"a": "BIGINT", "b": "TIMESTAMPTZ"})
    assert columns_of(connection, "t") == {"a": "BIGINT", "old": "VARCHAR", "b": "TIMESTAMP WITH TIME ZONE"}
    assert connection.execute("FROM t").fetchall() == [(1, "x", None)]


def test_wide_numbers_are_stored_as_they_are(tmp_path: Path) -> None:
    """Numbers of 128 bits are not packed, in columns of a new table and in added ones; others are."""
    wide, narrow = ("DECIMAL(38,2)", "DECIMAL(19,0)", "HUGEINT", "UHUGEINT"), ("DECIMAL(18,2)", "INTEGER")
    types = (*wide, *narrow)
    with duckdb.connect(str(tmp_path / "tables.duckdb")) as connection:
        for made in (1, len(types)):
            ensure_table(connection, "t", {f"c{number}": sql_type for number, sql_type in enumerate(types[:made])})
        connection.execute("INSERT INTO t SELECT i, i, i, i, i, i FROM range(10000) numbers(i)")
        connection.execute("CHECKPOINT")
        stored = connection.execute(
            "SELECT DISTINCT column_name, compression FROM pragma_storage_info('t') WHERE segment_type <> 'VALIDITY'"
        ).fetchall()
    assert [dict(stored)[f"c{number}"] for number in range(len(types))] == ["Uncompressed"] * 4 + ["BitPacking"] * 2


def test_rows_that_do_not_fit_a_changed_type(connection: duckdb.DuckDBPyConnection) -> None:
    """A type that the rows do not fit is refused by name, without a value in the message or behind it."""
    connection.execute("CREATE TABLE t AS SELECT 'secret' AS a")
    with pytest.raises(WarehouseError, match=r"column 'a' is VARCHAR and its rows do not fit INTEGER") as caught:
        ensure_table(connection, "t", {"a": "INTEGER"})
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert connection.execute("FROM t").fetchall() == [("secret",)]


def test_batches_are_replaced_by_name(connection: duckdb.DuckDBPyConnection) -> None:
    """The rows of the batches named are replaced, columns matched by name; other batches stay."""
    connection.execute("CREATE TABLE t (_batch_date DATE, a INTEGER, b VARCHAR)")
    for day in DAYS:
        connection.execute("INSERT INTO t VALUES ($1, 1, 'old')", [day])
    new = f"SELECT 'new' AS b, {literal(str(DAYS[1]))}::DATE AS _batch_date UNION ALL SELECT 'new', '2024-01-02'"
    assert replace_batches(connection, "t", DAYS[:2], new) == 2
    rows = connection.execute("FROM t ORDER BY ALL").fetchall()
    assert rows == [(DAYS[1], None, "new"), (DAYS[1], None, "new"), (DAYS[2], 1, "old")]


def test_all_rows_or_none_are_replaced(connection: duckdb.DuckDBPyConnection) -> None:
    """Without batches (None) every row is replaced, with an empty list of them none."""
    connection.execute("CREATE TABLE t AS SELECT DATE '2024-01-01' AS _batch_date")
    assert replace_batches(connection, "t", [], "SELECT DATE '2024-01-02' AS _batch_date WHERE false") == 0
    assert connection.execute("FROM t").fetchall() == [(DAYS[0],)]
    assert replace_batches(connection, "t", None, "SELECT DATE '2024-01-02' AS _batch_date") == 1
    assert connection.execute("FROM t").fetchall() == [(DAYS[1],)]


def test_a_batch_is_an_hour_or_a_day(connection: duckdb.DuckDBPyConnection) -> None:
    """Batches are found by date, and by hour where a day has several."""
    connection.execute("CREATE TABLE t AS SELECT TIMESTAMP '2024-01-01 05:00:00' AS _batch_date")
    hour = dt.datetime(2024, 1, 1, 5)  # noqa: DTZ001 - batches are in the feed's own time
    assert connection.execute(f"SELECT count(*) FROM t WHERE {batch_filter([hour])}").fetchone() == (1,)
    assert connection.execute(f"SELECT count(*) FROM t WHERE {batch_filter([])}").fetchone() == (0,)


@pytest.mark.parametrize("text", [HOSTILE, "", "é\n\\", "''", '""'])
def test_quoting(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """Names and values come out of a statement as they went in."""
    cursor = connection.execute(f"SELECT {literal(text)} AS {ident(text or 'x')}, {literals([text, text])}")
    assert cursor.description is not None
    assert cursor.description[0][0] == (text or "x")
    assert cursor.fetchone() == (text, text, text)
    assert idents(["a", 'b"']) == '"a", "b"""'


@pytest.mark.parametrize("sizes", [[0, 300_000], [300_000, 0, 300_000], [0, 1, 300_000], [0, 0]], ids=str)
def test_appended_rows_stay(sizes: list[int], connection: duckdb.DuckDBPyConnection) -> None:
    """Whatever number of rows is appended in a transaction, none before it or after it makes them go."""
    connection.execute("SET threads = 2")
    connection.execute("CREATE TABLE source AS SELECT range AS i FROM range(300_000)")
    connection.execute("BEGIN")
    connection.execute("CREATE TEMP TABLE t (i BIGINT, text VARCHAR)")
    for size in sizes:
        assert append(connection, "t", f"SELECT i, 'x' || i FROM source WHERE i % 1_000_000 < {size}") == size
    connection.execute("COMMIT")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (sum(sizes),)

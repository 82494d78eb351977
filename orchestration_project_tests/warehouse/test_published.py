"""What is noted of published batches, over a table that is written to by hand."""

import datetime as dt
from collections.abc import Iterator

import duckdb
import pytest

from orchestration_project.warehouse.published import changed_outside, ensure_published, note_published

FIRST, SECOND, THIRD = (dt.datetime.fromisoformat(f"2024-01-0{day}") for day in (1, 2, 3))
TABLE = "cleaned_f"

Note = tuple[int, int]


@pytest.fixture(params=["DATE", "TIMESTAMP"])
def connection(request: pytest.FixtureRequest) -> Iterator[duckdb.DuckDBPyConnection]:
    """Three rows of two files on the first day and one on the second, of batches of days or of hours."""
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TABLE {TABLE}"
            f" (n INTEGER, _batch_date {request.param}, _file VARCHAR, _file_version VARCHAR, _row INTEGER)"
        )
        connection.execute(
            f"""INSERT INTO {TABLE} VALUES (1, '{FIRST}', 'a', '1', 1), (2, '{FIRST}', 'a', '1', 2),
                (3, '{FIRST}', 'b', '1', 1), (1, '{SECOND}', 'a', '1', 1)"""
        )
        ensure_published(connection, TABLE)
        yield connection


def noted(connection: duckdb.DuckDBPyConnection) -> dict[dt.datetime, Note]:
    """Number of rows and content by batch."""
    rows = connection.execute("SELECT _batch_date, rows, content FROM published_batches").fetchall()
    return {batch: (number, content) for batch, number, content in rows}


def test_a_table_from_before_is_taken_as_it_is(connection: duckdb.DuckDBPyConnection) -> None:
    """Where no batch is listed, all are, once: later changes show."""
    before = noted(connection)
    assert {batch: rows for batch, (rows, _) in before.items()} == {FIRST: 3, SECOND: 1}
    connection.execute(f"DELETE FROM {TABLE} WHERE _file = 'b'")
    ensure_published(connection, TABLE)
    assert noted(connection) == before


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param(f"CREATE OR REPLACE TABLE {TABLE} AS FROM {TABLE} ORDER BY n DESC", True, id="order"),
        pytest.param(
            f"CREATE OR REPLACE TABLE {TABLE} AS SELECT _row, COLUMNS(* EXCLUDE _row) FROM {TABLE}", True, id="columns"
        ),
        pytest.param(f"UPDATE {TABLE} SET _row = 3 WHERE _file = 'b'", False, id="another record"),
        pytest.param(f"UPDATE {TABLE} SET _file = 'c' WHERE _file = 'b'", False, id="another file"),
        pytest.param(f"UPDATE {TABLE} SET _file_version = '2' WHERE _file = 'b'", False, id="another version"),
        pytest.param(f"UPDATE {TABLE} SET _file = 'a' WHERE _file = 'b'", False, id="doubled"),
        pytest.param(f"DELETE FROM {TABLE} WHERE _file = 'b'", False, id="row less"),
        pytest.param(f"INSERT INTO {TABLE} VALUES (3, '{FIRST}', 'b', '1', 1)", False, id="row more"),
        pytest.param(f"INSERT INTO {TABLE} VALUES (3, '{FIRST}', NULL, NULL, NULL)", False, id="row from nowhere"),
    ],
)
def test_content_depends_on_the_records(connection: duckdb.DuckDBPyConnection, change: str, same: bool) -> None:
    """Other records or another number of them are another content, another order of rows or columns is not."""
    before = noted(connection)
    connection.execute(change)
    note_published(connection, TABLE, [FIRST])
    assert (noted(connection)[FIRST] == before[FIRST]) is same
    assert noted(connection)[SECOND] == before[SECOND]


def test_another_contract_is_another_content(connection: duckdb.DuckDBPyConnection) -> None:
    """The same records may have other values when something else decides them."""
    note_published(connection, TABLE, None, rules="one")
    before = noted(connection)
    note_published(connection, TABLE, [FIRST], rules="another")
    assert noted(connection)[FIRST] != before[FIRST]
    note_published(connection, TABLE, [FIRST], rules="one")
    assert noted(connection) == before


def test_a_batch_without_rows_is_not_listed(connection: duckdb.DuckDBPyConnection) -> None:
    """What was listed of a batch goes with its rows; other tables' batches stay."""
    connection.execute("INSERT INTO published_batches VALUES ('cleaned_g', '2024-01-01', 7, 7)")
    connection.execute(f"DELETE FROM {TABLE} WHERE _batch_date = '{FIRST}'")
    note_published(connection, TABLE, [FIRST, SECOND])
    rows = connection.execute("SELECT table_name, _batch_date, rows FROM published_batches ORDER BY 1").fetchall()
    assert rows == [(TABLE, SECOND, 1), ("cleaned_g", FIRST, 7)]


@pytest.mark.parametrize(
    ("change", "batches"),
    [
        pytest.param(f"DELETE FROM {TABLE} WHERE _file = 'b'", [FIRST], id="row less"),
        pytest.param(f"INSERT INTO {TABLE} VALUES (2, '{SECOND}', 'c', '1', 1)", [SECOND], id="row more"),
        pytest.param(f"INSERT INTO {TABLE} VALUES (2, '{THIRD}', 'c', '1', 1)", [THIRD], id="new batch"),
        pytest.param(f"DELETE FROM {TABLE}", [FIRST, SECOND], id="all gone"),
        pytest.param(f"UPDATE {TABLE} SET n = 9", [], id="as many as before"),
    ],
)
def test_rows_that_no_load_brought_or_took_are_found(
    connection: duckdb.DuckDBPyConnection, change: str, batches: list[dt.datetime]
) -> None:
    """The batches with more or fewer rows than were published are named."""
    assert changed_outside(connection, TABLE) == []
    connection.execute(change)
    assert changed_outside(connection, TABLE) == batches


def test_a_list_of_an_older_release_keeps_its_values(connection: duckdb.DuckDBPyConnection) -> None:
    """A list whose content is a HUGEINT gets a DECIMAL with the same numbers, and nothing is read or noted again."""
    before = noted(connection)
    connection.execute("ALTER TABLE published_batches ALTER COLUMN content TYPE HUGEINT")
    old = {batch: (rows, int(content)) for batch, (rows, content) in before.items()}
    assert noted(connection) == old
    connection.execute(f"DELETE FROM {TABLE} WHERE _file = 'b'")
    ensure_published(connection, TABLE)
    assert noted(connection) == before
    types = connection.execute("SELECT data_type FROM duckdb_columns() WHERE column_name = 'content'").fetchall()
    assert types == [("DECIMAL(38,0)",)]


def test_content_fits_its_type(connection: duckdb.DuckDBPyConnection) -> None:
    """The largest hash, once for each of more files than there will ever be, is a number that the type can hold."""
    largest, files = 2**64 - 1, 10**18
    assert connection.execute(f"SELECT ({largest}::HUGEINT * {files})::DECIMAL(38,0)").fetchone() is not None

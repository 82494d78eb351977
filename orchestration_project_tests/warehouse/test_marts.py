"""Marts as tables: what of them is made again and when, over inputs that are written to by hand."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration_project.warehouse import marts, published
from orchestration_project.warehouse.connection import reading
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project.warehouse.mart_definition import Mart, MartError, Reconciliation, compile_select
from orchestration_project_tests.servers.warehouses import connected

FIRST, SECOND, THIRD = (dt.date(2024, 1, number) for number in (1, 2, 3))
INPUT = "cleaned_till"
COLUMNS = {
    "_batch_date": "DATE",
    "shop": "VARCHAR",
    "units": "INTEGER",
    "amount": "DECIMAL(18,2)",
    "_file": "VARCHAR",
    "_file_version": "VARCHAR",
    "_row": "BIGINT",
}
SELECT = f"SELECT _batch_date, shop, sum(units)::BIGINT AS units, sum(amount) AS amount FROM {INPUT} GROUP BY ALL"


def mart(select: str = SELECT, **fields: Any) -> Mart:
    """A mart of the till with batches, reconciled."""
    inputs = fields.pop("inputs", {INPUT: COLUMNS})
    query, columns = compile_select(select, inputs)
    default = Mart(
        "daily_till",
        query,
        inputs,
        columns,
        ["_batch_date", "shop"],
        INPUT,
        frozenset([INPUT]),
        Reconciliation(INPUT, {"units": "units", "amount": "amount"}),
    )
    return replace(default, **fields)


def fill(connection: duckdb.DuckDBPyConnection) -> None:
    """Three lines of two shops on the first day, one on the second, as loads publish them."""
    columns = ", ".join(f"{name} {sql_type}" for name, sql_type in COLUMNS.items())
    connection.execute(f"CREATE TABLE {INPUT} ({columns})")
    connection.execute(
        f"""INSERT INTO {INPUT} VALUES ('{FIRST}', 'a', 1, 1.00, 'f', '1', 1), ('{FIRST}', 'a', 2, 2.00, 'f', '1', 2),
            ('{FIRST}', 'b', 4, 4.00, 'f', '1', 3), ('{SECOND}', 'a', 8, 8.00, 'g', '1', 1)"""
    )
    published.ensure_published(connection, INPUT)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with a till."""
    with connected(tmp_path) as connection:
        fill(connection)
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, table: str = "daily_till") -> list[tuple[Any, ...]]:
    return connection.execute(f"FROM {table} ORDER BY ALL").fetchall()


def test_a_batch_is_made_from_its_rows_alone(connection: duckdb.DuckDBPyConnection) -> None:
    """From rows of two days and a request for one comes a mart of both, as neither was made; then of the asked one."""
    assert marts.replace(connection, mart(), [FIRST]) == {FIRST: 2, SECOND: 1}
    assert rows(connection) == [
        (FIRST, "a", 3, Decimal("3.00")),
        (FIRST, "b", 4, Decimal("4.00")),
        (SECOND, "a", 8, Decimal("8.00")),
    ]
    assert marts.replace(connection, mart(), [FIRST]) == {FIRST: 2}


@pytest.mark.parametrize(
    "select",
    [
        pytest.param(SELECT.replace(INPUT, f"main.{INPUT}"), id="names the schema"),
        pytest.param(f"WITH t AS (SELECT * FROM {INPUT}) {SELECT.replace(INPUT, 't')} -- a remark", id="has a WITH"),
        pytest.param(f"{SELECT} ORDER BY shop;", id="ends with a semicolon"),
    ],
)
def test_however_the_select_is_written_only_the_batches_are_replaced(
    connection: duckdb.DuckDBPyConnection, select: str
) -> None:
    """No form of a SELECT brings rows of batches that are not made, which would count twice."""
    made = mart(select)
    marts.replace(connection, made, [])
    before = rows(connection)
    marts.replace(connection, made, [FIRST])
    assert rows(connection) == before


@pytest.mark.of_a_file("it reads a plan with DuckDB's own scans")
def test_the_scan_has_the_filter(connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB reads the rows of the batches alone, however often the SELECT names the input."""
    twice = f"SELECT t._batch_date, count(*) AS n FROM {INPUT} AS t JOIN {INPUT} AS u USING (_batch_date) GROUP BY ALL"
    query = marts.select_of(mart(twice, key=["_batch_date"], reconciliation=None), [FIRST])
    plan = connection.execute(f"EXPLAIN {query}").fetchall()[0][1]
    assert plan.count("SEQ_SCAN") == plan.count(f"_batch_date='{FIRST}'") == 2


def test_a_batch_of_which_the_select_makes_nothing_is_made(connection: duckdb.DuckDBPyConnection) -> None:
    """A day whose rows the SELECT leaves out is not out of date for ever."""
    made = mart(SELECT.replace(" GROUP", " WHERE units < 8 GROUP"), reconciliation=None)
    assert marts.replace(connection, made, []) == {FIRST: 2, SECOND: 0}
    assert marts.outdated_batches(connection, made) == []


def test_without_totals_rows_are_counted(connection: duckdb.DuckDBPyConnection) -> None:
    """A mart without totals to reconcile notices new input and lost rows of its own."""
    made = mart(reconciliation=None)
    marts.replace(connection, made, [])
    connection.execute(f"DELETE FROM daily_till WHERE _batch_date = '{SECOND}'")
    assert marts.outdated_batches(connection, made) == [SECOND]
    connection.execute(f"INSERT INTO {INPUT} VALUES ('{THIRD}', 'a', 1, 1.00, 'h', '1', 1)")
    published.note_published(connection, INPUT, [THIRD])
    assert marts.replace(connection, made, []) == {SECOND: 1, THIRD: 1}


def test_other_inputs_count_for_every_batch(connection: duckdb.DuckDBPyConnection) -> None:
    """When a table changes that has no batches of the mart's, every batch is out of date."""
    connection.execute("CREATE TABLE shops (shop VARCHAR, country VARCHAR)")
    connection.execute("INSERT INTO shops VALUES ('a', 'X'), ('b', 'Y')")
    select = f"SELECT _batch_date, country, count(*) AS n FROM {INPUT} JOIN shops USING (shop) GROUP BY ALL"
    inputs = {INPUT: COLUMNS, "shops": {"shop": "VARCHAR", "country": "VARCHAR"}}
    made = mart(select, inputs=inputs, key=["_batch_date", "country"], reconciliation=None)
    marts.replace(connection, made, [])
    assert marts.outdated_batches(connection, made) == []
    connection.execute("UPDATE shops SET country = 'Z' WHERE shop = 'b'")
    assert marts.outdated_batches(connection, made) == [FIRST, SECOND]


def test_a_mart_of_a_mart_follows_it(connection: duckdb.DuckDBPyConnection) -> None:
    """A batch of a mart is out of date when its batch of the mart before has other rows."""
    first = mart()
    second = mart(
        "SELECT _batch_date, max(units) AS most FROM daily_till GROUP BY ALL",
        name="best_till",
        inputs={"daily_till": first.columns},
        key=["_batch_date"],
        batches_of="daily_till",
        listed=frozenset(),
        reconciliation=None,
    )
    marts.replace(connection, first, [])
    assert marts.replace(connection, second, []) == {FIRST: 1, SECOND: 1}
    connection.execute(f"UPDATE daily_till SET units = 99 WHERE _batch_date = '{SECOND}'")
    assert marts.outdated_batches(connection, second) == [SECOND]


def test_a_mart_without_batches(connection: duckdb.DuckDBPyConnection) -> None:
    """It is made as a whole, and compared key by key."""
    select = f"SELECT shop, sum(units)::BIGINT AS units FROM {INPUT} GROUP BY ALL"
    totals = Reconciliation(INPUT, {"units": "units"})
    whole = mart(select, name="by_shop", key=["shop"], batches_of=None, reconciliation=totals)
    assert marts.replace_whole(connection, whole) == 2
    assert marts.replace_whole(connection, whole) == 2
    assert rows(connection, "by_shop") == [("a", 11), ("b", 4)]
    assert marts.differing_keys(connection, whole) == 0
    connection.execute("UPDATE by_shop SET units = 1")
    assert marts.differing_keys(connection, whole) == 2


def test_a_row_of_which_the_input_has_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    """Nothing adds up to 0: a table of all shops may have one that sold nothing, but not one that sold something."""
    select = f"SELECT shop, sum(units)::BIGINT AS units FROM {INPUT} GROUP BY ALL UNION ALL SELECT 'new', 0"
    whole = mart(
        select, name="by_shop", key=["shop"], batches_of=None, reconciliation=Reconciliation(INPUT, {"units": "units"})
    )
    marts.replace_whole(connection, whole)
    assert marts.differing_keys(connection, whole) == 0
    connection.execute("UPDATE by_shop SET units = 1 WHERE shop = 'new'")
    assert marts.differing_keys(connection, whole) == 1
    connection.execute("DELETE FROM by_shop WHERE shop <> 'a'")
    assert marts.differing_keys(connection, whole) == 1


def test_totals_are_compared_where_both_have_the_column(connection: duckdb.DuckDBPyConnection) -> None:
    """A key column that the input lacks is added up over: the totals of each day are compared."""
    select = f"SELECT _batch_date, upper(shop) AS name, sum(units)::BIGINT AS units FROM {INPUT} GROUP BY ALL"
    made = mart(select, key=["_batch_date", "name"], reconciliation=Reconciliation(INPUT, {"units": "units"}))
    marts.replace(connection, made, [])
    assert made.compared_by == ["_batch_date"]
    assert marts.differing_batches(connection, made) == []
    connection.execute("UPDATE daily_till SET units = units + 1 WHERE name = 'B'")
    assert marts.differing_batches(connection, made) == [FIRST]


@pytest.mark.parametrize(
    ("select", "told"),
    [
        pytest.param(f"SELECT sum(units) AS units FROM {INPUT}", "units::BIGINT", id="a type that no table may have"),
        pytest.param(f"SELECT nothing FROM {INPUT}", "nothing", id="no such column"),
        pytest.param("SELECT 1 AS one FROM elsewhere", "elsewhere", id="no such table"),
        pytest.param("SELECT 1 AS a; SELECT 2 AS b", "one SELECT", id="two statements"),
        pytest.param("DROP TABLE cleaned_till", "one SELECT", id="no SELECT"),
        pytest.param("SELECT FROM WHERE", "syntax error", id="no SQL"),
        pytest.param("FROM read_csv('/etc/hosts')", "disabled", id="reads a file"),
    ],
)
def test_a_select_that_can_not_be_used(select: str, told: str) -> None:
    """What is wrong with a SELECT shows when definitions load, without a warehouse."""
    with pytest.raises(MartError, match=told):
        compile_select(select, {INPUT: COLUMNS})


@pytest.mark.of_a_file("a lake has never had a HUGEINT")
def test_types_of_an_older_release(connection: duckdb.DuckDBPyConnection) -> None:
    """Lists whose contents are HUGEINT are read as they are, and converted by the next write; nothing is made again."""
    made = mart()
    marts.replace(connection, made, [])
    for table in (made.built, published.TABLE):
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN content TYPE HUGEINT")
        assert marts.outdated_batches(connection, made) == []
    assert marts.replace(connection, made, []) == {}
    types = connection.execute("SELECT DISTINCT data_type FROM duckdb_columns() WHERE column_name = 'content'")
    assert types.fetchall() == [("DECIMAL(38,0)",)]


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param("", id="all is there"),
        pytest.param("DROP TABLE daily_till_built", id="no list of what was built"),
        pytest.param("DROP TABLE daily_till_built; DELETE FROM published_batches", id="no list of what is published"),
        pytest.param("DROP TABLE daily_till_built; DROP TABLE published_batches", id="a release without the lists"),
    ],
)
def test_reading_answers_as_writing_would(statements: str, tmp_path: Path) -> None:
    """Whatever an older release did not write, a reader finds the same batches out of date, and writes nothing."""
    warehouse, made = DuckdbFile(tmp_path / "warehouse.duckdb"), mart()
    with warehouse.transaction("test") as connection:
        fill(connection)
        marts.replace(connection, made, [])
        connection.execute(f"UPDATE daily_till SET units = 9 WHERE _batch_date = '{SECOND}'")
        connection.execute(statements or "SELECT 1")
    before = warehouse.database.read_bytes()
    with reading(warehouse, "test") as connection:
        marts.stand_in_tables(connection, made)
        assert marts.outdated_batches(connection, made) == [SECOND]
        assert marts.differing_batches(connection, made) == [SECOND]
        assert published.changed_outside(connection, INPUT) == []
    assert warehouse.database.read_bytes() == before
    with warehouse.transaction("test") as connection:
        assert list(marts.replace(connection, made, [])) == [SECOND]


def test_reading_where_there_is_nothing(tmp_path: Path) -> None:
    """Before the first load a reader finds empty tables, and no warehouse is made."""
    warehouse, made = DuckdbFile(tmp_path / "warehouse.duckdb"), mart()
    with reading(warehouse, "test") as connection:
        marts.stand_in_tables(connection, made)
        assert marts.outdated_batches(connection, made) == marts.differing_batches(connection, made) == []
        assert marts.newest_totals(connection, made, "units", 7) == []
    assert not warehouse.database.exists()

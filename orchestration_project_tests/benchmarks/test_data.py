"""The generated files: always the same, with the defects that they should have."""

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from benchmarks import data, rules

DAY = dt.date(2024, 1, 1)
ROWS = 20_000


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyRelation:
    """The records of a day, with the rules that each breaks."""
    path = data.make_sales(tmp_path_factory.mktemp("data"), DAY, ROWS)
    return duckdb.connect().sql(
        f"""SELECT *, {rules.REASONS} AS reasons FROM (SELECT *, {rules.TYPED} FROM (
            SELECT {rules.TRIMMED} FROM read_csv('{path}', all_varchar = true, delim = ',', header = true)))"""
    )


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    """A day's file does not depend on when or where it is made; another day's differs."""
    first, again, other = (
        data.make_sales(tmp_path / name, day, 500).read_bytes()
        for name, day in (("a", DAY), ("b", DAY), ("c", DAY + dt.timedelta(days=1)))
    )
    assert first == again
    assert first != other


def test_the_columns_are_those_of_the_rules(tmp_path: Path) -> None:
    """The header names what the hand-written rules check, in the same order."""
    path = data.make_sales(tmp_path, DAY, 10)
    assert path.read_text(encoding="utf-8").splitlines()[0].split(",") == list(rules.TEXTS)


def test_one_record_in_a_hundred_breaks_a_rule(records: duckdb.DuckDBPyRelation) -> None:
    """There are as many records as asked for; of the broken ones each kind is there."""
    assert records.aggregate("count(*)").fetchall() == [(ROWS,)]
    broken = records.filter("reasons IS NOT NULL")
    ((share,),) = broken.aggregate(f"count(*) / {ROWS}").fetchall()
    assert 0.008 < share < 0.012
    assert {reason for (reason,) in broken.project("unnest(reasons)").distinct().fetchall()} == {
        "product_id: required",
        "product_id: type",
        "channel: enum",
    }


def test_one_record_in_a_thousand_repeats_a_key(records: duckdb.DuckDBPyRelation) -> None:
    """Keys repeat within the day, each time as another sale."""
    ((keys,),) = records.aggregate("count(DISTINCT order_id)").fetchall()
    assert 0.0005 < (ROWS - keys) / ROWS < 0.0015


def test_sales_are_made_on_their_day(records: duckdb.DuckDBPyRelation) -> None:
    """No record is of another day than its file."""
    assert records.project("sold_at::DATE").distinct().fetchall() == [(DAY,)]

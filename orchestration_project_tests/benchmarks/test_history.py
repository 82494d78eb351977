"""A past that is made by SQL is like one that was loaded."""

import datetime as dt
from collections.abc import Iterator

import dagster as dg
import pytest

from benchmarks import data
from benchmarks.history import CHANGES, lengthen
from benchmarks.session import CATALOGUE, SALES
from benchmarks.shop.definitions import defs
from orchestration_project_tests.components.workbench import Workbench, evaluations

DAY, PAST, ROWS = data.FIRST_DAY, 7, 1200


@pytest.fixture(scope="module")
def long_ago(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A shop that loaded one day, and was given the six before it."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(defs(), tmp_path_factory.mktemp("history"), instance)
        data.make_sales(bench.data_dir / "landing/sales", DAY, ROWS)
        data.make_catalogue(bench.data_dir / "landing/products", DAY)
        bench.run(*SALES, *CATALOGUE, first=str(DAY), last=str(DAY))
        lengthen(bench.data_dir / "warehouse.duckdb", DAY, PAST)
        yield bench


@pytest.mark.parametrize("table", CHANGES)
def test_every_day_has_the_rows_of_the_first(long_ago: Workbench, table: str) -> None:
    """There are as many days as asked for, up to the one that was loaded, all with as many rows."""
    rows = long_ago.query(f"SELECT _batch_date, count(*) FROM {table} GROUP BY 1 ORDER BY 1")
    assert [day for day, _ in rows] == [DAY - dt.timedelta(days=PAST - 1 - number) for number in range(PAST)]
    assert len({count for _, count in rows}) == 1


def test_the_next_day_finds_nothing_wrong(long_ago: Workbench) -> None:
    """A day that is loaded after that past passes all checks, and no key of it was taken before."""
    next_day = DAY + dt.timedelta(days=1)
    data.make_sales(long_ago.data_dir / "landing/sales", next_day, ROWS)
    result = long_ago.run(*SALES, first=str(next_day), last=str(next_day))
    blocking = {"accounting", "matches_cleaned_sales", "totals_match"}
    results = evaluations(result)
    assert blocking <= set(results)
    assert [name for name in blocking if not results[name].passed] == []
    assert long_ago.query("SELECT count(*) - count(DISTINCT order_id) FROM cleaned_sales") == [(0,)]
    assert long_ago.query("SELECT count(DISTINCT _batch_date) FROM cleaned_sales") == [(PAST + 1,)]

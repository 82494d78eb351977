"""The marts' checks and what users build upon the marts."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, evaluations, materializations, project, value

DAY, NEXT = "2024-01-15", "2024-01-16"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """Two days of sales of two products, one of which the catalogue has."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), tmp_path, instance)
        bench.drop("products", "products.json", catalogue((1, "Kettle", "Kitchen", 20.0)))
        bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("A2", product=9, price="0.10")))
        bench.drop("sales", f"sales_{NEXT}.csv", sales(sale("B1", day=NEXT)))
        bench.run(first=DAY, last=NEXT)
        yield bench


def test_orphans_are_a_warning(bench: Workbench) -> None:
    """Sold products that the catalogue lacks are shown with what they earned."""
    found = bench.check(("product_warehouse", "orphan_products"))["orphan_products"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert value(found.metadata, "sample") == [{"product_id": 9, "units_sold": 2, "revenue": "0.20"}]


def test_totals_are_shown(bench: Workbench) -> None:
    """The check on the totals passes and shows both sides to the cent."""
    found = bench.check(("product_warehouse", "totals_match"))["totals_match"]
    assert found.passed
    assert (value(found.metadata, "units"), value(found.metadata, "revenue")) == (6, 20.2)
    assert value(found.metadata, "expected") == value(found.metadata, "found") == "6 units and 20.20 revenue"


@pytest.mark.parametrize("name", ["product_daily_sales", "product_warehouse"])
def test_the_constraints_that_are_shown_hold(bench: Workbench, name: str) -> None:
    """Columns that the schema calls non-null have no nulls, and the key counts once; the others may be empty."""
    bench.drop("products", "products.json", catalogue((1, "Kettle", "Kitchen", 20.0), (5, "Pot", "Hob", 1.0)))
    bench.run(first=DAY, last=NEXT)
    (spec,) = [spec for spec in bench.defs.resolve_all_asset_specs() if spec.key == dg.AssetKey(name)]
    columns = spec.metadata["dagster/column_schema"].columns
    nulls = {item.name: f"SELECT count(*) FROM {name} WHERE {item.name} IS NULL" for item in columns}
    empty = {column for column, query in nulls.items() if bench.query(query) != [(0,)]}
    assert empty == {item.name for item in columns if item.constraints.nullable}
    key = ", ".join(item.name for item in columns if "primary key" in item.constraints.other)
    assert bench.query(f"SELECT count(*) FROM {name}") == bench.query(f"SELECT count(DISTINCT ({key})) FROM {name}")


def test_a_changed_mart_is_found(bench: Workbench) -> None:
    """When only the product warehouse is off, the check says to materialize it again; that heals it."""
    bench.query("UPDATE product_warehouse SET revenue = revenue + 0.01 WHERE product_id = 1")
    found = bench.check(("product_warehouse", "totals_match"))["totals_match"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.description == "Materialize product_warehouse again: it is not up to date."
    assert evaluations(bench.run("product_warehouse"))["totals_match"].passed


def test_stale_days_are_named(bench: Workbench) -> None:
    """Totals from days that are out of date fail the run and name the days; materializing any day heals all."""
    bench.query("UPDATE product_daily_sales SET units_sold = 99 WHERE _batch_date = '2024-01-16'")
    assert not bench.check(("product_daily_sales", "matches_cleaned_sales"))["matches_cleaned_sales"].passed
    result = bench.run("product_warehouse", raise_on_error=False)
    assert not result.success
    description = evaluations(result)["totals_match"].description or ""
    assert description.endswith("materialize product_daily_sales again: 2024-01-16")
    healed = bench.run("product_daily_sales", "product_warehouse", first=DAY)
    assert set(materializations(healed, "product_daily_sales")) == {DAY, NEXT}
    assert bench.query("SELECT sum(units_sold) FROM product_warehouse") == [(6,)]


@pytest.mark.parametrize("day", [pytest.param(DAY, id="the run's day"), pytest.param(None, id="all days")])
def test_a_sale_changed_by_hand_is_found(bench: Workbench, day: str | None) -> None:
    """The cleaned sales are added up again: those of the run's days, and all where a run names none."""
    bench.query("UPDATE cleaned_sales SET quantity = quantity + 1 WHERE _batch_date = '2024-01-15'")
    found = bench.check(("product_daily_sales", "matches_cleaned_sales"), first=day)["matches_cleaned_sales"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (found.description or "").endswith("materialize product_daily_sales again: 2024-01-15")


def test_sales_removed_by_hand_are_found_whatever_day_is_judged(bench: Workbench) -> None:
    """A day that lost rows fails both checks in a run for another day, is named, and heals by its load."""
    checks = ("product_daily_sales", "matches_cleaned_sales"), ("product_warehouse", "totals_match")
    bench.query("DELETE FROM cleaned_sales WHERE _batch_date = '2024-01-15' AND product_id = 9")
    for found in bench.check(*checks, first=NEXT).values():
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert (found.description or "").endswith("for 1 batch day(s); load them again: 2024-01-15")
    bench.run("raw_sales", "cleaned_sales", "rejected_sales", first=DAY)
    assert all(found.passed for found in bench.check(*checks, first=NEXT).values())


def test_a_day_that_a_load_changed_is_found_until_the_mart_has_it(bench: Workbench) -> None:
    """A day that was loaded without its mart fails the checks of other days too; any day's mart heals it."""
    checks = ("product_daily_sales", "matches_cleaned_sales"), ("product_warehouse", "totals_match")
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("A2"), sale("A3")))
    bench.run("raw_sales", "cleaned_sales", "rejected_sales", first=DAY)
    for found in bench.check(*checks, first=NEXT).values():
        assert (found.description or "").endswith("materialize product_daily_sales again: 2024-01-15")
    bench.run("product_daily_sales", "product_warehouse", first=NEXT)
    assert all(found.passed for found in bench.check(*checks).values())


def test_a_users_asset_needs_nothing_but_the_decorator(bench: Workbench) -> None:
    """A parameter named like a table is that table as a DataFrame; what is returned is a table."""

    @dg.asset
    def top(product_warehouse: pd.DataFrame) -> pd.DataFrame:
        return product_warehouse.nlargest(1, "revenue")[["product_id", "revenue"]]

    more = Workbench(dg.Definitions.merge(bench.defs, dg.Definitions(assets=[top])), bench.data_dir, bench.instance)
    more.run("top")
    assert more.query("FROM top") == [(1, 20.0)]

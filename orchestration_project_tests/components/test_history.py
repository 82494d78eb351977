"""The history of a snapshot feed as Dagster has it, through to the mart, the checks and the commands."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.components import FileFeed
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import (
    REPOSITORY,
    Workbench,
    evaluations,
    materializations,
    project,
    value,
)

DAY, NEXT = "2024-01-15", "2024-01-16"
PRODUCTS = REPOSITORY / "orchestration_project" / "defs" / "products" / "products.odcs.yaml"
KETTLE, POT, PAN = (1, "Kettle", "Kitchen", 20.0), (2, "Pot", "Hob", 5.0), (3, "Pan", "Hob", 8.0)


@pytest.fixture
def bench(data_dir: Path) -> Iterator[Workbench]:
    """Two days of sales of two products, and the first day's catalogue, which has three."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), data_dir, instance)
        bench.drop("products", f"products_{DAY}.json", catalogue(KETTLE, POT, PAN))
        for day in (DAY, NEXT):
            bench.drop(
                "sales", f"sales_{day}.csv", sales(sale(f"A{day}", day=day), sale(f"B{day}", product=2, day=day))
            )
        bench.run(first=DAY, last=NEXT)
        yield bench


def test_a_shorter_catalogue_takes_nothing_from_what_was_sold(bench: Workbench) -> None:
    """The history ends versions, the mart keeps the delisted, sales join the catalogue of their day; all is proven."""
    bench.drop("products", f"products_{NEXT}.json", catalogue((1, "Kettle", "Kitchen", 31.0)))
    result = bench.run(job="products_job")
    shown = materializations(result, "products_history")[None].metadata
    assert [value(shown, name) for name in ("dagster/row_count", "current_versions", "snapshots")] == [4, 1, 2]
    assert {"dagster/column_lineage", "columns_made_from", "seconds"} <= set(shown)
    assert value(materializations(result, "raw_products")[None].metadata, "dagster/row_count") == 4
    assert bench.query("SELECT product_id, list_price, valid_from, valid_to FROM products_history ORDER BY 1, 3") == [
        (1, Decimal("20.00"), dt.date(2024, 1, 15), dt.date(2024, 1, 16)),
        (1, Decimal("31.00"), dt.date(2024, 1, 16), None),
        (2, Decimal("5.00"), dt.date(2024, 1, 15), dt.date(2024, 1, 16)),
        (3, Decimal("8.00"), dt.date(2024, 1, 15), dt.date(2024, 1, 16)),
    ]
    columns = "product_id, category, revenue, in_catalog, delisted_on"
    assert bench.query(f"SELECT {columns} FROM product_warehouse ORDER BY 1") == [
        (1, "Kitchen", Decimal("20.00"), True, None),
        (2, "Hob", Decimal("20.00"), False, dt.date(2024, 1, 16)),
        (3, "Hob", Decimal(0), False, dt.date(2024, 1, 16)),
    ]
    found = evaluations(result)
    told = ("history_matches", "accounting", "totals_match", "orphan_products")
    assert [found[name].passed for name in told] == [True] * 4
    verified = CliRunner().invoke(main, ["verify"])
    assert verified.exit_code == 0, verified.output
    where = CliRunner().invoke(main, ["where", f"products_{DAY}.json", "2"])
    assert (where.exit_code, "record 2: kept" in where.output) == (0, True), where.output


def test_unusual_changes_are_a_warning(bench: Workbench) -> None:
    """A catalogue that lost more keys than usual, or moved prices further, is told with the largest moves."""
    first = bench.check(("products_history", "usual_changes"))["usual_changes"]
    assert (first.passed, first.description) == (True, "There is no snapshot to compare with yet.")
    bench.drop("products", f"products_{NEXT}.json", catalogue((1, "Kettle", "Kitchen", 31.0)))
    found = evaluations(bench.run("raw_products", "cleaned_products", "rejected_products", "products_history"))
    changes = found["usual_changes"]
    assert (changes.passed, changes.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert value(changes.metadata, "found") == "2 of 3 keys gone (66.67%), 1 numbers moved too far"
    assert value(changes.metadata, "moves") == [
        {"key": "1", "column": "list_price", "before": 20.0, "now": 31.0, "share": 0.55}
    ]


def test_a_history_that_was_written_to_stops_what_is_downstream(bench: Workbench) -> None:
    """A version that is no more what its file says fails the blocking check and `verify`; a rebuild mends it."""
    bench.query("UPDATE products_history SET list_price = 1 WHERE product_id = 2")
    found = bench.check(("products_history", "history_matches"))["history_matches"]
    assert (found.passed, found.severity, found.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert "other current versions than the newest snapshot" in str(found.description)
    verified = CliRunner().invoke(main, ["verify"])
    assert verified.exit_code == 1
    assert "rebuild products" in verified.output
    assert CliRunner().invoke(main, ["rebuild", "products"]).exit_code == 0
    assert bench.check(("products_history", "history_matches"))["history_matches"].passed


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        pytest.param({"mode": "batches"}, "history needs mode: snapshot", id="batches"),
        pytest.param({"contract": "keyless"}, "history needs a primaryKey", id="no key"),
        pytest.param({"contract": "taken"}, "have the names of columns of the history", id="names"),
        pytest.param({"usual_changes": {"max_moves": {"name": 0.5}}}, "'name' is no column of numbers", id="no number"),
        pytest.param({"history": False, "usual_changes": {}}, "usual_changes needs history: true", id="no history"),
    ],
)
def test_what_has_no_history_is_refused(attributes: dict[str, object], problem: str, tmp_path: Path) -> None:
    """A feed that can't have a history, or not these limits, is refused when definitions load."""
    document = yaml.safe_load(PRODUCTS.read_text(encoding="utf-8"))
    key, name = document["schema"][0]["properties"][:2]
    if attributes.get("contract") == "keyless":
        del key["primaryKey"], key["primaryKeyPosition"]
    if attributes.get("contract") == "taken":
        name["physicalName"], name["name"] = "name", "Valid_To"
    path = tmp_path / "products.odcs.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    given = {"mode": "snapshot", "history": True} | attributes | {"contract": str(path)}
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=problem):
        _ = FileFeed.model_validate(given).spec

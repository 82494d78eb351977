"""The asset `verification`, its check, its job and its schedule."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, evaluations, materializations, project, value

DAY, NEXT = "2024-01-15", "2024-01-16"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """The project with two days of sales and a catalogue, all loaded."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), tmp_path / "data", instance)
        bench.drop("products", f"products_{DAY}.json", catalogue((1, "Tea", "drinks", 5.0)))
        for day in (DAY, NEXT):
            bench.drop("sales", f"sales_{day}.csv", sales(sale(f"A{day}", day=day), sale("bad", quantity="x")))
        bench.run(job="products_job")
        bench.run(job="sales_job", first=DAY, last=NEXT)
        yield bench


def test_all_is_proven(bench: Workbench) -> None:
    """After a load the run records what was compared, and the check passes."""
    result = bench.run(job="verification_job")
    metadata = materializations(result, "verification")[None].metadata
    assert {name: value(metadata, name) for name in ("dagster/row_count", "files", "records", "findings")} == {
        "dagster/row_count": 0,
        "files": 3,
        "records": 5,
        "findings": [],
    }
    assert evaluations(result)["everything_proven"].passed


def test_findings_fail_the_check(bench: Workbench) -> None:
    """What disagrees stands in the table of the run, with what to do, and the check fails with it."""
    bench.query("DELETE FROM cleaned_sales WHERE _batch_date = '2024-01-16'")
    result = bench.run(job="verification_job")
    findings = value(materializations(result, "verification")[None].metadata, "findings")
    assert [(item["feed"], item["batch"], item["file"]) for item in findings] == [
        ("sales", NEXT, f"sales_{NEXT}.csv"),
        ("", NEXT, "product_daily_sales"),
        ("", "", "product_warehouse"),
    ]
    result_of_check = evaluations(result)["everything_proven"]
    assert not result_of_check.passed
    assert f"--partition {NEXT}" in (result_of_check.description or "")
    bench.run("raw_sales", "cleaned_sales", "rejected_sales", "product_daily_sales", "product_warehouse", first=NEXT)
    assert evaluations(bench.run(job="verification_job"))["everything_proven"].passed


def test_stale_marts_are_found(bench: Workbench) -> None:
    """Marts that were written to are named with the command that makes them again."""
    bench.query("UPDATE product_daily_sales SET units_sold = 9 WHERE _batch_date = '2024-01-15'")
    bench.query("UPDATE product_warehouse SET units_sold = 9")
    result = bench.run(job="verification_job")
    findings = value(materializations(result, "verification")[None].metadata, "findings")
    command = "dagster asset materialize -m orchestration_project.definitions --select"
    assert [item["remedy"] for item in findings] == [
        f"{command} product_daily_sales --partition {DAY}",
        f"{command} product_warehouse",
    ]
    bench.run("product_daily_sales", first=DAY)
    bench.run("product_warehouse")
    assert evaluations(bench.run(job="verification_job"))["everything_proven"].passed


def test_loads_do_not_verify() -> None:
    """The verification reads all tables, but no feed's job runs it."""
    graph = project().resolve_asset_graph()
    key = dg.AssetKey("verification")
    read = graph.get(key).parent_keys
    assert {"cleaned_sales", "rejected_products", "product_warehouse"} <= {name.to_user_string() for name in read}
    upstream = dg.AssetSelection.assets(key).upstream().resolve(graph)
    assert upstream == {
        spec.key
        for spec in project().resolve_all_asset_specs()
        if spec.group_name != "delivery" and not spec.key.to_user_string().startswith("landing_")
    } - {dg.AssetKey(name) for name in ("platform_health", "warehouse_backup", "file_retention")}
    for job in ("sales_job", "products_job"):
        assert key not in project().resolve_job_def(job).asset_layer.executable_asset_keys

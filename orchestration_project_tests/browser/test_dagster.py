"""What an operator sees and does in Dagster's UI, on a running deployment with sensors on."""

import datetime as dt
import os
import re
import time

import dagster as dg
import pytest
from playwright.sync_api import ViewportSize, expect

from orchestration_project_tests.browser.chromium import PATIENCE, Visit
from orchestration_project_tests.browser.dagster_ui import DagsterUi
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.workbench import project
from orchestration_project_tests.reliability.deployment import Deployment

# One worker of pytest-xdist, so that there is one deployment.
pytestmark = pytest.mark.xdist_group("browser")

SPECS = list(project().resolve_all_asset_specs())
SAMPLE_DAY, LAST_DAY = "2024-01-18", "2024-01-21"
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
TALL: ViewportSize = {"width": 1400, "height": 1150}
"""Room for all lanes of the graph."""


def ended_run(
    deployment: Deployment, before: set[str], status: dg.DagsterRunStatus, day: str | None = None
) -> dg.DagsterRun:
    """Wait for a run that was not there before and has ended in some way; of a day, since others may end meanwhile."""

    def found() -> list[dg.DagsterRun]:
        new = [run for run in deployment.runs(status) if run.run_id not in before]
        return [run for run in new if day in (None, run.tags.get("dagster/partition"))]

    deployment.wait_until(found, 2 * PATIENCE)
    return found()[0]


def drop(deployment: Deployment, feed: str, name: str, text: str) -> None:
    """Deliver a file that nobody has written to for an hour, so that the sensor asks for it at its next look."""
    path = deployment.settings.landing(feed) / name
    partial = path.with_name(f"{name}.part")
    partial.write_text(text, encoding="utf-8")
    settled = time.time() - 3600
    os.utime(partial, (settled, settled))
    partial.rename(path)


def run_ids(deployment: Deployment) -> set[str]:
    return {run.run_id for run in deployment.runs()}


def test_the_graph_shows_every_asset(ui: DagsterUi) -> None:
    """Each asset of the definitions has a node in the graph, and there are no others."""
    ui.page.set_viewport_size(TALL)
    shown = ui.graph({spec.group_name for spec in SPECS if spec.group_name})
    expect(ui.node("raw_products").locator("[style*=green]")).to_be_visible()
    ui.photograph("graph")
    patterns = [re.compile(re.escape(text).replace("…", ".*")) for text in shown]
    names = [spec.key.to_user_string() for spec in SPECS]
    assert [name for name in names if sum(bool(pattern.fullmatch(name)) for pattern in patterns) != 1] == []
    assert len(shown) == len(names)


def test_a_partition_is_materialized_by_hand(ui: DagsterUi, deployment: Deployment) -> None:
    """Choosing a partition in the dialog and launching the run makes the day anew, and the partition is green."""
    units = "SELECT sum(units_sold) FROM product_daily_sales WHERE _batch_date = $day"
    day = {"day": dt.date.fromisoformat(SAMPLE_DAY)}
    with deployment.warehouse.transaction("test") as connection:
        sold = connection.execute(units, day).fetchall()
        connection.execute("DELETE FROM product_daily_sales WHERE _batch_date = $day", day)
    before = run_ids(deployment)
    ui.materialize("product_daily_sales", SAMPLE_DAY)
    run = ended_run(deployment, before, SUCCESS, SAMPLE_DAY)
    ui.open_partition("product_daily_sales", SAMPLE_DAY, "Materialized", run.run_id[:8])
    ui.photograph("materialized")
    ui.open(f"/runs/{run.run_id}", "Success", f"partition: {SAMPLE_DAY}", "RUN_SUCCESS")
    with deployment.warehouse.connection("test") as connection:
        assert sold != [(None,)]
        assert connection.execute(units, day).fetchall() == sold


def test_a_file_with_bad_records_is_loaded_and_explained(ui: DagsterUi, deployment: Deployment) -> None:
    """A file that is dropped starts a run; its bad records make a check warn and are listed by reason."""
    before = run_ids(deployment)
    good = [sale(f"B{number}", day="2024-03-05") for number in range(8)]
    bad = [sale("B8", channel="pigeon", day="2024-03-05"), sale("B9", quantity=0, day="2024-03-05")]
    drop(deployment, "sales", "sales_2024-03-05.csv", sales(*good, *bad))
    run = ended_run(deployment, before, SUCCESS)
    ui.open("/runs", run.run_id[:8], "sales_job")
    ui.photograph("runs")
    ui.open(f"/runs/{run.run_id}", "Success", "sales_files_sensor", "partition: 2024-03-05")
    ui.open_check("cleaned_sales", "channel_enum", "Records that broke the rule and are in rejected_sales: 1.")
    expect(ui.check_result.get_by_label("warning_outline")).to_be_visible()
    expect(ui.page.get_by_text("pigeon")).to_be_visible()
    ui.open_check("cleaned_sales", "accounting", "by_file", "sales_2024-03-05.csv")
    expect(ui.check_result.get_by_text("Passed", exact=True)).to_be_visible()
    ui.photograph("checks")
    ui.open_partition("rejected_sales", "2024-03-05", "rejects_by_reason", "channel: enum", "quantity: minimum")
    ui.photograph("rejects")


def test_a_failing_check_stops_the_mart(ui: DagsterUi, deployment: Deployment) -> None:
    """An empty catalogue fails a blocking check: the run fails, says why, and leaves the product warehouse as it is."""
    products = "SELECT count(*) FROM product_warehouse WHERE in_catalog"
    with deployment.warehouse.connection("test") as connection:
        known = connection.execute(products).fetchall()
    before = run_ids(deployment)
    drop(deployment, "products", "products_2024-03-01.json", "[]")
    run = ended_run(deployment, before, FAILURE)
    ui.open(f"/runs/{run.run_id}", "Failure", "products_files_sensor", "RUN_FAILURE")
    expect(ui.page.get_by_text(re.compile("Dependencies for step product_warehouse failed")).first).to_be_attached()
    ui.open_check("cleaned_products", "not_empty", re.compile("^Batches that are not .*: 1 of 1"))
    expect(ui.check_result.get_by_label("cancel")).to_be_visible()
    ui.photograph("blocked")
    with deployment.warehouse.connection("test") as connection:
        assert known != [(0,)]
        assert connection.execute(products).fetchall() == known


@pytest.mark.parametrize("name", sorted(spec.key.to_user_string() for spec in SPECS))
def test_no_page_of_an_asset_has_errors(name: str, ui: DagsterUi, visited: Visit) -> None:
    """Description, columns and checks of an asset are shown without an error in the console."""
    ui.open(f"/assets/{name}?view=overview", "Definition", "Description")
    ui.open(f"/assets/{name}?view=checks", "Checks")
    assert visited.errors == []


def test_daily_sales_are_shown_as_a_chart(ui: DagsterUi) -> None:
    """The metadata of a day's sales has a picture of them, told in words too."""
    ui.open_partition("product_daily_sales", LAST_DAY, "Materialized")
    ui.page.get_by_text("[Show Markdown]").first.click()
    chart = ui.page.get_by_alt_text(re.compile("^Revenue per day")).first
    expect(chart).to_be_visible()
    assert chart.evaluate("picture => picture.complete && picture.naturalWidth > 0")

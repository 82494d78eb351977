"""The asset `file_retention`: idle without settings, and what a night tells."""

import datetime as dt
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project.components.resources import PLATFORM
from orchestration_project.components.retention import NAME, NOT_SET, Retention, build_schedule
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project_tests.components.sales_files import catalogue
from orchestration_project_tests.components.workbench import Workbench, materializations, project, value

DAY = "2024-01-15"


@pytest.fixture
def bench(tmp_path: Path, data_dir: Path) -> Iterator[Workbench]:
    """The project with a catalogue that was loaded, and was written years ago."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), data_dir, instance)
        path = bench.drop("products", f"products_{DAY}.json", catalogue((1, "Tea", "drinks", 5.0)))
        os.utime(path, (1_700_000_000, 1_700_000_000))
        bench.run(job="products_job")
        yield bench


def test_nothing_happens_without_a_setting(bench: Workbench) -> None:
    """The schedule skips with the reason; by hand the run succeeds, and nothing is recorded."""
    result = bench.run(job=f"{NAME}_job")
    assert result.success
    assert materializations(result, NAME) == {}
    with dg.build_schedule_context(resources={"platform": PLATFORM}) as context:
        tick = build_schedule().evaluate_tick(context)
    assert (tick.run_requests, tick.skip_message) == ([], NOT_SET)


def test_a_night(bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run tells what was deleted and what was moved, and the archive has links."""
    monkeypatch.setenv("REPORT_KEEP_DAYS", "30")
    monkeypatch.setenv("COLD_ARCHIVE_URL", str(tmp_path / "cold"))
    monkeypatch.setenv("COLD_ARCHIVE_DAYS", "30")
    report = bench.data_dir / "reports/sales_report_2020-01-01.html"
    report.parent.mkdir(exist_ok=True)
    report.write_text("<p>")
    os.utime(report, (1_600_000_000, 1_600_000_000))
    found = materializations(bench.run(job=f"{NAME}_job"), NAME)[None].metadata
    assert (value(found, "deleted_reports"), value(found, "deleted")) == (1, ["reports/sales_report_2020-01-01.html"])
    assert (value(found, "moved_files"), value(found, "cold_archive")) == (1, str(tmp_path / "cold"))
    (link,) = [path for path in (bench.data_dir / "archive/products").rglob("*.json") if path.is_symlink()]
    assert str(link.readlink()).startswith("cold:")


def test_a_place_that_does_not_answer_is_tried_again(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warehouse that is in use is asked for again; after that the run fails, which is an alarm."""
    monkeypatch.setenv("COLD_ARCHIVE_URL", str(tmp_path / "cold"))
    monkeypatch.setenv("COLD_ARCHIVE_DAYS", "30")
    monkeypatch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0")
    with warnings.catch_warnings():
        # Of a parameter that all assets of the project have; Dagster hides it while it loads components.
        warnings.simplefilter("ignore", dg.BetaWarning)
        asset = Retention(retries=1, retry_minutes=0.001).asset([], lambda: dt.datetime.now(dt.UTC))
    alone = Workbench(
        dg.Definitions(assets=[asset], resources=dict(project().resources or {})), bench.data_dir, bench.instance
    )
    with DuckdbFile(bench.data_dir / "warehouse.duckdb").connection("a load"):
        result = alone.run(NAME, raise_on_error=False)
    assert not result.success
    assert dg.DagsterEventType.STEP_UP_FOR_RETRY in [event.event_type for event in result.all_events]

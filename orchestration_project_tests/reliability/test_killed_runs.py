"""Kills of Dagster's runs: whatever the run did not live to do is done by a re-run, the sensor or the schedule."""

import datetime as dt
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration_project.failpoints import Point
from orchestration_project.storage.writers import TAKEN
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.watch import Watch, spec_of, swept
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, project
from orchestration_project_tests.reliability.evidence import TORTURE, tried

pytestmark = pytest.mark.promise("crash")

DAY = "2024-01-15"
TABLES = ("raw_sales", "cleaned_sales", "rejected_sales", "product_daily_sales", "product_warehouse")
POINTS = [Point.STAGED, Point.COMMITTED, Point.ARCHIVED, Point.TAKEN, Point.MOVED, Point.UNLOCKED, Point.REPORTED]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """The project's code location with no data yet."""
    bench = Workbench(project(), tmp_path / "data")
    with bench.instance:
        yield bench


def deliver(bench: Workbench) -> None:
    """A file with good and bad records, and one that is refused."""
    modified = dt.datetime(2024, 2, 1, tzinfo=dt.UTC).timestamp()
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("A2", quantity="x")), modified)
    bench.drop("sales", f"bad_{DAY}.csv", "no header\n", modified)


def killed_run(bench: Workbench, point: Point) -> None:
    """Materialize by the command line; the process dies at the point."""
    environment = {"DATA_DIR": str(bench.data_dir), "DIE_AT": point, "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", f"{__package__}.doomed"]
    done = subprocess.run(
        [*command, "--select", "raw_sales,cleaned_sales,rejected_sales", "--partition", DAY],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def run_again(bench: Workbench) -> None:
    """A person runs the job for the day once more."""
    bench.run(job="sales_job", first=DAY)


def wait_for_the_sensor(bench: Workbench) -> None:
    """The sensor asks for what still lies in landing; with nothing there, the marts wait for the schedule."""
    watch = Watch(bench, spec_of("sales"))
    for request in watch.tick():
        watch.launch(request)
    wait_for_the_schedule(bench)


def wait_for_the_schedule(bench: Workbench) -> None:
    """The schedule, the morning after, sweeps landing."""
    for request in swept(bench, spec_of("sales"), dt.datetime(2024, 1, 16, 6, tzinfo=dt.UTC)):
        bench.run(job="sales_job", first=request.partition_key, tags=request.tags)


FINISHES = [run_again, wait_for_the_sensor, wait_for_the_schedule]
USUAL = list(zip([Point.COMMITTED, Point.COMMITTED, Point.UNLOCKED], FINISHES, strict=True))


def state(bench: Workbench) -> dict[str, Any]:
    """Tables, ledger and files, but what tells the run and its time, as the notes on taken files do."""
    tables = {table: bench.query(f"SELECT * FROM {table} ORDER BY ALL") for table in TABLES}
    ledger = bench.query("SELECT * EXCLUDE (run_id, seen_at, loaded_at) FROM file_ledger ORDER BY ALL")
    folders = ("landing", "archive", "quarantine")
    files = [path for folder in folders for path in (bench.data_dir / folder / "sales").rglob("*") if path.is_file()]
    files = [path for path in files if TAKEN not in path.parts]
    contents = {str(path.relative_to(bench.data_dir)): path.suffix == ".json" or path.read_bytes() for path in files}
    return {**tables, "ledger": ledger, "files": contents}


@pytest.mark.parametrize(("point", "finish"), list(product(POINTS, FINISHES)) if TORTURE else USUAL)
def test_a_run_that_was_killed(
    point: Point, finish: Callable[[Workbench], None], bench: Workbench, tmp_path: Path
) -> None:
    """Tables, ledger, landing, archive and quarantine end as after an undisturbed run."""
    undisturbed = Workbench(bench.defs, tmp_path / "undisturbed")
    deliver(undisturbed)
    with undisturbed.instance:
        run_again(undisturbed)
    deliver(bench)
    killed_run(bench, point)
    finish(bench)
    assert state(bench) == state(undisturbed)
    tried()


def test_events_come_with_the_next_run(bench: Workbench) -> None:
    """What a run committed and did not live to tell is told by the next run of the batch."""
    deliver(bench)
    killed_run(bench, Point.UNLOCKED)
    assert bench.landing("sales") == []
    run_again(bench)
    event = bench.instance.get_latest_materialization_event(dg.AssetKey("raw_sales"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.partition == DAY
    assert event.asset_materialization.metadata["dagster/partition_row_count"].value == 2

"""The asset `platform_health`: what it measures, keeps and writes, and what its checks say."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.components.health import NAME, disk_result, success_result
from orchestration_project.health.metrics import metrics_file
from orchestration_project.health.operations import Alarm, read_alarms
from orchestration_project.settings import Settings
from orchestration_project_tests.components.pages.html import Page
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.workbench import Workbench, evaluations, materializations, project, value

DAY = "2024-01-15"


@pytest.fixture
def bench(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """The project with a history on disk, and no data yet."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield Workbench(project(), data_dir, instance)


def measured(bench: Workbench) -> dg.ExecuteInProcessResult:
    return bench.run(job=f"{NAME}_job")


def of_kind(bench: Workbench, kind: str) -> dict[tuple[str, str], float]:
    """The figures of the newest measurement."""
    newest = f"measured_at = (SELECT max(measured_at) FROM {NAME}) AND subject_kind = '{kind}'"
    return {
        (row[0], row[1]): row[2] for row in bench.query(f"SELECT subject, metric, value FROM {NAME} WHERE {newest}")
    }


def test_a_loaded_platform_is_measured(bench: Workbench) -> None:
    """Runs, what waits, open rejects, quarantine, sizes and disks are rows of the table."""
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("A2", channel="fax")))
    bench.drop("sales", f"other_{DAY}.csv", "a,b\n1,2\n")
    bench.run(job="sales_job", first=DAY, raise_on_error=False)
    bench.drop("sales", "sales_2024-01-16.csv", sales(), modified=dt.datetime.now(dt.UTC).timestamp() - 3600)

    result = measured(bench)

    jobs, feeds, stores = (of_kind(bench, kind) for kind in ("job", "feed", "store"))
    assert jobs["sales_job", "runs"] == 1
    assert of_kind(bench, "schedule") == {("products_daily_schedule", "runs"): 0, ("sales_daily_schedule", "runs"): 0}
    assert jobs["sales_job", "duration_mean"] == jobs["sales_job", "duration_p95"] > 0
    assert {metric: feeds["sales", metric] for metric in ("waiting_files", "open_rejects", "quarantined_files")} == {
        "waiting_files": 1,
        "open_rejects": 1,
        "quarantined_files": 1,
    }
    assert 3600 <= feeds["sales", "waiting_oldest"] < 7200
    assert feeds["sales", "newest_batch"] == dt.datetime(2024, 1, 15, tzinfo=dt.UTC).timestamp()
    assert ("products", "newest_batch") not in feeds
    assert stores["archive", "size"] == (bench.data_dir / "archive/sales" / DAY / f"sales_{DAY}.csv").stat().st_size
    assert stores["warehouse", "size"] > 0
    assert stores["history", "size"] > 0
    assert 0 < of_kind(bench, "disk")["data", "free_share"] < 1
    metadata = materializations(result, NAME)[None].metadata
    assert {row["name"]: row["runs"] for row in value(metadata, "jobs")} == {"products_job": 0, "sales_job": 1}
    assert "data:image/svg+xml" in value(metadata, "charts")


def test_page_and_metrics_are_written(bench: Workbench) -> None:
    """Each measurement replaces the page and the file for Prometheus, which the command prints."""
    measured(bench)
    page = bench.data_dir / "reports/operations.html"
    assert "No run has ended" in Page(page.read_text(encoding="utf-8")).text

    measured(bench)

    assert f"{NAME}_job" in Page(page.read_text(encoding="utf-8")).text
    told = CliRunner().invoke(main, ["metrics"]).output
    assert f'orchestration_project_job_runs{{name="{NAME}_job"}} 1.0' in told
    assert metrics_file(Settings.from_env()).read_text(encoding="utf-8") == told


def test_a_deleted_warehouse_starts_anew(bench: Workbench) -> None:
    """The table begins again, and that the archive waits for a rebuild is still told."""
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1")))
    bench.run(job="sales_job", first=DAY, raise_on_error=False)
    measured(bench)
    Settings.from_env().database.unlink()

    measured(bench)

    assert bench.query(f"SELECT count(DISTINCT measured_at) FROM {NAME}") == [(1,)]
    told = CliRunner().invoke(main, ["status", "--json"])
    assert "rebuild the one from the other" in told.output


def test_the_platform_still_proves(bench: Workbench) -> None:
    """The table is no mart and no feed's: the verification has nothing to say about it."""
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1")))
    bench.run(job="sales_job", first=DAY, raise_on_error=False)
    measured(bench)
    assert evaluations(bench.run(job="verification_job"))["everything_proven"].passed


def test_loads_do_not_measure() -> None:
    """No feed's job runs it, and it waits for no table."""
    for job in ("sales_job", "products_job"):
        keys = project().resolve_job_def(job).asset_layer.executable_asset_keys
        assert dg.AssetKey(NAME) not in keys
    assert project().resolve_asset_graph().get(dg.AssetKey(NAME)).parent_keys == set()


@pytest.mark.parametrize(
    ("jobs", "passed", "told"),
    [
        pytest.param({"a": (20, 0.95)}, True, "1 job(s)", id="often enough"),
        pytest.param({"a": (10, 0.9)}, True, "1 job(s)", id="just often enough"),
        pytest.param({"a": (20, 0.95), "b": (10, 0.8)}, False, "b 80.0%", id="one too seldom"),
        pytest.param({"a": (9, 0.1)}, True, "0 job(s)", id="too few runs to tell"),
        pytest.param({}, True, "0 job(s)", id="no runs"),
    ],
)
def test_success_rate(jobs: dict[str, tuple[int, float]], passed: bool, told: str) -> None:
    """It warns of each job of which too many of at least ten runs failed."""
    values = {name: {"runs": float(runs), "success_30_days": share} for name, (runs, share) in jobs.items()}
    found = success_result(values, 0.9)
    assert (found.passed, found.severity) == (passed, dg.AssetCheckSeverity.WARN)
    assert told in (found.description or "")


@pytest.mark.parametrize(
    ("share", "passed"), [pytest.param(0.1, True, id="enough"), pytest.param(0.09, False, id="too little")]
)
def test_disk_space(share: float, passed: bool) -> None:
    """It warns of a disk that is nearly full, and says what to do."""
    found = disk_result({"data": {"free_share": share}}, 0.1)
    assert found.passed is passed
    assert ("Make room" in (found.description or "")) is not passed


def test_alarms_that_are_on_are_read(tmp_path: Path) -> None:
    """The oldest comes first; what is over is left out; no file, or one of another kind, is no alarm."""
    path = tmp_path / "alarms.sqlite"
    assert read_alarms(path) is None
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alarms (id, subject, what, severity, since, todo, off_since)")
        rows = [("2", "b", "B", "warn", 60.0, "do", None), ("1", "a", "A", "error", 0.0, "", None)]
        connection.executemany("INSERT INTO alarms VALUES (?, ?, ?, ?, ?, ?, ?)", [*rows, ("3", *rows[0][1:6], 70.0)])
    begin = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert read_alarms(path) == [
        Alarm("a", "A", "error", begin, ""),
        Alarm("b", "B", "warn", begin + dt.timedelta(minutes=1), "do"),
    ]
    path.write_bytes(b"no database" * 1000)
    assert read_alarms(path) is None

"""The asset `warehouse_backup`: idle without a place, a night in Dagster's terms, and who hears of what is wrong."""

import datetime as dt
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project.backup.vault import NOT_SET
from orchestration_project.components.backup import CHECK, NAME, Backup, build_schedule
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.resources import PLATFORM
from orchestration_project.inspection.findings import Proof
from orchestration_project.settings import Settings
from orchestration_project.storage.feed_state import read_checks
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, evaluations, materializations, project, value

DAY = "2024-01-15"


@pytest.fixture
def bench(tmp_path: Path, data_dir: Path) -> Iterator[Workbench]:
    """The project with a day of sales."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), data_dir, instance)
        bench.drop("products", f"products_{DAY}.json", catalogue((1, "Tea", "drinks", 5.0)))
        bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("bad", quantity="x")))
        yield bench


def alone(bench: Workbench, component: Backup) -> Workbench:
    """The asset of a component without feeds, on a day that is no Sunday."""
    return over(bench, component, [], [], dt.datetime(2024, 3, 1, 2, tzinfo=dt.UTC))


def over(
    bench: Workbench, component: Backup, specs: Sequence[FeedSpec], proofs: Sequence[Proof], now: dt.datetime
) -> Workbench:
    """The asset of a component at a moment, over the data and the history of the project."""
    with warnings.catch_warnings():
        # Of a parameter that all assets of the project have; Dagster hides it while it loads components.
        warnings.simplefilter("ignore", dg.BetaWarning)
        asset = component.asset(specs, proofs, lambda: now)
    defs = dg.Definitions(assets=[asset], resources=dict(project().resources or {}))
    return Workbench(defs, bench.data_dir, bench.instance)


def test_nothing_happens_without_a_place(bench: Workbench, data_dir: Path) -> None:
    """The schedule skips with the reason; by hand the run succeeds, says so, and no backup is recorded."""
    result = bench.run(job=f"{NAME}_job")
    assert result.success
    assert materializations(result, NAME) == {}
    warning = evaluations(result)[CHECK]
    assert (warning.passed, warning.severity, warning.description) == (False, dg.AssetCheckSeverity.WARN, NOT_SET)
    assert not (data_dir / ".backup").exists()
    with dg.build_schedule_context(resources={"platform": PLATFORM}) as context:
        tick = build_schedule().evaluate_tick(context)
    assert (tick.run_requests, tick.skip_message) == ([], NOT_SET)


def test_a_night(bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run tells what was saved, what of it is new, and what was restored and compared."""
    monkeypatch.setenv("BACKUP_URL", str(tmp_path / "vault"))
    result = alone(bench, Backup(retries=0)).run(NAME)
    found = materializations(result, NAME)[None].metadata
    assert value(found, "place") == str(tmp_path / "vault")
    assert (value(found, "files"), value(found, "encrypted"), value(found, "findings")) == (2, False, [])
    assert value(found, "checked_objects") == value(found, "new_objects") > 2
    assert evaluations(result)[CHECK].passed


def test_damage_fails_the_check_and_is_noted_for_alarms(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup that is not what was saved fails the check, whose note the alarms sensor reads; the next one heals."""
    monkeypatch.setenv("BACKUP_URL", str(tmp_path / "vault"))
    alone(bench, Backup()).run(NAME)
    snapshots = tmp_path / "vault/snapshots"
    for path in (tmp_path / "vault/objects").rglob("*"):
        if path.is_file():
            path.write_bytes(b"x" * path.stat().st_size)
    # Objects that are there with their size are named again; with the sample of one day all are looked at.
    result = alone(bench, Backup(sample_days=1, retries=0)).run(NAME)
    check = evaluations(result)[CHECK]
    assert not check.passed
    assert "nothing old was deleted" in (check.description or "")
    (state,) = [state for state in read_checks(Settings(data_dir=bench.data_dir)) if state.asset == NAME]
    assert (state.name, state.failed) == (CHECK, True)
    assert len(list(snapshots.iterdir())) == 2
    assert evaluations(alone(bench, Backup(sample_days=1, retries=0)).run(NAME))[CHECK].passed


def test_a_place_that_loses_objects_is_an_alarm(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it was stored again at once, what was missing or cut off fails the check; the next night passes."""
    monkeypatch.setenv("BACKUP_URL", str(tmp_path / "vault"))
    alone(bench, Backup()).run(NAME)
    first, second, *_ = sorted(path for path in (tmp_path / "vault/objects").rglob("*") if path.is_file())
    first.unlink()
    second.write_bytes(b"")
    check = evaluations(alone(bench, Backup(retries=0)).run(NAME))[CHECK]
    assert not check.passed
    assert "2 object(s) are missing or cut off" in (check.description or "")
    (state,) = [state for state in read_checks(Settings(data_dir=bench.data_dir)) if state.asset == NAME]
    assert (state.name, state.failed) == (CHECK, True)
    assert evaluations(alone(bench, Backup(retries=0)).run(NAME))[CHECK].passed


def test_what_passes_by_itself_is_tried_again(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warehouse that is in use is asked for again; after that the run fails, which is an alarm of its own."""
    monkeypatch.setenv("BACKUP_URL", str(tmp_path / "vault"))
    monkeypatch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0")
    with DuckdbFile(bench.data_dir / "warehouse.duckdb").connection("a load"):
        result = alone(bench, Backup(retries=1, retry_minutes=0.001)).run(NAME, raise_on_error=False)
    assert not result.success
    assert dg.DagsterEventType.STEP_UP_FOR_RETRY in [event.event_type for event in result.all_events]


def test_a_whole_night_by_weekday(bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the days that are named the restored copy is proven by the platform and a batch is loaded again."""
    from orchestration_project.cli.project import SHOP

    bench.run(job="products_job")
    bench.run(job="sales_job", first=DAY)
    monkeypatch.setenv("BACKUP_URL", str(tmp_path / "vault"))
    specs, proofs = SHOP.feeds_and_proofs()
    sunday = dt.datetime(2024, 3, 3, 2, tzinfo=dt.UTC)
    result = over(bench, Backup(retries=0), [*specs.values()], proofs, sunday).run(NAME)
    assert evaluations(result)[CHECK].passed
    logged = [event.message for event in bench.instance.all_logs(result.run_id)]
    assert any("sales: batch 2024-01-15 is loaded again from its restored files" in line for line in logged)

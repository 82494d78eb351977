"""The event log: it tells what the stock one tells, whoever wrote it, and whatever became of the writer."""

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._cli.utils import get_temporary_instance_for_cli
from dagster._core.events import EngineEventData
from dagster._core.storage.event_log import SqliteEventLogStorage

from orchestration_project.components.event_log import FOLDER, INDEX, EventLog
from orchestration_project.storage.archive import ensure_folder
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.reliability.evidence import effort, tried

KEY = dg.AssetKey("sold")
CHECK = dg.AssetCheckKey(KEY, "some")
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
WRITER = """
import sys, dagster as dg
from dagster._core.events import EngineEventData
home, run_id, name, count = sys.argv[1:]
with dg.DagsterInstance.from_config(home) as instance:
    run = instance.get_run_by_id(run_id)
    for number in range(int(count)):
        instance.report_engine_event(f"{name} {number}", run, EngineEventData())
        instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=str(number)))
        print(number, flush=True)
"""


@dg.asset(
    partitions_def=dg.DailyPartitionsDefinition(DAYS[0], end_date="2024-02-01"),
    check_specs=[dg.AssetCheckSpec("some", asset="sold")],
)
def sold(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """An asset with a check and a line of log."""
    context.log.info("sold out")
    yield dg.MaterializeResult(metadata={"pieces": 7}, check_results=[dg.AssetCheckResult(passed=False)])


@contextmanager
def dagster(home: Path, stock: bool = False) -> Iterator[dg.DagsterInstance]:
    """Dagster with the project's configuration, or without any."""
    ensure_folder(home)
    configuration = home / "dagster.yaml"
    configuration.unlink(missing_ok=True)
    if not stock:
        configuration.symlink_to(REPOSITORY / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance.event_log_storage) is (SqliteEventLogStorage if stock else EventLog)
        yield instance


def sell(instance: dg.DagsterInstance) -> str:
    """Materialize three days in one run; its id."""
    tags = {"dagster/asset_partition_range_start": DAYS[0], "dagster/asset_partition_range_end": DAYS[-1]}
    return dg.materialize([sold], instance=instance, tags=tags).run_id


def told(instance: dg.DagsterInstance, run_id: str) -> list[Any]:
    """What the UI asks for, of a run and of its asset; without what differs between two runs."""
    events = [
        (event and (event.event_type, event.partition), entry.step_key, entry.level)
        for entry in instance.all_logs(run_id)
        for event in [entry.dagster_event]
    ]
    found = instance.fetch_materializations(KEY, limit=10).records
    pieces = [(record.partition_key, dict(record.asset_materialization.metadata)) for record in found]  # type: ignore[union-attr]
    (asset,) = instance.get_asset_records([KEY])
    evaluations = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10)
    steps = {step.step_key: (step.status, step.materialization_events) for step in instance.get_run_step_stats(run_id)}
    changes = instance.fetch_run_status_changes(dg.DagsterEventType.RUN_SUCCESS, limit=10).records
    return [
        events,
        pieces,
        sorted(instance.get_materialized_partitions(KEY)),
        asset.asset_entry.last_run_id == run_id,
        [(evaluation.status, evaluation.partition, evaluation.run_id == run_id) for evaluation in evaluations],
        [status for status, _ in steps.values()],
        [record.run_id == run_id for record in changes],
    ]


def test_it_tells_what_the_stock_one_tells(tmp_path: Path) -> None:
    """Of the same run both tell the same events, materializations, check results, statistics and status changes."""
    with dagster(tmp_path / "ours") as ours, dagster(tmp_path / "stock", stock=True) as stock:
        assert told(ours, sell(ours)) == told(stock, sell(stock))


@pytest.mark.parametrize("stock_writes", [pytest.param(True, id="stock-writes"), pytest.param(False, id="stock-reads")])
def test_history_is_the_same_for_both(tmp_path: Path, stock_writes: bool) -> None:
    """A history that one of them made is continued by the other, and read by both."""
    with dagster(tmp_path, stock=stock_writes) as first:
        run_id = sell(first)
        before = told(first, run_id)
    with dagster(tmp_path, stock=not stock_writes) as second:
        assert told(second, run_id) == before
        sell(second)
    with dagster(tmp_path, stock=stock_writes) as first:
        assert len(first.fetch_materializations(KEY, limit=10).records) == 2 * len(DAYS)


def test_no_other_dagster_is_allowed() -> None:
    """It uses private classes, so the package admits exactly the Dagster that these tests run on."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"dagster=={dg.__version__}" in project["dependencies"]


def writer(home: Path, run_id: str, name: str, count: int) -> "subprocess.Popen[str]":
    """A process that writes to a run's log and to the index."""
    command = [sys.executable, "-c", WRITER, str(home), run_id, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def written(instance: dg.DagsterInstance, run_id: str, name: str) -> tuple[int, int]:
    """How many events of a writer are in the run's log, and how many in the index."""
    events = [entry for entry in instance.all_logs(run_id) if f"{name} " in str(entry.dagster_event)]
    return len(events), len(instance.fetch_materializations(dg.AssetKey(name), limit=1000).records)


@pytest.mark.promise("concurrency")
def test_processes_write_at_once(tmp_path: Path) -> None:
    """What several processes write to one run at the same time is all there, while another one reads."""
    count = effort(10, 60)
    with dagster(tmp_path) as instance:
        run_id = sell(instance)
        writers = {name: writer(tmp_path, run_id, name, count) for name in ("a", "b", "c")}
        for name, process in writers.items():
            with closing(process.stdout or sys.stdin):
                while process.poll() is None:
                    written(instance, run_id, name)
            assert process.returncode == 0
            assert written(instance, run_id, name) == (count, count)
            tried()


@pytest.mark.promise("crash")
@pytest.mark.parametrize("lived", range(1, effort(2, 8)))
def test_what_a_killed_process_has_told_is_there(tmp_path: Path, lived: int) -> None:
    """Every event that was stored before a kill is there afterwards, and the log can be written to."""
    with dagster(tmp_path) as instance:
        run_id = sell(instance)
        with writer(tmp_path, run_id, "a", 10_000) as process:
            for _ in range(lived):
                assert process.stdout
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        events, materializations = written(instance, run_id, "a")
        assert lived <= materializations <= events <= materializations + 1
        sell(instance)
        tried()


def test_a_run_that_ended_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a run ends, its events and the index are written to disk; for other events nobody waits."""
    flushed: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    with dagster(tmp_path) as instance:
        run = instance.create_run_for_job(dg.job(name="nothing")(lambda: None))
        instance.report_engine_event("begun", run, EngineEventData())
        monkeypatch.setattr(os, "fsync", noted)
        instance.report_engine_event("busy", run, EngineEventData())
        assert not flushed
        instance.report_run_failed(run)
        assert flushed == [f"{run.run_id}.db-wal", f"{INDEX}.db-wal"]


def test_a_deleted_run_is_not_written_to_a_file_that_is_gone(tmp_path: Path) -> None:
    """Where another process has deleted the databases, the next event makes new ones."""
    with dagster(tmp_path) as instance:
        run_id = sell(instance)
        for path in (tmp_path / FOLDER).glob("*.db*"):
            path.unlink()
        assert not instance.all_logs(run_id)
        new = sell(instance)
        assert len(instance.fetch_materializations(KEY, limit=10).records) == len(DAYS)
    with dagster(tmp_path, stock=True) as instance:
        assert instance.all_logs(new)


def test_few_databases_stay_open(tmp_path: Path) -> None:
    """However many runs are looked at, the index and one of them are open."""
    with dagster(tmp_path) as instance:
        runs = [sell(instance) for _ in range(3)]
        assert all(instance.all_logs(run_id) for run_id in runs)
        opened = {path.resolve().name for path in Path("/proc/self/fd").iterdir() if path.resolve().suffix == ".db"}
        assert opened & {f"{run_id}.db" for run_id in runs} == {f"{runs[-1]}.db"}
        assert f"{INDEX}.db" in opened
    closed = {path.resolve() for path in Path("/proc/self/fd").iterdir()}
    assert not [path for path in closed if path.is_relative_to(tmp_path / FOLDER)]


def test_without_a_home_the_history_is_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the project's dagster.yaml, without DAGSTER_HOME, the folder is the one that Dagster's commands make."""
    (tmp_path / "dagster.yaml").symlink_to(REPOSITORY / "dagster.yaml")
    monkeypatch.chdir(tmp_path)
    with get_temporary_instance_for_cli() as instance:
        assert told(instance, sell(instance))
        assert Path(instance.root_directory, FOLDER, f"{INDEX}.db").exists()

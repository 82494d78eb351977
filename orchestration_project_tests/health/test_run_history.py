"""The copy of Dagster's finished runs: complete, bounded, and safe beside other processes."""

import datetime as dt
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project.health.run_history import FILE, FinishedRun, RunHistory, newest_materialization

LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
NO_OVERLAP = dt.timedelta(0)
SCHEDULED = {
    "feed": "orders",
    "dagster/schedule_name": "orders_daily_schedule",
    ".dagster/scheduled_execution_time": "2026-03-01T06:00:00+00:00",
    "dagster/partition": "2026-02-28",
}


@dg.op(config_schema={"fails": dg.Field(bool, default_value=False)})
def work(context: dg.OpExecutionContext) -> None:
    if context.op_config["fails"]:
        raise dg.Failure("told to fail", allow_retries=False)


@dg.job(executor_def=dg.in_process_executor)
def orders_job() -> None:
    work()


@dg.job(executor_def=dg.in_process_executor)
def other_job() -> None:
    work()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield instance


@pytest.fixture
def history(tmp_path: Path) -> RunHistory:
    """A copy that reads nothing twice."""
    return RunHistory(tmp_path / "data" / FILE, overlap=NO_OVERLAP)


def run(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition = orders_job,
    fails: bool = False,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Let a job run to its end; returns its id."""
    config = {"ops": {"work": {"config": {"fails": fails}}}}
    return job.execute_in_process(config, instance=instance, tags=tags, raise_on_error=False).run_id


def ids(runs: list[FinishedRun]) -> list[str]:
    return [each.run_id for each in runs]


def test_a_run_is_copied_with_what_dagster_knows_of_it(instance: dg.DagsterInstance, history: RunHistory) -> None:
    """Job, feed, status, partition, schedule, the planned moment and the real ones are Dagster's."""
    run_id = run(instance, tags=SCHEDULED)
    record = instance.get_run_record_by_id(run_id)
    assert record

    history.refresh(instance)

    [found] = history.finished(LONG_AGO)
    assert history.latest_of_schedule("orders_daily_schedule", 10) == [found]
    assert (found.run_id, found.job, found.feed, found.status) == (run_id, "orders_job", "orders", "SUCCESS")
    assert (found.first, found.last, found.schedule, found.sensor) == (
        "2026-02-28",
        "2026-02-28",
        "orders_daily_schedule",
        "",
    )
    assert found.planned == dt.datetime(2026, 3, 1, 6, tzinfo=dt.UTC)
    assert found.created == record.create_timestamp
    assert found.started
    assert (found.started.timestamp(), found.ended.timestamp()) == (record.start_time, record.end_time)
    assert found.succeeded


def test_a_range_of_partitions_and_a_failure_are_told(instance: dg.DagsterInstance, history: RunHistory) -> None:
    """A run over a range has its first and last partition; one that failed says so."""
    tags = {"dagster/asset_partition_range_start": "2026-02-01", "dagster/asset_partition_range_end": "2026-02-07"}
    run(instance, fails=True, tags=tags)

    history.refresh(instance)

    [found] = history.finished(LONG_AGO)
    assert (found.first, found.last, found.failed) == ("2026-02-01", "2026-02-07", True)


def test_assets_that_were_chosen_by_hand_are_told(instance: dg.DagsterInstance, history: RunHistory) -> None:
    """A run that was started for some assets names them, and their last materialization is known."""

    @dg.asset
    def orders() -> None:
        """An asset without data."""

    assert newest_materialization(instance, [orders.key]) is None
    dg.Definitions([orders]).resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=[orders.key]
    )

    history.refresh(instance)

    [found] = history.finished(LONG_AGO)
    assert (found.job, found.assets) == ("__ASSET_JOB", ("orders",))
    assert found.started
    materialized = newest_materialization(instance, [orders.key])
    assert materialized
    assert found.started <= materialized <= found.ended


def test_a_refresh_reads_only_what_is_new(instance: dg.DagsterInstance, history: RunHistory) -> None:
    """However many runs are known, a refresh reads those that ended since the last one."""
    for _ in range(6):
        run(instance)
    assert history.refresh(instance).records == 6
    assert history.refresh(instance).records == 0

    run_id = run(instance)

    assert history.refresh(instance).records == 1
    assert ids(history.finished(LONG_AGO))[-1] == run_id


def test_the_recent_past_is_read_again(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A run whose end became visible late is found, because a refresh looks back a little."""
    history = RunHistory(tmp_path / FILE, overlap=dt.timedelta(hours=1))
    run(instance)
    history.refresh(instance)
    with sqlite3.connect(history.path) as connection:
        connection.execute("DELETE FROM runs")
    connection.close()

    assert history.refresh(instance).records == 1
    assert len(history.finished(LONG_AGO)) == 1


def test_a_long_history_is_read_over_several_calls_newest_first(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A refresh reads a bounded number of records; until all are read, the newest ones are known."""
    history = RunHistory(tmp_path / FILE, page=2, pages=2, overlap=NO_OVERLAP)
    runs = [run(instance) for _ in range(7)]

    first = history.refresh(instance)
    assert (first.records, first.complete, history.is_complete()) == (4, False, False)
    assert ids(history.finished(LONG_AGO)) == runs[3:]
    meanwhile = run(instance)

    second = history.refresh(instance)
    assert (second.records, second.complete, history.is_complete()) == (3, True, True)
    assert ids(history.finished(LONG_AGO)) == runs

    assert history.refresh(instance).records == 1
    assert ids(history.finished(LONG_AGO)) == [*runs, meanwhile]


def test_runs_under_way_are_copied_once_they_have_ended(instance: dg.DagsterInstance, history: RunHistory) -> None:
    """A run that had not ended when its record was read comes with a later refresh."""
    waiting = instance.create_run_for_job(orders_job)
    run(instance)
    history.refresh(instance)
    assert waiting.run_id not in ids(history.finished(LONG_AGO))

    instance.report_run_failed(waiting)
    history.refresh(instance)

    assert ids(history.finished(LONG_AGO))[-1] == waiting.run_id


def test_a_run_that_never_started_has_no_start(instance: dg.DagsterInstance, history: RunHistory) -> None:
    """A run that was cancelled in the queue has an end, and neither failed nor succeeded."""
    waiting = instance.create_run_for_job(orders_job)
    instance.report_run_canceled(waiting)

    history.refresh(instance)

    [found] = history.finished(LONG_AGO)
    assert (found.status, found.started, found.failed, found.succeeded) == ("CANCELED", None, False, False)


def test_a_deleted_run_does_not_stop_a_pass(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """When the run that was read last is deleted in Dagster, the pass starts anew and misses nothing."""
    history = RunHistory(tmp_path / FILE, page=1, pages=2, overlap=NO_OVERLAP)
    runs = [run(instance) for _ in range(3)]
    history.refresh(instance)
    instance.delete_run(runs[1])

    while not history.refresh(instance).complete:
        pass

    assert ids(history.finished(LONG_AGO)) == runs


def test_runs_are_forgotten_after_some_time(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """What is older than the copy keeps is neither kept nor read to the end."""
    for _ in range(4):
        run(instance)

    refreshed = RunHistory(tmp_path / FILE, keep=dt.timedelta(0), page=2).refresh(instance)

    assert (refreshed.records, refreshed.complete) == (2, True)
    assert RunHistory(tmp_path / FILE).finished(LONG_AGO) == []


def test_last_runs_are_told_for_each_job_and_partition(instance: dg.DagsterInstance, history: RunHistory) -> None:
    """For each job and partition the newest success and the newest failure are told, cancelled runs are not."""
    day = {"dagster/partition": "2026-02-28"}
    run(instance, tags=day)
    failure = run(instance, fails=True, tags=day)
    success = run(instance, tags=day)
    other = run(instance, other_job, fails=True)
    history.refresh(instance)

    found = {(each.job, each.first): each for each in history.last_runs()}

    assert set(found) == {("orders_job", "2026-02-28"), ("other_job", "")}
    last = found["orders_job", "2026-02-28"]
    assert last.success
    assert last.failure
    assert (last.success.run_id, last.failure.run_id) == (success, failure)
    assert found["other_job", ""].success is None
    assert ids(history.latest("other_job", 10)) == [other]
    assert ids(history.latest("orders_job", 2)) == [failure, success]
    assert ids(history.finished(LONG_AGO, "other_job")) == [other]


def test_several_refresh_at_once(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Processes that refresh the same new file at once leave each run in it once."""
    runs = [run(instance) for _ in range(8)]

    def refresh(_: int) -> None:
        history = RunHistory(tmp_path / FILE, page=2, pages=2, overlap=NO_OVERLAP)
        while not history.refresh(instance).complete:
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(refresh, range(4)))

    assert ids(RunHistory(tmp_path / FILE).finished(LONG_AGO)) == runs


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no database" * 1000, id="another file"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_made_anew(
    instance: dg.DagsterInstance, history: RunHistory, content: bytes
) -> None:
    """The copy is only a cache: a damaged one is replaced and read again."""
    run_id = run(instance)
    history.path.parent.mkdir()
    history.path.write_bytes(content)

    history.refresh(instance)

    assert ids(history.finished(LONG_AGO)) == [run_id]


def test_damage_that_is_found_late_does_not_last(instance: dg.DagsterInstance, history: RunHistory) -> None:
    """A file whose first page is whole fails once, and is made anew by the next refresh."""
    run_id = run(instance)
    history.refresh(instance)
    content = history.path.read_bytes()
    history.path.write_bytes(content[:4096] + b"x" * (len(content) - 4096))
    with pytest.raises(sqlite3.DatabaseError):
        history.finished(LONG_AGO)

    history.refresh(instance)

    assert ids(history.finished(LONG_AGO)) == [run_id]

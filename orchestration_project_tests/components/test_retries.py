"""Failed runs are tried again when the fault passes by itself, later and later, and by nobody else at the same time."""

import datetime as dt
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import dagster as dg
import pandas as pd
import pytest

from orchestration_project.components import retries
from orchestration_project.components.project import with_platform
from orchestration_project.components.retries import ASKED_AGAIN
from orchestration_project.inspection.runs import causes_of
from orchestration_project.storage.sensor_evaluation import MAX_REQUESTS
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project_tests.components.sales_files import sale
from orchestration_project_tests.components.watch import Watch, batches, spec_of, swept
from orchestration_project_tests.reliability.contention import HOLD_LOCK, holder

DAY = "2024-01-15"
MINUTE = 60
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@contextmanager
def busy(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody has the warehouse, and loads don't wait."""
    monkeypatch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0.1")
    with DuckdbFile(watch.bench.data_dir / "warehouse.duckdb").connection("a long query"):
        yield


def failed(watch: Watch, request: dg.RunRequest) -> None:
    """Run what was requested; it fails."""
    assert not watch.launch(request, raise_on_error=False).success


@pytest.fixture
def now(watch: Watch) -> Watch:
    """A sensor by the real clock, which the history of runs has too."""
    watch.now = time.time()
    return watch


def test_a_busy_warehouse(now: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that found the warehouse busy is tried again after 5 minutes, then after 10, then no more."""
    with busy(now, monkeypatch):
        failed(now, dg.RunRequest("by the schedule", partition_key=DAY))
        assert now.tick(4 * MINUTE) == []
        (first,) = now.tick(2 * MINUTE)
        assert batches([first]) == [(DAY, DAY)]
        failed(now, first)
        assert now.tick(0) == []
        (second,) = now.tick(5 * MINUTE)
        assert second.tags["retry_number"] == "2"
        failed(now, second)
    assert now.tick(60 * MINUTE) == []


def test_a_retry_that_succeeds(now: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a retry that succeeded nothing is requested any more; a tick that is repeated requests the same run."""
    with busy(now, monkeypatch):
        failed(now, dg.RunRequest("by the schedule", tags={START: "2024-01-15", END: "2024-01-17"}))
    (request,) = now.tick(6 * MINUTE)
    assert now.tick(0) == [request]
    assert batches([request]) == [("2024-01-15", "2024-01-17")]
    assert now.launch(request).success
    assert now.tick(60 * MINUTE) == []


def test_files_in_landing(now: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches with files in landing are requested for these files alone, not a second time."""
    now.drop(f"sales_{DAY}.csv", sale("A1"))
    (request,) = now.tick()
    with busy(now, monkeypatch):
        failed(now, request)
    (again,) = now.tick(6 * MINUTE)
    assert "retry_number" not in again.tags
    assert now.launch(again).success
    assert now.tick(60 * MINUTE) == []


def test_a_later_run(now: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is not tried again when somebody has run its batch since; of another batch that run says nothing."""
    with busy(now, monkeypatch):
        failed(now, dg.RunRequest("first", partition_key=DAY))
        failed(now, dg.RunRequest("other", partition_key="2024-01-20"))
    assert now.launch(dg.RunRequest("by hand", partition_key=DAY)).success
    assert batches(now.tick(6 * MINUTE)) == [("2024-01-20", "2024-01-20")]


def test_a_fault_that_does_not_pass(now: Watch) -> None:
    """A run that failed for something that needs a person, such as a broken warehouse, is not tried again."""
    now.bench.data_dir.mkdir()
    (now.bench.data_dir / "warehouse.duckdb").write_bytes(b"no database" * 1000)
    failed(now, dg.RunRequest("by the schedule", partition_key=DAY))
    assert now.tick(60 * MINUTE) == []


@pytest.fixture
def held(now: Watch, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another process has the warehouse; who asks for it by hand waits longer than a run that is requested again."""
    monkeypatch.setattr(retries, "MOMENT_SECONDS", 0.2)
    monkeypatch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0.5")
    with holder(HOLD_LOCK, now.bench.data_dir / "warehouse.duckdb"):
        yield


def waited(result: dg.ExecuteInProcessResult) -> str:
    """How long a run has waited for the warehouse, by its error."""
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    texts = [cause.message for error in errors for cause in causes_of(error)]
    (found,) = {match[1] for text in texts if (match := re.search(r"waited ([\d.]+) s", text))}
    return found


@pytest.mark.usefixtures("held")
def test_runs_that_are_requested_again_wait_for_a_moment(now: Watch) -> None:
    """A run of the sensor, of the schedule, and a retry hold the pool's slot for a moment only, and are tried again."""
    now.drop(f"sales_{DAY}.csv", sale("A1"))
    (by_sensor,) = now.tick()
    by_schedule = swept(now.bench, now.spec, dt.datetime(2024, 1, 20, 6, tzinfo=dt.UTC))
    assert [waited(now.launch(request, raise_on_error=False)) for request in (by_sensor, *by_schedule)] == ["0.2"] * 3
    (empty,) = [request for request in by_schedule if request.partition_key != DAY]
    again = now.tick(6 * MINUTE)
    assert {(*batches([request]), request.tags.get("retry_number")) for request in again} == {
        ((DAY, DAY), None),
        ((empty.partition_key, empty.partition_key), "1"),
    }
    assert [waited(now.launch(request, raise_on_error=False)) for request in again] == ["0.2"] * 2


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    "tags",
    [
        pytest.param({}, id="launched"),
        pytest.param({**ASKED_AGAIN, "dagster/parent_run_id": "x"}, id="re-executed"),
    ],
)
def test_runs_by_hand_wait_as_the_setting_says(now: Watch, tags: dict[str, str]) -> None:
    """A run that somebody started, or re-executed after the sensor had, waits for `WAREHOUSE_LOCK_TIMEOUT`."""
    request = dg.RunRequest("by hand", partition_key=DAY, tags=tags)
    assert waited(now.launch(request, raise_on_error=False)) == "0.5"


@pytest.mark.usefixtures("held")
def test_where_nothing_is_tried_again_the_schedule_waits(now: Watch) -> None:
    """With `retries: 0` nobody asks for a run of the schedule again, so it waits as the setting says."""
    never = spec_of("sales", retries=0)
    (request,) = swept(now.bench, never, dt.datetime(2024, 1, 20, 6, tzinfo=dt.UTC))
    assert waited(now.launch(request, raise_on_error=False)) == "0.5"


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(("tags", "seconds"), [(ASKED_AGAIN, "0.2"), ({}, "0.5")], ids=["requested again", "by hand"])
def test_tables_of_dataframes_wait_alike(now: Watch, tags: dict[str, str], seconds: str) -> None:
    """The IO manager, which has a platform of its own, waits as long as the run's assets do."""

    @dg.asset
    def numbers() -> pd.DataFrame:
        return pd.DataFrame({"number": [1]})

    bench = replace(now.bench, defs=with_platform(dg.Definitions([numbers])))
    assert waited(bench.run("numbers", tags=tags, raise_on_error=False)) == seconds


@pytest.mark.usefixtures("held")
def test_a_busy_warehouse_gives_no_file_up(now: Watch) -> None:
    """However many runs have found the warehouse busy, the next one is requested."""
    now.drop(f"sales_{DAY}.csv", sale("A1"))
    for _ in range(MAX_REQUESTS + 2):
        (request,) = now.tick(8 * MINUTE)
        failed(now, request)

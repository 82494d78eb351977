"""Failed runs are tried again when the fault passes by itself, later and later, and by nobody else at the same time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.components.sales_files import sale
from orchestration_project_tests.components.watch import Watch, batches

DAY = "2024-01-15"
MINUTE = 60
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@contextmanager
def busy(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody has the warehouse, and loads don't wait."""
    monkeypatch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0.1")
    with Warehouse(watch.bench.data_dir / "warehouse.duckdb").connection("a long query"):
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

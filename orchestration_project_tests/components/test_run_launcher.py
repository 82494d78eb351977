"""The run launcher: whether a run's process is gone, asked of real processes and a real instance."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus
from filelock import FileLock

from orchestration_project.components import run_launcher
from orchestration_project.components.run_launcher import MADE, HistoryError, LocalRunLauncher, is_running, make_history
from orchestration_project_tests.components.workbench import REPOSITORY

pytestmark = pytest.mark.promise("crash")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster with the project's dagster.yaml."""
    (tmp_path / "dagster.yaml").symlink_to(REPOSITORY / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def health(instance: dg.DagsterInstance, *pids: int) -> WorkerStatus:
    """What the launcher says of a run that told of some processes."""

    @dg.job
    def nothing() -> None:
        """A job without ops."""

    run = instance.create_run_for_job(nothing)
    for pid in pids:
        instance.report_engine_event("Started process for run", run, EngineEventData.in_process(pid))
    status: WorkerStatus = instance.run_launcher.check_run_worker_health(run).status
    return status


def test_the_instance_uses_it(instance: dg.DagsterInstance) -> None:
    """With the project's dagster.yaml run monitoring asks this launcher."""
    assert isinstance(instance.run_launcher, LocalRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health


@pytest.mark.found("A run that was killed together with the code server blocked all others for two hours.")
def test_a_killed_process_is_noticed(instance: dg.DagsterInstance, child: subprocess.Popen[bytes]) -> None:
    """A run is healthy as long as its first process runs, and has failed once that was killed."""
    assert health(instance, child.pid) is WorkerStatus.RUNNING
    child.kill()
    child.wait()
    assert health(instance, child.pid) is WorkerStatus.FAILED
    assert health(instance, os.getpid(), child.pid) is WorkerStatus.RUNNING


def test_a_run_whose_process_is_not_known_is_left_alone(instance: dg.DagsterInstance) -> None:
    """A run that has not told its process yet is not declared dead."""
    assert health(instance) is WorkerStatus.RUNNING


def test_a_process_of_somebody_else_runs() -> None:
    """A process that may not be signalled is there."""
    assert is_running(1, time.time())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells when a process started")
def test_another_process_with_the_same_id_does_not_count(child: subprocess.Popen[bytes]) -> None:
    """An id that was given to a new process, and a dead one that nobody has waited for, are not the run's process."""
    assert not is_running(child.pid, time.time() - 3600)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running(child.pid, time.time())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A Dagster home with the project's configuration and no history."""
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    return tmp_path


def test_all_databases_are_made_once(home: Path) -> None:
    """The databases of runs, events and schedules are there afterwards; a second time nothing is touched."""
    make_history(home)
    databases = {path.name: path.stat().st_mtime_ns for path in home.rglob("*.db")}
    assert set(databases) == {"runs.db", "index.db", "schedules.db"}
    make_history(home)
    assert {path.name: path.stat().st_mtime_ns for path in home.rglob("*.db")} == databases


def test_who_waits_too_long_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs while it makes the history does not stop the others for ever."""
    monkeypatch.setattr(run_launcher, "PATIENCE_SECONDS", 0.1)
    with FileLock(home / f"{MADE}.lock"), pytest.raises(HistoryError, match="stop it and try again"):
        make_history(home)
    assert not (home / MADE).exists()


def test_make_targets_that_start_dagster_make_the_history_first() -> None:
    """`make run` and `make dev` depend on the target that makes the history."""
    lines = (REPOSITORY / "Makefile").read_text(encoding="utf-8").splitlines()
    for target in ("run", "dev"):
        (rule,) = [line for line in lines if line.startswith(f"{target}:")]
        assert "history" in rule.partition("##")[0].split()

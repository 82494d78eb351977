"""Dagster's own processes on one machine: a launcher that notices dead runs, and a history that is made only once.

The stock launcher learns of a dead process only from the code server that started it. When both are killed, or the
machine goes down, the run stays "started" and holds the warehouse's pool until its maximum run time ends.
`dagster.yaml` names this launcher.

Each process that finds the history's SQLite files missing makes them. Several that do so at the same time fail, or
leave a database with two versions of its schema, which no process can open any more.
"""

import os
from pathlib import Path

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from filelock import FileLock, Timeout

from orchestration_project.errors import PlatformError

CLOCK_TOLERANCE = 2.0
"""Seconds by which the system's own time of a process's start may be off."""


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Runs and daemon share one machine and see each other's processes (containers: one for both)."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring may call `check_run_worker_health`: yes."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a started run is alive. A run whose process id is not known yet counts as alive."""
        for entry in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = entry.dagster_event
            if event and (pid := event.engine_event_data.metadata.get("pid")):
                if is_running(int(str(pid.value)), entry.timestamp):
                    break
                return CheckRunHealthResult(WorkerStatus.FAILED, f"process {pid.value} is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def is_running(pid: int, since: float) -> bool:
    """Whether a process still runs.

    Args:
        pid: its id.
        since: a time at which it ran, in seconds since the epoch. A process that started later is another one with the
            same id.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # a process of another user, so it exists
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        booted = next(line for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines() if "btime" in line)
    except OSError:
        return True  # a system without /proc: only the id is known
    # "4711 (my (odd) name) S 1 ...": a name may have brackets and blanks in it, so the text is cut at the last bracket.
    # The first field is the state then; the start is 19 further on, in ticks since the machine was booted.
    state, *fields = status.rpartition(")")[2].split()
    started = int(booted.split()[1]) + int(fields[18]) / os.sysconf("SC_CLK_TCK")
    # Z: it has ended, and its parent has not asked for its exit code.
    return state != "Z" and started <= since + CLOCK_TOLERANCE


MADE = ".history-made"
PATIENCE_SECONDS = 120.0


class HistoryError(PlatformError):
    """The history can't be made."""


def make_history(home: Path) -> None:
    """Make the history's databases below a Dagster home, unless that was done before.

    Args:
        home: `$DAGSTER_HOME`, with the `dagster.yaml` in force.

    Raises:
        HistoryError: another process has been at it for too long.
    """
    lock = FileLock(home / f"{MADE}.lock", timeout=PATIENCE_SECONDS)
    try:
        with lock:
            if not (home / MADE).exists():
                _open_all(home)
                # Last: a kill before it leaves no mark, so the next process opens what is there once more, which
                # changes nothing.
                (home / MADE).touch()
    except Timeout as error:
        raise HistoryError(
            f"another process has been making Dagster's history in {home} for {PATIENCE_SECONDS:g} s; stop it and try"
            " again"
        ) from error


def _open_all(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        # Runs, schedules and events are three stores; each makes its database when it is first asked something.
        instance.get_runs(limit=1)
        instance.all_instigator_state()
        instance.get_asset_keys(limit=1)

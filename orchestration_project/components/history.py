"""Dagster's history: made once, before several processes begin to use it.

Each process that finds the history's SQLite files missing makes them. Several that do so at the same time fail, or
leave a database with two versions of its schema, which no process can open any more.
"""

from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from orchestration_project.errors import PlatformError

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
                (home / MADE).touch()
    except Timeout as error:
        raise HistoryError(
            f"another process has been making Dagster's history in {home} for {PATIENCE_SECONDS:g} s; stop it and try"
            " again"
        ) from error


def _open_all(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs(limit=1)
        instance.all_instigator_state()
        instance.get_asset_keys(limit=1)

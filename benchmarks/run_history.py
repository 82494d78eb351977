"""How long it takes to copy a long run history: all of it once, then a few new runs.

python -m benchmarks.run_history [RUNS]

The first run is real. The others are made by SQL from it, each a minute older than the one after it.
"""

import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click
import dagster as dg

from orchestration_project.health.run_history import RunHistory

RUNS, NEW = 100_000, 5
COPIES = """
INSERT INTO runs (
    run_id, snapshot_id, pipeline_name, status, run_body, create_timestamp, update_timestamp, start_time, end_time
)
SELECT substr(run_id, 1, 28) || printf('%08x', number), snapshot_id, pipeline_name, status,
    replace(run_body, run_id, substr(run_id, 1, 28) || printf('%08x', number)),
    datetime(create_timestamp, '-' || number || ' minutes'), datetime(update_timestamp, '-' || number || ' minutes'),
    start_time - number * 60, end_time - number * 60
FROM runs, (WITH RECURSIVE counted(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < ?)
            SELECT number FROM counted)
ORDER BY number DESC
"""


@dg.job(executor_def=dg.in_process_executor)
def nothing() -> None:
    """A job without steps."""


def main(runs: int) -> None:
    """Make a history of so many runs, copy it, and copy it again after a few more."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        with dg.DagsterInstance.local_temp(str(home)) as instance:
            nothing.execute_in_process(instance=instance)
            with closing(sqlite3.connect(home / "history/runs.db")) as connection, connection:
                connection.execute(COPIES, [runs - 1])
            history = RunHistory(Path(folder, "run_history.sqlite"))
            first = refresh(history, instance)
            while not history.is_complete():
                first += refresh(history, instance)
            for _ in range(NEW):
                nothing.execute_in_process(instance=instance)
            later = refresh(history, instance)
    click.echo(f"all runs: {first:.2f} s; {NEW} new ones: {later:.3f} s; ratio {first / later:.0f}")


def refresh(history: RunHistory, instance: dg.DagsterInstance) -> float:
    """The seconds that one refresh takes."""
    began = time.perf_counter()
    refreshed = history.refresh(instance)
    seconds = time.perf_counter() - began
    click.echo(f"{refreshed.records:,} records in {seconds:.3f} s")
    return seconds


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)

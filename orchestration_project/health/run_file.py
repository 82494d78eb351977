"""The SQLite file with the copies of finished runs: its tables, and how a run of Dagster becomes a row.

The file is a cache: one that can't be read, or that another release has made, is made anew.
"""

import datetime as dt
import json
import sqlite3
from pathlib import Path

import dagster as dg

FORMAT = 1
BUSY_SECONDS = 30.0
FEED = "feed"
SCHEDULE, SENSOR, PLANNED = "dagster/schedule_name", "dagster/sensor_name", ".dagster/scheduled_execution_time"
PARTITION = "dagster/partition"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
TABLES = """
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, job TEXT, feed TEXT, status TEXT, created REAL, started REAL, ended REAL, planned REAL,
    schedule TEXT, sensor TEXT, first_partition TEXT, last_partition TEXT, assets TEXT, updated REAL
);
CREATE INDEX runs_by_end ON runs (ended);
CREATE INDEX runs_by_schedule ON runs (schedule, ended);
CREATE INDEX runs_by_job_end ON runs (job, ended);
CREATE INDEX runs_by_job ON runs (job, first_partition, last_partition, status, ended);
CREATE TABLE reading (updated_after REAL, cursor TEXT, newest REAL);
INSERT INTO reading VALUES (NULL, NULL, NULL);
"""
"""Moments are seconds since the epoch. An optional text is empty where there is none."""


def opened(path: Path) -> sqlite3.Connection:
    """A connection to the file, which has its tables then.

    Raises:
        sqlite3.OperationalError: it can't be opened, or another process has held it for too long.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        _make_tables(connection)
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError:
        # Damaged, or no database at all. It is a cache, so what is lost is read again.
        connection.close()
        discard(path)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        _make_tables(connection)
    return connection


def discard(path: Path) -> None:
    """Delete the file, with those that SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _make_tables(connection: sqlite3.Connection) -> None:
    if _format_of(connection) == FORMAT:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have made them while this one waited.
    if _format_of(connection) != FORMAT:
        for statement in ("DROP TABLE IF EXISTS runs", "DROP TABLE IF EXISTS reading", *TABLES.split(";")):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.commit()


def _format_of(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def row_of(record: dg.RunRecord) -> tuple[object, ...]:
    """The values of the columns of `runs`, in order."""
    run, updated = record.dagster_run, record.update_timestamp.timestamp()
    tags, one = run.tags, run.tags.get(PARTITION, "")
    planned = tags.get(PLANNED)
    return (
        run.run_id,
        run.job_name,
        tags.get(FEED, ""),
        run.status.value,
        record.create_timestamp.timestamp(),
        record.start_time,
        record.end_time or updated,
        dt.datetime.fromisoformat(planned).timestamp() if planned else None,
        tags.get(SCHEDULE, ""),
        tags.get(SENSOR, ""),
        tags.get(RANGE_START, one),
        tags.get(RANGE_END, one),
        json.dumps(sorted(key.to_user_string() for key in run.asset_selection or ())),
        updated,
    )

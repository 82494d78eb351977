"""A copy of the finished runs of Dagster's history, in a small SQLite file that can be asked often.

The copy is only a cache. It may be deleted at any time, and is read anew then; `RunHistory.refresh` reads what is new.
A run that somebody deletes in Dagster stays in the copy.

Belongs here: copying runs, and the questions that are asked of them. Does not belong here: what the answers mean.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import dagster as dg

FILE = "run_history.sqlite"
FORMAT = 1
BUSY_SECONDS = 30.0
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
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
UPSERT = """
INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_id) DO UPDATE SET
    status = excluded.status, started = excluded.started, ended = excluded.ended, updated = excluded.updated
WHERE excluded.updated >= runs.updated
"""
LAST = """
SELECT * FROM (
    SELECT *, row_number() OVER (
        PARTITION BY job, first_partition, last_partition, status ORDER BY ended DESC, run_id
    ) AS place
    FROM runs WHERE status IN (?, ?)
) WHERE place = 1
ORDER BY job, first_partition, last_partition
"""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that has ended. All moments are in UTC.

    Attributes:
        run_id: Dagster's id.
        job: the job's name; `__ASSET_JOB` for assets that somebody materialized by hand.
        feed: the feed whose job it is; empty for other jobs.
        status: `SUCCESS`, `FAILURE` or `CANCELED`.
        created: when it was requested.
        started: when its process began to work; None: it never did.
        ended: when it ended.
        planned: for which moment its schedule planned it; None without one.
        schedule: the schedule that requested it; empty if none did.
        sensor: the sensor that requested it; empty if none did.
        first: the first partition that it is for; empty without partitions.
        last: the last partition that it is for.
        assets: the assets that were chosen; empty: all of the job.
    """

    run_id: str
    job: str
    feed: str
    status: str
    created: dt.datetime
    started: dt.datetime | None
    ended: dt.datetime
    planned: dt.datetime | None
    schedule: str
    sensor: str
    first: str
    last: str
    assets: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        """Whether all of it succeeded."""
        return self.status == dg.DagsterRunStatus.SUCCESS.value

    @property
    def failed(self) -> bool:
        """Whether it failed; a run that somebody cancelled did not."""
        return self.status == dg.DagsterRunStatus.FAILURE.value


@dataclass(frozen=True, slots=True)
class LastRuns:
    """The newest runs of a job for one partition, or one range of them; None where there was none."""

    job: str
    first: str
    last: str
    success: FinishedRun | None
    failure: FinishedRun | None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: how many records of Dagster it read, and whether all runs that had ended are known now."""

    records: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a pass over Dagster's history is; a pass reads the newest run first.

    Attributes:
        updated_after: it reads what changed after this moment, in seconds; None: all of the history.
        cursor: the id of the run that was read last; None: the pass has not begun.
        newest: the last change on the pass's first page. What changes later is left to the next pass. It is a moment
            of Dagster's own clock, which may be another machine's.
    """

    updated_after: float | None = None
    cursor: str | None = None
    newest: float | None = None

    @property
    def is_first(self) -> bool:
        """Whether it is the first pass, which reads everything."""
        return self.updated_after is None


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The copy. Several processes may refresh and ask it at once.

    Attributes:
        path: the SQLite file; it is made when it is not there, and made anew when it can't be read.
        keep: for how long runs are kept.
        page: how many records are asked of Dagster at a time.
        pages: how many pages a refresh reads at most; the next one goes on.
        overlap: how much of the past is read again. A run's change has the moment at which it happened, and can be
            read only a little later.
    """

    path: Path
    keep: dt.timedelta = dt.timedelta(days=400)
    page: int = 1000
    pages: int = 5
    overlap: dt.timedelta = dt.timedelta(seconds=60)

    def refresh(self, instance: dg.DagsterInstance) -> Refreshed:
        """Copy the runs that have ended since the last refresh.

        Every page is stored with how far the pass is, so it does no harm when two processes read the same page, or
        when one of them dies.
        """
        oldest, read = dt.datetime.now(dt.UTC) - self.keep, 0
        for _ in range(self.pages):
            reading = self._under_way(instance)
            records = _records(instance, reading, self.page)
            read += len(records)
            done = len(records) < self.page or (reading.is_first and records[-1].create_timestamp < oldest)
            self._store(records, self._after(reading, records, done))
            if done:
                self._forget(oldest)
                return Refreshed(read, complete=True)
        return Refreshed(read, complete=False)

    def is_complete(self) -> bool:
        """Whether all of Dagster's history was read once; before that, the runs that are known are the newest ones."""
        with self._connection() as connection:
            return not _reading(connection).is_first

    def finished(self, since: dt.datetime, job: str | None = None) -> list[FinishedRun]:
        """The runs that ended at `since` or later, of one job or of all; the oldest first."""
        chosen, values = ("", ()) if job is None else (" AND job = ?", (job,))
        with self._connection() as connection:
            rows = connection.execute(
                f"SELECT * FROM runs WHERE ended >= ?{chosen} ORDER BY ended, run_id", (since.timestamp(), *values)
            )
            return [_run(row) for row in rows]

    def latest(self, job: str, count: int) -> list[FinishedRun]:
        """The last runs of a job, at most `count`; the oldest first."""
        return self._latest("job", job, count)

    def latest_of_schedule(self, schedule: str, count: int) -> list[FinishedRun]:
        """The last runs that a schedule requested, at most `count`; the oldest first."""
        return self._latest("schedule", schedule, count)

    def last_runs(self) -> list[LastRuns]:
        """The last success and the last failure of each job for each partition, or range of partitions."""
        statuses = [dg.DagsterRunStatus.SUCCESS.value, dg.DagsterRunStatus.FAILURE.value]
        with self._connection() as connection:
            runs = [_run(row) for row in connection.execute(LAST, statuses)]
        found: dict[tuple[str, str, str], dict[str, FinishedRun]] = {}
        for run in runs:
            found.setdefault((run.job, run.first, run.last), {})[run.status] = run
        return [LastRuns(*key, *map(by_status.get, statuses)) for key, by_status in found.items()]

    def _latest(self, column: str, name: str, count: int) -> list[FinishedRun]:
        query = f"SELECT * FROM runs WHERE {column} = ? ORDER BY ended DESC, run_id LIMIT ?"
        with self._connection() as connection:
            return [_run(row) for row in connection.execute(query, (name, count))][::-1]

    def _under_way(self, instance: dg.DagsterInstance) -> Reading:
        """The pass under way, else a new one."""
        with self._connection() as connection:
            reading = _reading(connection)
        # Dagster finds nothing behind a run that was deleted meanwhile. Such a pass starts anew.
        if reading.cursor and instance.get_run_by_id(reading.cursor) is None:
            return Reading(reading.updated_after)
        return reading

    def _after(self, reading: Reading, records: Sequence[dg.RunRecord], done: bool) -> Reading:
        newest = reading.newest
        if reading.cursor is None:
            newest = max((record.update_timestamp.timestamp() for record in records), default=None)
        if not done:
            return Reading(reading.updated_after, records[-1].dagster_run.run_id, newest)
        if newest is None:
            return Reading(reading.updated_after or 0.0)
        return Reading(newest - self.overlap.total_seconds())

    def _store(self, records: Iterable[dg.RunRecord], reading: Reading) -> None:
        rows = [_row(record) for record in records if record.dagster_run.status in FINISHED]
        with self._connection() as connection:
            connection.executemany(UPSERT, rows)
            connection.execute("UPDATE reading SET updated_after = ?, cursor = ?, newest = ?", astuple(reading))

    def _forget(self, before: dt.datetime) -> None:
        with self._connection() as connection:
            connection.execute("DELETE FROM runs WHERE ended < ?", (before.timestamp(),))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction to a file with the tables."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_opened(self.path)) as connection, connection:
            yield connection


def newest_materialization(instance: dg.DagsterInstance, assets: Sequence[dg.AssetKey]) -> dt.datetime | None:
    """When one of the assets was materialized last; None: none of them ever was."""
    events = [record.asset_entry.last_materialization for record in instance.get_asset_records(list(assets))]
    newest = max((event.timestamp for event in events if event), default=None)
    return _moment(newest)


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        _make_tables(connection)
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError:
        # Damaged, or no database at all. It is a cache, so what is lost is read again.
        connection.close()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        _make_tables(connection)
    return connection


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


def _reading(connection: sqlite3.Connection) -> Reading:
    return Reading(*connection.execute("SELECT updated_after, cursor, newest FROM reading").fetchone())


def _records(instance: dg.DagsterInstance, reading: Reading, limit: int) -> Sequence[dg.RunRecord]:
    """The next page of a pass.

    The first pass reads runs of every status: with a condition Dagster's database would sort all of the history for
    each page.
    """
    if reading.is_first:
        return instance.get_run_records(limit=limit, cursor=reading.cursor)
    since = dt.datetime.fromtimestamp(reading.updated_after or 0.0, dt.UTC)
    filters = dg.RunsFilter(statuses=FINISHED, updated_after=since)
    return instance.get_run_records(filters, limit=limit, cursor=reading.cursor)


def _row(record: dg.RunRecord) -> tuple[object, ...]:
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


def _run(row: Sequence[object]) -> FinishedRun:
    values = dict(zip((each.name for each in fields(FinishedRun)), row, strict=False))
    for name in ("created", "started", "ended", "planned"):
        values[name] = _moment(values[name])
    return FinishedRun(**values | {"assets": tuple(json.loads(str(values["assets"])))})  # type: ignore[arg-type]


def _moment(seconds: object) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if isinstance(seconds, int | float) else None

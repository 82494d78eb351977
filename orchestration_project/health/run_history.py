"""A copy of the finished runs of Dagster's history, in a small SQLite file that can be asked often.

The copy is only a cache. It may be deleted at any time, and is read anew then; `RunHistory.refresh` reads what is new.
A run that somebody deletes in Dagster stays in the copy.

Belongs here: copying runs, and the questions that are asked of them. Does not belong here: what the answers mean, and
the file's tables; those are in `run_file`.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration_project.health.run_file import discard, opened, row_of

FILE = "run_history.sqlite"
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
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
        rows = [row_of(record) for record in records if record.dagster_run.status in FINISHED]
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
        try:
            with closing(opened(self.path)) as connection, connection:
                yield connection
        except sqlite3.DatabaseError as error:
            # One that is busy is whole. Of a damaged one nothing is kept, so that the next call can read all anew.
            if not isinstance(error, sqlite3.OperationalError):
                discard(self.path)
            raise


def newest_materialization(instance: dg.DagsterInstance, assets: Sequence[dg.AssetKey]) -> dt.datetime | None:
    """When one of the assets was materialized last; None: none of them ever was."""
    events = [record.asset_entry.last_materialization for record in instance.get_asset_records(list(assets))]
    newest = max((event.timestamp for event in events if event), default=None)
    return _moment(newest)


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


def _run(row: Sequence[Any]) -> FinishedRun:
    # Of a month there may be 100,000, so what is the same for most of them is made once, and names are not looked up.
    run_id, job, feed, status, created, started, ended, planned, schedule, sensor, first, last, assets = row[:13]
    return FinishedRun(
        run_id,
        job,
        feed,
        status,
        _from_epoch(created),
        _moment(started),
        _from_epoch(ended),
        _moment(planned),
        schedule,
        sensor,
        first,
        last,
        _assets(assets),
    )


@lru_cache(maxsize=256)
def _assets(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _from_epoch(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _moment(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else _from_epoch(seconds)

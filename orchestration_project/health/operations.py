"""What the operations page tells, as plain data, and how it is gathered.

Does not belong here: how it looks; that is in `components.pages`.
"""

import datetime as dt
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.health import figures, model
from orchestration_project.health.deliveries import Delivery, WeekdayArrivals, by_weekday, deliveries, first_shown
from orchestration_project.health.measure import Asked
from orchestration_project.health.model import Kind, Measurement, values_of
from orchestration_project.health.run_history import FinishedRun
from orchestration_project.health.table import series
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.storage.batches import Cadence
from orchestration_project.warehouse.ledger_batches import arrivals, first_batch, first_load

DAYS_SHOWN = 30
SIZES_OF = dt.timedelta(days=90)
ALARMS = "alarms.sqlite"
"""Read as a file: what keeps it is `alerts.store`, a layer above this one."""
Figures = Mapping[str, Mapping[str, float]]
"""Values by subject and name of the metric."""


@dataclass(frozen=True, slots=True)
class RunsOfDay:
    """The runs that ended on a day; `share` of them succeeded (None: none can tell), `mean` is their seconds."""

    day: dt.date
    runs: int
    share: float | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class FeedOperations:
    """How a feed does.

    Attributes:
        name: the feed's name.
        title: what people call it.
        zone: the time zone in which its times are.
        cadence: how often it delivers.
        deliveries: what became of its recent batches.
        arrivals: when files arrive.
    """

    name: str
    title: str
    zone: str
    cadence: Cadence
    deliveries: Sequence[Delivery]
    arrivals: Sequence[WeekdayArrivals]


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that is on."""

    subject: str
    what: str
    severity: str
    since: dt.datetime
    todo: str


@dataclass(frozen=True, slots=True)
class Operations:
    """All that is on the page.

    Attributes:
        measured_at: when.
        jobs: figures by job.
        schedules: figures by schedule.
        feed_figures: figures by feed.
        stores: figures by store.
        disks: figures by disk.
        days: the runs of the last 30 days.
        feeds: deliveries of each feed.
        sizes: by store, its size at the end of each day of the last 90 that was measured.
        alarms: what is on; None if nothing looks after alarms here.
    """

    measured_at: dt.datetime
    jobs: Figures
    schedules: Figures
    feed_figures: Figures
    stores: Figures
    disks: Figures
    days: Sequence[RunsOfDay]
    feeds: Sequence[FeedOperations]
    sizes: Mapping[str, Mapping[dt.date, float]]
    alarms: Sequence[Alarm] | None


def gather(asked: Asked, measurements: list[Measurement], runs: Sequence[FinishedRun]) -> Operations:
    """What the page tells, once the present figures are in the table.

    Args:
        asked: where it comes from.
        measurements: the present figures.
        runs: the finished runs of the last 30 days.
    """
    return Operations(
        asked.now,
        values_of(measurements, Kind.JOB),
        values_of(measurements, Kind.SCHEDULE),
        values_of(measurements, Kind.FEED),
        values_of(measurements, Kind.STORE),
        values_of(measurements, Kind.DISK),
        runs_of_days(runs, asked.now),
        [_feed(asked, source) for source in asked.sources],
        sizes_by_day(series(asked.connection, asked.table, Kind.STORE, model.SIZE, asked.now - SIZES_OF)),
        read_alarms(asked.settings.data_dir / ALARMS),
    )


def runs_of_days(runs: Sequence[FinishedRun], now: dt.datetime) -> list[RunsOfDay]:
    """The runs of each of the last 30 days, in UTC."""
    days = figures.by_day(runs, now.astimezone(dt.UTC).date(), DAYS_SHOWN)
    return [
        RunsOfDay(day, len(own), figures.success_share(own), figures.mean(figures.durations(own))) for day, own in days
    ]


def sizes_by_day(sizes: Mapping[str, Mapping[dt.datetime, float]]) -> dict[str, dict[dt.date, float]]:
    """The last value of each day, by subject."""
    # Of old days the table has the last measurement only, so the newer ones are drawn the same way.
    return {subject: {moment.date(): values[moment] for moment in sorted(values)} for subject, values in sizes.items()}


def _feed(asked: Asked, source: ConfiguredFeed) -> FeedOperations:
    batching, connection = source.options.batching, asked.connection
    # Only of the batches that are shown: a feed may have years of files.
    came = arrivals(connection, source.name, batching.key(first_shown(batching, asked.now)))
    return FeedOperations(
        source.name,
        source.feed.title or source.name,
        batching.timezone.key,
        batching.cadence,
        deliveries(source, came, first_batch(connection, source.name), first_load(connection, source.name), asked.now),
        by_weekday(came, batching, asked.now),
    )


def read_alarms(path: Path) -> list[Alarm] | None:
    """The alarms that are on, the oldest first; None if there is no file of them, or it can't be read."""
    if not path.is_file():
        return None
    try:
        # Read-only: a page must neither make the file nor wait to write to it.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT subject, what, severity, since, todo FROM alarms WHERE off_since IS NULL ORDER BY since, id"
            ).fetchall()
    except sqlite3.Error:
        return None  # a page without alarms is better than none; who keeps the file tells that it is damaged
    return [
        Alarm(subject, what, severity, dt.datetime.fromtimestamp(since, dt.UTC), todo)
        for subject, what, severity, since, todo in rows
    ]

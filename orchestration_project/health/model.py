"""What is measured of the platform: the metrics with their units, and one measurement. Plain data.

Does not belong here: how a figure is found; that is in `figures` and `measure`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a figure is about."""

    JOB = "job"
    SCHEDULE = "schedule"
    FEED = "feed"
    STORE = "store"
    DISK = "disk"


class Unit(StrEnum):
    """The unit of a figure. Moments are seconds since the epoch."""

    COUNT = "count"
    RATIO = "ratio"
    SECONDS = "seconds"
    MOMENT = "timestamp_seconds"
    BYTES = "bytes"
    GROWTH = "bytes_per_day"


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of figure. Its name is unique together with the kind of its subject."""

    kind: Kind
    name: str
    unit: Unit
    description: str

    @property
    def exported_as(self) -> str:
        """Its name for Prometheus, which ends with the unit."""
        # `job`, `duration_p95`, seconds -> orchestration_project_job_duration_p95_seconds
        suffix = "" if self.unit is Unit.COUNT else f"_{self.unit.value}"
        return f"orchestration_project_{self.kind.value}_{self.name}{suffix}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The value of a metric for one subject: a job, a schedule, a feed, a store or a disk."""

    metric: Metric
    subject: str
    value: float


# Names are rows of `platform_health` and series of Prometheus: people's queries and alarms break when one changes.
RUNS, LAST_10, LAST_30_DAYS = "runs", "success_last_10", "success_30_days"
DURATION_MEAN, DURATION_P95 = "duration_mean", "duration_p95"
LAG_MEAN, LAG_P95 = "start_lag_mean", "start_lag_p95"
LAST_SUCCESS = "last_success"
WAITING_FILES, WAITING_OLDEST = "waiting_files", "waiting_oldest"
NEWEST_BATCH, OPEN_REJECTS, OLDEST_OPEN_REJECT = "newest_batch", "open_rejects", "oldest_open_reject"
QUARANTINED = "quarantined_files"
SIZE, GROWTH, FILES = "size", "growth", "files"
FREE, FREE_SHARE = "free", "free_share"


def _of_runs(kind: Kind) -> list[Metric]:
    of = f"of the {kind.value}"
    return [
        Metric(kind, RUNS, Unit.COUNT, f"Runs {of} that ended in the last 30 days."),
        Metric(kind, LAST_10, Unit.RATIO, f"Share of the last 10 runs {of} that succeeded; cancelled ones left out."),
        Metric(kind, LAST_30_DAYS, Unit.RATIO, "Share of its runs of 30 days that succeeded; cancelled ones left out."),
        Metric(kind, DURATION_MEAN, Unit.SECONDS, f"Mean duration of the runs {of} in the last 30 days."),
        Metric(kind, DURATION_P95, Unit.SECONDS, f"95th percentile of the duration of the runs {of} in 30 days."),
        Metric(kind, LAST_SUCCESS, Unit.MOMENT, f"End of the last successful run {of} in the last 30 days."),
    ]


METRICS = (
    *_of_runs(Kind.JOB),
    *_of_runs(Kind.SCHEDULE),
    Metric(Kind.SCHEDULE, LAG_MEAN, Unit.SECONDS, "Mean time from the planned moment to the start of a run, 30 days."),
    Metric(Kind.SCHEDULE, LAG_P95, Unit.SECONDS, "95th percentile of the time from the planned moment to the start."),
    Metric(Kind.FEED, WAITING_FILES, Unit.COUNT, "Files that wait in landing for a load."),
    Metric(Kind.FEED, WAITING_OLDEST, Unit.SECONDS, "How long ago the oldest waiting file was last written to."),
    Metric(Kind.FEED, NEWEST_BATCH, Unit.MOMENT, "Begin of the newest batch that is loaded."),
    Metric(Kind.FEED, OPEN_REJECTS, Unit.COUNT, "Rejected records that are neither repaired nor waived."),
    Metric(Kind.FEED, OLDEST_OPEN_REJECT, Unit.MOMENT, "Begin of the oldest batch with open rejects."),
    Metric(Kind.FEED, QUARANTINED, Unit.COUNT, "Files in quarantine that no other file has replaced."),
    Metric(Kind.STORE, SIZE, Unit.BYTES, "Size of the warehouse's file, of the archived files, of Dagster's history."),
    Metric(Kind.STORE, GROWTH, Unit.GROWTH, "How much the store grew a day, over up to 7 days."),
    Metric(Kind.STORE, FILES, Unit.COUNT, "Files in the archive, as the ledger knows them."),
    Metric(Kind.DISK, FREE, Unit.BYTES, "Free space on the disk of the data, the warehouse or the history."),
    Metric(Kind.DISK, FREE_SHARE, Unit.RATIO, "Free share of that disk."),
)
"""All metrics. The table `platform_health`, the page and the file for Prometheus have these and no others."""
_BY_NAME = {(metric.kind, metric.name): metric for metric in METRICS}


def measured(kind: Kind, subject: str, **values: float | None) -> list[Measurement]:
    """Measurements of a subject, by names of metrics; what is None is unknown and left out."""
    # A metric that is not in METRICS is a KeyError here, before it gets into the table without a description.
    return [
        Measurement(_BY_NAME[kind, name], subject, float(value)) for name, value in values.items() if value is not None
    ]


def values_of(measurements: list[Measurement], kind: Kind) -> dict[str, dict[str, float]]:
    """The values of one kind, by subject and by name of the metric."""
    found: dict[str, dict[str, float]] = {}
    for item in measurements:
        if item.metric.kind is kind:
            found.setdefault(item.subject, {})[item.metric.name] = item.value
    return found

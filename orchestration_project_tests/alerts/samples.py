"""Alarms, runs and observations for tests, each with as little as a test has to say."""

import datetime as dt
from dataclasses import replace
from typing import Any

from orchestration_project.alerts.model import Alarm, FeedObserved, JobRuns, Kind, Observed, Severity
from orchestration_project.health.run_history import FinishedRun, LastRuns
from orchestration_project.storage.feed_state import CheckState, FeedState

NOW = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
HOUR, MINUTE, DAY = dt.timedelta(hours=1), dt.timedelta(minutes=1), dt.timedelta(days=1)


def alarm(subject: str = "f", count: int = 1, **fields: Any) -> Alarm:
    """Refused files of a feed."""
    made = Alarm(
        Kind.FILE_QUARANTINED, subject, subject, Severity.ERROR, f"{subject}: {count} files", NOW, "do it", count
    )
    return replace(made, **fields)


def run(status: str = "FAILURE", at: float = 0, first: str = "", last: str = "", **fields: Any) -> FinishedRun:
    """A run of the feed's job that took a minute, at some minutes after `NOW`."""
    ended = NOW + at * MINUTE
    made = FinishedRun(
        f"{status}@{at}",
        "f_job",
        "f",
        status,
        ended - MINUTE,
        ended - MINUTE,
        ended,
        None,
        "",
        "",
        first,
        last or first,
        (),
    )
    return replace(made, **fields)


def job(*runs: FinishedRun, **fields: Any) -> JobRuns:
    """The job of a feed, whose last runs are these."""
    groups: dict[tuple[str, str], dict[str, FinishedRun]] = {}
    for item in sorted(runs, key=lambda item: item.ended):
        groups.setdefault((item.first, item.last), {})[item.status] = item
    last = [
        LastRuns("f_job", first, end, found.get("SUCCESS"), found.get("FAILURE"))
        for (first, end), found in groups.items()
    ]
    return JobRuns("f_job", "f", last, **fields)


def seen(now: dt.datetime = NOW, **fields: Any) -> Observed:
    """A moment at which all is well but for what is given."""
    return Observed(now, **fields)


def feed(**fields: Any) -> FeedObserved:
    return FeedObserved("f", **fields)


def state(**fields: Any) -> FeedState:
    return FeedState(NOW, **fields)


def check(passed: bool = False, severity: str = "error", *batches: str, asset: str = "cleaned_f") -> CheckState:
    return CheckState(asset, "not_empty", passed, severity, "0 rows", batches, "run", NOW)

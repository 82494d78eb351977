"""Finished runs, made up for tests."""

import datetime as dt

from orchestration_project.health.run_history import FinishedRun

NOW = dt.datetime(2026, 3, 18, 12, 30, tzinfo=dt.UTC)
"""A Wednesday."""


def finished(
    status: str = "SUCCESS",
    took: float | None = 60.0,
    ended: dt.datetime = NOW,
    lag: float | None = None,
    job: str = "orders_job",
) -> FinishedRun:
    """A run.

    Args:
        status: how it ended.
        took: its seconds; None: it never started.
        ended: when it ended.
        lag: how many seconds after the planned moment it started; None: no schedule planned it.
        job: its job.
    """
    started = None if took is None else ended - dt.timedelta(seconds=took)
    planned = None if lag is None or started is None else started - dt.timedelta(seconds=lag)
    schedule = "" if lag is None else "orders_daily_schedule"
    return FinishedRun("id", job, "orders", status, ended, started, ended, planned, schedule, "", "", "", ())

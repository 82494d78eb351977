"""The alarms of a job: runs that failed and that nothing has made good since, and too many failures altogether.

A run is made good by a later success for all of its partitions, in one run or in several:

    failed      01-01 ............... 01-04
    succeeded   01-01 . 01-02
    succeeded                 01-03 . 01-05      together they cover it
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from orchestration_project.alerts.model import SHOWN, Alarm, JobRuns, Kind, Observed, Severity, Thresholds
from orchestration_project.alerts.words import number

if TYPE_CHECKING:
    from orchestration_project.health.run_history import FinishedRun

MOST_PARTITIONS = 10_000
"""The longest range that is followed partition by partition."""


def of_job(job: JobRuns, observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    """The alarms of a job that are on."""
    yield from _failed(job, observed, limits)
    yield from _often_failed(job, limits)


def _failed(job: JobRuns, observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    failed = unrepaired(job, observed.now - dt.timedelta(days=limits.failed_days))
    if failed:
        last = failed[-1]
        yield Alarm(
            Kind.RUN_FAILED,
            job.job,
            job.feed,
            Severity.ERROR,
            f"{number(len(failed), 'run', 'runs')} of {job.job} failed and did not succeed since",
            failed[0].ended,
            f"Mend what the error says, then run it again: in the UI by Re-execute, or by `{_launch(last)}`.",
            len(failed),
            [
                f"{_partitions(run.first, run.last)}: {observed.error_of(run)}" if run.first else observed.error_of(run)
                for run in reversed(failed[-SHOWN:])
            ],
            last.run_id,
        )


def _often_failed(job: JobRuns, limits: Thresholds) -> Iterator[Alarm]:
    counted = [run for run in job.newest if run.succeeded or run.failed][-limits.success_runs :]
    bad = [run for run in counted if run.failed]
    if len(counted) == limits.success_runs and len(counted) - len(bad) < limits.success_rate * len(counted):
        yield Alarm(
            Kind.SUCCESS_RATE,
            job.job,
            job.feed,
            Severity.WARN,
            f"{job.job}: {len(bad)} of the last {len(counted)} runs failed",
            bad[0].ended,
            "Look at the failed runs in the UI for what they have in common.",
            len(bad),
            run_id=bad[-1].run_id,
        )


def _launch(run: "FinishedRun") -> str:
    command = f"dg launch --job {run.job}"
    if not run.first:
        return command
    one = run.first == run.last
    return f"{command} --partition {run.first}" if one else f"{command} --partition-range {run.first}...{run.last}"


def _partitions(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def unrepaired(job: JobRuns, since: dt.datetime) -> "list[FinishedRun]":
    """The failed runs of a job that nothing has made good, the oldest first.

    Args:
        job: its runs.
        since: failures from before don't count: whoever has not mended them by then does not mean to.
    """
    failures = [item.failure for item in job.last if item.failure and item.failure.ended >= since]
    successes = [*(item.success for item in job.last if item.success), *job.by_hand]
    found = [run for run in failures if not _repaired(run, _after(successes, run), job.after)]
    return sorted(found, key=lambda run: (run.ended, run.run_id))


def _after(successes: "Sequence[FinishedRun]", failure: "FinishedRun") -> "list[FinishedRun]":
    # A success that began before the failed run says nothing of what has changed since.
    return [run for run in successes if (run.started or run.created) >= (failure.started or failure.created)]


def _repaired(failure: "FinishedRun", successes: "Sequence[FinishedRun]", after: Callable[[str], str] | None) -> bool:
    if not failure.first:
        return bool(successes)
    key, last = failure.first, failure.last
    for _ in range(MOST_PARTITIONS):
        reached = max((run.last for run in successes if run.first and run.first <= key <= run.last), default="")
        if not reached:
            return False
        if reached >= last:
            return True
        if after is None:
            return False
        key = after(reached)
    return False

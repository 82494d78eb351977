"""Which failed runs nothing has made good since: pure functions of what is known of a job's finished runs.

A run is made good by a later success for all of its partitions, in one run or in several:

    failed      01-01 ............... 01-04
    succeeded   01-01 . 01-02
    succeeded                 01-03 . 01-05      together they cover it
"""

import datetime as dt
from collections.abc import Callable, Sequence

from orchestration_project.alerts.model import JobRuns
from orchestration_project.health.run_history import FinishedRun

MOST_PARTITIONS = 10_000
"""The longest range that is followed partition by partition."""


def unrepaired(job: JobRuns, since: dt.datetime) -> list[FinishedRun]:
    """The failed runs of a job that nothing has made good, the oldest first.

    Args:
        job: its runs.
        since: failures from before don't count: whoever has not mended them by then does not mean to.
    """
    failures = [item.failure for item in job.last if item.failure and item.failure.ended >= since]
    successes = [*(item.success for item in job.last if item.success), *job.by_hand]
    found = [run for run in failures if not _repaired(run, _after(successes, run), job.after)]
    return sorted(found, key=lambda run: (run.ended, run.run_id))


def _after(successes: Sequence[FinishedRun], failure: FinishedRun) -> list[FinishedRun]:
    # What began before the failure ended may have read what made the other one fail.
    return [run for run in successes if (run.started or run.created) >= (failure.started or failure.created)]


def _repaired(failure: FinishedRun, successes: Sequence[FinishedRun], after: Callable[[str], str] | None) -> bool:
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

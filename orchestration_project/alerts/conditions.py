"""Which alarms are on: each condition as a pure function of what was observed.

Belongs here: the alarms of jobs, of checks and of the platform as a whole: when each condition holds, how bad it is,
its words and what to do. Those of feeds are in `feed_conditions`. Does not belong here: how it is found out
(`observe`), and when somebody is told (`changes`).
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from orchestration_project.alerts.feed_conditions import of_feed
from orchestration_project.alerts.model import SHOWN, Alarm, JobRuns, Kind, Observed, Severity, Thresholds
from orchestration_project.alerts.words import listed, number, size, span
from orchestration_project.storage.feed_state import CheckState

if TYPE_CHECKING:
    from orchestration_project.health.run_history import FinishedRun

MOST_PARTITIONS = 10_000
"""The longest range that is followed partition by partition."""
VERIFICATION = "verification"
"""The asset that proves again that files, ledger and tables agree; its check is a kind of alarm of its own."""
TOLD_BY_FOLDERS = frozenset({"files_accepted", "delivered"})
"""Checks of a feed that say what the folders say too: those are looked at anew at each tick, not only by a run."""
PAGE = "docs/recover.md"


def conditions(observed: Observed, limits: Thresholds) -> list[Alarm]:
    """The alarms that are on, by id."""
    found = [
        *chain.from_iterable(of_feed(feed, observed.now, limits) for feed in observed.feeds),
        *chain.from_iterable(_of_job(job, observed, limits) for job in observed.jobs),
        *_of_checks(observed),
        *_of_platform(observed, limits),
    ]
    return sorted(found, key=lambda alarm: alarm.id)


def _of_job(job: JobRuns, observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    yield from _failed(job, observed, limits)
    yield from _often_failed(job, limits)


def _failed(job: JobRuns, observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    failed = _unrepaired(job, observed.now - dt.timedelta(days=limits.failed_days))
    if failed:
        # The oldest tells since when it is wrong; the newest is the one to look at and to run again.
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
    # A job with fewer runs than that has no rate yet: one failure of two would be an alarm.
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


def _unrepaired(job: JobRuns, since: dt.datetime) -> "list[FinishedRun]":
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


# A run over partitions is made good by later successes for all of them, in one run or in several:
#
#     failed      01-01 ............... 01-04
#     succeeded   01-01 . 01-02
#     succeeded                 01-03 . 01-05      together they cover it
def _repaired(failure: "FinishedRun", successes: "Sequence[FinishedRun]", after: Callable[[str], str] | None) -> bool:
    if not failure.first:
        return bool(successes)
    key, last = failure.first, failure.last
    # Each turn goes as far as one success reaches. The bound is for a tick, which has a minute for everything.
    for _ in range(MOST_PARTITIONS):
        reached = max((run.last for run in successes if run.first and run.first <= key <= run.last), default="")
        if not reached:
            return False
        if reached >= last:
            return True
        # Where nobody can tell which partition comes next, only one run over the whole range is proof.
        if after is None:
            return False
        key = after(reached)
    return False


def _of_checks(observed: Observed) -> Iterator[Alarm]:
    for check in observed.checks:
        told_by_folders = check.asset in observed.feed_of and check.name in TOLD_BY_FOLDERS
        if check.failed and not told_by_folders:
            yield _verification(check) if check.asset == VERIFICATION else _check(check, observed)


def _check(check: CheckState, observed: Observed) -> Alarm:
    feed = observed.feed_of.get(check.asset, "")
    where = f" for {listed(check.batches)}" if check.batches else ""
    again = f" `orchestration-project status {feed}` says how it stands with the feed." if feed else ""
    return Alarm(
        Kind.CHECK_FAILED,
        f"{check.asset}.{check.name}",
        feed,
        Severity.ERROR,
        f"the check {check.name} of {check.asset} fails{where}",
        check.at,
        f"Mend what it says, then run it again.{again}",
        # The check of an asset without partitions names no batch, and is one failure all the same.
        max(1, len(check.batches)),
        [check.description] if check.description else [],
        check.run_id,
    )


def _verification(check: CheckState) -> Alarm:
    return Alarm(
        Kind.VERIFICATION,
        "",
        "",
        Severity.ERROR,
        "files, ledger and tables do not agree",
        check.at,
        f"`orchestration-project verify` lists all findings, with the command that mends each ({PAGE}).",
        items=[check.description] if check.description else [],
        run_id=check.run_id,
    )


def _of_platform(observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    yield from _short_disks(observed, limits)
    yield from _switched_off(observed)
    yield from _idle(observed, limits)
    yield from _busy(observed, limits)
    yield from _copy_behind(observed)
    yield from _not_watched(observed)
    yield from _dead_targets(observed)


def _switched_off(observed: Observed) -> Iterator[Alarm]:
    # Nothing else tells of a single one: where no run is started, none fails.
    for name in observed.switched_off:
        yield Alarm(
            Kind.AUTOMATION_OFF,
            name,
            "",
            Severity.ERROR,
            f"{name} is switched off, and AUTOMATION says that it should be on",
            observed.now,
            f"Switch {name} on again in the UI, under Automation.",
        )


def _idle(observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    last = observed.newest_materialization
    # Where nothing was ever materialized, the platform is new and not idle.
    if last and observed.now - last > dt.timedelta(hours=limits.idle_hours):
        yield Alarm(
            Kind.NOTHING_MATERIALIZED,
            "",
            "",
            Severity.ERROR,
            f"no asset was materialized for {span(observed.now - last)}",
            last,
            "See in the UI whether schedules and sensors are on, the daemon lives and runs wait in the queue.",
        )


def _busy(observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    holder = observed.holder
    if holder and observed.now - holder.since > dt.timedelta(minutes=limits.busy_minutes):
        yield Alarm(
            Kind.WAREHOUSE_BUSY,
            "",
            "",
            Severity.WARN,
            f"the warehouse has been in use by one process for {span(observed.now - holder.since)}",
            holder.since,
            "Everything else waits for it. See whether it still works, and stop it if it hangs.",
            items=[holder.who],
        )


def _copy_behind(observed: Observed) -> Iterator[Alarm]:
    copy = observed.copy
    if copy and copy.needs_a_person:
        behind = dt.timedelta(seconds=copy.behind_seconds or 0)
        yield Alarm(
            Kind.COPY_BEHIND,
            "",
            "",
            Severity.WARN,
            "the published copy is damaged" if copy.detail else f"the published copy is behind for {span(behind)}",
            observed.now - behind,
            "Run `orchestration-project publish`, which publishes, or tells why it can't.",
            items=[copy.detail or copy.where],
        )


def _not_watched(observed: Observed) -> Iterator[Alarm]:
    for feed, why in observed.not_watched.items():
        yield Alarm(
            Kind.NOT_WATCHED,
            feed,
            feed,
            Severity.ERROR,
            f"{feed}: its folders can't be looked at, so nothing is known of the feed",
            observed.now,
            "Let the platform read landing, archive and quarantine of the feed.",
            items=[why],
        )


def _dead_targets(observed: Observed) -> Iterator[Alarm]:
    for target in observed.dead_targets:
        yield Alarm(
            Kind.TARGET_DEAD,
            target.label,
            # Of no feed, so that it goes to all who take the platform's messages: the dead one can't tell it.
            "",
            Severity.ERROR,
            f"{target.label} takes no messages: {number(target.attempts, 'attempt', 'attempts')} failed in a row",
            target.since,
            "See that its URL is right and the service answers: `orchestration-project alert-test`.",
            items=[target.error] if target.error else [],
        )


def _short_disks(observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    for disk in observed.disks:
        if disk.free < limits.free_bytes:
            yield Alarm(
                Kind.DISK_SHORT,
                disk.name,
                "",
                Severity.ERROR,
                f"the disk of {disk.folder} has {size(disk.free)} left of {size(disk.total)}",
                observed.now,
                f"Free space on it, or enlarge it ({PAGE}).",
                # It gets worse with each halving of what is left.
                limits.free_bytes // max(1, disk.free),
            )

"""Which alarms are on: each condition as a pure function of what was observed.

Belongs here: when a condition holds, how bad it is, its words and what to do. Does not belong here: how it is found out
(`observe`), and when somebody is told (`changes`).
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import chain
from math import ceil

from orchestration_project.alerts.model import SHOWN, Alarm, FeedObserved, JobRuns, Kind, Observed, Severity, Thresholds
from orchestration_project.alerts.runs import unrepaired
from orchestration_project.health.run_history import FinishedRun
from orchestration_project.storage.feed_state import CheckState, FeedState

VERIFICATION = "verification"
"""The asset that proves again that files, ledger and tables agree; its check is a kind of alarm of its own."""
TOLD_BY_FOLDERS = frozenset({"files_accepted", "delivered"})
"""Checks of a feed that say what the folders say too: those are looked at anew at each tick, not only by a run."""
SHRUNK_BEFORE = 3
"""A catalogue is compared with the largest of so many before it: else a second small one would pass for normal."""
LIBRARY = "docs/recover.md"


def conditions(observed: Observed, limits: Thresholds) -> list[Alarm]:
    """The alarms that are on, by id."""
    found = [
        *chain.from_iterable(_of_feed(feed, observed.now, limits) for feed in observed.feeds),
        *chain.from_iterable(_of_job(job, observed, limits) for job in observed.jobs),
        *_of_checks(observed),
        *_of_platform(observed, limits),
    ]
    return sorted(found, key=lambda alarm: alarm.id)


def _of_feed(feed: FeedObserved, now: dt.datetime, limits: Thresholds) -> Iterator[Alarm]:
    yield from _missing(feed)
    yield from _quarantined(feed, now)
    yield from _landing(feed, now, limits)
    if feed.state:
        yield from _rejects(feed, feed.state, now, limits)
        if feed.snapshot:
            yield from _shrank(feed, feed.state, limits)


def _missing(feed: FeedObserved) -> Iterator[Alarm]:
    if not feed.missing:
        return
    refused = [batch for batch in feed.missing if batch.refused]
    told = [
        f"{batch.key}, due {batch.due:%F %R %Z}" + (", only refused files came" if batch.refused else "")
        for batch in feed.missing[:SHOWN]
    ]
    todo = f"Ask the sender for the files and put them into landing/{feed.name}."
    if refused:
        todo += f" Of the refused ones, correct what quarantine/{feed.name} says and deliver them again."
    todo += " If nothing is to come for such a day, add it to `closed` of `deliveries` in the feed's defs.yaml."
    yield Alarm(
        Kind.BATCH_MISSING,
        feed.name,
        feed.name,
        Severity.ERROR,
        f"{feed.name}: {_number(len(feed.missing), 'expected batch', 'expected batches')} did not come",
        feed.missing[0].due,
        todo,
        len(feed.missing),
        told,
    )


def _quarantined(feed: FeedObserved, now: dt.datetime) -> Iterator[Alarm]:
    files = feed.quarantined
    if files.count:
        yield Alarm(
            Kind.FILE_QUARANTINED,
            feed.name,
            feed.name,
            Severity.ERROR,
            f"{feed.name}: {_number(files.count, 'file was', 'files were')} refused and not replaced",
            files.since or now,
            f"Correct the files in quarantine/{feed.name} and put them into landing/{feed.name} under the same names;"
            " `orchestration-project explain FILE` says what a load makes of one. Or delete them in quarantine.",
            files.count,
            files.first,
        )


def _landing(feed: FeedObserved, now: dt.datetime, limits: Thresholds) -> Iterator[Alarm]:
    given_up, waiting = feed.given_up, feed.waiting
    if given_up.count:
        yield Alarm(
            Kind.FILE_GIVEN_UP,
            feed.name,
            feed.name,
            Severity.ERROR,
            f"{feed.name}: the sensor gave up on {_number(given_up.count, 'file', 'files')} in landing",
            given_up.since or now,
            f"See why the runs of {feed.name}_job failed. Then move the files away from landing/{feed.name} and back,"
            " to have them tried again.",
            given_up.count,
            given_up.first,
        )
    if waiting.count and waiting.since and now - waiting.since > dt.timedelta(hours=limits.landing_hours):
        yield Alarm(
            Kind.LANDING_FULL,
            feed.name,
            feed.name,
            Severity.ERROR,
            f"{feed.name}: {_number(waiting.count, 'file waits', 'files wait')} in landing, the first for"
            f" {_span(now - waiting.since)}",
            waiting.since,
            f"See whether {feed.name}_files_sensor is on, runs are queued or fail, or a writer keeps the files open:"
            f" `orchestration-project status {feed.name}`.",
            waiting.count,
            waiting.first,
        )


def _rejects(feed: FeedObserved, state: FeedState, now: dt.datetime, limits: Thresholds) -> Iterator[Alarm]:
    high = {key: rate for key, rate in state.reject_rates.items() if rate > feed.reject_limit}
    repair = (
        f"`orchestration-project export-rejects {feed.name}` writes them to files to be corrected;"
        f" `orchestration-project waive {feed.name}` closes those that stay as they are."
    )
    if high:
        newest = sorted(high, reverse=True)
        yield Alarm(
            Kind.REJECT_RATE,
            feed.name,
            feed.name,
            Severity.WARN,
            f"{feed.name}: many records break a rule in {_number(len(high), 'batch', 'batches')}",
            state.at,
            f"The reasons are in rejected_{feed.name}. {repair}",
            len(high),
            [f"{key}: {high[key]:.1%} rejected, expected at most {feed.reject_limit:.1%}" for key in newest[:SHOWN]],
        )
    since = state.open_since
    if state.open_rejects and since and now - since > dt.timedelta(days=limits.reject_days):
        yield Alarm(
            Kind.REJECTS_OPEN,
            feed.name,
            feed.name,
            Severity.WARN,
            f"{feed.name}: {_number(state.open_rejects, 'reject is', 'rejects are')} open, the first for"
            f" {_span(now - since)}",
            since,
            repair,
            state.open_rejects,
            [f"the first is of batch {state.oldest_open_reject}"],
        )


def _shrank(feed: FeedObserved, state: FeedState, limits: Thresholds) -> Iterator[Alarm]:
    sizes = [*state.records.items()][-SHRUNK_BEFORE - 1 :]
    if len(sizes) < 2:
        return
    (newest, records), (before, most) = sizes[-1], max(sizes[:-1], key=lambda item: item[1])
    if records < most * (1 - limits.shrunk_share):
        yield Alarm(
            Kind.CATALOGUE_SHRANK,
            feed.name,
            feed.name,
            Severity.WARN,
            f"{feed.name}: the newest file has {1 - records / most:.0%} fewer records than one before",
            state.at,
            "Ask the sender whether the file is whole. If not, have it delivered again, or take it back by"
            f" `orchestration-project withdraw {feed.name} FILE --reason WHY`.",
            ceil((most - records) / max(1.0, most * limits.shrunk_share)),
            [f"{newest}: {records:,} records", f"{before}: {most:,} records"],
        )


def _of_job(job: JobRuns, observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    failed = unrepaired(job, observed.now - dt.timedelta(days=limits.failed_days))
    if failed:
        last = failed[-1]
        yield Alarm(
            Kind.RUN_FAILED,
            job.job,
            job.feed,
            Severity.ERROR,
            f"{_number(len(failed), 'run', 'runs')} of {job.job} failed and did not succeed since",
            failed[0].ended,
            f"Mend what the error says, then run it again: in the UI by Re-execute, or by `{_launch(last)}`.",
            len(failed),
            [
                f"{_partitions(run.first, run.last)}: {observed.error_of(run)}" if run.first else observed.error_of(run)
                for run in reversed(failed[-SHOWN:])
            ],
            last.run_id,
        )
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


def _launch(run: FinishedRun) -> str:
    command = f"dg launch --job {run.job}"
    if not run.first:
        return command
    one = run.first == run.last
    return f"{command} --partition {run.first}" if one else f"{command} --partition-range {run.first}...{run.last}"


def _partitions(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _of_checks(observed: Observed) -> Iterator[Alarm]:
    for check in observed.checks:
        told_by_folders = check.asset in observed.feed_of and check.name in TOLD_BY_FOLDERS
        if check.failed and not told_by_folders:
            yield _verification(check) if check.asset == VERIFICATION else _check(check, observed)


def _check(check: CheckState, observed: Observed) -> Alarm:
    feed = observed.feed_of.get(check.asset, "")
    where = f" for {_listed(check.batches)}" if check.batches else ""
    again = f" `orchestration-project status {feed}` says how it stands with the feed." if feed else ""
    return Alarm(
        Kind.CHECK_FAILED,
        f"{check.asset}.{check.name}",
        feed,
        Severity.ERROR,
        f"the check {check.name} of {check.asset} fails{where}",
        check.at,
        f"Mend what it says, then run it again.{again}",
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
        f"`orchestration-project verify` lists all findings, with the command that mends each ({LIBRARY}).",
        items=[check.description] if check.description else [],
        run_id=check.run_id,
    )


def _of_platform(observed: Observed, limits: Thresholds) -> Iterator[Alarm]:
    now = observed.now
    yield from _short_disks(observed, limits)
    for name in observed.switched_off:
        yield Alarm(
            Kind.AUTOMATION_OFF,
            name,
            "",
            Severity.ERROR,
            f"{name} is switched off, and AUTOMATION says that it should be on",
            now,
            f"Switch {name} on again in the UI, under Automation.",
        )
    last = observed.newest_materialization
    if last and now - last > dt.timedelta(hours=limits.idle_hours):
        yield Alarm(
            Kind.NOTHING_MATERIALIZED,
            "",
            "",
            Severity.ERROR,
            f"no asset was materialized for {_span(now - last)}",
            last,
            "See in the UI whether schedules and sensors are on, the daemon lives and runs wait in the queue.",
        )
    holder = observed.holder
    if holder and now - holder.since > dt.timedelta(minutes=limits.busy_minutes):
        yield Alarm(
            Kind.WAREHOUSE_BUSY,
            "",
            "",
            Severity.WARN,
            f"the warehouse has been in use by one process for {_span(now - holder.since)}",
            holder.since,
            "Everything else waits for it. See whether it still works, and stop it if it hangs.",
            items=[holder.who],
        )
    for feed, why in observed.not_watched.items():
        yield Alarm(
            Kind.NOT_WATCHED,
            feed,
            feed,
            Severity.ERROR,
            f"{feed}: its folders can't be looked at, so nothing is known of the feed",
            now,
            "Let the platform read landing, archive and quarantine of the feed.",
            items=[why],
        )
    for target in observed.dead_targets:
        yield Alarm(
            Kind.TARGET_DEAD,
            target.label,
            "",
            Severity.ERROR,
            f"{target.label} takes no messages: {_number(target.attempts, 'attempt', 'attempts')} failed in a row",
            target.since,
            "See that its URL in ALERT_URLS is right and the service answers: `orchestration-project alert-test`.",
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
                f"the disk of {disk.folder} has {_size(disk.free)} left of {_size(disk.total)}",
                observed.now,
                f"Free space on it, or enlarge it ({LIBRARY}).",
                # It gets worse with each halving of what is left.
                limits.free_bytes // max(1, disk.free),
            )


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _listed(keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:SHOWN])
    return f"{shown} and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else shown


def _span(span: dt.timedelta) -> str:
    """A time in words, rounded down: 3 days, 25 hours, 40 minutes."""
    hours = int(span.total_seconds() // 3600)
    if hours >= 48:
        return f"{hours // 24:,} days"
    return _number(hours, "hour", "hours") if hours else _number(int(span.total_seconds() // 60), "minute", "minutes")


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"

"""Which failed runs are tried again, and when. This is the one place that decides it.

    fault                                              what happens
    the warehouse is busy; a disk is full, read-only   a new run is requested, after 5 minutes, then after 10
    or fails; the network fails                        (`retries` and `retry_minutes` of the feed)
    the run's process is killed                        Dagster's run monitoring starts it again (dagster.yaml)
    files still lie in landing                         the feed's sensor requests them again, later and later
    a check fails, a contract or a file is wrong       nothing: the same data would fail again

A run never sleeps until a fault has passed: it would hold the pool's only slot for the warehouse. So a run that is
requested again waits for a busy warehouse for a moment only (`patience_of`). In return, a run that failed like that
never is the reason to give a file up (`without_passing_faults`).

Belongs here: which runs have failed, and for what, by Dagster's history. Does not belong here: files in landing
(`sensor_evaluation`).
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from math import inf

import dagster as dg

from orchestration_project.components.feed_spec import RANGE_END, RANGE_START, FeedSpec
from orchestration_project.errors import transient_errors
from orchestration_project.inspection.runs import RUN_KEY, causes_of
from orchestration_project.storage.sensor_cursor import SensorCursor
from orchestration_project.storage.sensor_evaluation import MAX_REQUESTS

REMEMBERED = dt.timedelta(days=1)
"""How long a failed run is looked at: what could not be tried again for so long has met its schedule since."""
# The most runs that a tick reads, should each run of a day have failed.
MOST = 50
ROOT, NUMBER = "retry_of", "retry_number"
"""Tags of a retry: the run that failed first, and the number of this retry of it, from 1."""
ASKED_AGAIN = {"asked_again": "yes"}
"""The tag of runs that are requested anew when they fail for a fault that passes. Those who request them set it."""
MOMENT_SECONDS = 10.0
"""How long these wait for a busy warehouse: long enough for another step, or a command that only reads, to end."""
PARENT, RETRY = "dagster/parent_run_id", "dagster/retry_number"
"""Dagster's tags of a run that is another one's repetition, and of one that Dagster itself has started again."""
SYSTEM_FAULTS = frozenset(
    {
        "OSError",  # for I/O errors, full disks and stale network files Python has no class of its own
        "ConnectionError",
        "ConnectionAbortedError",
        "ConnectionRefusedError",
        "ConnectionResetError",
        "BrokenPipeError",
        "TimeoutError",
    }
)


def patience_of(tags: Mapping[str, str]) -> float:
    """For how many seconds a run with these tags may wait for the warehouse; infinite: as long as the setting says."""
    # Who re-executes a run in the UI gets its tags, and nobody promised to ask for that one again.
    by_hand = PARENT in tags and RETRY not in tags
    return MOMENT_SECONDS if ASKED_AGAIN.items() <= tags.items() and not by_hand else inf


def without_passing_faults(instance: dg.DagsterInstance, job: str, cursor: SensorCursor, now: float) -> SensorCursor:
    """The cursor, without the last request for files whose run failed for a fault that passes.

    Such files are not given up: without that request they are due again after the longest of the sensor's pauses.

    Args:
        instance: with the history.
        job: the name of the feed's job.
        cursor: what the sensor remembers.
        now: seconds since the epoch.
    """
    last = {entry.run_key for entry in cursor.batches.values() if entry.requests >= MAX_REQUESTS}
    if not last:
        return cursor
    since = dt.datetime.fromtimestamp(now, dt.UTC) - REMEMBERED
    failed = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    passed = {
        key
        for run in instance.get_runs(failed, limit=MOST)
        if (key := run.tags.get(RUN_KEY)) in last and failed_for_a_while(instance, run.run_id)
    }
    batches = {
        batch: replace(entry, requests=MAX_REQUESTS - 1) if entry.run_key in passed else entry
        for batch, entry in cursor.batches.items()
    }
    return replace(cursor, batches=batches)


def retry_requests(
    instance: dg.DagsterInstance, spec: FeedSpec, job: str, now: float, waiting: Set[str]
) -> Iterator[dg.RunRequest]:
    """The runs to request now, in the place of runs that failed for a fault that passes.

    A run is not tried again when a later run of the job is for one of its batches, whoever requested that one.

    Args:
        instance: with the history.
        spec: the feed.
        job: the name of its job.
        now: seconds since the epoch.
        waiting: partition keys of the batches with files in landing: the sensor requests them anyway.
    """
    since = dt.datetime.fromtimestamp(now, dt.UTC) - REMEMBERED
    failed = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    if not instance.get_run_records(failed, limit=1):  # mostly there is none: then this is all that a tick costs
        return
    records = instance.get_run_records(dg.RunsFilter(job_name=job, updated_after=since), limit=MOST)
    later: list[dg.RunRecord] = []
    for record in records:  # the newest first
        if (
            record.dagster_run.status is dg.DagsterRunStatus.FAILURE
            and _is_due(record, spec, now)
            and not _overtaken(record, later, spec, waiting)
            and failed_for_a_while(instance, record.dagster_run.run_id)
        ):
            yield _request(record.dagster_run)
        later.append(record)


def _is_due(record: dg.RunRecord, spec: FeedSpec, now: float) -> bool:
    done = _number_of(record.dagster_run)
    # With 5 minutes: 5 after the first failure, 10 after the second.
    pause = spec.monitoring.retry_minutes * 60 * 2**done
    return done < spec.monitoring.retries and record.end_time is not None and now >= record.end_time + pause


def _number_of(run: dg.DagsterRun) -> int:
    return int(run.tags.get(NUMBER, 0))


def _overtaken(record: dg.RunRecord, later: list[dg.RunRecord], spec: FeedSpec, waiting: Set[str]) -> bool:
    """Whether something else sees to a run's batches: a later run, or files that lie in landing."""
    keys = spec.keys_of_run(record.dagster_run.tags)
    if keys is None:  # a snapshot, or a run for no batch in particular
        return bool(later or waiting)
    others = [spec.keys_of_run(other.dagster_run.tags) for other in later]
    return bool(keys & waiting) or any(other is None or keys & other for other in others)


def failed_for_a_while(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether all steps of a run that failed did so for faults that pass by themselves."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    faults = [entry.dagster_event.step_failure_data.error for entry in entries if entry.dagster_event]
    # By names: Dagster's history has the text of errors, not their classes. And all steps: with one that failed for its
    # data the run would fail again.
    names = SYSTEM_FAULTS | transient_errors()
    return bool(faults) and all(any(cause.cls_name in names for cause in causes_of(error)) for error in faults)


def _request(run: dg.DagsterRun) -> dg.RunRequest:
    root, number = run.tags.get(ROOT, run.run_id), _number_of(run) + 1
    batches = {name: run.tags[name] for name in (RANGE_START, RANGE_END) if name in run.tags}
    return dg.RunRequest(
        # No key runs twice, so neither does a retry, also when the daemon dies before it stores the tick.
        f"retry:{root}:{number}",
        partition_key=None if batches else run.tags.get("dagster/partition"),
        tags={**batches, **ASKED_AGAIN, ROOT: root, NUMBER: str(number)},
    )

"""What starts a feed's runs: its job, the sensor that looks into landing, the schedule that sweeps it.

Here is only what Dagster needs. Which batches are ready and which runs to request is decided in
`storage.sensor_evaluation`.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from orchestration_project.components.feed_spec import DELIVERY_TAG, OPERATIONS, RANGE_END, RANGE_START, FeedSpec
from orchestration_project.components.resources import Platform
from orchestration_project.components.retries import ASKED_AGAIN, retry_requests, without_passing_faults
from orchestration_project.inspection.runs import FEED_TAG, runs_under_way
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.landing import waiting, waiting_files
from orchestration_project.storage.sensor_cursor import SensorCursor, read_cursor, with_requests, write_cursor
from orchestration_project.storage.sensor_evaluation import (
    MAX_REQUESTS,
    MAX_UNDER_WAY,
    Evaluation,
    evaluate,
    group_by_batch,
    plan_requests,
    ranges,
)
from orchestration_project.storage.writers import being_written

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

NAMES_SHOWN = 3
REQUESTED = "landing/requested"
"""The tag of a run that `watch` asked for: what the sensor would have noted of it in its cursor."""
# Sensor and schedule look so far back for batches that a contract promises. Older ones may share a run.
PROMISED_LATELY = dt.timedelta(days=31)


def build_job(spec: FeedSpec) -> "UnresolvedAssetJobDefinition":
    """The job that loads the feed and everything that is made from it."""
    published = dg.AssetSelection.assets(*spec.published)
    # What is about the platform itself reads the feeds' tables, too, but has schedules of its own: otherwise each small
    # load would end with a verification of everything.
    made_from_it = (
        published.downstream() - dg.AssetSelection.groups(OPERATIONS) - dg.AssetSelection.tag(DELIVERY_TAG, "")
    )
    return dg.define_asset_job(
        spec.configured.job,
        # A feed's group has its name, and nothing keeps a feed from being named like that group.
        selection=dg.AssetSelection.assets(spec.raw) | published | made_from_it,
        description=f"Loads the feed {spec.name} and updates everything that is made from it.",
        # With a process for each step six empty assets took 31 s on two cores, in one process 4.9 s; and DuckDB has one
        # writer in any case.
        executor_def=dg.in_process_executor,
        tags={FEED_TAG: spec.name},
    )


def build_sensor(
    spec: FeedSpec, job: "UnresolvedAssetJobDefinition", clock: Callable[[], float] = time.time
) -> dg.SensorDefinition:
    """The sensor: requests runs for the batches of settled files, and again, with growing pauses, for files that stay.

    It also tries again what failed for a fault that passes by itself.

    Args:
        spec: the feed.
        job: what it runs.
        clock: returns the seconds since the epoch.
    """

    @dg.sensor(
        name=spec.configured.sensor,
        job=job,
        minimum_interval_seconds=spec.monitoring.sensor_interval_seconds,
        default_status=sensor_status(),
        description=f"Watches `$DATA_DIR/landing/{spec.name}/` and loads the batches of the files that arrive."
        " Tries again the runs that failed for a fault of warehouse, disk or network.",
    )
    def files_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult:
        now, settings = clock(), platform.settings
        under_way = runs_under_way(context.instance, job.name)
        cursor = without_passing_faults(context.instance, job.name, read_cursor(context.cursor, now), now)
        landing = waiting(settings, spec.name)
        files = landing.files
        plan = plan_runs(spec, files, being_written(files), cursor, under_way, now)
        _log_given_up(context, spec, plan.evaluation)
        present = {spec.options.batching.key(batch) for batch in plan.evaluation.present}
        requests = [*plan.requests, *retry_requests(context.instance, spec, job.name, now, present)]
        reason = None if requests else _skip_reason(spec, plan.evaluation, len(files), landing.ignored)
        # Dagster stores runs and cursor apart. If the daemon dies between the two, the same requests come again with
        # the same run keys, and Dagster starts no key twice.
        return dg.SensorResult(requests, skip_reason=reason, cursor=write_cursor(plan.cursor))

    return files_sensor


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs to request for what lies in landing.

    Attributes:
        evaluation: what was found there.
        requests: the runs.
        cursor: what the sensor remembers once they are requested.
    """

    evaluation: Evaluation
    requests: Sequence[dg.RunRequest]
    cursor: SensorCursor


def plan_runs(
    spec: FeedSpec,
    files: Sequence[FoundFile],
    written: Set[str],
    cursor: SensorCursor,
    under_way: Mapping[str, Mapping[str, str]],
    now: float,
    settle_seconds: float | None = None,
) -> Plan:
    """Plan the runs to request.

    Args:
        spec: the feed.
        files: those in landing.
        written: the names of those that are still being written.
        cursor: what the sensor remembers.
        under_way: the tags of the job's runs that have not ended, by their keys.
        now: seconds since the epoch.
        settle_seconds: how long a file must have been left alone; None: as long as the feed says.
    """
    options, moment = spec.options, dt.datetime.fromtimestamp(now, dt.UTC)
    cursor = with_requests(cursor, {key: tags[REQUESTED] for key, tags in under_way.items() if REQUESTED in tags})
    grouped = group_by_batch(files, options.batching, moment)
    patience = options.settle_seconds if settle_seconds is None else settle_seconds
    evaluation = evaluate(grouped, cursor, now, patience, under_way, written)
    # One run loads all files of a snapshot feed, so a second one would find nothing.
    room = max(0, (1 if options.snapshot else MAX_UNDER_WAY) - len(under_way))
    planned, cursor = plan_requests(
        spec.name, evaluation, options.batching, now, room, options.snapshot, expects_of(spec, moment)
    )
    requests = [_run_request(spec, run.start, run.end, run.run_key, ASKED_AGAIN) for run in planned]
    return Plan(evaluation, requests, cursor)


def _log_given_up(context: dg.SensorEvaluationContext, spec: FeedSpec, evaluation: Evaluation) -> None:
    """Log the files that were given up, at every tick until somebody acts."""
    if evaluation.given_up:
        names = ", ".join(repr(name) for name in evaluation.given_up[:NAMES_SHOWN])
        context.log.error(
            f"{spec.name}: {len(evaluation.given_up)} file(s) stay in landing after {MAX_REQUESTS} runs, first {names}."
            " See why those runs failed, then write to the file, or move it away and back, to have it tried again"
        )


def _run_request(spec: FeedSpec, start: Batch, end: Batch, run_key: str, tags: Mapping[str, str]) -> dg.RunRequest:
    first, last = spec.options.batching.key(start), spec.options.batching.key(end)
    if spec.options.snapshot:
        return dg.RunRequest(run_key, tags=tags)
    if first == last:
        return dg.RunRequest(run_key, partition_key=first, tags=tags)
    # Dagster has no request for a range of partitions: these tags are what its backfills of one run set.
    return dg.RunRequest(run_key, tags={RANGE_START: first, RANGE_END: last, **tags})


def _skip_reason(spec: FeedSpec, evaluation: Evaluation, files: int, ignored: int) -> str:
    """Why nothing is requested though there may be files, as the tick shows it in the UI."""
    also = f" {ignored} more not looked at: links, unfinished files, or in subfolders." if ignored else ""
    if not files:
        return f"Nothing in landing/{spec.name}.{also}"
    held = f" {len(evaluation.ready)} batch(es) wait for another run to end," if evaluation.ready else ""
    return (
        f"{files} file(s) in landing/{spec.name}: {evaluation.settling} still being written, {evaluation.running} in a"
        f" run, {len(evaluation.given_up)} given up after {MAX_REQUESTS} runs,{held} the others wait for their batch to"
        f" begin or their next attempt.{also}"
    )


def build_schedule(spec: FeedSpec, job: "UnresolvedAssetJobDefinition") -> dg.ScheduleDefinition:
    """The schedule: runs for the last complete batch, and for whatever is still in landing.

    It also takes what the sensor gave up, and works where the sensor is switched off.
    """
    batching = spec.options.batching

    @dg.schedule(
        name=spec.configured.schedule,
        job=job,
        cron_schedule=spec.monitoring.schedule,
        execution_timezone=batching.timezone.key,
        default_status=schedule_status(),
        description=f"Loads the last complete batch of the feed {spec.name}, and what still lies in landing.",
    )
    def sweep(context: dg.ScheduleEvaluationContext, platform: Platform) -> Iterator[dg.RunRequest]:
        moment = context.scheduled_execution_time
        # Run keys come from the planned time, so a tick that is evaluated twice starts its runs once.
        tick = moment.astimezone(dt.UTC).isoformat()
        complete = batching.last_complete(moment)
        tags = ASKED_AGAIN if spec.monitoring.retries else {}
        if spec.options.snapshot:
            yield _run_request(spec, complete, complete, tick, tags)
            return
        grouped = group_by_batch(waiting_files(platform.settings, spec.name), batching, moment)
        sizes = {batch: len(files) for batch, files in grouped.items()}
        # Even without a file the last complete batch gets a run: its partition is materialized, and its checks run. If
        # it is expected, they may stop that run, so it is one of its own.
        expects = expects_of(spec, moment)
        alone = complete not in sizes and expects(complete)
        if complete >= batching.start and not alone:
            sizes.setdefault(complete, 0)
        for run in [*ranges(sizes, batching, expects), *([[complete]] if alone else [])]:
            yield _run_request(spec, run[0], run[-1], f"{tick}:{batching.key(run[0])}", tags)

    return sweep


def expects_of(spec: FeedSpec, now: dt.datetime) -> Callable[[Batch], bool]:
    """Tells whether the checks may stop a run for a batch without a file: it is expected.

    By what a contract promises only the latest are. Who loads the files of years with such a feed needs few runs.
    """
    calendar = spec.options.calendar
    if calendar is None:
        return lambda _: False
    first = calendar.batching.start if calendar.declared else calendar.batching.current(now - PROMISED_LATELY)
    return lambda batch: batch >= first and calendar.expects(batch)


def sensor_status() -> dg.DefaultSensorStatus:
    """Whether sensors start switched on: `AUTOMATION`."""
    return dg.DefaultSensorStatus.RUNNING if Settings.from_env().automation else dg.DefaultSensorStatus.STOPPED


def schedule_status() -> dg.DefaultScheduleStatus:
    """Whether schedules start switched on: `AUTOMATION`."""
    return dg.DefaultScheduleStatus.RUNNING if Settings.from_env().automation else dg.DefaultScheduleStatus.STOPPED

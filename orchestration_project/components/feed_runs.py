"""How a feed's runs come about: its job, the sensor that watches landing, the schedule that sweeps it."""

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg

from orchestration_project.components.feed_spec import OPERATIONS, RANGE_END, RANGE_START, FeedSpec
from orchestration_project.components.resources import Platform
from orchestration_project.errors import FileRefused
from orchestration_project.landing.batches import Batch, Batching
from orchestration_project.landing.files import FoundFile, discover
from orchestration_project.landing.queue import MAX_REQUESTS, Look, asked, look, ranges, read_state, write_state
from orchestration_project.settings import Settings

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

RUN_KEY = "dagster/run_key"
NAMES_SHOWN = 3


def build_job(spec: FeedSpec) -> "UnresolvedAssetJobDefinition":
    """The job that loads the feed and everything that is made from it."""
    published = dg.AssetSelection.assets(spec.cleaned, spec.rejected)
    return dg.define_asset_job(
        f"{spec.name}_job",
        selection=dg.AssetSelection.assets(spec.raw) | (published.downstream() - dg.AssetSelection.groups(OPERATIONS)),
        description=f"Loads the feed {spec.name} and updates everything that is made from it.",
        executor_def=dg.in_process_executor,
        tags={"feed": spec.name},
    )


def build_sensor(
    spec: FeedSpec, job: "UnresolvedAssetJobDefinition", clock: Callable[[], float] = time.time
) -> dg.SensorDefinition:
    """The sensor: asks for the batches of settled files, in few runs; again, later and later, for files that stay.

    Args:
        spec: the feed.
        job: what it runs.
        clock: tells the seconds since the epoch.
    """

    @dg.sensor(
        name=f"{spec.name}_files_sensor",
        job=job,
        minimum_interval_seconds=spec.delivery.sensor_interval_seconds,
        default_status=_sensor_status(),
        description=f"Watches `$DATA_DIR/landing/{spec.name}/` and loads the batches of the files that arrive.",
    )
    def files_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult:
        now = clock()
        files = discover(platform.settings.landing(spec.name))
        found = look(files, read_state(context.cursor), now, spec.delivery.settle_seconds, _running(context.instance))
        _alarm(context, spec, found)
        requests = list(_requests(spec, found, now))
        idle = None if requests else _idle(spec, found)
        return dg.SensorResult(requests, skip_reason=idle, cursor=write_state(found.state))

    return files_sensor


def _running(instance: dg.DagsterInstance) -> Callable[[str], bool]:
    """Tells whether the run with a run key is still to end; asks the instance once a key, for many files share one."""

    @cache
    def is_running(run_key: str) -> bool:
        runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY: run_key}), limit=1)
        return bool(runs) and not runs[0].is_finished

    return is_running


def _alarm(context: dg.SensorEvaluationContext, spec: FeedSpec, found: Look) -> None:
    if found.given_up:
        names = ", ".join(repr(name) for name in found.given_up[:NAMES_SHOWN])
        context.log.error(
            f"{spec.name}: {len(found.given_up)} file(s) stay in landing after {MAX_REQUESTS} runs, first {names}."
            " See why those runs failed, then write to the file, or move it away and back, to have it tried again"
        )


def _requests(spec: FeedSpec, found: Look, now: float) -> Iterator[dg.RunRequest]:
    """Requests for the files that are due, noted in the state."""
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    placed = [(batch, file) for file in found.due if (batch := _batch(spec, file, moment))]
    for start, end in ranges((batch for batch, _ in placed), spec.options.batching):
        # A snapshot has one table for all its batches, so they go into one run.
        files = [file for batch, file in placed if spec.options.snapshot or start <= batch <= end]
        run_key = _run_key(spec, start, end, files, found)
        asked(found.state, files, run_key, now)
        yield _request(spec, start, end, run_key)
        if spec.options.snapshot:
            return


def _batch(spec: FeedSpec, found: FoundFile, now: dt.datetime) -> Batch | None:
    """The batch whose run takes a file in; None for one that has not begun.

    Any run of the feed puts a file away that has no batch of its own, so the current batch's is asked.
    """
    batching = spec.options.batching
    current = batching.current(now)
    try:
        batch = batching.batch_of(found.name, found.modified_at)
    except FileRefused:
        return current
    return batch if batch <= current else None


def _run_key(spec: FeedSpec, start: Batch, end: Batch, files: Sequence[FoundFile], found: Look) -> str:
    """Differs for other files, other versions of them and another attempt: a run key is never run twice."""
    known = [(file, found.state[file.name]) for file in files]
    parts = [f"{file.name}/{file.signature}/{waiting.requests}/{waiting.seen_at}" for file, waiting in known]
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{spec.name}:{start}...{end}:{digest}"


def _request(spec: FeedSpec, start: Batch, end: Batch, run_key: str) -> dg.RunRequest:
    first, last = spec.options.batching.key(start), spec.options.batching.key(end)
    if spec.options.snapshot:
        return dg.RunRequest(run_key)
    if first == last:
        return dg.RunRequest(run_key, partition_key=first)
    return dg.RunRequest(run_key, tags={RANGE_START: first, RANGE_END: last})


def _idle(spec: FeedSpec, found: Look) -> str:
    if not found.state:
        return f"Nothing in landing/{spec.name}."
    return (
        f"{len(found.state)} file(s) in landing/{spec.name}: {len(found.settling)} still being written,"
        f" {len(found.running)} in a run, {len(found.given_up)} given up after {MAX_REQUESTS} runs, the others wait for"
        " their batch to begin or their next attempt."
    )


def build_schedule(spec: FeedSpec, job: "UnresolvedAssetJobDefinition") -> dg.ScheduleDefinition:
    """The schedule: the last complete batch, and a sweep of whatever still lies in landing."""
    batching = spec.options.batching

    @dg.schedule(
        name=f"{spec.name}_{batching.cadence}_schedule",
        job=job,
        cron_schedule=spec.delivery.schedule,
        execution_timezone=batching.timezone.key,
        default_status=schedule_status(),
        description=f"Loads the last complete batch of the feed {spec.name}, and what still lies in landing.",
    )
    def sweep(context: dg.ScheduleEvaluationContext, platform: Platform) -> Iterator[dg.RunRequest]:
        moment = context.scheduled_execution_time
        tick = moment.astimezone(dt.UTC).isoformat()
        complete = last_complete(batching, moment)
        if spec.options.snapshot:
            yield _request(spec, complete, complete, tick)
            return
        lying = discover(platform.settings.landing(spec.name))
        waiting = [batch for found in lying if (batch := _batch(spec, found, moment))]
        for start, end in ranges([*([complete] if complete >= batching.start else []), *waiting], batching):
            yield _request(spec, start, end, f"{tick}:{batching.key(start)}")

    return sweep


def last_complete(batching: Batching, moment: dt.datetime) -> Batch:
    """The batch that ended last before `moment` (with a time zone)."""
    current = batching.current(moment)
    start = current if isinstance(current, dt.datetime) else dt.datetime.combine(current, dt.time())
    return batching.floor(start - dt.timedelta(microseconds=1))


def _sensor_status() -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if Settings.from_env().automation else dg.DefaultSensorStatus.STOPPED


def schedule_status() -> dg.DefaultScheduleStatus:
    """Whether schedules start switched on: `AUTOMATION`."""
    return dg.DefaultScheduleStatus.RUNNING if Settings.from_env().automation else dg.DefaultScheduleStatus.STOPPED

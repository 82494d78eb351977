"""Gather what conditions are computed from: folders, notes, and Dagster's history. It changes nothing.

It opens no warehouse and waits for nobody. Each part has a bound, since a tick has a minute for all: the history is
read from a copy (`health.run_history`), folders are listed once, and of errors only the first few are looked up.
"""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import dagster as dg

from orchestration_project.alerts.folders import Watched, observe_feed
from orchestration_project.alerts.model import FeedObserved, JobRuns, Observed, Thresholds
from orchestration_project.alerts.outbox import DeadTarget
from orchestration_project.errors import PlatformError, platform_errors, visible, without_values
from orchestration_project.health.run_history import FILE, FinishedRun, LastRuns, RunHistory, newest_materialization
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.runs import AD_HOC_JOB, causes_of, runs_under_way
from orchestration_project.publishing.lag import copy_status
from orchestration_project.settings import Settings
from orchestration_project.storage.disks import disks_of
from orchestration_project.storage.feed_state import CheckState, read_checks
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.feed_tables import history_table, tables_of


@dataclass(frozen=True, slots=True)
class FeedToWatch:
    """A feed, and the reject rate above which its check warns."""

    source: ConfiguredFeed
    reject_limit: float

    @property
    def tables(self) -> frozenset[str]:
        """The assets that a load writes."""
        return frozenset(tables_of(self.source.feed))

    @property
    def checked(self) -> frozenset[str]:
        """The assets whose checks are about the feed."""
        history = [history_table(self.source.feed)] if self.source.options.history else []
        return self.tables.union(history)


@dataclass(frozen=True, slots=True)
class Declared:
    """What the definitions have.

    Attributes:
        jobs: the names of all jobs.
        assets: the assets, but for those about the platform itself.
        checks: all checks, by asset and name.
        automation: by name, the sensors and schedules that are declared to be on.
    """

    jobs: Collection[str]
    assets: Sequence[dg.AssetKey]
    checks: Collection[tuple[str, str]]
    automation: Collection[str]


def declared_in(repository: dg.RepositoryDefinition, itself: str, operations: str) -> Declared:
    """What a code location declares.

    Args:
        repository: the code location.
        itself: the name of the sensor that asks, which is left out.
        operations: the group of assets about the platform itself. They are left out: that it measures itself every hour
            does not mean that data comes.
    """
    graph = repository.asset_graph
    running = [item.name for item in repository.sensor_defs if item.default_status is dg.DefaultSensorStatus.RUNNING]
    running += [
        item.name for item in repository.schedule_defs if item.default_status is dg.DefaultScheduleStatus.RUNNING
    ]
    return Declared(
        # Dagster has a job of its own for runs of chosen assets: __ASSET_JOB. Who starts such a run watches it.
        frozenset(name for name in repository.job_names if not name.startswith("__")),
        sorted(key for key in graph.get_all_asset_keys() if graph.get(key).group_name != operations),
        frozenset((key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys),
        # A sensor that is off can't tell so itself. The heartbeat's service does.
        frozenset(running) - {itself},
    )


def observe(
    instance: dg.DagsterInstance,
    settings: Settings,
    feeds: Sequence[FeedToWatch],
    declared: Declared,
    dead_targets: Sequence[DeadTarget],
    limits: Thresholds,
    now: dt.datetime,
) -> Observed:
    """All that conditions are computed from.

    Args:
        instance: with the history.
        settings: where folders and notes are.
        feeds: the feeds to watch.
        declared: what the definitions have.
        dead_targets: those that take no messages.
        limits: from when on a condition is an alarm; they tell how far back the history matters.
        now: the present moment, with a time zone.
    """
    history = RunHistory(settings.data_dir / FILE)
    history.refresh(instance)
    instigators = {state.instigator_name: state for state in instance.all_instigator_state()}
    # Schedules are among them, and have no cursor.
    cursors = {name: getattr(state.instigator_data, "cursor", None) for name, state in instigators.items()}
    seen: list[FeedObserved] = []
    not_watched: dict[str, str] = {}
    for feed in feeds:
        under_way = runs_under_way(instance, feed.source.job)
        cursor = cursors.get(feed.source.sensor)
        try:
            seen.append(observe_feed(settings, Watched(feed.source, feed.reject_limit, cursor, under_way), now))
        # That a feed can't be looked at is an alarm of that feed. The others have to be looked at all the same.
        except (OSError, PlatformError) as error:
            not_watched[feed.source.name] = visible(str(error))
    # STOPPED is what a person has switched off. What nobody has touched has another status, and does as the code says.
    off = {name for name, state in instigators.items() if state.status.value == "STOPPED"}
    return Observed(
        now,
        seen,
        not_watched,
        list(_jobs(history, feeds, declared.jobs, limits, now)),
        partial(first_error, instance),
        _checks(settings, declared.checks),
        {table: feed.source.name for feed in feeds for table in feed.checked},
        sorted(off & set(declared.automation)),
        newest_materialization(instance, declared.assets),
        disks_of(settings),
        Warehouse.from_settings(settings).holder(),
        dead_targets,
        copy_status(settings, now),
    )


def _checks(settings: Settings, declared: Collection[tuple[str, str]]) -> list[CheckState]:
    """The results of checks that there still are: those of a rule that was renamed would stay for ever."""
    return [check for check in read_checks(settings) if (check.asset, check.name) in declared]


def _jobs(
    history: RunHistory, feeds: Sequence[FeedToWatch], jobs: Collection[str], limits: Thresholds, now: dt.datetime
) -> Iterable[JobRuns]:
    of_jobs = {feed.source.job: feed for feed in feeds}
    # Sorted by job once: there is an entry for each job and partition, too many to be searched again for each job.
    last = defaultdict[str, list[LastRuns]](list)
    for item in history.last_runs():
        last[item.job].append(item)
    since = now - dt.timedelta(days=limits.failed_days)
    for job in sorted(jobs):
        its, feed = last[job], of_jobs.get(job)
        failures = [item.failure for item in its if item.failure and item.failure.ended >= since]
        by_hand: list[FinishedRun] = []
        # Asked for only where something failed: most ticks read nothing of these runs.
        if feed and failures:
            runs = history.finished(min(run.ended for run in failures), AD_HOC_JOB)
            by_hand = [run for run in runs if run.succeeded and feed.tables <= {*run.assets}]
        # Twice as many as are counted, because cancelled ones are left out then.
        newest = history.latest(job, 2 * limits.success_runs)
        yield JobRuns(
            job, feed.source.name if feed else "", its, by_hand, newest, _following(feed.source) if feed else None
        )


def _following(source: ConfiguredFeed) -> Callable[[str], str]:
    batching = source.options.batching
    return lambda key: batching.key(batching.after(batching.from_key(key)))


def first_error(instance: dg.DagsterInstance, run: FinishedRun) -> str:
    """The first error of a failed run, in a line without personal values.

    The platform's own errors have none. Of others the class is told: nobody knows what else an error of a library, or
    of an asset in Python, says.
    """
    wanted = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    events = [entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=wanted) if entry.dagster_event]
    if not events:
        return ""
    found = getattr(events[0].event_specific_data, "error", None)
    if found is None:
        return visible(without_values(Exception(events[0].message or "")))
    # Dagster wraps what a step raises into errors of its own, so the outermost one says nothing of the cause.
    *outer, root = causes_of(found)
    first = next((error for error in outer if error.cls_name in _own_errors()), root)
    return _told(first.cls_name or "", first.message)


def _told(name: str, message: str) -> str:
    # Python writes an error's class before its message, with the module's name.
    text = re.sub(rf"^[\w.]*{re.escape(name)}: ", "", message.strip())
    if name in _own_errors():
        return visible(" ".join(text.split()))
    # Dagster quotes values in its messages, and those can be cut out. Elsewhere nobody knows where a value stands.
    return f"{name}: {visible(without_values(Exception(text)))}" if name.startswith("Dagster") else name


def _own_errors() -> set[str]:
    return {error.__name__ for error in platform_errors()}

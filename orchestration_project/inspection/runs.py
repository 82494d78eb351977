"""What Dagster's run history knows of a feed: its last run, its runs under way, its sensor's cursor.

It only reads, and it makes no history where there is none.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import yaml
from sqlalchemy.exc import SQLAlchemyError

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.status_model import Availability, LastRun, StoreStatus
from orchestration_project.warehouse.feed_tables import tables_of

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

AD_HOC_JOB = "__ASSET_JOB"
"""Dagster's own job for assets that are materialized by hand, by the command line or in the UI."""
AD_HOC_RUNS = 100  # of the newest: all feeds share this job, and a history may have any number of its runs
CAUSES = 10
"""How many causes of an error are followed."""
RUN_KEY = "dagster/run_key"
FEED_TAG = "feed"
"""The tag of the runs of a feed's job: whose they are."""
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED]
STORAGES = frozenset({"storage", "run_storage", "event_log_storage", "schedule_storage"})
"""The settings of a dagster.yaml that keep the history elsewhere than in `$DAGSTER_HOME`."""


@contextmanager
def history_at(home: Path | None) -> Iterator[tuple[dg.DagsterInstance | None, StoreStatus]]:
    """Dagster's instance if it has a history, and whether that can be read.

    Dagster would make an empty history where it finds none, so this looks for the files first.

    Args:
        home: `$DAGSTER_HOME`.
    """
    # Who asks how it stands before the first start must leave no history: two processes that make one at once break it.
    none = "DAGSTER_HOME is not set" if home is None else f"there is no history in {home} yet"
    if home is None or not _has_history(home):
        yield None, StoreStatus(str(home or ""), Availability.NONE, f"{none}, so nothing is known of runs")
        return
    try:
        instance = dg.DagsterInstance.from_config(str(home))
    # A damaged history is one of the things that are asked about.
    except (dg.DagsterError, SQLAlchemyError) as error:
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        yield None, StoreStatus(str(home), Availability.BROKEN, detail)
        return
    with instance:
        yield instance, StoreStatus(str(home), Availability.READY)


def _has_history(home: Path) -> bool:
    config = home / "dagster.yaml"
    settings = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else None
    elsewhere = isinstance(settings, dict) and bool(STORAGES & settings.keys())
    return elsewhere or ((home / "history").is_dir() and (home / "schedules").is_dir())


def cursor_of(instance: dg.DagsterInstance, spec: ConfiguredFeed) -> str | None:
    """The text of the cursor of the feed's sensor; None if it has none yet."""
    # By name: to ask for one state Dagster wants the ids of its code location, which only a loaded one has.
    for state in instance.all_instigator_state():
        if state.instigator_name == spec.sensor:
            return getattr(state.instigator_data, "cursor", None)
    return None


def last_run(instance: dg.DagsterInstance, spec: ConfiguredFeed) -> LastRun | None:
    """The last run of the feed's job, or the last that somebody started for one of its tables; None without any."""
    # Runs by hand are of no job of the feed, so their selection of assets tells whose they are.
    own = instance.get_run_records(dg.RunsFilter(job_name=spec.job), limit=1)
    ad_hoc = instance.get_run_records(dg.RunsFilter(job_name=AD_HOC_JOB), limit=AD_HOC_RUNS)
    tables = {dg.AssetKey(table) for table in tables_of(spec.feed)}
    found = [*own, *(record for record in ad_hoc if tables & (record.dagster_run.asset_selection or frozenset()))]
    record = max(found, key=lambda record: record.create_timestamp, default=None)
    if record is None:
        return None
    run = record.dagster_run
    started, ended = (_moment(seconds) for seconds in (record.start_time, record.end_time))
    return LastRun(run.run_id, run.job_name, run.status.value, started, ended)


def causes_of(error: "SerializableErrorInfo | None") -> Iterator["SerializableErrorInfo"]:
    """An error of a run, what caused it, and so on: Dagster puts its own around what an asset raised."""
    for _ in range(CAUSES):
        if error is None:
            return
        yield error
        error = error.cause


def _moment(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(int(seconds), dt.UTC)


def runs_under_way(instance: dg.DagsterInstance, job: str) -> dict[str, Mapping[str, str]]:
    """The job's runs that have not ended, queued, starting or running: the tags of each, by its run key."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED))
    return {run.tags[RUN_KEY]: run.tags for run in runs if RUN_KEY in run.tags}

"""A feed's source in Dagster: its observable asset, the check that all is in the ledger, its job and its schedule.

A fetch is a run of its own, and has the slot of the pool `sources`: a source that is slow or dead makes no load wait.
Belongs here: what Dagster shows of a fetch, and when it is tried again. The work is in `sources`.
"""

import datetime as dt
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import dagster as dg

from orchestration_project.components.check_states import noted
from orchestration_project.components.feed_metadata import Metadata, compared, table
from orchestration_project.components.feed_runs import schedule_status
from orchestration_project.components.feed_sources import source_key
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.resources import Platform
from orchestration_project.errors import SourceDown, WarehouseBusy, visible
from orchestration_project.settings import Settings, is_named
from orchestration_project.sources.complete import Whereabouts, became_of, find_fetched, sizes_in
from orchestration_project.sources.kinds import KINDS
from orchestration_project.sources.memory import LastFetch, reading_memory
from orchestration_project.sources.model import FetchReport
from orchestration_project.sources.session import DeclaredSource, fetch_now
from orchestration_project.storage.objects import masked
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.connection import Warehouse, reading

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

CHECK = "source_complete"
POOL = "sources"
SHOWN = 20
JITTER = 0.25

Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """The present moment."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source as its definitions see it; see `Source` for the attributes."""

    declared: DeclaredSource
    feed: FeedSpec
    schedule: str
    timezone: str
    retries: int
    retry_seconds: float
    stale_after: dt.timedelta
    owners: Sequence[str]

    @property
    def name(self) -> str:
        """The feed's name."""
        return self.feed.name

    @property
    def key(self) -> dg.AssetKey:
        """The asset's key."""
        return source_key(self.name)

    @property
    def job(self) -> str:
        """The name of the job."""
        return f"fetch_{self.name}"


def build_job(spec: SourceSpec) -> "UnresolvedAssetJobDefinition":
    """The job that fetches once."""
    return dg.define_asset_job(
        spec.job,
        selection=dg.AssetSelection.assets(spec.key),
        description=f"Fetches what is new for the feed {spec.name}. Its sensor loads it.",
        executor_def=dg.in_process_executor,
        tags={"feed": spec.name},
    )


def build_schedule(spec: SourceSpec, job: "UnresolvedAssetJobDefinition") -> dg.ScheduleDefinition:
    """The schedule of the fetches."""
    return dg.ScheduleDefinition(
        name=f"{spec.job}_schedule",
        job=job,
        cron_schedule=spec.schedule,
        execution_timezone=spec.timezone,
        default_status=schedule_status(),
        description=f"Fetches what is new for the feed {spec.name}.",
    )


def build_asset(spec: SourceSpec, clock: Clock = utc_now) -> dg.AssetsDefinition:
    """The asset that stands for the source. To observe it is to fetch.

    Args:
        spec: the source.
        clock: tells the present moment, with a time zone.
    """

    def fetch_files(
        context: dg.AssetExecutionContext, platform: Platform
    ) -> Iterator[dg.ObserveResult | dg.AssetObservation]:
        now = clock()
        try:
            report, url = fetch_now(spec.declared, platform.settings, now, context.log.info)
        except SourceDown as error:
            raise _again(context, spec, error) from error
        metadata = _metadata(report, url, now)
        down = [error for error in report.failed.values() if error.transient]
        if down and context.retry_number < spec.retries:
            # What has landed is told now: the next attempt finds it unchanged.
            yield dg.AssetObservation(spec.key, metadata=metadata)
            raise _again(context, spec, down[0]) from down[0]
        yield dg.ObserveResult(asset_key=spec.key, metadata=metadata, data_version=dg.DataVersion(report.digest))

    # Called, not written above the function: it has no types.
    observable: Callable[[Callable[..., object]], dg.AssetsDefinition] = dg.multi_observable_source_asset(
        name=f"fetch_files_of_{spec.name}", specs=[_asset_spec(spec)]
    )
    return observable(fetch_files)


def _asset_spec(spec: SourceSpec) -> dg.AssetSpec:
    url = getattr(spec.declared.options, "url", "")
    shown = {} if not url or is_named(url) else {"dagster/uri": masked(url)}
    return dg.AssetSpec(
        spec.key,
        group_name=spec.name,
        kinds={KINDS[spec.declared.kind].shown_as},
        owners=list(spec.owners),
        tags=spec.feed.tags,
        metadata=shown,
        description=f"Where the files of the feed {spec.name} come from. To observe it is to fetch: what is new or has"
        f" changed lands in `$DATA_DIR/landing/{spec.name}/`.",
    )


def _again(context: dg.AssetExecutionContext, spec: SourceSpec, error: Exception) -> Exception:
    """What to raise for a fault that may pass: a request for another attempt, or after the last one the fault."""
    if context.retry_number >= spec.retries:
        return error
    # Jitter: schedules of many sources tick at the same second.
    pause = spec.retry_seconds * 2**context.retry_number * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    context.log.warning(f"{error}; trying again in {pause:.0f} s")
    return dg.RetryRequested(spec.retries, pause)


def _metadata(report: FetchReport, url: str, now: dt.datetime) -> Metadata:
    linked = urlsplit(url).scheme in ("http", "https")
    metadata: Metadata = {
        "source": dg.MetadataValue.url(url) if linked else dg.MetadataValue.text(url),
        "listed": dg.MetadataValue.int(report.listed),
        "landed": dg.MetadataValue.int(len(report.landed)),
        "bytes": dg.MetadataValue.int(report.bytes),
        "unchanged": dg.MetadataValue.int(report.unchanged),
        "empty": dg.MetadataValue.int(report.empty),
        "left": dg.MetadataValue.int(report.left),
        "failed": dg.MetadataValue.int(len(report.failed)),
    }
    if report.landed:
        metadata["files"] = table(
            [
                {"file": file.item.name, "key": file.item.key, "bytes": file.bytes, "records": file.records or ""}
                for file in report.landed[:SHOWN]
            ]
        )
    if report.failed:
        metadata["failures"] = table(
            [{"key": key, "why": str(error)} for key, error in list(report.failed.items())[:SHOWN]]
        )
    if report.newest:
        metadata["newest"] = dg.MetadataValue.timestamp(report.newest)
        metadata["lag_seconds"] = dg.MetadataValue.float(round((now - report.newest).total_seconds(), 3))
    return metadata


def build_check(spec: SourceSpec, clock: Clock = utc_now) -> dg.AssetChecksDefinition:
    """The check that what was fetched is in the ledger.

    Args:
        spec: the source.
        clock: tells the present moment, with a time zone.
    """

    # Its pool is that of the whole run, of which the observation itself can't name one.
    @dg.asset_check(
        name=CHECK,
        asset=spec.key,
        pool=POOL,
        description=f"All that was fetched for {spec.name} is in the ledger, or waits in landing, and the last fetch"
        " got all that the source listed.",
    )
    def complete(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        try:
            found, last = _whereabouts(spec, platform.settings, platform.warehouse, clock())
            result = complete_result(spec.name, found, last)
        except WarehouseBusy as error:
            result = _result("the ledger could not be read", f"{error} The next fetch checks again.")
        return noted(context, platform, spec.key.to_user_string(), CHECK, result)

    return complete


def _whereabouts(
    spec: SourceSpec, settings: Settings, warehouse: Warehouse, now: dt.datetime
) -> tuple[Whereabouts, LastFetch | None]:
    with reading_memory(settings.fetched(spec.name)) as memory:
        items, last = memory.items(), memory.last
    landing = sizes_in(settings.landing(spec.name))
    tables = {ledger.TABLE: ledger.COLUMNS}
    with reading(warehouse, f"check of the source of {spec.name}", tables) as connection:
        states = became_of(connection, spec.name)
    return find_fetched(items, landing, states, settings.archive(spec.name), now - spec.stale_after), last


def complete_result(feed: str, found: Whereabouts, last: LastFetch | None) -> dg.AssetCheckResult:
    """What the check says.

    Args:
        feed: the feed's name.
        found: where the files are.
        last: what the last fetch did.
    """
    failed = last.failed if last else {}
    again = f"`orchestration-project fetch {feed} --again KEY` fetches one again"
    if found.is_lost:
        again = f"the ledger is empty; materialize raw_{feed}, and the archive's files are loaded again"
    parts = [
        _named(found.missing, f"in neither landing nor ledger: {again}"),
        _named(found.refused, "refused, and in quarantine with the reason"),
        _named(found.stale, "waiting in landing for too long: see why the feed's runs don't take it"),
        *(f"Not fetched: {visible(key)}: {visible(why)}." for key, why in list(failed.items())[:SHOWN]),
    ]
    told = " ".join(part for part in parts if part)
    counts = f"{found.accepted} accepted, {found.waiting} waiting, {len(found.missing)} missing"
    return _result(counts, told, is_error=bool(found.missing) and not found.is_lost)


def _named(files: Mapping[str, str], what: str) -> str:
    keys = [visible(key) for key in files]
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{', '.join(keys[:SHOWN])}{more}: {what}." if keys else ""


def _result(found: str, problem: str, is_error: bool = False) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not problem,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=problem or f"All that was fetched is there: {found}.",
        metadata=compared("all that was fetched is in the ledger, or waits in landing", found),
    )

"""`PlatformHealth`: how the platform itself does, measured every hour, as a Dagster component.

Belongs here: the asset with its checks, job and schedule, and what the UI shows of a measurement. What is measured is
in `health`, the page in `components.pages`.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import dagster as dg
from pydantic import Field

from orchestration_project.components.charts import percent
from orchestration_project.components.feed_metadata import Cell, Metadata, compared, table
from orchestration_project.components.feed_runs import schedule_status
from orchestration_project.components.feed_spec import OPERATIONS, POOL, FeedSpec
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.project import with_platform
from orchestration_project.components.resources import Platform
from orchestration_project.health import model
from orchestration_project.health.table import COLUMNS, DESCRIPTIONS, add
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import write_whole
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.tables import exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from orchestration_project.health.operations import Operations

NAME = "platform_health"
REPORT = "operations.html"
SUCCESS, DISK = "success_rate", "disk_space"
ENOUGH_RUNS = 10
"""Of fewer runs a rate says little: one failure of a weekly job is a quarter of its runs."""
MIN_SUCCESS_RATE, MIN_FREE_DISK = 0.9, 0.1


class PlatformHealth(dg.Component, dg.Model, dg.Resolvable):
    """How runs, feeds, stores and disks do: an asset that measures them every hour and keeps the figures.

    Makes the asset `platform_health` with its checks, the job `platform_health_job` and a schedule.
    """

    min_success_rate: Annotated[
        float,
        Field(ge=0, le=1, description="Share of a job's runs of 30 days that has to succeed, else the check warns."),
    ] = MIN_SUCCESS_RATE
    min_free_disk: Annotated[
        float, Field(ge=0, le=1, description="Share of each disk that has to be free, else the check warns.")
    ] = MIN_FREE_DISK
    owners: Annotated[Sequence[str], Field(description="Owners: mail addresses, or `team:` and a name.")] = ()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The asset, its job and its schedule."""
        asset = self.asset(feeds_of(context.component_tree))
        job = dg.define_asset_job(
            f"{NAME}_job",
            selection=dg.AssetSelection.assets(asset),
            description="Measures how runs, feeds, stores and disks do.",
            executor_def=dg.in_process_executor,
        )
        schedule = dg.ScheduleDefinition(
            name=f"{NAME}_hourly_schedule",
            job=job,
            cron_schedule="0 * * * *",
            execution_timezone="UTC",
            default_status=schedule_status(),
            description="Measures the platform's health every hour.",
        )
        return with_platform(dg.Definitions(assets=[asset], jobs=[job], schedules=[schedule]))

    def asset(
        self, feeds: Sequence[FeedSpec], clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    ) -> dg.AssetsDefinition:
        """The asset.

        Args:
            feeds: the feeds that it measures.
            clock: tells the present moment, with a time zone.
        """

        # It depends on nothing: no load that failed keeps it from measuring.
        @dg.asset(
            name=NAME,
            backfill_policy=dg.BackfillPolicy.single_run(),
            pool=POOL,
            group_name=OPERATIONS,
            kinds={"duckdb", "html"},
            owners=list(self.owners),
            description="How runs, feeds, stores and disks do, hour by hour: 90 days of hours, then the last figures of"
            " each day. Also writes the page `$DATA_DIR/reports/operations.html` and the figures for Prometheus.",
            metadata={"dagster/column_schema": _schema(), "dagster/table_name": f"main.{NAME}"},
            check_specs=[
                dg.AssetCheckSpec(
                    SUCCESS,
                    asset=NAME,
                    description=f"Of each job, at least {self.min_success_rate:.0%} of the runs of 30 days succeeded.",
                ),
                dg.AssetCheckSpec(
                    DISK, asset=NAME, description=f"Of each disk, at least {self.min_free_disk:.0%} is free."
                ),
            ],
        )
        def platform_health(
            context: dg.AssetExecutionContext, platform: Platform
        ) -> Iterator[dg.MaterializeResult[None]]:
            sources = [ConfiguredFeed(spec.feed, spec.options) for spec in feeds]
            found = measure_and_keep(context.instance, platform.warehouse, platform.settings, sources, clock())
            yield dg.MaterializeResult(
                metadata=_metadata(found),
                check_results=[
                    success_result(found.operations.jobs, self.min_success_rate),
                    disk_result(found.operations.disks, self.min_free_disk),
                ],
            )

        return platform_health


def _schema() -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, sql_type, DESCRIPTIONS[name]) for name, sql_type in COLUMNS.items()])


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement found, and the files that it wrote: the page, and the figures for Prometheus."""

    operations: "Operations"
    page: Path
    exported: Path


def measure_and_keep(
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    settings: Settings,
    sources: Sequence[ConfiguredFeed],
    now: dt.datetime,
) -> Measured:
    """Measure everything, add the figures to the table, and write the page and the file for Prometheus.

    Args:
        instance: whose runs are told.
        warehouse: where the table is.
        settings: where folders are.
        sources: the feeds.
        now: the present moment, with a time zone.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        WarehouseError: another asset has the table.
    """
    from orchestration_project.components.pages.operations import render_operations
    from orchestration_project.health.figures import WINDOW
    from orchestration_project.health.measure import Asked, measure
    from orchestration_project.health.metrics import write_metrics
    from orchestration_project.health.operations import gather
    from orchestration_project.health.run_history import FILE, RunHistory

    # Before the warehouse is opened: the first reading of a long history would make loads wait.
    history = RunHistory(settings.data_dir / FILE)
    history.refresh(instance)
    runs = history.finished(now - WINDOW)
    with warehouse.transaction(NAME) as connection:
        _ensure_ledger(connection)
        asked = Asked(connection, settings, sources, history, NAME, now)
        measurements = measure(asked, runs)
        add(connection, NAME, now, measurements)
        operations = gather(asked, measurements, runs)
    page = settings.reports / REPORT
    # After the commit, so that a disk with no room for the page costs no figures.
    with Warehouse.from_settings(settings).clear_faults(NAME, settings.reports):
        write_whole(page, render_operations(operations).encode(), replacing=True)
        return Measured(operations, page, write_metrics(settings, now, measurements))


def _ensure_ledger(connection: "DuckDBPyConnection") -> None:
    """Have a ledger to ask, with all of its columns.

    None is made where there is none: that is how `status` sees that a warehouse has to be rebuilt.
    """
    if exists(connection, ledger.TABLE):
        ledger.ensure_ledger(connection)
    else:
        ledger.stand_in(connection)


Values = Mapping[str, Mapping[str, float]]


def success_result(jobs: Values, least: float) -> dg.AssetCheckResult:
    """Whether enough of the runs of each job succeeded.

    Args:
        jobs: figures by job.
        least: the share (0 to 1) that has to succeed.
    """
    known = {name: of for name, of in jobs.items() if of[model.RUNS] >= ENOUGH_RUNS and model.LAST_30_DAYS in of}
    low = [f"{name} {percent(of[model.LAST_30_DAYS])}" for name, of in known.items() if of[model.LAST_30_DAYS] < least]
    description = f"Less than {least:.0%} of 30 days' runs succeeded: {', '.join(low)}. See their runs for why."
    if not low:
        description = f"{len(known)} job(s) had at least {ENOUGH_RUNS} runs in 30 days, and none fails too often."
    return _warning(SUCCESS, not low, description, f"at least {least:.0%}", ", ".join(low) or "no job below")


def disk_result(disks: Values, least: float) -> dg.AssetCheckResult:
    """Whether enough of each disk is free.

    Args:
        disks: figures by disk.
        least: the share (0 to 1) that has to be free.
    """
    found = {name: percent(of[model.FREE_SHARE]) for name, of in disks.items()}
    short = [name for name, of in disks.items() if of[model.FREE_SHARE] < least]
    told = ", ".join(f"{name} {share}" for name, share in found.items())
    description = f"Free: {told}."
    if short:
        description += f" Make room on the disk of {', '.join(short)}, or move DATA_DIR to a larger one."
    return _warning(DISK, not short, description, f"at least {least:.0%} free", told)


def _warning(name: str, passed: bool, description: str, expected: str, found: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=compared(expected, found),
    )


def _metadata(found: Measured) -> Metadata:
    from orchestration_project.components.pages.operations import duration_chart, size_chart, success_chart

    operations = found.operations
    charts = [success_chart(operations.days), duration_chart(operations.days)] if operations.jobs else []
    charts += [size_chart(name, sizes) for name, sizes in operations.sizes.items() if len(sizes) > 1]
    metadata: Metadata = {
        "path": dg.MetadataValue.path(found.page),
        "link": dg.MetadataValue.url(found.page.as_uri()),
        "metrics": dg.MetadataValue.path(found.exported),
    }
    for name, values in (
        ("jobs", operations.jobs),
        ("schedules", operations.schedules),
        ("feeds", operations.feed_figures),
        ("stores", operations.stores),
        ("disks", operations.disks),
    ):
        if values:
            metadata[name] = _table(values)
    if charts:
        metadata["charts"] = dg.MetadataValue.md("\n\n".join(chart.markdown for chart in charts))
    return metadata


def _table(values: Values) -> dg.MetadataValue:
    """Figures as a table: a row a subject, a column a metric."""
    names = list(dict.fromkeys(name for of in values.values() for name in of))
    rows: list[Mapping[str, Cell]] = [
        {"name": subject, **{name: _rounded(of.get(name)) for name in names}} for subject, of in values.items()
    ]
    return table(rows)


def _rounded(value: float | None) -> Cell:
    # Counts and shares are stored in one column of floating point: 3 runs are 3, not 3.0.
    return None if value is None else int(value) if value == int(value) else round(value, 4)

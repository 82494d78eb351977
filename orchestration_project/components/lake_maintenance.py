"""`LakeMaintenance`: every night a warehouse that is a lake is made small again, as a component.

Belongs here: the asset with its job and schedule, and what the UI shows of a night. What a night does is in
`warehouse.lake_maintenance`. A warehouse that is a DuckDB file has no such asset.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import dagster as dg
from pydantic import Field

from orchestration_project.components.feed_metadata import Metadata
from orchestration_project.components.feed_spec import OPERATIONS, POOL
from orchestration_project.components.nightly import Nightly, nightly_job, nightly_schedule
from orchestration_project.components.project import with_platform
from orchestration_project.components.resources import Platform
from orchestration_project.settings import Settings

if TYPE_CHECKING:
    from orchestration_project.warehouse.lake_maintenance import Maintained

NAME = "lake_maintenance"
SHOWN = 50
NO_LAKE = "the warehouse is no lake, or was not made yet: there is nothing to put together"


class LakeMaintenance(Nightly):
    """Puts small files of a lake together, and deletes the files of states that are old.

    Makes the asset `lake_maintenance`, the job `lake_maintenance_job` and a schedule, if `WAREHOUSE_URL` names a lake.
    """

    keep_days: Annotated[
        float,
        Field(ge=0, description="For how many days an earlier state of the lake stays readable, by `AT (VERSION)`."),
    ] = 7
    grace_hours: Annotated[
        float,
        Field(ge=0, description="For how long a file stays that no state has any more: a query may be reading it."),
    ] = 24

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - as Dagster calls it
        """The asset, its job and its schedule; nothing for a DuckDB file."""
        if not Settings.from_env().is_lake:
            return dg.Definitions()
        asset = self.asset()
        job = nightly_job(asset, "Puts small files of the lake together, deletes files of old states.")
        return with_platform(dg.Definitions(assets=[asset], jobs=[job], schedules=[build_schedule()]))

    def asset(self, clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> dg.AssetsDefinition:
        """The asset.

        Args:
            clock: tells the present moment, with a time zone.
        """

        @dg.asset(
            name=NAME,
            backfill_policy=dg.BackfillPolicy.single_run(),
            # The warehouse's own: it is held from the first step to the last one.
            pool=POOL,
            group_name=OPERATIONS,
            kinds={"parquet"},
            owners=list(self.owners),
            description="The lake's small files are put together, and files of old states are deleted. No row changes.",
            output_required=False,
        )
        def lake_maintenance(
            context: dg.AssetExecutionContext, platform: Platform
        ) -> Iterator[dg.MaterializeResult[None]]:
            with self.tried_again():
                found = self._night(context, platform, clock())
            if found is None:
                context.log.info(NO_LAKE)
                return
            for path in found.unknown[:SHOWN]:
                context.log.warning(f"it belongs to no table, and is not touched: {path}")
            yield dg.MaterializeResult(metadata=_metadata(found))

        return lake_maintenance

    def _night(self, context: dg.AssetExecutionContext, platform: Platform, now: dt.datetime) -> "Maintained | None":
        from orchestration_project.ingest.shard_files import remove_left
        from orchestration_project.warehouse.lake import Lake
        from orchestration_project.warehouse.lake_maintenance import maintain

        warehouse = platform.warehouse
        if not (isinstance(warehouse, Lake) and warehouse.exists()):
            return None
        keep, grace = dt.timedelta(days=self.keep_days), dt.timedelta(hours=self.grace_hours)
        found = maintain(warehouse, now, keep, grace, context.log.info)
        removed = remove_left(warehouse, found.unknown)
        for path in removed[:SHOWN]:
            context.log.info(f"a load in shards that was killed had left it, and it is removed: {path}")
        return replace(found, unknown=[path for path in found.unknown if path not in {*removed}])


def build_schedule() -> dg.ScheduleDefinition:
    """The schedule of each night."""
    return nightly_schedule(
        NAME,
        5,
        "Puts small files of the lake together each night.",
        lambda settings: None if settings.is_lake else NO_LAKE,
    )


def _metadata(found: "Maintained") -> Metadata:
    return {
        "files_before": dg.MetadataValue.int(found.before.files),
        "files": dg.MetadataValue.int(found.after.files),
        "bytes_before": dg.MetadataValue.int(found.before.bytes),
        "bytes": dg.MetadataValue.int(found.after.bytes),
        "expired_snapshots": dg.MetadataValue.int(found.expired),
        "snapshots": dg.MetadataValue.int(found.snapshots),
        "oldest_snapshot": dg.MetadataValue.timestamp(found.oldest),
        "deleted_files": dg.MetadataValue.int(found.deleted),
        "unknown_files": dg.MetadataValue.int(len(found.unknown)),
    }

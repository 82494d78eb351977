"""`Backup`: every night everything goes to a second place, and is restored from there and compared, as a component.

Belongs here: the asset with its check, job and schedule, and what the UI shows of a night. What a night does is in
`backup`. While `BACKUP_URL` is not set nothing happens, and it is said so.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import dagster as dg
from pydantic import Field

from orchestration_project.components.check_states import noted
from orchestration_project.components.feed_metadata import Metadata, compared
from orchestration_project.components.feed_spec import OPERATIONS, FeedSpec
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.nightly import Nightly, nightly_job, nightly_schedule
from orchestration_project.components.project import with_platform
from orchestration_project.components.proofs import proofs_of
from orchestration_project.components.resources import Platform
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import Proof
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse

if TYPE_CHECKING:
    from orchestration_project.backup.check import Checked, Whole
    from orchestration_project.backup.nightly import Night
    from orchestration_project.backup.retention import Keep

NAME = "warehouse_backup"
CHECK = "restorable"
# Not the warehouse's: loads would wait for the upload. The warehouse is held while its file is copied.
POOL = "backup"
FINDINGS_SHOWN = 20
Weekday = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Backup(Nightly):
    """Backups at `BACKUP_URL`: taken each night, proven by restoring them, and deleted by age.

    Makes the asset `warehouse_backup` with its check, the job `warehouse_backup_job` and a schedule.
    """

    keep_days: Annotated[int, Field(ge=1, description="Of so many days with a backup, the last one is kept.")] = 7
    keep_weeks: Annotated[int, Field(ge=0, description="The same for weeks.")] = 5
    keep_months: Annotated[int, Field(ge=0, description="The same for months.")] = 12
    sample_days: Annotated[
        int,
        Field(
            ge=1,
            description="Each night restores what is new, and so much of the rest that all was restored after these"
            " many nights.",
        ),
    ] = 30
    restore_all_on: Annotated[
        Sequence[Weekday],
        Field(description="Weekdays (UTC) on which all of it is restored, proven, and one batch loaded again."),
    ] = ("Sunday",)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The asset, its job and its schedule."""
        asset = self.asset(feeds_of(context.component_tree), proofs_of(context.component_tree))
        job = nightly_job(asset, "Backs everything up, restores it into a scratch folder and compares.")
        return with_platform(dg.Definitions(assets=[asset], jobs=[job], schedules=[build_schedule()]))

    def asset(
        self,
        feeds: Sequence[FeedSpec],
        proofs: Sequence[Proof],
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> dg.AssetsDefinition:
        """The asset.

        Args:
            feeds: the feeds that a whole restored copy is proven with.
            proofs: those of the marts.
            clock: tells the present moment, with a time zone.
        """

        # It depends on nothing: no load that failed keeps it from saving what there is.
        @dg.asset(
            name=NAME,
            backfill_policy=dg.BackfillPolicy.single_run(),
            pool=POOL,
            group_name=OPERATIONS,
            kinds={"file", "parquet"},
            owners=list(self.owners),
            description="Archive, waivers, repairs, quarantine, warehouse, alarms and Dagster's history, at a second"
            " place, `BACKUP_URL`. As long as that is not set, nothing is backed up.",
            output_required=False,
            check_specs=[
                dg.AssetCheckSpec(
                    CHECK,
                    asset=NAME,
                    description="What was restored into a scratch folder is what was saved.",
                )
            ],
        )
        def warehouse_backup(
            context: dg.AssetExecutionContext, platform: Platform
        ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
            settings, now = platform.settings, clock()
            if not settings.backup_url:
                # No materialization: the UI would show a backup where there is none.
                yield noted(context, platform, NAME, CHECK, not_set())
                return
            whole = whole_check(feeds, proofs) if now.astimezone(dt.UTC).strftime("%A") in self.restore_all_on else None
            night = self._night(context, platform.warehouse, settings, now, whole)
            for note in [*night.taken.notes, *night.checked.notes]:
                context.log.warning(note)
            result = noted(context, platform, NAME, CHECK, check_result(night.checked))
            yield dg.MaterializeResult(metadata=_metadata(night, settings), check_results=[result])

        return warehouse_backup

    def _night(
        self,
        context: dg.AssetExecutionContext,
        warehouse: Warehouse,
        settings: Settings,
        now: dt.datetime,
        whole: "Whole | None",
    ) -> "Night":
        from orchestration_project.backup.nightly import nightly

        with self.tried_again():
            return nightly(warehouse, settings, now, context.log.info, self._keep(), whole, self.sample_days)

    def _keep(self) -> "Keep":
        from orchestration_project.backup.retention import Keep

        return Keep(self.keep_days, self.keep_weeks, self.keep_months)


def build_schedule() -> dg.ScheduleDefinition:
    """The schedule of each night, which skips as long as there is no second place."""

    def why_not(settings: Settings) -> str | None:
        from orchestration_project.backup.vault import NOT_SET

        return None if settings.backup_url else NOT_SET

    return nightly_schedule(NAME, 2, "Backs everything up each night, if BACKUP_URL is set.", why_not)


def whole_check(feeds: Sequence[FeedSpec], proofs: Sequence[Proof]) -> "Whole":
    """What proves a whole restored copy: the platform's own verification of it, and the feeds to load a batch of."""
    from orchestration_project.backup.check import Whole
    from orchestration_project.ingest.batching import settle_killed
    from orchestration_project.inspection.verify import verify

    sources = [ConfiguredFeed(spec.feed, spec.options) for spec in feeds]

    def prove(warehouse: Warehouse, settings: Settings) -> list[str]:
        # What a killed rebuild has left was saved as it was. It is finished or undone, as in the original.
        settle_killed(warehouse, settings, [source.name for source in sources])
        found = verify(warehouse, settings, sources, proofs=proofs)
        return [
            f"{item.feed} {item.file}: {item.what} ({item.expected}; found: {item.found})" for item in found.findings
        ]

    return Whole(sources, prove)


def not_set() -> dg.AssetCheckResult:
    """A warning that nothing is backed up."""
    from orchestration_project.backup.vault import NOT_SET

    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=NOT_SET,
        metadata=compared("a backup", "none"),
    )


def check_result(found: "Checked") -> dg.AssetCheckResult:
    """Whether what was restored is what was saved."""
    description = f"{found.objects:,} object(s), {found.bytes:,} bytes, were restored and are what was saved."
    if not found.proven:
        shown = "; ".join(found.findings[:3])
        description = (
            f"{len(found.findings)} finding(s) in the backup {found.snapshot}, so nothing old was deleted: {shown}. The"
            " next backup stores again what is missing or damaged (docs/backup.md)"
        )
    elif found.losses:
        description += (
            f" But the second place had lost something of {len(found.losses)} earlier backup(s):"
            f" {'; '.join(found.losses[:3])}. What is still on this machine was stored again. A backup that is named"
            " again tomorrow can't be restored (docs/backup.md)"
        )
    told = compared("no findings", f"{len(found.problems)} findings")
    return dg.AssetCheckResult(check_name=CHECK, passed=not found.problems, description=description, metadata=told)


def _metadata(night: "Night", settings: Settings) -> Metadata:
    from orchestration_project.storage.objects import masked

    snapshot = night.taken.snapshot
    return {
        "place": dg.MetadataValue.text(masked(settings.backup_url)),
        "snapshot": dg.MetadataValue.text(snapshot.id),
        "files": dg.MetadataValue.int(snapshot.files),
        "tables": dg.MetadataValue.int(snapshot.tables),
        "dagster/row_count": dg.MetadataValue.int(snapshot.rows),
        "bytes": dg.MetadataValue.int(snapshot.stored_bytes),
        "new_objects": dg.MetadataValue.int(night.taken.new_objects),
        "new_bytes": dg.MetadataValue.int(night.taken.new_bytes),
        "encrypted": dg.MetadataValue.bool(bool(snapshot.sealed_for)),
        "checked_objects": dg.MetadataValue.int(night.checked.objects),
        "findings": dg.MetadataValue.json(night.checked.problems[:FINDINGS_SHOWN]),
        "deleted_snapshots": dg.MetadataValue.int(night.pruned.snapshots),
        "deleted_objects": dg.MetadataValue.int(night.pruned.objects),
    }

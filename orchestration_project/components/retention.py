"""`Retention`: every night, what is old is deleted or moved to the cold archive, as a component.

Belongs here: the asset with its job and schedule, and what the UI shows of a night. What a night does is in
`retention`. Without a setting nothing happens, and it is said so.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from orchestration_project.components.feed_spec import OPERATIONS, FeedSpec
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.nightly import Nightly, nightly_job, nightly_schedule
from orchestration_project.components.project import with_platform
from orchestration_project.components.resources import Platform
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.settings import Settings

NAME = "file_retention"
# Not the warehouse's: loads would wait for uploads. The warehouse is held for moments.
POOL = "retention"
SHOWN = 50
NOT_SET = (
    "nothing is kept for a limited time: REPORT_KEEP_DAYS, QUARANTINE_KEEP_DAYS, and COLD_ARCHIVE_URL with"
    " COLD_ARCHIVE_DAYS, are not set"
)


class Retention(Nightly):
    """Deletes old reports and replaced refused files, and moves old files of the archive to the cold archive.

    Makes the asset `file_retention`, the job `file_retention_job` and a schedule. For how long what stays is told by
    settings; without them nothing happens.
    """

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The asset, its job and its schedule."""
        asset = self.asset(feeds_of(context.component_tree))
        job = nightly_job(asset, "Deletes old reports and replaced refused files, moves old files to the cold archive.")
        return with_platform(dg.Definitions(assets=[asset], jobs=[job], schedules=[build_schedule()]))

    def asset(
        self, feeds: Sequence[FeedSpec], clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    ) -> dg.AssetsDefinition:
        """The asset.

        Args:
            feeds: whose refused files are looked at.
            clock: tells the present moment, with a time zone.
        """
        sources = [ConfiguredFeed(spec.feed, spec.options) for spec in feeds]

        @dg.asset(
            name=NAME,
            backfill_policy=dg.BackfillPolicy.single_run(),
            pool=POOL,
            group_name=OPERATIONS,
            kinds={"file"},
            owners=list(self.owners),
            description="Old reports and replaced refused files are deleted, old files of the archive are moved to the"
            " cold archive. As long as no setting says for how long what stays, nothing happens.",
            output_required=False,
        )
        def file_retention(
            context: dg.AssetExecutionContext, platform: Platform
        ) -> Iterator[dg.MaterializeResult[None]]:
            if not is_wanted(platform.settings):
                context.log.info(NOT_SET)
                return
            with self.tried_again():
                result = self._night(context, platform, sources, clock())
            yield result

        return file_retention

    def _night(
        self,
        context: dg.AssetExecutionContext,
        platform: Platform,
        sources: Sequence[ConfiguredFeed],
        now: dt.datetime,
    ) -> dg.MaterializeResult[None]:
        from orchestration_project.retention.cool import move_old
        from orchestration_project.retention.expire import expire
        from orchestration_project.storage.objects import masked

        settings, warehouse = platform.settings, platform.warehouse
        deleted = expire(warehouse, settings, sources, now)
        for path in [*deleted.reports, *deleted.quarantine]:
            context.log.info(f"deleted: {path}")
        moved = move_old(warehouse, settings, now, context.log.info)
        for line in moved.left:
            context.log.warning(f"it stays in the archive, since it can't be read: {line}")
        return dg.MaterializeResult(
            metadata={
                "deleted_reports": dg.MetadataValue.int(len(deleted.reports)),
                "deleted_refused_files": dg.MetadataValue.int(len(deleted.quarantine)),
                "deleted": dg.MetadataValue.json([*deleted.reports, *deleted.quarantine][:SHOWN]),
                "cold_archive": dg.MetadataValue.text(masked(settings.cold_archive_url) or "none"),
                "moved_files": dg.MetadataValue.int(moved.files),
                "moved_bytes": dg.MetadataValue.int(moved.bytes),
                "not_moved": dg.MetadataValue.json(list(moved.left[:SHOWN])),
            }
        )


def is_wanted(settings: Settings) -> bool:
    """Whether any setting limits how long something stays."""
    return bool(settings.report_keep_days or settings.quarantine_keep_days or settings.moves_archive)


def build_schedule() -> dg.ScheduleDefinition:
    """The schedule of each night, which skips as long as nothing is kept for a limited time."""
    return nightly_schedule(
        NAME,
        4,
        "Deletes and moves what is old each night, if a setting says what is.",
        lambda settings: None if is_wanted(settings) else NOT_SET,
    )

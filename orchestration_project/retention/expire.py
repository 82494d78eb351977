"""Delete old reports, and old refused files in whose place something was accepted since.

Belongs here: what is deleted by age. Does not belong here: files of the published copy, which `publishing` deletes when
no reader can have them open any more; backups, which have rules of their own; the archive, which is never deleted.
"""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.quarantine import moment_of, orphaned_reasons, replaced_files
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import REASON
from orchestration_project.storage.files import discover
from orchestration_project.warehouse import ledger, ledger_queries
from orchestration_project.warehouse.connection import Warehouse, reading

# By numbers: the calendar ends before some ages do.
DAY = 86_400
DATED = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Deleted:
    """The files that were deleted, relative to the data folder."""

    reports: Sequence[str] = ()
    quarantine: Sequence[str] = ()


def expire(warehouse: Warehouse, settings: Settings, sources: Sequence[ConfiguredFeed], now: dt.datetime) -> Deleted:
    """Delete what is older than the settings say; without them nothing.

    Args:
        warehouse: its ledger tells which refused files were replaced.
        settings: where the files are, and for how many days they stay.
        sources: the feeds; files of others stay.
        now: the present moment, with a time zone.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long; old reports are deleted.
    """
    reports, quarantine = list[Path](), list[Path]()
    if days := settings.report_keep_days:
        reports = [*_old_reports(settings.reports, now.timestamp() - DAY * days)]
        _delete(reports)
    if (days := settings.quarantine_keep_days) and warehouse.exists():
        # Under the warehouse's lock: no load can refuse a file, or take one in, while this looks.
        with reading(warehouse, "retention", shared=False) as connection:
            ledger.stand_in(connection)
            limit = now.timestamp() - DAY * days
            for source in sources:
                entries = ledger_queries.kept_entries(connection, source.name)
                quarantine += _old_refused(settings, source, entries, limit)
            _delete(quarantine)
    root = settings.data_dir
    return Deleted(*([str(path.relative_to(root)) for path in paths] for paths in (reports, quarantine)))


def _old_reports(folder: Path, limit: float) -> Iterator[Path]:
    # Those with a day in their names: the others are written anew, and a link to one must not become a dead one.
    for file in discover(folder):
        if DATED.search(file.name) and file.mtime_ns / 1e9 < limit:
            yield file.path


def _old_refused(
    settings: Settings, source: ConfiguredFeed, entries: Sequence[ledger.Entry], limit: float
) -> Iterator[Path]:
    """Each file before its reason: a reason that a kill has left alone is deleted the next time."""
    for path, refused in replaced_files(settings, source, entries):
        moment = moment_of(refused.refused_at)
        # Without a moment nobody knows how old the refusal is.
        if moment and moment.timestamp() < limit:
            yield path
            yield path.with_name(f"{path.name}{REASON}")
    for path, refused_at in orphaned_reasons(settings.quarantine(source.name)):
        if (moment := moment_of(refused_at)) and moment.timestamp() < limit:
            yield path


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)

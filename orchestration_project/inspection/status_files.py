"""What the folders tell: landing, quarantine, archive."""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from pathlib import Path

from orchestration_project.ingest.discover import archived_batches
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.status_model import Landing, Quarantined, Stray
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import REASON
from orchestration_project.storage.files import FoundFile, discover
from orchestration_project.storage.sensor_cursor import read_cursor
from orchestration_project.storage.sensor_evaluation import evaluate, group_by_batch
from orchestration_project.warehouse.ledger import Entry


def landing_of(
    settings: Settings, spec: ConfiguredFeed, now: dt.datetime, cursor: str | None, under_way: Collection[str] | None
) -> Landing:
    """What lies in a feed's drop folder, as its sensor sees it.

    Args:
        settings: where landing is.
        spec: the feed.
        now: the present moment, with a time zone.
        cursor: what the sensor remembers.
        under_way: the keys of its runs that are still to end; None if the history could not be asked.
    """
    files, moment = discover(settings.landing(spec.name)), now.timestamp()
    grouped = group_by_batch(files, spec.options.batching, now)
    seen = evaluate(grouped, read_cursor(cursor, moment), moment, spec.options.settle_seconds, under_way or ())
    oldest = max((moment - file.mtime_ns / 1e9 for file in files), default=None)
    if under_way is None:
        return Landing(len(files), oldest, seen.settling, None, None)
    return Landing(len(files), oldest, seen.settling, seen.running, seen.given_up)


def quarantine_of(settings: Settings, feed: str, entries: Sequence[Entry] | None) -> list[Quarantined]:
    """The refused files of a feed.

    Args:
        settings: where quarantine is.
        feed: the feed's name.
        entries: of the files that were accepted; None if the ledger could not be asked.
    """
    files = discover(settings.quarantine(feed))
    return [_quarantined(file, entries) for file in files if not file.name.endswith(REASON)]


def _quarantined(file: FoundFile, entries: Sequence[Entry] | None) -> Quarantined:
    note = _note(file.path.with_name(f"{file.path.name}{REASON}"))
    name, sha256 = str(note.get("file", file.name)), note.get("sha256")
    replaced = None
    if entries is not None:
        # Modification times are what a rebuild of the ledger keeps; when an entry was written it does not.
        at = file.modified_at.replace(tzinfo=None)
        replaced = any(entry.sha256 == sha256 or (entry.file == name and entry.modified_at > at) for entry in entries)
    rule, reason, refused_at = (str(note.get(field, "unknown")) for field in ("rule", "reason", "refused_at"))
    return Quarantined(name, rule, reason, refused_at, replaced)


def _note(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # somebody put the file there without one, or is writing it
    return found if isinstance(found, dict) else {}


def newest_archived(settings: Settings, spec: ConfiguredFeed) -> str | None:
    """The partition key of the newest batch that the archive has a folder for."""
    batches = dict(archived_batches(settings.archive(spec.name), spec.options.batching))
    return max(batches, key=lambda key: batches[key], default=None)


def strays(settings: Settings, feeds: Collection[str]) -> list[Stray]:
    """Where files lie in landing that no feed watches."""
    root = settings.data_dir / "landing"
    if not root.is_dir():
        return []
    folders = [root, *sorted(folder for folder in root.iterdir() if folder.is_dir() and folder.name not in feeds)]
    found = [Stray(str(folder.relative_to(settings.data_dir)), len(discover(folder))) for folder in folders]
    return [stray for stray in found if stray.files]

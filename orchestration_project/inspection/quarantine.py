"""The files in a feed's quarantine, and which of these refusals stand: nothing was accepted in the file's place since.

The folder tells, not the ledger: it outlives the warehouse, and a person who takes a file out of it is done with it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from orchestration_project.errors import FileRefused
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.status_model import QuarantinedFile
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import REASON
from orchestration_project.storage.files import FoundFile, discover
from orchestration_project.warehouse.ledger import Entry, Status


def quarantine_of(settings: Settings, source: ConfiguredFeed, entries: Sequence[Entry] | None) -> list[QuarantinedFile]:
    """The refused files of a feed.

    Args:
        settings: where quarantine is.
        source: the feed.
        entries: of the files that were accepted; None if the ledger could not be read.
    """
    files = discover(settings.quarantine(source.name))
    return [_quarantined(source, file, entries) for file in files if not file.name.endswith(REASON)]


def _quarantined(source: ConfiguredFeed, file: FoundFile, entries: Sequence[Entry] | None) -> QuarantinedFile:
    note = _note(file.path.with_name(f"{file.path.name}{REASON}"))
    name, sha256 = str(note.get("file", file.name)), note.get("sha256")
    batch = _batch(source, name, file)
    replaced = None
    if entries is not None:
        # A rebuild of the ledger keeps the modification times of files, but not the moment of an entry.
        at = file.modified_at.replace(tzinfo=None)
        by_name = source.options.by_name or not batch
        counting = [entry for entry in entries if entry.status is not Status.WITHDRAWN]
        replaced = any(
            (entry.sha256 == sha256 and (not batch or entry.batch == batch))
            or (entry.file == name and entry.modified_at > at and (by_name or entry.batch == batch))
            for entry in counting
        )
    rule, reason, refused_at = (str(note.get(field, "unknown")) for field in ("rule", "reason", "refused_at"))
    return QuarantinedFile(name, batch, rule, reason, refused_at, replaced)


def _batch(source: ConfiguredFeed, name: str, file: FoundFile) -> str:
    """The partition key of a file's batch; empty where it has none, which may be why it was refused."""
    batching = source.options.batching
    try:
        return batching.key(batching.batch_of(name, file.modified_at))
    except FileRefused:
        return ""


def _note(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # somebody put the file there without a reason, or is writing one
    return found if isinstance(found, dict) else {}

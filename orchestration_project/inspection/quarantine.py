"""The files in a feed's quarantine, and which of these refusals stand: nothing was accepted in the file's place since.

The folder tells, not the ledger: it outlives the warehouse, and a person who takes a file out of it is done with it.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.errors import FileRefused
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.status_model import QuarantinedFile
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import REASON, archived, batch_keys
from orchestration_project.storage.files import FoundFile, discover
from orchestration_project.warehouse.ledger import Entry, Status
from orchestration_project.warehouse.ledger_queries import Identity


def quarantine_of(settings: Settings, source: ConfiguredFeed, entries: Sequence[Entry] | None) -> list[QuarantinedFile]:
    """The refused files of a feed.

    Args:
        settings: where quarantine is.
        source: the feed.
        entries: of the files that were accepted; None if the ledger could not be read.
    """
    # A file that was taken back is in nobody's place.
    counting = None if entries is None else [entry for entry in entries if entry.status is not Status.WITHDRAWN]
    return [
        refused.told(None if counting is None else _is_replaced(source, refused, counting))
        for refused in _refused_files(settings, source)
    ]


def quarantine_by_archive(settings: Settings, source: ConfiguredFeed) -> list[QuarantinedFile]:
    """The refused files of a feed, without asking the ledger.

    A file counts as replaced if the archive has one of its name and batch that is as new. Bytes that were accepted
    under another name are found by the ledger alone.
    """
    refused, root = _refused_files(settings, source), settings.archive(source.name)
    newest = _newest_archived(root, batch_keys(root) if source.options.by_name else {item.batch for item in refused})
    # Mtime survives the move into the archive, so it tells which of two came from its writer later.
    return [
        item.told(newest.get(source.options.identity(item.batch, item.name), -1) >= item.file.mtime_ns)
        for item in refused
    ]


def replaced_files(
    settings: Settings, source: ConfiguredFeed, entries: Sequence[Entry]
) -> list[tuple[Path, QuarantinedFile]]:
    """The refused files of a feed in whose place something was accepted since, each with its path in quarantine."""
    counting = [entry for entry in entries if entry.status is not Status.WITHDRAWN]
    found = [
        (item.file.path, item.told(_is_replaced(source, item, counting))) for item in _refused_files(settings, source)
    ]
    return [(path, told) for path, told in found if told.replaced]


def orphaned_reasons(folder: Path) -> list[tuple[Path, str]]:
    """The reasons in a quarantine whose files are gone, each with the moment of the refusal as it is written there."""
    files = {file.path.name: file.path for file in discover(folder)}
    alone = [path for name, path in files.items() if name.endswith(REASON) and name.removesuffix(REASON) not in files]
    return [(path, str(_note(path).get("refused_at", ""))) for path in alone]


def moment_of(refused_at: str) -> dt.datetime | None:
    """When a file was refused, with a time zone; None if it came to quarantine without a note that says it."""
    try:
        return dt.datetime.fromisoformat(refused_at).astimezone(dt.UTC)
    except ValueError:
        return None


def _newest_archived(root: Path, keys: Iterable[str]) -> dict[Identity, int]:
    """When the newest file of each name was last modified: by batch and name, and by name with an empty batch."""
    newest: dict[Identity, int] = {}
    for key in filter(None, keys):
        for item in archived(root, key):
            # Under both: whether a name is one file in all batches is a matter of the feed's mode.
            for identity in ((key, item.file.name), ("", item.file.name)):
                newest[identity] = max(item.file.mtime_ns, newest.get(identity, 0))
    return newest


@dataclass(frozen=True, slots=True)
class _Refused:
    """A file in quarantine: its logical name, its batch (empty without one), and the note beside it."""

    file: FoundFile
    name: str
    batch: str
    note: Mapping[str, object]

    def told(self, replaced: bool | None) -> QuarantinedFile:
        rule, reason, refused_at = (str(self.note.get(field, "unknown")) for field in ("rule", "reason", "refused_at"))
        return QuarantinedFile(self.name, self.batch, rule, reason, refused_at, replaced)


def _refused_files(settings: Settings, source: ConfiguredFeed) -> list[_Refused]:
    found = []
    for file in discover(settings.quarantine(source.name)):
        if not file.name.endswith(REASON):
            note = _note(file.path.with_name(f"{file.path.name}{REASON}"))
            # Where an earlier refusal has its name, a file lies here under another one; the note tells its own.
            name = str(note.get("file", file.name))
            found.append(_Refused(file, name, _batch(source, name, file), note))
    return found


def _is_replaced(source: ConfiguredFeed, refused: _Refused, entries: Sequence[Entry]) -> bool:
    # A rebuild of the ledger keeps the modification times of files, but not the moment of an entry.
    at, batch, sha256 = refused.file.modified_at.replace(tzinfo=None), refused.batch, refused.note.get("sha256")
    by_name = source.options.by_name or not batch
    return any(
        (entry.sha256 == sha256 and (not batch or entry.batch == batch))
        or (entry.file == refused.name and entry.modified_at > at and (by_name or entry.batch == batch))
        for entry in entries
    )


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

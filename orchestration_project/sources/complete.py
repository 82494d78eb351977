"""Whether all that was fetched is in the ledger, or on its way there.

Belongs here: for each file that the memory has, where it is now. Does not belong here: what a check makes of it.

The order in which the three places are looked at counts, since loads go on meanwhile: memory, landing, ledger. A file
goes that way, so one that is on it is seen at least once.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.hashes import shown
from orchestration_project.sources.memory import Remembered
from orchestration_project.storage.files import discover, find_archived
from orchestration_project.storage.members import kept_zips, unfinished, unpackings, version_in
from orchestration_project.warehouse.ledger import TABLE, Status

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Version = tuple[str, str]
"""Name and SHA-256 of a file."""


@dataclass(slots=True)
class Whereabouts:
    """Where the files are that were fetched. Those that need a person by key, with their names in landing.

    Attributes:
        accepted: how many the ledger has as loaded, replaced, repeated or withdrawn.
        waiting: how many wait in landing.
        stale: those that wait for longer than they should.
        refused: those in quarantine.
        missing: those that are nowhere.
        is_lost: whether the ledger has no file of the feed at all, and the archive has.
    """

    accepted: int = 0
    waiting: int = 0
    stale: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    is_lost: bool = False


def find_fetched(
    items: Iterable[Remembered],
    landing: Mapping[str, int],
    ledger: Mapping[Version, set[str]],
    archive: Path,
    stale_since: dt.datetime,
) -> Whereabouts:
    """Tell where each file is.

    Args:
        items: what was fetched.
        landing: the sizes of what is in landing, by name.
        ledger: what became of the feed's files.
        archive: the feed's archive, which has zip archives as a whole.
        stale_since: files that were fetched before this moment should be in the ledger.
    """
    found = Whereabouts(is_lost=not ledger and _has_files(archive))
    for item in items:
        became = ledger.get((item.name, item.sha256), set())
        if became - {Status.QUARANTINED}:
            found.accepted += 1
        elif item.part or landing.get(item.name) == item.bytes:
            found.waiting += 1
            if item.fetched_at < stale_since:
                found.stale[item.key] = item.name
        elif became:
            found.refused[item.key] = item.name
        elif _was_unpacked(item, archive):
            found.accepted += 1
        else:
            found.missing[item.key] = item.name
    return found


def _has_files(archive: Path) -> bool:
    return archive.is_dir() and any(find_archived(path) for path in archive.glob("*/*"))


def _was_unpacked(item: Remembered, archive: Path) -> bool:
    """Whether a file is a zip archive that a load has unpacked: the ledger has its members."""
    if any(version_in(kept.path) == shown(item.sha256) for kept in kept_zips(archive, item.name)):
        return True
    waiting = filter(None, (unfinished(folder) for folder in unpackings(archive)))
    return any((file.name, file.size) == (item.name, item.bytes) for file in waiting)


def sizes_in(landing: Path) -> dict[str, int]:
    """The bytes of the files in landing, by name."""
    return {file.name: file.size for file in discover(landing)}


def became_of(connection: "DuckDBPyConnection", feed: str) -> dict[Version, set[str]]:
    """The states that the ledger has of each version of each of a feed's files."""
    query = f"SELECT file, sha256, list(DISTINCT status) FROM {TABLE} WHERE feed = $feed GROUP BY file, sha256"
    rows: Sequence[tuple[str, str, list[str]]] = connection.execute(query, {"feed": feed}).fetchall()
    return {(file, sha256): set(states) for file, sha256, states in rows}

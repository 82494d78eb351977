"""The files that a backup saves, what tells whether they change, and how an SQLite file is copied while it is in use.

    data/archive, data/quarantine, data/dropped   written once: one that changes is noticed, and the backup begins anew
    data/landing, data/repairs, data/state        people and loads write to them at any time
    data/alarms.sqlite, data/sources, home/history/...   SQLite, in use

What lies in hidden folders of the archive is under way, and counts as the second kind. A file in the cold archive is
saved as what it was: the second place has all that a restore needs.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestration_project.backup.model import SourceChanged
from orchestration_project.settings import Settings
from orchestration_project.storage.files import FoundFile, find_archived

DATA, HOME = "data", "home"
WRITTEN_ONCE = ("archive", "quarantine", "dropped")
IN_USE = ("landing", "repairs", "state")
ALARMS = "alarms.sqlite"
FETCHED = "sources"
"""The folder with what sources remember: a restore without it would fetch everything once more."""
HISTORY = ("history", "schedules")
"""The folders of a Dagster home that have its SQLite files."""
MADE = ".history-made"
BUSY_SECONDS = 60.0
PAGES = 4096
# A feed's own folder may be a link to another disk; what is deeper was put there by us.
LINKS_FOLLOWED = 2


class Kind(StrEnum):
    """How a file changes: never, at any time, or by SQLite."""

    WRITTEN_ONCE = "written once"
    IN_USE = "in use"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Source:
    """A file to save.

    Attributes:
        path: where it is.
        saved_as: its path in the backup.
        kind: how it changes.
        mtime_ns: its modification time.
        mark: size, times of modification and change; of a database, those of its log too. Another mark, another file.
        cold: the file, if its bytes are in the cold archive.
    """

    path: Path
    saved_as: str
    kind: Kind
    mtime_ns: int
    mark: tuple[int, ...]
    cold: FoundFile | None = None

    def ensure_unchanged(self) -> None:
        """Make sure that the file is still the one that was listed.

        Raises:
            SourceChanged: it is not.
        """
        if _mark(self.path, self.kind) != self.mark:
            raise SourceChanged(f"{self.path} changed or vanished while it was read")


def list_sources(settings: Settings) -> list[Source]:
    """All files to save, by their path in the backup. One that vanishes meanwhile is left out."""
    return sorted({source.saved_as: source for source in _sources(settings)}.values(), key=lambda item: item.saved_as)


def _sources(settings: Settings) -> Iterator[Source]:
    root = settings.data_dir
    for name in (*WRITTEN_ONCE, *IN_USE):
        for path in _files(root / name, LINKS_FOLLOWED):
            inside = path.relative_to(root)
            hidden = any(part.startswith(".") for part in inside.parts[:-1])
            yield from _source(path, f"{DATA}/{inside}", Kind.IN_USE if hidden or name in IN_USE else Kind.WRITTEN_ONCE)
    yield from _source(root / ALARMS, f"{DATA}/{ALARMS}", Kind.DATABASE)
    for path in _files(root / FETCHED, 0):
        # Their logs are no files to save, but parts of them.
        if path.suffix == ".sqlite":
            yield from _source(path, f"{DATA}/{FETCHED}/{path.name}", Kind.DATABASE)
    if home := settings.dagster_home:
        for name in HISTORY:
            for path in _files(home / name, 1):
                if path.suffix == ".db":
                    yield from _source(path, f"{HOME}/{path.relative_to(home)}", Kind.DATABASE)
        yield from _source(home / MADE, f"{HOME}/{MADE}", Kind.IN_USE)


def _files(folder: Path, links: int) -> Iterator[Path]:
    """The regular files below a folder; links to files are left out, links to folders followed for some levels."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=links > 0):
            yield from _files(Path(entry.path), links - 1)
        elif (entry.is_file(follow_symlinks=False) and not entry.name.endswith(".lock")) or (
            entry.is_symlink() and find_archived(Path(entry.path))
        ):
            yield Path(entry.path)


def _source(path: Path, saved_as: str, kind: Kind) -> Iterator[Source]:
    if mark := _mark(path, kind):
        cold = find_archived(path) if path.is_symlink() else None
        yield Source(path, saved_as, kind, cold.mtime_ns if cold else mark[1], mark, cold)


def _mark(path: Path, kind: Kind) -> tuple[int, ...]:
    """What tells whether a file changes; empty if there is none."""
    names = [path, path.with_name(f"{path.name}-wal")] if kind is Kind.DATABASE else [path]
    found = list[int]()
    for name in names:
        try:
            status = name.lstat()
        except FileNotFoundError:
            break
        found += (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return tuple(found)


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite file as it is at one moment, while others write to it.

    Raises:
        SourceChanged: it can't be read now.
    """
    try:
        # Not the file's bytes: of a database in use they are of several moments, and its log is beside it.
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as reader,
            closing(sqlite3.connect(target)) as writer,
        ):
            reader.backup(writer, pages=PAGES)
            # Else the copy would have a log of its own beside it, which nobody saves.
            writer.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise SourceChanged(f"{source} can't be copied: {error}") from error

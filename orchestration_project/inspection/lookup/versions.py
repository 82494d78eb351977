"""Which versions of files a person means by a path, a name, or a place in the archive; and what became of each.

Belongs here: what ledger and folders know of files. Their records are in `records`.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from orchestration_project.errors import FileRefused
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import load_again, rebuild_of
from orchestration_project.inspection.lookup.model import FileState, FileVersion
from orchestration_project.inspection.quarantine import quarantine_of
from orchestration_project.inspection.status_model import UnknownFeed
from orchestration_project.settings import Settings
from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.landing import waiting_files
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.ledger import TABLE, Entry, Status
from orchestration_project.warehouse.ledger_queries import ENTRY, FIELDS, STATUS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LANDING = "landing"
Sources = Mapping[str, ConfiguredFeed]
"""Feeds by name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which file a person means.

    Attributes:
        file: what was typed: a path, a name, or a place in the archive.
        found: the regular file at that path; None if there is none.
        folder: the file's place relative to `DATA_DIR`; None if it is elsewhere.
        sha256: of the file's bytes; empty if there is none.
        feed, batch, version: what the files are narrowed down by; None for all. A version may be cut off.
    """

    file: str
    found: FoundFile | None = None
    folder: PurePosixPath | None = None
    sha256: str = ""
    feed: str | None = None
    batch: str | None = None
    version: str | None = None

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.found.name if self.found else PurePosixPath(self.file).name

    def takes(self, feed: str, batch: str, version: str) -> bool:
        """Whether a version of a file is among those that were asked for, whatever its name."""
        return (
            self.feed in (None, feed)
            and self.batch in (None, batch)
            and (self.version is None or version.startswith(self.version.casefold()[: len(version)]))
        )


def known_versions(connection: "DuckDBPyConnection", asked: Asked) -> tuple[list[Entry], list[str]]:
    """The ledger's entries of the files that are meant, and what has to be told of how they were found.

    A file that exists is told by its place in the archive, else by its bytes, else by its name.

    Args:
        connection: to a warehouse that has a ledger.
        asked: which file.
    """
    names = list(dict.fromkeys([asked.file, asked.name]))
    rows = connection.execute(
        f"SELECT {ENTRY} FROM {TABLE} WHERE file IN (SELECT unnest($names)) OR sha256 = $sha256",
        {"names": names, "sha256": asked.sha256},
    ).fetchall()
    entries = [Entry(**dict(zip(FIELDS, row, strict=True)) | {"status": Status(row[STATUS])}) for row in rows]
    entries = [entry for entry in entries if asked.takes(entry.feed, entry.batch, entry.version)]
    typed = PurePosixPath(asked.file)
    places = [place for place in (typed, asked.folder) if place and len(place.parts) > 1]
    if placed := [entry for entry in entries if any(_is_at(entry, place) for place in places)]:
        return placed, []
    if asked.found:
        return _by_bytes(asked, entries)
    named = [entry for entry in entries if entry.file == asked.file]
    if named or len(typed.parts) == 1:
        return named, []
    in_feed = [entry for entry in entries if entry.feed == typed.parent.name]
    return (in_feed, []) if in_feed else (entries, [f"no file is at {asked.file}; told is what has its name"])


def _is_at(entry: Entry, place: PurePosixPath) -> bool:
    """Whether a path, or its end, is the place of a version in the archive: `archive/<feed>/<batch>/v2/<name>`."""
    whole = PurePosixPath("archive", entry.feed, entry.archived_as or "")
    return entry.archived_as is not None and whole.parts[-len(place.parts) :] == place.parts


def _by_bytes(asked: Asked, entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    same = [entry for entry in entries if entry.sha256 == asked.sha256]
    if named := [entry for entry in same if entry.file == asked.name]:
        return named, []
    if same:
        return same, [f"the bytes of {asked.file} are known under another name"]
    told = f"the bytes of {asked.file} were never delivered; told is what has its name"
    in_landing = asked.folder is not None and asked.folder.parts[0] == LANDING
    return list(entries), [told] if entries and not in_landing else []


def described(connection: "DuckDBPyConnection", settings: Settings, sources: Sources, entry: Entry) -> FileVersion:
    """What became of a version that the ledger knows, without a record of it."""
    source = sources.get(entry.feed)
    path = f"archive/{entry.feed}/{entry.archived_as}" if entry.archived_as else ""
    if source is None:
        unknown = UnknownFeed(entry.feed, 1)
        what, todo = f"{entry.status}, of a feed that has no definition any more", unknown.remedy
    else:
        what, todo = _told(connection, source, entry)
    if entry.status is Status.QUARANTINED:
        is_there = (settings.quarantine(entry.feed) / entry.file).is_file()
        path = f"quarantine/{entry.feed}/{entry.file}" if is_there else ""
    state = FileState(entry.status)
    return FileVersion(entry.feed, entry.file, entry.version, entry.batch, state, path, entry.records, what, todo)


def _told(connection: "DuckDBPyConnection", source: ConfiguredFeed, entry: Entry) -> tuple[str, str]:
    """What became of a version in words, and what to do."""
    match entry.status:
        case Status.LOADED:
            if not source.options.batching.is_key(entry.batch):
                return "loaded under another batching than defs.yaml has now", f"`{rebuild_of(source.name)}`"
            when = f" on {entry.loaded_at:%F %R} UTC" if entry.loaded_at else ""
            return f"loaded{when}, with {entry.records or 0:,} records", ""
        case Status.KEPT:
            return f"loaded for the history, with {entry.records or 0:,} records; a newer snapshot is published", ""
        case Status.DUPLICATE:
            twin = loaded_twin(connection, source, entry)
            other = f"{twin.file} of the same batch" if twin else "another file"
            return f"not loaded: {other} has the same bytes, and its records count", ""
        case Status.SUPERSEDED:
            by = _successor(connection, source, entry)
            other = f"by {by.file}, version {by.version}" if by else "by a newer file, which does not count any more"
            return f"replaced {other}: its records are in no table", ""
        case Status.QUARANTINED:
            todo = "correct it and deliver it again under its name; `orchestration-project explain FILE` tells all"
            return f"refused as a whole: {entry.reason}", todo
        case Status.WITHDRAWN:
            undo = f"orchestration-project withdraw {entry.feed} {shlex.quote(entry.file)} --batch {entry.batch} --undo"
            return f"{entry.reason or 'withdrawn'}: its records are in no table", f"`{undo}` lets it count again"
        case _:
            return str(entry.status), ""


def loaded_twin(connection: "DuckDBPyConnection", source: ConfiguredFeed, entry: Entry) -> Entry | None:
    """The loaded file that has the bytes of a duplicate."""
    current = _current(connection, source, entry)
    same = (entry.batch, entry.sha256)
    return next((it for it in current if it.status is Status.LOADED and (it.batch, it.sha256) == same), None)


def _successor(connection: "DuckDBPyConnection", source: ConfiguredFeed, entry: Entry) -> Entry | None:
    """The file that counts in the place of a superseded one."""
    options, own = source.options, source.options.identity(entry.batch, entry.file)
    current = [it for it in _current(connection, source, entry) if it.status is not Status.SUPERSEDED]
    named = [it for it in current if options.identity(it.batch, it.file) == own]
    others = [it for it in current if it.status is Status.LOADED and not it.repair] if options.snapshot else []
    return next(iter([*named, *others]), None)


def _current(connection: "DuckDBPyConnection", source: ConfiguredFeed, entry: Entry) -> list[Entry]:
    options = source.options
    return ledger_queries.current_entries(connection, source.name, [entry.identity], options.snapshot, options.by_name)


def outside_ledger(settings: Settings, sources: Sources, asked: Asked, known: Sequence[Entry]) -> Iterator[FileVersion]:
    """The files of a name that wait in landing, and the refused ones that the ledger does not know.

    Args:
        settings: where the folders are.
        sources: the feeds.
        asked: which file.
        known: what the ledger knows of files of this name.
    """
    refused = {(entry.feed, entry.file, entry.batch) for entry in known if entry.status is Status.QUARANTINED}
    # Neither has a version before its bytes are read.
    for source in sources.values() if asked.version is None else ():
        for file in waiting_files(settings, source.name):
            if file.name == asked.name and asked.takes(source.name, batch := _batch_of(source, file), ""):
                yield _waiting(source, file, batch)
        for item in quarantine_of(settings, source, None):
            is_new = (source.name, item.file, item.batch) not in refused
            if is_new and item.file == asked.name and asked.takes(source.name, item.batch, ""):
                path, state = f"quarantine/{source.name}/{item.file}", FileState.QUARANTINED
                what, todo = f"refused as a whole: {item.reason}", "correct it and deliver it again under its name"
                yield FileVersion(source.name, item.file, "", item.batch, state, path, None, what, todo)


def _batch_of(source: ConfiguredFeed, file: FoundFile) -> str:
    try:
        return source.options.batching.key(source.options.batching.batch_for(file))
    except FileRefused:
        return ""


def _waiting(source: ConfiguredFeed, file: FoundFile, batch: str) -> FileVersion:
    path = file.location if file.version else f"{LANDING}/{source.name}/{file.name}"
    what = "waits in landing, and is not loaded yet"
    command = f"`{load_again(source, [batch])}`" if batch or source.options.snapshot else "its sensor or schedule"
    todo = f"load it: {command}; `orchestration-project explain FILE` tells what becomes of it"
    return FileVersion(source.name, file.name, "", batch, FileState.WAITING, path, None, what, todo)

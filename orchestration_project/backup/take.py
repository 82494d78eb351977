"""Take a backup: what is new goes to the second place, and a snapshot that names all of it is written last.

1. Under the warehouse's lock the files are listed and the warehouse is copied.
2. Without the lock, files that are new are packed and stored. What the last snapshot has is named again, not read.
3. The tables of the copy are read; batches that changed become Parquet files, and are stored.
4. The catalogue is stored, then the snapshot. Whoever is killed before has left objects that no snapshot names.

A file that changes or vanishes meanwhile is noticed: then it begins anew, since tables and files have to be of one
moment. What people and loads write to at any time is read once more, or left out.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from orchestration_project.backup.export import TableState
from orchestration_project.backup.look import Exported, Seen, export, look
from orchestration_project.backup.memory import Last, Memory
from orchestration_project.backup.model import (
    STAMP,
    BackupBroken,
    BackupError,
    Catalogue,
    SavedFile,
    SavedPart,
    SavedTable,
    Snapshot,
    SourceChanged,
    Stored,
)
from orchestration_project.backup.sealing import Keys, read_keys, unseal
from orchestration_project.backup.sources import Kind, Source, copy_database
from orchestration_project.backup.upload import Uploader
from orchestration_project.backup.vault import Vault, taken_at
from orchestration_project.failpoints import Backup, reached
from orchestration_project.settings import Settings
from orchestration_project.storage.cold import fetch
from orchestration_project.storage.files import FoundFile
from orchestration_project.warehouse.connection import Warehouse

ATTEMPTS = 3
THREADS = 8
"""Files that are packed and stored at once: a store answers each in its own time."""
MICROSECOND = dt.timedelta(microseconds=1)
DISTRIBUTION = "orchestration-project"
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was taken.

    Attributes:
        snapshot: it.
        previous: the snapshot before it; None for the first one.
        new_objects, new_bytes: what was stored for it.
        notes: what whoever runs the platform should know.
    """

    snapshot: Snapshot
    previous: Snapshot | None
    new_objects: int
    new_bytes: int
    notes: Sequence[str] = ()


def back_up(
    warehouse: Warehouse, settings: Settings, vault: Vault, memory: Memory, now: dt.datetime, log: Log
) -> Taken:
    """Take a backup.

    Args:
        warehouse: what is read.
        settings: where the files are, and the key.
        vault: the second place, where nobody else changes anything (see `Vault.marked`).
        memory: of the data folder, for this backup alone (see `remembering`).
        now: the present moment, with a time zone.
        log: takes a line of progress.

    Raises:
        BackupError: it can't be taken: files go on changing, or the place is another deployment's.
        ObjectStoreError: the place can't be written to.
        WarehouseBusy: somebody else held the warehouse for too long.
        DiskFull: there was no room for what is under way.
    """
    keys, notes = read_keys(settings.backup_key), list[str]()
    with warehouse.clear_faults("backup", memory.work), ThreadPoolExecutor(THREADS) as pool:
        previous = vault.latest(notes.append)
        _ensure_own(vault, memory, previous)
        last = _known(vault, memory, keys, previous, notes.append)
        uploader = Uploader.begin(vault, keys, memory.work, last, previous)
        seen, files = _saved(warehouse, settings, uploader, last, pool, log)
        found = export(seen, uploader, last)
        reached(Backup.EXPORTED)
        log(f"{len(found.states)} table(s), {len(found.files)} batch(es) exported")
        tables = _tables(found, uploader, last, pool)
        catalogue = Catalogue(tuple(file for file in files if file), tables, found.ddl, version("duckdb"))
        if left_out := len(files) - len(catalogue.files):
            notes.append(f"{left_out} file(s) were moved or written to meanwhile, and are left out")
        snapshot = _commit(vault, memory, uploader, keys, catalogue, previous, now)
        marks = {source.saved_as: source.mark for source in seen.sources}
        memory.keep(Last(snapshot.id, catalogue, marks))
    return Taken(snapshot, previous, uploader.put, uploader.bytes, notes)


def _ensure_own(vault: Vault, memory: Memory, previous: Snapshot | None) -> None:
    # Two deployments with one BACKUP_URL would delete each other's days by the rules of retention.
    if previous and previous.platform != memory.platform():
        raise BackupError(
            f"{vault.store.url} has the backups of another data folder ({previous.files:,} files): restore them from"
            " there into an empty DATA_DIR, or set BACKUP_URL to a place of its own"
        )


def _known(vault: Vault, memory: Memory, keys: Keys, previous: Snapshot | None, note: Log) -> Last:
    """What the last snapshot saved. Without it everything is read and stored anew, but for equal objects."""
    last = memory.last()
    if previous is None or last.snapshot == previous.id:
        return last if previous else Last()
    if not keys.can_read(previous.sealed_for):
        note("what the last backup has can't be read with BACKUP_KEY, so everything is stored anew")
        return Last()
    try:
        return Last(previous.id, read_catalogue(vault, keys, previous, memory.work))
    except BackupBroken as error:
        note(f"{error}; everything is read anew")
        return Last()


def read_catalogue(vault: Vault, keys: Keys, snapshot: Snapshot, work: Path) -> Catalogue:
    """The catalogue of a snapshot.

    Raises:
        BackupError: it is encrypted, and no identity decrypts it.
        BackupBroken: it is missing or damaged.
    """
    if not keys.can_read(snapshot.sealed_for):
        raise BackupError(
            f"the backup {snapshot.id} is encrypted for {' and '.join(snapshot.sealed_for)}: BACKUP_KEY has to have"
            " an identity (AGE-SECRET-KEY-1...) of it"
        )
    sealed, plain = work / "catalogue.sealed", work / "catalogue.json"
    vault.fetch(snapshot.catalogue.object, sealed)
    unseal(sealed, plain, snapshot.catalogue, keys)
    return Catalogue.from_json(plain.read_bytes())


def _saved(
    warehouse: Warehouse, settings: Settings, uploader: Uploader, last: Last, pool: ThreadPoolExecutor, log: Log
) -> tuple[Seen, list[SavedFile | None]]:
    """Look at everything and store the files; again from the start if one changed that must not."""
    known = {file.path: file for file in last.catalogue.files}
    copy_in = uploader.new_folder()

    def save(source: Source) -> SavedFile | None:
        return _file(source, uploader, known, last.marks, settings.cold_archive_url)

    for attempt in range(1, ATTEMPTS + 1):
        seen = look(warehouse, settings, copy_in)
        reached(Backup.COPIED)
        log(f"{len(seen.sources)} file(s); the warehouse was held for {seen.seconds:.2f} s")
        try:
            return seen, list(pool.map(save, seen.sources))
        except SourceChanged as error:
            if attempt == ATTEMPTS:
                raise BackupError(
                    f"{error}; so it was {ATTEMPTS} times in a row. Try again when it is quiet"
                ) from error
            log(f"{error}; it begins anew")
    raise AssertionError


def _file(
    source: Source, uploader: Uploader, known: Mapping[str, SavedFile], marks: Mapping[str, tuple[int, ...]], url: str
) -> SavedFile | None:
    """A file, stored if it is new; None: one that is in use went away.

    Raises:
        SourceChanged: it is none of those in use, and changed.
    """
    before = known.get(source.saved_as)
    if before and marks.get(source.saved_as) == source.mark and uploader.has(before.stored):
        return before
    try:
        return _read(source, uploader, url)
    except (SourceChanged, FileNotFoundError) as error:
        if source.kind is Kind.WRITTEN_ONCE:
            raise SourceChanged(f"{source.path} changed or vanished while it was read") from error
        return None


def _read(source: Source, uploader: Uploader, url: str) -> SavedFile:
    if source.cold:
        return SavedFile(source.saved_as, source.cold.size, source.mtime_ns, _cold(source.cold, uploader, url))
    if source.kind is Kind.DATABASE:
        with uploader.scratch() as copy:
            copy_database(source.path, copy)
            return SavedFile(source.saved_as, copy.stat().st_size, source.mtime_ns, uploader.save(copy, compress=True))
    # Packed first and looked at afterwards: the bytes were read while anybody could write to them.
    stored = uploader.save(source.path, compress=True, ensure=source.ensure_unchanged)
    return SavedFile(source.saved_as, source.mark[0], source.mtime_ns, stored)


def _cold(file: FoundFile, uploader: Uploader, url: str) -> Stored:
    """Where the bytes of a file in the cold archive are stored: those of a time before it was moved are the same."""
    if known := uploader.known_content(file.cold):
        return known
    with uploader.scratch() as copy:
        fetch(file, url, copy)
        return uploader.save(copy, compress=True)


def _tables(found: Exported, uploader: Uploader, last: Last, pool: ThreadPoolExecutor) -> tuple[SavedTable, ...]:
    stored = dict(
        zip(
            found.files,
            pool.map(lambda path: uploader.save(path, compress=False), found.files.values()),
            strict=True,
        )
    )
    saved = {(table.full_name, part.batch): part for table in last.catalogue.tables for part in table.parts}

    def part(state: TableState, batch: str | None) -> SavedPart:
        content, new = state.contents[batch], stored.get((state.full_name, batch))
        return SavedPart(batch, content.rows, content.checksum, new or saved[state.full_name, batch].stored)

    return tuple(
        SavedTable(state.schema, state.name, state.columns, tuple(part(state, batch) for batch in state.contents))
        for state in found.states
    )


def _commit(
    vault: Vault,
    memory: Memory,
    uploader: Uploader,
    keys: Keys,
    catalogue: Catalogue,
    previous: Snapshot | None,
    now: dt.datetime,
) -> Snapshot:
    with uploader.scratch() as path:
        path.write_bytes(catalogue.to_json())
        stored = uploader.save(path, compress=True)
    reached(Backup.CATALOGUED)
    # A clock that was put back must not make a snapshot older than the one before it.
    moment = max(now.astimezone(dt.UTC), taken_at(previous.id) + MICROSECOND) if previous else now.astimezone(dt.UTC)
    everything = [stored, *catalogue.stored]
    snapshot = Snapshot(
        f"{moment:{STAMP}}",
        now,
        version(DISTRIBUTION),
        memory.platform(),
        stored,
        keys.recipients,
        {item.object: item.size for item in everything},
        len(catalogue.files),
        len(catalogue.tables),
        sum(part.rows for table in catalogue.tables for part in table.parts),
        sum(file.size for file in catalogue.files),
    )
    vault.commit(snapshot)
    return snapshot

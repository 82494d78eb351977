"""Move old files of the archive to the cold archive, and prove what is there.

    a file older than COLD_ARCHIVE_DAYS
        1. its bytes are stored under their SHA-256, read back and compared; what is in a zip archive is noted
        2. an index that names its place is stored beside them
        3. under the warehouse's lock a link takes its place

A kill before the last step leaves the file where it was, and after it in the cold archive; the next run finds what was
stored and goes on. Nothing is ever deleted or replaced there. The layout is in `storage.cold`.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import inf
from pathlib import Path

from orchestration_project.errors import FileChanged, FileRefused
from orchestration_project.failpoints import Cold, reached
from orchestration_project.formats.zip_members import contents_of
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import archived, batch_keys, flush
from orchestration_project.storage.batches import is_any_key
from orchestration_project.storage.cold import (
    INDEX,
    ColdArchiveError,
    fetch,
    note_members,
    put_link,
    relink,
    sizes,
    store_bytes,
    store_index,
)
from orchestration_project.storage.files import FoundFile, fingerprint, is_at
from orchestration_project.storage.members import ZIPS, kept_zips
from orchestration_project.storage.objects import ObjectStore, open_objects
from orchestration_project.storage.trees import is_unfinished
from orchestration_project.storage.withdrawals import withdrawals
from orchestration_project.warehouse.connection import Warehouse

GROUP = 200
"""So many files are stored before their links are made: the warehouse is held once for all of them."""
THREADS = 8
WORK = ".cold"
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """How many files were moved, their bytes, and the files that stay since they can't be read, each with why."""

    files: int = 0
    bytes: int = 0
    left: Sequence[str] = ()


def move_old(warehouse: Warehouse, settings: Settings, now: dt.datetime, log: Log) -> Moved:
    """Move the files of all feeds that were last modified before `COLD_ARCHIVE_DAYS`; without an URL, none.

    With `ARCHIVE_URL`, all: those from before it was set, and what a killed load has left.

    Args:
        warehouse: its lock keeps loads away while links are made.
        settings: where the files are, and the URL.
        now: the present moment, with a time zone.
        log: takes a line of progress.

    Raises:
        ColdArchiveError: what was stored could not be read back as it was written; the file stays.
        ObjectStoreError: the cold archive can't be used; all files are where they were, or moved whole.
        WarehouseBusy: somebody else held the warehouse for too long.
    """
    # Without a warehouse a feed is about to be rebuilt from these very files.
    if not (settings.moves_archive and warehouse.exists()):
        return Moved()
    store = open_objects(settings.cold_archive_url)
    # By numbers: the calendar ends before some ages do.
    latest = int(now.timestamp()) - 86_400 * (settings.cold_archive_days or 0)
    before = inf if settings.archive_url else latest * 1_000_000_000
    present, total = sizes(store), Moved()
    for root in archives(settings):
        waiting = (file for file in _files_of(root) if not file.cold and file.mtime_ns < before)
        while group := list(islice(waiting, GROUP)):
            with _scratch(settings, "move") as work:
                stored, left = _stored(store, present, group, root / ZIPS, work)
            moved = _link(warehouse, store, root, stored, now) if stored else []
            size = sum(file.size for file in moved)
            total = Moved(total.files + len(moved), total.bytes + size, [*total.left, *left])
            log(f"{root.name}: {len(moved)} file(s), {size:,} bytes moved to the cold archive")
    return total


def archives(settings: Settings) -> list[Path]:
    """The archives of all feeds, those without a definition too."""
    root = settings.archive("feed").parent
    return [root / name for name in batch_keys(root) if not name.startswith(".")]


def _files_of(root: Path) -> Iterator[FoundFile]:
    """The files of an archive: accepted and withdrawn ones, and zip archives as they were delivered."""
    yield from filter(None, (found.file for found in withdrawals(root)))
    yield from kept_zips(root)
    for key in filter(is_any_key, batch_keys(root)):
        yield from (item.file for item in archived(root, key))


@contextmanager
def _scratch(settings: Settings, purpose: str) -> Iterator[Path]:
    """An empty folder for what is read back. On the disk of the data: that of /tmp may be too small for a file."""
    folder = settings.data_dir / WORK / purpose
    shutil.rmtree(folder, ignore_errors=True)  # a killed run has left it
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stored(
    store: ObjectStore, present: Mapping[str, int], group: Sequence[FoundFile], zips: Path, work: Path
) -> tuple[list[tuple[FoundFile, str]], list[str]]:
    """Store files that are not there yet, read all of them back; returns them with their SHA-256, and what is left.

    Args:
        store: the cold archive.
        present: what it has, with sizes.
        group: the files.
        zips: the folder that has a folder for each zip archive.
        work: an empty folder.
    """

    def store_one(file: FoundFile) -> tuple[FoundFile, str] | str:
        try:
            sha256 = fingerprint(file)
            members = contents_of(file.path, file.name).members if file.path.parents[1] == zips else None
        except (FileRefused, FileChanged) as error:
            return f"{file.path}: {error}"
        store_bytes(store, file.path, sha256, work, present=present.get(sha256) == file.size)
        if members is not None:
            note_members(file.path, members)
            reached(Cold.MEMBERS_NOTED)
        return file, sha256

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(store_one, group))
    return [item for item in results if not isinstance(item, str)], [item for item in results if isinstance(item, str)]


def _link(
    warehouse: Warehouse, store: ObjectStore, root: Path, stored: Sequence[tuple[FoundFile, str]], now: dt.datetime
) -> list[FoundFile]:
    """Tell of files in the index, then let links take their places; returns those that were still there unchanged."""
    store_index(store, root, stored, now)
    moved = []
    # Whoever reads archived files holds this lock, so no file goes away under its hands.
    with warehouse.connection("cold archive", read_only=True):
        # Two trees share a feed's files: the next load brings that to its end.
        if is_unfinished(root):
            return []
        for file, sha256 in stored:
            if is_at(file, file.path):
                put_link(root, file, sha256)
                moved.append(file)
                reached(Cold.LINKED)
        for folder in {file.path.parent for file in moved}:
            flush(folder)
    return moved


@dataclass(frozen=True, slots=True)
class Proven:
    """How many files of the cold archive were read, their bytes, and what is wrong, a line each."""

    files: int
    bytes: int
    findings: Sequence[str]


def prove(settings: Settings, log: Log) -> Proven:
    """Fetch every file that the archives have in the cold archive, one after the other, and compare its bytes.

    Raises:
        ObjectStoreError: the cold archive can't be used.
    """
    files, size, findings = 0, 0, list[str]()
    for root in archives(settings):
        cold = [file for file in _files_of(root) if file.cold]
        for file in cold:
            with _scratch(settings, "check") as work:
                try:
                    fetch(file, settings.cold_archive_url, work / "copy")
                except ColdArchiveError as error:
                    findings.append(str(error))
            files, size = files + 1, size + file.size
        log(f"{root.name}: {len(cold)} file(s) of the cold archive read")
    return Proven(files, size, findings)


def relink_all(settings: Settings) -> int:
    """Make the links that the cold archive's index tells of, on a machine that lost its archive; returns how many.

    Raises:
        ColdArchiveError: an index can't be read.
        ObjectStoreError: the cold archive can't be used.
    """
    store, made = open_objects(settings.cold_archive_url), 0
    # The oldest first: a place that was given to another file since is that of the file which came first.
    for key in sorted(found.key for found in store.list(INDEX)):
        _, feed, name = key.split("/")
        if name.endswith(".json"):
            made += relink(settings.archive(feed), store.get(key))
    return made

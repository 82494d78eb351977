"""The files of a folder, what identifies one (its name and the SHA-256 of its bytes), and work on many of them.

How files are copied is in `copies`, how they move between folders in `transfer`, and where they stay in `archive`. An
old file of the archive may be a link that says where its bytes are; what it says is here, the rest in `cold`.
"""

import datetime as dt
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TypeVar

from orchestration_project.errors import FileChanged, FileRefused

UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", ".filepart", ".uploading", ".inprogress", "~")
"""Name endings that writers give to a file which they have not finished."""
# Excel's `~$sales.xlsx` ends like a workbook, and is none.
OWNER_FILE = "~$"
"""What the name of the file begins with that an office program keeps beside one that is open in it."""
# A time outside of these once stopped all files of a feed: Python has no date for it.
EARLIEST, LATEST = -62_103_628_800, 253_370_764_799
"""The years 2 to 9998, in seconds since the epoch: every time zone has dates for them. File systems know more years."""
LARGE_BYTES = 1 << 20
"""Files from this size on are worked on by several threads: for a smaller one, starting a thread costs more."""

COLD_LINK = re.compile(r"cold:([0-9a-f]{64}):(\d+):(-?\d+)")
"""What the link says that stands for a file of the cold archive: SHA-256, bytes, modification time in nanoseconds."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Taken:
    """How a file was that a load took off landing: for which batch (a partition key, or empty), and its time then."""

    key: str
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class FoundFile:
    r"""A regular file as the folder lists it.

    `name` is its logical name: the file's own, with bytes that are no UTF-8 as `\xff`, so that it is text. That of a
    member of a zip archive is `sales.zip/monday.csv`. `taken` is there for a file that was written to after a load took
    it off landing. `cold` is the SHA-256 of a file whose bytes are in the cold archive; empty: they are in its place.
    `version` is that of an object which is in a store; empty: it is a file of this machine.
    """

    location: str
    name: str
    size: int
    mtime_ns: int
    taken: Taken | None = None
    cold: str = ""
    version: str = ""

    @property
    def path(self) -> Path:
        """Where it is; made on demand, since a sensor lists 100,000 files and needs none of their paths."""
        return Path(self.location)

    @property
    def is_member(self) -> bool:
        """Whether it came in a zip archive: no other name has a slash."""
        return "/" in self.name

    @property
    def stored_as(self) -> str:
        """Its path in a folder of the archive: its own name; of a member, below a folder with the zip archive's."""
        return self.name if self.is_member else self.path.name

    @property
    def modified_at(self) -> dt.datetime:
        """When it was last modified, UTC, to the microsecond; the first or last date there is for times beyond it."""
        seconds, nanoseconds = divmod(self.mtime_ns, 1_000_000_000)
        # Bounded, not refused: the ledger has a line for such a file, too.
        bounded = max(EARLIEST, min(seconds, LATEST))
        return dt.datetime.fromtimestamp(bounded, dt.UTC) + dt.timedelta(microseconds=nanoseconds // 1000)

    @property
    def has_date(self) -> bool:
        """Whether there is a date for the time at which it was last modified."""
        return EARLIEST <= self.mtime_ns // 1_000_000_000 <= LATEST

    @property
    def signature(self) -> str:
        """Changes whenever the file was written to."""
        of_object = f"-{self.version}" if self.version else ""
        return f"{self.size}-{self.mtime_ns}{of_object}"


def discover(folder: Path) -> list[FoundFile]:
    """The finished regular files directly in a folder, by name.

    Links, folders, hidden and unfinished files are left out.
    """
    return sorted(_regular_files(folder), key=lambda found: found.name) if folder.is_dir() else []


def count_ignored(folder: Path) -> int:
    """How many files in a folder `discover` leaves out: unfinished ones, links, and all in subfolders.

    Hidden files and folders do not count: they are their writers' own.
    """
    return sum(_ignored(folder)) if folder.is_dir() else 0


def _ignored(folder: Path, inside: bool = False) -> Iterator[int]:
    with suppress(OSError), os.scandir(folder) as entries:  # a subfolder may be somebody else's, or just removed
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _ignored(Path(entry.path), inside=True)
            else:
                yield inside or is_unfinished(entry.name) or not entry.is_file(follow_symlinks=False)


def is_unfinished(name: str) -> bool:
    """Whether a name is one that programs give to files which are not finished, or not theirs to deliver."""
    return name.startswith(OWNER_FILE) or name.casefold().endswith(UNFINISHED)


def _regular_files(folder: Path) -> Iterator[FoundFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or is_unfinished(entry.name):
                continue
            try:
                if entry.is_file(follow_symlinks=False):
                    yield _found(entry.path, entry.name, entry.stat(follow_symlinks=False))
            except FileNotFoundError:  # taken away after it was listed
                continue


def find_archived(path: Path) -> FoundFile | None:
    """The file of an archive at a path, in its place or in the cold archive; None when there is none."""
    return find(path) or _cold(str(path), path.name)


def discover_cold(folder: Path) -> list[FoundFile]:
    """The files of a folder whose bytes are in the cold archive, by name."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        links = [(entry.path, entry.name) for entry in entries if entry.is_symlink()]
    return sorted(filter(None, (_cold(*link) for link in links)), key=lambda found: found.name)


def _cold(location: str, own_name: str) -> FoundFile | None:
    try:
        said = COLD_LINK.fullmatch(str(Path(location).readlink()))
    except OSError:  # no link, or there is nothing
        return None
    return said and FoundFile(location, _logical(own_name), int(said[2]), int(said[3]), cold=said[1])


def find(path: Path) -> FoundFile | None:
    """The regular file at a path; None when there is none."""
    return _found(str(path), path.name, path.lstat()) if path.is_file() and not path.is_symlink() else None


def _found(location: str, own_name: str, status: os.stat_result) -> FoundFile:
    return FoundFile(location, _logical(own_name), status.st_size, status.st_mtime_ns)


def _logical(own_name: str) -> str:
    # Python makes lone surrogates of bytes that are no UTF-8, and neither DuckDB nor a JSON file takes these.
    return os.fsencode(own_name).decode("utf-8", errors="backslashreplace")


def fingerprint(found: FoundFile) -> str:
    """The SHA-256 of a file's bytes, in hex. That of a file in the cold archive is told by its link: see `cold`.

    Raises:
        FileRefused: the file can't be read.
        FileChanged: it is no longer the file that was listed.
    """
    try:
        digest = found.cold or sha256_of(found.path)
    except FileNotFoundError as error:
        raise FileChanged(found.name, "vanished") from error
    except OSError as error:
        raise FileRefused("unreadable", f"{found.name!r} can't be read: {error.strerror}") from error
    # Afterwards: the bytes were read while anybody could write to them.
    ensure_unchanged(found)
    return digest


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def ensure_unchanged(found: FoundFile) -> None:
    """Make sure that a file is still the one that was listed.

    Raises:
        FileChanged: its size or modification time differ, or it is gone, or no longer a regular file.
    """
    if not os.path.lexists(found.path):
        raise FileChanged(found.name, "vanished")
    if not is_at(found, found.path):
        raise FileChanged(found.name, "was written to")


def is_at(found: FoundFile, path: Path) -> bool:
    """Whether the file at a path is the one that was listed; a link to it is not."""
    if found.cold:
        there = find_archived(path)
        return there is not None and (there.cold, there.mtime_ns) == (found.cold, found.mtime_ns)
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    # A link in its place may lead to any file of the machine.
    return S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (found.size, found.mtime_ns)


def map_files(
    work: Callable[[Item], Result], items: Sequence[Item], size: Callable[[Item], int]
) -> Iterator[tuple[Item, Result | FileRefused | FileChanged]]:
    """Do some work with each file: with small files one by one, with large ones in as many threads as there are cores.

    Threads help since hashing and scanning release Python's lock.

    Args:
        work: what to do; several threads may call it at a time.
        items: what stands for the files.
        size: returns the bytes of an item.

    Yields:
        Each item, in order, with the work's result, or with the error that tells what is wrong with the file.
    """

    def attempt(item: Item) -> Result | FileRefused | FileChanged:
        try:
            return work(item)
        # What is wrong with one file costs that file; any other error is about the load.
        except (FileRefused, FileChanged) as error:
            return error

    large = [index for index, item in enumerate(items) if size(item) >= LARGE_BYTES]
    if len(large) < 2:
        yield from ((item, attempt(item)) for item in items)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = {index: pool.submit(attempt, items[index]) for index in large}
        try:
            for index, item in enumerate(items):
                yield item, begun[index].result() if index in begun else attempt(item)
        finally:
            # Who stops in the middle, at an error, does not wait for hashes of gigabytes that nobody wants any more.
            pool.shutdown(cancel_futures=True)

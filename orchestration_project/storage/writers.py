"""Writers that may not have finished: who has a file open, and what becomes of files that loads took off landing.

Linux grants a read lease on a file only while nobody has it open for writing, be it by `open` or by `mmap`. So asking
for one tells, and it is given back at once. Others can't be asked: other systems, network file systems, and files of
another user without the right CAP_LEASE. There only a file's age tells. So a writer may still have a file open that a
load has taken, and go on writing. Such files are watched for a while:

    <root>/2024-03-01T12/sales_2024-03-01.csv    the very file that was in landing
    <root>/2024-03-01T12/.files.jsonl            how each file was when it was taken, a line of JSON each

A root is `archive/<feed>/.taken`, or `landing/<feed>/.taken` where these are on two file systems: only a rename keeps
the file that a writer has open. A file that was written to since is delivered anew, for the batch that it was taken
for. One that nobody has written to is deleted after a grace period.
"""

import datetime as dt
import errno
import json
import os
import shutil
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path

from orchestration_project.storage.archive import ensure_folder, free_name
from orchestration_project.storage.files import FoundFile, Taken, discover, sha256_of
from orchestration_project.storage.members import unpacked

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

TAKEN = ".taken"
NOTES = ".files.jsonl"
HOUR = "%Y-%m-%dT%H"


class Writing(StrEnum):
    """Whether somebody has a file open for writing: nobody, somebody, or it can't be told."""

    NOBODY = "nobody"
    SOMEBODY = "somebody"
    UNKNOWN = "unknown"


def writing_to(path: Path) -> Writing:
    """Whether somebody has the file at a path open for writing."""
    try:
        # Only for reading, as a read lease demands; a pipe or a lease of somebody else must not make it wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return Writing.UNKNOWN
    try:
        return lease_of(descriptor)
    finally:
        os.close(descriptor)


def lease_of(descriptor: int) -> Writing:
    """Whether somebody has an open file open for writing: ask for a lease, and give it back."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return Writing.UNKNOWN
    try:
        # Without it, a writer that opens the file while the lease is held would end this process by SIGIO.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return Writing.SOMEBODY if error.errno == errno.EAGAIN else Writing.UNKNOWN
    return Writing.NOBODY


def being_written(files: Iterable[FoundFile]) -> frozenset[str]:
    """The names of the files that somebody has open for writing."""
    # An object in a store is there when it is whole.
    return frozenset(file.name for file in files if not file.version and writing_to(file.path) is Writing.SOMEBODY)


def is_young(file: FoundFile, now: float, settle_seconds: float) -> bool:
    """Whether a file was written to within the settle time, or seems to be from the future.

    Args:
        file: as it was listed.
        now: seconds since the epoch.
        settle_seconds: how long a file must have been left alone.
    """
    return file.mtime_ns > int((now - settle_seconds) * 1e9)


def can_tell(folder: Path) -> bool:
    """Whether leases tell for files of this process in a folder; nothing stays there."""
    try:
        # A file without a name, open for writing: where leases work, a lease on it is refused for that.
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    except (OSError, AttributeError):
        return False
    try:
        return lease_of(descriptor) is Writing.SOMEBODY
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Note:
    """How a file was when it was taken off landing.

    Attributes:
        name: its own name on disk.
        size, mtime_ns, sha256: of its bytes.
        key: the partition key of its batch; empty for a file that has none.
        at: when, in seconds since the epoch.
    """

    name: str
    size: int
    mtime_ns: int
    sha256: str
    key: str
    at: float

    def holds(self, file: FoundFile) -> bool:
        """Whether nobody has written to the file since, by its size and time."""
        return (file.size, file.mtime_ns) == (self.size, self.mtime_ns)


def roots(landing: Path, archive: Path) -> tuple[Path, Path]:
    """The two folders in which a feed's taken files are."""
    return archive / TAKEN, landing / TAKEN


def delivered(landing: Path, archive: Path) -> list[FoundFile]:
    """The files that wait for a load, by name: in landing, of zip archives, and taken ones that were written to since.

    While landing has a file of the same name, that one goes first.
    """
    landed = discover(landing)
    late = {file.name: file for root in roots(landing, archive) for file in _late(root)}
    # One at a time: both would be one file of one batch, and which of them came last could not be told.
    names = {file.name for file in landed}
    waiting = [*landed, *(file for name, file in late.items() if name not in names), *unpacked(archive)]
    return sorted(waiting, key=lambda file: file.name)


def put_aside(file: FoundFile, note: Note, folders: Sequence[Path]) -> Path:
    """Take a file from where it is into the first of some roots that is on its file system; returns its new place.

    Raises:
        FileNotFoundError: it is gone.
        OSError: it can't be moved; it stays.
    """
    for root in folders:
        target = _free_place(root, note)
        # The note comes first: a file without one would pass for one that was written to.
        with (target.parent / NOTES).open("a", encoding="utf-8") as notes:
            notes.write(f"{json.dumps(asdict(note))}\n")
        try:
            file.path.rename(target)
        except OSError as error:
            # On another file system a move would be a copy, and the writer would go on in a file that nobody sees.
            if error.errno != errno.EXDEV or root is folders[-1]:
                raise
        else:
            break
    return target


def _free_place(root: Path, note: Note) -> Path:
    hour = dt.datetime.fromtimestamp(note.at, dt.UTC).strftime(HOUR)
    folders = (root / (f"{hour}.{number}" if number else hour) for number in count())
    folder = next(folder for folder in folders if not os.path.lexists(folder / note.name))
    ensure_folder(folder)
    return folder / note.name


def take_over(old: Sequence[Path], new: Sequence[Path]) -> None:
    """Go on watching the files of a feed that was renamed. Call it again after a kill.

    Args:
        old: the roots under its old name.
        new: those under its new one.
    """
    for source, target in zip(old, new, strict=True):
        for folder in _hours(source):
            ensure_folder(target)
            # The old and the new name may both have a folder of that hour.
            shutil.move(folder, free_name(target, folder.name))
        with suppress(OSError):  # mostly there is none
            source.rmdir()


def _late(root: Path) -> Iterator[FoundFile]:
    for folder in _hours(root):
        notes = _notes(folder)
        for file in discover(folder):
            note = notes.get(file.path.name)
            if note is None:  # lost in a power cut; the ledger knows the bytes
                yield file
            elif not note.holds(file):
                yield FoundFile(file.location, file.name, file.size, file.mtime_ns, Taken(note.key, note.mtime_ns))


def forget(folders: Sequence[Path], grace_seconds: float, now: float) -> None:
    """Delete the files that were taken longer ago than the grace period and have the bytes that they had.

    Args:
        folders: the roots.
        grace_seconds: the grace period.
        now: seconds since the epoch.
    """
    for folder in (hour for root in folders for hour in _hours(root)):
        # The folder's name tells its age, so that most of them need not be listed.
        begun = dt.datetime.strptime(folder.name[: len("2024-03-01T12")], HOUR).replace(tzinfo=dt.UTC)
        if begun.timestamp() + grace_seconds <= now:
            notes = _notes(folder)
            left = [it for it in discover(folder) if not _forgotten(it, notes.get(it.path.name), now - grace_seconds)]
            if not left:
                shutil.rmtree(folder, ignore_errors=True)
    for root in folders:
        with suppress(OSError):  # it is not there, or has files
            root.rmdir()


def _forgotten(file: FoundFile, note: Note | None, latest: float) -> bool:
    """Delete a file unless it is too new, somebody still writes to it, or its bytes are others; returns whether."""
    # A writer may have had the file open all the while; what it writes next would be lost with the file.
    if note is None or note.at > latest or not note.holds(file) or writing_to(file.path) is Writing.SOMEBODY:
        return False
    if note.sha256 and sha256_of(file.path) != note.sha256:
        # Written to without a trace, as by `mmap` on some file systems: from now on it counts as written to.
        os.utime(file.path)
        return False
    file.path.unlink()
    return True


def _hours(root: Path) -> list[Path]:
    """The folders of a root, the oldest first."""
    return sorted(root.glob("[0-9]*T[0-9][0-9]*")) if root.is_dir() else []


def _notes(folder: Path) -> dict[str, Note]:
    """By name, the last note of each file; a line that a kill has cut off is none."""
    found = {}
    with suppress(FileNotFoundError):
        for line in (folder / NOTES).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):
                note = Note(**json.loads(line))
                found[note.name] = note
    return found

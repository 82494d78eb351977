"""Whether somebody has a file open for writing, and which files are too young to be taken where nobody can tell.

Linux grants a read lease on a file only while nobody has it open for writing, be it by `open` or by `mmap`. So asking
for one tells, and it is given back at once. Others can't be asked: other systems, network file systems, and files of
another user without the right CAP_LEASE. There only a file's age tells.
"""

import errno
import os
import signal
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from orchestration_project.storage.files import FoundFile

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


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
    return frozenset(file.name for file in files if writing_to(file.path) is Writing.SOMEBODY)


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

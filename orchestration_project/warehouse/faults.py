"""Recognize a full disk, too little memory and a broken warehouse file in errors of DuckDB and of the system.

DuckDB raises the same exception for every problem with files, so its message is the only sign.
"""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import DiskFull, NotWritable, PlatformError, WarehouseBroken, WarehouseError

if TYPE_CHECKING:
    import duckdb

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
# The last: DuckDB limits its temporary files to a share of the free disk, so a full disk may show as that limit.
NO_ROOM_TOLD = ("No space left on device", "Disk quota exceeded", "max_temp_directory_size")
BROKEN_TOLD = ("not a valid DuckDB database file", "Corrupt database file", "Failure while replaying WAL")
# DuckDB says this of any file, a delivered one too, so the message has to name the warehouse's file as well.
UNREADABLE_TOLD = ("Could not read enough bytes", "Is a directory", "Input/output error")
NEWER_TOLD = "but we can only read versions"
WAY_BACK = (
    "Move it away, together with its .wal if there is one, then rebuild it from the archive by the commands that"
    " `orchestration-project verify` prints (docs/recover.md)"
)
FILE_NAMED = re.compile(r'file "([^"]+)"')


@contextmanager
def clear_faults(database: Path, purpose: str, *folders: Path) -> Iterator[None]:
    """Turn a full disk, too little memory and a broken warehouse into errors that say what to do.

    All other errors go through unchanged.

    Args:
        database: the warehouse's file.
        purpose: what the block does, for the message.
        folders: other folders to which the block writes files.

    Raises:
        DiskFull: a disk had no room.
        NotWritable: a folder may not be written to.
        WarehouseBroken: the warehouse's file can't be read.
        WarehouseError: DuckDB needs more memory than it may use.
    """
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError) as error:
        fault = fault_of(error, database, purpose, *folders)
        if fault is None:
            raise
        raise fault from error


def no_room(error: BaseException) -> bool:
    """Whether an error of DuckDB or of the system means that a disk is full."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return True
    return any(sign in str(error) for sign in NO_ROOM_TOLD)


def no_fault_of_files(error: "duckdb.Error") -> bool:
    """Whether reading a file failed because disk or memory was full. Then the file itself may be good."""
    import duckdb

    return no_room(error) or isinstance(error, duckdb.OutOfMemoryException)


def fault_of(error: "duckdb.Error | OSError", database: Path, purpose: str, *folders: Path) -> PlatformError | None:
    """The error to raise when disk, memory or the warehouse's file is at fault; None for any other error.

    Args:
        error: what DuckDB or the system raised.
        database: the warehouse's file.
        purpose: what was being done, for the message.
        folders: other folders to which files were written.
    """
    import duckdb

    text = str(error)
    # The disk comes first: a full one makes DuckDB say many other things, too.
    if no_room(error):
        named = FILE_NAMED.search(text)
        # A failed copy has two names; the second one is the file that was written.
        written = error.filename2 or error.filename if isinstance(error, OSError) else named and named[1]
        return _disk_full(written, database, purpose, folders)
    if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
        return NotWritable(
            f"{error.filename2 or error.filename or 'a folder'} can't be written to ({error.strerror}): {purpose}. What"
            " was not committed has changed nothing, and no file is lost. Let the platform write there, then run again"
            " (docs/recover.md)"
        )
    # The replay of a garbled WAL may end for want of memory. Then the file is at fault, and more memory is no help.
    if isinstance(error, duckdb.OutOfMemoryException) and not any(sign in text for sign in BROKEN_TOLD):
        return WarehouseError(
            f"{purpose} needs more memory than DuckDB may use, nothing was changed: {_first_line(text)}. Set"
            " WAREHOUSE_MEMORY_LIMIT higher, or load fewer batches at once"
        )
    if NEWER_TOLD in text:
        return WarehouseBroken(
            f"{database} can't be opened as a DuckDB file: it was made by a newer DuckDB ({_first_line(text)}). Install"
            f" that version of DuckDB again. Or: {WAY_BACK[0].lower()}{WAY_BACK[1:]}"
        )
    unreadable = str(database) in text and any(sign in text for sign in UNREADABLE_TOLD)
    if unreadable or any(sign in text for sign in BROKEN_TOLD):
        return WarehouseBroken(
            f"{database} can't be opened as a DuckDB file, or not be read ({purpose}): {_first_line(text)}. {WAY_BACK}"
        )
    return None


def _disk_full(written: str | None, database: Path, purpose: str, folders: tuple[Path, ...]) -> DiskFull:
    """The error for a write that found no room. If no file is named, the disk with the least free space is blamed."""
    places = [_existing(Path(written))] if written else [_existing(path) for path in (database, *folders)]
    place = min(places, key=lambda path: shutil.disk_usage(path).free)
    usage = shutil.disk_usage(place)
    return DiskFull(
        f"the disk of {place} has too little room ({usage.free:,} of {usage.total:,} bytes are free): {purpose} could"
        f" not write {written or 'a file'}. What was not committed has changed nothing, and no file is lost. Free space"
        " on that disk, then run again (docs/recover.md)"
    )


def _existing(path: Path) -> Path:
    """The path itself or its nearest parent that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _first_line(text: str) -> str:
    return text.splitlines()[0].rstrip(".!") if text else "unknown"

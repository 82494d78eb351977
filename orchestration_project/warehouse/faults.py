"""What is wrong with the disk or the warehouse's file, told from the engine's and the system's errors.

DuckDB has one exception for all that goes wrong with files, so its message is all there is to go by.
"""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import DiskFull, PlatformError, WarehouseBroken, WarehouseError

if TYPE_CHECKING:
    import duckdb

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NO_ROOM_TOLD = ("No space left on device", "Disk quota exceeded", "max_temp_directory_size")
BROKEN_TOLD = ("not a valid DuckDB database file", "Corrupt database file", "Failure while replaying WAL")
UNREADABLE_TOLD = ("Could not read enough bytes", "Is a directory", "Input/output error")
"""Said of any file that is read, so the message must name the warehouse's."""
NEWER_TOLD = "but we can only read versions"
WAY_BACK = (
    "Move it away, together with its .wal if there is one, then rebuild it from the archive by the commands that"
    " `orchestration-project verify` prints (docs/recover.md)"
)
FILE_NAMED = re.compile(r'file "([^"]+)"')


@contextmanager
def clear_faults(database: Path, purpose: str, *folders: Path) -> Iterator[None]:
    """Turn a full disk, too little memory and a broken warehouse into errors that say what to do; other errors pass.

    Args:
        database: the warehouse's file.
        purpose: what is being done.
        folders: where else files are written.

    Raises:
        DiskFull: a disk had no room.
        WarehouseBroken: the warehouse's file can't be read.
        WarehouseError: DuckDB may not use as much memory as it needs.
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
    """Whether an error of the engine or the system tells of a disk without room."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return True
    return any(sign in str(error) for sign in NO_ROOM_TOLD)


def no_fault_of_files(error: "duckdb.Error") -> bool:
    """Whether reading a file failed for lack of room on disk or in memory, which says nothing about the file."""
    import duckdb

    return no_room(error) or isinstance(error, duckdb.OutOfMemoryException)


def fault_of(error: "duckdb.Error | OSError", database: Path, purpose: str, *folders: Path) -> PlatformError | None:
    """The machine's or the warehouse file's fault that an error tells of; None when it tells of something else."""
    import duckdb

    text = str(error)
    if no_room(error):
        named = FILE_NAMED.search(text)
        # Of a copy that failed the second name is that of what was written.
        written = error.filename2 or error.filename if isinstance(error, OSError) else named and named[1]
        return _disk_full(written, database, purpose, folders)
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
    """The error for a write that found no room; where the system names no file, the fullest disk is the one."""
    places = [_existing(Path(written))] if written else [_existing(path) for path in (database, *folders)]
    place = min(places, key=lambda path: shutil.disk_usage(path).free)
    usage = shutil.disk_usage(place)
    return DiskFull(
        f"the disk of {place} has too little room ({usage.free:,} of {usage.total:,} bytes are free): {purpose} could"
        f" not write {written or 'a file'}. What was not committed has changed nothing, and no file is lost. Free space"
        " on that disk, then run again (docs/recover.md)"
    )


def _existing(path: Path) -> Path:
    """The folder nearest to a path that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _first_line(text: str) -> str:
    return text.splitlines()[0].rstrip(".!") if text else "unknown"

"""The lock of a warehouse that one machine keeps: a lock file, and a note beside it that tells who holds it.

Belongs here: the lock file and the note. Does not belong here: the lock of a lake whose catalog is in PostgreSQL, which
is in `lake_postgres`.
"""

import datetime as dt
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from orchestration_project.errors import WarehouseBusy, WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.warehouse.faults import no_room


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the warehouse, in words, and since when."""

    who: str
    since: dt.datetime


def busy(where: object, holder: str, timeout: float) -> WarehouseBusy:
    """The error when somebody else has held the warehouse for all of the time that was waited."""
    return WarehouseBusy(
        f"{where} is in use by {holder}; waited {timeout:g} s. Wait for it to end, or stop it,"
        " and run again; WAREHOUSE_LOCK_TIMEOUT sets how long commands and runs started by hand wait",
        holder,
    )


@contextmanager
def locked(file: Path, purpose: str, timeout: float) -> Iterator[None]:
    """Hold the lock beside a file.

    Args:
        file: the warehouse's file; it need not exist.
        purpose: what the lock is for, shown to those who wait.
        timeout: how many seconds to wait.

    Raises:
        WarehouseBusy: another process held it for longer.
        WarehouseError: the lock file can't be locked.
    """
    lock, note = FileLock(f"{file}.lock"), _note_of(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=timeout)
    except Timeout as error:
        holder = _read_holder(note)
        raise busy(file, holder.who if holder else "another process", timeout) from error
    except OSError as error:
        if no_room(error):
            raise  # `clear_faults` around the block tells it as a full disk
        raise WarehouseError(
            f"{lock.lock_file} can't be locked: {error.strerror}. The warehouse's folder has to be writable;"
            " DATA_DIR and WAREHOUSE_URL say where it is"
        ) from error
    try:
        # After the lock is held: a note of somebody who waits would name the wrong process.
        _write_holder(note, purpose)
        reached(Point.LOCKED)
        yield
    finally:
        # Before the lock is free: afterwards the note may be that of the next holder.
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()
        reached(Point.UNLOCKED)


def holder_of(file: Path) -> Holder | None:
    """Who has the warehouse, by the note beside it; None if nobody has, or that can't be told. It waits for nobody."""
    return _read_holder(_note_of(file))


def _note_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.holder.json")


def _write_holder(path: Path, purpose: str) -> None:
    since = time.strftime("%FT%TZ", time.gmtime())
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose, "since": since}
    with suppress(OSError):  # only those who wait miss it
        path.write_text(json.dumps(holder), encoding="utf-8")


def _read_holder(path: Path) -> Holder | None:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        told = f"process {holder['pid']} on {holder['host']} ({holder['purpose']}, since {holder['since']})"
        # A killed process leaves its note. The lock's real holder has not written its own yet.
        gone = holder["host"] == socket.gethostname() and not is_running(int(holder["pid"]))
        return None if gone else Holder(told, dt.datetime.fromisoformat(holder["since"]))
    except (OSError, ValueError, KeyError, TypeError):  # half written, or not a file of ours
        return None


def is_running(pid: int) -> bool:
    """Whether this machine has a process of that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs as another user
    return True

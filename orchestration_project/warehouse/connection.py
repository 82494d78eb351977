"""The only way into the warehouse: a connection under a lock, and a transaction on it; or one that only reads.

DuckDB lets one process write at a time and refuses all others at once. The lock file turns the refusal into a wait of
limited time. It also tells who holds the warehouse.

A connection may use only the warehouse and the folders that were asked for. A statement that gets in by mistake, such
as one in a contract, can't read another file, load an extension, use the network or change a setting.

Reports, checks and proofs only read, and ask tables that the first load will make. An empty temporary table stands in
for each of them, which only the connection itself sees: nothing is written.
"""

import datetime as dt
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from orchestration_project.errors import WarehouseBusy, WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.settings import Settings
from orchestration_project.warehouse.faults import clear_faults, fault_of, no_room
from orchestration_project.warehouse.tables import Columns, literals, stand_in

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RETRY_SECONDS = 0.1
HELD_OPEN = ("Could not set lock on file", "different configuration")
"""Parts of DuckDB's messages when another process, or another connection of this process, has the file open."""
# The oldest DuckDB that can read the file. Writing text takes a third less work than in the default, older format.
STORAGE_VERSION = "v1.4.0"
# Nothing here needs an extension, a secret or a Python variable: JSON, Parquet and time zones are built in. What gets
# into a statement by mistake must not find them either.
SHUT: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    # Else DuckDB looks for an unknown table among the variables of the Python code that runs the statement.
    "python_enable_replacements": False,
}


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A DuckDB file that several processes share.

    Attributes:
        database: the file.
        lock_timeout: seconds to wait while another process holds the warehouse.
        threads: number of DuckDB's threads; None: DuckDB chooses.
        memory_limit: DuckDB's memory limit, such as `2GB`; None: DuckDB chooses.
    """

    database: Path
    lock_timeout: float = 300.0
    threads: int | None = None
    memory_limit: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Warehouse":
        """The warehouse that the settings name."""
        return cls(settings.database, settings.lock_timeout, settings.threads, settings.memory_limit)

    @contextmanager
    def transaction(self, purpose: str, folders: Iterable[Path] = ()) -> Iterator["DuckDBPyConnection"]:
        """A connection inside a transaction: committed when the block ends, rolled back when it raises.

        Args:
            purpose: what the connection is for, shown to those who wait.
            folders: where statements may read and write files; none by default.

        Raises:
            WarehouseBusy: another process held the warehouse for longer than `lock_timeout`.
            WarehouseBroken: the warehouse's file can't be read.
            DiskFull: a disk had no room.
        """
        with self.connection(purpose, folders) as connection, transaction(connection):
            yield connection

    @contextmanager
    def connection(
        self, purpose: str, folders: Iterable[Path] = (), read_only: bool = False
    ) -> Iterator["DuckDBPyConnection"]:
        """A connection under the warehouse lock. It is always closed at the end of the block.

        Args:
            purpose: what the connection is for, shown to those who wait.
            folders: where statements may read and write files; none by default.
            read_only: don't change a byte of the file; it must exist.

        Raises:
            WarehouseBusy: another process held the warehouse for longer than `lock_timeout`.
            WarehouseBroken: the warehouse's file can't be read.
            WarehouseError: the lock file can't be locked.
            DiskFull: a disk had no room.
        """
        deadline = time.monotonic() + self.lock_timeout
        # Our own lock first: DuckDB's can't be waited for, only tried again and again.
        with clear_faults(self.database, purpose), self._locked(purpose):
            connection = self._open(deadline, purpose, read_only)
            try:
                _shut(connection, folders)
                yield connection
            finally:
                connection.close()

    @contextmanager
    def _locked(self, purpose: str) -> Iterator[None]:
        lock, note = FileLock(f"{self.database}.lock"), _note_of(self.database)
        try:
            self.database.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=self.lock_timeout)
        except Timeout as error:
            holder = _read_holder(note)
            told = holder.who if holder else "another process"
            raise WarehouseBusy(
                f"{self.database} is in use by {told}; waited {self.lock_timeout:g} s. Wait for it to end, or stop it,"
                " and run again; WAREHOUSE_LOCK_TIMEOUT sets how long commands and runs started by hand wait",
                told,
            ) from error
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

    def _open(self, deadline: float, purpose: str, read_only: bool) -> "DuckDBPyConnection":
        import duckdb

        config = SHUT | {"custom_user_agent": "orchestration_project"}
        if self.threads:
            config["threads"] = self.threads
        if self.memory_limit:
            config["memory_limit"] = self.memory_limit
        while True:
            try:
                if not (read_only or self.database.exists()):
                    self._create()
                connection = duckdb.connect(str(self.database), read_only, config)
            except duckdb.Error as error:
                # DuckDB has one kind of error for a held file and a broken one; only its text tells them apart.
                if not any(sign in str(error) for sign in HELD_OPEN):
                    fault = fault_of(error, self.database, purpose)
                    raise fault or WarehouseError(f"{self.database} can't be opened: {error}") from error
                if time.monotonic() > deadline:
                    raise WarehouseBusy(
                        f"{self.database} is held open outside the platform: {error}. Close that program (a reader"
                        " blocks the writer too) and run again",
                        "a program outside the platform",
                    ) from error
                time.sleep(RETRY_SECONDS)
            else:
                return connection

    def _create(self) -> None:
        """Make the file under another name and rename it.

        A process that is killed, or a full disk, could leave half a header, and such a file can't be opened again.
        """
        import duckdb

        new = self.database.with_name(f"{self.database.name}.new")
        new.unlink(missing_ok=True)
        try:
            duckdb.connect(str(new), config={"storage_compatibility_version": STORAGE_VERSION}).close()
            new.rename(self.database)
        finally:
            new.unlink(missing_ok=True)


def _shut(connection: "DuckDBPyConnection", folders: Iterable[Path]) -> None:
    """Limit a connection to some folders and lock its settings. DuckDB itself allows the database's own files."""
    # Else the same file gives other moments on a machine in another zone.
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET allowed_directories = [{literals(str(folder.resolve()) for folder in folders)}]")
    # This order: once access is off, no folder can be allowed any more.
    connection.execute("SET enable_external_access = false")
    # Last, and for good: else the SQL of a contract could open what was shut.
    connection.execute("SET lock_configuration = true")


@contextmanager
def transaction(connection: "DuckDBPyConnection") -> Iterator[None]:
    """A transaction on an open connection: committed when the block ends, rolled back when it raises."""
    import duckdb

    connection.execute("BEGIN TRANSACTION")
    try:
        yield
        connection.execute("COMMIT")
    # KeyboardInterrupt and a run that is ended too: an open transaction would be kept up to the end of the
    # connection.
    except BaseException:
        # Some errors end the transaction. Then ROLLBACK fails, and must not hide the error.
        with suppress(duckdb.TransactionException):
            connection.execute("ROLLBACK")
        raise


def _write_holder(path: Path, purpose: str) -> None:
    since = time.strftime("%FT%TZ", time.gmtime())
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose, "since": since}
    with suppress(OSError):  # only those who wait miss it
        path.write_text(json.dumps(holder), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the warehouse, in words, and since when."""

    who: str
    since: dt.datetime


def holder_of(database: Path) -> Holder | None:
    """Who has the warehouse, by the note beside it; None if nobody has, or that can't be told. It waits for nobody."""
    return _read_holder(_note_of(database))


def _note_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.holder.json")


def _read_holder(path: Path) -> Holder | None:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        told = f"process {holder['pid']} on {holder['host']} ({holder['purpose']}, since {holder['since']})"
        # A killed process leaves its note. The lock's real holder has not written its own yet.
        gone = holder["host"] == socket.gethostname() and not _is_running(int(holder["pid"]))
        return None if gone else Holder(told, dt.datetime.fromisoformat(holder["since"]))
    except (OSError, ValueError, KeyError, TypeError):  # half written, or not a file of ours
        return None


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs as another user
    return True


@contextmanager
def reading(
    warehouse: Warehouse, purpose: str, tables: Mapping[str, Columns] | None = None
) -> Iterator["DuckDBPyConnection"]:
    """A read-only connection under the warehouse lock; where there is no warehouse yet, one to an empty database.

    Args:
        warehouse: what is read.
        purpose: what the holder does, shown to whoever waits.
        tables: tables that may be missing, with the columns that are asked for.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        WarehouseBroken: its file can't be read.
    """
    if warehouse.database.exists():
        with warehouse.connection(purpose, read_only=True) as connection:
            stand_in(connection, tables or {})
            yield connection
    else:
        import duckdb

        # A read-only connection can't make a file, and who only asks must not make one.
        with duckdb.connect(config=SHUT) as connection:
            stand_in(connection, tables or {})
            yield connection

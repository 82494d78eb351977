"""The warehouse as one DuckDB file, which is the default.

DuckDB lets one process write at a time and refuses all others at once. The lock file turns the refusal into a wait of
limited time. It also tells who holds the warehouse.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import WarehouseBusy, WarehouseError
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import SHUT, Stamp, Warehouse, shut
from orchestration_project.warehouse.faults import clear_faults, fault_of
from orchestration_project.warehouse.lock import Holder, holder_of, locked

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RETRY_SECONDS = 0.1
HELD_OPEN = ("Could not set lock on file", "different configuration")
"""Parts of DuckDB's messages when another process, or another connection of this process, has the file open."""
# The oldest DuckDB that can read the file. Writing text takes a third less work than in the default, older format.
STORAGE_VERSION = "v1.4.0"


@dataclass(frozen=True, slots=True)
class DuckdbFile(Warehouse):
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
    def of(cls, settings: Settings) -> "DuckdbFile":
        """The file that the settings name."""
        return cls(settings.database, settings.lock_timeout, settings.threads, settings.memory_limit)

    @property
    def where(self) -> str:
        """The path of the file."""
        return str(self.database)

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.database.name

    @property
    def lost(self) -> str:
        """What is missing when it does not exist."""
        return "no such file"

    @property
    def readable(self) -> str:
        """What it should be."""
        return "a readable DuckDB file"

    @property
    def to_move(self) -> str:
        """What has to be moved away before another one is made."""
        return f"{self.database} away, and {self.name}.wal if it is there"

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.database.exists()

    def with_timeout(self, seconds: float) -> "DuckdbFile":
        """The same warehouse, for somebody who waits otherwise for the lock."""
        return replace(self, lock_timeout=seconds)

    def beside(self, ending: str) -> Path:
        """The path of something local that belongs to the warehouse: its own, with an ending."""
        return self.database.with_name(f"{self.name}.{ending}")

    def work_path(self) -> Path:
        """Where a load may make its folder for copies. Loads come one at a time, so it is always the same."""
        return self.beside("work")

    def stamp(self, connection: "DuckDBPyConnection | None" = None) -> Stamp:  # noqa: ARG002 - a lake asks it
        """Size and modification time of the warehouse's files."""
        # With the log of a killed writer: what it has is part of the warehouse, and the file itself is unchanged.
        found = []
        for path in self._files():
            try:
                stat = path.stat()
                found.append([stat.st_size, stat.st_mtime_ns])
            except FileNotFoundError:
                found.append([])
        return found

    def written_at(self) -> float:
        """When the file was last written to, in seconds since 1970."""
        return self.database.stat().st_mtime

    def size(self, connection: "DuckDBPyConnection | None" = None) -> float:  # noqa: ARG002 - that of a lake asks it
        """The bytes of the file and of what was written and not yet merged into it."""
        # DuckDB writes a commit to the .wal first, and merges it at a checkpoint.
        return float(sum(file.stat().st_size for file in self._files() if file.exists()))

    def holder(self) -> Holder | None:
        """Who has the warehouse; None if nobody has, or that can't be told. It waits for nobody."""
        return holder_of(self.database)

    def clear_faults(self, purpose: str, *folders: Path) -> AbstractContextManager[None]:
        """Turn a full disk, too little memory and a broken warehouse into errors that say what to do."""
        return clear_faults(self.database, purpose, *folders)

    @contextmanager
    def connection(
        self,
        purpose: str,
        folders: Iterable[Path] = (),
        read_only: bool = False,
        shared: bool = False,  # noqa: ARG002 - a lake asks it; DuckDB has one writer, from beginning to end
    ) -> Iterator["DuckDBPyConnection"]:
        """A connection under the warehouse lock. It is always closed at the end of the block.

        Args:
            purpose: what the connection is for, shown to those who wait.
            folders: where statements may read and write files; none by default.
            read_only: don't change a byte of the file; it must exist.
            shared: others may write meanwhile; with a file they can't.

        Raises:
            WarehouseBusy: another process held the warehouse for longer than `lock_timeout`.
            WarehouseBroken: the warehouse's file can't be read.
            WarehouseError: the lock file can't be locked.
            DiskFull: a disk had no room.
        """
        deadline = time.monotonic() + self.lock_timeout
        # Our own lock first: DuckDB's can't be waited for, only tried again and again.
        with self.clear_faults(purpose), locked(self.database, purpose, self.lock_timeout):
            connection = self._open(deadline, purpose, read_only)
            try:
                shut(connection, folders)
                yield connection
            finally:
                connection.close()

    def _files(self) -> tuple[Path, Path]:
        return self.database, self.beside("wal")

    def _open(self, deadline: float, purpose: str, read_only: bool) -> "DuckDBPyConnection":
        import duckdb

        config = SHUT | self.limits()
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

        new = self.beside("new")
        new.unlink(missing_ok=True)
        try:
            duckdb.connect(str(new), config={"storage_compatibility_version": STORAGE_VERSION}).close()
            new.rename(self.database)
        finally:
            new.unlink(missing_ok=True)

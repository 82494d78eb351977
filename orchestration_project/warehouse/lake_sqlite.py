"""A lake's catalog in a SQLite file: for one machine."""

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.errors import WarehouseBroken, WarehouseDown
from orchestration_project.warehouse.lake_catalog import NEWEST, Attaching, Snapshot
from orchestration_project.warehouse.lock import Holder, holder_of, locked

BUSY_MILLISECONDS = 10_000
"""How long SQLite waits for a program outside of the platform, which has the file open without our lock."""


@dataclass(frozen=True, slots=True)
class SqliteCatalog:
    """A SQLite file that has a lake's catalog.

    Attributes:
        file: it.
    """

    file: Path

    @property
    def extension(self) -> str:
        """DuckDB's extension for SQLite."""
        return "sqlite_scanner"

    @property
    def where(self) -> str:
        """Its URL."""
        return f"ducklake:sqlite:///{self.file}"

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @property
    def to_move(self) -> str:
        """The file."""
        return f"{self.file} away, and {self.name}-wal if it is there"

    def newest(self) -> Snapshot | None:
        """The newest snapshot; None: there is no lake yet.

        Raises:
            WarehouseDown: a program outside of the platform has the file locked.
            WarehouseBroken: it is no SQLite file, or damaged.
        """
        if not self.file.exists():
            return None
        try:
            with closing(sqlite3.connect(self.file, timeout=BUSY_MILLISECONDS / 1000)) as connection:
                row = connection.execute(NEWEST).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None  # a kill has left it empty
            raise WarehouseDown(f"{self.where} can't be read now: {error}. Run again") from error
        except sqlite3.DatabaseError as error:
            raise WarehouseBroken(f"{self.file} can't be read as a SQLite file: {error}") from error
        return Snapshot(row[0], dt.datetime.fromisoformat(row[1])) if row else None

    def attaching(self, read_only: bool) -> Attaching:
        """How DuckDB attaches the lake."""
        options = {"META_BUSY_TIMEOUT": str(BUSY_MILLISECONDS)}
        # Else whoever reads keeps a commit waiting, and the other way round. Who only reads can't set it.
        return Attaching(f"sqlite:{self.file}", options if read_only else options | {"META_JOURNAL_MODE": "'WAL'"})

    def holder(self) -> Holder | None:
        """Who has the lock, by the note beside the file."""
        return holder_of(self.file)

    @contextmanager
    def locked(self, purpose: str, timeout: float) -> Iterator[Callable[[], None]]:
        """Hold the lock beside the file, which only the end of this process can take away.

        Raises:
            WarehouseBusy: another process held it for longer than `timeout` seconds.
        """
        with locked(self.file, purpose, timeout):
            yield lambda: None

    def masked(self, text: str) -> str:
        """The text as it is: a file has no password."""
        return text

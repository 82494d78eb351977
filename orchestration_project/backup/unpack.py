"""Bring files and tables of a snapshot back into a folder, and compare each with what was saved. All or a part of them.

What is wrong is returned, not raised: whoever restores or checks tells all of it at once.
"""

import os
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from orchestration_project.backup.export import ddl_of, import_part, state_of
from orchestration_project.backup.model import (
    BackupBroken,
    Catalogue,
    Fault,
    SavedFile,
    SavedPart,
    SavedTable,
    Stored,
)
from orchestration_project.backup.sealing import Keys, unseal
from orchestration_project.backup.sources import DATA, HOME
from orchestration_project.backup.vault import Vault
from orchestration_project.warehouse.connection import Warehouse

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

THREADS = 8
SQLITE = (".db", ".sqlite")
Chosen = Callable[[Stored], bool]


def everything(stored: Stored) -> bool:  # noqa: ARG001 - it stands for a choice
    """Chooses all there is."""
    return True


@dataclass(frozen=True, slots=True)
class Unpacker:
    """Brings back what a vault has.

    Attributes:
        vault: where it is.
        keys: with an identity if it is encrypted.
        work: an empty folder for what is under way, on the disk of what is brought back.
    """

    vault: Vault
    keys: Keys
    work: Path

    def files(self, files: Iterable[SavedFile], folder: Path, chosen: Chosen = everything) -> Iterator[Fault]:
        """Bring files back below a folder, with their modification times; gives what is wrong with each.

        Args:
            files: of the catalogue.
            folder: gets `data` and `home`.
            chosen: which of them.
        """
        wanted = [file for file in files if chosen(file.stored)]
        with ThreadPoolExecutor(THREADS) as pool:
            for faults in pool.map(lambda file: self._file(file, folder), wanted):
                yield from faults

    def _file(self, file: SavedFile, folder: Path) -> list[Fault]:
        try:
            target = place_of(folder, file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._content(file.stored, target)
            os.utime(target, ns=(file.mtime_ns, file.mtime_ns))
            if target.stat().st_size != file.size:
                return [Fault(f"{file.path}: has {target.stat().st_size} bytes instead of {file.size}")]
            return _sqlite_faults(target, file.path)
        except BackupBroken as error:
            return [Fault(f"{file.path}: {error}", file.stored.object)]

    def _content(self, stored: Stored, target: Path) -> None:
        sealed = self.work / uuid.uuid4().hex
        try:
            self.vault.fetch(stored.object, sealed)
            unseal(sealed, target, stored, self.keys)
        finally:
            sealed.unlink(missing_ok=True)

    def tables(self, catalogue: Catalogue, warehouse: Warehouse, chosen: Chosen = everything) -> Iterator[Fault]:
        """Make a warehouse with tables of a snapshot; gives what is wrong with each.

        Args:
            catalogue: what the snapshot has.
            warehouse: which does not exist.
            chosen: which parts of the tables; tables without such parts stay empty.
        """
        if not catalogue.ddl:
            return
        with warehouse.connection("restore", [self.work]) as connection:
            connection.execute(catalogue.ddl)
            for table in catalogue.tables:
                parts = [part for part in table.parts if chosen(part.stored)]
                yield from self._parts(connection, table, parts)
                yield from _differences(connection, table, parts, catalogue.duckdb == version("duckdb"))
            yield from self._schema_fault(connection, catalogue)

    def _parts(
        self, connection: "DuckDBPyConnection", table: SavedTable, parts: Sequence[SavedPart]
    ) -> Iterator[Fault]:
        import duckdb

        # One after the other, so that the disk has the rows once and one file, not all files.
        for part in parts:
            # A name of its own: DuckDB keeps what it has read of a file, and once took a part for the one before it.
            path = self.work / f"{uuid.uuid4().hex}.parquet"
            try:
                self._content(part.stored, path)
                import_part(connection, table.schema, table.name, table.columns, path)
            except (BackupBroken, duckdb.ConversionException, duckdb.InvalidInputException) as error:
                yield Fault(f"{_told(table, part)}: {error}", part.stored.object)
            finally:
                path.unlink(missing_ok=True)

    def _schema_fault(self, connection: "DuckDBPyConnection", catalogue: Catalogue) -> Iterator[Fault]:
        folder = self.work / "ddl"
        folder.mkdir()
        if ddl_of(connection, folder) != catalogue.ddl and catalogue.duckdb == version("duckdb"):
            yield Fault("the schema of the restored warehouse is another one than was saved")


def _differences(
    connection: "DuckDBPyConnection", table: SavedTable, parts: Sequence[SavedPart], same_duckdb: bool
) -> Iterator[Fault]:
    """What a table's restored batches hold otherwise than was saved."""
    if not parts:
        return
    found = state_of(connection, table.schema, table.name).contents
    for part in parts:
        content = found.get(part.batch)
        rows = content.rows if content else 0
        if rows != part.rows:
            yield Fault(f"{_told(table, part)}: {rows:,} rows instead of {part.rows:,}")
        # Hashes of another DuckDB may be others, and say nothing then.
        elif content and same_duckdb and content.checksum != part.checksum:
            yield Fault(f"{_told(table, part)}: other values than were saved")


def _told(table: SavedTable, part: SavedPart) -> str:
    return f"{table.full_name}, batch {part.batch}" if part.batch else table.full_name


def _sqlite_faults(path: Path, name: str) -> list[Fault]:
    if path.suffix not in SQLITE:
        return []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    return [] if answer == "ok" else [Fault(f"{name}: SQLite says: {answer}")]


def place_of(folder: Path, saved: str) -> Path:
    """Where a saved file belongs below a folder.

    Raises:
        BackupBroken: its path leads elsewhere. Whoever can write to the second place must not choose what is written
            on this machine.
    """
    path = PurePosixPath(saved)
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 2 or path.parts[0] not in (DATA, HOME):
        raise BackupBroken(f"{saved!r} is no path of a backup")
    return folder / path

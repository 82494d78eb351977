"""What a backup sees: the files and a copy of the warehouse, both of one moment; and what changed in the tables.

Belongs here: all that a backup does with the warehouse. What is stored of it, and when, is in `take`.

To hash 3 million rows, each raw and cleaned, takes 0.9 CPU seconds, and to copy their file 0.04. So the warehouse is
held for the copy alone, and rows are read from there.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.backup.export import TableState, ddl_of, export_part, state_of, tables_of
from orchestration_project.backup.memory import Last
from orchestration_project.backup.model import BackupError, SavedPart, SavedTable
from orchestration_project.backup.sources import Source, list_sources
from orchestration_project.backup.upload import Uploader
from orchestration_project.errors import WarehouseBroken
from orchestration_project.settings import Settings
from orchestration_project.storage.copies import copy_unhashed
from orchestration_project.warehouse.connection import Warehouse, transaction
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project.warehouse.tables import catalog_of, ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found under the lock.

    Attributes:
        sources: the files.
        original, copy: where the warehouse is, and a file that is a copy of it; None: there is none.
        seconds: how long the warehouse was held.
    """

    sources: Sequence[Source]
    original: str | None = None
    copy: DuckdbFile | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Exported:
    """What the tables hold, the schema, and the Parquet files of what changed, by table (schema first) and batch."""

    states: Sequence[TableState] = ()
    ddl: str = ""
    files: Mapping[tuple[str, str | None], Path] = field(default_factory=dict)


def look(warehouse: Warehouse, settings: Settings, folder: Path) -> Seen:
    """List the files and copy the warehouse.

    Args:
        warehouse: it.
        settings: where the files are.
        folder: for the copy; one of an attempt before is replaced.

    Raises:
        BackupError: there is nothing at all.
        WarehouseBusy: somebody else held the warehouse for too long.
        WarehouseBroken: its file can't be opened.
    """
    if not warehouse.exists():
        sources = list_sources(settings)
        # A mistyped DATA_DIR would be a backup of nothing, and look like one.
        if not sources:
            raise BackupError(f"{settings.data_dir} has nothing to back up: look at DATA_DIR")
        return Seen(sources)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # No load can move files or change rows while this holds the lock. DuckDB's own lock keeps out other programs up to
    # the end of the copy: Linux gives it up when this process closes the file, which is no more than once.
    with warehouse.connection("backup", [folder], read_only=True) as connection:
        began = time.perf_counter()
        sources, copy = list_sources(settings), _copied(connection, warehouse, folder)
        seconds = time.perf_counter() - began
    return Seen(sources, warehouse.where, copy, seconds)


def _copied(connection: "DuckDBPyConnection", warehouse: Warehouse, folder: Path) -> DuckdbFile:
    if not isinstance(warehouse, DuckdbFile):
        return _copied_rows(connection, warehouse, folder / "warehouse.duckdb")
    # Under its own name: it is that of the catalogue, and views may say it. With its log, which a killed load leaves.
    name = warehouse.database.name
    logs = [path for path in warehouse.database.parent.iterdir() if path.name.startswith(f"{name}.wal")]
    for path in [*logs, warehouse.database]:
        copy_unhashed(path, folder / path.name)
    return replace(warehouse, database=folder / name)


def _copied_rows(connection: "DuckDBPyConnection", warehouse: Warehouse, target: Path) -> DuckdbFile:
    """Copy the rows of a lake, whose files are in no folder of this machine, or too many, into a DuckDB file."""
    own = ident(catalog_of(connection))
    connection.execute(f"ATTACH {literal(str(target.resolve()))} AS _copy")
    try:
        connection.execute(f"COPY FROM DATABASE {own} TO _copy")
    finally:
        connection.execute("DETACH _copy")
    return warehouse.scratch(target)


def export(seen: Seen, uploader: Uploader, last: Last) -> Exported:
    """Read the copy of the warehouse, write the batches that changed to Parquet files, and delete the copy.

    Raises:
        WarehouseBroken: it can't be read, and so the warehouse can't either.
        DiskFull: there was no room for the files.
    """
    if seen.copy is None or seen.original is None:
        return Exported()
    try:
        return _exported(seen.copy, uploader, last)
    except WarehouseBroken as error:
        # What is to be moved away and rebuilt is not the copy.
        raise WarehouseBroken(str(error).replace(str(seen.copy.database), seen.original)) from error
    finally:
        shutil.rmtree(seen.copy.database.parent)


def _exported(copy: Warehouse, uploader: Uploader, last: Last) -> Exported:
    folder = uploader.new_folder()
    saved = {table.full_name: table for table in last.catalogue.tables}
    with copy.connection("backup", [folder], read_only=True) as connection:
        ddl = ddl_of(connection, folder)
        files = dict[tuple[str, str | None], Path]()
        with transaction(connection):
            states = [state_of(connection, *names) for names in tables_of(connection)]
            for state in states:
                unchanged = _unchanged(state, saved.get(state.full_name), last, uploader)
                for batch in state.contents.keys() - unchanged.keys():
                    path = folder / f"{len(files)}.parquet"
                    export_part(connection, state, batch, path)
                    files[state.full_name, batch] = path
    return Exported(states, ddl, files)


def _unchanged(
    state: TableState, saved: SavedTable | None, last: Last, uploader: Uploader
) -> dict[str | None, SavedPart]:
    """The parts of a table that the last snapshot has just so, and whose objects are whole as far as listing tells."""
    # Another DuckDB may have other hashes. Then equal ones would mean nothing.
    if saved is None or dict(saved.columns) != dict(state.columns) or last.catalogue.duckdb != version("duckdb"):
        return {}
    return {
        part.batch: part
        for part in saved.parts
        if (content := state.contents.get(part.batch))
        and (content.rows, content.checksum) == (part.rows, part.checksum)
        and uploader.has(part.stored)
    }

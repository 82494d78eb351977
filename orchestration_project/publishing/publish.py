"""Bring the published copy up to date with the warehouse.

Belongs here: the order of the steps. Rows are read, and missing files written, in one read-only connection, so they are
of one moment. Then the views take the place of the old ones, at once, and the manifest after them. A kill before that
leaves the old state, and a kill after it the new one; the next publishing goes on from either.

When it happens is in `runs`.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from orchestration_project.errors import WarehouseBusy
from orchestration_project.failpoints import Publishing, reached
from orchestration_project.publishing import files, views
from orchestration_project.publishing.contents import Source, chosen_sources, contents_of, told_name
from orchestration_project.publishing.lag import caught_up, fallen_behind, is_current, is_overdue
from orchestration_project.publishing.manifest import (
    VIEWS,
    Manifest,
    Part,
    Table,
    read_manifest,
    write_manifest,
)
from orchestration_project.publishing.open_runs import alone
from orchestration_project.publishing.plan import PlannedPart, parts_of
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.tables import qualified

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOCK = ".lock"
# A file has few row groups, and each is packed by one thread. More files at once would only take more memory.
FILES_AT_ONCE = min(os.cpu_count() or 1, 4)


class Outcome(StrEnum):
    """What has become of an attempt to publish."""

    CURRENT = "the copy was current"
    PUBLISHED = "published"
    PUT_OFF = "put off until the other runs end"
    NOTHING = "there is no warehouse yet"


@dataclass(frozen=True, slots=True)
class Published:
    """What was published.

    Attributes:
        outcome: whether anything was.
        manifest: the state that the copy has; None if it has none.
        written: the files that were written, relative to the folder of the copy.
        seconds: how long the warehouse was held.
    """

    outcome: Outcome
    manifest: Manifest | None = None
    written: frozenset[str] = frozenset()
    seconds: float = 0.0


def publish(settings: Settings, log: Callable[[str], None]) -> Published:
    """Make the copy show what the warehouse holds.

    Args:
        settings: where warehouse and copy are, which tables are copied, how long old files stay.
        log: takes a line about a table that can't be copied.

    Raises:
        WarehouseBusy: somebody else held the warehouse, or published, for too long.
        WarehouseError: the manifest or the warehouse can't be read.
        DiskFull: a disk had no room; the copy stays as it was.
    """
    folder = settings.published
    if not Warehouse.from_settings(settings).exists():
        return Published(Outcome.NOTHING)
    if (before := read_manifest(folder)) and is_current(settings, before):
        caught_up(folder)
        return Published(Outcome.CURRENT, before)
    folder.mkdir(parents=True, exist_ok=True)
    with Warehouse.from_settings(settings).clear_faults("publishing", folder), _one_at_a_time(settings):
        # Asked again: whoever held the lock may have published what is here.
        if (before := read_manifest(folder)) and is_current(settings, before):
            caught_up(folder)
            return Published(Outcome.CURRENT, before)
        return _publish(settings, before, log)


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    lock = FileLock(settings.published / LOCK)
    try:
        lock.acquire(timeout=settings.lock_timeout)
    except Timeout as error:
        raise WarehouseBusy(
            f"another process publishes to {settings.published}; waited {settings.lock_timeout:g} s. Run again",
            "another publishing",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _publish(settings: Settings, before: Manifest | None, log: Callable[[str], None]) -> Published:
    folder, began = settings.published, time.perf_counter()
    with alone(folder) as is_alone:
        if not is_alone and not is_overdue(folder):
            fallen_behind(folder)
            return Published(Outcome.PUT_OFF, before)
        found, written = _taken(settings, before, log)
        found = replace(found, among_runs=not is_alone)
    seconds = time.perf_counter() - began
    if before and before.shows_the_same_as(found) and (folder / VIEWS).exists():
        write_manifest(folder, replace(found, number=before.number, published_at=before.published_at))
        outcome = Outcome.CURRENT
    else:
        _switch(folder, found, (before.files if before else set()) - found.files)
        files.sweep(folder, found.files, settings.published_keep_hours * 3600)
        reached(Publishing.SWEPT)
        outcome = Outcome.PUBLISHED
    caught_up(folder)
    return Published(outcome, found, frozenset(written), seconds)


def _taken(settings: Settings, before: Manifest | None, log: Callable[[str], None]) -> tuple[Manifest, set[str]]:
    """The state of the warehouse, all of whose files are there; and which of them were written for it."""
    folder, warehouse = settings.published, Warehouse.from_settings(settings)
    tables: list[Table] = []
    left_out: dict[str, str] = {}
    with warehouse.connection("publishing", [folder], read_only=True, shared=True) as connection:
        reached(Publishing.OPENED)
        copier = _Copier(connection, folder, before)
        for source in chosen_sources(connection, settings.published_tables.split()):
            try:
                tables.append(copier.copy(source))
            # One table with a type that no file can hold must not keep all others from readers.
            except files.Unfit as error:
                left_out[told_name(source)] = str(error)
                log(f"{told_name(source)} can't be published: {error}")
        # On this connection: nobody can have written since to the state whose rows it has read.
        stamp = warehouse.stamp(connection)
    now = time.time()
    # A time at the least: numbers grow even where a manifest was lost, or a kill left views without one.
    number = max(int(now), before.number + 1 if before else 0)
    path, chosen = settings.published_for_readers, settings.published_tables
    return Manifest(number, now, now, stamp, path, chosen, tables, left_out), copier.written


class _Copier:
    """Writes the files of tables that are missing in the folder of the copy."""

    def __init__(self, connection: "DuckDBPyConnection", folder: Path, before: Manifest | None) -> None:
        self.connection, self.folder = connection, folder
        self.rows = {
            part.file: part.rows for table in (before.tables if before else ()) for part in table.parts.values()
        }
        self.written = set[str]()

    def copy(self, source: Source) -> Table:
        """A table, all of whose files are there.

        Raises:
            Unfit: no files can hold it as it is.
        """
        contents = contents_of(self.connection, source)
        planned = parts_of(source.schema, source.name, source.columns, contents)
        name = qualified(self.connection, source.name, source.schema)
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            rows = list(pool.map(partial(self._rows, source, name), planned))
        parts = {part.key: Part(part.file, held) for part, held in zip(planned, rows, strict=True)}
        table = Table(source.schema, source.name, dict(source.columns), parts)
        held = self.connection.execute(f"SELECT count(*) FROM {name}").fetchone()
        # DuckDB knows it without a look at the rows. Whatever divides rows among files, none may be in none of them.
        if held != (table.rows,):
            raise files.Unfit(f"its files have {table.rows} rows, and the table has {held[0] if held else 0}")
        return table

    def _rows(self, source: Source, name: str, part: PlannedPart) -> int:
        """How many rows a part has, whose file is written where it is missing. Runs in several threads."""
        path = self.folder / part.file
        if part.file in self.rows and path.exists():
            return self.rows[part.file]
        # A connection does one statement at a time. All cursors see one state: nobody writes while one reads.
        with self.connection.cursor() as cursor:
            # A kill may have left the file, and no manifest that knows it.
            if path.exists():
                return files.rows_of(cursor, path)
            self.written.add(part.file)
            return files.write_part(cursor, path, source, name, part)


def _switch(folder: Path, found: Manifest, gone: set[str]) -> None:
    """Let readers see a state from now on."""
    new = views.make_views(folder, found)
    reached(Publishing.VIEWS_MADE)
    # Before they stop to count: a kill after it would leave them with their old age, to be deleted at once.
    files.retire(folder, gone)
    reached(Publishing.RETIRED)
    # The views before the manifest: a manifest without its views would be taken for a state that readers see.
    new.replace(folder / VIEWS)
    reached(Publishing.SWITCHED)
    write_manifest(folder, found)
    reached(Publishing.NOTED)

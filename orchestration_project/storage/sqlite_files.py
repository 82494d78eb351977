"""SQLite files that the platform keeps of its own, and that several processes use at once.

Belongs here: how one is opened, made and refused. Does not belong here: what its tables are for.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.errors import PlatformError
from orchestration_project.storage.archive import ensure_folder

BUSY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file has.

    Attributes:
        number: of the layout; a file with a larger one was made by a newer release.
        create: makes the tables that are not there.
        error: what is raised of a file that can't be used.
        lost: what happens if the file is moved away, for people.
    """

    number: int
    create: Callable[[sqlite3.Connection], None]
    error: type[PlatformError]
    lost: str


@contextmanager
def opened(path: Path, layout: Layout) -> Iterator[sqlite3.Connection]:
    """A connection to a file, which is made when it is not there. Each statement commits by itself.

    Raises:
        PlatformError: the layout's own error: the file is damaged, or was made by a newer release.
    """
    try:
        ensure_folder(path.parent)
        # Without isolation_level=None Python begins transactions by itself, before the first write. `transaction` has
        # to begin them before the first read.
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            prepare(connection, path, layout)
            yield connection
    # Around what the caller does as well: damage shows when a page is read, not when the file is opened.
    except sqlite3.DatabaseError as error:
        raise _unusable(path, layout, error) from error


@contextmanager
def reading(path: Path, layout: Layout) -> Iterator[sqlite3.Connection]:
    """A connection that can't write; to empty tables in memory where there is no file, or none of the tables yet.

    Raises:
        PlatformError: as `opened` does.
    """
    try:
        if path.exists():
            # With mode=ro SQLite would leave two files behind, which belong to the log and which only writers remove.
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", BUSY_SECONDS, uri=True)) as connection:
                connection.execute("PRAGMA query_only = ON")
                if _is_made(connection, path, layout):
                    yield connection
                    return
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            prepare(connection, path, layout)
            yield connection
    except sqlite3.DatabaseError as error:
        raise _unusable(path, layout, error) from error


def prepare(connection: sqlite3.Connection, path: Path, layout: Layout) -> None:
    """Make the tables that a file lacks; raises as `opened` does."""
    if _is_made(connection, path, layout):
        return
    # So that others read while somebody writes. SQLite can't change it inside a transaction.
    connection.execute("PRAGMA journal_mode = WAL")
    # Two processes may be here at once: each statement is harmless to whoever comes second.
    with transaction(connection):
        layout.create(connection)
        connection.execute(f"PRAGMA user_version = {layout.number:d}")


def _is_made(connection: sqlite3.Connection, path: Path, layout: Layout) -> bool:
    """Whether a file has all tables; refuses one of a newer release."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > layout.number:
        raise layout.error(f"{path} was made by a newer release: install that one again, or move the file away")
    return found == layout.number


def _unusable(path: Path, layout: Layout, error: sqlite3.DatabaseError) -> PlatformError:
    return layout.error(f"{path} can't be used: {error}. If it is damaged, move it away: {layout.lost}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that no other writer can come between, from the first read on."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    # SIGINT too: the other writers would wait for as long as this process goes on.
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")

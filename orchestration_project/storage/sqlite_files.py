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
        raise layout.error(f"{path} can't be used: {error}. If it is damaged, move it away: {layout.lost}") from error


def prepare(connection: sqlite3.Connection, path: Path, layout: Layout) -> None:
    """Make the tables that a file lacks; raises as `opened` does."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > layout.number:
        raise layout.error(f"{path} was made by a newer release: install that one again, or move the file away")
    if found == layout.number:
        return
    # So that others read while somebody writes. SQLite can't change it inside a transaction.
    connection.execute("PRAGMA journal_mode = WAL")
    # Two processes may be here at once: each statement is harmless to whoever comes second.
    with transaction(connection):
        layout.create(connection)
        connection.execute(f"PRAGMA user_version = {layout.number:d}")


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

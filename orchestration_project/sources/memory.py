"""What was fetched from a source before: `$DATA_DIR/sources/<feed>.sqlite`, outside of the warehouse.

It survives a lost warehouse. If it is lost itself, everything is fetched once more, and the loads recognize the files
by their bytes.

A file goes to landing in three steps, so that a kill between any two of them neither loses nor repeats it: its row is
committed with the name of the unfinished file (`part`), the file is renamed into landing, the row's `part` is cleared.
Whoever comes next finishes what was begun: an unfinished file that is still there was not renamed yet.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from orchestration_project.errors import SourceError
from orchestration_project.storage.archive import ensure_folder
from orchestration_project.storage.sqlite_files import Layout, opened, reading, transaction

COLUMNS = "key, version, name, sha256, bytes, records, modified_at, fetched_at, part"
UPDATED = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS.split(", "))


@dataclass(frozen=True, slots=True)
class Remembered:
    """A file that was fetched.

    Attributes:
        key: what it is called at the source.
        version: of its bytes, as the source tells it.
        name: of the file in landing.
        sha256: of its bytes, in hex.
        bytes: how many.
        records: how many records, where the source counts them.
        modified_at: when it was last modified at the source, with a time zone.
        fetched_at: when it was fetched, with a time zone.
        part: the unfinished file in landing, as long as it was not renamed; else None.
    """

    key: str
    version: str
    name: str
    sha256: str
    bytes: int
    records: int | None
    modified_at: dt.datetime | None
    fetched_at: dt.datetime
    part: str | None = None


@dataclass(frozen=True, slots=True)
class LastFetch:
    """What the last fetch did, as `FetchReport` has it.

    Attributes:
        at: when it began, with a time zone.
        listed: how many items the source had.
        landed: how many files were put into landing.
        bytes: of all of these.
        unchanged: how many items were fetched before, as they are.
        left: how many items wait for the next fetch.
        failed: by key, why an item could not be fetched.
        error: why the source could not be listed; empty if it could.
    """

    at: dt.datetime
    listed: int = 0
    landed: int = 0
    bytes: int = 0
    unchanged: int = 0
    left: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@contextmanager
def exclusive_memory(path: Path) -> Iterator["Memory"]:
    """The memory, for a fetch: no other fetch of the feed has it meanwhile.

    Raises:
        SourceError: another fetch has it, or it can't be used.
    """
    ensure_folder(path.parent)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SourceError(f"another fetch of {path.stem} is under way; wait until it has ended") from None
    try:
        with open_memory(path) as memory:
            yield memory
    finally:
        lock.release()


@contextmanager
def open_memory(path: Path) -> Iterator["Memory"]:
    """The memory, which is made when it is not there.

    Raises:
        SourceError: it can't be used.
    """
    with opened(path, LAYOUT) as connection:
        yield Memory(connection)


@contextmanager
def reading_memory(path: Path) -> Iterator["Memory"]:
    """The memory, to look into only; an empty one where there is none, and then no file is made.

    Raises:
        SourceError: it can't be used.
    """
    with reading(path, LAYOUT) as connection:
        yield Memory(connection)


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute(
        """CREATE TABLE IF NOT EXISTS items (
            key TEXT PRIMARY KEY,
            version TEXT NOT NULL,
            name TEXT NOT NULL UNIQUE,
            sha256 TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            records INTEGER,
            modified_at TEXT,
            fetched_at TEXT NOT NULL,
            part TEXT,
            moved INTEGER NOT NULL DEFAULT 0,
            began TEXT)"""
    )
    for name in ("cursor", "last_fetch"):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} (one INTEGER PRIMARY KEY CHECK (one = 1), value TEXT)")


LAYOUT = Layout(
    1, _create_tables, SourceError, "everything is then fetched once more, and loads recognize what they have"
)


class Memory:
    """What one source has given. Each method is one transaction.

    Args:
        connection: from `open_memory`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def cursor(self) -> str | None:
        """Where the next fetch of rows goes on; None before the first."""
        row = self._connection.execute("SELECT value FROM cursor").fetchone()
        return row[0] if row else None

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        """The remembered versions of these keys, by key. At most some hundred keys at once."""
        marks = ", ".join("?" * len(keys))
        return dict(self._connection.execute(f"SELECT key, version FROM items WHERE key IN ({marks})", list(keys)))

    def item(self, key: str) -> Remembered | None:
        """What was fetched of this key; None if nothing was."""
        row = self._connection.execute(f"SELECT {COLUMNS} FROM items WHERE key = ?", [key]).fetchone()
        return _remembered(row) if row else None

    def items(self) -> list[Remembered]:
        """All that was fetched, by key."""
        return [_remembered(row) for row in self._connection.execute(f"SELECT {COLUMNS} FROM items ORDER BY key")]

    def extent(self) -> tuple[int, dt.datetime | None]:
        """How many files were fetched, and when the newest was modified at the source; None where none tells it."""
        count: int = self._connection.execute("SELECT count(*) FROM items").fetchone()[0]
        newest = "SELECT modified_at FROM items ORDER BY julianday(modified_at) DESC NULLS LAST LIMIT 1"
        row = self._connection.execute(newest).fetchone()
        return count, dt.datetime.fromisoformat(row[0]) if row and row[0] else None

    def begun(self) -> list[Remembered]:
        """What was fetched and perhaps not renamed into landing, since a fetch was killed."""
        rows = self._connection.execute(f"SELECT {COLUMNS} FROM items WHERE part IS NOT NULL ORDER BY key")
        return [_remembered(row) for row in rows]

    def key_of(self, name: str) -> str | None:
        """The key whose file has this name; None if there is none."""
        row = self._connection.execute("SELECT key FROM items WHERE name = ?", [name]).fetchone()
        return row[0] if row else None

    def remember(self, file: Remembered, cursor: str | None) -> None:
        """Note a file that is about to be renamed, and where the next fetch goes on; None leaves that as it is."""
        row = (
            file.key,
            file.version,
            file.name,
            file.sha256,
            file.bytes,
            file.records,
            file.modified_at.isoformat() if file.modified_at else None,
            file.fetched_at.isoformat(),
            file.part,
        )
        marks = ", ".join("?" * len(row))
        with transaction(self._connection):
            # The name stays unique: with OR REPLACE a second key of that name would put the first one out.
            self._connection.execute(
                f"INSERT INTO items ({COLUMNS}) VALUES ({marks}) ON CONFLICT (key) DO UPDATE SET {UPDATED}", row
            )
            began = "UPDATE items SET moved = ?, began = (SELECT value FROM cursor) WHERE key = ?"
            self._connection.execute(began, [cursor is not None, file.key])
            self._move(cursor)

    def move(self, cursor: str | None) -> None:
        """Note where the next fetch goes on, where nothing landed."""
        self._move(cursor)

    def renamed(self, key: str) -> None:
        """Note that a file is in landing under its name."""
        self._connection.execute("UPDATE items SET part = NULL WHERE key = ?", [key])

    def forget(self, key: str) -> bool:
        """Have an item fetched again. Tells whether it was remembered.

        Rows come again from where its fetch began: with those that came after it, since a source goes on from one
        place only.
        """
        with transaction(self._connection):
            row = self._connection.execute("SELECT moved, began FROM items WHERE key = ?", [key]).fetchone()
            if row and row[0]:
                self._connection.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?)", [row[1]])
            self._connection.execute("DELETE FROM items WHERE key = ?", [key])
        return row is not None

    def note(self, last: LastFetch) -> None:
        """Note what a fetch did, in the place of the one before."""
        text = json.dumps(asdict(last) | {"at": last.at.isoformat()})
        self._connection.execute("INSERT OR REPLACE INTO last_fetch VALUES (1, ?)", [text])

    @property
    def last(self) -> LastFetch | None:
        """What the last fetch did; None if there was none."""
        row = self._connection.execute("SELECT value FROM last_fetch").fetchone()
        found = json.loads(row[0]) if row else {}
        return LastFetch(**found | {"at": dt.datetime.fromisoformat(found["at"])}) if found else None

    def _move(self, cursor: str | None) -> None:
        if cursor is not None:
            self._connection.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?)", [cursor])


def _remembered(row: Sequence[object]) -> Remembered:
    key, version, name, sha256, size, records, modified_at, fetched_at, part = row
    return Remembered(
        str(key),
        str(version),
        str(name),
        str(sha256),
        int(str(size)),
        None if records is None else int(str(records)),
        None if modified_at is None else dt.datetime.fromisoformat(str(modified_at)),
        dt.datetime.fromisoformat(str(fetched_at)),
        None if part is None else str(part),
    )

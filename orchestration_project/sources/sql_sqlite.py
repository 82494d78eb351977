"""SQLite as a source of rows. A file is opened for reading only, and one query sees one state of it.

SQLite has no types of columns, only of values: the values of a column tell its type, and must agree.

    whole numbers             BIGINT
    numbers                   DOUBLE, which is what SQLite has
    texts                     VARCHAR
    texts and numbers, blobs  refused
"""

import datetime as dt
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from orchestration_project.errors import SourceDown, SourceError, visible, without_values
from orchestration_project.sources.sql_query import without_end
from orchestration_project.sources.sql_rows import TEXT, Column, Row

BUSY_SECONDS = 30.0
STEPS = 100_000
"""After so many steps of SQLite's machine the clock is looked at."""
EXACT = 1 << 53
"""Up to here a DOUBLE holds every whole number."""
_FORM = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Sqlite:
    """A file of SQLite.

    Attributes:
        path: where it is.
        seconds: how long a query may take.
    """

    path: Path
    seconds: int

    @classmethod
    def parse(cls, url: str, seconds: int) -> "Sqlite":
        """Read an address; see `SqlOptions`. Raises SourceError if it is none."""
        if not url.startswith(_FORM) or not url.removeprefix(_FORM):
            raise SourceError(
                "the source's address is none of SQLite's: sqlite:///relative/path or sqlite:////absolute/path"
            )
        return cls(Path(unquote(url.removeprefix(_FORM))).expanduser(), seconds)

    @property
    def shown(self) -> str:
        """Its address as it may be shown to anybody."""
        return f"{_FORM}{self.path}"

    def check(self) -> None:
        """Raise SourceError if there is no such database."""
        with self._opened() as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    @contextmanager
    def query(self, query: str, values: Mapping[str, str]) -> Iterator["SqliteRows"]:
        """Ask a query; see `Postgres.query`."""
        # With a text SQLite compares no number that comes of an expression.
        bound = {name: int(value) if value.lstrip("-").isdecimal() else value for name, value in values.items()}
        with self._opened() as connection:
            cursor = connection.execute(without_end(query), bound)
            if cursor.description is None:
                raise SourceError(f"{self.shown}: the query gives no rows; it has to read some")
            yield SqliteRows(cursor, dt.datetime.now(dt.UTC))

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        ends_at = time.monotonic() + self.seconds
        try:
            with closing(
                sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True, timeout=BUSY_SECONDS)
            ) as connection:
                connection.execute("PRAGMA query_only = ON")
                # ATTACH makes a file even so.
                connection.set_authorizer(_allowed)
                connection.set_progress_handler(lambda: time.monotonic() > ends_at, STEPS)
                yield connection
        except sqlite3.Error as error:
            raise self._fault(error) from None

    def _fault(self, error: sqlite3.Error) -> SourceError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            return SourceError(
                f"{self.shown}: the query was ended after {self.seconds} seconds: give it an index, divide it by"
                " `batches`, or raise `seconds`"
            )
        kind = SourceDown if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR) else SourceError
        return kind(f"{self.shown} can't be used: {without_values(error)}")


def _allowed(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


@dataclass(slots=True)
class SqliteRows:
    """The answer to a query.

    Attributes:
        now: the present moment, with a time zone.
    """

    _cursor: sqlite3.Cursor
    now: dt.datetime
    _kinds: list[set[type]] = field(default_factory=list)
    _widest: list[int] = field(default_factory=list)

    @property
    def names(self) -> Sequence[str]:
        """Of its columns."""
        return [column[0] for column in self._cursor.description]

    def rows(self) -> Iterator[Row]:
        """Its rows, each value as a text that means exactly this value."""
        names = self.names
        self._kinds, self._widest = [set() for _ in names], [0] * len(names)
        for number, row in enumerate(self._cursor, 1):
            for place, value in enumerate(row):
                self._kinds[place].add(type(value))
                if isinstance(value, bytes):
                    raise SourceError(
                        f"column {visible(names[place])!r} has a blob in row {number:,}: use hex() in the query"
                    )
                if isinstance(value, int):
                    self._widest[place] = max(self._widest[place], abs(value))
            yield [value if value is None or isinstance(value, str) else repr(value) for value in row]

    def columns(self) -> Sequence[Column]:
        """Its columns with their types. Raises SourceError if the values of one do not agree."""
        return [Column(name, self._type(name, place)) for place, name in enumerate(self.names)]

    def _type(self, name: str, place: int) -> str:
        found = self._kinds[place] - {type(None)}
        if found == {int}:
            return "BIGINT"
        if found <= {str}:
            return TEXT
        if str in found:
            raise SourceError(
                f"column {visible(name)!r} has numbers in some rows and texts in others: cast it to text in the query"
            )
        if int in found and self._widest[place] > EXACT:
            raise SourceError(
                f"column {visible(name)!r} has fractions in some rows, and a whole number is beyond {EXACT:,}:"
                " cast it to text in the query"
            )
        return "DOUBLE"

"""A source of rows: a query of a database, whose rows become Parquet files in one of three ways.

Belongs here: which files there are, and how a query becomes one. How a database is asked is in `sql_postgres` and
`sql_sqlite`, which rows of an increment are new in `sql_progress`.

    increment   one item, the rows from :since on; nothing lands if none of them is new
    batches     an item for each batch that is over; its version says whether it may still change
    neither     one item, all rows; a file a day
"""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestration_project.errors import SourceError
from orchestration_project.settings import revealed
from orchestration_project.sources.model import Fetched, Item
from orchestration_project.sources.sql_options import FIELD, SqlOptions
from orchestration_project.sources.sql_postgres import Postgres
from orchestration_project.sources.sql_progress import Progress, Window, since
from orchestration_project.sources.sql_query import END, SINCE, START
from orchestration_project.sources.sql_rows import Answer, check_names, line_of, write_lines, write_parquet
from orchestration_project.sources.sql_sqlite import Sqlite
from orchestration_project.storage.batches import Batch, Cadence

# The unfinished file's own ending, by which a fetch removes what a killed one has left.
TEXTS = ".rows.fetching"
SETTLED = "settled"
"""The version of a batch that is asked for a last time."""


class Database(Protocol):
    """What is asked."""

    @property
    def shown(self) -> str:
        """Its address as it may be shown to anybody."""

    def check(self) -> None:
        """Raise SourceDown or SourceError if it can't be asked."""

    def query(self, query: str, values: Mapping[str, str]) -> AbstractContextManager[Answer]:
        """Ask a query in a transaction that only reads."""


@dataclass(slots=True)
class _NewRows:
    """Chooses the rows of an increment that did not come before."""

    column: str
    before: Progress
    begin: str
    overlap: int
    _window: Window | None = None

    def __call__(self, answer: Answer) -> Iterator[str]:
        place = self._place(answer)
        self._window = Window(self.column, self.before, self.begin, self.overlap, answer.now)
        for row in answer.rows():
            line = line_of(row)
            if self._window.is_new(row[place], line):
                yield line

    def after(self, records: int) -> Progress:
        """How far it came with so many rows in its file."""
        assert self._window
        return self._window.after(landed=records > 0)

    def _place(self, answer: Answer) -> int:
        names = list(answer.names)
        if self.column not in names:
            raise SourceError(
                f"the query has no column {self.column!r}, which is its increment; it has {', '.join(names)}"
            )
        return names.index(self.column)


def _any_version() -> str:
    return uuid.uuid4().hex


def all_lines(answer: Answer) -> Iterator[str]:
    """Chooses all rows."""
    return map(line_of, answer.rows())


@dataclass(slots=True)
class SqlSource:
    """A database and a query.

    Attributes:
        options: what `defs.yaml` says.
        feed: that it fetches for.
        database: that is asked.
        now: the present moment, with a time zone.
    """

    options: SqlOptions
    feed: str
    database: Database
    now: dt.datetime
    _cursor: str | None = field(default=None, repr=False)
    _batches: dict[str, Batch] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """See `Source`."""
        return self.database.shown

    def list(self, cursor: str | None) -> Iterator[Item]:
        """See `Source`."""
        self._cursor = cursor
        self.database.check()
        if self.options.batches:
            yield from self._list_batches(cursor)
        else:
            yield self._only_item(cursor)

    def fetch(self, item: Item, target: Path, limit: int) -> Fetched:
        """See `Source`. The limit is one of the rows as texts, before they are compressed."""
        if self.options.increment:
            return self._fetch_new(target, limit)
        if item.key in self._batches:
            return self._fetch_batch(item, target, limit)
        records = self._write({}, target, limit, all_lines)
        return Fetched(empty=not records, records=records, whole=True)

    def close(self) -> None:
        """See `Source`. Each query has a connection of its own."""

    def _only_item(self, cursor: str | None) -> Item:
        day, number = f"{self.now.astimezone(dt.UTC):%Y-%m-%d}", Progress.of(cursor).number + 1
        # Another version each time, so that it is asked for; whether it lands, its rows tell.
        version = _any_version()
        if self.options.increment:
            return Item(f"rows {number}", version, self._name(date=day, number=f"{number:06d}"))
        return Item(f"all rows of {day}", version, self._name(date=day))

    def _list_batches(self, cursor: str | None) -> Iterator[Item]:
        options = self.options.batches
        assert options
        batching, now = options.batching, self.now
        last = batching.last_complete(now - dt.timedelta(minutes=options.delay_minutes))
        changing, batch = last, options.first
        for _ in range(options.again):
            changing = batching.last_complete(batching.begin(changing))
        known_empty = set((cursor or "").split())
        while batch <= last:
            key = batching.key(batch)
            if key not in known_empty:
                self._batches[f"batch {key}"] = batch
                # One that may change has another version each time, as above.
                version = SETTLED if batch <= changing else _any_version()
                yield Item(f"batch {key}", version, self._name(batch=key.replace(":", "")))
            batch = batching.after(batch)

    def _fetch_new(self, target: Path, limit: int) -> Fetched:
        options, before = self.options, Progress.of(self._cursor)
        assert options.increment
        assert options.start is not None
        assert options.overlap is not None
        begin = since(before, options.start, options.overlap)
        rows = _NewRows(options.increment, before, begin, options.overlap)
        records = self._write({SINCE: begin}, target, limit, rows)
        return Fetched(cursor=rows.after(records).cursor(), empty=not records, records=records)

    def _fetch_batch(self, item: Item, target: Path, limit: int) -> Fetched:
        batch = self._batches[item.key]
        assert self.options.batches
        after = self.options.batches.batching.after(batch)
        values = {START: self._moment(batch), END: self._moment(after)}
        records = self._write(values, target, limit, all_lines)
        if records or item.version != SETTLED:
            return Fetched(empty=not records, records=records, whole=True)
        # It would be asked for for ever: no file tells that it was fetched.
        known = set((self._cursor or "").split()) | {self.options.batches.batching.key(batch)}
        self._cursor = " ".join(sorted(known))
        return Fetched(cursor=self._cursor, empty=True, records=0, whole=True)

    def _moment(self, batch: Batch) -> str:
        """The start of a batch as a database reads it.

        For PostgreSQL with an offset: as `timestamptz` it is an instant, as `timestamp` or `date` the local time.
        """
        assert self.options.batches
        batching = self.options.batches.batching
        local = batching.begin(batch).astimezone(batching.timezone)
        if isinstance(self.database, Postgres):
            return local.isoformat(sep=" ")
        return f"{local:%Y-%m-%d %H:%M:%S}" if batching.cadence is Cadence.HOURLY else f"{local:%Y-%m-%d}"

    def _write(
        self, values: Mapping[str, str], target: Path, limit: int, choose: Callable[[Answer], Iterator[str]]
    ) -> int:
        """Write those rows of a query that are chosen to a file; returns their number. Without any there is none."""
        texts = target.with_suffix(TEXTS)
        try:
            with self.database.query(self.options.query, values) as answer:
                check_names(answer.names)
                records = write_lines(choose(answer), texts, limit)
                columns = answer.columns()
            if records:
                write_parquet(texts, columns, target)
            return records
        finally:
            texts.unlink(missing_ok=True)

    def _name(self, **fields: str) -> str:
        fields["feed"] = self.feed
        return FIELD.sub(lambda field: fields[field[1]], self.options.template)


def open_sql(options: SqlOptions, feed: str, now: dt.datetime, secret: Callable[[str], str]) -> SqlSource:
    """A source of rows.

    Args:
        options: what `defs.yaml` says.
        feed: that it fetches for.
        now: the present moment, with a time zone.
        secret: gives the value of an environment variable.

    Raises:
        SourceError: the address can't be read, or what reads the database is not installed.
        SettingsError: a variable is not set.
    """
    url = revealed(options.url, secret)
    if url.startswith("sqlite:"):
        return SqlSource(options, feed, Sqlite.parse(url, options.seconds), now)
    password = None if options.password is None else revealed(options.password, secret)
    return SqlSource(options, feed, Postgres.parse(url, password, options.seconds), now)

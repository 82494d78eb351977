"""The SQL of a history: the versions of each key over a stretch of days, and how they take the place of the old ones.

A version is a key with the same values in snapshots that follow each other. It holds from the day of the first of them
until the day of the next snapshot that lacks the key or has other values for it; the current one holds until nobody
knows when. It names the record that began it.

    day 1: a 10, b 20     a 10  from 1 until 3      b 20  from 1 until 2
    day 2: a 10           a 12  from 3, current     b 20  from 3, current
    day 3: a 12, b 20
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.model import Unique
from orchestration_project.ingest.relations import VERSIONS
from orchestration_project.warehouse.feed_tables import VALID_FROM, VALID_TO, history_layout, history_table
from orchestration_project.warehouse.tables import ident, idents, is_empty, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days that follow each other, whose snapshots have changed. All are partition keys.

    Attributes:
        after: the last unchanged day before them; None if there is none.
        days: the days that have a snapshot now; those whose snapshot is gone are left out.
        until: the first unchanged day after them; None if there is none.
    """

    after: str | None
    days: tuple[str, ...]
    until: str | None

    @property
    def read(self) -> tuple[str, ...]:
        """The days whose records are needed."""
        return (*self.days, *([self.until] if self.until else []))

    @property
    def all_days(self) -> tuple[str, ...]:
        """All of them in order."""
        return (*([self.after] if self.after else []), *self.read)


def replace_versions(connection: "DuckDBPyConnection", feed: Feed, stretch: Stretch, unique: Unique) -> None:
    """Make the versions of a stretch of days anew; those that come out as they were are not touched.

    Args:
        connection: inside the transaction.
        feed: the contract.
        stretch: the days.
        unique: the records of these days.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {VERSIONS} AS {versions_select(feed, stretch, unique)}")
    table, reached = ident(history_table(feed)), _reached(stretch)
    same = " AND ".join(f"_old.{name} IS NOT DISTINCT FROM _new.{name}" for name in map(ident, history_layout(feed)))
    place = " AND ".join(f"_old.{name} = _new.{name}" for name in (*map(ident, feed.primary_key), VALID_FROM))
    # A day changes few versions, and a table that is rewritten every day would grow with its dead rows.
    connection.execute(
        f"""DELETE FROM {table} WHERE {reached} AND rowid NOT IN (
            SELECT _old._id FROM (SELECT rowid AS _id, * FROM {table} WHERE {reached}) AS _old
            JOIN {VERSIONS} AS _new ON {place} AND {same})"""
    )
    new = f"{VERSIONS} AS _new WHERE NOT EXISTS (FROM {table} AS _old WHERE {place})"
    # In DuckDB 1.5.5 an INSERT of no rows makes a later large one of the same transaction lose its rows.
    if not is_empty(connection, new):
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {new}")


def _reached(stretch: Stretch) -> str:
    """A condition that holds for the versions which hold on a day from `after` to `until`, both of them included."""
    begun = f"{VALID_FROM} <= {literal(stretch.until)}" if stretch.until else "true"
    ended = f"({VALID_TO} IS NULL OR {VALID_TO} > {literal(stretch.after)})" if stretch.after else "true"
    return f"({begun} AND {ended})"


def _valid_on(day: str | None) -> str:
    """A condition that holds for the versions that hold on a day; for none without a day."""
    if day is None:
        return "false"
    return f"{VALID_FROM} <= {literal(day)} AND ({VALID_TO} IS NULL OR {VALID_TO} > {literal(day)})"


def versions_select(feed: Feed, stretch: Stretch, unique: Unique) -> str:
    """Query of the versions that hold on a day of a stretch, the days around it included.

    A version that held before the stretch goes on from where it began, and one that holds after it ends where it ended.
    So three things are put together: what held on the day before, the records of the days, and the ends of what holds
    on the day after. Steps: each record with the number of its day; whether it repeats the record of the day before;
    the runs of such records, of which the first is the version.
    """
    names, key = [column.name for column in feed.columns], idents(feed.primary_key)
    origin, table = "_file, _file_version, _row", ident(history_table(feed))
    values = [ident(name) for name in names if name not in feed.primary_key]
    repeats = "".join(f" AND {name} IS NOT DISTINCT FROM lag({name}) OVER days" for name in values)
    last, day_before = len(stretch.all_days) - 1, literal(stretch.after) if stretch.after else "NULL"
    ends = f"CASE WHEN _last = {last} THEN _after.{VALID_TO} ELSE _next._day END" if stretch.until else "_next._day"
    return f"""
        WITH _days AS ({_numbered(stretch.all_days)}),
        _known AS (
            SELECT {idents(names)}, {day_before}::DATE AS _day, {VALID_FROM} AS _from, {origin}
            FROM {table} WHERE {_valid_on(stretch.after)}
            UNION ALL
            SELECT {idents(names)}, _batch_date AS _day, _batch_date AS _from, {origin}
            FROM {unique.validated.relation} ANTI JOIN {unique.relation} USING (_rid)
            WHERE _reasons IS NULL AND _batch_date IN ({literals(stretch.read) or "NULL"})),
        _placed AS (SELECT _known.*, _nth FROM _known JOIN _days USING (_day)),
        _marked AS (
            SELECT *, coalesce(lag(_nth) OVER days = _nth - 1{repeats}, false) AS _repeats
            FROM _placed WINDOW days AS (PARTITION BY {key} ORDER BY _nth)),
        _runs AS (
            SELECT *, count(*) FILTER (NOT _repeats) OVER (PARTITION BY {key} ORDER BY _nth) AS _run FROM _marked),
        _versions AS (
            SELECT *, max(_nth) OVER (PARTITION BY {key}, _run) AS _last
            FROM _runs QUALIFY NOT _repeats)
        SELECT {", ".join(f"_versions.{ident(name)}" for name in names)}, _from AS {VALID_FROM},
            {ends} AS {VALID_TO}, {ends} IS NULL AS is_current, _versions._file, _versions._file_version, _versions._row
        FROM _versions LEFT JOIN _days AS _next ON _next._nth = _last + 1
        LEFT JOIN (SELECT {key}, {VALID_TO} FROM {table} WHERE {_valid_on(stretch.until)}) AS _after
            ON {" AND ".join(f"_after.{ident(name)} = _versions.{ident(name)}" for name in feed.primary_key)}"""


def _numbered(days: Iterable[str]) -> str:
    """Query of days with their numbers, from 0 on."""
    listed = list(days)
    return f"SELECT unnest([{literals(listed)}]::DATE[]) AS _day, unnest(range({len(listed):d})) AS _nth"

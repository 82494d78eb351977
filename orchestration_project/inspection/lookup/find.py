"""Find the records that have a value, in the text of the files: of all feeds, or of one.

Belongs here: the search of the raw tables, which have the records of all files that count. What became of each record
is asked in `records`. Only counts and a few records leave DuckDB, so memory does not grow with what is found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.errors import did_you_mean
from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.errors import PlatformError
from orchestration_project.formats.fields import stripped
from orchestration_project.ingest.keys import IDENTITY, keys_of
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.lookup.model import Found, FoundInFeed, Match
from orchestration_project.inspection.lookup.records import (
    READ,
    Identity,
    Whereabouts,
    masked_values,
    record_of,
    states_of,
)
from orchestration_project.inspection.lookup.where import ensure_readable
from orchestration_project.inspection.reading import warehouse_to_read
from orchestration_project.settings import Settings
from orchestration_project.warehouse.feed_tables import layouts, raw_table
from orchestration_project.warehouse.tables import batch_filter, columns_of, exists, ident, stand_in

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LINE = "_raw_line"
"""The text of a record that could not be split into columns; such a line is searched for the value inside it."""
NOT_SEARCHED = (
    "only records of files that count are searched: not those of files that were refused, replaced or withdrawn, or"
    " that wait in landing"
)


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for.

    Attributes:
        value: the whole text of a value, as the file has it; blanks around it don't count where the contract trims.
        column: the column, by its name or its header in the files; None: the keys and all text columns.
        limit: how many records of each feed are told.
    """

    value: str
    column: str | None = None
    limit: int = 20


def find(settings: Settings, sources: Sequence[ConfiguredFeed], search: Search) -> Found:
    """The records that have a value.

    Args:
        settings: where the warehouse is; it exists.
        sources: the feeds to search.
        search: what for.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        PlatformError: no feed has the column; or the warehouse can't be read, or is one of an older release.
    """
    chosen = {source.name: searched_columns(source.feed, search.column) for source in sources}
    if search.column is not None and not any(chosen.values()):
        hint = did_you_mean(search.column, [item.name for source in sources for item in source.feed.source_columns])
        raise PlatformError(f"no feed that is searched reads a column {search.column!r} from its files{hint}")
    found, notes = [], []
    with warehouse_to_read(settings).connection("search for a value", read_only=True, shared=True) as connection:
        ensure_readable(connection)
        stand_in(connection, READ)
        for source in sources:
            columns = chosen[source.name]
            present = columns_of(connection, raw_table(source.feed))
            if lacking := [column.name for column in columns if present and column.name not in present]:
                notes.append(f"{raw_table(source.feed)} lacks {', '.join(lacking)}: the next load adds it")
            columns = [column for column in columns if column.name in present]
            if columns and exists(connection, raw_table(source.feed)):
                stand_in(connection, layouts(source.feed, source.options.batching.sql_type))
                found.append(_in_feed(connection, source, columns, search))
    nothing = not any(feed.records for feed in found)
    return Found(found, [*notes, NOT_SEARCHED] if nothing else notes)


def searched_columns(feed: Feed, column: str | None) -> list[Column]:
    """The columns of a feed that are searched: one by its name or header, else the keys and all text columns."""
    if column is not None:
        return [item for item in feed.source_columns if column in (item.name, item.source)]
    keys = {name for key in keys_of(feed) for name in key.columns}
    return [item for item in feed.source_columns if item.sql_type == "VARCHAR" or item.name in keys]


def _in_feed(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, columns: Sequence[Column], search: Search
) -> FoundInFeed:
    feed, table, parameters = source.feed, ident(raw_table(source.feed)), {"value": search.value}
    tests = {column.name: has_value(column) for column in columns}
    if search.column is None:
        tests[LINE] = f"contains({LINE}, $value)"
    condition = " OR ".join(f"coalesce({test}, false)" for test in tests.values())
    batches = connection.execute(
        f"SELECT _batch_date, count(*) FROM {table} WHERE {condition} GROUP BY 1 ORDER BY 1 DESC", parameters
    ).fetchall()
    newest, enough = [], 0
    for batch, records in batches:
        if enough < search.limit:
            newest.append(batch)
            enough += records
    matches = _matches(connection, source, tests, condition, newest, search) if newest else []
    return FoundInFeed(feed.name, list(tests), sum(records for _, records in batches), matches)


def has_value(column: Column) -> str:
    """A condition over the raw table: the column's text is `$value`, without blanks around it where these don't count.

    Most rows are decided by two cheap comparisons; only a longer text can have blanks around the value.
    """
    name = ident(column.name)
    if not column.parsing.trim:
        return f"{name} = $value"
    return f"({name} = $value OR (strlen({name}) > strlen($value) AND {stripped(name)} = $value))"


def _matches(
    connection: "DuckDBPyConnection",
    source: ConfiguredFeed,
    tests: Mapping[str, str],
    condition: str,
    batches: Sequence[object],
    search: Search,
) -> list[Match]:
    """The first records of the newest batches that have the value."""
    feed = source.feed
    present = columns_of(connection, raw_table(feed))
    keys = [name for name in feed.primary_key if name in present]
    listed = ", ".join([IDENTITY, *map(ident, keys), *(f"coalesce({test}, false)" for test in tests.values())])
    rows = connection.execute(
        f"""SELECT {listed} FROM {ident(raw_table(feed))} WHERE {batch_filter(batches)} AND ({condition})
            ORDER BY _batch_date DESC, _file, _file_version, _row LIMIT $limit""",
        {"value": search.value, "limit": search.limit},
    ).fetchall()
    states = states_of(connection, feed, [Identity(*row[:4]) for row in rows])
    return [_match(connection, source, row, keys, list(tests), states) for row in rows]


def _match(
    connection: "DuckDBPyConnection",
    source: ConfiguredFeed,
    row: Sequence[Any],
    keys: Sequence[str],
    searched: Sequence[str],
    states: Mapping[Identity, Whereabouts],
) -> Match:
    """A record from its row: identity, key, and for each column that was searched whether it has the value."""
    origin, key, has = row[:4], row[4 : 4 + len(keys)], row[4 + len(keys) :]
    identity = Identity(*origin)
    told = states.get(identity) or Whereabouts(record_of(connection, source, identity).state)
    columns = [name for name, is_there in zip(searched, has, strict=True) if is_there]
    place, shown = identity.place(source), masked_values(source.feed, dict(zip(keys, key, strict=True)))
    return Match(place, columns, shown, told.state, told.reasons, told.resolved_by)

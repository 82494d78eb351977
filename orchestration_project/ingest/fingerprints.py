"""Short texts that identify what of a contract decides rows: where one of them changes, old rows are other rows now.

`making_of` is about what a value is: with another one the tables have to be made anew. `version_of` is about everything
that a load looks at, the rules too: with another one old batches are still right, but were validated otherwise.
`reading_of` is about how files are read. Descriptions, owners and checks decide no row.
"""

from dataclasses import fields

from orchestration_project.contracts.feed import Column, Feed, Parsing
from orchestration_project.hashes import digest_of
from orchestration_project.ingest.keys import keys_of
from orchestration_project.ingest.options import FeedOptions


def reading_of(feed: Feed) -> str:
    """Identifies what of a contract decides how files are read: with another one they have to be read again."""
    read = [
        (column.name, column.source, column.aliases, *((column.value_from,) if column.value_from else ()))
        for column in feed.source_columns
    ]
    # Left out where none is named: the text is what it was before there were workbooks, so no file is read anew for it.
    sheet = () if feed.source.sheet is None else (feed.source.sheet,)
    path = () if feed.source.records_path is None else (("records", feed.source.records_path),)
    # The same of ignored records. Which they are is decided when files are read, and noted in the raw table.
    ignored = (feed.ignored,) if feed.ignored else ()
    parts = (feed.source, read, *sheet, *path, *_cut(feed), *ignored, *_divided(feed))
    return digest_of(repr(parts))


def _divided(feed: Feed) -> list[object]:
    """What decides the batch of each record; it is decided when a file is read. Nothing for most feeds."""
    if feed.division is None:
        return []
    return [feed.division, *(_value_of(column) for column in feed.columns if column.name == feed.division.column)]


def _cut(feed: Feed) -> list[object]:
    """What decides how lines of fixed width are cut; padding is taken away there. Nothing for other formats."""
    if feed.source.fixed is None:
        return []
    spans = [(column.span, column.parsing.trim) for column in feed.source_columns]
    return [feed.source.fixed, spans]


def making_of(feed: Feed, options: FeedOptions) -> str:
    """Identifies what decides the columns, values and duplicates of a feed's tables.

    A rule is no part of it: it decides on which side a record is, never what a value is. Of a feed with a history it
    is: whether a record counted in a snapshot of long ago decides from when until when a version holds.
    """
    keys = [(key.columns, key.rule) for key in keys_of(feed)]
    remembered = ("history", _rules_of(feed)) if options.history else ()
    # Sorted, since the order of columns changes no value. Without a key nobody looks back.
    look_back = options.key_look_back if keys else None
    return _digest(sorted(map(_value_of, feed.columns)), keys, look_back, *remembered)


def version_of(feed: Feed, options: FeedOptions) -> str:
    """Identifies everything of a contract that decides a row: how it is read, typed, computed and validated."""
    return _digest(reading_of(feed), making_of(feed, options), _rules_of(feed))


def _rules_of(feed: Feed) -> list[tuple[str, str]]:
    return sorted((column.name, repr(column.rules)) for column in feed.columns if column.rules)


def _value_of(column: Column) -> tuple[str, str, str, list[str]]:
    """What a column's values are. A setting with its default value is left out: a later release may know more."""
    default = Parsing()
    parsing = [
        f"{item.name}={getattr(column.parsing, item.name)!r}"
        for item in fields(Parsing)
        if getattr(column.parsing, item.name) != getattr(default, item.name)
    ]
    filled = [f"fill_down={column.fill_down!r}"] if column.fill_down else []
    return (column.name, column.sql_type, column.expression or "", sorted([*parsing, *filled]))


def _digest(*parts: object) -> str:
    return digest_of(repr(parts))

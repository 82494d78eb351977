"""Fill values down: an empty value of a declared column is that of the record above it, in one file. All as SQL.

    order_id  total  city        fillDown of total: {within: order_id}, of city: true
    7         50     Bonn    ->  7   50    Bonn
    7                        ->  7   50    Bonn
    8                Ulm     ->  8   NULL  Ulm        another order
    broken line
    8                        ->  8   NULL  NULL       `total: fillDown`, `city: fillDown`

Above a record may stand one that could not be split: then nobody knows what its value was, and whether it began another
group. An older value would be a guess, so the record is rejected. Nothing is filled in repair files, whose records have
no order; there, a filled value stands in the record itself. `raw_x` keeps what the file said.
"""

from collections.abc import Mapping, Sequence

from orchestration_project.contracts.feed import ALL_SHEETS, Column, Feed
from orchestration_project.formats.excel_files import ROWS_A_SHEET
from orchestration_project.ingest.conditions import Condition
from orchestration_project.ingest.values import text_of
from orchestration_project.warehouse.feed_tables import REPAIRS
from orchestration_project.warehouse.tables import ident

FILL_DOWN = "fillDown"


def filled_columns(feed: Feed) -> list[Column]:
    """The columns that are filled down."""
    return [column for column in feed.columns if column.fill_down]


def needed(feed: Feed) -> Sequence[str]:
    """What the steps need of a record, beside its place and its texts."""
    return (REPAIRS,) if filled_columns(feed) else ()


def text_name(feed: Feed, column: Column) -> str:
    """The name of a filled column's text among the validated records; NULL where nothing was filled."""
    return f"_filled{feed.columns.index(column)}"


def steps(feed: Feed, texts: Mapping[str, str], source: str) -> list[str]:
    """Table expressions; the last one, `_down`, has the rows of `source` with their texts filled. Empty for most feeds.

    Args:
        feed: the contract.
        texts: the names of columns with the text that counts, by the contract's columns.
        source: the table expression with these, and with `needed`.
    """
    columns = filled_columns(feed)
    if not columns:
        return []
    # What the nearest records above say that know anything of the value: what it is, or that nobody can know.
    told = ", ".join(f"{_told(column, texts)} AS {_above(feed, column)}" for column in columns)
    last = ", ".join(f"last_value({name} IGNORE NULLS) OVER _before AS {name}" for name in _aboves(feed, columns))
    filled = ", ".join(f"{_if_filled(feed, column, texts, 'text')} AS {text_name(feed, column)}" for column in columns)
    # A window can't be made over what another one gives; so there is a step for each.
    replaced = ", ".join(
        f"coalesce({texts[column.name]}, {text_name(feed, column)}) AS {texts[column.name]}" for column in columns
    )
    order = f"PARTITION BY _batch_date, _file, _file_version{_sheet(feed)} ORDER BY _row"
    return [
        f"_told AS (SELECT *, {told} FROM {source} WINDOW _before AS ({order}))",
        f"_above AS (SELECT * REPLACE ({last}) FROM _told WINDOW _before AS ({order} ROWS UNBOUNDED PRECEDING))",
        f"_found AS (SELECT *, {filled} FROM _above)",
        f"_down AS (SELECT * REPLACE ({replaced}) FROM _found)",
    ]


def _sheet(feed: Feed) -> str:
    # The sheets of a workbook are read as one file, and each is a table of its own.
    return f", _row // {ROWS_A_SHEET}" if feed.source.sheet == ALL_SHEETS else ""


def _above(feed: Feed, column: Column) -> str:
    return f"_above{feed.columns.index(column)}"


def _aboves(feed: Feed, columns: Sequence[Column]) -> list[str]:
    return [_above(feed, column) for column in columns]


def _told(column: Column, texts: Mapping[str, str]) -> str:
    """What a record tells those below it: its own value, that nobody can know it, or that none goes further."""
    text, known = texts[column.name], "{'text': %s, 'unknown': %s}"
    broken = "WHEN _parse_error IS NOT NULL THEN " + known % ("NULL::VARCHAR", "true")
    own = f"WHEN {text} IS NOT NULL THEN " + known % (text, "false")
    within = column.fill_down.within if column.fill_down else None
    if within is None:
        return f"CASE {broken} {own} END"
    group = texts[within]
    # Below a broken record nobody knows whether the group is another one.
    other = f"lag(_parse_error) OVER _before IS NULL AND {group} IS DISTINCT FROM lag({group}) OVER _before"
    return f"CASE {broken} {own} WHEN {other} THEN {known % ('NULL::VARCHAR', 'false')} END"


def _if_filled(feed: Feed, column: Column, texts: Mapping[str, str], part: str) -> str:
    """A part of what the records above say, for a record without a value of its own."""
    lacking = f"{texts[column.name]} IS NULL AND _parse_error IS NULL AND {REPAIRS} IS NULL"
    return f"CASE WHEN {lacking} THEN {_above(feed, column)}.{part} END"


def conditions(feed: Feed, texts: Mapping[str, str]) -> list[Condition]:
    """The violations of records whose value is in a record that could not be read."""
    return [
        Condition(f"{column.name}: {FILL_DOWN}", f"coalesce({_if_filled(feed, column, texts, 'unknown')}, false)")
        for column in filled_columns(feed)
    ]


def rejected_text(feed: Feed, column: Column) -> str:
    """SQL for the text of a rejected record: filled where the file said nothing, as a repair of it has to say it."""
    raw = ident(column.name)
    if not column.fill_down:
        return raw
    return f"CASE WHEN {text_of(column, raw)} IS NULL THEN coalesce({text_name(feed, column)}, {raw}) ELSE {raw} END"

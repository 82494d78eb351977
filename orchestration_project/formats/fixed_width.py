r"""Fixed width files: lines are read as a whole, many files at a time, and cut where the contract says.

    contract: sku at 1-4, amount at 7-10
    '17a  *12.50'   ->   _raw_line '17a  *12.50', _parse_error 'too_long: expected 10 characters, found 11'
    '17a   2.50'    ->   sku '17a', amount '2.50'
    '17a  *2.50'    ->   sku '17a', amount '2.50', _rescued '{"5-6":" *"}'
    '          '    ->   a blank record

Blanks around a value are its padding, unless the column has `trim: false`. Where the header is and how bytes are
counted is found out in `fixed_lines`; how lines are numbered, in `numbering`.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.contracts.fixed_width import Span
from orchestration_project.errors import FilesUnfit
from orchestration_project.formats.fields import BLANKS, as_name, as_names, stripped, unless_empty
from orchestration_project.formats.fixed_lines import FILLER, Layout, layout_of
from orchestration_project.formats.header import Header
from orchestration_project.formats.lines import Dialect, dialect_of_lines, read_lines, uneven
from orchestration_project.formats.numbering import insert_lines
from orchestration_project.formats.staging import ReadyFile, unreadable
from orchestration_project.warehouse.tables import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BLANK, NUL = "blank", "nul_byte: the record has a NUL byte"
REPEATED = "repeated_header: the header line stands again"


def stage_fixed_width(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    """Add every record of fixed width files to `_staged`.

    Raises:
        FilesUnfit: names the files of which other records were read than were counted.
    """
    layout = layout_of(feed)
    groups: dict[tuple[Dialect, tuple[str, ...]], list[ReadyFile]] = defaultdict(list)
    for file in files:
        header = file.prepared.header
        groups[dialect_of_lines(file), header.fields if header else ()].append(file)
    for (dialect, _), alike in groups.items():
        lines = read_lines(connection, alike, dialect)
        if odd := uneven(lines):
            what = "has lines that can't be separated reliably; deliver one record a line"
            raise FilesUnfit({alike[index].key: unreadable(alike[index].name, what) for index in odd})
        connection.execute(f"ALTER TABLE {lines.relation} ADD COLUMN error VARCHAR")
        connection.execute(mark_errors(lines.relation, layout, alike[0].prepared.header))
        # The lines don't stay: a view would cut them again each time it is read.
        insert_lines(connection, lines, _values(feed, layout))


def mark_errors(lines: str, layout: Layout, header: Header | None) -> str:
    """Statement that notes which lines are no records, and why.

    Args:
        lines: name of the table of lines, with the columns `c0` and `error`.
        layout: how they are cut.
        header: that of their files; None when they have none.
    """
    found = f"'expected {layout.width} {'bytes' if layout.filled else 'characters'}, found ' || length(c0)"
    repeated, torn = _repeats(header, layout), _is_torn(layout) if layout.filled else "false"
    short, long = "false" if layout.trimmed else f"length(c0) < {layout.width}", f"length(c0) > {layout.width}"
    return f"""
        UPDATE {lines} SET error = CASE
            WHEN trim(c0, {literal(BLANKS)}) = '' THEN {literal(BLANK)}
            WHEN contains(c0, chr(0)) THEN {literal(NUL)}
            WHEN {repeated} THEN {literal(REPEATED)}
            WHEN {short} THEN 'too_short: ' || {found}
            WHEN {long} THEN 'too_long: ' || {found}
            WHEN {torn} THEN 'torn_character: a character begins in one column and ends in the next' END
        WHERE {short} OR {long} OR contains(c0, chr(0)) OR {repeated} OR {torn}"""


def _repeats(header: Header | None, layout: Layout) -> str:
    """A condition that holds for a line with all names of the header in their places, in any spelling."""
    if header is None:
        return "false"
    names = [literal(header.fields[place]) for place in header.positions.values()]
    texts = [_cut(layout.columns[name], layout) for name in header.positions]
    # Hardly a line comes further than to its first column.
    first = f"{as_name(stripped(texts[0]))} = {as_name(stripped(names[0]))}"
    return f"CASE WHEN {first} THEN {as_names(texts)} = {as_names(names)} ELSE false END"


def _is_torn(layout: Layout) -> str:
    """A condition that holds for a line in which a column, or what follows it, begins inside of a character."""
    begins = {span.position for span in layout.columns.values()} | {span.end + 1 for span in layout.columns.values()}
    # A list, since hundreds of conditions take long to plan; and hardly a line has a character of several bytes.
    anywhere = f"list_bool_or(list_transform({sorted(begins)}, lambda _place: substr(c0, _place, 1) = '{FILLER}'))"
    return f"CASE WHEN contains(c0, '{FILLER}') THEN {anywhere} ELSE false END"


def _values(feed: Feed, layout: Layout) -> dict[str, str]:
    """The raw table's columns as SQL over the lines."""
    values = {
        column.name: f"CASE WHEN error IS NULL THEN {_text(column, layout)} END" for column in feed.record_columns
    }
    if layout.gaps:
        values["_rescued"] = f"CASE WHEN error IS NULL THEN {_rescued(layout)} END"
    line = f"replace({_unfilled('c0', layout)}, chr(0), '\u2400')"
    values["_raw_line"] = f"CASE WHEN error <> {literal(BLANK)} THEN {line} END"
    values["_parse_error"] = f"nullif(error, {literal(BLANK)})"
    return values


def _text(column: Column, layout: Layout) -> str:
    text = _cut(layout.columns[column.name], layout)
    return f"nullif({stripped(text) if column.parsing.trim else text}, '')"


def _cut(span: Span, layout: Layout) -> str:
    return _unfilled(f"substr(c0, {span.position}, {span.width})", layout)


def _unfilled(text: str, layout: Layout) -> str:
    return f"replace({text}, '{FILLER}', '')" if layout.filled else text


def _rescued(layout: Layout) -> str:
    """SQL for what stands beside the columns, as JSON by its characters; NULL when that is nothing but blanks."""
    places = {gap: f"{gap.position}-{gap.end}" if gap.width > 1 else str(gap.position) for gap in layout.gaps}
    texts = {place: _cut(gap, layout) for gap, place in places.items()}
    pairs = ", ".join(f"{literal(place)}, {text}" for place, text in texts.items())
    anything = f"trim({' || '.join(texts.values())}, {literal(BLANKS)}) <> ''"
    return f"CASE WHEN {anything} THEN {unless_empty(f'json_object({pairs})::VARCHAR')} END"

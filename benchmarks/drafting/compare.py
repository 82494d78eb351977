"""Compare a drafted contract with the right one: which lines would a person have to change? See the package for rules.

Belongs here: edits by kind. Does not belong here: drafting, and reading samples.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestration_project.contracts.feed import Column, Feed, Parsing
from orchestration_project.formats.header import normalised

KINDS = "file batch column type required key format number words personal value ignored unsaid".split()
WIDTHS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
OF_THE_FILE = ("format", "encoding", "delimiter", "sheet")
WHOLE = ""
"""Stands for the object where others are named by their column."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One line to change: its kind, the header of the column (or none), and in words what differs."""

    kind: str
    column: str
    what: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft: the contract, its text, and which day each sample is for; no columns and no text if it was refused."""

    feed: Feed
    text: str = ""
    cadence: str = ""
    days: Sequence[object] = ()
    ignored: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Right:
    """What a draft should be.

    Attributes:
        feed: the right contract.
        says: what the samples can't tell: by column (its header) and kind the pattern that a comment has to match.
        cadence: how often files come.
        days: the day that each sample is for, as its name tells.
        ignored: how many records of each sample are no data.
        reads_alike: whether two columns give the same values to all texts of the samples.
    """

    feed: Feed
    says: Mapping[str, Mapping[str, str]]
    cadence: str
    days: Sequence[object]
    ignored: Sequence[int] = ()
    reads_alike: Callable[[Column, Column], bool] = field(default=lambda one, other: one.parsing == other.parsing)


def edits(draft: Draft, right: Right) -> list[Edit]:
    """All edits that make the right contract of a draft."""
    return [
        *_file(draft, right),
        *_batch(draft, right),
        *_columns(draft, right),
        *_key(draft, right),
        *_ignored(draft, right),
        *_unsaid(draft, right),
    ]


def _file(draft: Draft, right: Right) -> Iterator[Edit]:
    for name in OF_THE_FILE:
        found, wanted = getattr(draft.feed.source, name), getattr(right.feed.source, name)
        if found != wanted and name not in right.says.get(WHOLE, {}):
            yield Edit("file", WHOLE, f"{name} {found} instead of {wanted}")


def _batch(draft: Draft, right: Right) -> Iterator[Edit]:
    if draft.cadence != right.cadence:
        yield Edit("batch", WHOLE, f"cadence {draft.cadence} instead of {right.cadence}")
    if list(draft.days) != list(right.days):
        yield Edit("batch", WHOLE, "the names of the samples tell other days")


def _key(draft: Draft, right: Right) -> Iterator[Edit]:
    if "key" in right.says.get(WHOLE, {}):
        return
    found, wanted = _key_headers(draft.feed), _key_headers(right.feed)
    for header in sorted(found ^ wanted):
        yield Edit("key", header, "is in the key" if header in found else "is not in the key")


def _key_headers(feed: Feed) -> set[str]:
    return {_header(column) for column in feed.columns if column.name in feed.primary_key}


def _ignored(draft: Draft, right: Right) -> Iterator[Edit]:
    if not draft.text:
        yield from [Edit("ignored", WHOLE, f"{rule.name} is missing") for rule in right.feed.ignored]
    elif list(draft.ignored) != list(right.ignored):
        rules = max(1, abs(len(right.feed.ignored) - len(draft.feed.ignored)))
        yield from [Edit("ignored", WHOLE, f"{[*draft.ignored]} records instead of {[*right.ignored]}")] * rules


def _columns(draft: Draft, right: Right) -> Iterator[Edit]:
    drafted = {_header(column): column for column in draft.feed.source_columns}
    wanted = {_header(column): column for column in right.feed.source_columns}
    for header in [*wanted, *(drafted.keys() - wanted.keys())]:
        if header not in wanted:
            yield Edit("column", header, "is one too many")
            continue
        if header not in drafted:
            yield Edit("column", header, "is missing")
        # To a column that is missing all lines of the right one have to be added.
        found = drafted.get(header, Column(header, "VARCHAR", header))
        untold = right.says.get(header, {})
        yield from (edit for edit in _column(header, found, wanted[header], right) if edit.kind not in untold)


def _header(column: Column) -> str:
    # A column that is not in the records has a name only.
    return normalised(column.source or column.name) if column.is_in_records else column.name


def _column(header: str, found: Column, wanted: Column, right: Right) -> Iterator[Edit]:
    same_type = holds(found.sql_type, wanted.sql_type)
    if not same_type:
        yield Edit("type", header, f"{found.sql_type} instead of {wanted.sql_type}")
    if found.required != wanted.required:
        yield Edit("required", header, f"is {'' if found.required else 'not '}required")
    if not (same_type and right.reads_alike(found, wanted)):
        yield from _parsing(header, found.parsing, wanted)
    if found.personal != wanted.personal:
        yield Edit("personal", header, f"is {'' if found.personal else 'not '}personal")
    if (found.fill_down, found.value_from is None) != (wanted.fill_down, wanted.value_from is None):
        yield Edit("value", header, "comes from elsewhere")


def _parsing(header: str, found: Parsing, wanted: Column) -> Iterator[Edit]:
    """The lines about how a column's text is read, as far as they matter to its right type."""
    aim, kind = wanted.parsing, kind_of(wanted.sql_type)
    if kind in ("DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ") and found.date_format != aim.date_format:
        yield Edit("format", header, f"reads {found.date_format} instead of {aim.date_format}")
    if kind in ("INTEGER", "DECIMAL", "DOUBLE"):
        for name in ("decimal_separator", "thousands_separator", "currency_symbols"):
            if getattr(found, name) != getattr(aim, name):
                yield Edit("number", header, f"{name} {getattr(found, name)!r} instead of {getattr(aim, name)!r}")
    if {*found.null_words} != {*aim.null_words}:
        yield Edit("words", header, f"{[*found.null_words]} instead of {[*aim.null_words]}")


def kind_of(sql_type: str) -> str:
    """A type without its size: INTEGER for BIGINT, DECIMAL for DECIMAL(18,2)."""
    name = sql_type.partition("(")[0].removeprefix("U")
    return "INTEGER" if name in WIDTHS else name


def holds(found: str, wanted: str) -> bool:
    """Whether a type is of the same kind as another one and has room for all of its values."""
    if kind_of(found) != kind_of(wanted):
        return False
    if kind_of(found) == "INTEGER":
        return WIDTHS[found.removeprefix("U")] >= WIDTHS[wanted.removeprefix("U")]
    sizes = [DECIMAL.fullmatch(item) for item in (found, wanted)]
    return not (sizes[0] and sizes[1]) or int(sizes[0][2]) >= int(sizes[1][2])


def _unsaid(draft: Draft, right: Right) -> Iterator[Edit]:
    names = {_header(column): column.name for column in draft.feed.source_columns}
    for header, patterns in right.says.items():
        told = comments_of(draft.text, names.get(header) if header else None)
        for about, pattern in patterns.items():
            if not re.search(pattern, told, re.IGNORECASE):
                yield Edit("unsaid", header, f"nothing says of its {about}: {pattern}")


def comments_of(text: str, column: str | None) -> str:
    """The comments of a contract's text, or those of one column: above its name, and up to the next one."""
    lines = text.splitlines()
    if column is not None:
        starts = [number for number, line in enumerate(lines) if line.startswith("      - name: ")]
        first = next((number for number in starts if lines[number].split()[2] == column), len(lines))
        last = next((number for number in starts if number > first), len(lines))
        while 0 < first < len(lines) and lines[first - 1].startswith("      #"):
            first -= 1
        lines = lines[first:last]
    return "\n".join(line.partition("#")[2] for line in lines if "#" in line)

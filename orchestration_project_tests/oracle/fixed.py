"""Fixed width text, line by line: its header, and what stands in the places of the contract's columns.

Belongs here: from text to fields, and strategies that draw such files. Encodings are the work of `delimited.py`, what
a field is worth, of `values.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from orchestration_project.contracts.feed import Column, Feed, SourceFormat
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project_tests.oracle.delimited import (
    LINE_END,
    LINES_SEARCHED,
    Record,
    Refused,
    normalised,
    spellings,
)
from orchestration_project_tests.oracle.values import BLANKS, Cell, Contract, is_missing

KINDS = ["plain"] * 12 + "blank padded short long gap header shifted nul".split()
PREAMBLE = ["Report of January", "", " ", "total 12", "----"]


def fixed_records(feed: Feed, text: str) -> list[Record]:
    """All records of a fixed width file, in order.

    Raises:
        Refused: it has no header where the contract wants one, or one whose names are not in their places.
    """
    lines = LINE_END.split(text)
    # Behind the last line end stands nothing.
    if lines[-1] == "":
        lines.pop()
    fixed = feed.source.fixed
    assert fixed is not None
    names: list[str] = []
    if fixed.header_line:
        place = header_place(feed, lines)
        names = fields_of(feed, lines[place])
        underlined = place + 1 < len(lines) and is_underline(feed, lines[place + 1])
        lines = lines[place + 1 + underlined :]
    return [record_of(feed, fixed, line, names) for line in lines]


def spans_of(feed: Feed) -> list[Span]:
    """Where the columns stand."""
    return [column.span for column in feed.record_columns if column.span]


def fields_of(feed: Feed, line: str) -> list[str]:
    """What stands in the places of the columns."""
    return [line[span.position - 1 : span.position - 1 + span.width] for span in spans_of(feed)]


def header_place(feed: Feed, lines: Sequence[str]) -> int:
    """The first of the lines that has the name of each column in its place, or as much of it as fits."""
    most = 0
    for place, line in enumerate(lines[:LINES_SEARCHED]):
        named = sum(is_name(*pair) for pair in zip(feed.record_columns, fields_of(feed, line), strict=True))
        if named == len(feed.record_columns):
            return place
        most = max(most, named)
    raise Refused("missing_column" if most else "no_header")


def is_name(column: Column, text: str) -> bool:
    """Whether a text is the name of a column, or the beginning of it that fits."""
    cut = {normalised(name[: len(text)]) for name in (column.source or column.name, *column.aliases)}
    return normalised(text) != "" and normalised(text) in spellings(column) | cut


def is_underline(feed: Feed, line: str) -> bool:
    """Whether each column's place is full of dashes."""
    full = zip(spans_of(feed), fields_of(feed, line), strict=True)
    return all(text in (mark * span.width for mark in "-=_") for span, text in full)


def record_of(feed: Feed, fixed: FixedWidth, line: str, names: Sequence[str]) -> Record:
    """What a line is."""
    spans, fields = spans_of(feed), fields_of(feed, line)
    width = fixed.record_width or max(span.end for span in spans)
    if is_missing(line):
        return Record()
    if "\0" in line:
        return Record(unsplit="nul_byte")
    if names and [*map(normalised, fields)] == [*map(normalised, names)]:
        return Record(unsplit="repeated_header")
    if len(line) > width or (len(line) < width and not fixed.trimmed_lines):
        return Record(unsplit="too_long" if len(line) > width else "too_short")
    cells: dict[str, Cell] = {
        column.name: text.strip(BLANKS) if column.parsing.trim else text
        for column, text in zip(feed.record_columns, fields, strict=True)
    }
    taken = {place for span in spans for place in range(span.position - 1, span.end)}
    beside = "".join(letter for place, letter in enumerate(line) if place not in taken)
    return Record(cells, {"beside": beside})


@st.composite
def with_layout(draw: st.DrawFn, contract: Contract) -> Contract:
    """A contract whose columns have places in a line, in any order."""
    feed, begin = contract.feed, 1
    spans: dict[str, Span] = {}
    for column in draw(st.permutations(feed.record_columns)):
        begin += draw(st.sampled_from([0, 0, 0, 1, 2]))
        spans[column.name] = Span(begin, draw(st.integers(1, 14)))
        begin = spans[column.name].end + 1
    width = draw(st.sampled_from([None, begin - 1, begin + 1]))
    fixed = FixedWidth(width, draw(st.booleans()), draw(st.booleans()))
    columns = tuple(replace(column, span=spans.get(column.name)) for column in feed.columns)
    source = SourceFormat(feed.source.format, fixed=fixed)
    return replace(contract, feed=replace(feed, columns=columns, source=source))


@st.composite
def fixed_texts(draw: st.DrawFn, contract: Contract, texts: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """The beginning of a fixed width file, up to its header, and the rest."""
    feed = contract.feed
    fixed = feed.source.fixed or FixedWidth()
    head = line_of(feed, [column.source or column.name for column in feed.record_columns], "<")
    lines = []
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=6)):
        values = [draw(st.sampled_from(texts[column.name])) for column in feed.record_columns]
        line = line_of(feed, values, draw(st.sampled_from("<>")), "*" if kind == "gap" else " ")
        lines.append(irregular(kind, line, head))
    if fixed.trimmed_lines:
        lines = [line.rstrip(" ") for line in lines]
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    above = draw(st.lists(st.sampled_from(PREAMBLE), max_size=2)) if fixed.header_line else []
    named = [head] * (fixed.header_line and draw(st.integers(0, 9)) < 9)
    underlined = draw(st.booleans())
    if named and underlined:
        named += [line_of(feed, ["-" * span.width for span in spans_of(feed)], "<")]
    beginning, body = (end.join([*part, ""]) for part in ([*above, *named], lines))
    return beginning, body.removesuffix(end) if draw(st.booleans()) else body


def irregular(kind: str, line: str, header: str) -> str:
    """A line of some kind, made from a plain one."""
    return {
        "blank": "",
        "padded": " \t",
        "short": line[:-1],
        "long": f"{line} ",
        "shifted": f" {line[:-1]}",
        "nul": f"\0{line[1:]}",
        "header": header,
    }.get(kind, line)


def line_of(feed: Feed, values: Sequence[str], align: str, between: str = " ") -> str:
    """Values as a line: each in its place, padded at one side, and cut where it is longer."""
    spans, fixed = spans_of(feed), feed.source.fixed or FixedWidth()
    line = [between] * (fixed.record_width or max(span.end for span in spans))
    for span, value in zip(spans, values, strict=True):
        line[span.position - 1 : span.end] = f"{value[: span.width]:{align}{span.width}}"
    return "".join(line)

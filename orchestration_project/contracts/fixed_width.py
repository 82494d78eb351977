"""Fixed width files in a contract: which characters of a line a column has, and what is wrong with such a layout.

    position 1, width 4; position 7, width 3      the line `17a   2.5`: '17a ' and '2.5'; characters 5 and 6 are a gap

Belongs here: what the contract says, and whether it is possible. Does not belong here: cutting lines
(`orchestration_project.formats`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.errors import Place, excerpt

if TYPE_CHECKING:
    from orchestration_project.contracts.feed import Column
    from orchestration_project.contracts.parsing import Custom

OF_A_SPAN = ("position", "width")
"""The custom properties of a column."""
OF_LINES = ("recordWidth", "headerLine", "trimmedLines", "countBytes")
"""The custom properties of a server."""
NOT_COUNTED = ("big5hkscs", "euc_jis_2004", "euc_jisx0213", "shift_jis_2004", "shift_jisx0213")
"""Codecs that read two code points from one character: how many bytes each had can't be told afterwards."""
MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """The characters of a line that a column has: the first one, counted from 1, and how many they are."""

    position: int
    width: int

    @property
    def end(self) -> int:
        """The last character."""
        return self.position + self.width - 1


@dataclass(frozen=True, slots=True)
class FixedWidth:
    """How the lines of fixed width files are cut.

    Attributes:
        record_width: how many characters a line has; None: up to the end of the last column.
        header_line: whether a line with the columns' names, each in its column's place, stands above the records.
        trimmed_lines: whether a line may lack characters at its end, which are blanks then.
        count_bytes: whether positions and widths count the bytes of the file's encoding, as mainframes do.
    """

    record_width: int | None = None
    header_line: bool = False
    trimmed_lines: bool = False
    count_bytes: bool = False


def read_fixed_width(custom: "Custom", encoding: str | None) -> FixedWidth:
    """How lines are cut, by the custom properties of a server and the codec that it declares."""
    fixed = FixedWidth(
        _count(*custom["recordWidth"]) if "recordWidth" in custom else None,
        *(_flag(*custom[name]) if name in custom else False for name in OF_LINES[1:]),
    )
    if fixed.count_bytes and encoding in NOT_COUNTED:
        custom["countBytes"][1].problem(
            f"is not supported for {encoding}, in which some characters have other bytes when they are written again"
        )
    return fixed


def _flag(value: Any, place: Place) -> bool:
    if not isinstance(value, bool):
        place.problem(f"found {excerpt(value)}; allowed: true or false")
    return value is True


def read_span(custom: "Custom", place: Place) -> Span | None:
    """The characters of a column, by its custom properties; None without them, or after a problem."""
    given = [name for name in OF_A_SPAN if name in custom]
    if len(given) == 1:
        place.problem(f"{given[0]} needs {next(name for name in OF_A_SPAN if name not in given)} beside it")
    counts = [_count(*custom[name]) for name in given]
    if len(counts) < len(OF_A_SPAN) or counts[0] is None or counts[1] is None:
        return None
    return Span(counts[0], counts[1])


def _count(value: Any, place: Place) -> int | None:
    # bool is a kind of int in Python, and true is no number of characters.
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST:
        return value
    place.problem(f"found {excerpt(value)}; allowed: a whole number from 1 to {MOST:,}")
    return None


def check_spans(columns: "Sequence[Column]", fixed: FixedWidth | None, names: Sequence[str], place: Place) -> None:
    """Report columns without characters of their own, beyond the line, or with characters that another column has.

    Args:
        columns: of the feed.
        fixed: how lines are cut; None when the files have another format.
        names: of the contract's properties, in their order.
        place: that of the list of properties.
    """
    read = [column for column in columns if column.source is not None]
    places = {column.name: place.item(names.index(column.name)).about(f"column {column.name!r}") for column in read}
    for column in read:
        if fixed is None and column.span is not None:
            places[column.name].problem("position and width have no effect: the format of the files is not fixed_width")
        if column.value_from and column.span is not None:
            places[column.name].problem("position and width have no effect: valueFrom says where the value is")
        if fixed is not None and column.span is None and column.is_in_records:
            places[column.name].problem("needs the custom properties position and width, since files are fixed_width")
    if fixed is not None:
        _check_line([(column.span, column.name) for column in read if column.span is not None], fixed, places)


def _check_line(spans: list[tuple[Span, str]], fixed: FixedWidth, places: dict[str, Place]) -> None:
    before: tuple[Span, str] | None = None
    for span, name in sorted(spans, key=lambda item: item[0].position):
        if before and span.position <= before[0].end:
            places[name].problem(
                f"characters {span.position}-{span.end} overlap with {before[0].position}-{before[0].end} of column"
                f" {before[1]!r}; each character belongs to one column"
            )
        if fixed.record_width is not None and span.end > fixed.record_width:
            places[name].problem(f"ends at character {span.end}, beyond recordWidth {fixed.record_width}")
        # A long column may reach over several of the next ones.
        before = max(before or (span, name), (span, name), key=lambda item: item[0].end)

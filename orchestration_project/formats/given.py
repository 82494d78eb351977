r"""What is told around the records of a file: in its name, in the lines above its header, by its contract.

    name sales_store13.csv, fileName 'store(\d+)'        ->  13
    line `Shop: Paris;;` above the header, 'Shop: (.+)'   ->  Paris

Belongs here: finding the texts. The contract's words for it are in `contracts.outside`; the records get the texts where
they get the name of their file, in `numbering` and, for Parquet files and workbooks, where these are read.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from orchestration_project.contracts.feed import MASK, Column, Feed
from orchestration_project.contracts.outside import ValueFrom, ValueOrigin
from orchestration_project.errors import FileRefused, visible
from orchestration_project.formats.fields import BLANKS
from orchestration_project.formats.header import LINE, Header
from orchestration_project.storage.batches import is_repair

Given = dict[str, str | None]
"""The text of each given column, by the column's name."""
PLACES: dict[ValueOrigin, str] = {"fileName": "the file's name", "preamble": "the lines above the header"}
CONTROLS = "".join(map(chr, range(1, 33)))
SHOWN = 5
LONGEST = 100


def given_texts(feed: Feed, name: str, preamble: Sequence[str] = (), sheet: str | None = None) -> Given:
    """The texts of the columns that the records of a file do not have themselves.

    Args:
        feed: the contract.
        name: the file's logical name.
        preamble: the lines above its header.
        sheet: the name of its sheet.

    Raises:
        FileRefused: a required one is not there, or two different ones are.
    """
    found: Given = {}
    for column in feed.given_columns:
        assert column.value_from is not None  # it is what makes a column a given one
        match column.value_from.origin:
            case "fileName":
                found[column.name] = _the_one(column, column.value_from, name, [name])
            case "preamble":
                found[column.name] = _the_one(column, column.value_from, name, preamble)
            case "constant":
                found[column.name] = column.value_from.text
            case "sheetName":
                found[column.name] = _stripped(sheet or "") or None
    return found


def _the_one(column: Column, told: ValueFrom, name: str, texts: Iterable[str]) -> str | None:
    pattern, place = re.compile(told.text), PLACES[told.origin]
    values = list(dict.fromkeys(value for text in texts for value in _values(pattern, text)))
    if len(values) > 1:
        shown = MASK if column.personal else ", ".join(visible(value[:LONGEST]) for value in values[:SHOWN])
        raise FileRefused(
            "ambiguous_value",
            f"{name!r}: {place} tells several values of column {column.name!r}: {shown}. Make the pattern of its"
            f" valueFrom, {told.text!r}, fit one of them only",
        )
    if not values and column.required:
        raise FileRefused(
            "missing_value",
            f"{name!r}: {place} does not tell the required column {column.name!r}: nothing matches {told.text!r}."
            " Correct the file, or the pattern in the contract's valueFrom",
        )
    return values[0] if values else None


def _values(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    # A group may take no part in a match, and a NUL can't stand in text of DuckDB.
    return (value for found in pattern.finditer(text) if (value := _stripped(found[1] or "")))


def _stripped(text: str) -> str:
    # In the copy of a workbook a control character in front of a text says what the cell was.
    return text.replace("\0", "").strip(f"{CONTROLS}{BLANKS}")


def preamble_of(head: str, header: Header, quote: str) -> list[str]:
    """The lines above the header of a delimited file, without the delimiters that only pad them to its width."""
    found = []
    for number, line in enumerate(LINE.finditer(head), start=1):
        if number >= header.line:
            break
        found.append(_unpadded(line[0].rstrip("\r\n"), header.delimiter, quote))
    return found


def _unpadded(line: str, delimiter: str, quote: str) -> str:
    """`"Shop: Paris, Rue X",,` -> `Shop: Paris, Rue X`: one field is its text, several are the line as it stands."""
    try:
        fields = [field for field in next(csv.reader([line], delimiter=delimiter, quotechar=quote), []) if field]
    except csv.Error:
        fields = []
    return fields[0] if len(fields) == 1 else line.rstrip(f"{delimiter} ")


def naming_of(feed: Feed) -> Callable[[str], tuple[str | None, ...]]:
    """What the name of a file says of its records, as a function of the name.

    Two files of the same bytes are the same records only if their names say the same.
    """
    told = [column.value_from for column in feed.given_columns]
    patterns = [re.compile(item.text) for item in told if item and item.origin == "fileName"]
    if not patterns:
        return lambda _name: ()

    def told_by(name: str) -> tuple[str | None, ...]:
        # Records of a repair file have all of their values themselves.
        if is_repair(name):
            return ()
        return tuple(next(_values(pattern, name), None) for pattern in patterns)

    return told_by

"""Faults of the platform that the oracle finds and that wait for their mending: what touches one is not drawn.

Take an entry out of `KNOWN_FAULTS` and the test finds that fault; whoever mends it takes it out for good. The oracle
itself knows none of them: it says what is right.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from orchestration_project.contracts.feed import Column, Feed, FileFormat
from orchestration_project_tests.oracle.delimited import (
    Header,
    Line,
    Record,
    Refused,
    decode,
    has_surplus,
    header_of,
    line_at,
    normalised,
    spellings,
)
from orchestration_project_tests.oracle.files import Delivery, File, decomposed
from orchestration_project_tests.oracle.oracle import split
from orchestration_project_tests.oracle.values import BLANKS, Contract, Number, is_missing

CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
EXPONENT = re.compile(r"(?<![\d.,])[\d.,]+[eE][+-]?\d{1,6}", re.ASCII)
OFFSETS = re.compile(r"[+-](\d\d):?(\d\d)(?!\d)", re.ASCII)
NEGATIVE_ZERO = re.compile(r"-0*[.,]?0*(?:[eE][+-]?\d+)?(?![\d.,])", re.ASCII)
MINUTES = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d)? ?(?:Z|[+-]\d\d)", re.ASCII)
ROUNDED_JSON = re.compile(r"-0(?![\d.])|\d\.\d*0(?!\d)|\d[eE]", re.ASCII)


@dataclass(frozen=True, slots=True)
class KnownFault:
    """What is wrong, and whether a file for a contract touches it."""

    name: str
    wrong: str
    touches: Callable[[Contract, File], bool]


def narrowed(delivery: Delivery, faults: "tuple[KnownFault, ...] | None" = None) -> Delivery:
    """A delivery without the files that touch a known fault."""
    listed = KNOWN_FAULTS if faults is None else faults
    kept = [file for file in delivery.files if not any(fault.touches(delivery.contract, file) for fault in listed)]
    return replace(delivery, files=tuple(kept))


def _text(contract: Contract, file: File) -> str:
    """What a file of text says; nothing where it can't be decoded, or holds typed values."""
    if file.rows is not None:
        return ""
    try:
        return decode(file.content, contract.feed.source.encoding)
    except Refused:
        return ""


def _numbers(contract: Contract, file: File) -> str:
    """What a file says, also where it holds typed values, as text."""
    cells = [cell for row in file.rows.rows for cell in row.values()] if file.rows else []
    return "\n".join([_text(contract, file), *(cell.text if isinstance(cell, Number) else str(cell) for cell in cells)])


def _split(contract: Contract, file: File) -> tuple[Header | None, list[Line]]:
    """The header and the lines of a delimited file."""
    text, feed, lines = _text(contract, file), contract.feed, list[Line]()
    if feed.source.format is not FileFormat.CSV:
        return None, []
    try:
        header = header_of(feed, text)
    except Refused:
        return None, []
    place = header.end
    while place < len(text):
        lines.append(line_at(text, place, header.delimiter, feed.source.quote))
        place = lines[-1].end
    return header, lines


def _has_type(contract: Contract, *starts: str) -> bool:
    return any(column.sql_type.startswith(starts) for column in contract.feed.columns)


def _names(feed: Feed) -> Iterator[str]:
    for column in feed.source_columns:
        yield from (column.source or column.name, *column.aliases)


def _stray_quotes(contract: Contract, file: File) -> bool:
    header, lines = _split(contract, file)
    if header is None:
        return False
    delimiter, quote = re.escape(header.delimiter), re.escape(contract.feed.source.quote)
    stray = re.compile(rf"(?:^|{delimiter})(?!{quote})(?:(?!{delimiter}).)+{quote}", re.DOTALL)
    return any(line.fields is None and stray.search(line.text) for line in lines)


def _shifted_rows(contract: Contract, file: File) -> bool:
    header, lines = _split(contract, file)
    if header is None or has_surplus(lines, len(header.fields)):
        return False
    width = len(header.fields)
    return any(line.fields and len(line.fields) > width and not any(line.fields[width:]) for line in lines)


def _refused_header(contract: Contract, file: File, nul: bool) -> bool:
    text = _text(contract, file)
    if contract.feed.source.format is not FileFormat.CSV:
        return False
    try:
        header_of(contract.feed, text)
    except Refused as refused:
        return refused.rule == "bad_header" and ("\0" in text) == nul
    return False


def forms(name: str) -> set[str]:
    """A name as it is written in delimited and in JSON files."""
    quoted = [json.dumps(name, ensure_ascii=escaped)[1:-1] for escaped in (True, False)]
    return {name, name.replace('"', '""'), name.replace("'", "''"), *quoted}


def _odd_spelling(contract: Contract, file: File) -> bool:
    text = _text(contract, file)
    told = [*file.rows.names] if file.rows else [text]
    for name in _names(contract.feed):
        odd = [f"{name}\u00a0", f"{name}\u200b", *({decomposed(name)} - {name})]
        folded = [found for each in odd for found in forms(each)]
        if any(found.casefold() in item.casefold() for found in folded for item in told):
            return True
    source = contract.feed.source
    return source.format is FileFormat.CSV and any(f"{mark} {source.quote}" in text for mark in ",;\t|")


def _bom_inside(contract: Contract, file: File) -> bool:
    is_csv = contract.feed.source.format is FileFormat.CSV
    return is_csv and re.search("[\r\n]\ufeff", _text(contract, file)) is not None


def _column_names(contract: Contract, file: File) -> bool:
    return any(column.name.lower() in UNLOADABLE_NAMES for column in contract.feed.columns)


def _exponents(contract: Contract, file: File) -> bool:
    if not _has_type(contract, "DECIMAL"):
        return False
    fine = max(
        int(column.sql_type[:-1].split(",")[1])
        for column in contract.feed.columns
        if column.sql_type.startswith("DECIMAL")
    )
    for found in EXPONENT.findall(_numbers(contract, file)):
        digits, exponent = re.split("[eE]", found.replace(",", "."))
        whole, _, fraction = digits.partition(".")
        if fine > 15 or len(whole) + int(exponent) > 22 or len(fraction) - int(exponent) > 15:
            return True
    return False


def _offsets(contract: Contract, file: File) -> bool:
    found = OFFSETS.findall(_numbers(contract, file)) if _has_type(contract, "TIMESTAMPTZ") else []
    return any(int(hours) > 15 or int(minutes) > 59 for hours, minutes in found)


def _negative_zero(contract: Contract, file: File) -> bool:
    return _has_type(contract, "DOUBLE", "U") and NEGATIVE_ZERO.search(_numbers(contract, file)) is not None


def _minutes_with_offset(contract: Contract, file: File) -> bool:
    zoned = any(
        column.parsing.has_timezone and column.name not in contract.patterns for column in contract.feed.columns
    )
    return zoned and MINUTES.search(_numbers(contract, file)) is not None


def _json_numbers(contract: Contract, file: File) -> bool:
    is_json = contract.feed.source.format is FileFormat.JSON
    return is_json and _has_type(contract, "VARCHAR") and ROUNDED_JSON.search(_text(contract, file)) is not None


def _json_nul(contract: Contract, file: File) -> bool:
    return contract.feed.source.format is FileFormat.JSON and "\\u0000" in _text(contract, file)


def _json_controls(contract: Contract, file: File) -> bool:
    return contract.feed.source.format is FileFormat.JSON and CONTROLS.search(_text(contract, file)) is not None


def _kinds(contract: Contract, file: File) -> Iterator[tuple[Column, str]]:
    """The contract's columns that a Parquet file has, with how it stores them."""
    for name, kind in zip(file.rows.names if file.rows else (), file.kinds, strict=False):
        for column in contract.feed.source_columns:
            if normalised(name) in spellings(column):
                yield column, kind


def _wide_decimals(contract: Contract, file: File) -> bool:
    return "wide" in file.kinds


def _plain_bytes(contract: Contract, file: File) -> bool:
    return "blob" in file.kinds


def _binary_as_text(contract: Contract, file: File) -> bool:
    return any(kind == "double" and column.sql_type == "VARCHAR" for column, kind in _kinds(contract, file))


def _zones(contract: Contract, file: File) -> bool:
    return any(
        (kind == "zoned" and (column.name in contract.patterns or not column.parsing.has_timezone))
        or (kind in ("naive", "date") and column.name in contract.patterns and column.parsing.has_timezone)
        for column, kind in _kinds(contract, file)
    )


def _case(contract: Contract, file: File) -> bool:
    names = file.rows.names if file.rows else ()
    return len({name.lower() for name in names}) < len(names)


def _blanks_elsewhere(contract: Contract, file: File) -> bool:
    return any(
        record.others and not record.unsplit and all(map(is_missing, record.cells.values())) and record.blank
        for record in _records(contract, file)
    )


def _short_empties(contract: Contract, file: File) -> bool:
    header, lines = _split(contract, file)
    width = len(header.fields) if header else 0
    return any(
        line.text.strip(BLANKS) and line.fields and len(line.fields) != width and all(map(is_missing, line.fields))
        for line in lines
    )


def _records(contract: Contract, file: File) -> list[Record]:
    try:
        return split(contract, file.rows or file.content)
    except Refused:
        return []


UNLOADABLE_NAMES = frozenset({"file", "version", "modified_at"})

KNOWN_FAULTS = (
    KnownFault("shifted rows", "Surplus empty fields at the end are left away a row at a time.", _shifted_rows),
    KnownFault("stray quotes", "A quote inside of a field without quotes is taken for a text.", _stray_quotes),
    KnownFault(
        "quotes in the header", "A header with a broken quote is used.", lambda c, f: _refused_header(c, f, nul=False)
    ),
    KnownFault(
        "NUL in the header", "A NUL in the header stops the whole load.", lambda c, f: _refused_header(c, f, nul=True)
    ),
    KnownFault(
        "spellings of headers",
        "NFD, no-break and zero-width blanks, and padding before a quote hide a header.",
        _odd_spelling,
    ),
    KnownFault("marks inside", "A byte order mark inside of a file makes its header a record.", _bom_inside),
    KnownFault("column names", "Some names of columns make a feed unloadable.", _column_names),
    KnownFault("exponents", "Decimals with an exponent lose digits, are refused, or stop the load.", _exponents),
    KnownFault("offsets", "An offset of a day and more, or of 60 minutes, is accepted.", _offsets),
    KnownFault("negative zero", "A DOUBLE keeps -0 beside 0, and an unsigned number does not take it.", _negative_zero),
    KnownFault(
        "minutes with an offset", "A moment with an offset and without seconds is no value.", _minutes_with_offset
    ),
    KnownFault("digits of JSON numbers", "Numbers lose zeros at their end in columns of text.", _json_numbers),
    KnownFault("NUL in JSON", "A NUL, escaped, is cleaned; in CSV it is `nul_byte`.", _json_nul),
    KnownFault("controls in JSON", "A control character in a line splits it.", _json_controls),
    KnownFault("wide decimals", "Parquet's decimals of more than 38 digits become other numbers.", _wide_decimals),
    KnownFault("plain bytes", "Parquet's texts that are not marked as such are stored escaped.", _plain_bytes),
    KnownFault(
        "binary numbers as text", "A number like 1001 is stored as 1001.0, larger ones as 1e+16.", _binary_as_text
    ),
    KnownFault(
        "zones of Parquet",
        "With a format, a zone becomes UTC wall time, and one is made up; without, none is taken.",
        _zones,
    ),
    KnownFault("names that differ by case", "Of two columns that differ by case, one is hidden.", _case),
    KnownFault(
        "blanks in other columns",
        "Blanks in a column that the contract does not know make a record count as filled.",
        _blanks_elsewhere,
    ),
    KnownFault(
        "short empty records",
        "Empty fields, fewer or more than columns, are blank or broken by how the file is read.",
        _short_empties,
    ),
)

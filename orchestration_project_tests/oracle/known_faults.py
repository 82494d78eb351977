"""Faults of the platform that the oracle finds and that wait for their repair: what touches one is not drawn.

Take an entry out of `KNOWN_FAULTS` and the test finds that fault; whoever mends it takes it out for good. The oracle
itself knows none of them: it says what is right.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestration_project.contracts.feed import FileFormat
from orchestration_project_tests.oracle.delimited import (
    Header,
    Line,
    Record,
    Refused,
    decode,
    header_of,
    line_at,
)
from orchestration_project_tests.oracle.files import Delivery, File
from orchestration_project_tests.oracle.oracle import split
from orchestration_project_tests.oracle.values import BLANKS, Contract, Number, is_missing

CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
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


def forms(name: str) -> set[str]:
    """A name as it is written in delimited and in JSON files."""
    quoted = [json.dumps(name, ensure_ascii=escaped)[1:-1] for escaped in (True, False)]
    return {name, name.replace('"', '""'), name.replace("'", "''"), *quoted}


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


def _wide_decimals(contract: Contract, file: File) -> bool:
    return "wide" in file.kinds


def _blanks_elsewhere(contract: Contract, file: File) -> bool:
    return any(
        record.others and not record.unsplit and all(map(is_missing, record.cells.values())) and record.blank
        for record in _records(contract, file)
    )


def _short_empties(contract: Contract, file: File) -> bool:
    header, lines = _split(contract, file)
    width = len(header.fields) if header else 0
    blanks = BLANKS.replace(header.delimiter, "") if header else BLANKS
    return any(
        line.text.strip(blanks) and line.fields and len(line.fields) != width and all(map(is_missing, line.fields))
        for line in lines
    )


def _records(contract: Contract, file: File) -> list[Record]:
    try:
        return split(contract, file.rows or file.content)
    except Refused:
        return []


KNOWN_FAULTS = (
    KnownFault(
        "minutes with an offset", "A moment with an offset and without seconds is no value.", _minutes_with_offset
    ),
    KnownFault("digits of JSON numbers", "Numbers lose zeros at their end in columns of text.", _json_numbers),
    KnownFault("NUL in JSON", "A NUL, escaped, is cleaned; in CSV it is `nul_byte`.", _json_nul),
    KnownFault("controls in JSON", "A control character in a line splits it.", _json_controls),
    KnownFault("wide decimals", "Parquet's decimals of more than 38 digits become other numbers.", _wide_decimals),
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

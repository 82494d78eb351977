"""What becomes of each record of a file, by the contract: an oracle that loads are held against.

Belongs here: what follows from a file as a whole (refusals, duplicates). Records are split in `delimited.py`,
`fixed.py` and `objects.py`, single values are read in `values.py`. No part of it knows DuckDB, pandas, or how the
platform does it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestration_project.contracts.feed import FileFormat
from orchestration_project_tests.oracle.around import Above, given_cells
from orchestration_project_tests.oracle.delimited import Record, Refused, decode, normalised, records_of, spellings
from orchestration_project_tests.oracle.divided import batch_of
from orchestration_project_tests.oracle.fixed import fixed_records
from orchestration_project_tests.oracle.ignored import Meanings, ensure_totals, ignored
from orchestration_project_tests.oracle.objects import json_records, typed_records
from orchestration_project_tests.oracle.values import Cell, Contract, check, is_missing, plain

BLANK, IGNORED = "blank", "ignored: {}"


@dataclass(frozen=True, slots=True)
class Rows:
    """A file of typed values: the names of its columns, its rows, and whether it has decimals of over 38 digits."""

    names: tuple[str, ...]
    rows: tuple[Mapping[str, Cell], ...]
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A record that breaks no rule: its values by the names of the contract's columns."""

    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that breaks rules, each as `column: rule`, in alphabetical order."""

    reasons: tuple[str, ...]


Outcome = dict[int, Cleaned | Rejected | str] | str
"""What becomes of each record, by its number; of a refused file, the rule that it broke."""


def outcome(
    contract: Contract,
    content: bytes | Rows,
    name: str,
    meanings: Meanings | None = None,
    delivered: dt.date = dt.date.max,
) -> Outcome:
    """What becomes of a file.

    Args:
        contract: how it is read.
        content: its bytes; of a Parquet file its rows, since nothing here reads Parquet.
        name: its name, which reasons tell.
        meanings: what the conditions of its ignored records mean.
        delivered: the batch of its delivery, for a feed whose files are divided.
    """
    try:
        return judged(contract, split(contract, content), name, meanings or {}, delivered)
    except Refused as refused:
        return refused.rule


def split(contract: Contract, content: bytes | Rows) -> list[Record]:
    """The records of a file, in order.

    Raises:
        Refused: the file can't be read.
    """
    feed = contract.feed
    if isinstance(content, Rows):
        if content.wide:
            raise Refused("inexact_type")
        return typed_records(feed, content.rows, content.names)
    text = decode(content, feed.source.encoding)
    if feed.source.format is FileFormat.FIXED_WIDTH:
        return fixed_records(feed, text)
    return json_records(feed, text) if feed.source.format is FileFormat.JSON else records_of(feed, text)


def judged(contract: Contract, records: Sequence[Record], name: str, meanings: Meanings, delivered: dt.date) -> Outcome:
    """What becomes of records, each by itself first, then beside those with the same key."""
    found: dict[int, Cleaned | Rejected | str] = {}
    division, batches = contract.feed.division, dict[int, dt.date]()
    marks = ignored(contract, meanings, records)
    around, above = given_cells(contract.feed, name), Above(contract.feed)
    for place, record in enumerate(records, start=1):
        if record.blank:
            found[place] = BLANK
        elif place in marks:
            found[place] = IGNORED.format(marks[place])
        elif record.unsplit:
            above.broken()
            found[place] = Rejected((f"_raw_line: {record.unsplit}",))
        else:
            cells, unknown = above.filled(record.cells)
            values, reasons = check(contract, {**cells, **around})
            reasons += [f"{column}: fillDown" for column in unknown]
            if division and (batch := batch_of(division, values, delivered)):
                batches[place] = batch
            elif division:
                reasons.append(f"{division.column}: batch")
            found[place] = Rejected(tuple(sorted(reasons))) if reasons else Cleaned(values)
    if contract.feed.source.format is FileFormat.CSV and any(
        is_other_header(contract, record, found[place])
        for place, record in enumerate(records, start=1)
        if place not in marks
    ):
        raise Refused("several_tables")
    ensure_totals(contract, records, marks)
    for batch in sorted({*batches.values()}):
        own = {place: told for place, told in found.items() if batches.get(place) == batch}
        found |= duplicates(contract, own, name)
    return found if division else found | duplicates(contract, found, name)


def is_other_header(contract: Contract, record: Record, told: Cleaned | Rejected | str) -> bool:
    """Whether a record is the header of another table.

    It breaks a rule, and at least half of what stands in it are names of columns, two of them or one in that column's
    own place. Where all columns are text, it need not break a rule, but all of it has to be names.
    """
    columns = contract.feed.record_columns
    if record.blank or record.unsplit:
        return False
    texts = {name: normalised(plain(cell)) for name, cell in record.cells.items() if cell and not is_missing(cell)}
    names = set().union(*map(spellings, columns))
    named = sum(text in names for text in texts.values())
    own = any(texts.get(column.name) in spellings(column) for column in columns)
    typed = any(column.sql_type != "VARCHAR" for column in columns)
    enough = 2 * named >= len(texts) and isinstance(told, Rejected) if typed else named == len(texts)
    return enough and (named > 1 or own) and len(texts) >= min(2, len(columns))


def duplicates(contract: Contract, found: Mapping[int, object], name: str) -> dict[int, Cleaned | Rejected | str]:
    """The records whose key a later one of the same file has, as rejected ones. Each key is looked at by itself."""
    feed = contract.feed
    keys = [(feed.primary_key, "duplicate_key")] if feed.primary_key else []
    keys += [
        ((column.name,), "unique") for column in feed.columns if column.unique and (column.name,) != feed.primary_key
    ]
    reasons: dict[int, list[str]] = {}
    for columns, rule in keys:
        last: dict[tuple[Any, ...], int] = {}
        for place in sorted(found, reverse=True):
            told = found[place]
            key = tuple(told.values[column] for column in columns) if isinstance(told, Cleaned) else (None,)
            if None in key:
                continue
            if key in last:
                kept = f"kept: {name} row {last[key]}"
                reasons.setdefault(place, []).append(f"{', '.join(columns)}: {rule} ({kept})")
            last.setdefault(key, place)
    return {place: Rejected(tuple(sorted(why))) for place, why in reasons.items()}

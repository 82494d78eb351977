"""Records that tell nothing of the columns: totals at the end of samples, summaries at their begin, broken ones.

    sku    label  amount
    A-1    Mug      3.00
    A-2    Cup      4.50
           Total    7.50   ->   `lower(label) = 'total' AND sku IS NULL`, proven: 7.50 is the sum of the others

A totals record lacks values that all others have, so taken for data it would make columns optional and hide the key.
It is left out of what types and keys are guessed from, and the draft proposes to ignore it. So is a first record that
sums up all others in columns of its own, as settlements have it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.fields import BLANKS, stripped
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident, idents, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WORDS = (
    "grand total,total general,total général,totaux,subtotal,sub total,totals,totale,totaal,totalt,total,sums,sum,summe"
    ",gesamtsumme,gesamtbetrag,gesamt,zwischensumme,somme,suma,soma,somma,summa,razem,celkem,yhteensä,итого,合計,总计"
).split(",")
"""What a totals record is called, the longer word before the one that it begins with."""
CALLED = re.compile(rf"({'|'.join(WORDS)})(?![^\W\d_])(.*)", re.DOTALL)
MARKS = '";,|\t '
"""What may stand before the first text of a line."""
MARKS_OF_NUMBERS = "€$£%' \u00a0\u202f"
"""What stands in numbers beside digits, points and commas."""
AMOUNT = re.compile(r"[^\d]*\d[\d.,' ]*[^\d]*")
FEWEST_RECORDS = 3
FEWEST_LACKING, FEWEST_OWN = 3, 2
"""A summary lacks so many columns that all others have, and has so many that none of these has."""
FEWEST_SIGNS = 3
"""Sums and lacking columns together: of few records one number may be the sum of the others by chance."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What was left out at one end of the samples.

    Attributes:
        first: whether it is the first record of a sample, else it is the last.
        samples: in how many samples it looks like a total or a summary.
        condition: SQL that tells these records from all others; empty if none was found.
        certain: whether each of them is called a total, has the sum of the others, or has columns of its own.
        summed: the columns of which these records have the sums.
    """

    first: bool
    samples: int
    condition: str
    certain: bool
    summed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Record:
    """A sample's first or last record: where it stands, its texts by column, or its line if it has too few fields."""

    first: bool
    file: str
    version: str
    row: int
    texts: Mapping[str, str]
    line: str


def leave_out_ragged(connection: "DuckDBPyConnection", feed: Feed) -> int:
    """Remove the records that could not be split from the raw table of a scratch warehouse; returns how many."""
    done = connection.execute(f"DELETE FROM {ident(raw_table(feed))} WHERE _parse_error IS NOT NULL").fetchone()
    return int(done[0]) if done else 0


def leave_out_totals(connection: "DuckDBPyConnection", feed: Feed) -> tuple[Edge, ...]:
    """Remove each sample's last and first record, if it looks like a total, from the raw table.

    Args:
        connection: to the scratch warehouse that the samples were read into, without blank records.
        feed: the contract by which they were read.

    Returns:
        What was removed.
    """
    found = (_left_out_at(connection, feed, first) for first in (False, True))
    return tuple(edge for edge in found if edge)


def _left_out_at(connection: "DuckDBPyConnection", feed: Feed, first: bool) -> Edge | None:
    """What was removed at one end of the samples; None if nothing was."""
    records = _records_at(connection, feed, first)
    others = _others(connection, feed, records)
    found = [(record, total) for record in records if (total := _total(connection, feed, record, others))]
    if not found:
        return None
    totals, removed = [total for _, total in found], " OR ".join(_is(record) for record, _ in found)
    # One that holds for none of the others: each sample may call its total otherwise.
    conditions = dict.fromkeys(total.condition for total in totals if total.condition)
    fits = [item for item in conditions if not _holds(connection, feed, item, f"NOT ({removed})")]
    condition = max(fits, key=lambda item: sum(total.condition == item for total in totals), default="")
    connection.execute(f"DELETE FROM {ident(raw_table(feed))} WHERE {removed}")
    certain = bool(condition) and all(total.certain for total in totals)
    summed = set.intersection(*(set(total.summed) for total in totals))
    return Edge(first, len(found), condition, certain, tuple(name for name in others.all if name in summed))


@dataclass(frozen=True, slots=True)
class _Others:
    """All columns of the records; those that all but the looked at ones have, and those that none of these has."""

    all: Sequence[str]
    filled: Sequence[str] = ()
    empty: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Total:
    """A record that looks like a total: what tells it, whether that is certain, and the columns that it sums up."""

    condition: str
    certain: bool
    summed: Sequence[str] = ()


def _records_at(connection: "DuckDBPyConnection", feed: Feed, first: bool) -> list[_Record]:
    names = [column.name for column in feed.record_columns]
    table, row = ident(raw_table(feed)), f"{'min' if first else 'max'}(_row) AS _row"
    rows = connection.execute(
        f"""WITH ends AS (SELECT _file, _file_version, {row}, count(*) AS _size FROM {table} GROUP BY ALL)
            SELECT _file, _file_version, _row, CASE WHEN starts_with(_parse_error, 'too_few')
                THEN trim(_raw_line, {literal(BLANKS)}) ELSE '' END, {idents(names)}
            FROM {table} JOIN ends USING (_file, _file_version, _row)
            WHERE _size >= {FEWEST_RECORDS} ORDER BY 1, 2, 3"""
    ).fetchall()
    return [
        _Record(first, file, version, row, _texts(names, values), line) for file, version, row, line, *values in rows
    ]


def _texts(names: Sequence[str], values: Sequence[str | None]) -> dict[str, str]:
    """The texts of a record's filled columns, without blanks around them."""
    # Not in SQL: two records at most of each sample are looked at, and planning this for each column takes longer.
    found = {name: (value or "").strip(BLANKS) for name, value in zip(names, values, strict=True)}
    return {name: text for name, text in found.items() if text}


def _others(connection: "DuckDBPyConnection", feed: Feed, records: Sequence[_Record]) -> _Others:
    """What the other records have, if one of these lacks any column."""
    names = [column.name for column in feed.record_columns]
    if all(record.line or len(record.texts) == len(names) for record in records):
        return _Others(names)
    # Nothing but blanks is nothing, but costs too much to be asked of all columns here.
    counts = ", ".join(f"count(nullif({ident(name)}, ''))" for name in names)
    others = " AND ".join(f"NOT {_is(record)}" for record in records)
    row = connection.execute(
        f"SELECT count(*), {counts} FROM {ident(raw_table(feed))} WHERE _parse_error IS NULL AND {others}"
    ).fetchone()
    size, *filled = row or (0, *(0 for _ in names))
    found = dict(zip(names, filled, strict=True))
    return _Others(
        names, [name for name in names if found[name] == size > 0], [name for name in names if not found[name]]
    )


def _total(connection: "DuckDBPyConnection", feed: Feed, record: _Record, others: _Others) -> _Total | None:
    """What tells that a sample's first or last record is a total or a summary; None if it is none."""
    if record.line:
        return _of_line(record.line)
    lacks = [name for name in others.filled if name not in record.texts]
    own = [name for name in others.empty if name in record.texts]
    called = next(_called(record.texts), None)
    if not (called or lacks):
        return None
    summed = _summed(connection, feed, record)
    # A thing may be called Total: then its record has what all others have.
    if called and (lacks or summed):
        name, condition = called
        return _Total(" AND ".join([condition, *_empty(lacks, name)]), certain=True, summed=summed)
    settled = record.first and len(lacks) >= FEWEST_LACKING and len(own) >= FEWEST_OWN
    if lacks and (settled or (summed and len(lacks) + len(summed) >= FEWEST_SIGNS)):
        return _Total(" AND ".join(_empty(lacks, "")), certain=True, summed=summed)
    # Without a word for it, a sum or columns of its own, it has to lack most of what all others have.
    if len(record.texts) < len(lacks) and any(map(AMOUNT.fullmatch, record.texts.values())):
        return _Total(" AND ".join(_empty(lacks, "")), certain=False)
    return None


def _of_line(line: str) -> _Total | None:
    words = CALLED.match(line.lstrip(MARKS).casefold())
    if words is None:
        return None
    form = literal(f'(?i)^[";,|\\t ]*{words[1]}\\b')
    return _Total(f"regexp_matches(_raw_line, {form})", certain=True)


def _called(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The columns in which a record is called a total, with the condition that tells it. It has words of ours only."""
    for name, text in texts.items():
        if words := CALLED.match(text.casefold()):
            whole = not words[2]
            column = f"lower({ident(name)})"
            yield name, f"{column} = {literal(words[1])}" if whole else f"starts_with({column}, {literal(words[1])})"


def _empty(names: Sequence[str], called: str) -> list[str]:
    # Three are enough to tell it from the others, and to be read.
    return [f"{ident(name)} IS NULL" for name in [name for name in names if name != called][:3]]


def _summed(connection: "DuckDBPyConnection", feed: Feed, record: _Record) -> list[str]:
    """The columns in which a record has the sum of the other ones of its file, with a decimal point or a comma."""
    names = [name for name, text in record.texts.items() if AMOUNT.fullmatch(text)]
    sums = [_sum(name, record.texts[name], comma) for name in names for comma in (False, True)]
    if not sums:
        return []
    query = (
        f"SELECT {', '.join(sums)} FROM {ident(raw_table(feed))} WHERE _parse_error IS NULL AND {_same_file(record)}"
    )
    row: Sequence[Any] = connection.execute(query).fetchone() or ()
    return [name for place, name in enumerate(names) if row[2 * place] or row[2 * place + 1]]


def _sum(name: str, text: str, comma: bool) -> str:
    """SQL that tells whether a text is the sum of a column, and that not only one number is in it."""

    def number(raw: str) -> str:
        plain = f"translate({raw}, {literal(MARKS_OF_NUMBERS)}, '')"
        point = f"replace(replace({plain}, '.', ''), ',', '.')" if comma else f"replace({plain}, ',', '')"
        return f"TRY_CAST({point} AS DECIMAL(38,6))"

    values = number(stripped(ident(name)))
    total = number(literal(text))
    return f"coalesce(sum({values}) = {total} AND {total} <> 0 AND count({values}) > 1, false)"


def _same_file(record: _Record) -> str:
    return f"_file = {literal(record.file)} AND _file_version = {literal(record.version)} AND _row <> {record.row}"


def _is(record: _Record) -> str:
    return f"(_file = {literal(record.file)} AND _file_version = {literal(record.version)} AND _row = {record.row})"


def _holds(connection: "DuckDBPyConnection", feed: Feed, condition: str, others: str) -> bool:
    """Whether a condition holds for any of the other records."""
    lined = "_raw_line" in condition
    texts = (
        ""
        if lined
        else ", ".join(
            f"nullif({stripped(ident(column.name))}, '') AS {ident(column.name)}" for column in feed.record_columns
        )
    )
    shown = f"* REPLACE ({texts})" if texts else "*"
    whole = "" if lined else "_parse_error IS NULL AND "
    return (
        connection.execute(
            f"""SELECT 1 FROM (SELECT {shown} FROM {ident(raw_table(feed))} WHERE {whole}{others})
                WHERE {condition} LIMIT 1"""
        ).fetchone()
        is not None
    )

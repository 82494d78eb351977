"""Records at the end of samples that look like totals, and records that could not be split: neither tells of columns.

    sku    label  amount
    A-1    Mug      3.00
    A-2    Cup      4.50
           Total    7.50   ->   `lower(label) = 'total' AND sku IS NULL`, proven: 7.50 is the sum of the others

A totals record lacks values that all others have, so taken for data it would make columns optional and hide the key.
It is left out of what types and keys are guessed from, and the draft proposes to ignore it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.fields import BLANKS, stripped
from orchestration_project.ingest.values import filled
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident, literal

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


@dataclass(frozen=True, slots=True)
class Tail:
    """What was left out at the end of the samples.

    Attributes:
        samples: in how many samples the last record looks like a total.
        condition: SQL that tells these records from all others; empty if none was found.
        certain: whether each of them is called a total, or has the sum of the other records.
        summed: the columns of which these records have the sums.
    """

    samples: int
    condition: str
    certain: bool
    summed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Last:
    """The last record of a sample: its texts by column, the text of one that could not be split, where it stands."""

    file: str
    version: str
    row: int
    texts: Mapping[str, str]
    line: str


def leave_out_blank(connection: "DuckDBPyConnection", feed: Feed) -> None:
    """Remove the blank records from the raw table of a scratch warehouse."""
    connection.execute(f"DELETE FROM {ident(raw_table(feed))} WHERE NOT coalesce({filled(feed)}, false)")


def leave_out_ragged(connection: "DuckDBPyConnection", feed: Feed) -> int:
    """Remove the records that could not be split from the raw table of a scratch warehouse; returns how many."""
    done = connection.execute(f"DELETE FROM {ident(raw_table(feed))} WHERE _parse_error IS NOT NULL").fetchone()
    return int(done[0]) if done else 0


def leave_out_totals(connection: "DuckDBPyConnection", feed: Feed) -> Tail | None:
    """Remove each sample's last record, if it looks like a total, from the raw table of a scratch warehouse.

    Args:
        connection: to the scratch warehouse that the samples were read into, without blank records.
        feed: the contract by which they were read.

    Returns:
        What was removed; None if nothing was.
    """
    lasts = _last_records(connection, feed)
    full = _always_filled(connection, feed, lasts)
    found = [(last, total) for last in lasts if (total := _total(connection, feed, last, full))]
    if not found:
        return None
    table, totals = ident(raw_table(feed)), [total for _, total in found]
    # The first that holds for none of the others: each sample may call its total otherwise.
    conditions = [total.condition for total in totals if total.condition]
    keep = " AND ".join(f"NOT {_is(last)}" for last, _ in found)
    fits = [item for item in dict.fromkeys(conditions) if not _holds(connection, feed, item, keep)]
    condition = max(fits, key=lambda item: sum(total.condition == item for total in totals), default="")
    for last, _ in found:
        connection.execute(f"DELETE FROM {table} WHERE {_is(last)}")
    certain = bool(condition) and all(total.certain for total in totals)
    summed = set.intersection(*(set(total.summed) for total in totals))
    return Tail(len(found), condition, certain, tuple(name for name in full.all if name in summed))


@dataclass(frozen=True, slots=True)
class _Filled:
    """All columns of the records, and those that have a value in each record but the last ones."""

    all: Sequence[str]
    always: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Total:
    """A record that looks like a total: what tells it, whether that is certain, and the columns that it sums up."""

    condition: str
    certain: bool
    summed: Sequence[str] = ()


def _last_records(connection: "DuckDBPyConnection", feed: Feed) -> list[_Last]:
    names = [column.name for column in feed.record_columns]
    texts = ", ".join(f"{stripped(ident(name))} AS {ident(name)}" for name in names)
    table = ident(raw_table(feed))
    rows = connection.execute(
        f"""WITH ends AS (SELECT _file, _file_version, max(_row) AS _row, count(*) AS size FROM {table} GROUP BY ALL)
            SELECT _file, _file_version, _row, trim(coalesce(_raw_line, ''), {literal(BLANKS)}), {texts}
            FROM {table} JOIN ends USING (_file, _file_version, _row) WHERE size >= {FEWEST_RECORDS} ORDER BY ALL"""
    ).fetchall()
    return [
        _Last(file, version, row, {name: text for name, text in zip(names, values, strict=True) if text}, line)
        for file, version, row, line, *values in rows
    ]


def _always_filled(connection: "DuckDBPyConnection", feed: Feed, lasts: Sequence[_Last]) -> _Filled:
    """The columns that some last record lacks and all other records have."""
    names = [column.name for column in feed.record_columns]
    lacking = [name for name in names if any(name not in last.texts for last in lasts if not last.line)]
    if not lacking:
        return _Filled(names, [])
    counts = ", ".join(f"count(*) FILTER (coalesce({stripped(ident(name))}, '') = '')" for name in lacking)
    others = " AND ".join(f"NOT {_is(last)}" for last in lasts)
    row = connection.execute(
        f"SELECT {counts} FROM {ident(raw_table(feed))} WHERE _parse_error IS NULL AND {others}"
    ).fetchone()
    return _Filled(names, [name for name, empty in zip(lacking, row or (), strict=True) if not empty])


def _total(connection: "DuckDBPyConnection", feed: Feed, last: _Last, filled: _Filled) -> _Total | None:
    """What tells that a sample's last record is a total; None if it is none."""
    if last.line:
        return _of_line(last.line)
    lacks = [name for name in filled.always if name not in last.texts]
    called = next(_called(last.texts), None)
    if not (called or lacks):
        return None
    summed = _summed(connection, feed, last)
    # A thing may be called Total: then its record has what all others have.
    if called and (lacks or summed):
        name, condition = called
        return _Total(" AND ".join([condition, *_empty(lacks, name)]), certain=True, summed=summed)
    # Without a word for it, it has to have the sums, or to lack most of what all others have.
    if lacks and (summed or (len(last.texts) < len(lacks) and any(map(AMOUNT.fullmatch, last.texts.values())))):
        return _Total(" AND ".join(_empty(lacks, "")), certain=bool(summed), summed=summed)
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


def _summed(connection: "DuckDBPyConnection", feed: Feed, last: _Last) -> list[str]:
    """The columns in which a record has the sum of the other ones of its file, with a decimal point or a comma."""
    names = [name for name, text in last.texts.items() if AMOUNT.fullmatch(text)]
    sums = [_sum(name, last.texts[name], comma) for name in names for comma in (False, True)]
    if not sums:
        return []
    query = f"SELECT {', '.join(sums)} FROM {ident(raw_table(feed))} WHERE _parse_error IS NULL AND {_same_file(last)}"
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


def _same_file(last: _Last) -> str:
    return f"_file = {literal(last.file)} AND _file_version = {literal(last.version)} AND _row <> {last.row}"


def _is(last: _Last) -> str:
    return f"(_file = {literal(last.file)} AND _file_version = {literal(last.version)} AND _row = {last.row})"


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

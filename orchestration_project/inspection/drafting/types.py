"""What type a column's values have: each candidate is tried on them with the SQL by which a load reads values."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.formats.fields import BLANKS
from orchestration_project.ingest.values import filled, text_of, value_of
from orchestration_project.inspection.drafting.candidates import CURRENCIES, TEXT, Candidate, candidates
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.quoting import ident, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VALUES_TRIED = 500
"""So many different values of a column choose its type; all of them are then counted."""
FITTING = 0.95
"""Share of the values that a type has to fit: a sample may have mistakes in it."""
NULL_WORDS = ("NULL", "null", "NA", "N/A", "n/a", "NaN", "nan", "None", "none", "nil", "-", "--", "?", r"\N", "#N/A")
SMALL = 100_000_000
"""Whole numbers below it become INTEGER, which holds twenty times as much."""
MONEY_SCALE, MOST_DECIMALS = 2, 6
NUMBER, MOMENT = re.compile(r"\d"), re.compile(r"\d{8}|\d[-/.]\w+[-/.]\d|\d:\d\d")
LOOKS = {"boolean": re.compile(r"^\D+$")} | dict.fromkeys(("integer", "number"), NUMBER)
LOOKS |= dict.fromkeys(("date", "timestamp", "time"), MOMENT)
"""What most values of a column contain that may be of a type: the others need not be tried."""
LEADING_ZERO = re.compile(r"[+-]?0\d+")
IS_ID = re.compile(r"(^|_)(id|no|nr|number|num|key|code|sku|upc|ean)($|_)|id$")
IS_DAY = re.compile(r"(^|_)(date|day|datum|tag|dt)($|_)|date$")


@dataclass(frozen=True, slots=True)
class Guess:
    """What a column is taken for.

    Attributes:
        candidate: the type.
        records, missing: of the samples; how many have no value.
        misfits: values that the type does not fit.
        distinct: how many different values there are.
        values: some of them; they must not get into a draft.
        also: other forms of dates that fit as many values.
        doubt: what else there is to check.
    """

    candidate: Candidate
    records: int
    missing: int
    misfits: int
    distinct: int
    values: Sequence[str]
    also: Sequence[str] = ()
    doubt: str = ""


def guess(connection: "DuckDBPyConnection", feed: Feed, name: str, comma_first: bool) -> Guess:
    """What a column is.

    Args:
        connection: to the warehouse that the samples were read into.
        feed: the contract by which they were read.
        name: the column.
        comma_first: see `candidates`.
    """
    text = f"nullif(trim({ident(name)}, {literal(BLANKS)}), '')"
    records = f"(SELECT {text} AS c FROM {ident(raw_table(feed))} WHERE {filled(feed)})"
    counted = connection.execute(f"SELECT count(*), count(c), count(DISTINCT c) FROM {records}").fetchone() or (0, 0, 0)
    rows = connection.execute(
        f"SELECT c, count(*) FROM {records} WHERE c IS NOT NULL GROUP BY 1 ORDER BY hash(c), c LIMIT {VALUES_TRIED}"
    ).fetchall()
    base = Guess(TEXT, counted[0], counted[0] - counted[1], 0, counted[2], [value for value, _ in rows])
    tried = {value: times for value, times in rows if value not in NULL_WORDS}
    if not tried:
        return replace(base, doubt="no record of the samples has a value" if not rows else "")
    chosen, also = _fitting(connection, tried, name, comma_first)
    return base if chosen == TEXT else _counted(connection, records, replace(base, candidate=chosen, also=also), name)


def _fitting(
    connection: "DuckDBPyConnection", tried: Mapping[str, int], name: str, comma_first: bool
) -> tuple[Candidate, list[str]]:
    """The candidate that fits most values, and the other forms of dates that fit as many."""
    present = tuple(sign for sign in CURRENCIES if any(sign in value for value in tried))
    kinds = {kind for kind, form in LOOKS.items() if _mostly(form, tried)}
    if len({value.casefold() for value in tried}) == 1:
        kinds.discard("boolean")  # nothing but `N` may be the first of many letters
    if not kinds:
        return TEXT, []
    options, fits = _tests(frozenset(kinds), present, comma_first)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE _tried AS SELECT unnest($1) AS c, unnest($2) AS n", [[*tried], [*tried.values()]]
    )
    row = connection.execute(f"SELECT {fits} FROM _tried").fetchone() or ()
    scores = dict(zip(range(len(options)), (score or 0 for score in row), strict=True))
    whole, best = sum(tried.values()), max(scores.values())
    # 00123 is a code: as a number it would lose its zeros.
    if best < FITTING * whole or any(LEADING_ZERO.fullmatch(value) for value in tried):
        return _day_of_digits(options, scores, name, whole) or TEXT, []
    equal = [options[index] for index, score in scores.items() if score == best]
    chosen = _day_of_digits(options, scores, name, best) or equal[0]
    also = [item.options["format"] for item in equal if item.logical == chosen.logical and "format" in item.options]
    return chosen, [form for form in also if form != chosen.options.get("format")] if chosen.options else []


def _mostly(form: re.Pattern[str], values: Iterable[str]) -> bool:
    found = [form.search(value) is not None for value in values]
    return 2 * sum(found) >= len(found)


@cache
def _tests(kinds: frozenset[str], currencies: tuple[str, ...], comma_first: bool) -> tuple[list[Candidate], str]:
    """The candidates of some kinds, and SQL that counts for each the values that it fits: alike for many columns."""
    options = [item for item in candidates(currencies, comma_first) if item.logical in kinds]
    return options, ", ".join(f"sum(n) FILTER ({_fits(item)})" for item in options)


def _day_of_digits(options: Sequence[Candidate], scores: Mapping[int, int], name: str, enough: int) -> Candidate | None:
    """Eight digits are a day only where the column's name says so."""
    days = (index for index, item in enumerate(options) if item.options.get("format") == "yyyyMMdd")
    return next((options[index] for index in days if IS_DAY.search(name) and scores[index] >= enough), None)


def _fits(candidate: Candidate, text: str = "c") -> str:
    column = candidate.column
    return f"({value_of(column, text_of(column, text))}) IS NOT NULL"


def _counted(connection: "DuckDBPyConnection", records: str, found: Guess, name: str) -> Guess:
    """The guess, made precise over all values: null words, size, decimals, misfits."""
    words = connection.execute(
        f"""SELECT list(DISTINCT c ORDER BY c) FROM {records}
            WHERE c IN ({literals(NULL_WORDS)}) AND NOT {_fits(found.candidate)}"""
    ).fetchone()
    custom = {"nullValues": words[0]} if words and words[0] else {}
    candidate = replace(found.candidate, custom={**found.candidate.custom, **custom})
    column = candidate.column
    text = text_of(column, "c")
    missing, misfits = connection.execute(
        f"""SELECT count(*) FILTER ({text} IS NULL),
            count(*) FILTER ({text} IS NOT NULL AND ({value_of(column, text)}) IS NULL) FROM {records}"""
    ).fetchone() or (0, 0)
    is_number = candidate.logical in ("integer", "number")
    # What is called an id and is not always a number is a name.
    if misfits > (0 if is_number and IS_ID.search(name) else (1 - FITTING) * (found.records - missing)):
        return replace(found, candidate=TEXT, also=())
    found = replace(found, candidate=candidate, missing=missing, misfits=misfits)
    return _sized(found, name, _sizes(connection, records, column)) if is_number else found


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Of a column's numbers: the largest, digits behind the point without and with final zeros, how many exponents."""

    largest: float
    scale: int
    written: int
    exponents: int


def _sizes(connection: "DuckDBPyConnection", records: str, column: Column) -> _Sizes:
    text = text_of(column, "c")
    point = literal(rf"[{column.parsing.decimal_separator}](\d+)")
    digits = f"regexp_extract({text}, {point}, 1)"
    row = connection.execute(
        rf"""SELECT max(abs(({value_of(column, text)})::DOUBLE)), max(length(rtrim({digits}, '0'))),
            max(length({digits})), count(*) FILTER (regexp_matches({text}, '\d[eE][+-]?\d')) FROM {records}"""
    ).fetchone()
    return _Sizes(*(size or 0 for size in row or (0, 0, 0, 0)))


def _sized(found: Guess, name: str, sizes: _Sizes) -> Guess:
    """The guess with the type that its numbers need."""
    candidate = found.candidate
    if candidate.logical == "integer" and (not sizes.written or IS_ID.search(name)):
        return replace(found, candidate=replace(candidate, physical="INTEGER" if sizes.largest < SMALL else "BIGINT"))
    if candidate.physical == "DOUBLE" or sizes.exponents or sizes.scale > MOST_DECIMALS:
        binary = replace(candidate, physical="DOUBLE", logical="number")
        return replace(found, candidate=binary, doubt="binary fractions: sums are not exact")
    if not sizes.written:
        return replace(found, candidate=TEXT, also=(), misfits=0)  # whole, but too long for a number
    doubt = "whole so far, but written with a point" if candidate.logical == "integer" else ""
    decimal = f"DECIMAL(18,{max(sizes.scale, MONEY_SCALE)})"
    return replace(found, candidate=replace(candidate, physical=decimal, logical="number"), doubt=doubt)

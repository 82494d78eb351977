"""Guess the type of a column from the values of the samples.

Each type that a contract can declare is an option. Options are written as a contract has them, read by the contract's
own reader, and tried on the values with the SQL by which a load reads values: so a draft never promises what a load
does not do. How a guess is written into the draft is in `render`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.columns import read_columns
from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.feed import Column, Feed, Parsing
from orchestration_project.formats.fields import BLANKS
from orchestration_project.ingest.values import filled, text_of, value_of
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# The likelier first: of two that fit the same values the first is chosen, and the others are named in the draft.
DAYS = (
    "yyyy-MM-dd yyyy/MM/dd dd.MM.yyyy dd/MM/yyyy MM/dd/yyyy dd-MM-yyyy d.M.yyyy d/M/yyyy M/d/yyyy dd.MM.yy dd/MM/yy"
    " MM/dd/yy d/M/yy M/d/yy dd-MMM-yyyy yyyyMMdd"
).split()
TIMES = ("HH:mm:ss", "HH:mm", "HH:mm:ss.SSS", "HH:mm:ss.SSSSSS", "H:mm", "h:mm a", "h:mm:ss a")
SEPARATORS = {"yyyy-MM-dd": (" ", "'T'")}
CURRENCIES = ("€", "$", "£", "¥", "EUR", "USD", "GBP", "CHF")
NUMBER_STYLES = ((".", ","), (",", "."), (".", "'"), (",", " "), (".", " "), (",", "\u00a0"), (",", "\u202f"))
"""Decimal and thousands separators, the likelier first."""
PROBED_DECIMAL = "DECIMAL(38,12)"  # decimals are tried with it; the scale that the values need is found afterwards
VALUES_TRIED = 500  # different values of a column that decide its type; then all its values are counted
SHARE_THAT_FITS = 0.95  # of the values a type has to fit so many: a sample may have mistakes in it
NULL_WORDS = ("NULL", "null", "NA", "N/A", "n/a", "NaN", "nan", "None", "none", "nil", "-", "--", "?", r"\N", "#N/A")
SMALL = 100_000_000  # whole numbers below it become INTEGER, which has room for values twenty times as large
MONEY_SCALE, MOST_DECIMALS = 2, 6
NUMBER, MOMENT = re.compile(r"\d"), re.compile(r"\d{8}|\d[-/.]\w+[-/.]\d|\d:\d\d")
LOOKS = {"boolean": re.compile(r"^\D+$")} | dict.fromkeys(("integer", "number"), NUMBER)
LOOKS |= dict.fromkeys(("date", "timestamp", "time"), MOMENT)
"""What most values contain if a column has one of these types: it saves trying the other types."""
LEADING_ZERO = re.compile(r"[+-]?0\d+")
IS_ID = re.compile(r"(^|_)(id|no|nr|number|num|key|code|sku|upc|ean)($|_)|id$")
IS_DAY = re.compile(r"(^|_)(date|day|datum|tag|dt)($|_)|date$")


@dataclass(frozen=True, slots=True)
class TypeOption:
    """A type that a column may have, with its options and custom properties, as a contract writes them."""

    physical: str
    logical: str
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)

    @property
    def column(self) -> Column:
        """The column `c` of this type, as the contract's reader makes it."""
        from open_data_contract_standard.model import SchemaProperty

        document = {
            "name": "c",
            "physicalType": self.physical,
            "logicalType": self.logical,
            "logicalTypeOptions": dict(self.options) or None,
            "customProperties": [{"property": name, "value": value} for name, value in self.custom.items()],
        }
        place = Place()
        (built,) = read_columns([SchemaProperty.model_validate(document)], Parsing(), place)
        assert not place.problems  # no text of a sample is in an option
        return built.column


TEXT = TypeOption("VARCHAR", "string")


def type_options(currencies: Sequence[str], comma_first: bool) -> Iterator[TypeOption]:
    """The types that a column may have; of two that fit the same values the first is chosen.

    Args:
        currencies: the currency signs in its values.
        comma_first: whether `1,234` is rather a little more than one than a little more than a thousand.
    """
    yield TypeOption("BOOLEAN", "boolean")
    signs = {"currencySymbols": list(currencies)} if currencies else {}
    plain_comma = {"decimalSeparator": ","}
    grouped = [_style(decimal, thousands) for decimal, thousands in NUMBER_STYLES]
    # `1,234` is a number in both styles, so their order decides.
    styles = [{}, plain_comma, *grouped] if comma_first else [{}, *grouped, plain_comma]
    for style in styles:
        separators = {**style, **signs}
        if style is not plain_comma:  # to a whole number it is the first style once more
            yield TypeOption("BIGINT", "integer", custom=separators)
        yield TypeOption(PROBED_DECIMAL, "number", custom=separators)
    yield TypeOption("DOUBLE", "number")
    for day in DAYS:
        yield TypeOption("DATE", "date", {"format": day})
        for time in TIMES:
            for separator in SEPARATORS.get(day, (" ",)):
                yield TypeOption("TIMESTAMP", "timestamp", {"format": f"{day}{separator}{time}"})
    yield TypeOption("TIMESTAMP", "timestamp")
    yield TypeOption("TIMESTAMPTZ", "timestamp", {"timezone": True})
    yield TypeOption("TIME", "time")


def _style(decimal: str, thousands: str) -> dict[str, str]:
    point = {"decimalSeparator": decimal} if decimal != "." else {}
    return {**point, "thousandsSeparator": thousands}


@dataclass(frozen=True, slots=True)
class Guess:
    """The guessed type of a column.

    Attributes:
        option: the type.
        records, missing: of the samples; how many have no value.
        misfits: values that the type does not fit.
        distinct: how many different values there are.
        values: some of them; they must not get into a draft.
        also: other date formats that fit as many values.
        doubt: what else a person should check.
    """

    option: TypeOption
    records: int
    missing: int
    misfits: int
    distinct: int
    values: Sequence[str]
    also: Sequence[str] = ()
    doubt: str = ""


def guess(connection: "DuckDBPyConnection", feed: Feed, name: str, comma_first: bool) -> Guess:
    """Guess the type of a column.

    Args:
        connection: to the warehouse that the samples were read into.
        feed: the contract by which they were read.
        name: the column.
        comma_first: see `type_options`.
    """
    values = _column_values(feed, name)
    records, present, distinct = connection.execute(
        f"{values} SELECT count(*), count(c), count(DISTINCT c) FROM column_values"
    ).fetchone() or (0, 0, 0)
    # Ordered by a hash, the values are a mix of all samples, and the same at each draft.
    rows = connection.execute(
        f"""{values} SELECT c, count(*) FROM column_values WHERE c IS NOT NULL
            GROUP BY 1 ORDER BY hash(c), c LIMIT {VALUES_TRIED}"""
    ).fetchall()
    base = Guess(TEXT, records, records - present, 0, distinct, [value for value, _ in rows])
    tried = {value: times for value, times in rows if value not in NULL_WORDS}
    if not tried:
        return replace(base, doubt="no record of the samples has a value" if not rows else "")
    chosen, also = _best_option(connection, tried, name, comma_first)
    return base if chosen == TEXT else _counted(connection, values, replace(base, option=chosen, also=also), name)


def _column_values(feed: Feed, name: str) -> str:
    """The beginning of a query: `column_values` has the text `c` of a column, trimmed, NULL when blank, by record."""
    text = f"nullif(trim({ident(name)}, {literal(BLANKS)}), '')"
    return f"WITH column_values AS (SELECT {text} AS c FROM {ident(raw_table(feed))} WHERE {filled(feed)})"


def _best_option(
    connection: "DuckDBPyConnection", tried: Mapping[str, int], name: str, comma_first: bool
) -> tuple[TypeOption, list[str]]:
    """The option that fits most values, and the other date formats that fit as many.

    `tried` has values with how often they occur.
    """
    signs = tuple(sign for sign in CURRENCIES if any(sign in value for value in tried))
    kinds = {kind for kind, form in LOOKS.items() if _mostly(form, tried)}
    if len({value.casefold() for value in tried}) == 1:
        kinds.discard("boolean")  # where all values are `N`, it may be the first of many letters
    if not kinds:
        return TEXT, []
    options, query = options_with_scores(frozenset(kinds), signs, comma_first)
    row = connection.execute(query, [[*tried], [*tried.values()]]).fetchone() or ()
    scores = {index: score or 0 for index, score in enumerate(row)}
    total, best = sum(tried.values()), max(scores.values())
    # 00123 is a code: as a number it would lose its zeros.
    if best < SHARE_THAT_FITS * total or any(LEADING_ZERO.fullmatch(value) for value in tried):
        return _day_of_digits(options, scores, name, total) or TEXT, []
    equal = [options[index] for index, score in scores.items() if score == best]
    chosen = _day_of_digits(options, scores, name, best) or equal[0]
    also = [item.options["format"] for item in equal if item.logical == chosen.logical and "format" in item.options]
    return chosen, [form for form in also if form != chosen.options.get("format")] if chosen.options else []


def _mostly(form: re.Pattern[str], values: Iterable[str]) -> bool:
    found = [form.search(value) is not None for value in values]
    return 2 * sum(found) >= len(found)


@cache
def options_with_scores(
    kinds: frozenset[str], currencies: tuple[str, ...], comma_first: bool
) -> tuple[list[TypeOption], str]:
    """The options of some kinds, and a query with a column for each: how many values the option reads.

    The query takes two lists: different values, and how often each of them occurs. It tries all options in one pass;
    it is cached, since it is long and the same for many columns.
    """
    options = [item for item in type_options(currencies, comma_first) if item.logical in kinds]
    scores = ", ".join(f"sum(times) FILTER ({_fits(item)})" for item in options)
    return options, f"WITH tried AS (SELECT unnest($1) AS c, unnest($2) AS times) SELECT {scores} FROM tried"


def _day_of_digits(
    options: Sequence[TypeOption], scores: Mapping[int, int], name: str, enough: int
) -> TypeOption | None:
    """Eight digits are a day only where the column's name says so."""
    days = (index for index, item in enumerate(options) if item.options.get("format") == "yyyyMMdd")
    return next((options[index] for index in days if IS_DAY.search(name) and scores[index] >= enough), None)


def _fits(option: TypeOption) -> str:
    column = option.column
    return f"({value_of(column, text_of(column, 'c'))}) IS NOT NULL"


def _counted(connection: "DuckDBPyConnection", values: str, found: Guess, name: str) -> Guess:
    """The guess, made precise over all values: words for missing values, misfits, size, decimals."""
    # `NaN` is a value to DOUBLE: a word stands for NULL only where the type does not read it.
    words = connection.execute(
        f"""{values} SELECT list(DISTINCT c ORDER BY c) FROM column_values
            WHERE c IN ({literals(NULL_WORDS)}) AND NOT {_fits(found.option)}"""
    ).fetchone()
    custom = {"nullValues": words[0]} if words and words[0] else {}
    option = replace(found.option, custom={**found.option.custom, **custom})
    column = option.column
    text = text_of(column, "c")
    missing, misfits = connection.execute(
        f"""{values} SELECT
            count(*) FILTER ({text} IS NULL),
            count(*) FILTER ({text} IS NOT NULL AND ({value_of(column, text)}) IS NULL)
            FROM column_values"""
    ).fetchone() or (0, 0)
    is_number = option.logical in ("integer", "number")
    # An id that is not always a number is a text.
    if misfits > (0 if is_number and IS_ID.search(name) else (1 - SHARE_THAT_FITS) * (found.records - missing)):
        return replace(found, option=TEXT, also=())
    found = replace(found, option=option, missing=missing, misfits=misfits)
    return _sized(found, name, _sizes(connection, values, column)) if is_number else found


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Of a column's numbers.

    Attributes:
        largest: the largest absolute value.
        scale, written: the most digits behind the point, without and with final zeros.
        exponents: how many numbers are written with an exponent.
    """

    largest: float
    scale: int
    written: int
    exponents: int


def _sizes(connection: "DuckDBPyConnection", values: str, column: Column) -> _Sizes:
    text = text_of(column, "c")
    point = literal(rf"[{column.parsing.decimal_separator}](\d+)")
    digits = f"regexp_extract({text}, {point}, 1)"
    row = connection.execute(
        rf"""{values} SELECT
            max(abs(({value_of(column, text)})::DOUBLE)),
            max(length(rtrim({digits}, '0'))),
            max(length({digits})),
            count(*) FILTER (regexp_matches({text}, '\d[eE][+-]?\d'))
            FROM column_values"""
    ).fetchone()
    return _Sizes(*(size or 0 for size in row or (0, 0, 0, 0)))


def _sized(found: Guess, name: str, sizes: _Sizes) -> Guess:
    """The guess with the type that its numbers need."""
    option = found.option
    if option.logical == "integer" and (not sizes.written or IS_ID.search(name)):
        return replace(found, option=replace(option, physical="INTEGER" if sizes.largest < SMALL else "BIGINT"))
    if option.physical == "DOUBLE" or sizes.exponents or sizes.scale > MOST_DECIMALS:
        binary = replace(option, physical="DOUBLE", logical="number")
        return replace(found, option=binary, doubt="binary fractions: sums are not exact")
    if not sizes.written:
        return replace(found, option=TEXT, also=(), misfits=0)  # whole, but too long for a number
    doubt = "whole so far, but written with a point" if option.logical == "integer" else ""
    decimal = f"DECIMAL(18,{max(sizes.scale, MONEY_SCALE)})"
    return replace(found, option=replace(option, physical=decimal, logical="number"), doubt=doubt)

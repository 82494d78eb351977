"""What a text or a typed value of a file is worth in a column, by the contract's rules.

Belongs here: single values. Does not belong here: how a file is split (`delimited.py`, `objects.py`). Written from the
documentation, with Python's own numbers and dates; nothing of the package but the contract's data model is used.
"""

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from orchestration_project.contracts.feed import (
    Bound,
    Column,
    Feed,
    Length,
    MultipleOf,
    OneOf,
    Parsing,
    Pattern,
    Required,
    Rule,
    TextFormat,
)

BLANKS = " \t\r\n\u00a0"
WORDS = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)
BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
MONTHS = "January February March April May June July August September October November December".split()
NUMBER = re.compile(r"([+-]?)(\d*)(\.?)(\d*)(?:[eE]([+-]?\d+))?", re.ASCII)
ISO_DATE = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})", re.ASCII)
CLOCK = r"(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6}))?)?"
ISO_TIME = re.compile(CLOCK, re.ASCII)
ISO_MOMENT = re.compile(rf"{ISO_DATE.pattern}(?:[T ]{CLOCK})?", re.ASCII)
OFFSET = r"(?P<offset>Z|[+-]\d{2}(?::?\d{2})?)"
ISO_ZONED = re.compile(rf"{ISO_MOMENT.pattern} ?{OFFSET}", re.ASCII)


class NoValue(Exception):
    """A text that is not written as its column's type."""


@dataclass(frozen=True, slots=True)
class Contract:
    """A feed, and the date patterns of its columns as its author wrote them (JDK letters), by the column's name."""

    feed: Feed
    patterns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a file holds as one, not as text; `text` is how it is written there, with a point.

    A binary one has no digits of its own: `text` is the shortest that says it.
    """

    text: str
    binary: bool = False


Cell = str | Number | dt.datetime | dt.date | dt.time | None
"""What stands in a field: text, or what JSON and Parquet hold otherwise. Booleans are the texts true and false."""


def is_missing(cell: Cell) -> bool:
    """Whether nothing but blanks stands in a field."""
    return cell is None or (isinstance(cell, str) and not cell.strip(BLANKS))


def check(contract: Contract, cells: Mapping[str, Cell]) -> tuple[dict[str, Any], list[str]]:
    """The values of a record, and the rules that it breaks (`column: rule`)."""
    values: dict[str, Any] = {}
    reasons: list[str] = []
    for column in contract.feed.source_columns:
        cell = significant(cells.get(column.name), column)
        value = None
        if cell is None:
            reasons += [f"{column.name}: required"] * column.required
        else:
            try:
                value = value_of(cell, column, contract.patterns.get(column.name))
            except NoValue:
                reasons.append(f"{column.name}: type")
            else:
                reasons += broken_rules(value, column)
        values[column.name] = value
    return values, reasons


def significant(cell: Cell, column: Column) -> Cell:
    """What counts of a field: without padding; None where nothing stands, or a word for it."""
    parsing = column.parsing
    if isinstance(cell, Number):
        return None if (plain(cell) if column.sql_type == "VARCHAR" else cell.text) in parsing.null_words else cell
    if not isinstance(cell, str):
        return cell
    text = cell.strip(BLANKS) if parsing.trim else cell
    return None if text == "" or text in parsing.null_words else text


def value_of(cell: str | Number | dt.datetime | dt.date | dt.time, column: Column, pattern: str | None) -> Any:
    """The value of what stands in a field.

    Raises:
        NoValue: it is none of the column's type.
    """
    sql_type = column.sql_type
    if sql_type == "VARCHAR":
        return plain(cell)
    if sql_type == "BOOLEAN":
        word = plain(cell).lower()
        if word not in WORDS:
            raise NoValue
        return WORDS[word]
    if sql_type in ("DATE", "TIME") or sql_type.startswith("TIMESTAMP"):
        return moment(cell, column, pattern)
    if isinstance(cell, Number):
        return number(cell.text, sql_type)
    return number(with_point(plain(cell), column.parsing), sql_type)


def plain(cell: str | Number | dt.datetime | dt.date | dt.time) -> str:
    """A value as text; dates and times in ISO 8601."""
    match cell:
        case str():
            return cell
        case Number(text=text, binary=True):
            number = Decimal(text)
            if not number.is_finite() or number != number.to_integral_value():
                return text
            return f"{number or Decimal(0):f}".removesuffix(".0")
        case Number(text=text):
            return text
        case dt.datetime():
            return cell.isoformat(sep=" ")
        case _:
            return cell.isoformat()


def with_point(text: str, parsing: Parsing) -> str:
    """A number without currency and grouping, and with a point for its decimal separator.

    Raises:
        NoValue: its groups are not of three digits, or the separator that is none stands in it.
    """
    text = without_currency(text, parsing.currency_symbols)
    thousands, decimal = re.escape(parsing.thousands_separator), re.escape(parsing.decimal_separator)
    whole = rf"\d{{1,3}}(?:{thousands}\d{{3}})+|\d*" if thousands else r"\d*"
    found = re.fullmatch(rf"([+-]?)({whole})(?:({decimal})(\d*))?([eE][+-]?\d+)?", text, re.ASCII)
    if not found:
        raise NoValue
    sign, digits, point, fraction, exponent = (part or "" for part in found.groups())
    if thousands:
        digits = digits.replace(parsing.thousands_separator, "")
    return f"{sign}{digits}{'.' * bool(point)}{fraction}{exponent}"


def without_currency(text: str, symbols: tuple[str, ...]) -> str:
    """A number without the sign of a currency before it (an algebraic sign may stand first) or behind it."""
    sign, rest = (text[:1], text[1:]) if text[:1] in ("+", "-") else ("", text)
    for symbol in symbols:
        if rest.lstrip(BLANKS).startswith(symbol):
            return sign + rest.lstrip(BLANKS).removeprefix(symbol).lstrip(BLANKS)
    for symbol in symbols:
        if text.endswith(symbol):
            return text.removesuffix(symbol).rstrip(BLANKS)
    return text


def number(text: str, sql_type: str) -> int | float | Decimal:
    """The number that a text says exactly.

    Raises:
        NoValue: it is no number, has digits that the type does not have, or is beyond its limits.
    """
    found = NUMBER.fullmatch(text)
    if not found or not (found[2] or found[4]):
        raise NoValue
    if sql_type == "DOUBLE":
        return double(text)
    if sql_type.startswith("DECIMAL"):
        return decimal(found, *map(int, re.findall(r"\d+", sql_type)))
    if found[5] is not None or found[4].strip("0") or not found[2]:
        raise NoValue
    bits, signed = BITS[sql_type.removeprefix("U")], not sql_type.startswith("U")
    value = int(found[1] + found[2])
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if not low <= value <= high:
        raise NoValue
    return value


def double(text: str) -> float:
    """The nearest double; there is one zero only."""
    value = float(text)
    if not math.isfinite(value):
        raise NoValue
    return value or 0.0


def decimal(found: re.Match[str], precision: int, scale: int) -> Decimal:
    """The decimal number with `scale` decimals that is written, if no digit is lost."""
    digits, exponent = int(found[2] + found[4]), int(found[5] or 0) - len(found[4])
    if digits == 0:
        return Decimal((0, (0,), -scale))
    kept = str(digits).rstrip("0")
    exponent += len(str(digits)) - len(kept)
    if exponent < -scale or len(kept) + exponent > precision - scale:
        raise NoValue
    shifted = kept + "0" * (exponent + scale)
    return Decimal((int(found[1] == "-"), tuple(map(int, shifted)), -scale))


def moment(cell: str | Number | dt.datetime | dt.date | dt.time, column: Column, pattern: str | None) -> Any:
    """The date, time or timestamp in a field; of one with an offset, the moment in UTC.

    Raises:
        NoValue: it is written otherwise than the contract says, there is no such moment, or clocks skip it.
    """
    if isinstance(cell, Number):
        cell = cell.text
    if not isinstance(cell, str):
        return typed_moment(cell, column, pattern)
    form = {"DATE": ISO_DATE, "TIME": ISO_TIME}.get(column.sql_type, ISO_MOMENT)
    if pattern:
        form = regex_of(pattern)
    elif column.parsing.has_timezone:
        form = ISO_ZONED
    found = form.fullmatch(cell)
    if not found:
        raise NoValue
    return in_type(assembled(found.groupdict()), column)


def typed_moment(cell: dt.datetime | dt.date | dt.time, column: Column, pattern: str | None) -> Any:
    """A date, time or timestamp that the file holds as such. One finer than the declared format does not fit it."""
    if pattern and isinstance(cell, dt.datetime | dt.time):
        finest = 0 if "S" in pattern else 1_000_000 if "s" in pattern else 60_000_000
        micros = cell.second * 1_000_000 + cell.microsecond
        kept = pattern.count("S")
        if (finest and micros % finest) or (kept and cell.microsecond % 10 ** max(0, 6 - kept)):
            raise NoValue
        if not re.search("[Hh]", pattern) and (cell.hour or cell.minute or micros):
            raise NoValue
    own = dt.time if column.sql_type == "TIME" else dt.date
    if isinstance(cell, dt.time) != (own is dt.time):
        raise NoValue
    if column.sql_type == "DATE" and isinstance(cell, dt.datetime):
        if cell.tzinfo or cell.time() != dt.time():
            raise NoValue
        cell = cell.date()
    if column.sql_type.startswith("TIMESTAMP") and not isinstance(cell, dt.datetime):
        cell = dt.datetime(cell.year, cell.month, cell.day)  # type: ignore[union-attr]  # noqa: DTZ001 - it has none
    zoned = isinstance(cell, dt.datetime) and cell.tzinfo is not None
    if zoned if column.sql_type == "TIMESTAMP" else not zoned and column.parsing.has_timezone:
        raise NoValue
    return in_type(cell, column)


def assembled(parts: Mapping[str, str | None]) -> dt.datetime | dt.time:
    """A moment from the texts of its parts."""
    texts = {name: text for name, text in parts.items() if text is not None}
    try:
        hour, micros = hour_of(texts), int(texts.get("fraction", "0").ljust(6, "0")[:6])
        clock = dt.time(hour, int(texts.get("minute", 0)), int(texts.get("second", 0)), micros)
        if "day" not in texts:
            return clock
        day = dt.date(year_of(texts), month_of(texts), int(texts["day"]))
        return dt.datetime.combine(day, clock, offset_of(texts["offset"]) if "offset" in texts else None)
    except ValueError:
        raise NoValue from None


def hour_of(texts: Mapping[str, str]) -> int:
    """The hour of the day, from 0; of half a day it is 1 to 12."""
    hour = int(texts.get("hour", 0))
    if "half" not in texts:
        return hour
    if not 1 <= hour <= 12:
        raise NoValue
    return hour % 12 + 12 * (texts["half"].upper() == "PM")


def year_of(texts: Mapping[str, str]) -> int:
    """The year; one of two digits is 1969 to 2068."""
    if "year" in texts:
        return int(texts["year"])
    short = int(texts["short_year"])
    return short + (1900 if short >= 69 else 2000)


def month_of(texts: Mapping[str, str]) -> int:
    """The month, from 1, of a number or an English name."""
    if "month" in texts:
        return int(texts["month"])
    return next(place for place, name in enumerate(MONTHS, 1) if name[:3].lower() == texts["month_name"][:3].lower())


def offset_of(text: str) -> dt.timezone:
    """A zone from an offset; there is none of a day and more, nor one of 60 minutes beside the hours."""
    if text == "Z":
        return dt.UTC
    hours, minutes = int(text[1:3]), int(text[3:].strip(":") or 0)
    if minutes > 59 or hours > 15:
        raise NoValue
    return dt.timezone(dt.timedelta(minutes=hours * 60 + minutes) * (-1 if text[0] == "-" else 1))


def in_type(value: dt.datetime | dt.date | dt.time, column: Column) -> Any:
    """A moment in its column's type."""
    if not isinstance(value, dt.datetime):
        return value
    if column.sql_type == "DATE":
        return value.date()
    if column.sql_type == "TIMESTAMP":
        return value
    if value.tzinfo is None:
        zone = ZoneInfo(column.parsing.default_timezone)
        # Where clocks are put back an hour stands twice; the documentation leaves open which one is meant.
        local = value.replace(tzinfo=zone, fold=1)
        if local.astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) != value:
            raise NoValue
        value = local
    return value.astimezone(dt.UTC)


def regex_of(pattern: str) -> re.Pattern[str]:
    """The texts that a JDK date pattern describes, with its parts as named groups."""
    parts = re.findall(r"'((?:[^']|'')*)'|([A-Za-z])(\2*)|([^A-Za-z'])", pattern)
    found = "".join(
        part_regex(letter, len(more) + 1) if letter else re.escape(quoted.replace("''", "'") or other or "'")
        for quoted, letter, more, other in parts
    )
    return re.compile(found, re.ASCII | re.IGNORECASE)


def part_regex(letter: str, count: int) -> str:
    """The regular expression of one part of a date pattern."""
    digits = r"\d{1,2}" if count == 1 else rf"\d{{{count}}}"
    names = {"d": "day", "H": "hour", "h": "hour", "m": "minute", "s": "second", "S": "fraction"}
    match letter:
        case "y" | "u":
            return r"(?P<short_year>\d\d)" if count == 2 else r"(?P<year>\d{4})"
        case "M" if count > 2:
            return f"(?P<month_name>{'|'.join(name[:3] if count == 3 else name for name in MONTHS)})"
        case "M":
            return f"(?P<month>{digits})"
        case "a":
            return "(?P<half>[AP]M)"
        case "X" | "x":
            forms = {1: r"[+-]\d\d(?:\d\d)?", 2: r"[+-]\d{4}", 3: r"[+-]\d\d:\d\d"}
            return f"(?P<offset>{'(?-i:Z)|' * (letter == 'X')}{forms[count]})"
        case "Z":
            return r"(?P<offset>[+-]\d{4})"
        case "S":
            return rf"(?P<fraction>\d{{{count}}})"
        case _:
            return f"(?P<{names[letter]}>{digits})"


def broken_rules(value: Any, column: Column) -> Iterator[str]:
    """The rules on a column's values that one breaks."""
    for rule in column.rules:
        if not isinstance(rule, Required) and not holds(value, rule, column):
            yield f"{column.name}: {rule.rule}"


def holds(value: Any, rule: Rule, column: Column) -> bool:
    """Whether a value keeps a rule."""
    match rule:
        case Bound(rule=name, limit=limit):
            other = as_limit(limit, column)
            if name == "minimum":
                return bool(value >= other)
            if name == "exclusiveMinimum":
                return bool(value > other)
            return bool(value <= other if name == "maximum" else value < other)
        case MultipleOf(step=step):
            # Not as decimals: of those, Python refuses a quotient of more than 28 digits.
            return Fraction(value) % Fraction(step) == 0
        case Length(rule=name, characters=characters):
            return len(value) >= characters if name == "minLength" else len(value) <= characters
        case Pattern(regex=regex):
            return re.search(as_in_re2(regex), value, re.ASCII) is not None
        case TextFormat(regex=regex):
            return re.fullmatch(regex, value, re.ASCII) is not None
        case OneOf(values=values):
            return value in [as_limit(allowed, column) for allowed in values]
        case _:
            return True


def as_in_re2(regex: str) -> str:
    """A pattern that Python reads as RE2 does: vertical tabs are no blanks, and nothing may stand behind the end."""
    for letter, blanks in {r"\s": r"[\t\n\f\r ]", r"\S": r"[^\t\n\f\r ]"}.items():
        regex = regex.replace(letter, blanks)
    return re.sub(r"\$$", r"\\Z", regex)


def as_limit(text: str, column: Column) -> Any:
    """A limit or allowed value of a contract: text in the column's own type, moments in ISO 8601."""
    match column.sql_type:
        case "VARCHAR":
            return text
        case "BOOLEAN":
            return text == "true"
        case "DATE":
            return dt.date.fromisoformat(text)
        case "TIME":
            return dt.time.fromisoformat(text)
        case "TIMESTAMP" | "TIMESTAMPTZ":
            return dt.datetime.fromisoformat(text)
        case "DOUBLE":
            return float(text)
        case _:
            return Decimal(text)

"""Types of columns: `physicalType` and `logicalType` as DuckDB types, and values of a type as a contract writes them.

`physicalType` decides when it is given. Otherwise `logicalType`: a `number` without a `format` is DECIMAL(18,4),
never a binary fraction, because most numbers in sales files are money; an `integer` without one is BIGINT.
"""

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from orchestration_project.contracts.date_formats import DateFormat
from orchestration_project.contracts.errors import Place, did_you_mean, excerpt, listed


class Kind(StrEnum):
    """The kinds of values. Which options a column may have depends on the kind."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"

    @property
    def is_number(self) -> bool:
        """Whether values are numbers."""
        return self in (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT)


@dataclass(frozen=True, slots=True)
class SqlType:
    """A DuckDB type. `low` and `high` limit numbers (inclusive), `max_length` and `text_format` a text."""

    sql: str
    kind: Kind
    low: Decimal | None = None
    high: Decimal | None = None
    scale: int = 0
    max_length: int | None = None
    text_format: str = ""


TEXT = SqlType("VARCHAR", Kind.TEXT)
TIMESTAMPTZ = SqlType("TIMESTAMPTZ", Kind.TIMESTAMP)
DEFAULT_PRECISION = (18, 4)


def _integer(name: str, bits: int) -> SqlType:
    unsigned = name.startswith("U")
    low = 0 if unsigned else -(2 ** (bits - 1))
    return SqlType(name, Kind.INTEGER, Decimal(low), Decimal(2 ** (bits if unsigned else bits - 1) - 1))


_INTEGERS = {
    prefix + name: _integer(prefix + name, bits)
    for name, bits in (("TINYINT", 8), ("SMALLINT", 16), ("INTEGER", 32), ("BIGINT", 64), ("HUGEINT", 128))
    for prefix in ("", "U")
}
# As in PostgreSQL, INT8 has 8 bytes. The standard's format i8 has 8 bits: see `INTEGER_FORMATS`.
SYNONYMS = {
    "TINYINT": ("INT1",),
    "SMALLINT": ("INT2", "SHORT", "INT16"),
    "INTEGER": ("INT", "INT4", "SIGNED", "INT32"),
    "BIGINT": ("INT8", "LONG", "INT64"),
    "HUGEINT": ("INT128",),
    "UTINYINT": ("UINT8",),
    "USMALLINT": ("UINT16",),
    "UINTEGER": ("UINT32",),
    "UBIGINT": ("UINT64",),
    "UHUGEINT": ("UINT128",),
    "DOUBLE": ("FLOAT8", "DOUBLE PRECISION"),
    "FLOAT": ("FLOAT4", "REAL"),
    "BOOLEAN": ("BOOL", "LOGICAL"),
    "VARCHAR": ("TEXT", "STRING", "CHAR", "NVARCHAR", "NCHAR", "CHARACTER VARYING", "CHARACTER"),
    "DECIMAL": ("NUMERIC", "DEC"),
    "TIMESTAMP": ("DATETIME", "TIMESTAMP WITHOUT TIME ZONE"),
    "TIMESTAMPTZ": ("TIMESTAMP WITH TIME ZONE",),
    "TIME": ("TIME WITHOUT TIME ZONE",),
}
_TYPES: dict[str, SqlType] = {
    **_INTEGERS,
    "DOUBLE": SqlType("DOUBLE", Kind.FLOAT),
    "FLOAT": SqlType("FLOAT", Kind.FLOAT),
    "BOOLEAN": SqlType("BOOLEAN", Kind.BOOLEAN),
    "VARCHAR": TEXT,
    # DuckDB's own UUID also takes braces and texts without hyphens, and writes all in small letters. So it would change
    # what was delivered.
    "UUID": SqlType("VARCHAR", Kind.TEXT, text_format="uuid"),
    "DATE": SqlType("DATE", Kind.DATE),
    "TIME": SqlType("TIME", Kind.TIME),
    "TIMESTAMP": SqlType("TIMESTAMP", Kind.TIMESTAMP),
    "TIMESTAMPTZ": TIMESTAMPTZ,
}
_CANONICAL = {synonym: name for name, synonyms in SYNONYMS.items() for synonym in synonyms}
NAMES = tuple(sorted([*_TYPES, *_CANONICAL, "DECIMAL"]))
# `DECIMAL(10, 2)` is DECIMAL, 10, 2; `DOUBLE PRECISION` has a blank in its name.
_DECLARATION = re.compile(r"([A-Z][A-Z0-9 _]*?)\s*(?:\(\s*(\d{1,6})\s*(?:,\s*(\d{1,6})\s*)?\))?", re.ASCII)

INTEGER_FORMATS = {
    f"{sign}{bits}": ("U" if sign == "u" else "") + name
    for bits, name in ((8, "TINYINT"), (16, "SMALLINT"), (32, "INTEGER"), (64, "BIGINT"), (128, "HUGEINT"))
    for sign in ("i", "u")
}
NUMBER_FORMATS = {"f32": "FLOAT", "f64": "DOUBLE"}
_LOGICAL = {
    "string": (Kind.TEXT,),
    "integer": (Kind.INTEGER,),
    "number": (Kind.DECIMAL, Kind.FLOAT, Kind.INTEGER),
    "boolean": (Kind.BOOLEAN,),
    # Up to 3.0 the standard had no timestamp: `date` is what such contracts say of one.
    "date": (Kind.DATE, Kind.TIMESTAMP),
    "timestamp": (Kind.TIMESTAMP,),
    "time": (Kind.TIME,),
}
NESTED = ("object", "array", "map", "vector")


def sql_type(physical: str | None, logical: str | None, number_format: str | None, place: Place) -> SqlType | None:
    """The type of a column; None after something was reported at `place` (the column's)."""
    if logical in NESTED:
        place.key("logicalType").problem(
            f"{logical} is not supported; a feed's columns hold one value each: {listed(_LOGICAL)}"
        )
        return None
    if physical is not None:
        declared = _physical(physical, place.key("physicalType"))
        return _agreed(declared, physical, logical, number_format, place) if declared and logical else declared
    if logical is None:
        place.problem("needs a physicalType or a logicalType")
        return None
    return _logical(logical, number_format)


def _logical(logical: str, number_format: str | None) -> SqlType:
    if logical == "integer":
        return _TYPES[INTEGER_FORMATS.get(number_format or "i64", "BIGINT")]
    if logical == "number":
        return _TYPES[NUMBER_FORMATS[number_format]] if number_format in NUMBER_FORMATS else decimal(*DEFAULT_PRECISION)
    return {"string": TEXT}.get(logical) or _TYPES[logical.upper()]


def _physical(declaration: str, place: Place) -> SqlType | None:
    match = _DECLARATION.fullmatch(" ".join(declaration.upper().split()))
    name = _CANONICAL.get(match[1], match[1]) if match else ""
    if match is None or (name not in _TYPES and name != "DECIMAL"):
        place.problem(f"{declaration!r} is not supported; allowed: {listed(NAMES)}{did_you_mean(declaration, NAMES)}")
        return None
    first, second = (int(part) if part else None for part in match.group(2, 3))
    if name == "DECIMAL":
        return _checked_decimal(first, second, place)
    # Both hold microseconds, so TIMESTAMP(9) would promise digits that are lost.
    if first is None or (name in ("TIMESTAMP", "TIME") and second is None and first <= 6):
        return _TYPES[name]
    if name == "VARCHAR" and second is None and first > 0:
        return SqlType("VARCHAR", Kind.TEXT, max_length=first)
    place.problem(f"{declaration!r}: {name} can't have these parameters")
    return None


def _checked_decimal(precision: int | None, scale: int | None, place: Place) -> SqlType | None:
    if precision is None:
        return decimal(*DEFAULT_PRECISION)
    scale = scale or 0
    if not 1 <= precision <= 38 or scale > precision:
        place.problem(f"DECIMAL({precision},{scale}): allowed are 1 to 38 digits, of which at most all are decimals")
        return None
    return decimal(precision, scale)


def decimal(precision: int, scale: int) -> SqlType:
    """DECIMAL with its limits."""
    high = Decimal(f"{'9' * precision}e-{scale}")
    return SqlType(f"DECIMAL({precision},{scale})", Kind.DECIMAL, high.copy_negate(), high, scale)


def _agreed(declared: SqlType, physical: str, logical: str, number_format: str | None, place: Place) -> SqlType | None:
    # DECIMAL(20,0) is how some databases spell an integer of 20 digits.
    whole = declared.kind is Kind.DECIMAL and declared.scale == 0 and logical == "integer"
    if declared.kind not in _LOGICAL[logical] and not whole:
        place.problem(f"physicalType {physical!r} and logicalType {logical!r} contradict each other")
        return None
    narrow = _TYPES[INTEGER_FORMATS[number_format]] if number_format in INTEGER_FORMATS else declared
    if _holds_less(narrow, declared):
        place.key("logicalTypeOptions", "format").problem(
            f"{number_format} holds less than physicalType {physical!r}, which decides; use physicalType {narrow.sql}"
        )
        return None
    return declared


def _holds_less(narrow: SqlType, wide: SqlType) -> bool:
    if narrow.low is None or narrow.high is None or wide.low is None or wide.high is None:
        return False
    return narrow.low > wide.low or narrow.high < wide.high


_EXAMPLES = {Kind.DATE: "2025-01-31", Kind.TIME: "23:59:59", Kind.TIMESTAMP: "2025-01-31 23:59:59"}

Comparable = Decimal | dt.date | dt.time | str | bool
"""What a value is compared as; two of the same column are of the same type."""


@dataclass(frozen=True, slots=True)
class Literals:
    """Reads values of one column from its contract: limits, enum, valid values. Dates are ISO 8601 or in its format."""

    type: SqlType
    date_format: DateFormat | None = None
    timezone: str = "UTC"

    def read(self, value: Any) -> tuple[Comparable, str]:
        """The value for comparing, and as text in the column's type (dates in ISO 8601).

        Raises:
            ValueError: it is not a value of the type; the text tells what is allowed.
        """
        kind = self.type.kind
        if kind.is_number:
            number = self._number(value)
            return number, format(number, "f")
        if kind is Kind.BOOLEAN:
            if not isinstance(value, bool):
                raise ValueError(f"found {excerpt(value)}; allowed: true or false")
            return value, str(value).lower()
        if not isinstance(value, str):
            raise ValueError(f"found {excerpt(value)}; the column is {self.type.sql}: put the value in quotes")  # noqa: TRY004 - the contract is wrong, not the program
        return (value, value) if kind is Kind.TEXT else self._moment(value)

    def text(self, value: Any) -> str:
        """The value as text in the column's type. Raises ValueError as `read` does."""
        return self.read(value)[1]

    def _number(self, value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            raise ValueError(f"found {excerpt(value)}; allowed: a number")  # noqa: TRY004 - the contract is wrong, not the program
        try:
            number = Decimal(value.strip() if isinstance(value, str) else value)
        except InvalidOperation:
            raise ValueError(f"found {excerpt(value)}; allowed: a number") from None
        # DOUBLE ends at 1e308, and 1e1000000 written out would fill the memory.
        if not number.is_finite() or abs(number.adjusted()) > 300:
            raise ValueError(f"found {excerpt(value)}; allowed: a finite number")
        if self.type.kind is Kind.INTEGER and number != number.to_integral_value():
            raise ValueError(f"found {excerpt(value)}; the column is {self.type.sql}: only whole numbers")
        low, high = self.type.low, self.type.high
        if low is not None and high is not None and not low <= number <= high:
            raise ValueError(f"found {excerpt(value)}, which {self.type.sql} can't hold; allowed: {low} to {high}")
        if self.type.sql == "FLOAT" and abs(number) > Decimal("3.4e38"):
            raise ValueError(f"found {excerpt(value)}, which FLOAT can't hold")
        return number or Decimal(0)  # -0 and 0.00 are written as 0

    def _moment(self, text: str) -> tuple[Comparable, str]:
        kind = self.type.kind
        # ISO 8601 first: every column's limits may be written so, whatever form its files have.
        parsed = _iso(text, kind)
        if parsed is None and self.date_format and (moment := self.date_format.parse(text)):
            parsed = moment if kind is Kind.TIMESTAMP else moment.date() if kind is Kind.DATE else moment.time()
        if parsed is None:
            own = " or in the column's format" if self.date_format else ""
            raise ValueError(f"found {text!r}; allowed: a {kind} in ISO 8601, e.g. {_EXAMPLES[kind]!r}{own}")
        if isinstance(parsed, dt.datetime):
            return self._timestamp(parsed, text)
        if isinstance(parsed, dt.time) and parsed.tzinfo is not None:
            raise ValueError(f"found {text!r}; a time has no offset")
        return parsed, parsed.isoformat()

    def _timestamp(self, moment: dt.datetime, text: str) -> tuple[Comparable, str]:
        if self.type.sql == "TIMESTAMP":
            if moment.tzinfo is not None:
                raise ValueError(f"found {text!r}; the column is TIMESTAMP: no offset")
            return moment, moment.isoformat(sep=" ")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(self.timezone))
        try:
            moment = moment.astimezone(dt.UTC)
        except OverflowError:
            raise ValueError(f"found {text!r}, which lies outside of the years 1 to 9999") from None
        return moment, moment.isoformat(sep=" ")


def _iso(text: str, kind: Kind) -> dt.date | dt.time | None:
    try:
        if kind is Kind.DATE:
            return dt.date.fromisoformat(text)
        return dt.time.fromisoformat(text) if kind is Kind.TIME else dt.datetime.fromisoformat(text)
    except ValueError:
        return None

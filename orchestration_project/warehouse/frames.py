"""DataFrames: what each column's type is, by all of its values, and how DuckDB is given it unchanged.

DuckDB guesses the type of Python objects from a sample, makes text of what it does not know, and a text with half a
surrogate pair makes the database unusable. So it is given numbers, times and text of types that are known here.

Belongs here: a frame by itself. What it has to fit, a table, is in `frame_tables`.
"""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd

from orchestration_project.contracts.columns import is_about_people
from orchestration_project.contracts.feed import MASK
from orchestration_project.errors import WarehouseError, visible
from orchestration_project.warehouse.frame_values import DTYPES, TIMESTAMPS, ZONED, as_plain, is_plain
from orchestration_project.warehouse.tables import ident, is_unicode

NARROW_DIGITS, MOST_DIGITS = 18, 38
"""Digits of a DECIMAL of 64 bits and of any DECIMAL."""
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a frame as DuckDB is given it.

    Attributes:
        name: its name.
        values: what DuckDB scans.
        sql_type: the DuckDB type of its values; empty where DuckDB has to say it.
        given: the frame's own values, for messages.
        decode: an expression that makes a value of `sql_type` out of what is scanned, `{}`.
        filled: whether it has a value at all. One that has none fits every type.
    """

    name: str
    values: "pd.Series[Any]"
    sql_type: str
    given: "pd.Series[Any]"
    decode: str = "{}"
    filled: bool = True

    def shown(self, row: int) -> str:
        """A value for a message, by its place in the frame."""
        value = self.given.iloc[row]
        # numpy's own repr has the type's name in it.
        text = visible(repr(value.item() if isinstance(value, np.generic) else value))
        return masked(self.name, text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def masked(column: str, text: str) -> str:
    """A text that may have values of a column in it, unless the column's name is about people."""
    return MASK if is_about_people(column) else text


class Unfit(WarehouseError):
    """A column can't be stored as it is."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(f"column {column}: {why}")


def columns_of_frame(frame: pd.DataFrame) -> dict[str, Column]:
    """The columns of a frame by name, in order.

    Raises:
        WarehouseError: the names are none for a table, or a column has values that can't be stored unchanged.
    """
    _require_names(frame)
    return {
        str(name): _column(str(name), frame.iloc[:, place].reset_index(drop=True)) for place, name in enumerate(frame)
    }


def _require_names(frame: pd.DataFrame) -> None:
    """Refuse a frame whose columns can't all be columns of a table, or whose index would be lost."""
    names: list[Any] = list(frame.columns)
    if not names:
        raise WarehouseError("the frame has no columns, so there is no table to make of it")
    if other := [name for name in names if not isinstance(name, str)]:
        raise WarehouseError(
            f"the frame has column names that are no text, such as {other[0]!r}: rename them, for example by"
            " frame.columns = ['a', 'b']"
        )
    for name in names:
        if ident(name) == '""':
            raise WarehouseError("the frame has a column without a name: rename it")
    # DuckDB compares names without regard to case, in ASCII only; who relies on the rest confuses people.
    counts = Counter(name.lower() for name in names)
    if twice := [name for name in names if counts[name.lower()] > 1]:
        raise WarehouseError(
            f"the frame has column names that are the same, or differ only by case: {', '.join(twice)}; a table can't"
            " have both: rename or drop one"
        )
    if named := [str(name) for name in frame.index.names if name is not None]:
        raise WarehouseError(
            f"the frame's index {', '.join(named)} would be lost, for only columns are stored: call reset_index(), or"
            " reset_index(drop=True) if it isn't needed"
        )


def _column(name: str, given: "pd.Series[Any]") -> Column:
    dtype = given.dtype
    sql_type = DTYPES.get(str(dtype).lower())
    if sql_type:
        return Column(name, given, sql_type, given, filled=bool(given.notna().any()))
    if isinstance(dtype, np.dtype) and dtype.kind == "M":
        return Column(name, given, TIMESTAMPS[given.dt.unit], given, filled=bool(given.notna().any()))
    if isinstance(dtype, pd.DatetimeTZDtype):
        _refuse(name, given, given.dt.nanosecond.fillna(0) != 0, "has nanoseconds, and times with a zone have none")
        # DuckDB stores a moment, not the zone in which it was told.
        values = given.dt.as_unit("us").dt.tz_convert("UTC")
        return Column(name, values, ZONED, given, filled=bool(given.notna().any()))
    if isinstance(dtype, np.dtype) and dtype.kind == "m":
        _refuse(name, given, given.dt.nanoseconds.fillna(0) % 1000 != 0, "has nanoseconds, and an INTERVAL has none")
        return Column(name, given.dt.as_unit("us"), "INTERVAL", given, filled=bool(given.notna().any()))
    # Categories, text of all kinds and what only pandas has: as objects they are as good as any others.
    try:
        return _objects(name, given.astype(object))
    except InvalidOperation as error:
        raise Unfit(name, "has a signalling NaN, which pandas can't even compare") from error


def _refuse(name: str, given: "pd.Series[Any]", wrong: Iterable[Any], why: str) -> None:
    """Refuse a column that has a wrong value, by the first one.

    Raises:
        Unfit: names the row and the value.
    """
    row = next((row for row, is_wrong in enumerate(wrong) if is_wrong), None)
    if row is not None:
        raise Unfit(name, f"row {row + 1} of the frame, {Column(name, given, '', given).shown(row)}, {why}")


def _objects(name: str, given: "pd.Series[Any]") -> Column:
    """A column of Python objects, by the types of all of them."""
    types = set(map(type, given[given.notna()].tolist()))
    if not types:
        # Which type it takes is decided by whatever comes later.
        return Column(name, pd.Series([None] * len(given), dtype="string"), "VARCHAR", given, filled=False)
    for accepted, excepted, make in _MAKERS:
        if all(issubclass(found, accepted) and not issubclass(found, excepted) for found in types):
            try:
                return make(name, given)
            except (OverflowError, ValueError, pd.errors.OutOfBoundsDatetime) as error:
                # The message of pandas shows the value, so it is masked as ours are, and its traceback is cut off.
                raise Unfit(name, f"has values that can't be stored: {masked(name, str(error))}") from None
    kinds = sorted(found.__name__ for found in types)
    if len(kinds) > 1:
        raise Unfit(
            name,
            f"has values of several kinds ({', '.join(kinds)}), which no column of a table can have: make them one kind"
            f" first, for example by frame.astype({{{name!r}: 'string'}})",
        )
    raise Unfit(
        name, f"values of the kind {kinds[0]} can't be stored unchanged: make text, numbers or times of them first"
    )


def _mapped(given: "pd.Series[Any]", convert: Callable[[Any], Any], dtype: str) -> "pd.Series[Any]":
    """The values converted, in an array of a type that DuckDB knows without a guess; NULL stays NULL."""
    # NaN, NaT and None all are NULL: pandas itself does not tell them apart.
    missing = given.isna()
    return pd.Series(
        [None if gone else convert(value) for value, gone in zip(given, missing, strict=True)], dtype=dtype
    )


def _text(name: str, given: "pd.Series[Any]") -> Column:
    present = given[given.notna()].tolist()
    # Most text is ASCII, which is told without a step of Python for each value; so is text of no class of its own.
    if not all(map(str.isascii, present)):
        _refuse(name, given, (isinstance(value, str) and not is_unicode(value) for value in given), HALF_CHARACTER)
    plain = set(map(type, present)) == {str}
    return Column(name, given.astype("string") if plain else _mapped(given, str.__str__, "string"), "VARCHAR", given)


HALF_CHARACTER = "has half of a character that takes two (a lone surrogate): mend the text, or store it as bytes"


def _booleans(name: str, given: "pd.Series[Any]") -> Column:
    return Column(name, _mapped(given, bool, "boolean"), "BOOLEAN", given)


def _integers(name: str, given: "pd.Series[Any]") -> Column:
    numbers = [int(value) for value in given[given.notna()]]
    if min(numbers) >= -(2**63) and max(numbers) < 2**63:
        return Column(name, _mapped(given, int, "Int64"), "BIGINT", given)
    wrong = (not (pd.isna(value) or -(2**127) <= int(value) < 2**127) for value in given)
    _refuse(name, given, wrong, "is larger than any integer that can be stored")
    # pandas has no integers of 128 bits, and DuckDB casts text to them exactly.
    return Column(name, _mapped(given, lambda value: str(int(value)), "string"), "HUGEINT", given)


def _floats(name: str, given: "pd.Series[Any]") -> Column:
    _refuse(name, given, (not pd.isna(value) and float(value) != value for value in given), "is no DOUBLE exactly")
    return Column(name, _mapped(given, float, "float64"), "DOUBLE", given)


def _decimals(name: str, given: "pd.Series[Any]") -> Column:
    """Decimals as text: a cast of text is exact."""
    _refuse(name, given, (isinstance(value, Decimal) and value.is_infinite() for value in given), "is no number")
    tuples = [Decimal(value).as_tuple() for value in given[given.notna()]]
    exponents = [(len(parts.digits), int(parts.exponent)) for parts in tuples]
    scale = max(max(-exponent, 0) for _, exponent in exponents)
    whole = max(max(digits + exponent, 0) for digits, exponent in exponents)
    if whole + scale > MOST_DIGITS:
        raise Unfit(
            name,
            f"its decimals need {whole} digits before and {scale} after the point, and a DECIMAL has at most"
            f" {MOST_DIGITS} in all: round them first",
        )
    # Two sizes only: the type would else change with every value that is a digit longer.
    digits = NARROW_DIGITS if whole + scale <= NARROW_DIGITS else MOST_DIGITS
    values = _mapped(given, lambda value: format(Decimal(value), "f"), "string")
    return Column(name, values, f"DECIMAL({digits},{scale})", given)


def _dates(name: str, given: "pd.Series[Any]") -> Column:
    return Column(name, _mapped(given, dt.date.isoformat, "string"), "DATE", given)


def _times(name: str, given: "pd.Series[Any]") -> Column:
    wrong = (isinstance(value, dt.time) and value.tzinfo is not None for value in given)
    _refuse(name, given, wrong, "is a time of day with a zone, which can't be stored unchanged")
    return Column(name, _mapped(given, dt.time.isoformat, "string"), "TIME", given)


def _timestamps(name: str, given: "pd.Series[Any]") -> Column:
    moments = _mapped(given, lambda value: value if isinstance(value, dt.datetime) else pd.Timestamp(value), "object")
    present = moments[moments.notna()]
    fine = any(getattr(moment, "nanosecond", 0) for moment in present)
    if all(moment.tzinfo is None for moment in present):
        unit = "ns" if fine else "us"
        return Column(name, _mapped(moments, lambda moment: moment, f"datetime64[{unit}]"), TIMESTAMPS[unit], given)
    naive = (not pd.isna(moment) and moment.tzinfo is None for moment in moments)
    _refuse(name, given, naive, "has no time zone, and others have one")
    wrong = (getattr(moment, "nanosecond", 0) for moment in moments)
    _refuse(name, given, wrong, "has nanoseconds, and times with a zone have none")
    values = _mapped(moments, lambda moment: moment.astimezone(dt.UTC), "datetime64[us, UTC]")
    return Column(name, values, ZONED, given)


def _intervals(name: str, given: "pd.Series[Any]") -> Column:
    spans = _mapped(given, lambda value: value if isinstance(value, dt.timedelta) else pd.Timedelta(value), "object")
    wrong = (getattr(span, "nanoseconds", 0) % 1000 for span in spans)
    _refuse(name, given, wrong, "has nanoseconds, and an INTERVAL has none")
    return Column(name, spans.astype("timedelta64[us]"), "INTERVAL", given)


def _bytes(name: str, given: "pd.Series[Any]") -> Column:
    # As text: pandas has bytes as objects only, whose type DuckDB would guess.
    return Column(name, _mapped(given, lambda value: bytes(value).hex(), "string"), "BLOB", given, "unhex({})")


def _nested(name: str, given: "pd.Series[Any]") -> Column:
    """Lists, dictionaries and UUIDs: only DuckDB can tell their type. Who stores them compares what it made of them."""
    plain = _mapped(given, as_plain, "object")
    _refuse(name, given, (not is_plain(value) for value in plain), "holds what can't be stored unchanged")
    return Column(name, plain, "", given)


Maker = Callable[[str, "pd.Series[Any]"], Column]
_NO_INTEGERS = (bool, np.timedelta64)  # Python and numpy derive them from integers
# The first that takes all of a column's types makes it, so integers alone are no floats, and a datetime, which is a
# date to Python, is no day. Text beside numbers has no maker: what it should become a person has to say.
_MAKERS: Sequence[tuple[tuple[type, ...], tuple[type, ...], Maker]] = (
    ((str,), (), _text),
    ((bool, np.bool_), (), _booleans),
    ((int, np.integer), _NO_INTEGERS, _integers),
    ((int, np.integer, float, np.floating), _NO_INTEGERS, _floats),
    ((int, Decimal), _NO_INTEGERS, _decimals),
    ((dt.datetime, np.datetime64), (), _timestamps),
    ((dt.date,), (dt.datetime,), _dates),
    ((dt.timedelta, np.timedelta64), (), _intervals),
    ((dt.time,), (), _times),
    ((bytes, bytearray, memoryview), (), _bytes),
    ((list, tuple, np.ndarray), (), _nested),
    ((dict,), (), _nested),
    ((uuid.UUID,), (), _nested),
)
"""The types that a column's values may have, those among them that they may not, and what makes the column of them."""

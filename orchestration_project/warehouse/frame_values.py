"""Values between Python and DuckDB, unchanged: which types hold the same ones, what DuckDB gives back, how it is read.

Belongs here: types and values by themselves, and a query's rows as a frame. What a column of a frame is, is in
`frames`; what a table's columns become when a frame is written, in `frame_tables`.
"""

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from orchestration_project.warehouse.tables import ident, is_unicode, types_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DTYPES = {
    "bool": "BOOLEAN",
    "boolean": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "float16": "FLOAT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
}
"""DuckDB's types by the lower-case name of pandas' ones; those with an own NULL, such as Int64, have the same."""
# The units of pandas stay apart: a TIMESTAMP is to the microsecond and would cut nanoseconds.
TIMESTAMPS = {"s": "TIMESTAMP_S", "ms": "TIMESTAMP_MS", "us": "TIMESTAMP", "ns": "TIMESTAMP_NS"}
ZONED = "TIMESTAMP WITH TIME ZONE"
INTEGERS = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
UNSIGNED = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64, "UHUGEINT": 128}
"""Bits of a number, without its sign."""
PLAIN_TIMES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
INTEGER_TYPE = re.compile(r"\bU?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)\b")
# A later day may bring equal values under another type: pandas makes floats of integers as soon as one is missing.
ALIKE = {("float", "integer"), ("integer", "float"), ("integer", "decimal"), ("date", "time"), ("time", "date")}
"""Kinds of a frame and a table that can hold the same values: 10.0 and 10, a day and its midnight."""
DECLARED_ALIKE = {("float", "decimal"), ("decimal", "float"), ("decimal", "integer")}
"""More of them where the type is declared: a float then means the number that it is written as."""
EXACT_DIGITS = 15  # so many digits of a decimal number survive a DOUBLE


def kind_of(sql_type: str) -> str:
    """What values of a type are; types of one kind have the same values, as far as they hold them."""
    if sql_type.startswith("TIMESTAMP WITH"):
        return "moment"
    for start, kind in (
        ("TIMESTAMP", "time"),
        ("DECIMAL", "decimal"),
        ("ENUM", "text"),
        ("VARCHAR", "text"),
        ("FLOAT", "float"),
        ("DOUBLE", "float"),
        ("DATE", "date"),
    ):
        if sql_type.startswith(start) and not sql_type.endswith("]"):
            return kind
    # Nested types are their own kind, but for the size of their integers: INTEGER[] and BIGINT[] hold the same lists.
    return "integer" if INTEGER_TYPE.fullmatch(sql_type) else INTEGER_TYPE.sub("integer", sql_type)


def may_hold(kind: str, other: str, *, declared: bool) -> bool:
    """Whether values of one kind may be written to a column of another one, if they are the same there."""
    more = declared and ((kind, other) in DECLARED_ALIKE or kind == "text")
    return kind == other or (kind, other) in ALIKE or more


def cast(value: str, own: str, other: str, *, attempt: bool = False) -> str:
    """A value of one type in another; with `attempt`, NULL where the other can't hold it."""
    if own != other and {own, other} <= PLAIN_TIMES:
        # DuckDB 1.5.5 raises beyond the years of TIMESTAMP_NS, TRY_CAST or not, and has no cast from MS to S.
        value = f"CAST({value} AS VARCHAR)"
    return f"{'TRY_' if attempt else ''}CAST({value} AS {other})"


def changed(value: str, own: str, other: str) -> str:
    """A condition that is true where a value is not the same in another type: it is cast there and back.

    10.5 to BIGINT and back is a whole number: changed. '1.10' to DECIMAL(18,1) and back is '1.1': the same number.
    """
    there = cast(value, own, other, attempt=True)
    back = cast(there, other, own)
    if own != "VARCHAR" or kind_of(other) == "text":
        return f"({back} IS DISTINCT FROM {value})"
    # Text comes back as DuckDB writes it, so what says the same has to be made alike: 1.1 and 1.10 are one number, a
    # midnight may be written as a day. 00123 stays changed: it is a code, and its zeros would be lost.
    if kind_of(other) == "time":
        value, back = f"replace({value}, 'T', ' ')", f"regexp_replace({back}, ' 00:00:00$', '')"
        value = f"regexp_replace({value}, ' 00:00:00$', '')"
    written, read = (f"rtrim(regexp_replace({text}, '(\\.\\d*?)0+$', '\\1'), '.')" for text in (value, back))
    return f"({written} IS DISTINCT FROM {read})"


def integer_type(had: str, least: int, most: int) -> str:
    """The integer type that holds what a column of type `had` may hold, and the numbers from `least` to `most`.

    It is `had` where that holds them, or where no type of DuckDB holds both.
    """
    # A negative number needs as many bits as its complement: -128 fits the seven of a TINYINT.
    bits = max((number if number >= 0 else -number - 1).bit_length() for number in (least, most))
    if had in UNSIGNED and least >= 0 and bits <= UNSIGNED[had]:
        return had
    needed = max(bits, INTEGERS.get(had, 0), UNSIGNED.get(had, 0))
    return next((sql_type for sql_type, held in INTEGERS.items() if held >= needed), had)


def as_plain(value: Any) -> Any:
    """A nested value with lists in the place of arrays and tuples."""
    if isinstance(value, np.ndarray | np.generic):
        return as_plain(value.tolist())
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    return value


def is_plain(value: Any) -> bool:
    """Whether DuckDB can be given a nested value without harm; it may still make something else of it."""
    if isinstance(value, list):
        return all(is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(is_plain(part) for pair in value.items() for part in pair)
    if isinstance(value, str):
        return is_unicode(value)
    # Of any other object DuckDB would make text.
    return value is None or isinstance(value, bool | int | float | bytes | Decimal | dt.date | dt.time | uuid.UUID)


def is_same(written: Any, read: Any) -> bool:
    """Whether DuckDB gives a nested value back as it was written, down to the types."""
    if isinstance(written, list):
        return isinstance(read, list) and len(written) == len(read) and all(map(is_same, written, read))
    if isinstance(written, dict):
        return (
            isinstance(read, dict)
            and written.keys() == read.keys()
            and all(is_same(item, read[key]) for key, item in written.items())
        )
    # By type as well: True equals 1 and 1 equals 1.0. NaN is not equal to itself, and is the same all the same.
    return type(written) is type(read) and (written == read or (written != written and read != read))


def load(connection: "DuckDBPyConnection", select: str) -> pd.DataFrame:
    """The rows of a query as a frame, exactly.

    DECIMAL becomes float64, which pandas can sort and add up, where each value has at most 15 digits, which floats give
    back; else Python's Decimal. HUGEINT becomes Python's integers, other integers those of pandas.
    """
    # pandas has neither type: fetchdf() makes a float64 of a HUGEINT and of any DECIMAL.
    types = types_of(connection, f"({select})")
    exact: dict[str, type] = {name: int for name, sql_type in types.items() if sql_type in {"HUGEINT", "UHUGEINT"}}
    decimals = {name: _precision(sql_type) for name, sql_type in types.items() if kind_of(sql_type) == "decimal"}
    # By the type alone every DECIMAL(18,2) would be slow objects, and that is the usual one. So the values are asked.
    wide = {name: scale for name, (precision, scale) in decimals.items() if precision > EXACT_DIGITS}
    if wide:
        largest = ", ".join(f"max(abs({ident(name)}))" for name in wide)
        found = connection.execute(f"SELECT {largest} FROM ({select})").fetchone() or ()
        for (name, scale), most in zip(wide.items(), found, strict=True):
            if most is not None and most.scaleb(scale) >= 10**EXACT_DIGITS:
                exact[name] = Decimal
    if not exact:
        return connection.execute(select).fetchdf()
    # Through text, which is exact.
    texts = ", ".join(f"CAST({ident(name)} AS VARCHAR) AS {ident(name)}" for name in exact)
    frame = connection.execute(f"SELECT * REPLACE ({texts}) FROM ({select})").fetchdf()
    return frame.assign(**{name: _from_text(frame[name], kind) for name, kind in exact.items()})


def _precision(sql_type: str) -> tuple[int, int]:
    """The digits in all and after the point of `DECIMAL(18,2)`."""
    precision, scale = re.findall(r"\d+", sql_type)
    return int(precision), int(scale)


def _from_text(texts: "pd.Series[Any]", kind: type) -> "pd.Series[Any]":
    return pd.Series([None if pd.isna(text) else kind(text) for text in texts], index=texts.index, dtype=object)

"""Values between Python and DuckDB, unchanged: what DuckDB can be given, whether it gives it back, how it is read.

Belongs here: values by themselves, and a query's rows as a frame. What a column of a frame becomes is in `frames`.
"""

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from orchestration_project.warehouse.frame_types import kind_of
from orchestration_project.warehouse.tables import ident, types_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXACT_DIGITS = 15
"""So many digits of a decimal number survive a DOUBLE."""


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    return type(written) is type(read) and (written == read or (written != written and read != read))


def load(connection: "DuckDBPyConnection", select: str) -> pd.DataFrame:
    """The rows of a query as a frame, exactly.

    DECIMAL becomes float64, which pandas can sort and add up, where each value has at most 15 digits, which floats give
    back; else Python's Decimal. HUGEINT becomes Python's integers, other integers those of pandas.
    """
    types = types_of(connection, f"({select})")
    exact: dict[str, type] = {name: int for name, sql_type in types.items() if sql_type in {"HUGEINT", "UHUGEINT"}}
    decimals = {name: _precision(sql_type) for name, sql_type in types.items() if kind_of(sql_type) == "decimal"}
    wide = {name: scale for name, (precision, scale) in decimals.items() if precision > EXACT_DIGITS}
    if wide:
        largest = ", ".join(f"max(abs({ident(name)}))" for name in wide)
        found = connection.execute(f"SELECT {largest} FROM ({select})").fetchone() or ()
        for (name, scale), most in zip(wide.items(), found, strict=True):
            if most is not None and most.scaleb(scale) >= 10**EXACT_DIGITS:
                exact[name] = Decimal
    if not exact:
        return connection.execute(select).fetchdf()
    texts = ", ".join(f"CAST({ident(name)} AS VARCHAR) AS {ident(name)}" for name in exact)
    frame = connection.execute(f"SELECT * REPLACE ({texts}) FROM ({select})").fetchdf()
    return frame.assign(**{name: _from_text(frame[name], kind) for name, kind in exact.items()})


def _precision(sql_type: str) -> tuple[int, int]:
    """The digits in all and after the point of `DECIMAL(18,2)`."""
    precision, scale = re.findall(r"\d+", sql_type)
    return int(precision), int(scale)


def _from_text(texts: "pd.Series[Any]", kind: type) -> "pd.Series[Any]":
    return pd.Series([None if pd.isna(text) else kind(text) for text in texts], index=texts.index, dtype=object)

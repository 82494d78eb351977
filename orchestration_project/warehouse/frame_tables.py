"""Tables of DataFrames: a frame takes the place of a table or of some of its partitions, and no value is changed.

A value that the column's type can't hold as it is gets refused, by writing it into that type and back in a query. What
a frame is by itself is in `frames`. Everything runs inside the caller's transaction.

    the table's column       the frame's               becomes
    BIGINT, all NULL         text                      VARCHAR: an empty day decides nothing
    INTEGER                  integers, one is 2^40     BIGINT: the same numbers
    BIGINT                   10.0, 20.0                BIGINT: the same numbers
    BIGINT                   10.5                      refused
    DECIMAL(18,2), declared  '1.10'                    1.10
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from orchestration_project.errors import WarehouseError
from orchestration_project.warehouse.frames import Column, is_same
from orchestration_project.warehouse.tables import (
    add_columns,
    canonical,
    columns_of,
    create_table,
    ident,
    is_empty,
    qualified,
    types_of,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FRAME = "_frame"
EXACT_DIGITS = 15
"""So many digits of a decimal number survive a DOUBLE."""
INTEGERS = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
UNSIGNED = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64, "UHUGEINT": 128}
"""Bits of a number, without its sign."""
INTEGER_TYPE = re.compile(r"\bU?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)\b")
ALIKE = {("float", "integer"), ("integer", "float"), ("integer", "decimal"), ("date", "time"), ("time", "date")}
"""Kinds of a frame and a table that can hold the same values: 10.0 and 10, a day and its midnight."""
DECLARED_ALIKE = {("float", "decimal"), ("decimal", "float"), ("decimal", "integer")}
"""More of them where the type is declared: a float then means the number that it is written as."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame is written to.

    Attributes:
        table: the table's name.
        schema: its schema.
        condition: a SQL condition that is true for the rows of the partitions that are written; None: all rows.
        windows: the SQL expressions of the partitions that are spans of time.
    """

    table: str
    schema: str
    condition: str | None = None
    windows: Sequence[str] = ()


def write(
    connection: "DuckDBPyConnection",
    place: Place,
    columns: Mapping[str, Column],
    declared: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Replace a table or partitions of it with a frame, columns matched by name.

    Args:
        connection: inside a transaction.
        place: where to.
        columns: those of the frame.
        declared: the type of each column; None: the table's, else what the frame has.

    Returns:
        The type of each column in the table.

    Raises:
        WarehouseError: the frame does not fit the table, or has rows of other partitions; nothing may be committed.
    """
    source = pd.DataFrame({f"c{number}": column.values for number, column in enumerate(columns.values())})
    connection.register(FRAME, source)
    try:
        writer = _Writer(connection, place, qualified(connection, place.table, place.schema), columns, declared)
        types = writer.make_room()
        writer.require_fit(types)
        writer.insert(types)
        writer.require_own_partitions(len(source))
    finally:
        connection.unregister(FRAME)
    return types


class _Writer:
    """A frame on its way into a table."""

    def __init__(
        self,
        connection: "DuckDBPyConnection",
        place: Place,
        quoted: str,
        columns: Mapping[str, Column],
        declared: Mapping[str, str] | None,
    ) -> None:
        self.connection, self.place, self.quoted, self.columns = connection, place, quoted, columns
        self.declared = None if declared is None else self._known(declared)
        self.own = {
            column.name: column.sql_type or self._nested_type(number, column)
            for number, column in enumerate(columns.values())
        }

    def _known(self, declared: Mapping[str, str]) -> dict[str, str]:
        import duckdb

        try:
            return canonical(self.connection, declared)
        except duckdb.Error as error:
            raise self._error(f"a declared type is none of DuckDB's: {str(error).splitlines()[0]}") from error

    def _nested_type(self, number: int, column: Column) -> str:
        """The type that DuckDB gives to nested values.

        Raises:
            WarehouseError: it makes other values of them.
        """
        import duckdb

        try:
            read = self.connection.execute(f"SELECT c{number} FROM {FRAME}").fetchall()
        except duckdb.Error as error:
            raise self._error(f"column {column.name} has values that differ in kind: {column.shown(0)}") from error
        for row, (written, (found,)) in enumerate(zip(column.values, read, strict=True)):
            if not is_same(written, found):
                raise self._error(
                    f"column {column.name}, row {row + 1} of the frame can't be stored unchanged beside the others:"
                    f" {column.shown(row)}. Make its values of one kind, or text of them"
                )
        sql_type = types_of(self.connection, FRAME)[f"c{number}"]
        try:
            if canonical(self.connection, {column.name: sql_type}) == {column.name: sql_type}:
                return sql_type
        except duckdb.Error:
            pass
        raise self._error(
            f"column {column.name} has dictionaries with keys that can't be names in SQL, such as {column.shown(0)}"
        )

    def make_room(self) -> dict[str, str]:
        """Leave a table with the frame's columns, and no row where the frame's will be; returns the columns' types."""
        present = columns_of(self.connection, self.place.table, self.place.schema)
        condition = self.place.condition
        if present and condition is not None:
            self._require_columns(present)
            if not is_empty(self.connection, self.quoted) and not is_empty(self.connection, self._others()):
                types = {name: self._fitted(name, present) for name in self.columns}
                self.connection.execute(f"DELETE FROM {self.quoted} WHERE {condition}")
                return types
        # Nothing else is in the table, so it is the frame's alone.
        types = self.declared or self.own
        kept = {name: sql_type for name, sql_type in present.items() if condition is not None and name not in types}
        self.connection.execute(f"DROP TABLE IF EXISTS {self.quoted}")
        create_table(self.connection, self.place.table, types | kept, self.place.schema)
        return types

    def _others(self) -> str:
        """The rows of the table that stay."""
        return f"{self.quoted} WHERE ({self.place.condition}) IS NOT TRUE"

    def _require_columns(self, present: Mapping[str, str]) -> None:
        names = {name.lower(): name for name in self.columns}
        for name in present:
            if names.get(name.lower(), name) != name:
                raise self._error(
                    f"the frame's column {names[name.lower()]} is {name} in the table: write it in the same case"
                )
        missing = [name for name in present if name not in self.columns]
        if missing and self.declared is None:
            raise self._error(
                f"the frame lacks the column(s) {', '.join(missing)} that the table has; add them, or drop them from"
                " the table"
            )

    def _fitted(self, name: str, present: Mapping[str, str]) -> str:
        """The type of a column from now on, which the table's column then has."""
        column, own = self.columns[name], self.own[name]
        wanted = self.declared[name] if self.declared else own
        if name not in present:
            add_columns(self.connection, self.place.table, {name: wanted}, self.place.schema)
            return wanted
        had = present[name]
        if had == wanted or not (column.filled or self.declared):
            return had
        if is_empty(self.connection, f"{self._others()} AND {ident(name)} IS NOT NULL"):
            # Rows of the partition may have values, but these are about to be replaced.
            self._alter(name, wanted, "NULL")
            return wanted
        if self.declared:
            self._convert(name, had, wanted)
            return wanted
        wider = "VARCHAR" if had.startswith("ENUM") else self._widened(name, had)
        if wider != had:
            self._alter(name, wider, ident(name))
        return wider

    def _alter(self, name: str, sql_type: str, value: str) -> None:
        self.connection.execute(
            f"ALTER TABLE {self.quoted} ALTER COLUMN {ident(name)} TYPE {sql_type} USING CAST({value} AS {sql_type})"
        )

    def _convert(self, name: str, had: str, wanted: str) -> None:
        """Give a column of the table the declared type.

        Raises:
            WarehouseError: a value would not be the same.
        """
        pair = (_kind(had), _kind(wanted))
        changed = f"{self.quoted} WHERE {ident(name)} IS NOT NULL AND {_changed(ident(name), had, wanted)}"
        if not (pair[1] == "text" or _may_hold(*pair, declared=True)) or not is_empty(self.connection, changed):
            raise self._error(
                f"column {name} is {had}, and its rows do not fit the declared type {wanted}. Declare {had}, or drop"
                " the table and materialize its partitions again"
            )
        self._alter(name, wanted, ident(name))

    def _widened(self, name: str, had: str) -> str:
        """The integer type that holds the table's and the frame's integers; the table's where there is none."""
        if not (_kind(had) == _kind(self.own[name]) == "integer"):
            return had
        value = self._value(name)
        row = self.connection.execute(f"SELECT min({value}), max({value}) FROM {FRAME}").fetchone() or (0, 0)
        bits = max(int(number if number >= 0 else -number - 1).bit_length() for number in row)
        if had in UNSIGNED and row[0] >= 0 and bits <= UNSIGNED[had]:
            return had
        needed = max(bits, INTEGERS.get(had, 0), UNSIGNED.get(had, 0))
        return next((sql_type for sql_type, held in INTEGERS.items() if held >= needed), had)

    def _value(self, name: str) -> str:
        """The expression of a column's values, in the type that the frame has."""
        number = list(self.columns).index(name)
        return f"CAST({self.columns[name].decode.format(f'c{number}')} AS {self.own[name]})"

    def require_fit(self, types: Mapping[str, str]) -> None:
        """Make sure that each value stays what it is in its column's type.

        Raises:
            WarehouseError: names the first column with one that does not, the first such row, and both types.
        """
        checked = [name for name in types if self.columns[name].filled and types[name] != self.own[name]]
        if not checked:
            return
        tests = []
        for name in checked:
            value = self._value(name)
            possible = _may_hold(_kind(self.own[name]), _kind(types[name]), declared=self.declared is not None)
            changed = _changed(value, self.own[name], types[name]) if possible else "true"
            tests.append(f"min(place) FILTER (WHERE {value} IS NOT NULL AND {changed})")
        rows = f"SELECT *, row_number() OVER () - 1 AS place FROM {FRAME}"
        found = self.connection.execute(f"SELECT {', '.join(tests)} FROM ({rows})").fetchone() or ()
        for name, row in zip(checked, found, strict=True):
            if row is not None:
                raise self._misfit(name, int(row), types[name])

    def _misfit(self, name: str, row: int, sql_type: str) -> WarehouseError:
        declare = (
            f"declare the type that all of its values have in the asset's metadata: 'dagster/column_schema':"
            f" TableSchema([TableColumn({name!r}, '...'), ...])"
        )
        return self._error(
            f"a value does not fit its column, the rows that were there stay: column {name}, row {row + 1} of the frame"
            f" is no {sql_type}: {self.columns[name].shown(row)} is {self.own[name]}. Convert the frame's column, or"
            f" {'change its declared type' if self.declared else declare}"
        )

    def insert(self, types: Mapping[str, str]) -> None:
        """Write the frame's rows."""
        values = ", ".join(
            f"CAST({self._value(name)} AS {sql_type}) AS {ident(name)}" for name, sql_type in types.items()
        )
        self.connection.execute(f"INSERT INTO {self.quoted} BY NAME SELECT {values} FROM {FRAME}")

    def require_own_partitions(self, rows: int) -> None:
        """Refuse rows of other partitions: the next write would not replace them, and they would count twice.

        Raises:
            WarehouseError: there are such rows, or they can't be told.
        """
        if self.place.condition is None or not rows:
            return
        for expression in self.place.windows:
            (sql_type,) = types_of(self.connection, f"(SELECT {expression} FROM {self.quoted})").values()
            if not sql_type.startswith(("DATE", "TIMESTAMP")):
                raise self._error(
                    f"its partitions are spans of time, and `partition_expr` {expression} is {sql_type}, which compares"
                    " otherwise than times do: store a DATE or TIMESTAMP, or make one of it, as in"
                    f" CAST({expression} AS DATE)"
                )
        own = self.connection.execute(f"SELECT count(*) FROM {self.quoted} WHERE {self.place.condition}").fetchone()
        if own and own[0] != rows:
            raise self._error(
                f"{rows - own[0]} of the frame's {rows} rows are not of the partition(s) that are written; the rows"
                " that were there stay"
            )

    def _error(self, text: str) -> WarehouseError:
        return WarehouseError(f"{self.place.table}: {text}")


def _kind(sql_type: str) -> str:
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
    return "integer" if INTEGER_TYPE.fullmatch(sql_type) else INTEGER_TYPE.sub("integer", sql_type)


def _may_hold(kind: str, other: str, *, declared: bool) -> bool:
    """Whether values of one kind may be written to a column of another one, if they are the same there."""
    more = declared and ((kind, other) in DECLARED_ALIKE or kind == "text")
    return kind == other or (kind, other) in ALIKE or more


def _changed(value: str, own: str, other: str) -> str:
    """A condition that is true where a value is not the same in another type."""
    there = f"TRY_CAST({value} AS {other})"
    back = f"CAST({there} AS {own})"
    if own != "VARCHAR" or _kind(other) == "text":
        return f"({back} IS DISTINCT FROM {value})"
    # 1.1 and 1.10 are one number, 00123 is none; a midnight may be written as a day.
    if _kind(other) == "time":
        value, back = f"replace({value}, 'T', ' ')", f"regexp_replace({back}, ' 00:00:00$', '')"
        value = f"regexp_replace({value}, ' 00:00:00$', '')"
    written, read = (f"rtrim(regexp_replace({text}, '(\\.\\d*?)0+$', '\\1'), '.')" for text in (value, back))
    return f"({written} IS DISTINCT FROM {read})"


def load(connection: "DuckDBPyConnection", select: str) -> pd.DataFrame:
    """The rows of a query as a frame, exactly.

    DECIMAL becomes float64, which pandas can sort and add up, where each value has at most 15 digits, which floats give
    back; else Python's Decimal. HUGEINT becomes Python's integers, other integers those of pandas.
    """
    types = types_of(connection, f"({select})")
    exact: dict[str, type] = {name: int for name, sql_type in types.items() if sql_type in {"HUGEINT", "UHUGEINT"}}
    decimals = {name: _precision(sql_type) for name, sql_type in types.items() if _kind(sql_type) == "decimal"}
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

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from orchestration_project.errors import WarehouseError
from orchestration_project.warehouse.frame_values import cast, changed, integer_type, is_same, kind_of, may_hold
from orchestration_project.warehouse.frames import Column
from orchestration_project.warehouse.tables import (
    add_columns,
    canonical,
    change_type,
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
    # Under names of our own: the frame's may be anything, and matter only where they become columns of the table.
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
            # DuckDB settles on a type from a sample. What it made of all the others is told by looking at them.
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
            # The type's text becomes part of CREATE TABLE, and keys of dictionaries are in it: it has to mean itself.
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
        # With those whose partition is NULL, of which the condition is neither true nor false.
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
            self._alter(name, wanted, f"CAST(NULL AS {wanted})")
            return wanted
        if self.declared:
            self._convert(name, had, wanted)
            return wanted
        wider = "VARCHAR" if had.startswith("ENUM") else self._widened(name, had)
        if wider != had:
            self._alter(name, wider, cast(ident(name), had, wider))
        return wider

    def _alter(self, name: str, sql_type: str, value: str) -> None:
        change_type(self.connection, self.quoted, name, sql_type, value)

    def _convert(self, name: str, had: str, wanted: str) -> None:
        """Give a column of the table the declared type.

        Raises:
            WarehouseError: a value would not be the same.
        """
        pair = (kind_of(had), kind_of(wanted))
        misfit = f"{self.quoted} WHERE {ident(name)} IS NOT NULL AND {changed(ident(name), had, wanted)}"
        if not (pair[1] == "text" or may_hold(*pair, declared=True)) or not is_empty(self.connection, misfit):
            raise self._error(
                f"column {name} is {had}, and its rows do not fit the declared type {wanted}. Declare {had}, or drop"
                " the table and materialize its partitions again"
            )
        self._alter(name, wanted, cast(ident(name), had, wanted))

    def _widened(self, name: str, had: str) -> str:
        """The integer type that holds the table's and the frame's integers; the table's where there is none."""
        if not (kind_of(had) == kind_of(self.own[name]) == "integer"):
            return had
        value = self._value(name)
        row = self.connection.execute(f"SELECT min({value}), max({value}) FROM {FRAME}").fetchone() or (0, 0)
        return integer_type(had, *map(int, row))

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
            possible = may_hold(kind_of(self.own[name]), kind_of(types[name]), declared=self.declared is not None)
            differs = changed(value, self.own[name], types[name]) if possible else "true"
            tests.append(f"min(place) FILTER (WHERE {value} IS NOT NULL AND {differs})")
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
            f"{cast(self._value(name), self.own[name], sql_type)} AS {ident(name)}" for name, sql_type in types.items()
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

"""The IO manager for DataFrames, on top of `dagster-duckdb-pandas`: the same use, without ways to lose rows.

What differs from the stock one: a partition is replaced in one transaction, columns are matched by name and take the
declared types, a new column is added, an empty frame writes an empty table or partition, rows of other partitions are
refused, the connection always closes, and the wait for the warehouse is bounded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.storage.db_io_manager import DbIOManager, DbTypeHandler, TableSlice
from dagster_duckdb.io_manager import DuckDbClient
from dagster_duckdb_pandas import DuckDBPandasIOManager, DuckDBPandasTypeHandler
from pydantic import Field

from orchestration_project.components.resources import PLATFORM, Platform
from orchestration_project.errors import WarehouseError, without_values
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.quoting import ident
from orchestration_project.warehouse.tables import SCHEMA, columns_of, ensure_table, types_of

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

FRAME = "_frame"
COLUMN_SCHEMA = "dagster/column_schema"


class WarehouseIOManager(DuckDBPandasIOManager):
    """Stores DataFrames as tables of the warehouse and loads them.

    The table's name is the asset's. Types come from the asset's `dagster/column_schema` metadata, else from the table
    that is there, else from the frame. A partitioned asset names its partition column in `partition_expr` metadata.
    DECIMAL columns are written exactly, and loaded as floats, which pandas can sort and add up.
    """

    platform: Platform = Field(description="Names the warehouse; without it, the settings from the environment do.")
    database: str = Field(default="", description="Path of the DuckDB file; empty for the one of the platform.")

    def __init__(self, **data: Any) -> None:
        # Dagster does not accept a default value for a resource inside a resource.
        super().__init__(**{"platform": PLATFORM} | data)

    @staticmethod
    def type_handlers() -> Sequence[DbTypeHandler[Any]]:
        """One handler, for pandas."""
        return [AtomicPandasHandler()]

    def create_io_manager(self, context: dg.InitResourceContext) -> DbIOManager:  # noqa: ARG002 - Dagster passes it
        """The manager that Dagster calls."""
        return DbIOManager(
            db_client=LockedClient(self.warehouse),
            database="warehouse",
            schema=self.schema_ or SCHEMA,
            type_handlers=self.type_handlers(),
            io_manager_name=type(self).__name__,
        )

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse that is written to and read from."""
        warehouse = self.platform.warehouse
        return replace(warehouse, database=Path(self.database)) if self.database else warehouse


@dataclass(frozen=True)
class LockedClient(DuckDbClient):
    """Opens the warehouse under its lock, inside one transaction for everything that is done with a table."""

    warehouse: Warehouse

    @contextmanager
    def connect(  # type: ignore[override]  # a method with state in the place of a static one
        self, context: Any, _: TableSlice
    ) -> Iterator["DuckDBPyConnection"]:
        """A connection in a transaction: committed at the end, rolled back on any error."""
        purpose = f"table of {context.asset_key.to_user_string()}" if context.has_asset_key else "a table"
        with self.warehouse.transaction(purpose) as connection:
            yield connection

    @staticmethod
    def delete_table_slice(context: dg.OutputContext, table_slice: TableSlice, connection: Any) -> None:
        """Nothing yet: the handler deletes once it knows that the frame fits the table."""


class AtomicPandasHandler(DuckDBPandasTypeHandler):
    """Writes a DataFrame in the place of a table or partition, columns matched by name."""

    def handle_output(
        self, context: dg.OutputContext, table_slice: TableSlice, obj: "pd.DataFrame", connection: Any
    ) -> None:
        """Replace the table or partition.

        Raises:
            WarehouseError: a partition's frame lacks columns of the table, or a value does not fit its column's type.
        """
        types = _column_types(connection, context, table_slice, obj)
        _write(connection, table_slice, obj, types)
        context.add_output_metadata(_metadata(context, obj, types))


def _metadata(context: dg.OutputContext, frame: "pd.DataFrame", types: dict[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if not context.has_asset_partitions:
        metadata["dagster/row_count"] = len(frame)
    elif len(context.asset_partition_keys) == 1:
        metadata["dagster/partition_row_count"] = len(frame)
    if COLUMN_SCHEMA not in (context.definition_metadata or {}):
        columns = [dg.TableColumn(name, sql_type) for name, sql_type in types.items()]
        metadata[COLUMN_SCHEMA] = dg.TableSchema(columns)
    return metadata


def _column_types(
    connection: "DuckDBPyConnection", context: dg.OutputContext, table_slice: TableSlice, frame: "pd.DataFrame"
) -> dict[str, str]:
    declared = (context.definition_metadata or {}).get(COLUMN_SCHEMA)
    if declared is not None:
        schema = declared.value if isinstance(declared, dg.TableSchemaMetadataValue) else declared
        wanted = {column.name: str(column.type) for column in schema.columns}
        _require_same_columns(frame, wanted, table_slice)
        return wanted
    present = columns_of(connection, table_slice.table, table_slice.schema) if table_slice.partition_dimensions else {}
    if missing := [name for name in present if name not in frame.columns]:
        raise WarehouseError(
            f"{table_slice.table}: the frame lacks the column(s) {', '.join(missing)} that the table has; add them, or"
            " drop them from the table"
        )
    connection.register(FRAME, frame)
    inferred = types_of(connection, FRAME)
    connection.unregister(FRAME)
    return {name: present.get(name, sql_type) for name, sql_type in inferred.items()}


def _require_same_columns(frame: "pd.DataFrame", wanted: dict[str, str], table_slice: TableSlice) -> None:
    found = [str(name) for name in frame.columns]
    if set(found) != set(wanted):
        raise WarehouseError(
            f"{table_slice.table}: the frame has the columns {found}, the declared schema has {list(wanted)}"
        )


def _write(
    connection: "DuckDBPyConnection", table_slice: TableSlice, frame: "pd.DataFrame", types: dict[str, str]
) -> None:
    import duckdb

    try:
        _clear(connection, table_slice, types)
        _insert(connection, table_slice, frame, types)
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        # DuckDB's message quotes the value, which may be personal.
        raise WarehouseError(
            f"{table_slice.table}: a value does not fit its column, the rows that were there stay:"
            f" {_misfit(connection, frame, types) or without_values(error)}"
        ) from None
    _require_own_partitions(connection, table_slice, len(frame))


def _clear(connection: "DuckDBPyConnection", table_slice: TableSlice, types: dict[str, str]) -> None:
    """Leave a table that has the columns and nothing in the place that is written to."""
    if not table_slice.partition_dimensions:
        connection.execute(f"DROP TABLE IF EXISTS {ident(table_slice.schema)}.{ident(table_slice.table)}")
    ensure_table(connection, table_slice.table, types, table_slice.schema)
    if table_slice.partition_dimensions:
        context: Any = None  # the stock one does not look at it
        DuckDbClient.delete_table_slice(context, table_slice, connection)


def _insert(
    connection: "DuckDBPyConnection", table_slice: TableSlice, frame: "pd.DataFrame", types: dict[str, str]
) -> None:
    name = f"{ident(table_slice.schema)}.{ident(table_slice.table)}"
    values = ", ".join(f"CAST({ident(column)} AS {sql_type}) AS {ident(column)}" for column, sql_type in types.items())
    connection.register(FRAME, _decimals_as_text(frame, types))
    connection.execute(f"INSERT INTO {name} BY NAME SELECT {values} FROM {FRAME}")
    connection.unregister(FRAME)


def _misfit(connection: "DuckDBPyConnection", frame: "pd.DataFrame", types: dict[str, str]) -> str | None:
    """The first column with a value that does not fit its type, and the first such row; None when none is found.

    The connection's transaction has failed, so another one looks.
    """
    with connection.cursor() as cursor:
        cursor.register(FRAME, _decimals_as_text(frame, types))
        for column, sql_type in types.items():
            name = ident(column)
            found = cursor.execute(
                f"SELECT place FROM (SELECT {name}, row_number() OVER () AS place FROM {FRAME})"
                f" WHERE {name} IS NOT NULL AND TRY_CAST({name} AS {sql_type}) IS NULL ORDER BY place LIMIT 1"
            ).fetchone()
            if found:
                return f"column {column}, row {found[0]} of the frame is no {sql_type}"
    return None


def _require_own_partitions(connection: "DuckDBPyConnection", table_slice: TableSlice, rows: int) -> None:
    """Refuse rows of other partitions: the next write would not replace them, and they would count twice."""
    found = connection.execute(f"SELECT count(*) FROM ({DuckDbClient.get_select_statement(table_slice)})").fetchone()
    if found and found[0] != rows:
        raise WarehouseError(
            f"{table_slice.table}: {rows - found[0]} of the frame's {rows} rows are not of the partition(s) that are"
            " written; the rows that were there stay"
        )


def _decimals_as_text(frame: "pd.DataFrame", types: dict[str, str]) -> "pd.DataFrame":
    """Decimal objects as text: DuckDB would guess their precision from a sample, a cast to the type is exact."""
    columns = [
        name for name, sql_type in types.items() if sql_type.startswith("DECIMAL") and frame[name].dtype == object
    ]
    return frame.assign(**{name: frame[name].map(str, na_action="ignore") for name in columns}) if columns else frame

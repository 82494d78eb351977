"""The IO manager for DataFrames, on top of `dagster-duckdb-pandas`: the same use, without ways to lose rows or values.

What differs from the stock one is listed in docs/io-manager.md. How a frame gets into a table is in
`warehouse.frame_tables`.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.storage.db_io_manager import DbIOManager, DbTypeHandler, TablePartitionDimension, TableSlice
from dagster_duckdb.io_manager import DuckDbClient
from dagster_duckdb_pandas import DuckDBPandasIOManager, DuckDBPandasTypeHandler
from pydantic import Field

from orchestration_project.components.resources import PLATFORM, Platform
from orchestration_project.errors import WarehouseError
from orchestration_project.storage.batches import AGAIN
from orchestration_project.warehouse import frame_tables, frame_values, frames
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.frame_tables import Place
from orchestration_project.warehouse.owners import claim, is_platforms, owner_of
from orchestration_project.warehouse.tables import (
    BATCH,
    SCHEMA,
    catalog_of,
    columns_of,
    ident,
    idents,
    literal,
    literals,
    qualified,
)

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

COLUMN_SCHEMA = "dagster/column_schema"


class WarehouseIOManager(DuckDBPandasIOManager):
    """Stores DataFrames as tables of the warehouse and loads them.

    The table's name is the asset's. Its schema is that of the `schema` metadata, else the manager's, else the last part
    of the key's prefix, else `main`. Types come from the asset's `dagster/column_schema` metadata, else from the table
    that is there, else from the frame. A partitioned asset names its partition column in `partition_expr` metadata.
    A value is stored as it is, or the frame is refused.
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
        return MainSchemaIOManager(
            db_client=LockedClient(self.warehouse),
            database="warehouse",
            schema=self.schema_,
            type_handlers=self.type_handlers(),
            io_manager_name=type(self).__name__,
        )

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse that is written to and read from."""
        warehouse = self.platform.warehouse
        return warehouse.scratch(Path(self.database)) if self.database else warehouse


class MainSchemaIOManager(DbIOManager):
    """Puts a table into `main` if nothing names its schema; the stock manager puts it into `public`."""

    def _get_table_slice(
        self, context: dg.OutputContext | dg.InputContext, output_context: dg.OutputContext
    ) -> TableSlice:
        table_slice = super()._get_table_slice(context, output_context)
        named = (output_context.definition_metadata or {}).get("schema") or self._schema
        prefixed = context.has_asset_key and len(context.asset_key.path) > 1
        return table_slice if named or prefixed else table_slice._replace(schema=SCHEMA)


@dataclass(frozen=True)
class LockedClient(DuckDbClient):
    """Opens the warehouse under its lock, inside one transaction for everything that is done with a table."""

    warehouse: Warehouse

    @contextmanager
    def connect(  # type: ignore[override]  # a method with state in the place of a static one
        self, context: Any, _: TableSlice
    ) -> Iterator["DuckDBPyConnection"]:
        """A connection in a transaction: committed at the end, rolled back on any error."""
        # The stock client commits each statement and closes the connection only if all went well. A kill between its
        # DELETE and its INSERT lost the partition.
        purpose = f"table of {context.asset_key.to_user_string()}" if context.has_asset_key else "a table"
        with self.warehouse.transaction(purpose) as connection:
            yield connection

    @staticmethod
    def ensure_schema_exists(
        context: dg.OutputContext,  # noqa: ARG004 - Dagster passes it
        table_slice: TableSlice,
        connection: Any,
    ) -> None:
        """Make the schema, whatever its name."""
        # With the catalog: DuckDB finds `x.t` ambiguous where schema and file are both called x. Quoted: the stock one
        # does not make a schema of the name `order`.
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ident(catalog_of(connection))}.{ident(table_slice.schema)}")

    @staticmethod
    def delete_table_slice(context: dg.OutputContext, table_slice: TableSlice, connection: Any) -> None:
        """Nothing yet: the handler deletes once it knows that the frame fits the table."""

    @staticmethod
    def get_select_statement(table_slice: TableSlice) -> str:
        """The query of a table or of its partitions, for people and in the warehouse itself."""
        return _select(table_slice, f"{ident(table_slice.schema)}.{ident(table_slice.table)}")


def _select(table_slice: TableSlice, name: str) -> str:
    columns = idents(table_slice.columns) if table_slice.columns else "*"
    condition = _condition(table_slice)
    return f"SELECT {columns} FROM {name}{'' if condition is None else f' WHERE {condition}'}"


def _condition(table_slice: TableSlice) -> str | None:
    """A SQL condition that is true for the rows of the partitions; None: there are none, so for all rows."""
    dimensions = table_slice.partition_dimensions
    return " AND ".join(map(_within, dimensions)) if dimensions else None


def _within(dimension: TablePartitionDimension) -> str:
    # In brackets, because an expression of a user's may have an OR in it.
    expression, partitions = f"({dimension.partition_expr})", dimension.partitions
    if not isinstance(partitions, dg.TimeWindow):
        return f"{expression} IN ({literals(partitions)})"
    # Local time without its offset, as `_batch_date` has it; the end is the start of the next partition.
    start, end = (literal(moment.strftime("%Y-%m-%d %H:%M:%S")) for moment in (partitions.start, partitions.end))
    return f"{expression} >= {start} AND {expression} < {end}"


def _place(table_slice: TableSlice) -> Place:
    dimensions = table_slice.partition_dimensions or []
    windows = [each.partition_expr for each in dimensions if isinstance(each.partitions, dg.TimeWindow)]
    return Place(table_slice.table, table_slice.schema, _condition(table_slice), windows)


class AtomicPandasHandler(DuckDBPandasTypeHandler):
    """Writes a DataFrame in the place of a table or partition, columns matched by name."""

    def handle_output(
        self, context: dg.OutputContext, table_slice: TableSlice, obj: "pd.DataFrame", connection: Any
    ) -> None:
        """Replace the table or partition.

        Raises:
            WarehouseError: the table is somebody else's, the frame lacks columns of it, or a value does not fit its
                column's type.
        """
        # Order matters: nothing is claimed while an older table of the asset may be left behind, and nothing is written
        # before it is known whose table it is.
        table_slice = hours_apart(table_slice)
        place = _place(table_slice)
        _require_moved(connection, context, table_slice)
        claim(connection, _owner(context), table_slice.table, table_slice.schema)
        try:
            columns = frames.columns_of_frame(obj)
        except WarehouseError as error:
            raise WarehouseError(f"{table_slice.table}: {error}") from error
        types = frame_tables.write(connection, place, columns, _declared(context, table_slice, obj))
        context.add_output_metadata(_metadata(context, table_slice, obj, types, catalog_of(connection)))

    def load_input(self, context: dg.InputContext, table_slice: TableSlice, connection: Any) -> "pd.DataFrame":
        """The rows of a table or of its partitions."""
        table_slice = hours_apart(table_slice)
        # An asset that needs its own partition before this one has none for the first; the stock handler returns no
        # rows then.
        if table_slice.partition_dimensions and not context.asset_partition_keys:
            return super().load_input(context, table_slice, connection)
        if context.has_asset_key:
            _require_moved(connection, context, table_slice)
        name = qualified(connection, table_slice.table, table_slice.schema)
        return frame_values.load(connection, _select(table_slice, name))


def hours_apart(table_slice: TableSlice) -> TableSlice:
    """The slice with limits that tell two hours of one name apart, as `_batch_date` does (see `storage.batches`).

    Dagster compares with local times, which are the same for both.
    """
    dimensions = [
        item._replace(partitions=dg.TimeWindow(*map(_of_batch, item.partitions)))
        if item.partition_expr == BATCH and isinstance(item.partitions, dg.TimeWindow)
        else item
        for item in table_slice.partition_dimensions or []
    ]
    return table_slice._replace(partition_dimensions=dimensions) if dimensions else table_slice


def _of_batch(limit: dt.datetime) -> dt.datetime:
    return limit + AGAIN if limit.fold else limit


def _owner(context: dg.OutputContext) -> str:
    """Whose table it is: an asset's key, or the step and the output of an op."""
    if context.has_asset_key:
        return context.asset_key.to_user_string()
    return f"op {context.step_key}, output {context.name}"


def _require_moved(
    connection: "DuckDBPyConnection", context: dg.OutputContext | dg.InputContext, table_slice: TableSlice
) -> None:
    """Make sure that partitions which release 0.1.0 wrote, when prefixes did not count, are not left behind unseen.

    Raises:
        WarehouseError: the table is not in its schema, and `main` has one of its name that nobody is known to own.
    """
    table, schema = table_slice.table, table_slice.schema
    prefixed = context.has_asset_key and len(context.asset_key.path) > 1
    if not (prefixed and table_slice.partition_dimensions) or columns_of(connection, table, schema):
        return
    if not columns_of(connection, table) or owner_of(connection, table) or is_platforms(connection, table):
        return
    asset = context.asset_key.to_user_string()
    raise WarehouseError(
        f"{schema}.{table} does not exist, and {SCHEMA}.{table} is there: release 0.1.0 did not make a schema of the"
        f" prefix of {asset}. If that table is the asset's, keep it with the metadata 'schema': 'main'; if it is of"
        f" another asset, materialize that one first; else drop it"
    )


def _declared(context: dg.OutputContext, table_slice: TableSlice, frame: "pd.DataFrame") -> dict[str, str] | None:
    """The types that the asset declares for its columns; None if it declares none."""
    declared = (context.definition_metadata or {}).get(COLUMN_SCHEMA)
    if declared is None:
        return None
    schema = declared.value if isinstance(declared, dg.TableSchemaMetadataValue) else declared
    wanted = {column.name: str(column.type) for column in schema.columns}
    found = list(frame.columns)
    if set(found) != set(wanted):
        raise WarehouseError(
            f"{table_slice.table}: the frame has the columns {found}, the declared schema has {list(wanted)}"
        )
    return {name: wanted[name] for name in found}


def _metadata(
    context: dg.OutputContext, table_slice: TableSlice, frame: "pd.DataFrame", types: dict[str, str], catalog: str
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/storage_kind": "duckdb",
        "dagster/table_name": f"{catalog}.{table_slice.schema}.{table_slice.table}",
    }
    if not context.has_asset_partitions:
        metadata["dagster/row_count"] = len(frame)
    # Of a range the rows of all partitions are known, but not those of each.
    elif len(context.asset_partition_keys) == 1:
        metadata["dagster/partition_row_count"] = len(frame)
    if COLUMN_SCHEMA not in (context.definition_metadata or {}):
        columns = [dg.TableColumn(name, sql_type) for name, sql_type in types.items()]
        metadata[COLUMN_SCHEMA] = dg.TableSchema(columns)
    return metadata

"""What the warehouse holds, table by table and batch by batch, as numbers that change with the rows.

Belongs here: which tables are copied, and what stands for the rows of a batch. Nothing is written.

Of cleaned tables `published_batches` lists what each batch holds, so none of their rows are read. Of all other tables
the rows are hashed: a mart is small beside what it is made of, and no list tells which of its rows a changed SELECT has
made otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from orchestration_project.publishing.plan import WHOLE, Contents, is_dated
from orchestration_project.warehouse import batching, ledger, owners, published, renewal
from orchestration_project.warehouse.feed_tables import NEW, PREFIXES
from orchestration_project.warehouse.tables import BATCH, BATCH_TYPES, SCHEMA, exists, ident, literal, qualified

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RAW_COLUMNS = frozenset({"_raw_line", "_parse_error"})
"""Columns that raw tables alone have."""
REJECT = ("_file", "_file_version", "_row", "_reasons", "_rejected_at", "_resolved_by")
"""Columns that rejected tables alone have together: which record it is, and what the platform says of it."""
BUILT = "_built"
"""What the name of a mart's notes has behind that of the mart."""
NOTES = (owners.RECORDS | {batching.TABLE}) - {ledger.TABLE}
"""The tables that the platform keeps for itself."""


@dataclass(frozen=True, slots=True)
class Source:
    """A table of the warehouse.

    Attributes:
        schema, name: what it is called.
        columns: its columns and DuckDB types, in order.
    """

    schema: str
    name: str
    columns: Mapping[str, str]

    @property
    def batch_column(self) -> str | None:
        """The column by which its rows are divided among files; None: they all are in one."""
        name = "batch_date" if (self.schema, self.name) == (SCHEMA, ledger.TABLE) else BATCH
        return name if self.columns.get(name) in BATCH_TYPES else None


def chosen_sources(connection: "DuckDBPyConnection", patterns: Sequence[str]) -> list[Source]:
    """The tables that are copied, in order.

    Args:
        connection: to the warehouse.
        patterns: names of tables, in which `*` stands for any text; none: all tables but raw ones.
    """
    # Names of other schemas than `main` are given with them, as in SQL.
    sources = list(_sources(connection))
    names = {(source.schema, source.name) for source in sources}
    return [
        source
        for source in sources
        if not _is_internal(source, names)
        and (any(fnmatchcase(told_name(source), each) for each in patterns) if patterns else not _is_raw(source))
    ]


def told_name(source: Source) -> str:
    """What a table is called, with its schema if that is not `main`."""
    return source.name if source.schema == SCHEMA else f"{source.schema}.{source.name}"


def _sources(connection: "DuckDBPyConnection") -> Iterator[Source]:
    rows = connection.execute(
        """SELECT schema_name, table_name,
                list(column_name ORDER BY column_index), list(data_type ORDER BY column_index)
            FROM duckdb_columns() JOIN duckdb_tables() USING (database_name, schema_name, table_name)
            WHERE database_name = current_database() GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    for schema, table, names, types in rows:
        yield Source(schema, table, dict(zip(names, types, strict=True)))


def _is_internal(source: Source, names: set[tuple[str, str]]) -> bool:
    """Whether it is one of the platform's notes, or a table that is still being made."""
    if source.schema == renewal.ASIDE or source.name.endswith(NEW):
        return True
    if source.schema != SCHEMA:
        return False
    notes = source.name.endswith(BUILT) and "content" in source.columns
    mart_of_notes = (source.schema, source.name.removesuffix(BUILT))
    return source.name in NOTES or (notes and mart_of_notes in names)


def _is_raw(source: Source) -> bool:
    return source.columns.keys() >= RAW_COLUMNS


def contents_of(connection: "DuckDBPyConnection", source: Source) -> Contents:
    """What stands for the rows of each batch of a table, or for all rows."""
    name, column, row = qualified(connection, source.name, source.schema), source.batch_column, _row(connection, source)
    if column is not None:
        found = dict(_listed(connection, source) or _hashed(connection, name, row, f"{ident(column)}::VARCHAR"))
        # A frame may call a column so and have anything in it, such as `infinity`.
        if is_dated(found):
            return found
    return dict(_hashed(connection, name, row, f"'{WHOLE}'"))


def _row(connection: "DuckDBPyConnection", source: Source) -> str:
    """The expressions that stand for a row."""
    if not source.columns.keys() >= set(REJECT) or source.schema != SCHEMA:
        return "_rows"
    # Of a rejected record, which one it is and the contract stand for its text. To hash that, too, takes five times as
    # long, and the rejects of years are many.
    feed = source.name.removeprefix(PREFIXES[2])
    made = renewal.made_as(connection, feed) if exists(connection, renewal.TABLE) else None
    return ", ".join([literal(made or ""), *map(ident, REJECT)])


def _listed(connection: "DuckDBPyConnection", source: Source) -> Contents:
    if source.schema != SCHEMA or BATCH not in source.columns:
        return {}
    return dict(published.listed_contents(connection, source.name, source.columns[BATCH]).items())


def _hashed(connection: "DuckDBPyConnection", name: str, row: str, batch: str) -> list[tuple[str | None, int]]:
    # Added up, since a sum does not depend on the order of rows.
    return connection.execute(f"SELECT {batch} AS batch, sum(hash({row})) FROM {name} AS _rows GROUP BY 1").fetchall()

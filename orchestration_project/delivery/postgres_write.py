"""One delivery of a table to PostgreSQL: its changed parts and the note of what they hold, in one transaction.

Belongs here: the order of steps. The statements are in `postgres_layout`, the connections in `postgres_session`.

    same form      DELETE the changed parts, INSERT their rows, note them                    COMMIT
    another form   make the table anew under another name, fill it, drop the old, rename     COMMIT

Until COMMIT everybody reads the old rows. Whatever ends the process or the server before it leaves these.
"""

from collections.abc import Iterable, Sequence

from orchestration_project.delivery import postgres_layout as sql
from orchestration_project.delivery.model import Contents, StagedPart
from orchestration_project.delivery.postgres_layout import Layout
from orchestration_project.delivery.postgres_session import Transaction, asking, transaction
from orchestration_project.delivery.postgres_types import cast_type
from orchestration_project.errors import DeliveryConflict, DeliveryError
from orchestration_project.postgres_address import Address
from orchestration_project.warehouse.tables import ident, literal, literals

TEXTS = ("VARCHAR", "JSON", "ENUM")
"""The beginnings of DuckDB's types that may hold a NUL, which no text of PostgreSQL can have."""


def prepare(address: Address, schema: str, reader: str | None) -> None:
    """Make what all deliveries to a schema share: the schema, the table of their state, the role that reads.

    Args:
        address: the server.
        schema: the schema.
        reader: a role that may read the schema and nothing else; it has no login of its own. None: there is none.
    """
    with asking(address) as connection, connection.transaction():
        # Two first deliveries at once would both find nothing there.
        connection.execute(sql.lock("schema", schema).encode())
        # Who may not make schemas may still deliver to one that is there.
        there = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone()
        statements = [] if there else [sql.create_schema(schema)]
        if connection.execute("SELECT to_regclass(%s)", [sql.qualified(schema, sql.STATE)]).fetchone() == (None,):
            statements += sql.create_state(schema)
        if reader:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [reader]).fetchone()
            statements += [*([] if known else [sql.create_reader(reader)]), *sql.let_read(schema, reader)]
        for statement in statements:
            connection.execute(statement.encode())


def write_table(
    address: Address,
    layout: Layout,
    known: Contents,
    parts: Sequence[StagedPart],
    remove: Sequence[str],
    reader: str | None,
) -> None:
    """Bring a table of the target up to date; all of it is seen at once, or nothing.

    Args:
        address: the server.
        layout: the table as it has to be.
        known: what the target had when the delivery was planned.
        parts: the parts to write.
        remove: the names of the parts to remove.
        reader: a role that may read the table; None for none.

    Raises:
        DeliveryConflict: another delivery has changed the table meanwhile.
        DeliveryError: the table is somebody else's, or a value can't be stored.
        TargetDown: the server ended the connection.
    """
    changed = [*(part.part for part in parts), *remove]
    with transaction(address) as opened:
        opened.execute(sql.lock(layout.schema, layout.table))
        _require_known(address, opened, layout, known)
        if has_form(layout, opened.rows(sql.columns_query(layout))):
            opened.execute(sql.remove_parts(layout, changed))
            _insert(opened, layout, layout.table, parts)
        else:
            _require_replaceable(address, opened, layout, set(known) - set(changed))
            opened.execute(sql.create(layout))
            _insert(opened, layout, layout.scratch, parts)
            opened.execute(*sql.put_in_place(layout))
        opened.execute(sql.forget(layout, changed), *([sql.remember(layout, parts)] if parts else []))
        opened.execute(*sql.comment(layout))
        if reader:
            opened.execute(sql.let_read_table(layout, reader))


def has_form(layout: Layout, columns: Iterable[tuple[str, str, bool]]) -> bool:
    """Whether a table's columns (name, type, whether it is never empty) are those of a layout, in whatever order."""
    return {(name, sql_type, name in layout.required) for name, sql_type in layout.types.items()} == set(columns)


def _require_known(address: Address, opened: Transaction, layout: Layout, known: Contents) -> None:
    """Make sure that nobody has delivered the table since the delivery was planned."""
    if dict(opened.rows(sql.known_query(layout.schema, layout.table))) != dict(known):
        raise DeliveryConflict(
            f"{address.shown}: another delivery has changed {layout.table} meanwhile; the next run compares anew"
        )


def _require_replaceable(address: Address, opened: Transaction, layout: Layout, kept: set[str]) -> None:
    """Make sure that a table may be made anew: it was made by deliveries or is empty, and no part of it is to stay."""
    if kept:
        raise DeliveryError(
            f"{address.shown}: the columns of {layout.schema}.{layout.table} are not those that were delivered. Drop"
            " the table; the next run delivers all of it"
        )
    ((present, noted),) = opened.rows(
        f"SELECT to_regclass({literal(layout.quoted)}) IS NOT NULL AS present, EXISTS (SELECT 1 FROM"
        f" {sql.qualified(layout.schema, sql.STATE)} WHERE table_name = {literal(layout.table)}) AS noted"
    )
    if present and not noted and opened.rows(f"SELECT 1 AS found FROM {layout.quoted} LIMIT 1"):
        raise DeliveryError(
            f"{address.shown} has a table {layout.schema}.{layout.table} that no delivery made; it is left alone. Drop"
            " or rename it, or deliver to another schema"
        )


def _insert(opened: Transaction, layout: Layout, table: str, parts: Sequence[StagedPart]) -> None:
    """Copy the rows of parts into a table of the target."""
    import duckdb

    if not parts:
        return
    casts = {name: (ident(name), cast_type(sql_type)) for name, sql_type in layout.shape.columns.items()}
    filled = {name: f"{column}::{cast}" if cast else column for name, (column, cast) in casts.items()}
    files = literals(str(part.path) for part in parts)
    # A folder of another kind of delivery may be named `day=2024-01-15`, which is no column.
    source = f"read_parquet([{files}], hive_partitioning = false)"
    try:
        inserted = opened.insert(layout.schema, table, filled, source)
    except duckdb.Error as error:
        if "NULL-byte" in str(error):
            raise _nul_found(layout, source) from None
        raise
    expected = sum(part.figures.rows for part in parts)
    if inserted != expected:
        raise DeliveryError(f"{layout.table}: {expected} rows were to be delivered, and {inserted} arrived")


def _nul_found(layout: Layout, source: str) -> DeliveryError:
    """Which column has a text with a NUL. It is looked for only after PostgreSQL's refusal."""
    import duckdb

    texts = [name for name, sql_type in layout.shape.columns.items() if sql_type.startswith(TEXTS)]
    counts = ", ".join(f"count(*) FILTER (contains({ident(name)}::VARCHAR, chr(0)))" for name in texts)
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {counts} FROM {source}").fetchone() or ()
    named = [f"{name!r} in {rows} rows" for name, rows in zip(texts, found, strict=True) if rows]
    return DeliveryError(
        f"{layout.table} can't be delivered to PostgreSQL, which stores no text with a NUL character: column"
        f" {', '.join(named)}. Deliver a mart that replaces it, or leave the column out"
    )

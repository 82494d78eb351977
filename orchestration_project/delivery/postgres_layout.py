"""Statements for PostgreSQL: how a delivered table is made, commented, granted, and compared with what is there.

Belongs here: plain text. Nothing is executed here. The types are in `postgres_types`, the transaction in `postgres`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestration_project.delivery.model import WHOLE, Shape, StagedPart
from orchestration_project.delivery.postgres_types import MAX_NAME_BYTES
from orchestration_project.hashes import digest_of
from orchestration_project.warehouse.tables import ident, idents, literal, literals

STATE = "_deliveries"
"""The table in which a target says what was delivered to it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A table as it has to be in the target.

    Attributes:
        schema: PostgreSQL's schema.
        shape: what is delivered.
        types: PostgreSQL's types of its columns, in order.
    """

    schema: str
    shape: Shape
    types: Mapping[str, str]

    @property
    def table(self) -> str:
        """Its name."""
        return self.shape.table

    @property
    def quoted(self) -> str:
        """Its full name, quoted."""
        return qualified(self.schema, self.table)

    @property
    def scratch(self) -> str:
        """The name under which another generation of it is made; nobody but the transaction ever sees it."""
        return f"_new_{digest_of(self.table)}"

    @property
    def required(self) -> frozenset[str]:
        """The columns that are never empty."""
        return self.shape.required | ({self.shape.batch} if self.shape.batch else set())

    @property
    def unique(self) -> tuple[str, ...]:
        """The columns of the primary key; none where one of them may be empty, which PostgreSQL refuses."""
        # A key recurs in later batches, beyond a feed's look-back. Within a batch it does not.
        batch, key = self.shape.batch, self.shape.key
        whole = bool(key) and self.required.issuperset(key)
        return (*([batch] if batch and batch not in key else []), *key) if whole else ()


def qualified(schema: str, name: str) -> str:
    """A name in a schema, quoted."""
    return f"{ident(schema)}.{ident(name)}"


def create(layout: Layout) -> str:
    """Make the table, under the name that nobody sees yet, without indexes: rows come in faster."""
    columns = ", ".join(
        f"{ident(name)} {sql_type}{' NOT NULL' if name in layout.required else ''}"
        for name, sql_type in layout.types.items()
    )
    return f"CREATE TABLE {qualified(layout.schema, layout.scratch)} ({columns})"


def put_in_place(layout: Layout) -> list[str]:
    """Give the new table its indexes, then the old one's place.

    The old table is dropped last: only then do its readers wait, and not while indexes are made.
    """
    new = qualified(layout.schema, layout.scratch)
    key, part = _index_name(layout, "key"), _index_name(layout, "part")
    made, named = [], []
    if layout.unique:
        made.append(f"ALTER TABLE {new} ADD CONSTRAINT {ident('_new_' + key)} PRIMARY KEY ({idents(layout.unique)})")
        named.append(f"ALTER TABLE {layout.quoted} RENAME CONSTRAINT {ident('_new_' + key)} TO {ident(key)}")
    # The primary key begins with the batch, and then serves as its index.
    if layout.shape.batch and layout.unique[:1] != (layout.shape.batch,):
        made.append(f"CREATE INDEX {ident('_new_' + part)} ON {new} ({ident(layout.shape.batch)})")
        named.append(f"ALTER INDEX {qualified(layout.schema, '_new_' + part)} RENAME TO {ident(part)}")
    swapped = [
        f"DROP TABLE IF EXISTS {layout.quoted}",
        f"ALTER TABLE {new} RENAME TO {ident(layout.table)}",
    ]
    return [*made, *swapped, *named]


def comment(layout: Layout) -> list[str]:
    """Say in the target what the table and its columns mean."""
    told = {name: text for name, text in layout.shape.descriptions.items() if name in layout.types}
    return [
        f"COMMENT ON TABLE {layout.quoted} IS {literal(layout.shape.description)}",
        *(f"COMMENT ON COLUMN {layout.quoted}.{ident(name)} IS {literal(text)}" for name, text in told.items()),
    ]


def remove_parts(layout: Layout, parts: Iterable[str]) -> str:
    """Delete the rows of some parts; of all where the table is one part."""
    if layout.shape.batch is None:
        return f"DELETE FROM {layout.quoted}"
    return f"DELETE FROM {layout.quoted} WHERE {ident(layout.shape.batch)} IN ({literals(parts)})"


def create_schema(schema: str) -> str:
    """Make a schema."""
    return f"CREATE SCHEMA {ident(schema)}"


def create_state(schema: str) -> list[str]:
    """Make the table of what was delivered to a schema."""
    state = qualified(schema, STATE)
    return [
        f"""CREATE TABLE {state} (
            table_name text NOT NULL, part text NOT NULL, content text NOT NULL, rows bigint NOT NULL,
            delivered_at timestamp with time zone NOT NULL DEFAULT now(), PRIMARY KEY (table_name, part))""",
        f"COMMENT ON TABLE {state} IS 'What was delivered: a row a part, written in the transaction of its rows.'",
    ]


def known_query(schema: str, table: str) -> str:
    """A query of what the state has of a table: part and content; nothing if somebody has dropped the table."""
    return (
        f"SELECT part, content FROM {qualified(schema, STATE)} WHERE table_name = {literal(table)}"
        f" AND to_regclass({literal(qualified(schema, table))}) IS NOT NULL"
    )


def forget(layout: Layout, parts: Iterable[str] | None) -> str:
    """Take parts (None: all) out of the state."""
    which = "true" if parts is None else f"part IN ({literals(parts)})"
    state = qualified(layout.schema, STATE)
    return f"DELETE FROM {state} WHERE table_name = {literal(layout.table)} AND {which}"


def remember(layout: Layout, parts: Iterable[StagedPart]) -> str:
    """Enter parts into the state, with what they hold; they must not be in it."""
    values = ", ".join(
        f"({literal(layout.table)}, {literal(part.part)}, {literal(part.content)}, {part.figures.rows})"
        for part in parts
    )
    return f"INSERT INTO {qualified(layout.schema, STATE)} (table_name, part, content, rows) VALUES {values}"


def figures_query(layout: Layout, parts: Iterable[str] | None) -> str:
    """A query of what parts (None: all) have: the part's name, its rows, and the sum of each compared column."""
    batch = layout.shape.batch and ident(layout.shape.batch)
    sums = "".join(f", sum({ident(name)})" for name in layout.shape.totals)
    if batch is None:
        return f"SELECT {literal(WHOLE)}, count(*){sums} FROM {layout.quoted}"
    which = "true" if parts is None else f"{batch} IN ({literals(parts)})" if parts else "false"
    return f"SELECT {batch}::text, count(*){sums} FROM {layout.quoted} WHERE {which} GROUP BY {batch}"


def create_reader(role: str) -> str:
    """Make a role that people and programs are made members of; it has no password, so nobody can log in as it."""
    return f"CREATE ROLE {ident(role)} NOLOGIN"


def let_read(schema: str, role: str) -> list[str]:
    """Let a role read the schema: its state, and all tables that the delivering user will ever make there."""
    return [
        f"GRANT USAGE ON SCHEMA {ident(schema)} TO {ident(role)}",
        f"GRANT SELECT ON {qualified(schema, STATE)} TO {ident(role)}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {ident(schema)} GRANT SELECT ON TABLES TO {ident(role)}",
    ]


def let_read_table(layout: Layout, role: str) -> str:
    """Let a role read the table, which may be older than the role."""
    return f"GRANT SELECT ON {layout.quoted} TO {ident(role)}"


def columns_query(layout: Layout) -> str:
    """A query of the columns that the table has in the target: name, type, whether it is never empty."""
    return f"""SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS required
        FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass({literal(layout.quoted)})
        AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""


def lock(*names: str) -> str:
    """A statement that waits until no other transaction works on the same thing, and keeps others off until it ends."""
    key = int.from_bytes(hashlib.sha256("\0".join(names).encode()).digest()[:8], "big", signed=True)
    return f"SELECT pg_advisory_xact_lock({key})"


def _index_name(layout: Layout, what: str) -> str:
    name = f"{layout.table}_{what}"
    return name if len(f"_new_{name}".encode()) <= MAX_NAME_BYTES else f"{digest_of(layout.table)}_{what}"

"""What a table of the warehouse is as it is delivered: its shape, its parts with their contents, copies of parts.

Belongs here: all that a delivery asks of the warehouse. Every function runs on the caller's read-only connection, so
that shape, contents, copies and figures are those of one moment.

The content of a part of a cleaned table is what its loads have noted in `published_batches`, so no row is read for it.
Of any other table, and of one that has another number of rows than noted, the rows are hashed, batch by batch: no note
tells what a SELECT of today has made of an input.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.delivery.model import WHOLE, Contents, Figures, Shape, StagedPart
from orchestration_project.errors import DeliveryError
from orchestration_project.failpoints import Delivery, reached
from orchestration_project.warehouse import published
from orchestration_project.warehouse.tables import BATCH, Columns, batch_filter, columns_of, ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A part of each content: another way to copy parts makes another content, so that all of them are delivered anew.
COPIED_BY = 1
NUMERIC = re.compile(r"(U?(TINY|SMALL|BIG)INT|U?INTEGER|DECIMAL\(.*\)|DOUBLE|FLOAT)")
# Parquet and most targets would make a floating point number of it.
TOO_WIDE = re.compile(r"U?HUGEINT")
KEY_TABLE = "_delivery_key"


class Personal(StrEnum):
    """What becomes of the values of a personal column: nothing is delivered, a keyed hash, or the values."""

    LEFT_OUT = "left_out"
    HASHED = "hashed"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Selection:
    """What a delivery takes of a table.

    Attributes:
        table: its name in the warehouse.
        personal: what becomes of each column that is personal; the others are delivered.
        declared: the columns that are known; others, such as one that a contract had once, are left out. None: all are.
        hash_key: the secret with which values are hashed.
        whole: deliver it as one part, although it has batches.
        key: the columns that tell rows apart.
        required: the columns that are never empty.
        description: what the table holds.
        descriptions: what columns mean, by name.
    """

    table: str
    personal: Mapping[str, Personal] = field(default_factory=dict)
    declared: frozenset[str] | None = None
    hash_key: str = field(default="", repr=False)
    whole: bool = False
    key: Sequence[str] = ()
    required: frozenset[str] = frozenset()
    description: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def treatment(self, column: str) -> Personal:
        """What becomes of a column."""
        known = self.declared is None or column in self.declared
        return self.personal.get(column, Personal.DELIVERED if known else Personal.LEFT_OUT)


def shape_of(connection: "DuckDBPyConnection", selection: Selection) -> Shape:
    """A table's shape.

    Raises:
        DeliveryError: the warehouse has no such table, nothing of it may be delivered, or there is no key to hash with.
    """
    present = columns_of(connection, selection.table)
    if not present:
        raise DeliveryError(f"{selection.table} is not in the warehouse: materialize it first")
    columns = {
        name: _delivered_type(selection, name, sql_type)
        for name, sql_type in present.items()
        if selection.treatment(name) is not Personal.LEFT_OUT
    }
    if not columns:
        raise DeliveryError(f"{selection.table}: all columns are personal and left out, so nothing is to be delivered")
    if not selection.hash_key and any(selection.treatment(name) is Personal.HASHED for name in columns):
        raise DeliveryError(
            f"{selection.table}: set DELIVERY_HASH_KEY to a long random text. Columns are to be hashed, and a hash"
            " without a key is undone by hashing all customers"
        )
    return Shape(
        selection.table,
        columns,
        None if selection.whole or BATCH not in columns else BATCH,
        [name for name, kind in columns.items() if NUMERIC.fullmatch(kind) and not name.startswith("_")],
        selection.key if set(selection.key) <= columns.keys() else (),
        selection.required & columns.keys(),
        selection.description,
        {name: text for name, text in selection.descriptions.items() if name in columns},
    )


def _delivered_type(selection: Selection, name: str, sql_type: str) -> str:
    if selection.treatment(name) is Personal.HASHED:
        return "VARCHAR"
    return "DECIMAL(38,0)" if TOO_WIDE.fullmatch(sql_type) else sql_type


def contents_of(connection: "DuckDBPyConnection", selection: Selection, shape: Shape) -> Contents:
    """The content of each part that has rows."""
    present = columns_of(connection, shape.table)
    found = published.listed_contents(connection, shape.table, present[BATCH]) if BATCH in present else {}
    found = found or _hashed(connection, shape, present)
    way = _way_of(selection, shape)
    if shape.batch is None and found:
        # A sum depends on no order, like those that it is made of.
        return {WHOLE: f"{len(found)}-{sum(found.values())}-{way}"}
    return {str(part): f"{content}-{way}" for part, content in found.items()}


def _hashed(connection: "DuckDBPyConnection", shape: Shape, present: Columns) -> dict[str, int]:
    part = f"{BATCH}::VARCHAR" if BATCH in present else literal(WHOLE)
    # Of the columns that are delivered: a change of the others is nothing to the target.
    rows = connection.execute(
        f"""SELECT {part} AS part, sum(hash(_rows))
            FROM (SELECT {", ".join(map(ident, _needed(shape, present)))} FROM main.{ident(shape.table)}) AS _rows
            GROUP BY part"""
    ).fetchall()
    return dict(rows)


def _needed(shape: Shape, present: Columns) -> list[str]:
    """The columns whose values decide what is delivered, and the one that tells the part."""
    return list(dict.fromkeys([*shape.columns, *([BATCH] if BATCH in present else [])]))


def _way_of(selection: Selection, shape: Shape) -> str:
    """Stands for how rows become what is delivered: other columns, types, or another key make another text."""
    hashed = {name: selection.treatment(name) is Personal.HASHED for name in shape.columns}
    key = hashlib.sha256(selection.hash_key.encode()).hexdigest() if any(hashed.values()) else ""
    told = json.dumps([COPIED_BY, list(shape.columns.items()), hashed, key, shape.batch])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def copy_parts(
    connection: "DuckDBPyConnection",
    selection: Selection,
    shape: Shape,
    contents: Contents,
    parts: Sequence[str],
    folder: Path,
) -> list[StagedPart]:
    """Copy parts to Parquet files in a folder to which the connection may write.

    DuckDB streams the rows, so memory is bounded. What is compared later is counted by a query of its own.
    """
    figures = figures_of(connection, shape, parts)
    if any(selection.treatment(name) is Personal.HASHED for name in shape.columns):
        # Not in the statement: a message about a statement quotes it.
        connection.execute(f"CREATE TEMP TABLE {KEY_TABLE} AS SELECT $1 AS key", [selection.hash_key])
    selected = ", ".join(_expressions(selection, shape))
    staged = []
    for number, part in enumerate(parts):
        path = folder / f"{number}.parquet"
        connection.execute(
            f"COPY (SELECT {selected} FROM main.{ident(shape.table)} WHERE {_is_in(shape, [part])})"
            f" TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )
        staged.append(StagedPart(part, contents[part], path, figures[part]))
        reached(Delivery.COPIED)
    return staged


def _expressions(selection: Selection, shape: Shape) -> Iterator[str]:
    for name, sql_type in shape.columns.items():
        if selection.treatment(name) is Personal.HASHED:
            # The same value has the same hash in all tables and columns, so that they can still be joined.
            yield f"sha256((SELECT key FROM {KEY_TABLE}) || chr(0) || {ident(name)}::VARCHAR) AS {ident(name)}"
        else:
            yield f"{ident(name)}::{sql_type} AS {ident(name)}"


def figures_of(
    connection: "DuckDBPyConnection", shape: Shape, parts: Collection[str] | None = None
) -> dict[str, Figures]:
    """The figures of parts (None: of all) in the warehouse; a part without rows is left out."""
    if parts is not None and not parts:
        return {}  # the condition for no part of a table without batches would be that for all of it
    part = f"{ident(shape.batch)}::VARCHAR" if shape.batch else literal(WHOLE)
    sums = "".join(f", sum({ident(name)})" for name in shape.totals)
    rows = connection.execute(
        f"""SELECT {part} AS part, count(*){sums} FROM main.{ident(shape.table)}
            WHERE {"true" if parts is None else _is_in(shape, sorted(parts))} GROUP BY part"""
    ).fetchall()
    return {name: Figures(count, dict(zip(shape.totals, found, strict=True))) for name, count, *found in rows}


def _is_in(shape: Shape, parts: Sequence[str]) -> str:
    return batch_filter(parts if shape.batch else None)

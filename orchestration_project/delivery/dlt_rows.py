"""Rows and types as dlt takes them: exactly the same values, or nothing.

Belongs here: plain data. The pipeline is in `dlt_target`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from orchestration_project.delivery.model import Shape, StagedPart
from orchestration_project.errors import DeliveryError
from orchestration_project.warehouse.tables import ident, literal

PART, CONTENT, REMOVED = "_part", "_part_content", "_part_removed"
"""Columns that each delivered row has beside its own: its part, what stands for the part's rows, and no value."""
ROWS_AT_ONCE = 10_000
WHOLE_NUMBERS = ("TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT")
HINTS: dict[str, dict[str, Any]] = {
    **{sql_type: {"data_type": "bigint"} for sql_type in WHOLE_NUMBERS},
    "BOOLEAN": {"data_type": "bool"},
    "UBIGINT": {"data_type": "decimal", "precision": 20, "scale": 0},
    "FLOAT": {"data_type": "double"},
    "DOUBLE": {"data_type": "double"},
    "VARCHAR": {"data_type": "text"},
    "BLOB": {"data_type": "binary"},
    "DATE": {"data_type": "date"},
    "TIME": {"data_type": "time"},
    "TIMESTAMP": {"data_type": "timestamp", "timezone": False},
    "TIMESTAMP WITH TIME ZONE": {"data_type": "timestamp", "timezone": True},
}
"""The type of dlt for each of DuckDB's that it holds exactly; a DECIMAL keeps its digits, an ENUM becomes text."""
# dlt would write any other name in a way of its own, and two of them might become one.
_NAME = re.compile(r"_?[a-z][a-z0-9]*(_[a-z0-9]+)*")
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")


def hint_of(sql_type: str) -> dict[str, Any] | None:
    """The type of dlt for one of DuckDB's; None: it has none that holds every value exactly."""
    if decimal := _DECIMAL.fullmatch(sql_type):
        return {"data_type": "decimal", "precision": int(decimal[1]), "scale": int(decimal[2])}
    return HINTS["VARCHAR"] if sql_type.startswith("ENUM(") else HINTS.get(sql_type)


def hints_of(shape: Shape) -> dict[str, dict[str, Any]]:
    """What dlt is told of a table's columns, so that it guesses nothing from values.

    Raises:
        DeliveryError: dlt has no exact type for a column, or would change a name; all such columns are named.
    """
    problems = [problem for name, sql_type in shape.columns.items() if (problem := _problem(name, sql_type))]
    if not _NAME.fullmatch(shape.table):
        problems.append("dlt would change the table's name")
    if problems:
        raise DeliveryError(f"{shape.table} can't be delivered by dlt: {'; '.join(problems)}. Deliver a mart instead")
    columns = {
        name: {**(hint_of(sql_type) or {}), **_described(shape, name)} for name, sql_type in shape.columns.items()
    }
    # dlt writes into what it is given, so no two columns may share it.
    own = {PART: {"data_type": "text"}, CONTENT: {"data_type": "text"}}
    return {**columns, **own, REMOVED: {"data_type": "bool", "hard_delete": True}}


def _described(shape: Shape, name: str) -> dict[str, str]:
    return {"description": shape.descriptions[name]} if name in shape.descriptions else {}


def _problem(name: str, sql_type: str) -> str:
    if not _NAME.fullmatch(name) or name in (PART, CONTENT, REMOVED):
        return f"dlt would change the name of column {name!r}, or has another one of it"
    if hint_of(sql_type) is None:
        return f"column {name!r} is {sql_type}, which not every destination can hold exactly"
    return ""


def rows_of(shape: Shape, write: Sequence[StagedPart], remove: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of parts, some thousand at a time, and a row for each part that is to be removed."""
    import duckdb

    # dlt deletes the rows of all parts that come, and inserts those that are not marked as removed.
    if remove:
        yield [{PART: part, REMOVED: True} for part in remove]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for part in write:
            columns = ", ".join(_selected(name, sql_type) for name, sql_type in shape.columns.items())
            found = connection.execute(
                f"SELECT {columns} FROM read_parquet({literal(str(part.path))}, hive_partitioning = false)"
            )
            # With the number of rows, a part that arrived in pieces can be told from a whole one.
            own = {PART: part.part, CONTENT: f"{part.content} {part.figures.rows}"}
            while rows := found.fetchmany(ROWS_AT_ONCE):
                yield [{**dict(zip(shape.columns, row, strict=True)), **own} for row in rows]


def _selected(name: str, sql_type: str) -> str:
    return f"{ident(name)}::VARCHAR" if sql_type.startswith("ENUM(") else ident(name)

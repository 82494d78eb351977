"""What PostgreSQL stores of DuckDB's types: exactly the same values, or nothing.

Belongs here: plain text about types. Does not belong here: tables, connections, rows.

A type that would lose something is refused, and the message names the column. A TIMESTAMP_NS, for one, would lose its
nanoseconds, and a HUGEINT silently become a double precision.
"""

import re
from collections.abc import Mapping

from orchestration_project.errors import DeliveryError

EXACT = {
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "UTINYINT": "smallint",
    "SMALLINT": "smallint",
    "USMALLINT": "integer",
    "INTEGER": "integer",
    "UINTEGER": "bigint",
    "BIGINT": "bigint",
    "UBIGINT": "numeric(20,0)",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "VARCHAR": "text",
    "BLOB": "bytea",
    "DATE": "date",
    "TIME": "time without time zone",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP_S": "timestamp without time zone",
    "TIMESTAMP_MS": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "INTERVAL": "interval",
    "UUID": "uuid",
    "JSON": "json",
}
"""PostgreSQL's type, written as its catalogue writes it, for each of DuckDB's that it can hold exactly."""
# What a value has to become before the extension sees it.
CAST = {"UBIGINT": "DECIMAL(20,0)", "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP"}
MAX_NAME_BYTES = 63
"""PostgreSQL cuts longer names off, and two of them may then be one."""
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")


def postgres_type(sql_type: str) -> str | None:
    """PostgreSQL's type for one of DuckDB's; None: it has none that holds every value exactly."""
    if sql_type.endswith("[]"):
        element = sql_type[:-2]
        # Arrays of PostgreSQL are rectangular, lists of lists need not be.
        made = None if element.endswith("]") else postgres_type(element)
        return made and f"{made}[]"
    if decimal := _DECIMAL.fullmatch(sql_type):
        return f"numeric({decimal[1]},{decimal[2]})"
    if sql_type.startswith("ENUM("):
        return "text"
    return EXACT.get(sql_type)


def cast_type(sql_type: str) -> str | None:
    """DuckDB's type to cast to before rows are copied; None: they may go as they are."""
    if sql_type.endswith("[]"):
        element = cast_type(sql_type[:-2])
        return element and f"{element}[]"
    return "VARCHAR" if sql_type.startswith("ENUM(") else CAST.get(sql_type)


def postgres_types(table: str, columns: Mapping[str, str]) -> dict[str, str]:
    """PostgreSQL's types of a table's columns.

    Args:
        table: the table, for messages.
        columns: its columns with DuckDB's types.

    Raises:
        DeliveryError: PostgreSQL has no exact type for a column, or its name is too long; all such columns are named.
    """
    problems = [problem for name, sql_type in columns.items() if (problem := _problem(name, sql_type))]
    if problems:
        raise DeliveryError(f"{table} can't be delivered to PostgreSQL: {'; '.join(problems)}")
    return {name: str(postgres_type(sql_type)) for name, sql_type in columns.items()}


def _problem(name: str, sql_type: str) -> str:
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"the name of column {name!r} is longer than {MAX_NAME_BYTES} bytes; deliver a mart that renames it"
    if postgres_type(sql_type) is None:
        return (
            f"column {name!r} is {sql_type}, which it can't hold exactly; deliver a mart that casts it, or leave it out"
        )
    return ""

"""What the footer of a Parquet file tells: its columns, its rows, and how large its values are once unpacked.

A footer is small and costs nothing to read, but whoever wrote the file wrote it, too. What it can't tell for sure is
refused or measured here, before a row is read. How values become text is in `parquet_files`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileRefused, visible
from orchestration_project.formats.decompress import too_large
from orchestration_project.formats.header import normalised, spellings
from orchestration_project.formats.staging import unreadable
from orchestration_project.warehouse.tables import ident, literal, types_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A file of 1,550 bytes once wrote 4.5 GB, one of 811 bytes took 86 s: runs and dictionaries hold a value once for any
# number of rows.
FREE_ROWS, ROWS_A_BYTE = 1_000_000, 2_000
"""A file of few bytes may have that many rows, and a larger one so many for each of its bytes."""
OWN_NAMES = ("file_row_number", "file_index")
"""Under these DuckDB gives the place of a row."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a file: its name there, DuckDB's name for it (names have no case in DuckDB) and DuckDB's type."""

    name: str
    column: str
    sql_type: str


Schema = tuple[Field, ...]


def read_schema(connection: "DuckDBPyConnection", name: str, path: str) -> Schema:
    """The columns of a file.

    Raises:
        FileRefused: the footer can't be read, or a column is of a type or has a name that DuckDB can't read.
    """
    import duckdb

    try:
        types = types_of(connection, f"read_parquet([{literal(path)}], hive_partitioning = false)")
        rows = connection.execute(
            f"""SELECT name, coalesce(num_children, 0), coalesce(duckdb_type, ''),
                    coalesce(converted_type = 'DECIMAL', false) OR coalesce(logical_type, '') LIKE 'DecimalType%'
                FROM parquet_schema([{literal(path)}])"""
        ).fetchall()
    except duckdb.Error as error:
        raise unreadable(name, "is not a readable Parquet file", error) from None
    # DuckDB reads such a decimal as a double with other digits: a price of 1.10 became 72,089.60. The footer
    # tells, so no value has to be looked at.
    for field, _, sql_type, is_decimal in rows:
        if is_decimal and not sql_type.startswith("DECIMAL"):
            raise FileRefused(
                "inexact_type",
                f"{name!r}: column {visible(field)!r} is a decimal of more than 38 digits, which can't be read"
                " exactly; write it with 38 digits, or as text",
            )
    names = list(_top([(field, children) for field, children, *_ in rows]))
    if taken := [field for field in names if field.casefold() in OWN_NAMES]:
        raise unreadable(name, f"has a column {taken[0]!r}, under which DuckDB gives the place of a row; rename it")
    return tuple(Field(field, column, types[column]) for field, column in zip(names, types, strict=True))


def _top(elements: list[tuple[str, int]]) -> Iterator[str]:
    """The names of the columns among a schema's elements, each of which stands before those that it is made of."""
    # items (children 1), list (1), element (0), price (0)   ->   items, price
    inner = 0
    # The first element is the root, not a column.
    for name, children in elements[1:]:
        if not inner:
            yield name
        inner = max(inner - 1, 0) + children


def count_rows(connection: "DuckDBPyConnection", feed: Feed, name: str, path: str, size: int, max_bytes: int) -> int:
    """How many rows a Parquet file has, as its footer tells.

    Args:
        connection: to any database.
        feed: the contract: the names of other columns are written with each of their values.
        name: the file's logical name.
        path: the file.
        size: its bytes.
        max_bytes: how large its values may be, unpacked.

    Raises:
        FileRefused: the footer can't be read, or the file is larger than `max_bytes` or than its bytes allow.
    """
    import duckdb

    schema = read_schema(connection, name, path)
    try:
        rows, unpacked, possible, repeating = connection.execute(_footer(path)).fetchone() or (0, 0, 0, [])
        if rows > FREE_ROWS + ROWS_A_BYTE * size:
            raise FileRefused(
                "too_large",
                f"{name!r} has {rows:,} rows in {size:,} bytes: no table with data has more than {FREE_ROWS:,} and"
                f" {ROWS_A_BYTE:,} for each byte; deliver it in parts",
            )
        # In `_rescued` the names of other columns stand beside each of their values: a long name is a large file, too.
        known = set().union(*map(spellings, feed.record_columns))
        named = sum(len(field.name) for field in schema if normalised(field.name) not in known)
        if rows * (1 + named) > max_bytes or unpacked > max_bytes:
            raise too_large(name, max_bytes)
        # `possible` is a bound that honest files exceed, too. Only where it is too large the texts are measured.
        if possible > max_bytes and _length_of(connection, schema, repeating, path) > max_bytes:
            raise too_large(name, max_bytes)
    except duckdb.Error as error:
        raise unreadable(name, "is not a readable Parquet file", error) from None
    return int(rows)


def _footer(path: str) -> str:
    """Query of a file's rows, its bytes once unpacked, how many its texts may become beyond that, and in which columns.

    Bytes stand with each chunk of each column. A value that repeats stands once in them (RLE, dictionaries): so numbers
    count by their width, and a text may be as long as its chunk, as often as the chunk has values.
    """
    listed = f"[{literal(path)}]"
    return f"""
        -- A chunk is the values of one column in one group of rows.
        WITH chunks AS (
            SELECT path_in_schema AS path, num_values, total_uncompressed_size AS size,
                type LIKE '%BYTE_ARRAY' AS is_text,
                is_text AND regexp_matches(encodings, 'DICTIONARY|DELTA_BYTE_ARRAY') AS repeats,
                CASE type WHEN 'BOOLEAN' THEN 1 WHEN 'INT32' THEN 4 WHEN 'FLOAT' THEN 4 ELSE 8 END AS width
            FROM parquet_metadata({listed})),
        sums AS (
            SELECT
                -- A chunk of numbers may be a single run: the width of one by their count is what it holds.
                coalesce(sum(CASE WHEN is_text THEN size ELSE greatest(size, num_values * width) END), 0) AS unpacked,
                coalesce(sum(num_values * size) FILTER (repeats), 0) AS possible,
                coalesce(list(DISTINCT path) FILTER (repeats), []) AS repeating
            FROM chunks)
        SELECT num_rows, unpacked, possible, repeating FROM parquet_file_metadata({listed}), sums"""


def _length_of(connection: "DuckDBPyConnection", schema: Schema, paths: list[str], path: str) -> int:
    """The bytes of the texts under some paths of the schema, once each stands for itself.

    A value from a dictionary is not copied for that: a million rows take about 4 ms.
    """
    lengths = {"VARCHAR": "strlen({})", "BLOB": "octet_length({})"}
    # The texts of a list stand under their column: the path "items, list, element" under `items`.
    texts = [
        lengths.get(field.sql_type, "strlen({}::VARCHAR)").format(ident(field.column))
        for field in schema
        if any(f"{inner}, ".startswith(f"{field.name}, ") for inner in paths)
    ]
    total = " + ".join(f"coalesce(sum({text}), 0)" for text in texts)
    found = connection.execute(
        f"SELECT {total} FROM read_parquet([{literal(path)}], hive_partitioning = false)"
    ).fetchone()
    return int(found[0]) if found else 0

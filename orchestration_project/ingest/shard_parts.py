"""The Parquet files that shards hand over: how they are written and proved, and how their columns are read back.

Values must come back as they were. DuckDB writes a HUGEINT into Parquet as a DOUBLE, without a word. So a column of
such a type goes as text, and whoever reads the file casts it to the type that it knows.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.warehouse.tables import CHANGED_BY_PARQUET, ident, literal, types_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

AS_TEXT = re.compile(CHANGED_BY_PARQUET)


@dataclass(frozen=True, slots=True)
class Part:
    """A Parquet file that a shard has written.

    Attributes:
        path: its path, or its URL in an object store.
        rows: their number.
        size: bytes, of a file.
        sha256: of a file. An object has none: its store compares each piece that it takes with the piece's hash.
    """

    path: str
    rows: int
    size: int = 0
    sha256: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether the file is there as it was written, every byte of it."""
        if _is_remote(self.path):
            return True
        try:
            return Path(self.path).stat().st_size == self.size and _sha256(self.path) == self.sha256
        except OSError:
            return False


def write_part(connection: "DuckDBPyConnection", query: str, path: str, kept: bool = False) -> Part:
    """Write the rows of a query to a Parquet file.

    Args:
        connection: may write there.
        query: gives the rows.
        path: of a file that is not there yet, or an URL.
        kept: whether the file is to stay as a part of a lake; else it is read once and deleted.
    """
    # Of a file that is deleted time counts more than size. One that stays has the compression of DuckLake's own; the
    # second version of Parquet makes the numbers of its records take no room, which were a third of it.
    options = "COMPRESSION snappy, PARQUET_VERSION v2" if kept else "COMPRESSION lz4_raw"
    columns = ", ".join(_written(name, sql_type) for name, sql_type in types_of(connection, f"({query})").items())
    copied = connection.execute(
        f"COPY (SELECT {columns} FROM ({query})) TO {literal(path)} (FORMAT parquet, {options})"
    ).fetchone()
    rows = int(copied[0]) if copied else 0
    return Part(path, rows) if _is_remote(path) else Part(path, rows, Path(path).stat().st_size, _sha256(path))


def as_written(types: Mapping[str, str]) -> str:
    """SQL for the columns of a part, those that went as text cast to the types that they had.

    Args:
        types: the columns and their types before they were written.
    """
    return ", ".join(
        f"{ident(name)}::{sql_type} AS {ident(name)}" if AS_TEXT.fullmatch(sql_type) else ident(name)
        for name, sql_type in types.items()
    )


def _written(name: str, sql_type: str) -> str:
    return f"{ident(name)}::VARCHAR AS {ident(name)}" if AS_TEXT.fullmatch(sql_type) else ident(name)


def _is_remote(path: str) -> bool:
    return "://" in path


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

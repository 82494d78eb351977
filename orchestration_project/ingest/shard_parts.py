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
    """A Parquet file that a shard has written: where it is, its `rows`, its size in bytes and its SHA-256."""

    path: Path
    rows: int
    size: int
    sha256: str

    @property
    def is_whole(self) -> bool:
        """Whether the file is there as it was written, every byte of it."""
        try:
            return self.path.stat().st_size == self.size and _sha256(self.path) == self.sha256
        except OSError:
            return False


def write_part(connection: "DuckDBPyConnection", query: str, path: Path) -> Part:
    """Write the rows of a query to a Parquet file.

    Args:
        connection: may write to the file's folder.
        query: gives the rows.
        path: of a file that is not there yet.
    """
    columns = ", ".join(_written(name, sql_type) for name, sql_type in types_of(connection, f"({query})").items())
    # LZ4: the file is read once and deleted, so time counts more than size.
    copied = connection.execute(
        f"COPY (SELECT {columns} FROM ({query})) TO {literal(str(path))} (FORMAT parquet, COMPRESSION lz4_raw)"
    ).fetchone()
    return Part(path, int(copied[0]) if copied else 0, path.stat().st_size, _sha256(path))


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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The Parquet files of the published copy: written once, never changed, deleted a day after they have stopped to count.

Belongs here: writing a part, when a file may go. Which files there have to be is in `plan`.
"""

import os
import re
import time
from collections.abc import Iterator, Set
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import WarehouseError
from orchestration_project.failpoints import Publishing, reached
from orchestration_project.publishing.contents import Source
from orchestration_project.publishing.plan import UNDATED, WHOLE, PlannedPart
from orchestration_project.warehouse.tables import CHANGED_BY_PARQUET, ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NEW = ".new"
# Their text is written, and the views make the type of it again.
AS_TEXT = re.compile(CHANGED_BY_PARQUET)
# Within a list or a struct their text would not always be read back as it was, and that of a UNION never is.
UNFIT = re.compile(rf"\b(UNION|VARIANT|GEOMETRY|{CHANGED_BY_PARQUET})\b")
AS_IT_IS = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR(\[\])?|DATE|TIME|TIMESTAMP"
    r"|TIMESTAMP WITH TIME ZONE|BLOB|UUID"
)
"""Types that a file gives back as they were written."""


class Unfit(WarehouseError):
    """A table can't be copied as it is: a column has no such type in Parquet, or rows are missing in its files."""


def write_part(connection: "DuckDBPyConnection", path: Path, source: Source, table: str, part: PlannedPart) -> int:
    """Write a part of a table, whose whole name is given, to its file; returns the number of its rows.

    A file of this name always has these rows: it is written under another one and renamed.

    Raises:
        Unfit: a column has a type that Parquet lacks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}{NEW}")
    columns = ", ".join(_written(name, sql_type) for name, sql_type in source.columns.items())
    copied = connection.execute(
        f"COPY (SELECT {columns} FROM {table} WHERE {_condition(source, part)}) TO {literal(str(new))}"
        " (FORMAT parquet, COMPRESSION zstd)"
    ).fetchone()
    _secure(new)
    new.replace(path)
    reached(Publishing.FILE_WRITTEN)
    return int(copied[0]) if copied else 0


def rows_of(connection: "DuckDBPyConnection", path: Path) -> int:
    """How many rows a file has."""
    row = connection.execute("SELECT num_rows FROM parquet_file_metadata($1)", [str(path)]).fetchone()
    return int(row[0]) if row else 0


def _written(name: str, sql_type: str) -> str:
    if AS_TEXT.fullmatch(sql_type):
        return f"{ident(name)}::VARCHAR AS {ident(name)}"
    # Without what is quoted: an ENUM may have a value of that name.
    if UNFIT.search(re.sub(r"'[^']*'", "", sql_type)):
        raise Unfit(f"column {name} is {sql_type}, which no Parquet file can hold as it is")
    return ident(name)


def read_expression(name: str, sql_type: str) -> str:
    """The expression that gives a column of a file in the type that the warehouse has."""
    return ident(name) if AS_IT_IS.fullmatch(sql_type) else f"{ident(name)}::{sql_type} AS {ident(name)}"


def _condition(source: Source, part: PlannedPart) -> str:
    if part.key == WHOLE:
        return "true"
    if part.first is None:
        return f"{ident(source.batch_column)} IS NULL" if part.key == UNDATED and source.batch_column else "false"
    assert source.batch_column
    column = ident(source.batch_column)
    first = f"DATE '{part.first}'"
    return f"{column} >= {first} AND {column} < {first} + INTERVAL 1 {part.unit}"


def _secure(path: Path) -> None:
    """Have a file's bytes on the disk before anything names it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def retire(folder: Path, files: Set[str]) -> None:
    """Note of files that they stop to count: an open reader may need them for a while from now on."""
    # The note is the time of the file itself: nothing else has to be kept in step with the folder.
    now = time.time()
    for file in files:
        with suppress(FileNotFoundError):
            os.utime(folder / file, (now, now))


def sweep(folder: Path, counting: Set[str], keep_seconds: float) -> list[str]:
    """Delete the files that do not count and were retired, or left by a kill, that long ago; returns which."""
    limit, gone = time.time() - keep_seconds, []
    for path in _files_in(folder):
        name = path.relative_to(folder).as_posix()
        with suppress(FileNotFoundError):
            if name not in counting and path.stat().st_mtime < limit:
                path.unlink()
                gone.append(name)
    return sorted(gone)


def _files_in(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*/*/*.parquet")
    yield from folder.glob(f"*/*/.*{NEW}")

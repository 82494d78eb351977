"""How a file was read: format, compression, encoding, delimiter, and where each column of the contract was found.

The reading itself is in `formats`; this only reports it, for `explain`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.formats.decode import BOMS, as_utf8
from orchestration_project.formats.decompress import GZIP_MAGIC, decompress
from orchestration_project.ingest.model import Candidate
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.quoting import ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BLOCK = 4 << 20


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read; `encoding`, `delimiter` and `header_line` are None if the format has none."""

    format: FileFormat
    compression: str | None
    encoding: str | None
    delimiter: str | None = None
    header_line: int | None = None


@dataclass(frozen=True, slots=True)
class ColumnFound:
    """Where a column of the contract is found in a file.

    Attributes:
        column: its name.
        header: its name in the file, as written; None when it is missing. In JSON and Parquet files a column without
            any value counts as missing.
        position: number of the field, from 1, in delimited files.
        records: how many records have a value.
    """

    column: str
    header: str | None
    position: int | None
    records: int


def reading_of_file(feed: Feed, candidate: Candidate, work: Path, max_bytes: int) -> Reading:
    """How a file that could be read is read.

    Args:
        feed: the contract.
        candidate: the file, prepared.
        work: a folder for copies.
        max_bytes: how large the file may be, decompressed.
    """
    path, name, own = candidate.file.path, candidate.file.name, Path(mkdtemp(dir=work))
    plain = decompress(path, name, own, max_bytes)
    compression = ("gzip" if _starts(path, GZIP_MAGIC) else "zstd") if plain != path else None
    if feed.source.format is FileFormat.PARQUET:
        return Reading(feed.source.format, compression, None)
    text, start = as_utf8(plain, feed.source.encoding, name, own)
    mark = next((codec for mark, codec in BOMS.items() if _starts(plain, mark)), None)
    encoding = "utf-8" if text == plain else mark or feed.source.encoding
    header = candidate.prepared.header if candidate.prepared else None
    return Reading(
        feed.source.format,
        compression,
        f"{encoding} with byte order mark" if start or mark else encoding,
        header.delimiter if header else None,
        header.line if header else None,
    )


def _starts(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic


def columns_found(connection: "DuckDBPyConnection", feed: Feed, candidate: Candidate) -> list[ColumnFound]:
    """Where each column of the contract is found.

    Args:
        connection: to the warehouse that the file was read into.
        feed: the contract.
        candidate: the file, prepared.
    """
    columns = feed.source_columns
    counts = ", ".join(f"count(nullif({ident(column.name)}, ''))" for column in columns)
    filled = connection.execute(f"SELECT {counts} FROM {ident(raw_table(feed))}").fetchone() or ()
    header = candidate.prepared.header if candidate.prepared else None
    found = []
    for column, records in zip(columns, filled, strict=True):
        if header:
            position = header.positions.get(column.name)
            name = None if position is None else header.fields[position]
            found.append(ColumnFound(column.name, name, None if position is None else position + 1, records))
        else:
            found.append(ColumnFound(column.name, column.source if records else None, None, records))
    return found


def lines_before(candidate: Candidate) -> int | None:
    """The number of lines before the first record if each record is one line, so that they can be named; else None."""
    prepared = candidate.prepared
    if prepared is None or prepared.header is None or prepared.text is None:
        return None
    with prepared.text.open("rb") as stream:
        before = _lines(iter([stream.read(prepared.offset)]))
        after = _lines(iter(lambda: stream.read(BLOCK), b""))
    return before if after == prepared.records else None


def _lines(blocks: Iterator[bytes]) -> int:
    """The number of lines with the ends LF, CR or CRLF; the last line may lack its end."""
    feeds = returns = 0
    last = b""
    for block in blocks:
        feeds, returns, last = feeds + block.count(b"\n"), returns + block.count(b"\r"), block[-1:] or last
    return (feeds or returns) + (last not in (b"", b"\n", b"\r"))

"""Read prepared files into `_staged`: every record of every file, as text, numbered in file order.

This chooses among the formats; each of them compares the records that arrive with those that were counted before.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.formats.delimited import stage_delimited
from orchestration_project.formats.excel_files import stage_excel
from orchestration_project.formats.fixed_width import stage_fixed_width
from orchestration_project.formats.json_files import stage_json
from orchestration_project.formats.parquet_files import stage_parquet
from orchestration_project.formats.parquet_schema import count_rows
from orchestration_project.formats.prepare import Prepared
from orchestration_project.formats.repair_files import stage_repairs
from orchestration_project.formats.staging import ReadyFile, StagedRecords, make_staged
from orchestration_project.storage.batches import is_repair

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STAGE = {
    FileFormat.CSV: stage_delimited,
    FileFormat.JSON: stage_json,
    FileFormat.PARQUET: stage_parquet,
    FileFormat.XLSX: stage_excel,
    FileFormat.FIXED_WIDTH: stage_fixed_width,
}


def count(connection: "DuckDBPyConnection", feed: Feed, file: Prepared, max_bytes: int) -> int:
    """How many records a file has: counted in its text, or as the file itself tells.

    Raises:
        FileRefused: the file can't be read, or is larger than `max_bytes`, decompressed.
    """
    if file.records is not None:
        return file.records
    # On a cursor of its own, since files may be counted at the same time.
    with connection.cursor() as cursor:
        size = file.readable.stat().st_size
        return count_rows(cursor, feed, file.name, str(file.readable), size, max_bytes)


def stage(connection: "DuckDBPyConnection", feed: Feed, batch_type: str, files: Sequence[ReadyFile]) -> StagedRecords:
    """Fill `_staged` with every record of the files.

    Args:
        connection: outside of a transaction.
        feed: the contract.
        batch_type: DuckDB type of `_batch_date`.
        files: what to read, each with its records counted.

    Raises:
        FilesUnfit: names the files that can't be loaded; the caller goes on without them.
    """
    make_staged(connection, feed, batch_type)
    # The feed's own files come last, for the records that are read last need not be copied.
    stage_repairs(connection, feed, [file for file in files if is_repair(file.name)])
    STAGE[feed.source.format](connection, feed, [file for file in files if not is_repair(file.name)])
    return StagedRecords(tuple(files))

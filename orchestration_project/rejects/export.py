"""Export open rejects as repair files, one a batch: a person corrects them and drops them into landing.

How a repair file is loaded is in `ingest.repairs`, and its form in `formats.repair_files`.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import RepairError
from orchestration_project.formats.repair_files import protected, repair_header
from orchestration_project.ingest.counts import is_open
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import write_whole
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.feed_tables import rejected_table
from orchestration_project.warehouse.ledger import of_repairs
from orchestration_project.warehouse.tables import batch_filter, ident, idents

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Exported:
    """A repair file that was written, and how many rejects are in it."""

    path: Path
    rejects: int


def export_rejects(
    connection: "DuckDBPyConnection",
    settings: Settings,
    feed: Feed,
    batching: Batching,
    batches: Sequence[Batch],
    folder: Path,
) -> list[Exported]:
    """Write the open rejects of some batches, a file a batch.

    Rejected records of earlier repair files are left out: the rejects that they were meant to correct are still open.
    A file gets a name that no accepted repair file has: it would replace that file when it is delivered.

    Args:
        connection: to the warehouse, which has the feed's tables.
        settings: where landing is.
        feed: the contract.
        batching: how repair files are named.
        batches: the batches; empty for all.
        folder: where to write.

    Raises:
        RepairError: the folder is in landing, or has a file with one of the names; nothing was written.
    """
    landing = settings.landing(feed.name)
    # A file there would be loaded before anybody has corrected it.
    if folder.resolve().is_relative_to(landing.resolve()):
        raise RepairError(f"{folder} is in the drop folder: export somewhere else, correct, then move the files there")
    files = {
        folder / _free_name(connection, feed, batching, batch, landing): rows
        for batch, rows in _open_rejects(connection, feed, batches)
    }
    # All names are looked at before the first file is written: a half export would look like a whole one.
    if there := [str(path) for path in files if path.exists()]:
        raise RepairError(
            f"{', '.join(there)} exists already and may have been worked on: deliver or remove it, or give another"
            " folder. Nothing was written"
        )
    for path, rows in files.items():
        write_whole(path, _text(feed, rows))
    return [Exported(path, len(rows)) for path, rows in files.items()]


def _open_rejects(
    connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch]
) -> list[tuple[Batch, list[tuple[str | None, ...]]]]:
    """The batches with open rejects, and for each reject the fields of a repair file."""
    rows = connection.execute(_open_rejects_sql(feed, batches)).fetchall()
    return [(batch, [row[1:] for row in found]) for batch, found in groupby(rows, key=itemgetter(0))]


def _open_rejects_sql(feed: Feed, batches: Sequence[Batch]) -> str:
    """A query for `_batch_date` and the fields of a repair file, ordered by batch, so that each batch is one group."""
    return f"""
        SELECT
            _batch_date, {idents(column.name for column in feed.source_columns)},
            _reject_id, array_to_string(_reasons, '; '), _raw_line
        FROM {ident(rejected_table(feed))}
        WHERE {batch_filter(batches) if batches else "true"} AND {is_open(feed)} AND NOT {of_repairs(feed.name)}
        ORDER BY _batch_date, _file, _row"""


# 2024-01-15.repair.csv, and 2024-01-15.2.repair.csv once that was delivered. One that waits in landing counts too.
def _free_name(connection: "DuckDBPyConnection", feed: Feed, batching: Batching, batch: Batch, landing: Path) -> str:
    # As for a snapshot feed, because then names are listed whose file was superseded: those are taken too.
    known = ledger_queries.known_deliveries(connection, feed.name, [batching.key(batch)], snapshot=True)
    taken = {name for _, name in known}
    names = (batching.repair_name(batch, number) for number in count(1))
    return next(name for name in names if name not in taken and not (landing / name).exists())


def _text(feed: Feed, rows: Sequence[Sequence[str | None]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(repair_header(feed))
    # `protected`: a spreadsheet executes what looks like a formula, and the values come from whoever sent the file.
    writer.writerows([None if value is None else protected(value) for value in row] for row in rows)
    # Spreadsheets take a text without a byte order mark for one in their own encoding.
    return stream.getvalue().encode("utf-8-sig")

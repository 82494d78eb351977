"""Read the samples as text, all into one table: a type, a key or a missing value has to be told by all together.

Belongs here: the table, which is the feed's raw table in a scratch warehouse. What else is taken out of it is in
`tail`; a load with the finished draft is in `trial`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FilesUnfit
from orchestration_project.formats.fields import BLANKS
from orchestration_project.formats.lines import drop_lines
from orchestration_project.formats.stage import stage
from orchestration_project.formats.staging import ReadyFile
from orchestration_project.hashes import shown
from orchestration_project.ingest.discover import prepare_counted
from orchestration_project.inspection.drafting.trial import FileKey
from orchestration_project.settings import Settings
from orchestration_project.storage.files import FoundFile, sha256_of
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident, idents, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ANY_DAY = dt.date(2000, 1, 1)  # the batch of all samples while they are looked at: what tells it is still to be found


def read_samples(
    connection: "DuckDBPyConnection", settings: Settings, feed: Feed, files: Sequence[FoundFile], work: Path
) -> dict[FileKey, int]:
    """Make the feed's raw table, as a temporary one, with all records of the samples that are not blank.

    Args:
        connection: to a scratch warehouse, outside of a transaction.
        settings: how large a file may be.
        feed: a contract with text columns only.
        files: the samples.
        work: a folder for rewritten copies.

    Returns:
        How many records each sample has, blank ones included.

    Raises:
        FileRefused: a sample can't be read as the contract says.
    """
    ready = [_ready(connection, settings, feed, file, work) for file in files]
    try:
        # Read by the stage of a load alone: the tables of a feed, its ledger and a copy of the records are not needed.
        staged = stage(connection, feed, "DATE", ready)
    except FilesUnfit as error:
        raise next(iter(error.faults.values())) from None
    connection.execute(
        f"""CREATE TEMP TABLE {ident(raw_table(feed))} AS
            SELECT * EXCLUDE (_rid) FROM {staged.relation} WHERE {_not_blank(feed)}"""
    )
    drop_lines(connection)
    counts: Counter[FileKey] = Counter()
    for file in ready:
        counts[file.name, file.version] += file.prepared.records or 0
    return dict(counts)


def _ready(connection: "DuckDBPyConnection", settings: Settings, feed: Feed, file: FoundFile, work: Path) -> ReadyFile:
    prepared = prepare_counted(connection, feed, file.path, file.name, work, settings.max_file_bytes)
    return ReadyFile(prepared, str(ANY_DAY), shown(sha256_of(file.path)), work)


def _not_blank(feed: Feed) -> str:
    """A condition for all records but those of nothing but empty fields."""
    # The fields as one text: a condition for each of hundreds of columns takes longer to plan than the rows to check.
    fields = f"concat({idents(column.name for column in feed.record_columns)})"
    filled = f"regexp_matches({fields}, {literal(f'[^{BLANKS}]')})"
    return f"{filled} OR _rescued IS NOT NULL OR _parse_error IS NOT NULL"

"""The relations of one load's session, and their names."""

import hashlib
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.staging import STAGED, show
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.quoting import ident
from orchestration_project.warehouse.tables import is_empty

if TYPE_CHECKING:
    import duckdb


REMOVED = "_removed"
RECORDS = "_records"


def reading_of(feed: Feed) -> str:
    """Identifies what of a contract decides how files are read: another one means that they have to be read again."""
    read = [(column.name, column.source, column.aliases) for column in feed.source_columns]
    return hashlib.sha256(repr((feed.source, read)).encode()).hexdigest()[:16]


def make_removed(connection: "duckdb.DuckDBPyConnection", batch_type: str) -> None:
    """Make an empty `_removed`."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {REMOVED} (_batch_date {batch_type}, _file VARCHAR, _file_version VARCHAR)"
    )


def show_records(connection: "duckdb.DuckDBPyConnection", feed: Feed, condition: str) -> None:
    """Make the view `_records`: what `raw_x` will hold, before it does, with a number `_rid` for each record.

    These are the records in `_staged`, and those that `raw_x` has now but for those of the files in `_removed`
    (`_batch_date`, `_file`, `_file_version`), as far as `condition` holds for them.
    """
    kept = f"SELECT rowid AS _rid, * FROM {ident(raw_table(feed))} WHERE {condition}"
    if not is_empty(connection, REMOVED):
        kept = f"FROM ({kept}) ANTI JOIN {REMOVED} USING (_batch_date, _file, _file_version)"
    show(connection, RECORDS, [f"FROM {STAGED}", kept])


def insert_staged(connection: "duckdb.DuckDBPyConnection", feed: Feed) -> None:
    """Add the records in `_staged` to the raw table; `_records` holds until then."""
    connection.execute(f"INSERT INTO {ident(raw_table(feed))} BY NAME SELECT * EXCLUDE (_rid) FROM {STAGED}")

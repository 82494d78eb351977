"""Publish judged records: those that hold go to `cleaned_x`, the others to `rejected_x` with every reason, at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.rejects import reject_id
from orchestration_project.ingest.relations import RECORDS
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import PLATFORM_COLUMNS, cleaned_table, rejected_table
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.quoting import idents, literal
from orchestration_project.warehouse.tables import replace_batches

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def publish(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None) -> int:
    """Replace the published rows of some batches (None: all) by `_judged` and `_losers`.

    `_reject_id` and `_rejected_at` (when the file was last modified, UTC) depend on the file alone: a re-run or a
    rebuild gives the same.

    Returns:
        How many there are now.
    """
    columns = idents([*(column.name for column in feed.columns), *PLATFORM_COLUMNS, "_rescued"])
    cleaned = replace_batches(
        connection,
        cleaned_table(feed),
        batches,
        f"SELECT {columns} FROM _judged ANTI JOIN _losers USING (_rid) WHERE _reasons IS NULL",
    )
    raw, origin = idents([column.name for column in feed.source_columns]), idents(PLATFORM_COLUMNS)
    # Of the many records only the text is read: where the few come from is known of them.
    rejected = replace_batches(
        connection,
        rejected_table(feed),
        batches,
        f"""WITH refused AS (
                SELECT _rid, {origin}, _reasons FROM _judged WHERE _reasons IS NOT NULL
                UNION ALL SELECT _rid, {origin}, list(reason ORDER BY reason) FROM _losers GROUP BY _rid, {origin})
            SELECT {raw}, {origin}, _rescued, _raw_line, _reasons,
                {reject_id(feed)} AS _reject_id, modified_at AS _rejected_at
            FROM (SELECT _rid, {raw}, _rescued, _raw_line FROM {RECORDS}) JOIN refused USING (_rid)
            LEFT JOIN (SELECT file, version, modified_at FROM {LEDGER} WHERE feed = {literal(feed.name)}) ledger
            ON ledger.file = _file AND ledger.version = _file_version""",
    )
    return cleaned + rejected

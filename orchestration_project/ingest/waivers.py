"""A load takes over what the archive says of waivers."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.waivers import read_waivers, waivers_listing
from orchestration_project.warehouse.feed_tables import rejected_table
from orchestration_project.warehouse.quoting import ident
from orchestration_project.warehouse.waivers import Row, has_taken, replace_waivers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def take_waivers(connection: "DuckDBPyConnection", archive: Path, feed: Feed) -> list[Batch]:
    """Make the table `waivers` say what the archive says; of several waivers of a reject the first counts.

    They are read when something about their files has changed; over the years they become many.

    Returns:
        The batches with published rejects whose waiver is another one now.

    Raises:
        RepairError: a waiver in the archive can't be read.
    """
    listing = waivers_listing(archive)
    if has_taken(connection, feed.name, listing):
        return []
    rows: dict[str, Row] = {}
    for waiver in read_waivers(archive):
        moment = waiver.waived_at.astimezone(dt.UTC).replace(tzinfo=None)
        for reject in waiver.reject_ids:
            rows.setdefault(reject, (reject, waiver.waived_by, waiver.because, moment))
    changed = replace_waivers(connection, feed.name, list(rows.values()), listing)
    if not changed:
        return []
    batches = connection.execute(
        f"SELECT DISTINCT _batch_date FROM {ident(rejected_table(feed))} WHERE _reject_id IN (SELECT unnest($1))",
        [changed],
    ).fetchall()
    return [batch for (batch,) in batches]

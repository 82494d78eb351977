"""Drop a feed that has no definition any more: its tables and its lines of the ledger go, its files are kept aside."""

import datetime as dt
import shutil
from collections.abc import Collection
from pathlib import Path

from orchestration_project.contracts.errors import did_you_mean
from orchestration_project.errors import RecoveryError
from orchestration_project.failpoints import Recovery, reached
from orchestration_project.ingest.batching import settle_recovery
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import ensure_folder
from orchestration_project.storage.feed_state import forget_state
from orchestration_project.storage.trees import ensure_feed_name
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.connection import Warehouse, transaction
from orchestration_project.warehouse.feed_rows import drop_feed as drop_rows
from orchestration_project.warehouse.feed_rows import feeds_of_warehouse

KEPT = "dropped"
"""The folder of `DATA_DIR` in which the files of dropped feeds are kept."""


def drop_feed(
    warehouse: Warehouse, settings: Settings, feed: str, configured: Collection[str], now: dt.datetime
) -> list[Path]:
    """Remove a feed from the warehouse and move its folders aside. Call it again after a kill.

    Args:
        warehouse: where the tables are.
        settings: where the folders are.
        feed: the feed's name.
        configured: the names of the feeds that have a definition.
        now: the present moment, with a time zone.

    Returns:
        The folders in which its files are kept.

    Raises:
        RecoveryError: it has a definition, or nobody knows it; nothing was changed.
        WarehouseBusy: somebody else held the warehouse for too long.
    """
    # It becomes a part of paths that are moved, and no definition vouches for it.
    ensure_feed_name(feed)
    if feed in configured:
        raise RecoveryError(f"{feed} has a definition: remove its folder from defs first, else it would come back")
    folders = [folder(feed) for folder in (settings.archive, settings.quarantine, settings.landing, settings.repairs)]
    present = [folder for folder in folders if folder.is_dir()]
    # Rows first. The other way round a kill would leave rows whose files `verify` misses.
    known = _drop_rows(warehouse, settings, feed)
    if not (known or present):
        raise RecoveryError(f"there is neither a feed nor a folder {feed!r}{did_you_mean(feed, configured)}")
    forget_state(settings, feed)
    # Else a feed of this name that comes back would fetch nothing that was fetched for this one.
    for suffix in ("", "-wal", "-shm"):
        settings.fetched(feed).with_name(f"{feed}.sqlite{suffix}").unlink(missing_ok=True)
    # With the moment in its name: the feed may come back and be dropped again.
    aside = settings.data_dir / KEPT / f"{feed}-{now.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}"
    kept = []
    for folder in present:
        target = aside / folder.relative_to(settings.data_dir).parts[0]
        ensure_folder(aside)
        shutil.move(folder, target)
        kept.append(target)
        reached(Recovery.FOLDER_KEPT)
    return kept


def _drop_rows(warehouse: Warehouse, settings: Settings, feed: str) -> bool:
    """Remove what the warehouse has of a feed; returns whether it had accepted files of it."""
    if not warehouse.exists():
        return False
    with warehouse.connection(f"drop of {feed}") as connection:
        ledger.ensure_ledger(connection)
        # A rebuild under this name may have been killed: what it left must not come back after the drop.
        settle_recovery(connection, settings, warehouse, feed)
        known = feed in feeds_of_warehouse(connection)
        with transaction(connection):
            drop_rows(connection, feed)
        reached(Recovery.ROWS_DROPPED)
    return known

"""Rebuild a feed from its archive: every archived file is planned anew and loaded into new tables, which then count.

1. A second archive tree gets all files, each in the batch that it has now.
2. Ordinary loads, range by range, fill a scratch warehouse from that tree. So the stages are those of any load.
3. One transaction puts the new tables in the place of the old ones, and says that they wait for the new tree.
4. The folders are moved.

Whoever is killed before the commit has changed nothing. After it, the next load or command moves the folders. The
warehouse's lock is held all the while, so no load comes in between.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import RecoveryError
from orchestration_project.failpoints import Recovery, reached
from orchestration_project.ingest.batching import loading_of, scratch_of, settle_recovery
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.state import note_state
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import archived, batch_keys
from orchestration_project.storage.batches import Batch, is_any_key
from orchestration_project.storage.transfer import Transfer
from orchestration_project.storage.trees import (
    BUILDING,
    build_tree,
    ensure_feed_name,
    first_name,
    misplaced_file,
    new_tree,
    note_first_name,
    tree_root,
    undo_tree,
)
from orchestration_project.warehouse import ledger, ledger_queries
from orchestration_project.warehouse.batching import loaded_with, note_tree
from orchestration_project.warehouse.connection import Warehouse, transaction
from orchestration_project.warehouse.feed_rows import attached, copy_feed, lost_files

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RANGE_BATCHES, RANGE_FILES = 100, 10_000
"""How much one load of a rebuild takes at most, unless a single batch has more files."""
LOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many archived files were planned anew, and how many of them, with how many records, are loaded now."""

    archived: int
    files: int
    batches: int
    records: int


def rebuild(
    warehouse: Warehouse,
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    log: Callable[[str], None],
    renamed_from: str = "",
    accept_loss: bool = False,
) -> Rebuilt:
    """Make a feed's tables and archive anew from its archived files.

    Args:
        warehouse: where the tables are; it need not exist.
        settings: where the files are.
        feed: the contract.
        options: how the feed is run.
        log: takes a line of progress.
        renamed_from: the name that the feed had before: its files, waivers and lines of the ledger come with it.
        accept_loss: whether to go on without accepted files that the archive does not have any more.

    Raises:
        RecoveryError: an archived file has no batch now or is lost, or there is none; nothing was changed.
        WarehouseError: an archived file can't be read; nothing was changed.
        WarehouseBusy: somebody else held the warehouse for too long.
        DiskFull: a disk had no room; nothing was changed.
    """
    archive, scratch = settings.archive(feed.name), scratch_of(warehouse)
    names = [name for name in (renamed_from, feed.name) if name]
    purpose = f"rebuild of {feed.name}"
    with (
        warehouse.connection(purpose, [scratch]) as connection,
        warehouse.clear_faults(purpose, archive),
    ):
        ledger.ensure_ledger(connection)
        for name in names:
            ensure_feed_name(name)
            _settle(connection, settings, warehouse, name)
        try:
            keep = _keeps_batches(connection, settings, options, names)
            total = _build(settings, feed, options, names, keep)
            log(f"{feed.name}: {total} archived file(s) planned anew")
            _load(warehouse.scratch(scratch / "warehouse.duckdb"), settings, feed, options, log)
            loaded = _commit(connection, scratch / "warehouse.duckdb", feed, names, keep, accept_loss)
        # SIGINT too: what was built is of no use to anybody, and may be as large as the archive.
        except BaseException:
            undo_tree(archive)
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        reached(Recovery.REBUILD_COMMITTED)
        settle_recovery(connection, settings, warehouse, feed.name)
        note_state(connection, settings, feed, options, (), log)
    return Rebuilt(total, *loaded)


def _settle(connection: "DuckDBPyConnection", settings: Settings, warehouse: Warehouse, name: str) -> None:
    """Bring the archive of a feed into the state that its ledger tells, whoever was killed before."""
    settle_recovery(connection, settings, warehouse, name)
    transfer = Transfer(settings.landing(name), settings.archive(name), settings.quarantine(name))
    transfer.recover(lambda file, sha256: ledger_queries.archived_as(connection, name, file, sha256))


def _keeps_batches(
    connection: "DuckDBPyConnection", settings: Settings, options: FeedOptions, names: Sequence[str]
) -> bool:
    """Whether the folders of the archive say which batch each file is for."""
    before, present = loaded_with(connection, names[0]), loading_of(options)
    # An archive that came back without its times still has its folders, which are right as long as nothing changed.
    # `undated` says which file replaces which, and moves none into another batch.
    if before:
        return replace(before, undated=present.undated) == present
    return not any(misplaced_file(settings.archive(name), options.batching) for name in names)


def _build(settings: Settings, feed: Feed, options: FeedOptions, names: Sequence[str], keep: bool) -> int:
    target = new_tree(settings.archive(feed.name), feed.name)
    sources = [settings.archive(name) for name in names]
    total = build_tree(sources, target, options.batching, keep, options.by_name)
    if not total:
        raise RecoveryError(f"{' and '.join(map(str, sources))} have no files, so there is nothing to rebuild from")
    # The ids of rejects are made with the first name of a feed, and repairs and waivers refer to them.
    if len(names) > 1:
        note_first_name(target, first_name(sources[0]) or names[0])
    return total


def _load(
    warehouse: Warehouse, settings: Settings, feed: Feed, options: FeedOptions, log: Callable[[str], None]
) -> None:
    """Fill a scratch warehouse from the new tree."""
    root = settings.archive(feed.name)
    # A load finds its folders below a data folder: for this one the new tree is the archive, and landing is empty.
    own = replace(settings, data_dir=tree_root(root), landing_url="")
    # Of a snapshot feed only the newest file counts, and that is not known before all are looked at.
    ranges = [None] if options.snapshot else list(_ranges(new_tree(root, feed.name), options))
    for number, batches in enumerate(ranges, 1):
        if batches:
            first, last = options.batching.key(batches[0]), options.batching.key(batches[-1])
            log(f"{feed.name}: range {number} of {len(ranges)}, batches {first} to {last}")
        load(warehouse, own, feed, options, Request(batches), log)
        reached(Recovery.RANGE_LOADED)


def _ranges(tree: Path, options: FeedOptions) -> Iterator[list[Batch]]:
    """The batches of a tree in ranges, so that the files of one load are few enough for its memory."""
    portion, files = list[Batch](), 0
    for key in filter(is_any_key, batch_keys(tree)):
        size = len(archived(tree, key))
        if portion and (len(portion) == RANGE_BATCHES or files + size > RANGE_FILES):
            yield portion
            portion, files = [], 0
        portion.append(options.batching.from_key(key))
        files += size
    # One more, perhaps empty: a feed whose files are all withdrawn has tables too.
    yield portion


def _commit(
    connection: "DuckDBPyConnection", scratch: Path, feed: Feed, names: Sequence[str], keep: bool, accept_loss: bool
) -> tuple[int, int, int]:
    """Put the new tables in the place of the old ones; returns how many files, batches and records are loaded."""
    with attached(connection, scratch), transaction(connection):
        # Asked inside of the transaction, of the new ledger: what its loads refused or did not find is what would be
        # lost.
        if (lost := lost_files(connection, names, keep)) and not accept_loss:
            more = f" and {len(lost) - LOST_SHOWN} more" if len(lost) > LOST_SHOWN else ""
            raise RecoveryError(
                f"{feed.name}: the archive does not have the accepted bytes of {', '.join(lost[:LOST_SHOWN])}{more}."
                " Restore them from a backup, or accept the loss by --accept-loss; nothing was changed"
            )
        copy_feed(connection, feed.name, names)
        # With the tables in one transaction: it is what says, after a kill, that the folders have to follow.
        note_tree(connection, feed.name, BUILDING, names[0] if len(names) > 1 else "")
        reached(Recovery.TABLES_COPIED)
        row = connection.execute(
            f"""SELECT count(*), count(DISTINCT batch), coalesce(sum(records), 0)::BIGINT FROM {ledger.TABLE}
                WHERE feed = $1 AND {ledger.IS_IN_RAW}""",
            [feed.name],
        ).fetchone()
    files, batches, records = row or (0, 0, 0)
    return files, batches, records

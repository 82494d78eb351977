"""Before a feed is loaded: its files fall into batches as they did, and what a kill left of a rebuild is settled.

What rebuilds a feed is in `recovery`.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import FileRefused, WarehouseBroken, WarehouseError
from orchestration_project.failpoints import Recovery, reached
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batching
from orchestration_project.storage.members import take_over_unpacked
from orchestration_project.storage.trees import (
    is_switching,
    is_unfinished,
    misplaced_file,
    numbered_twice,
    remove_old_tree,
    switch_trees,
    undo_tree,
)
from orchestration_project.storage.withdrawals import finish_withdrawals
from orchestration_project.storage.writers import roots, take_over
from orchestration_project.warehouse import ledger_batches
from orchestration_project.warehouse.batching import (
    LoadedWith,
    ensure_batching,
    loaded_with,
    note_batching,
    note_tree,
    waiting_tree,
)
from orchestration_project.warehouse.connection import Warehouse

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCRATCH = "rebuild"
"""What the name of the folder beside the warehouse ends with, in which new tables are made."""


def scratch_of(warehouse: Warehouse) -> Path:
    """The folder in which the tables of a rebuild are made, beside the warehouse."""
    return warehouse.beside(SCRATCH)


def loading_of(options: FeedOptions) -> LoadedWith:
    """What a feed is loaded with as its `defs.yaml` is now."""
    batching = options.batching
    return LoadedWith(
        "snapshot" if options.snapshot else "batches",
        batching.cadence.value,
        batching.key(batching.start),
        batching.pattern.pattern if batching.pattern else "",
        batching.timezone.key,
        "replace" if options.by_name else "delivery",
        options.division.column if options.division else "",
    )


def ensure_same_batching(connection: "DuckDBPyConnection", feed: str, options: FeedOptions, archive: Path) -> None:
    """Make sure that a feed's files fall into batches as they did when they were loaded; notes how, the first time.

    Another `start_date` that no loaded batch lies before changes nothing, so it is taken.

    Args:
        connection: to the warehouse, which has a ledger.
        feed: the feed's name.
        options: how the feed is run.
        archive: the feed's archive.

    Raises:
        WarehouseError: they would fall into other batches; nothing was changed.
    """
    if loaded_with(connection, feed) == loading_of(options):
        return
    # A load under another batching once made a second file of each correction, in another batch, and doubled its
    # records.
    if fault := rebatching(connection, feed, options, archive):
        raise WarehouseError(
            f"{feed}: {fault}. Its files would fall into other batches than the ones they were loaded for, or replace"
            " others, so nothing was loaded. Set the attribute back in defs.yaml, or run"
            f" `orchestration-project rebuild {feed}`, which plans all archived files anew"
        )
    note_batching(connection, feed, loading_of(options))


def rebatching(connection: "DuckDBPyConnection", feed: str, options: FeedOptions, archive: Path) -> str:
    """What forbids a load under the present batching, in words; empty if nothing does. Changes nothing."""
    batching, present, before = options.batching, loading_of(options), loaded_with(connection, feed)
    if before == present:
        return ""
    if not ledger_batches.has_accepted(connection, feed):
        # The ledger has no file, so the warehouse is new or was lost. In a lost one only the folders of the archive
        # still tell for which batches files were accepted.
        if before is None and (odd := misplaced_file(archive, batching)):
            return f"the archive has {odd}, which is another batch under the attributes of defs.yaml"
        if before is None and options.by_name and (name := numbered_twice(archive)):
            return f"the archive has several first deliveries of {name!r}, which are one file under undated: replace"
        return ""
    # A release that recorded no batching is taken as it is, if all of its files are where they would be now.
    if before is None:
        odd = _odd_file(connection, feed, batching)
        return f"{odd} was loaded for another batch than the attributes of defs.yaml say now" if odd else ""
    changes = before.changes(present)
    if "cadence" in changes:
        # It was moved to the start of a batch, so it follows; nobody need have set it.
        changes.pop("start_date", None)
    if set(changes) == {"start_date"} and ledger_batches.first_batch(connection, feed) >= present.start_date:
        return ""
    return "it was loaded with " + "; ".join(f"{name} {told}" for name, told in changes.items())


def _odd_file(connection: "DuckDBPyConnection", feed: str, batching: Batching) -> str:
    """A file that the ledger has for another batch than the batching says; empty when there is none.

    A warehouse of an older release does not say what it was loaded with.
    """
    for file, modified_at, batch in ledger_batches.accepted_batches(connection, feed):
        try:
            if batching.key(batching.batch_of(file, modified_at)) != batch:
                return f"{file!r} (batch {batch})"
        except FileRefused:
            return f"{file!r} (batch {batch})"
    return ""


def settle_recovery(connection: "DuckDBPyConnection", settings: Settings, warehouse: Warehouse, feed: str) -> None:
    """Finish or undo what a killed rebuild or withdrawal of a feed has left half done.

    Args:
        connection: to the warehouse, under its lock: so nobody else is at it.
        settings: where the folders are.
        warehouse: where the tables are.
        feed: the feed's name.
    """
    ensure_batching(connection)
    archive = settings.archive(feed)
    # Under the lock nobody else can be at it, so it is of a process that is gone.
    shutil.rmtree(scratch_of(warehouse), ignore_errors=True)
    tree, renamed_from = waiting_tree(connection, feed)
    # Either says that the tables were committed; a lost warehouse leaves only the folders to say it.
    if tree or is_switching(archive):
        switch_trees(archive, feed)
        _take_folders(settings, renamed_from, feed)
        # After the folders are in place, and before the old tree goes: as long as one of the two is there, a kill is
        # noticed.
        note_tree(connection, feed, "", "")
        remove_old_tree(archive)
    elif is_unfinished(archive):
        undo_tree(archive)
    finish_withdrawals(archive)


def settle_killed(warehouse: Warehouse, settings: Settings, feeds: Iterable[str]) -> None:
    """Settle what a killed rebuild has left, for a command that opens no session. Mostly nothing is to be done.

    Args:
        warehouse: where the tables are.
        settings: where the folders are.
        feeds: the names of the feeds.

    Raises:
        WarehouseBusy: somebody else, perhaps a rebuild that goes on, held the warehouse for too long.
    """
    unsettled = [feed for feed in feeds if is_unfinished(settings.archive(feed))]
    if unsettled and warehouse.exists():
        # Who asks for a warehouse that can't be read is told so when it is read.
        with suppress(WarehouseBroken), warehouse.connection("end of a killed rebuild") as connection:
            for feed in unsettled:
                settle_recovery(connection, settings, warehouse, feed)


def _take_folders(settings: Settings, old: str, feed: str) -> None:
    """Move what waits or was refused under a feed's old name; its archive goes, since the new one has the files."""
    if not old:
        return
    # Else what a writer adds to a file after its feed was renamed is lost.
    take_over(*(roots(settings.landing(name), settings.archive(name)) for name in (old, feed)))
    take_over_unpacked(settings.archive(old), settings.archive(feed))
    for folder in (settings.landing, settings.quarantine, settings.repairs):
        if folder(old).is_dir():
            _move_files(folder(old), folder(feed))
    shutil.rmtree(settings.archive(old), ignore_errors=True)
    reached(Recovery.RENAMED)


def _move_files(source: Path, target: Path) -> None:
    """Move the files of a folder; one whose name is taken stays where it is."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if not (target / path.name).exists():
            shutil.move(path, target / path.name)
            reached(Recovery.RENAMED)
    if not any(source.iterdir()):
        source.rmdir()

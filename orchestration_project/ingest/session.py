"""One load's session: its connection under the warehouse's lock, its folders, what it is asked to do, its progress."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import WarehouseError
from orchestration_project.ingest.batching import ensure_same_batching, settle_recovery
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batching
from orchestration_project.storage.transfer import Transfer
from orchestration_project.storage.trees import first_name
from orchestration_project.warehouse import history_days, ledger, ledger_queries
from orchestration_project.warehouse.connection import Warehouse, alone, transaction
from orchestration_project.warehouse.feed_tables import cleaned_table, history_layout, history_table, layouts, raw_table
from orchestration_project.warehouse.file_batches import ensure_file_batches
from orchestration_project.warehouse.owners import refuse_owned
from orchestration_project.warehouse.published import ensure_published
from orchestration_project.warehouse.renewal import ensure_feed_contracts
from orchestration_project.warehouse.tables import add_columns, columns_of, create_table
from orchestration_project.warehouse.waivers import ensure_waivers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


INTERVAL_SECONDS = 5.0
"""A line is written at most so often; work that is done before says nothing."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """Tells how far work has come.

    Attributes:
        log: takes a line.
        clock: tells the seconds since some moment.
    """

    log: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic

    def of(self, items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
        """The items, unchanged and one at a time; an item counts as done when the next one is asked for.

        Args:
            items: what is worked on.
            what: such as `sales: files hashed`.
            total: how many there are, where that is known.
        """
        began = told = self.clock()
        of_all = "" if total is None else f" of {total:,}"
        for done, item in enumerate(items):
            now = self.clock()
            if now - told >= INTERVAL_SECONDS:
                told = now
                self.log(f"{what}: {pace(done, now - began, of_all)}")
            yield item


def pace(done: int, seconds: float, of_all: str = "") -> str:
    """How much was done in which time, and how much a second; no rate where the time is too short to tell one."""
    rate = f", {done / seconds:,.0f} a second" if seconds >= 1 else ""
    return f"{done:,}{of_all} in {seconds:,.1f} s{rate}"


@dataclass(frozen=True, slots=True)
class Session:
    """What every stage of a load needs.

    Attributes:
        connection: to the warehouse; it may read landing, archive and `work`.
        settings: where the folders are, and how large a file may be.
        feed: the contract.
        options: how the feed is run.
        request: which batches and which tables.
        work: a folder for rewritten copies of files; it is gone when the session ends.
        log: takes a line of progress.
    """

    connection: "DuckDBPyConnection"
    settings: Settings
    feed: Feed
    options: FeedOptions
    request: Request
    work: Path
    log: Callable[[str], None]

    @property
    def batching(self) -> Batching:
        """How files fall into batches."""
        return self.options.batching

    @property
    def archive(self) -> Path:
        """The feed's archive."""
        return self.settings.archive(self.feed.name)

    @property
    def transfer(self) -> Transfer:
        """Takes files from landing to archive and quarantine."""
        name = self.feed.name
        return Transfer(self.settings.landing(name), self.archive, self.settings.quarantine(name))

    @property
    def progress(self) -> Progress:
        """Tells how far work over many files has come."""
        return Progress(self.log)

    def of_changes(self) -> "Session":
        """The same for what changes alone: batches that were asked for have just been published."""
        if self.request.batches is None:
            return self
        return replace(self, request=replace(self.request, batches=[]))

    def tell(self, message: str) -> None:
        """Log a line about the feed."""
        self.log(f"{self.feed.name}: {message}")

    @contextmanager
    def timed(self, done: str) -> Iterator[Callable[[int], None]]:
        """Log how many records were `done` in which time.

        Yields:
            Takes the number of records; none are not told.
        """
        began, counted = time.monotonic(), list[int]()
        yield counted.append
        if records := sum(counted):
            self.tell(f"records {done}: {pace(records, time.monotonic() - began)}")


@contextmanager
def open_session(
    warehouse: Warehouse,
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    request: Request,
    log: Callable[[str], None],
    shared: bool = False,
) -> Iterator[Session]:
    """A session for a load, with the feed's tables made and what a killed load left half done finished or undone.

    Args:
        warehouse: where the tables are.
        settings: where the files are, and how large one may be.
        feed: the contract.
        options: how the feed is run.
        request: which batches and which tables.
        log: takes a line of progress.
        shared: others may write meanwhile, where the kind of warehouse can have that: whatever changes it, landing or
            archive is done in a block of `alone`.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        DiskFull: a disk had no room.
        WarehouseError: the feed was loaded under another batching.
    """
    purpose = f"load of {feed.name}, run {request.run_id or 'by hand'}"
    work = warehouse.work_path()
    landing, archive, quarantine = (
        folder(feed.name) for folder in (settings.landing, settings.archive, settings.quarantine)
    )
    with (
        warehouse.connection(purpose, [landing, archive, work], shared=shared) as connection,
        warehouse.clear_faults(purpose, landing, archive, quarantine),
        _own_folder(work),
    ):
        landing.mkdir(parents=True, exist_ok=True)
        with alone(connection):
            ledger.ensure_ledger(connection)
            # First: a rebuild that was killed after its commit has left the archive in the old batches, while the
            # ledger has the new ones.
            settle_recovery(connection, settings, warehouse, feed.name)
            # Before tables are made: where this refuses, nothing is to be changed.
            ensure_same_batching(connection, feed.name, options, archive)
            ensure_feed_tables(connection, feed, options.batching)
            ensure_history(connection, feed, options.history)
            named = replace(feed, first_name=first_name(archive), division=options.division)
            session = Session(connection, settings, named, options, request, work, log)
            # Only now: what a killed load has secured is finished or undone by what the ledger says of it.
            session.transfer.recover(
                lambda file, sha256: ledger_queries.archived_as(connection, feed.name, file, sha256)
            )
        yield session


@contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards.

    The lock makes it one load's own, so what a killed load left behind can go.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ensure_feed_tables(connection: "DuckDBPyConnection", feed: Feed, batching: Batching) -> None:
    """Make sure that a feed's tables exist.

    What the contract decides of a table that is there stays as it is, whatever the contract says now: its values come
    from raw text alone, so only `renew` changes them. Columns of the platform that a table lacks are added.
    """
    ledger.ensure_ledger(connection)
    ensure_file_batches(connection)
    ensure_waivers(connection)
    ensure_feed_contracts(connection)
    named = {column.name for column in feed.columns}
    for table, layout in layouts(feed, batching.sql_type).items():
        # An asset with a DataFrame may have taken the name before there was such a feed.
        refuse_owned(connection, table)
        if present := columns_of(connection, table):
            lacking = {name: layout[name] for name in layout if name not in present and name not in named}
            add_columns(connection, table, lacking)
        else:
            create_table(connection, table, layout)
    ensure_published(connection, cleaned_table(feed))


def ensure_history(connection: "DuckDBPyConnection", feed: Feed, wanted: bool) -> None:
    """Make sure that a feed has the table of its history, or nothing of it if it is not wanted any more.

    Raises:
        WarehouseError: somebody else has a table of that name.
    """
    table = history_table(feed)
    if wanted:
        history_days.ensure_days(connection)
        refuse_owned(connection, table)
        if not columns_of(connection, table):
            create_table(connection, table, history_layout(feed))
        elif not history_days.is_history(connection, table):
            raise WarehouseError(
                f"{table} is no history, and the history of {feed.name} needs the name: rename or drop that table, or"
                " take `history` out of the feed's defs.yaml"
            )
    elif history_days.is_history(connection, table):
        with transaction(connection):
            history_days.forget(connection, feed.name, raw_table(feed))

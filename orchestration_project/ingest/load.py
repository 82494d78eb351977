"""The load itself.

The order is what keeps the promise: read and judge, secure the bytes for the archive, commit rows and ledger together,
and only then move files. A run that dies before the commit has changed nothing; one that dies after it leaves files in
landing that the next run recognises by their hash and only has to move.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileChanged, FileRefused, FilesUnfit, WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.formats.prepare import Prepared
from orchestration_project.formats.stage import stage
from orchestration_project.formats.staging import ReadyFile
from orchestration_project.ingest.archive import Moves, changed_files
from orchestration_project.ingest.counts import FileCount, count_reasons, count_records, nothing_of
from orchestration_project.ingest.deduplicate import compare
from orchestration_project.ingest.discover import Intake, lost, prepare_counted, prepare_latest, take_in
from orchestration_project.ingest.model import Report, Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.plan import Plan, make_plan, refusal_entries
from orchestration_project.ingest.publish import publish
from orchestration_project.ingest.refuse import bad_files
from orchestration_project.ingest.relations import REMOVED, insert_staged, make_removed
from orchestration_project.ingest.repairs import resolve
from orchestration_project.ingest.validate import judge, judging_of
from orchestration_project.ingest.waivers import take_waivers
from orchestration_project.progress import Progress, pace
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import ensure_bytes
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.storage.transfer import Handover
from orchestration_project.warehouse import ledger, ledger_queries
from orchestration_project.warehouse.connection import Warehouse, transaction
from orchestration_project.warehouse.faults import clear_faults
from orchestration_project.warehouse.feed_tables import (
    cleaned_layout,
    cleaned_table,
    raw_layout,
    raw_table,
    rejected_layout,
    rejected_table,
)
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.published import ensure_published, note_published
from orchestration_project.warehouse.quoting import ident
from orchestration_project.warehouse.tables import batch_filter, ensure_table
from orchestration_project.warehouse.waivers import ensure_waivers, has_waivers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NEWEST_DAYS = 60


def load(
    warehouse: Warehouse,
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    request: Request,
    log: Callable[[str], None],
) -> Report:
    """Load a feed: take in new files and publish what is asked for.

    Args:
        warehouse: where the tables are.
        settings: where the files are, and how large one may be.
        feed: the contract.
        options: how the feed is run.
        request: which batches and which tables.
        log: takes a line of progress.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        DiskFull: a disk had no room; what was not committed by then has changed nothing.
        WarehouseError: the tables do not fit the contract, counts do not balance, or an archived file is lost; no row
            was changed.
    """
    purpose = f"load of {feed.name}, run {request.run_id or 'by hand'}"
    work = warehouse.database.with_name(f"{warehouse.database.name}.work")
    landing, archive, quarantine = (
        place(feed.name) for place in (settings.landing, settings.archive, settings.quarantine)
    )
    with (
        warehouse.connection(purpose, [landing, archive, work]) as connection,
        clear_faults(warehouse.database, purpose, landing, archive, quarantine),
        _own_folder(work),
    ):
        landing.mkdir(parents=True, exist_ok=True)
        return _Loader(connection, settings, feed, options, request, work, log).run()


@contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards.

    The lock makes it one load's own, so what a killed one left behind can go.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_tables(connection: "DuckDBPyConnection", feed: Feed, batching: Batching) -> None:
    """Make sure that a feed's tables exist, as its contract has them.

    Raises:
        WarehouseError: rows that are there do not fit.
    """
    ledger.ensure_ledger(connection)
    ensure_waivers(connection)
    ensure_table(connection, raw_table(feed), raw_layout(feed, batching.sql_type))
    ensure_table(connection, cleaned_table(feed), cleaned_layout(feed, batching.sql_type))
    ensure_table(connection, rejected_table(feed), rejected_layout(feed, batching.sql_type))
    ensure_published(connection, cleaned_table(feed))


class _Loader:
    """The steps of one load over one connection."""

    def __init__(
        self,
        connection: "DuckDBPyConnection",
        settings: Settings,
        feed: Feed,
        options: FeedOptions,
        request: Request,
        work: Path,
        log: Callable[[str], None],
    ) -> None:
        self.connection, self.feed, self.options, self.request = connection, feed, options, request
        self.archive = settings.archive(feed.name)
        self.handover = Handover(settings.landing(feed.name), self.archive, settings.quarantine(feed.name))
        self.settings, self.work, self.log, self.progress = settings, work, log, Progress(log)
        self.intake = Intake()

    def run(self) -> Report:
        """Take in, commit, move. Files that prove unfit on the way are left out and the rest is tried again."""
        make_tables(self.connection, self.feed, self.options.batching)
        self.handover.recover(partial(ledger_queries.archived_as, self.connection, self.feed.name))
        if self.request.read:
            self.intake = take_in(
                self.connection, self.settings, self.feed, self.options, self.request, self.work, self.progress
            )
        moves = Moves(self.handover, self.intake, self.feed, self.request, self.log)
        moves.archive_known()
        while True:
            try:
                report = self._attempt(moves)
                break
            except FilesUnfit as error:
                self.intake.leave_out(self._all_faults(error.faults))
                limit = self.settings.max_file_bytes
                prepare_latest(self.connection, self.feed, self.intake, self.work, limit, self.progress)
        reached(Point.COMMITTED)
        for name, fault in self.intake.unread.items():
            self.log(
                f"{self.feed.name}: {name!r} keeps the rows it has: it can't be read as the contract says now: {fault}"
            )
        moves.hand_over(report.entries)
        return report

    def _all_faults(self, faults: Mapping[str, FileRefused | FileChanged]) -> dict[str, FileRefused | FileChanged]:
        """The faults, and those of new files with the same bytes, which would else be tried one after the other.

        That a file has changed comes before any other fault, which would say nothing about the new bytes.
        """
        latest = self.intake.latest
        wrong = {item.sha256: faults[item.file.name] for item in latest if item.file.name in faults}
        refused = {sha256: fault for sha256, fault in wrong.items() if isinstance(fault, FileRefused)}
        same = {
            item.file.name: FileRefused(fault.rule, f"{item.file.name!r} has the same bytes as another file: {fault}")
            for item in latest
            if item.archived_as is None and (fault := refused.get(item.sha256))
        }
        found = {**same, **faults}
        return {**found, **changed_files([item for item in latest if item.file.name in found])}

    def _attempt(self, moves: Moves) -> Report:
        """Read and judge what is new, then write all of it in one transaction.

        Raises:
            FilesUnfit: names the files to leave out; nothing was changed.
        """
        plan = make_plan(self.intake.fresh, self.intake.current, self.feed, self.options, self.request, self.archive)
        self._note_removals(plan.removals)
        self._stage(plan.loads)
        reached(Point.STAGED)
        batches = self._touched(plan)
        # Records that are there already are judged anew where they are published anew.
        new = batch_filter({self.options.batching.from_key(entry.batch) for entry in plan.loads})
        began = time.monotonic()
        judged = judge(self.connection, self.feed, batch_filter(batches) if self.request.publish else new)
        self._tell("judged", judged, began)
        reached(Point.JUDGED)
        self._refuse_bad_files(plan)
        with transaction(self.connection):
            reached(Point.BEGUN)
            report = self._write(plan, batches)
            moves.secure()
        return report

    def _write(self, plan: Plan, batches: list[Batch] | None) -> Report:
        self._remove()
        reached(Point.REMOVED)
        refused = refusal_entries(self.intake.refused, self.feed, self.options, self.request)
        ledger.write_entries(self.connection, [*plan.entries, *refused])
        reached(Point.ENTERED)
        if self.request.publish:
            batches = self._publish(self._judge_waived(batches))
        insert_staged(self.connection, self.feed)
        reached(Point.INSERTED)
        if self.request.publish and self._has_closed():
            resolve(self.connection, self.feed, batches)
        counts = count_records(self.connection, self.feed, batches)
        self._balance(plan, counts)
        reached(Point.COUNTED)
        reasons = count_reasons(self.connection, self.feed, batches)
        newest = ledger_queries.newest_days(self.connection, self.feed.name, NEWEST_DAYS)
        intake = self.intake
        again = [delivery.file.name for delivery, _ in intake.again]
        return Report(
            plan.entries, intake.refused, again, intake.changed, intake.stuck, batches, counts, reasons, newest
        )

    def _note_removals(self, entries: Sequence[Entry]) -> None:
        """Fill `_removed` with the files of entries, and those in the batches asked for that no load has brought."""
        raw, wanted = ident(raw_table(self.feed)), batch_filter(self.request.batches)
        batching = self.options.batching
        make_removed(self.connection, batching.sql_type)
        self.connection.execute(
            f"INSERT INTO {REMOVED} SELECT unnest($batches), unnest($files), unnest($versions)",
            {
                "batches": [str(batching.from_key(entry.batch)) for entry in entries],
                "files": [entry.file for entry in entries],
                "versions": [entry.version for entry in entries],
            },
        )
        if self.request.read:
            self.connection.execute(
                f"""INSERT INTO {REMOVED} SELECT *
                    FROM (SELECT DISTINCT _batch_date, _file, _file_version FROM {raw} WHERE {wanted})
                    ANTI JOIN (FROM {LEDGER} WHERE feed = $feed AND status = 'loaded')
                    ON file = _file AND version = _file_version AND batch = strftime(_batch_date, $key_format)""",
                {"feed": self.feed.name, "key_format": batching.key_format},
            )

    def _remove(self) -> None:
        raw = ident(raw_table(self.feed))
        removed = self.connection.execute(f"SELECT DISTINCT _batch_date FROM {REMOVED}").fetchall()
        if removed:
            condition = batch_filter(batch for (batch,) in removed)
            self.connection.execute(
                f"DELETE FROM {raw} WHERE {condition} AND (_batch_date, _file, _file_version) IN (FROM {REMOVED})"
            )

    def _stage(self, entries: Sequence[Entry]) -> None:
        if entries:
            size = sum(entry.bytes for entry in entries)
            self.log(f"{self.feed.name}: reading {len(entries)} file(s), {size:,} bytes")
        prepared = {delivery.file.name: delivery.prepared for delivery in self.intake.latest}
        from_key = self.options.batching.from_key
        ready = [
            ReadyFile(
                prepared.get(entry.file) or self._from_archive(entry),
                str(from_key(entry.batch)),
                entry.version,
                self.work,
            )
            for entry in entries
        ]
        began = time.monotonic()
        stage(self.connection, self.feed, self.options.batching.sql_type, ready)
        self._tell("read", sum(item.prepared.records or 0 for item in ready), began)

    def _tell(self, done: str, records: int, began: float) -> None:
        if records:
            self.log(f"{self.feed.name}: records {done}: {pace(records, time.monotonic() - began)}")

    def _from_archive(self, entry: Entry) -> Prepared:
        """Prepare a file that was a duplicate until now: its bytes are in the archive."""
        path = self.archive / str(entry.archived_as)
        try:
            ensure_bytes(path, entry.sha256)
            limit = self.settings.max_file_bytes
            return prepare_counted(self.connection, self.feed, path, entry.file, self.work, limit)
        except (FileRefused, OSError) as error:
            raise lost(entry.file, error) from error

    def _touched(self, plan: Plan) -> list[Batch] | None:
        """The batches asked for and those whose files changed, in order; None for a snapshot."""
        if self.request.batches is None:
            return None
        from_key = self.options.batching.from_key
        return sorted({*self.request.batches, *(from_key(entry.batch) for entry in [*plan.loads, *plan.removals])})

    # -- judging and publishing ---------------------------------------------------------------------------------------

    def _judge_waived(self, batches: list[Batch] | None) -> list[Batch] | None:
        """Take waivers in, and judge the batches that they are about too."""
        waived = take_waivers(self.connection, self.archive, self.feed)
        if batches is None:
            return None
        if others := {*waived} - {*batches}:
            judge(self.connection, self.feed, batch_filter(others), more=True)
        return sorted({*batches, *others})

    def _publish(self, batches: list[Batch] | None) -> list[Batch] | None:
        began = time.monotonic()
        batches = compare(self.connection, self.feed, self.options, batches, self.log)
        self._tell("published", publish(self.connection, self.feed, batches), began)
        note_published(self.connection, cleaned_table(self.feed), batches, judging_of(self.feed))
        reached(Point.PUBLISHED)
        return batches

    def _has_closed(self) -> bool:
        """Whether rejects of the feed have ever been repaired or waived."""
        feed = self.feed.name
        return bool(ledger_queries.repaired_batches(self.connection, feed)) or has_waivers(self.connection, feed)

    def _refuse_bad_files(self, plan: Plan) -> None:
        """Refuse the new files that hold another table too, or of which too much breaks the contract.

        What they would have replaced stays.

        Raises:
            FilesUnfit: names them.
        """
        new = {item.file.name for item in self.intake.latest if item.archived_as is None}
        loaded = {(entry.file, entry.version) for entry in plan.loads if entry.file in new}
        if faults := bad_files(self.connection, self.feed, self.options.max_reject_rate, loaded):
            raise FilesUnfit(faults)

    def _balance(self, plan: Plan, counts: Sequence[FileCount]) -> None:
        """Write each file's counts to the ledger; a file whose records do not balance stops the load.

        Raises:
            WarehouseError: names the file and its counts.
        """
        found = {(count.file, count.version): count for count in counts}
        for entry in plan.loads:
            identity = (entry.file, entry.version)
            count = found.setdefault(identity, nothing_of(*identity))
            if entry.records not in (None, count.records):
                raise WarehouseError(
                    f"{self.feed.name}: {entry.file!r} has {entry.records} records, but {count.records} were read"
                )
        # A new file without records is done once it is read: no table will ever tell of it.
        settled = [count for count in found.values() if self.request.publish or count.batch is None]
        for count in settled:
            if count.records != count.blank + count.cleaned + count.rejected:
                raise WarehouseError(
                    f"{self.feed.name}: {count.file!r} does not balance: {count.records} records were read,"
                    f" {count.cleaned} are cleaned, {count.rejected} rejected, {count.blank} blank"
                )
        ledger.write_counts(self.connection, self.feed.name, [astuple(count)[1:] for count in settled])

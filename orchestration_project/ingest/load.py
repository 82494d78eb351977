"""The load itself.

The order is what keeps the promise: read and judge, secure the bytes for the archive, commit rows and ledger together,
and only then move files. A run that dies before the commit has changed nothing; one that dies after it leaves files in
landing that the next run recognises by their hash and only has to move.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.errors import FileChanged, FileRefused, FilesUnfit, WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.intake import Intake, lost, prepare_counted, prepare_latest, take_in
from orchestration_project.ingest.judging import compare
from orchestration_project.ingest.model import Delivery, FeedOptions, Refused, Report, Request
from orchestration_project.ingest.plan import Plan, make_plan, refusal_entries
from orchestration_project.ingest.waiving import take_waivers
from orchestration_project.landing.batches import Batch, Batching
from orchestration_project.landing.files import FoundFile, ensure_unchanged
from orchestration_project.landing.handover import Handover
from orchestration_project.landing.store import ensure_bytes
from orchestration_project.settings import Settings
from orchestration_project.transforms.judge import judge
from orchestration_project.transforms.prepare import Prepared
from orchestration_project.transforms.publish import (
    FileCount,
    cleaned_layout,
    cleaned_table,
    count_reasons,
    count_records,
    publish,
    reject_rates,
    rejected_layout,
    rejected_table,
)
from orchestration_project.transforms.raw import ReadyFile, raw_layout, raw_table
from orchestration_project.transforms.repairs import resolve
from orchestration_project.transforms.several_tables import SecondHeader, second_headers
from orchestration_project.transforms.stage import stage
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.connection import Warehouse, transaction
from orchestration_project.warehouse.faults import clear_faults, no_room
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.sql import ident
from orchestration_project.warehouse.tables import batch_filter, ensure_table
from orchestration_project.warehouse.waivers import ensure_waivers, has_waivers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


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


def _work_folder(warehouse: Warehouse) -> Path:
    """The folder for rewritten copies, on the warehouse's disk."""
    return warehouse.database.with_name(f"{warehouse.database.name}.work")


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
        self.settings, self.work, self.log = settings, work, log
        self.intake = Intake()

    def run(self) -> Report:
        """Take in, commit, move. Files that prove unfit on the way are left out and the rest is tried again."""
        make_tables(self.connection, self.feed, self.options.batching)
        self.handover.recover(self._place_of)
        if self.request.read:
            self.intake = take_in(self.connection, self.settings, self.feed, self.options, self.request, self.work)
        self._archive_known()
        report = None
        while report is None:
            try:
                with transaction(self.connection):
                    reached(Point.BEGUN)
                    report = self._write()
            except FilesUnfit as error:
                self.intake.leave_out(self._all_faults(error.faults))
                prepare_latest(self.connection, self.feed, self.intake, self.work, self.settings.max_file_bytes)
        reached(Point.COMMITTED)
        for name, fault in self.intake.unread.items():
            self.log(
                f"{self.feed.name}: {name!r} keeps the rows it has: it can't be read as the contract says now: {fault}"
            )
        self._hand_over(report)
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
        return {**found, **_changed([item for item in latest if item.file.name in found])}

    def _write(self) -> Report:
        plan = make_plan(self.intake.fresh, self.intake.current, self.feed, self.options, self.request, self.archive)
        self._remove(plan.removals)
        reached(Point.REMOVED)
        self._stage(plan.loads)
        reached(Point.STAGED)
        refused = refusal_entries(self.intake.refused, self.feed, self.options, self.request)
        ledger.write_entries(self.connection, [*plan.entries, *refused])
        reached(Point.ENTERED)
        waived = take_waivers(self.connection, self.archive, self.feed) if self.request.publish else []
        batches = self._touched(plan, waived)
        if self.request.publish:
            batches = self._publish(plan, batches)
        else:
            self._judge_new(plan)
        counts = count_records(self.connection, self.feed, batches)
        self._balance(plan, counts)
        reached(Point.COUNTED)
        self._secure()
        reasons = count_reasons(self.connection, self.feed, batches)
        intake = self.intake
        again = [delivery.file.name for delivery, _ in intake.again]
        return Report(plan.entries, intake.refused, again, intake.changed, intake.stuck, batches, counts, reasons)

    def _secure(self) -> None:
        """The last step before the commit: the files are still what was read, and their bytes are the archive's.

        Raises:
            FilesUnfit: names those that are not.
        """
        if changed := _changed(self.intake.latest):
            raise FilesUnfit(changed)
        landed = self._landed()
        if not landed:
            return
        try:
            self.handover.secure((delivery.file, delivery.sha256) for delivery in landed)
        except FileChanged as error:
            raise FilesUnfit({error.name: error, **_changed(landed)}) from error

    def _landed(self) -> list[Delivery]:
        """The deliveries that count and came from landing."""
        return [delivery for delivery in self.intake.latest if delivery.archived_as is None]

    def _remove(self, entries: Sequence[Entry]) -> None:
        """Take out the rows of some files, and those of the batches asked for that no loaded file has brought."""
        if self.request.read:
            self._remove_strays()
        batches = {self.options.batching.from_key(entry.batch) for entry in entries}
        self.connection.execute(
            f"""DELETE FROM {ident(raw_table(self.feed))} WHERE {batch_filter(batches)} AND (_file, _file_version) IN
                (SELECT (unnest($files), unnest($versions)))""",
            {"files": [entry.file for entry in entries], "versions": [entry.version for entry in entries]},
        )

    def _remove_strays(self) -> None:
        raw, wanted = ident(raw_table(self.feed)), self.request.batches
        condition = "true" if wanted is None else batch_filter(wanted)
        self.connection.execute(
            f"""DELETE FROM {raw} WHERE {condition} AND (_batch_date, _file, _file_version) IN (
                SELECT (_batch_date, _file, _file_version)
                FROM (SELECT DISTINCT _batch_date, _file, _file_version FROM {raw} WHERE {condition})
                ANTI JOIN (FROM {LEDGER} WHERE feed = $feed AND status = 'loaded')
                ON file = _file AND version = _file_version AND batch = strftime(_batch_date, $key_format))""",
            {"feed": self.feed.name, "key_format": self.options.batching.key_format},
        )

    def _stage(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        self.log(f"{self.feed.name}: reading {len(entries)} file(s), {sum(entry.bytes for entry in entries):,} bytes")
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
        stage(self.connection, self.feed, ready)

    def _from_archive(self, entry: Entry) -> Prepared:
        """Prepare a file that was a duplicate until now: its bytes are in the archive."""
        path = self.archive / str(entry.archived_as)
        try:
            ensure_bytes(path, entry.sha256)
            limit = self.settings.max_file_bytes
            return prepare_counted(self.connection, self.feed, path, entry.file, self.work, limit)
        except (FileRefused, OSError) as error:
            raise lost(entry.file, error) from error

    def _touched(self, plan: Plan, waived: Sequence[Batch]) -> list[Batch] | None:
        """The batches asked for and those whose files or waivers changed, in order; None for a snapshot."""
        if self.request.batches is None:
            return None
        from_key = self.options.batching.from_key
        changed = (from_key(entry.batch) for entry in [*plan.loads, *plan.removals])
        return sorted({*self.request.batches, *changed, *waived})

    # -- judging and publishing ---------------------------------------------------------------------------------------

    def _publish(self, plan: Plan, batches: list[Batch] | None) -> list[Batch] | None:
        judge(self.connection, self.feed, "true" if batches is None else batch_filter(batches))
        reached(Point.JUDGED)
        self._refuse_bad_files(plan)
        batches = compare(self.connection, self.feed, self.options, batches, self.log)
        publish(self.connection, self.feed, batches)
        if ledger.repaired_batches(self.connection, self.feed.name) or has_waivers(self.connection, self.feed.name):
            resolve(self.connection, self.feed, batches)
        reached(Point.PUBLISHED)
        return batches

    def _judge_new(self, plan: Plan) -> None:
        judge(
            self.connection,
            self.feed,
            batch_filter({self.options.batching.from_key(entry.batch) for entry in plan.loads}),
        )
        self._refuse_bad_files(plan)

    def _refuse_bad_files(self, plan: Plan) -> None:
        """Refuse the new files that hold another table too, or of which too much breaks the contract.

        What they would have replaced stays.

        Raises:
            FilesUnfit: names them.
        """
        limit = self.options.max_reject_rate
        new = {item.file.name for item in self.intake.latest if item.archived_as is None}
        loaded = {(entry.file, entry.version) for entry in plan.loads if entry.file in new}
        faults = {
            rate.file: FileRefused(
                "too_many_rejects",
                f"{rate.file!r}: {rate.rejected} of {rate.records} records break the contract, more than"
                f" max_reject_rate {limit:g} allows: {rate.worst}",
            )
            for rate in reject_rates(self.connection, limit)
            if (rate.file, rate.version) in loaded
        }
        faults |= {
            found.file: FileRefused(
                "several_tables",
                f"{found.file!r}: record {found.row} is the header of another table ({found.fields}); deliver one table"
                " a file",
            )
            for found in self._second_headers()
            if (found.file, found.version) in loaded
        }
        if faults:
            raise FilesUnfit(faults)

    def _second_headers(self) -> list[SecondHeader]:
        delimited = self.feed.source.format is FileFormat.CSV
        return second_headers(self.connection, self.feed) if delimited else []

    def _balance(self, plan: Plan, counts: Sequence[FileCount]) -> None:
        """Write each file's counts to the ledger; a file whose records do not balance stops the load.

        Raises:
            WarehouseError: names the file and its counts.
        """
        found = {(count.file, count.version): count for count in counts}
        for entry in plan.loads:
            identity = (entry.file, entry.version)
            count = found.setdefault(identity, FileCount(None, *identity, records=0, blank=0, cleaned=0, rejected=0))
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

    # -- around the commit --------------------------------------------------------------------------------------------

    def _place_of(self, name: str, sha256: str) -> str | None:
        return ledger.archived_as(self.connection, self.feed.name, name, sha256)

    def _archive_known(self) -> None:
        """Take files off landing whose bytes were loaded before; put them away, if a run did not live to do it."""
        known = []
        landed = [(delivery, entry) for delivery, entry in self.intake.again if delivery.archived_as is None]
        for delivery, entry in landed:
            place = self.archive / str(entry.archived_as)
            with self._leaving(delivery.file):
                if not place.exists():
                    self.handover.secure([(delivery.file, delivery.sha256)])
                known.append((delivery.file, place, delivery.sha256))
        self._archive(known)

    def _hand_over(self, report: Report) -> None:
        """Move what was committed. A file that was written to since then stays: the next run looks at it anew."""
        places = {(entry.file, entry.sha256): self.archive / str(entry.archived_as) for entry in report.entries}
        self._archive([(item.file, places[item.file.name, item.sha256], item.sha256) for item in self._landed()])
        for item in self.intake.refused:
            with self._leaving(item.file):
                self.handover.refuse(item.file, self._reason(item))
        self.handover.tidy()
        reached(Point.MOVED)

    def _archive(self, files: Sequence[tuple[FoundFile, Path, str]]) -> None:
        if not files:
            return
        for name in self.handover.archive_all(files):
            self.log(f"{self.feed.name}: the accepted bytes of {name!r} were overwritten before they could be archived")
        for file, _, _ in files:
            with self._leaving(file):
                self.handover.clear(file)

    @contextmanager
    def _leaving(self, file: FoundFile) -> Iterator[None]:
        """Note a file that can't leave landing; the others do."""
        try:
            yield
        except FileChanged as error:
            self.intake.changed.append(error.name)
        except OSError as error:
            if no_room(error):
                raise
            self.intake.stuck[file.name] = str(error.strerror)

    def _reason(self, item: Refused) -> dict[str, object]:
        return {
            "feed": self.feed.name,
            "file": item.file.name,
            "rule": item.error.rule,
            "reason": item.error.message,
            "line": item.error.line,
            "byte": item.error.byte,
            "sha256": item.sha256 or None,
            "bytes": item.file.size,
            "contract_version": self.feed.version,
            "run_id": self.request.run_id or None,
            "refused_at": self.request.now.astimezone(dt.UTC).isoformat(),
        }


def _changed(deliveries: Iterable[Delivery]) -> dict[str, FileChanged]:
    """The deliveries whose files are not the ones that were listed any more."""
    found = {}
    for delivery in deliveries:
        try:
            ensure_unchanged(delivery.file)
        except FileChanged as error:
            found[delivery.file.name] = error
    return found

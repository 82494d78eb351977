"""The load itself.

The order is what keeps the promise: read and judge, commit rows and ledger together, and only then move files. A run
that dies before the commit has changed nothing; one that dies after it leaves files in landing that the next run
recognises by their hash and only has to move.
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
from orchestration_project.ingest.intake import Intake, lost, prepare_counted, prepare_latest, take_in
from orchestration_project.ingest.model import Delivery, FeedOptions, Refused, Report, Request
from orchestration_project.ingest.plan import Plan, make_plan, refusal_entries
from orchestration_project.landing.batches import Batch
from orchestration_project.landing.files import FoundFile, ensure_unchanged
from orchestration_project.landing.store import ensure_bytes, move, quarantine
from orchestration_project.settings import Settings
from orchestration_project.transforms.judge import judge
from orchestration_project.transforms.keys import changed_later, find_losers, keys_of
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
from orchestration_project.transforms.several_tables import SecondHeader, second_headers
from orchestration_project.transforms.stage import stage
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.connection import Warehouse, transaction
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.sql import ident
from orchestration_project.warehouse.tables import batch_filter, ensure_table

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
        WarehouseError: the tables do not fit the contract, counts do not balance, or an archived file is lost; no row
            was changed.
    """
    settings.landing(feed.name).mkdir(parents=True, exist_ok=True)
    purpose = f"load of {feed.name}, run {request.run_id or 'by hand'}"
    with warehouse.connection(purpose) as connection, _work_folder(warehouse) as work:
        return _Loader(connection, settings, feed, options, request, work, log).run()


@contextmanager
def _work_folder(warehouse: Warehouse) -> Iterator[Path]:
    """A folder for rewritten copies, on the warehouse's disk.

    The lock makes it one load's own, so what a killed one left behind can go.
    """
    folder = warehouse.database.with_name(f"{warehouse.database.name}.work")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
        self.archive, self.quarantine = settings.archive(feed.name), settings.quarantine(feed.name)
        self.settings, self.work, self.log = settings, work, log
        self.intake = Intake()

    def run(self) -> Report:
        """Take in, commit, move. Files that prove unfit on the way are left out and the rest is tried again."""
        self._make_tables()
        if self.request.read:
            self.intake = take_in(self.connection, self.settings, self.feed, self.options, self.request, self.work)
        for delivery, entry in self.intake.again:
            self._archive(delivery, entry.archived_as)
        report = None
        while report is None:
            try:
                with transaction(self.connection):
                    report = self._write()
            except FilesUnfit as error:
                self.intake.leave_out(self._all_faults(error.faults))
                prepare_latest(self.connection, self.feed, self.intake, self.work, self.settings.max_file_bytes)
        for name, fault in self.intake.unread.items():
            self.log(
                f"{self.feed.name}: {name!r} keeps the rows it has: it can't be read as the contract says now: {fault}"
            )
        self._move_files(report)
        return report

    def _make_tables(self) -> None:
        batch_type = self.options.batching.sql_type
        ledger.ensure_ledger(self.connection)
        ensure_table(self.connection, raw_table(self.feed), raw_layout(self.feed, batch_type))
        ensure_table(self.connection, cleaned_table(self.feed), cleaned_layout(self.feed, batch_type))
        ensure_table(self.connection, rejected_table(self.feed), rejected_layout(self.feed, batch_type))

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
        self._stage(plan.loads)
        refused = refusal_entries(self.intake.refused, self.feed, self.options, self.request)
        ledger.write_entries(self.connection, [*plan.entries, *refused])
        batches = self._touched(plan)
        if self.request.publish:
            batches = self._publish(plan, batches)
        else:
            self._judge_new(plan)
        counts = count_records(self.connection, self.feed, batches)
        self._balance(plan, counts)
        if changed := _changed(self.intake.latest):
            raise FilesUnfit(changed)
        reasons = count_reasons(self.connection, self.feed, batches)
        again = [delivery.file.name for delivery, _ in self.intake.again]
        return Report(plan.entries, self.intake.refused, again, self.intake.changed, batches, counts, reasons)

    def _remove(self, entries: Sequence[Entry]) -> None:
        batches = {self.options.batching.from_key(entry.batch) for entry in entries}
        self.connection.execute(
            f"""DELETE FROM {ident(raw_table(self.feed))} WHERE {batch_filter(batches)} AND (_file, _file_version) IN
                (SELECT (unnest($files), unnest($versions)))""",
            {"files": [entry.file for entry in entries], "versions": [entry.version for entry in entries]},
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

    def _touched(self, plan: Plan) -> list[Batch] | None:
        """The batches asked for and those whose files changed, in order; None for a snapshot."""
        if self.request.batches is None:
            return None
        from_key = self.options.batching.from_key
        return sorted({*self.request.batches, *(from_key(entry.batch) for entry in [*plan.loads, *plan.removals])})

    # -- judging and publishing ---------------------------------------------------------------------------------------

    def _publish(self, plan: Plan, batches: list[Batch] | None) -> list[Batch] | None:
        judge(self.connection, self.feed, "true" if batches is None else batch_filter(batches))
        self._refuse_bad_files(plan)
        reach = self.options.key_look_back
        near: list[Batch] = []
        if batches and keys_of(self.feed) and reach:
            near = self._within_reach(batches, reach)
            batches = self._with_affected(batches, [batch for batch in near if batch > batches[0]])
        others = sorted(set(near) - set(batches or ()))
        find_losers(self.connection, self.feed, batches, others, reach.total_seconds())
        publish(self.connection, self.feed, batches)
        return batches

    def _within_reach(self, batches: Sequence[Batch], reach: dt.timedelta) -> list[Batch]:
        """Other batches that may share keys with some: those as far before or after them as the feed looks back."""
        published = map(self.options.batching.from_key, ledger.loaded_batches(self.connection, self.feed.name))
        return sorted({found for found in published if batches[0] - reach <= found <= batches[-1] + reach} - {*batches})

    def _with_affected(self, batches: list[Batch], later: list[Batch]) -> list[Batch]:
        """The batches and the later ones with keys that changed in them, which are judged as well."""
        affected = changed_later(self.connection, self.feed, batches, later) if later else []
        if affected:
            self.log(f"{self.feed.name}: {len(affected)} later batch(es) share keys with what changed")
            judge(self.connection, self.feed, batch_filter(affected), append=True)
        return sorted([*batches, *affected])

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

    # -- after the commit ---------------------------------------------------------------------------------------------

    def _move_files(self, report: Report) -> None:
        """Move what was committed. A file that was written to since then stays: the next run looks at it anew."""
        places = {(entry.file, entry.sha256): entry.archived_as for entry in report.entries}
        for delivery in self.intake.latest:
            self._archive(delivery, places[delivery.file.name, delivery.sha256])
        for item in self.intake.refused:
            if self._is_unchanged(item.file):
                quarantine(item.file, self.quarantine, self._reason(item))

    def _archive(self, delivery: Delivery, place: str | None) -> None:
        if delivery.archived_as is None and self._is_unchanged(delivery.file):
            put_away(delivery.file, self.archive / str(place), delivery.sha256)

    def _is_unchanged(self, file: FoundFile) -> bool:
        try:
            ensure_unchanged(file)
        except FileChanged as error:
            self.intake.changed.append(error.name)
            return False
        return True

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


def put_away(file: FoundFile, place: Path, sha256: str) -> None:
    """Move a file to its place in the archive, or drop it when its bytes are there already.

    Raises:
        WarehouseError: other bytes are there; the file stays.
    """
    if not place.exists():
        move(file.path, place)
        return
    try:
        ensure_bytes(place, sha256)
    except (FileRefused, OSError) as error:
        raise WarehouseError(
            f"{file.name!r} stays in landing: {error}. Restore that file from a backup or remove it, then load again"
        ) from error
    file.path.unlink()

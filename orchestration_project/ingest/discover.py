"""Take files in: list landing and archive, place files in batches, recognise what is known, prepare what is new."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileChanged, FileRefused, WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.formats.prepare import Prepared, prepare
from orchestration_project.formats.repair_files import form_of
from orchestration_project.formats.stage import count
from orchestration_project.ingest.model import Delivery, Refused, Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.relations import reading_of
from orchestration_project.progress import Progress
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import archived, batch_keys, ensure_bytes, ensure_storable
from orchestration_project.storage.attempts import attempts
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.storage.files import FoundFile, discover, ensure_unchanged, find, fingerprint
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.ledger import Entry, Status

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(slots=True)
class Intake:
    """The files of one load.

    Attributes:
        fresh: by name, the deliveries that bring something new, in order of delivery: the last one counts.
        again: deliveries of bytes that are current under the same name, with their entry.
        current: the ledger's current entries of all files concerned, by name.
        refused: files for quarantine.
        changed: names of files that were written to while they were read.
        stuck: by name, why a file can't be taken off landing.
        unread: by name, why a known file could not be read again; its rows stay as they are.
    """

    fresh: dict[str, list[Delivery]] = field(default_factory=lambda: defaultdict(list))
    again: list[tuple[Delivery, Entry]] = field(default_factory=list)
    current: dict[str, Entry] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    stuck: dict[str, str] = field(default_factory=dict)
    unread: dict[str, FileRefused | FileChanged] = field(default_factory=dict)

    @property
    def latest(self) -> list[Delivery]:
        """The delivery of each name that counts."""
        return [deliveries[-1] for deliveries in self.fresh.values()]

    def leave_out(self, faults: Mapping[str, FileRefused | FileChanged]) -> None:
        """Take the last deliveries of some names out: to quarantine if they are at fault, else they stay in landing.

        Raises:
            WarehouseError: one was accepted before and lies in the archive; refusing it would lose rows.
        """
        for name, error in faults.items():
            delivery = self.fresh[name].pop() if name in self.fresh else None
            if delivery is None or (delivery.archived_as is not None and not delivery.reread):
                raise lost(name, error) from error
            if not self.fresh[name]:
                del self.fresh[name]
            if delivery.reread:
                self.unread[name] = error
            elif isinstance(error, FileRefused):
                self.refused.append(Refused(delivery.file, error, delivery.batch, delivery.sha256))
            else:
                self.changed.append(name)


def lost(name: str, error: Exception) -> WarehouseError:
    """What is raised for a file that was accepted before."""
    return WarehouseError(
        f"{name!r} was accepted once and can't be read from the archive any more: {error}. Restore the file from a"
        " backup, or the contract if it was made stricter"
    )


def take_in(
    connection: "DuckDBPyConnection",
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    request: Request,
    work: Path,
    progress: Progress,
) -> Intake:
    """Find and prepare the files that the request is about.

    Args:
        connection: to ask the ledger.
        settings: where the folders are, and how large a file may be.
        feed: the contract.
        options: how the feed is run.
        request: which batches.
        work: a folder for rewritten copies.
        progress: tells how far it has come.

    Raises:
        WarehouseError: a file in the archive can't be read any more.
    """
    intake = Intake()
    deliveries = [
        *_recovered(connection, settings, feed, options, request),
        *_unfaithful(connection, settings, feed, options, request),
        *progress.of(_landed(intake, settings, feed, options, request), f"{feed.name}: files hashed"),
    ]
    names, hashes = {item.file.name for item in deliveries}, {item.sha256 for item in deliveries}
    if names:
        known = ledger_queries.current_entries(connection, feed.name, names, hashes, options.snapshot)
        intake.current = {entry.file: entry for entry in known}
    for delivery in deliveries:
        name, entry = delivery.file.name, intake.current.get(delivery.file.name)
        if delivery.reread:
            intake.fresh[name].append(delivery)
        elif entry and entry.sha256 == delivery.sha256 and not _comes_back(delivery, entry):
            intake.again.append((delivery, entry))
        elif not entry or not delivery.archived_as or delivery.number > entry.delivery:
            intake.fresh[name].append(delivery)
    prepare_latest(connection, feed, intake, work, settings.max_file_bytes, progress)
    return intake


def _comes_back(delivery: Delivery, entry: Entry) -> bool:
    """Whether bytes that were superseded are delivered anew: they may be the newest snapshot again, or repair it."""
    modified = delivery.file.modified_at.replace(tzinfo=None)
    return entry.status is Status.SUPERSEDED and modified > entry.modified_at


def _landed(
    intake: Intake, settings: Settings, feed: Feed, options: FeedOptions, request: Request
) -> Iterator[Delivery]:
    batching = options.batching
    latest = batching.current(request.now)
    wanted = None if request.batches is None else set(request.batches)
    listed = discover(settings.landing(feed.name))
    reached(Point.LISTED)
    placed: list[tuple[FoundFile, Batch]] = []
    for found in listed:
        try:
            ensure_storable(found.name)
            batch = batching.batch_of(found.name, found.modified_at)
        except FileRefused as error:
            intake.refused.append(Refused(found, error))
        else:
            # A batch that has not begun yet waits in landing.
            if batch <= latest and (wanted is None or batch in wanted):
                placed.append((found, batch))
    hashed = attempts(lambda item: fingerprint(item[0]), placed, lambda item: item[0].size)
    for (found, batch), digest in hashed:
        if isinstance(digest, FileRefused):
            intake.refused.append(Refused(found, digest, batch))
        elif isinstance(digest, FileChanged):
            intake.changed.append(found.name)
        else:
            yield Delivery(found, batch, digest)
            reached(Point.FINGERPRINTED)


def _recovered(
    connection: "DuckDBPyConnection", settings: Settings, feed: Feed, options: FeedOptions, request: Request
) -> list[Delivery]:
    """Deliveries from the archive that came after all that the ledger knows of their name, in order.

    These are all of them after the warehouse was lost, and the last ones after its last transactions were.
    """
    root, batching = settings.archive(feed.name), options.batching
    batches = _by_key(request, batching)
    known = ledger_queries.known_deliveries(
        connection, feed.name, None if batches is None else list(batches), options.snapshot
    )
    if batches is None:
        batches = dict(archived_batches(root, batching))
    found = [
        Delivery(item.file, batch, _hash(item.file), item.file.path.relative_to(root).as_posix(), item.number)
        for key, batch in batches.items()
        for item in archived(root, key)
        if item.number > known.get(item.file.name, 0)
    ]
    return sorted(found, key=lambda delivery: (delivery.number, delivery.batch))


def _unfaithful(
    connection: "DuckDBPyConnection", settings: Settings, feed: Feed, options: FeedOptions, request: Request
) -> list[Delivery]:
    """Known files to be read again from the archive: the contract reads them otherwise now, or rows are missing."""
    root, batching = settings.archive(feed.name), options.batching
    batches = _by_key(request, batching)
    entries = ledger_queries.unfaithful_entries(
        connection, feed.name, raw_table(feed), batches, reading_of(feed), batching.key_format
    )
    found = []
    for entry in entries:
        file = find(root / str(entry.archived_as))
        # One that is not there yet waits in landing for the move that a run did not live to make.
        if file is not None:
            try:
                ensure_bytes(file.path, entry.sha256)
            except (FileRefused, OSError) as error:
                raise lost(entry.file, error) from error
            batch = batching.from_key(entry.batch)
            found.append(Delivery(file, batch, entry.sha256, entry.archived_as, entry.delivery, reread=True))
    return found


def _by_key(request: Request, batching: Batching) -> dict[str, Batch] | None:
    """The batches asked for, by partition key; None for a snapshot."""
    return None if request.batches is None else {batching.key(batch): batch for batch in request.batches}


def archived_batches(root: Path, batching: Batching) -> Iterator[tuple[str, Batch]]:
    """The batches that an archive has folders for, by partition key."""
    for key in batch_keys(root):
        with suppress(ValueError):  # somebody else's folder, such as lost+found
            yield key, batching.from_key(key)


def _hash(file: FoundFile) -> str:
    try:
        return fingerprint(file)
    except (FileRefused, FileChanged) as error:
        raise lost(file.name, error) from error


def prepare_latest(
    connection: "DuckDBPyConnection", feed: Feed, intake: Intake, work: Path, max_bytes: int, progress: Progress
) -> None:
    """Prepare the delivery of each name that counts; of one that can't be read, the delivery before it.

    Raises:
        WarehouseError: a file in the archive can't be read any more.
    """
    while waiting := [delivery for delivery in intake.latest if delivery.prepared is None]:
        faults: dict[str, FileRefused | FileChanged] = {}
        read = partial(_prepared, connection, feed, work=work, max_bytes=max_bytes)
        attempted = attempts(read, waiting, lambda item: item.file.size)
        for delivery, prepared in progress.of(attempted, f"{feed.name}: files prepared", len(waiting)):
            if isinstance(prepared, Prepared):
                intake.fresh[delivery.file.name][-1] = replace(delivery, prepared=prepared)
                reached(Point.PREPARED)
            else:
                faults[delivery.file.name] = prepared
        intake.leave_out(faults)


def _prepared(connection: "DuckDBPyConnection", feed: Feed, delivery: Delivery, work: Path, max_bytes: int) -> Prepared:
    try:
        prepared = prepare_counted(connection, feed, delivery.file.path, delivery.file.name, work, max_bytes)
    except (FileNotFoundError, FileRefused):
        # What is wrong with a file that was replaced meanwhile says nothing about the one that is there now.
        ensure_unchanged(delivery.file)
        raise
    ensure_unchanged(delivery.file)
    return prepared


def prepare_counted(
    connection: "DuckDBPyConnection", feed: Feed, path: Path, name: str, work: Path, max_bytes: int
) -> Prepared:
    """Prepare one file, its records counted.

    Args:
        connection: counts what is not text.
        feed: the contract.
        path: the file.
        name: its logical name.
        work: a folder in which one for this file's rewritten copies is made.
        max_bytes: how large the file may be, decompressed.

    Raises:
        FileRefused: the file can't be read.
        FileNotFoundError: there is none.
    """
    form = form_of(feed, name)
    prepared = prepare(form, path, name, Path(tempfile.mkdtemp(dir=work)), max_bytes)
    return replace(prepared, records=count(connection, prepared, max_bytes))

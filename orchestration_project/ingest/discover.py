"""The stage that discovers: list landing and archive, place files in batches, and prepare those that are new.

Belongs here: what waits in landing, which candidates bring something new, and leaving out those that prove unfit. What
a load takes from the archive is in `from_archive`.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace

from orchestration_project.errors import FileChanged, FileKey, FileRefused, FilesUnfit
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.from_archive import not_in_ledger, to_read_again, unfaithful_files
from orchestration_project.ingest.model import Candidate, Candidates, Decided, Refused, Unfit
from orchestration_project.ingest.options import REPEATED
from orchestration_project.ingest.plan import entry_of
from orchestration_project.ingest.prepare import prepare_latest
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.settle import ensure_left_alone
from orchestration_project.ingest.withdrawals import refusal_of, taken_back, withdrawn_bytes, without_withdrawn
from orchestration_project.storage.archive import archived, batch_keys, ensure_storable
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import FoundFile, ensure_unchanged, fingerprint, map_files
from orchestration_project.storage.withdrawals import Withdrawal, withdrawals
from orchestration_project.storage.writers import delivered
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.ledger import Entry, Status
from orchestration_project.warehouse.ledger_queries import Identity


def discover(session: Session, settled: Set[FoundFile]) -> Candidates:
    """Find the files that the request is about, and how each of them is read.

    Args:
        session: of the load.
        settled: young files that were left alone while the load waited for them.

    Raises:
        WarehouseError: a file in the archive can't be read any more.
    """
    if not session.request.read:
        return Candidates()
    noted = withdrawals(session.archive)
    # Notes in the archive decide, not the ledger: they are there after the warehouse was lost, too.
    back = taken_back(session, noted)
    from_archive = [*not_in_ledger(session), *to_read_again(session), *back]
    landed, refused, changed = _landed(session, settled, noted) if session.request.landing else ([], [], [])
    found = without_withdrawn(session, _recognised(session, [*from_archive, *landed]), back, noted)
    return prepare_latest(session, replace(found, refused=refused, changed=changed))


def known_again(session: Session) -> Candidates:
    """The loaded files of the batches asked for whose rows the raw table does not have as the contract reads them now.

    Files that can't be read are among `unreadable`.
    """
    found, lost = unfaithful_files(session)
    return prepare_latest(session, replace(_recognised(session, found), unreadable=lost))


def leave_out(session: Session, candidates: Candidates, faults: Mapping[FileKey, Unfit]) -> Candidates:
    """The candidates without those that proved unfit. Where an older delivery of the file waits, it counts instead.

    New files with the same bytes as a refused one are left out too, unless it was refused for repeating another's; else
    they would be tried one after the other. That a file has changed comes before any other fault, which would say
    nothing about the new bytes.

    Raises:
        WarehouseError: a file in the archive is among them, or can't be read any more.
    """
    latest = candidates.latest
    refused = {
        item.sha256: fault
        for item in latest
        if isinstance(fault := faults.get(item.key), FileRefused) and fault.rule != REPEATED
    }
    same_bytes = {
        item.key: FileRefused(fault.rule, f"{item.name!r} has the same bytes as another file: {fault}")
        for item in candidates.landed
        if (fault := refused.get(item.sha256))
    }
    found = {**same_bytes, **faults}
    # A fault of bytes that are gone would send good bytes to quarantine.
    changed = changed_files(item for item in latest if item.key in found)
    return prepare_latest(session, candidates.without({**found, **changed}))


@contextmanager
def blaming_changes(candidates: Candidates) -> Iterator[None]:
    """Where a step fails while a file changes under its hands, that file is the reason, whatever the step says.

    Raises:
        FilesUnfit: names the changed files; the others are tried again without them.
    """
    try:
        yield
    except FilesUnfit:
        raise
    except Exception as error:
        if changed := changed_files(candidates.latest):
            raise FilesUnfit(changed) from error
        raise


def changed_files(candidates: Iterable[Candidate]) -> dict[FileKey, FileChanged]:
    """The candidates whose files are not the ones that were listed any more."""
    found = {}
    for candidate in candidates:
        try:
            ensure_unchanged(candidate.file)
        except FileChanged as error:
            found[candidate.key] = error
    return found


def _recognised(session: Session, candidates: Sequence[Candidate]) -> Candidates:
    """Which of the candidates bring something new, and which the ledger knows."""
    options, key_of = session.options, session.batching.key
    current: dict[Identity, Entry] = {}
    if candidates:
        delivered = [(key_of(item.batch), item.name, item.sha256) for item in candidates]
        entries = ledger_queries.current_entries(
            session.connection, session.feed.name, delivered, options.snapshot, options.by_name
        )
        current = {options.identity(entry.batch, entry.file): entry for entry in entries}
    fresh: dict[Identity, list[Candidate]] = defaultdict(list)
    known, outdated = [], list[Decided]()
    for candidate in candidates:
        file = options.identity(key_of(candidate.batch), candidate.name)
        entry = current.get(file)
        if candidate.reread or entry is None:
            fresh[file].append(candidate)
        elif entry.sha256 == candidate.sha256 and not _comes_back(candidate, entry):
            known.append((candidate, entry))
        elif not candidate.archived_as or candidate.number > entry.delivery:
            fresh[file].append(candidate)
        elif entry.batch != key_of(candidate.batch):
            # A later delivery of the name came in before, for another batch.
            older = entry_of(candidate, session.feed, options, session.request)
            outdated.append(Decided(replace(older, status=Status.SUPERSEDED), None))
    return Candidates({file: tuple(items) for file, items in fresh.items()}, known, current, decided=outdated)


def _comes_back(candidate: Candidate, entry: Entry) -> bool:
    """Whether bytes that were superseded are delivered anew: they may be the newest snapshot again, or repair it."""
    modified = candidate.file.modified_at.replace(tzinfo=None)
    return entry.status is Status.SUPERSEDED and modified > entry.modified_at


def _landed(
    session: Session, settled: Set[FoundFile], noted: Iterable[Withdrawal]
) -> tuple[list[Candidate], list[Refused], list[str]]:
    """The files that wait for a load, those that have to be refused, and the names of those that are being written to.

    Args:
        session: of the load.
        settled: young files that were left alone while the load waited for them.
        noted: the withdrawn files.
    """
    now, patience = time.time(), session.options.settle_seconds

    def hashed(item: tuple[FoundFile, Batch]) -> str:
        # Before the hash: to read a large file that is being written to is time for nothing.
        ensure_left_alone(item[0], settled, now, patience)
        return fingerprint(item[0])

    placed, unplaced = _placed(session, delivered(session.settings.landing(session.feed.name), session.archive))
    refused, changed = _left_alone(unplaced, settled, now, patience)
    candidates, withdrawn = [], withdrawn_bytes(noted)
    tried = map_files(hashed, placed, lambda item: item[0].size)
    for (found, batch), digest in session.progress.of(tried, f"{session.feed.name}: files hashed"):
        if isinstance(digest, FileChanged):
            changed.append(found.name)
        elif isinstance(digest, FileRefused):
            refused.append(Refused(found, digest, batch))
        elif error := _outdated(session, found):
            refused.append(Refused(found, error, batch, digest))
        elif note := withdrawn.get((session.batching.key(batch), digest)):
            refused.append(Refused(found, refusal_of(session.feed.name, found, note), batch, digest))
        else:
            candidates.append(Candidate(found, batch, digest))
            reached(Point.FINGERPRINTED)
    return candidates, refused, changed


def _left_alone(
    refused: Iterable[Refused], settled: Set[FoundFile], now: float, settle_seconds: float
) -> tuple[list[Refused], list[str]]:
    """The files that nobody writes to, and the names of the others."""
    alone, changed = [], []
    for item in refused:
        try:
            ensure_left_alone(item.file, settled, now, settle_seconds)
        except FileChanged as error:
            changed.append(error.name)
        else:
            alone.append(item)
    return alone, changed


def _outdated(session: Session, file: FoundFile) -> FileRefused | None:
    """Why a file that was written to after it was taken off landing may not come in: a later delivery has its place."""
    if file.taken is None or not file.taken.key:
        return None
    keys = batch_keys(session.archive) if session.options.by_name else [file.taken.key]
    same = (item.file for key in keys for item in archived(session.archive, key) if item.file.name == file.name)
    if all(item.mtime_ns <= file.taken.mtime_ns for item in same):
        return None
    return FileRefused(
        "delivered_anew",
        f"{file.name!r} was written to after it was loaded, and a newer file of its name was loaded since: see which of"
        " them is right, and deliver that one",
    )


def _placed(session: Session, listed: Sequence[FoundFile]) -> tuple[list[tuple[FoundFile, Batch]], list[Refused]]:
    """The files of the batches asked for, and those that have no batch. One for a batch to come waits in landing."""
    reached(Point.LISTED)
    latest = session.batching.current(session.request.now)
    wanted = None if session.request.batches is None else set(session.request.batches)
    placed, refused = [], []
    for found in listed:
        try:
            ensure_storable(found.name)
            batch = session.batching.batch_for(found)
        except FileRefused as error:
            refused.append(Refused(found, error))
        else:
            # Others are left in landing, not refused: a batch to come has begun when a later load looks again.
            if batch <= latest and (wanted is None or batch in wanted):
                placed.append((found, batch))
    return placed, refused

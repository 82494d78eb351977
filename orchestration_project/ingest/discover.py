"""The stage that discovers: which files a load is about, what each brings that is new, and how it is read.

Belongs here: comparing candidates with the ledger, preparing those that count, and leaving out those that prove unfit.
Where candidates come from is in `from_landing` and `from_archive`.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileChanged, FileKey, FileRefused, FilesUnfit
from orchestration_project.failpoints import Point, reached
from orchestration_project.formats.given import naming_of
from orchestration_project.formats.prepare import Prepared, prepare
from orchestration_project.formats.repair_files import form_of
from orchestration_project.formats.stage import count
from orchestration_project.ingest.candidates import Candidate, Candidates, Decided, Unfit
from orchestration_project.ingest.from_archive import (
    not_in_ledger,
    taken_back,
    to_read_again,
    unfaithful_files,
    without_withdrawn,
)
from orchestration_project.ingest.from_landing import landed
from orchestration_project.ingest.options import REPEATED
from orchestration_project.ingest.overtaken import Overtaken
from orchestration_project.ingest.plan import entry_of
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.unpack import Unpacked, unpack
from orchestration_project.storage.cold import local_path
from orchestration_project.storage.files import FoundFile, ensure_unchanged, map_files
from orchestration_project.storage.withdrawals import withdrawals
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.ledger import Entry, Status
from orchestration_project.warehouse.ledger_queries import Identity

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


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
    unpacked = unpack(session, settled, time.time()) if session.request.landing else Unpacked()
    noted = withdrawals(session.archive)
    # Notes in the archive decide, not the ledger: they are there after the warehouse was lost, too.
    back = taken_back(session, noted)
    from_archive = [*not_in_ledger(session), *to_read_again(session), *back]
    new, refused, changed = landed(session, settled, noted, unpacked.left) if session.request.landing else ([], [], [])
    refused, changed = [*unpacked.refused, *refused], [*unpacked.changed, *changed]
    found = without_withdrawn(session, _recognised(session, [*from_archive, *new]), back, noted)
    return prepare_latest(session, replace(found, refused=refused, changed=changed, stuck=unpacked.stuck))


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
    latest, naming = candidates.latest, naming_of(session.feed)
    refused = {
        (item.sha256, naming(item.name)): fault
        for item in latest
        if isinstance(fault := faults.get(item.key), FileRefused) and fault.rule != REPEATED
    }
    same_bytes = {
        item.key: FileRefused(fault.rule, f"{item.name!r} has the same bytes as another file: {fault}")
        for item in candidates.landed
        if (fault := refused.get((item.sha256, naming(item.name))))
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
    except (FilesUnfit, Overtaken):
        raise
    # Whatever is raised: a file that grew has more records than were counted, which looks like a fault of the load. It
    # once failed the load of all other files.
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
    # A feed that has just got a history takes in what its archive has, whatever lies in landing.
    if candidates or options.history:
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
        # `reread`: the ledger knows the file, but its rows are not what its bytes say.
        if candidate.reread or entry is None:
            fresh[file].append(candidate)
        elif entry.sha256 == candidate.sha256 and not _comes_back(candidate, entry):
            known.append((candidate, entry))
        # From landing any other bytes are a correction. In the archive older versions lie as well, which were replaced
        # for good: one that the contract refuses by now must not stop a rebuild.
        elif not candidate.archived_as or candidate.number > entry.delivery:
            fresh[file].append(candidate)
        elif entry.batch != key_of(candidate.batch):
            # A later delivery of the name came in before, for another batch.
            older = entry_of(candidate, session.feed, options, session.request)
            outdated.append(Decided(replace(older, status=Status.SUPERSEDED), None))
    return Candidates({file: tuple(items) for file, items in fresh.items()}, known, current, decided=outdated)


def _comes_back(candidate: Candidate, entry: Entry) -> bool:
    """Whether bytes that were superseded are delivered anew: they may be the newest snapshot again, or repair it."""
    # Only with a later time: an outdated snapshot that came again unchanged was once archived anew each time.
    modified = candidate.file.modified_at.replace(tzinfo=None)
    return entry.status is Status.SUPERSEDED and modified > entry.modified_at


def prepare_latest(session: Session, candidates: Candidates) -> Candidates:
    """Prepare the candidate of each file that counts; of one that can't be read, the candidate before it.

    Raises:
        WarehouseError: a file in the archive can't be read any more.
    """
    # Until none waits: where a file can't be read, an earlier delivery of it counts, which nobody has looked at yet.
    while waiting := [candidate for candidate in candidates.latest if candidate.prepared is None]:
        prepared, faults = _prepare_all(session, waiting)
        candidates = candidates.with_prepared(prepared).without(faults)
    return candidates


def _prepare_all(
    session: Session, waiting: list[Candidate]
) -> tuple[Mapping[FileKey, Prepared], Mapping[FileKey, Unfit]]:
    """How each file is read, and what is wrong with the others."""
    prepared: dict[FileKey, Prepared] = {}
    faults: dict[FileKey, Unfit] = {}
    tried = map_files(lambda item: _prepare(session, item), waiting, lambda item: item.file.size)
    told = f"{session.feed.name}: files prepared"
    for candidate, result in session.progress.of(tried, told, len(waiting)):
        if isinstance(result, Prepared):
            prepared[candidate.key] = result
            reached(Point.PREPARED)
        else:
            faults[candidate.key] = result
    return prepared, faults


def _prepare(session: Session, candidate: Candidate) -> Prepared:
    limit = session.settings.max_file_bytes
    try:
        path = local_path(candidate.file, session.settings.cold_archive_url, session.work)
        prepared = prepare_counted(session.connection, session.feed, path, candidate.name, session.work, limit)
    except (FileNotFoundError, FileRefused):
        # What is wrong with a file that was replaced meanwhile says nothing about the one that is there now.
        ensure_unchanged(candidate.file)
        raise
    ensure_unchanged(candidate.file)
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
    # A folder for each file: files of different batches may have one name, and so would their copies.
    prepared = prepare(form_of(feed, name), path, name, Path(tempfile.mkdtemp(dir=work)), max_bytes)
    # Counted from the bytes, while DuckDB splits the records later: `publish` holds the one against the other.
    return replace(prepared, records=count(connection, feed, prepared, max_bytes))

"""A load takes over what the archive says of withdrawn files: their rows go, or come back, and their bytes are refused.

The notes in the archive are the truth, as with waivers. The ledger follows them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from orchestration_project.errors import FileRefused
from orchestration_project.ingest.model import Candidate, Candidates, Decided
from orchestration_project.ingest.session import Session
from orchestration_project.storage.batches import is_repair
from orchestration_project.storage.files import FoundFile, find
from orchestration_project.storage.withdrawals import WITHDRAWN, Note, Withdrawal
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.ledger import Entry, Status


def withdrawn_bytes(noted: Iterable[Withdrawal]) -> Mapping[tuple[str, str], Note]:
    """The notes of withdrawn files, by partition key and SHA-256."""
    return {(found.key, found.note.sha256): found.note for found in noted}


def refusal_of(feed: str, file: FoundFile, note: Note) -> FileRefused:
    """Why a file is refused whose bytes were withdrawn from the same batch."""
    return FileRefused(
        "withdrawn",
        f"{file.name!r} has the bytes of {note.file!r}, which was {note.told}. If it is to count after all:"
        f" `orchestration-project withdraw {feed} {note.file} --undo`",
    )


def taken_back(session: Session, noted: Iterable[Withdrawal]) -> list[Candidate]:
    """The files that are withdrawn in the ledger and have no note any more: they come in again."""
    versions = {item.identity for item in noted}
    found = []
    for entry in ledger_queries.withdrawn_entries(session.connection, session.feed.name):
        place = str(entry.archived_as).removeprefix(f"{WITHDRAWN}/")
        file = None if entry.identity in versions else find(session.archive / place)
        if file is not None:
            batch = session.batching.from_key(entry.batch)
            found.append(Candidate(file, batch, entry.sha256, place, entry.delivery))
    return found


def without_withdrawn(
    session: Session, found: Candidates, back: Sequence[Candidate], noted: Sequence[Withdrawal]
) -> Candidates:
    """The candidates with what was decided since the last load.

    Of a file whose current version is withdrawn the version before counts again. A version that is taken back counts
    unless a later one is there.

    Args:
        session: of the load.
        found: the candidates, compared with the ledger.
        back: those among them that are taken back.
        noted: the withdrawn files.
    """
    fresh = [candidate for candidates in found.fresh.values() for candidate in candidates]
    outdated = [_superseded(session, item) for item in back if item not in fresh]
    decided = [*found.decided, *_newly_withdrawn(session, noted), *outdated]
    gone = {item.entry.identity for item in decided if item.entry.status is Status.WITHDRAWN}
    if not gone:
        return replace(found, decided=decided)
    connection, feed, options = session.connection, session.feed.name, session.options
    concerned = ledger_queries.current_entries(connection, feed, gone, options.snapshot, options.by_name)
    current = {options.identity(entry.batch, entry.file): entry for entry in concerned} | dict(found.current)
    current = {file: entry for file, entry in current.items() if entry.identity not in gone}
    without = {options.identity(batch, name) for batch, name, _ in gone} - {*current}
    for entry in ledger_queries.replaced_versions(connection, feed, [name for _, name in without]):
        file = options.identity(entry.batch, entry.file)
        if file in without and entry.identity not in gone:
            current[file] = entry
    return replace(found, current=current, decided=decided)


def _superseded(session: Session, item: Candidate) -> Decided:
    identity = (session.batching.key(item.batch), item.name, item.sha256)
    (entry,) = ledger_queries.entries_of_versions(session.connection, session.feed.name, [identity])
    return Decided(replace(entry, status=Status.SUPERSEDED, archived_as=item.archived_as, reason=None), None)


def _newly_withdrawn(session: Session, noted: Sequence[Withdrawal]) -> list[Decided]:
    """The withdrawn files that the ledger does not have as withdrawn yet."""
    if not noted:
        return []
    versions = {found.identity: found for found in noted}
    known = ledger_queries.entries_of_versions(session.connection, session.feed.name, versions)
    before = {entry.identity: entry for entry in known}
    return [
        Decided(_withdrawn(session, found, before.get(identity)), before.get(identity))
        for identity, found in versions.items()
        if identity not in before or before[identity].status is not Status.WITHDRAWN
    ]


def _withdrawn(session: Session, found: Withdrawal, before: Entry | None) -> Entry:
    """The ledger's entry of a withdrawn file. A ledger that was lost has none to start from."""
    file, batch = found.file, session.batching.from_key(found.key)
    entry = before or Entry(
        feed=session.feed.name,
        file=found.note.file,
        sha256=found.note.sha256,
        batch=found.key,
        batch_date=session.batching.date(batch),
        modified_at=(file.modified_at if file else found.note.withdrawn_at).replace(tzinfo=None),
        bytes=file.size if file else 0,
        status=Status.WITHDRAWN,
        repair=is_repair(found.note.file),
        delivery=found.number,
        contract_version=session.feed.version,
        run_id=session.request.run_id,
        seen_at=found.note.withdrawn_at.replace(tzinfo=None),
    )
    return replace(entry, status=Status.WITHDRAWN, archived_as=found.archived_as, reason=found.note.told)

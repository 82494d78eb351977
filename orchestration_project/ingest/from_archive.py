"""What the archive says that the ledger does not: candidates to be read from it, and files that were withdrawn.

Belongs here: what a lost, damaged or changed warehouse makes a load take from the archive, and taking over its notes of
withdrawals, which decide as waivers do: the ledger follows them. What waits in landing is in `from_landing`, which
candidates bring something new in `discover`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from orchestration_project.errors import FileChanged, FileKey, FileRefused
from orchestration_project.ingest.candidates import Candidate, Candidates, Decided, Unfit, lost_file
from orchestration_project.ingest.fingerprints import reading_of
from orchestration_project.ingest.session import Session
from orchestration_project.storage.archive import archived, batch_keys, ensure_bytes
from orchestration_project.storage.batches import Batch, Batching, is_repair
from orchestration_project.storage.files import FoundFile, find_archived, fingerprint
from orchestration_project.storage.withdrawals import WITHDRAWN, Note, Withdrawal
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.ledger import Entry, Status
from orchestration_project.warehouse.unfaithful import unfaithful_entries


def not_in_ledger(session: Session) -> list[Candidate]:
    """Files of the archive that came after all that the ledger knows of them, in order.

    These are all of them after the warehouse was lost, and the last ones after its last transactions were.
    """
    root, batches = session.archive, _by_key(session)
    keys = None if batches is None else list(batches)
    known = ledger_queries.known_deliveries(session.connection, session.feed.name, keys, session.options.snapshot)
    if batches is None:
        batches = dict(archived_batches(root, session.batching))
    found = [
        Candidate(item.file, batch, _hash(item.file), item.file.path.relative_to(root).as_posix(), item.number)
        for key, batch in batches.items()
        for item in archived(root, key)
        if item.number > known.get((key, item.file.name), 0)
    ]
    # By number first: of one name the last delivery has to come last, as it did.
    return sorted(found, key=lambda candidate: (candidate.number, candidate.batch))


def to_read_again(session: Session) -> list[Candidate]:
    """Known files to be read again from the archive, because rows of them are missing or are there too often.

    Raises:
        WarehouseError: one can't be read any more.
    """
    found = []
    for entry in _unfaithful(session):
        try:
            found.append(_known(session, entry))
        except FileNotFoundError:
            pass  # it waits in landing for the move that a load did not live to make
        except (FileRefused, OSError) as error:
            raise lost_file(entry.file, error) from error
    return found


def unfaithful_files(session: Session) -> tuple[list[Candidate], dict[FileKey, Unfit]]:
    """The same files; those that can't be read are no error but named, each with the reason."""
    found, lost = list[Candidate](), dict[FileKey, Unfit]()
    for entry in _unfaithful(session):
        try:
            found.append(_known(session, entry))
        except (FileRefused, OSError) as error:
            key = str(session.batching.from_key(entry.batch)), entry.file
            lost[key] = FileRefused("lost", f"it can't be read from the archive any more: {error}")
    return found, lost


def _unfaithful(session: Session) -> list[Entry]:
    feed = session.feed
    return unfaithful_entries(
        session.connection,
        feed.name,
        raw_table(feed),
        _by_key(session),
        reading_of(feed),
        feed.source.consecutive,
        feed.division is not None,
    )


def _known(session: Session, entry: Entry) -> Candidate:
    """A file of the archive that was loaded before, to be read again.

    Raises:
        FileNotFoundError: it is not there.
        FileRefused: it does not have its bytes any more.
    """
    path = session.archive / str(entry.archived_as)
    file = find_archived(path)
    if file is None:
        raise FileNotFoundError(f"{path} does not exist")
    # Bytes that rotted or were replaced by hand would be published under the hash of those that were accepted.
    ensure_bytes(file.path, entry.sha256)
    batch = session.batching.from_key(entry.batch)
    return Candidate(replace(file, name=entry.file), batch, entry.sha256, entry.archived_as, entry.delivery, True)


def _by_key(session: Session) -> dict[str, Batch] | None:
    """The batches asked for, by partition key; None for a snapshot."""
    batches = session.request.batches
    return None if batches is None else {session.batching.key(batch): batch for batch in batches}


def archived_batches(root: Path, batching: Batching) -> Iterator[tuple[str, Batch]]:
    """The batches that an archive has folders for, by partition key."""
    for key in batch_keys(root):
        with suppress(ValueError):  # somebody else's folder, such as lost+found
            yield key, batching.from_key(key)


def _hash(file: FoundFile) -> str:
    try:
        return fingerprint(file)
    except (FileRefused, FileChanged) as error:
        raise lost_file(file.name, error) from error


def withdrawn_bytes(noted: Iterable[Withdrawal]) -> Mapping[tuple[str, str], Note]:
    """The notes of files that somebody withdrew, by partition key and SHA-256."""
    # What a zip archive lacks is a name, and no decision about bytes: they may come under another one.
    return {(found.key, found.note.sha256): found.note for found in noted if not found.note.lacking}


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
        # Undone by moving it back, then removing the note: so it lies where it did before.
        place = str(entry.archived_as).removeprefix(f"{WITHDRAWN}/")
        file = None if entry.identity in versions else find_archived(session.archive / place)
        if file is not None:
            batch = session.batching.from_key(entry.batch)
            found.append(Candidate(replace(file, name=entry.file), batch, entry.sha256, place, entry.delivery))
    # Of a name the last delivery counts, and all of a member's come back together.
    return sorted(found, key=lambda candidate: candidate.number)


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
    # A later version came meanwhile: what is taken back is history, and nothing of it is read.
    outdated = [_superseded(session, item) for item in back if item not in fresh]
    decided = [*found.decided, *_newly_withdrawn(session, noted), *outdated]
    gone = {item.entry.identity for item in decided if item.entry.status is Status.WITHDRAWN}
    if not gone:
        return replace(found, decided=decided)
    connection, feed, options = session.connection, session.feed.name, session.options
    # Their batches may be none of those asked for: a withdrawal that died is finished by whatever load comes next.
    concerned = ledger_queries.current_entries(connection, feed, gone, options.snapshot, options.by_name)
    current = {options.identity(entry.batch, entry.file): entry for entry in concerned} | dict(found.current)
    current = {file: entry for file, entry in current.items() if entry.identity not in gone}
    without = {options.identity(batch, name) for batch, name, _ in gone} - {*current}
    # As if the correction had never come: `settle` loads the version before it, whose bytes the archive has.
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

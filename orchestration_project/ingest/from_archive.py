"""Candidates from the archive: files that the ledger does not know, and known ones that have to be read again.

Belongs here: what a lost, damaged or changed warehouse makes a load take from the archive. What waits in landing, and
which candidates bring something new, is in `discover`.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from orchestration_project.errors import FileChanged, FileKey, FileRefused
from orchestration_project.ingest.model import Candidate, Unfit, lost_file
from orchestration_project.ingest.plan import reading_of
from orchestration_project.ingest.session import Session
from orchestration_project.storage.archive import archived, batch_keys, ensure_bytes
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.storage.files import FoundFile, find, fingerprint
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.ledger import Entry


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
    return ledger_queries.unfaithful_entries(
        session.connection, feed.name, raw_table(feed), _by_key(session), reading_of(feed), feed.source.consecutive
    )


def _known(session: Session, entry: Entry) -> Candidate:
    """A file of the archive that was loaded before, to be read again.

    Raises:
        FileNotFoundError: it is not there.
        FileRefused: it does not have its bytes any more.
    """
    path = session.archive / str(entry.archived_as)
    file = find(path)
    if file is None:
        raise FileNotFoundError(f"{path} does not exist")
    # Bytes that rotted or were replaced by hand would be published under the hash of those that were accepted.
    ensure_bytes(file.path, entry.sha256)
    batch = session.batching.from_key(entry.batch)
    return Candidate(file, batch, entry.sha256, entry.archived_as, entry.delivery, reread=True)


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

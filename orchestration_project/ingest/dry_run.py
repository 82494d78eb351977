"""The stages of a load on a scratch warehouse: what would become of one file. Nothing else changes.

The connection is limited as that of a load is. What a load does to files (secure, archive, quarantine) is left out. So
is what it knows of other files: keys are compared within the file.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.hashes import shown
from orchestration_project.ingest.candidates import Candidate, Candidates
from orchestration_project.ingest.counts import FileCount, nothing_of, of_files
from orchestration_project.ingest.deduplicate import deduplicate
from orchestration_project.ingest.discover import prepare_counted
from orchestration_project.ingest.model import Request, Staged
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.plan import enter
from orchestration_project.ingest.publish import publish
from orchestration_project.ingest.read import read
from orchestration_project.ingest.session import Session, ensure_feed_tables
from orchestration_project.ingest.validate import validate
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse, transaction

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class DryRun:
    """What became of a file in its own warehouse.

    Attributes:
        candidate: the file; `prepared` tells how it was read, None if it could not be.
        refusals: why a load would refuse it as a whole, the first reason first.
        count: what became of its records; None if it could not be read.
        batches: the same by batch, for a file that is divided into several.
    """

    candidate: Candidate
    refusals: list[FileRefused] = field(default_factory=list)
    count: FileCount | None = None
    batches: list[FileCount] = field(default_factory=list)


@contextmanager
def scratch_warehouse(settings: Settings, folders: Iterable[Path]) -> Iterator[tuple["DuckDBPyConnection", Path]]:
    """A connection to an empty warehouse that may read some folders, and a folder for rewritten copies.

    Args:
        settings: threads and memory of DuckDB.
        folders: where files may be read.
    """
    with TemporaryDirectory(prefix="orchestration-project-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        # A file of its own, so that this works while a load holds the warehouse.
        own = Warehouse.from_settings(settings).scratch(Path(folder) / "scratch.duckdb")
        with own.connection("dry run", [*folders, work]) as connection:
            yield connection, work


def scratch_session(
    connection: "DuckDBPyConnection",
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    candidate: Candidate,
    work: Path,
) -> Session:
    """A session for a load of one file into a scratch warehouse, with the feed's tables made.

    Args:
        connection: to the scratch warehouse.
        settings: how large the file may be.
        feed: the contract.
        options: how the feed is run.
        candidate: the file.
        work: a folder for rewritten copies.
    """
    feed = replace(feed, division=options.division)
    ensure_feed_tables(connection, feed, options.batching)
    request = Request(None if options.snapshot else [candidate.batch])
    # Its archive is empty, so that neither archived files nor waivers have a say.
    own = replace(settings, data_dir=work.parent)
    # One file has no history, and what a snapshot's records become does not depend on it.
    options = replace(options, history=False)
    return Session(connection, own, feed, options, request, work, lambda _: None)


def read_file(session: Session, candidate: Candidate) -> Staged:
    """Prepare and read one file.

    Raises:
        FileRefused: it can't be read as the contract says.
        FileChanged: somebody wrote to it meanwhile.
    """
    path, limit = candidate.file.path, session.settings.max_file_bytes
    prepared = prepare_counted(session.connection, session.feed, path, candidate.name, session.work, limit)
    identity = session.options.identity(session.batching.key(candidate.batch), candidate.name)
    candidates = Candidates({identity: (replace(candidate, prepared=prepared),)})
    try:
        return read(session, candidates)
    except FilesUnfit as error:
        fault = error.faults[candidate.key]
        raise fault from None


def dry_run(session: Session, candidate: Candidate) -> DryRun:
    """Read, validate, deduplicate and publish one file in a scratch warehouse, even if a load would refuse it.

    Raises:
        FileChanged: somebody wrote to the file meanwhile.
    """
    try:
        staged = read_file(session, candidate)
    except FileRefused as error:
        return DryRun(candidate, [error])
    # Not `ensure_fit`: whoever asks wants to see the records of a file that is refused, too.
    validated = validate(session, staged)
    with transaction(session.connection):
        unique = deduplicate(session, enter(session, validated))
        published = publish(session, unique)
    (prepared,) = staged.candidates.latest
    # The tables tell nothing of a file without records.
    nothing = nothing_of(candidate.name, shown(candidate.sha256))
    count = next(iter(of_files(published.counts).values()), nothing)
    divided = published.counts if session.feed.division else []
    return DryRun(prepared, list(validated.refusals.values()), count, divided)

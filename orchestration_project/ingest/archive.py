"""The stage that archives. Before the commit bytes are secured for the archive, after it files move."""

import datetime as dt
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from orchestration_project.errors import FileChanged, FilesUnfit
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest import remote_archive
from orchestration_project.ingest.candidates import Candidates, Refused
from orchestration_project.ingest.discover import changed_files
from orchestration_project.ingest.model import Published
from orchestration_project.ingest.report import LeftInLanding
from orchestration_project.ingest.session import Session
from orchestration_project.storage.files import FoundFile
from orchestration_project.warehouse.connection import alone
from orchestration_project.warehouse.faults import no_room

Item = TypeVar("Item")


def archive_known(session: Session, candidates: Candidates) -> LeftInLanding:
    """Take files off landing whose bytes were loaded before.

    A load that died after its commit has left them there, perhaps before the archive had them.
    """
    moves = _Moves(session)
    # One that was found in the archive is where it belongs.
    landed = [(candidate, entry) for candidate, entry in candidates.known if candidate.archived_as is None]
    if not landed:
        return moves.left
    with alone(session.connection):
        for candidate, entry in landed:
            place = session.archive / str(entry.archived_as)
            with moves.leaving(candidate.file):
                # The load that committed it died before the copy had its place, or the copy was lost since: the same
                # bytes, delivered again, mend the archive.
                if not os.path.lexists(place):
                    session.transfer.secure([(candidate.file, candidate.sha256)])
                # It may have gone on after all, and have taken the file off landing while this one waited for it.
                if candidate.file.path.exists():
                    moves.secured.append((candidate.file, place, candidate.sha256))
        return moves.archive()


def secure(session: Session, candidates: Candidates) -> None:
    """The last step before the commit: files are still what was read, and the archive will have their bytes.

    Raises:
        FilesUnfit: names those that are not.
    """
    # Asked at the last moment: a file that its writer replaced between commit and move once left rows whose bytes the
    # archive never had.
    if changed := changed_files(candidates.latest):
        raise FilesUnfit(changed)
    landed = candidates.landed
    if not landed:
        return
    files = [(candidate.file, candidate.sha256) for candidate in landed]
    try:
        session.transfer.secure(_with_progress(session, files, "secured"))
    except FileChanged as error:
        # The transfer knows files by their names; in landing each name is there once.
        changed = {candidate.key: error for candidate in landed if candidate.name == error.name}
        raise FilesUnfit({**changed, **changed_files(landed)}) from error


def archive(session: Session, candidates: Candidates, published: Published) -> LeftInLanding:
    """Move what was committed to the archive, and what was refused to quarantine.

    A file that somebody has written to since then stays: the next load looks at it anew.
    """
    for (_, name), fault in candidates.unreadable.items():
        session.tell(f"{name!r} keeps the rows it has: it can't be read as the contract says now: {fault}")
    places = {entry.identity: session.archive / str(entry.archived_as) for entry in published.entries}
    moves = _Moves(session, stored=True)
    moves.secured += [
        (item.file, places[session.batching.key(item.batch), item.name, item.sha256], item.sha256)
        for item in candidates.landed
    ]
    moves.archive()
    for item in candidates.refused:
        with moves.leaving(item.file):
            key = session.batching.key(item.batch) if item.batch else ""
            session.transfer.refuse(item.file, _note(session, item), key)
    session.transfer.tidy()
    # Here, since no process of its own watches over the grace periods.
    session.transfer.forget(session.options.grace.total_seconds())
    reached(Point.MOVED)
    return moves.left


@dataclass(slots=True)
class _Moves:
    """Files on their way out of landing, and which of them could not leave it.

    Attributes:
        session: the load's.
        secured: each with its place in the archive and its SHA-256.
        left: those that are still in landing.
        stored: whether the store of the archive, if there is one, got the bytes of those that are secured.
    """

    session: Session
    secured: list[tuple[FoundFile, Path, str]] = field(default_factory=list)
    left: LeftInLanding = field(default_factory=LeftInLanding)
    stored: bool = False

    def archive(self) -> LeftInLanding:
        """Give the secured files their places, then take them off landing."""
        session, transfer = self.session, self.session.transfer
        if self.secured:
            # Every copy has its place before the first file leaves landing, so a kill leaves bytes twice, never
            # nowhere.
            transfer.archive_all(_with_progress(session, self.secured, "archived"))
            # The same holds for the store of the archive: what does not have its link there stays in landing.
            named = [(file.name, place, sha256) for file, place, sha256 in self.secured]
            left = remote_archive.link(session, named, self.stored)
            self.left += LeftInLanding(stuck=left)
            linked = [item for item in self.secured if item[0].name not in left]
            for file, place, sha256 in _with_progress(session, linked, "taken off landing"):
                with self.leaving(file):
                    transfer.clear(file, place, sha256)
        return self.left

    @contextmanager
    def leaving(self, file: FoundFile) -> Iterator[None]:
        """Note a file that can't leave landing; the others do."""
        try:
            yield
        except FileChanged as error:
            self.left += LeftInLanding(changed=[error.name])
        except OSError as error:
            # A full disk is no trouble of this one file: the others would fail like it.
            if no_room(error):
                raise
            # With a read-only drop folder the run once failed after its commit, and so did every run after it.
            self.left += LeftInLanding(stuck={file.name: str(error.strerror)})


def _with_progress(session: Session, items: Sequence[Item], done: str) -> Iterable[Item]:
    return session.progress.of(items, f"{session.feed.name}: files {done}", len(items))


def _note(session: Session, item: Refused) -> dict[str, object]:
    """What stands beside a refused file in quarantine."""
    return {
        "feed": session.feed.name,
        "file": item.file.name,
        "rule": item.error.rule,
        "reason": item.error.message,
        "line": item.error.line,
        "byte": item.error.byte,
        "sha256": item.sha256 or None,
        "bytes": item.file.size,
        "contract_version": session.feed.version,
        "run_id": session.request.run_id or None,
        "refused_at": session.request.now.astimezone(dt.UTC).isoformat(),
    }

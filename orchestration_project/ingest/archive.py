"""What a load does to files: secured before the commit; archived, refused and taken off landing after it."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileChanged, FilesUnfit
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.discover import Intake
from orchestration_project.ingest.model import Delivery, Refused, Request
from orchestration_project.progress import Progress
from orchestration_project.storage.files import FoundFile, ensure_unchanged
from orchestration_project.storage.transfer import Transfer
from orchestration_project.warehouse.faults import no_room
from orchestration_project.warehouse.ledger import Entry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Moves:
    """The moves of one load.

    Attributes:
        transfer: the feed's folders.
        intake: the load's files; what becomes of them in landing is noted there.
        feed: the contract.
        request: who asks, and when.
        log: takes a line of progress.
    """

    transfer: Transfer
    intake: Intake
    feed: Feed
    request: Request
    log: Callable[[str], None]

    @property
    def _landed(self) -> list[Delivery]:
        """The deliveries that count and came from landing."""
        return [delivery for delivery in self.intake.latest if delivery.archived_as is None]

    def archive_known(self) -> None:
        """Take files off landing whose bytes were loaded before; put them away, if a run did not live to do it."""
        known = []
        for delivery, entry in self.intake.again:
            if delivery.archived_as is not None:
                continue
            place = self.transfer.archive / str(entry.archived_as)
            with self._leaving(delivery.file):
                if not place.exists():
                    self.transfer.secure([(delivery.file, delivery.sha256)])
                known.append((delivery.file, place, delivery.sha256))
        self._archive(known)

    def secure(self) -> None:
        """The last step before the commit: files are still what was read, and the archive will have their bytes.

        Raises:
            FilesUnfit: names those that are not.
        """
        if changed := changed_files(self.intake.latest):
            raise FilesUnfit(changed)
        landed = self._landed
        if not landed:
            return
        try:
            files = [(delivery.file, delivery.sha256) for delivery in landed]
            self.transfer.secure(self._progress(files, "secured"))
        except FileChanged as error:
            raise FilesUnfit({error.name: error, **changed_files(landed)}) from error

    def hand_over(self, entries: Iterable[Entry]) -> None:
        """Move what was committed. A file that was written to since then stays: the next run looks at it anew.

        Args:
            entries: what the ledger says of the files that came in.
        """
        places = {(entry.file, entry.sha256): self.transfer.archive / str(entry.archived_as) for entry in entries}
        self._archive([(item.file, places[item.file.name, item.sha256], item.sha256) for item in self._landed])
        for item in self.intake.refused:
            with self._leaving(item.file):
                self.transfer.refuse(item.file, self._reason(item))
        self.transfer.tidy()
        reached(Point.MOVED)

    def _archive(self, files: Sequence[tuple[FoundFile, Path, str]]) -> None:
        if not files:
            return
        for name in self.transfer.archive_all(self._progress(files, "archived")):
            self.log(f"{self.feed.name}: the accepted bytes of {name!r} were overwritten before they could be archived")
        for file, _, _ in self._progress(files, "taken off landing"):
            with self._leaving(file):
                self.transfer.clear(file)

    def _progress(self, files: Sequence[T], done: str) -> Iterator[T]:
        return Progress(self.log).of(files, f"{self.feed.name}: files {done}", len(files))

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


def changed_files(deliveries: Iterable[Delivery]) -> dict[str, FileChanged]:
    """The deliveries whose files are not the ones that were listed any more, by name."""
    found = {}
    for delivery in deliveries:
        try:
            ensure_unchanged(delivery.file)
        except FileChanged as error:
            found[delivery.file.name] = error
    return found

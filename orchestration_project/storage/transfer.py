"""The transfer of a file from landing to the archive or to quarantine.

It is safe against a kill, a power cut, and a writer that writes to the file again.

    landing/<feed>/<name>              as it was delivered
    archive/<feed>/.incoming/<name>    a copy of its bytes, secured before the commit
    archive/<feed>/<batch>/<name>      the copy's place, after the commit
    archive/<feed>/.taken/...          the file itself, taken off landing and watched for a while, see `writers`
    landing/<feed>/.taken/<name>       on its way to quarantine
    archive/<feed>/.unpacked/...       files of zip archives, in the place of landing, see `members`

Each step is on disk before the next one begins. `recover` finishes or undoes what a killed run has left half done.
The layout of the archive, and how a file is written whole, are in `archive`.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from orchestration_project.errors import FileChanged, FileRefused, WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.storage.archive import (
    ensure_bytes,
    ensure_folder,
    flush,
    free_name,
    is_about,
    write_reason,
)
from orchestration_project.storage.copies import copy_bytes
from orchestration_project.storage.files import (
    FoundFile,
    discover,
    ensure_unchanged,
    is_at,
    sha256_of,
)
from orchestration_project.storage.members import discover_members, remove_empty
from orchestration_project.storage.writers import TAKEN, Note, forget, put_aside, roots

INCOMING = ".incoming"
COPIERS = 4
"""The number of files that are copied at once: a disk then confirms several at a time, eight times as fast."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Moves a feed's files from landing to archive or quarantine.

    Attributes:
        landing: the drop folder.
        archive: what was accepted.
        quarantine: what was refused.
    """

    landing: Path
    archive: Path
    quarantine: Path

    @property
    def _incoming(self) -> Path:
        return self.archive / INCOMING

    @property
    def _leaving(self) -> Path:
        return self.landing / TAKEN

    def recover(self, place_of: Callable[[str, str], str | None]) -> None:
        """Finish or undo what a killed run has left half done.

        Args:
            place_of: returns the place in the archive for a name and SHA-256 that were committed, else None.
        """
        for file in [*discover(self._incoming), *discover_members(self._incoming)]:
            place = place_of(file.name, sha256_of(file.path))
            # Committed, so its rows count: the copy is the only one that is sure to have these bytes.
            if place is not None and not os.path.lexists(self.archive / place):
                _rename(file.path, self.archive / place)
                flush((self.archive / place).parent)
        # What was not committed is still in landing: its copy is of no use.
        self.tidy()
        reached(Point.RECOVERED)

    def tidy(self) -> None:
        """Remove what is in between; a file that left landing and is neither archived nor refused goes back."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        remove_empty(self.archive)
        for file in discover(self._leaving):
            # It was on its way to quarantine and has arrived there; back in landing it would be refused once more.
            if self._is_refused(file):
                put_aside(file, self._note(file, "", ""), roots(self.landing, self.archive))
            else:
                _put_back(file.path, self.landing / file.path.name)
        with suppress(OSError):  # mostly there is none
            self._leaving.rmdir()

    def forget(self, grace_seconds: float) -> None:
        """Delete what was taken off landing longer ago than the grace period, and was not written to since."""
        forget(roots(self.landing, self.archive), grace_seconds, time.time())

    def secure(self, files: Iterable[tuple[FoundFile, str]]) -> None:
        """Make sure that the archive will have the bytes of files, whatever happens to them in landing.

        Args:
            files: each with its SHA-256.

        Raises:
            FileChanged: one is no longer the file that was listed.
        """
        ensure_folder(self._incoming)
        waiting = iter(files)
        with ThreadPoolExecutor(COPIERS) as copiers:
            # In groups: all at once would take up, and tell as done, what is only waiting.
            while group := list(islice(waiting, COPIERS * 16)):
                for _ in copiers.map(self._secure, group):
                    reached(Point.SECURED)
        # A name is on disk when its folder is. Without it a power cut after the commit could lose the copies.
        flush(self._incoming)

    def _secured_at(self, file: FoundFile) -> Path:
        """Where the copy of a file is that was secured, until it has its place."""
        return self._incoming / file.stored_as

    def _secure(self, item: tuple[FoundFile, str]) -> None:
        file, sha256 = item
        target = self._secured_at(file)
        if file.is_member:
            ensure_folder(target.parent)
        try:
            copied = copy_bytes(file.path, target)
        except OSError as error:
            ensure_unchanged(file)
            raise error from None
        # Of a file that vanished or was replaced this says more than that its bytes differ.
        ensure_unchanged(file)
        if copied != sha256:
            raise FileChanged(file.name, "was written to")
        if file.is_member:
            flush(target.parent)

    def archive_all(self, files: Iterable[tuple[FoundFile, Path, str]]) -> None:
        """Move the copies of files that were secured and committed to their places.

        Args:
            files: each with its place and SHA-256.

        Raises:
            WarehouseError: a file with other bytes is at a place; the delivered file stays in landing.
        """
        folders = set()
        for file, place, sha256 in files:
            if os.path.lexists(place):
                _ensure_expected(file, place, sha256)
            else:
                _rename(self._secured_at(file), place)
                folders.add(place.parent)
            reached(Point.ARCHIVED)
        for folder in folders:
            flush(folder)
        reached(Point.FLUSHED)

    def clear(self, file: FoundFile, place: Path, sha256: str) -> None:
        """Take a file off landing whose bytes are in the archive. It is watched from then on: its writer may go on.

        Args:
            file: as it was listed.
            place: of its bytes in the archive.
            sha256: of its bytes.

        Raises:
            FileChanged: it is no longer the file that was listed; it stays.
            OSError: landing can't be written to.
        """
        if file.is_member:
            # Nobody but the platform has it, so nobody goes on writing to it.
            ensure_unchanged(file)
            file.path.unlink()
        else:
            note = self._note(file, place.relative_to(self.archive).parts[0], sha256)
            _take(file, lambda: put_aside(file, note, roots(self.landing, self.archive)))
        reached(Point.CLEARED)

    def refuse(self, file: FoundFile, reason: Mapping[str, object], key: str = "") -> None:
        """Move a file to quarantine. `<name>.reason.json` is written first, so that no file is there without a reason.

        The file in quarantine is a copy, as in the archive, unless the file can't be read.

        Args:
            file: as it was listed.
            reason: why.
            key: the partition key of its batch, if it has one.

        Raises:
            FileChanged: it is no longer the file that was listed; it stays.
            OSError: landing or quarantine can't be written to; it stays.
        """
        if file.is_member:
            self._refuse_member(file, reason)
            return
        taken = _take(file, lambda: self._to_leaving(file))
        try:
            ensure_folder(self.quarantine)
            target = free_name(self.quarantine, file.name)
            write_reason(target, reason)
            reached(Point.NOTED)
            sha256 = _copy_or_move(taken, target)
            # Before the file itself goes: without it, a power cut could lose the name of the copy.
            flush(self.quarantine)
            if sha256 is not None:
                left = replace(file, location=str(taken))
                put_aside(left, self._note(left, key, sha256), roots(self.landing, self.archive))
        except OSError:
            _put_back(taken, file.path)
            raise
        reached(Point.QUARANTINED)

    def _refuse_member(self, file: FoundFile, reason: Mapping[str, object]) -> None:
        ensure_unchanged(file)
        # A load that died here has left it twice; a second reason would tell of two refused files.
        if not any(is_at(file, other.path) and is_about(other.path, file.name) for other in discover(self.quarantine)):
            ensure_folder(self.quarantine)
            target = free_name(self.quarantine, file.name.replace("/", "_"))
            write_reason(target, reason)
            reached(Point.NOTED)
            _copy_or_move(file.path, target)
            flush(self.quarantine)
        file.path.unlink(missing_ok=True)
        reached(Point.QUARANTINED)

    def _to_leaving(self, file: FoundFile) -> Path:
        ensure_folder(self._leaving)
        return file.path.rename(self._leaving / file.path.name)

    def _is_refused(self, file: FoundFile) -> bool:
        """Whether quarantine has a file already that was on its way there when its load died."""
        return any(is_at(file, refused.path) for refused in discover(self.quarantine))

    def _note(self, file: FoundFile, key: str, sha256: str) -> Note:
        return Note(file.path.name, file.size, file.mtime_ns, sha256, key, time.time())


def _take(file: FoundFile, move: Callable[[], Path]) -> Path:
    """Take a file off landing in one step: a file that arrives later under its name is another, and stays."""
    ensure_unchanged(file)
    try:
        taken = move()
    except FileNotFoundError:
        raise FileChanged(file.name, "vanished") from None
    reached(Point.TAKEN)
    # Between the look and the rename somebody may have put a new file in its place: then that one was taken.
    if not is_at(file, taken):
        _put_back(taken, file.path)
        raise FileChanged(file.name, "was written to")
    return taken


def _put_back(taken: Path, original: Path) -> None:
    """Put a file back to where it was, unless there is a newer one of its name."""
    # As if its writer had overwritten it in landing: there, too, the newer file would be all that is left.
    if os.path.lexists(original):
        taken.unlink()
    else:
        taken.rename(original)


def _ensure_expected(file: FoundFile, place: Path, sha256: str) -> None:
    try:
        ensure_bytes(place, sha256)
    except (FileRefused, OSError) as error:
        raise WarehouseError(
            f"{file.name!r} stays in landing: {error}. Restore that file from a backup or remove it, then load again"
        ) from error


def _copy_or_move(source: Path, target: Path) -> str | None:
    """Put a file into quarantine: returns the SHA-256 of its copy, or None where it can't be read and was moved."""
    # Under a hidden name until it is whole: a kill would leave half a file that passes for the refused one.
    whole = target.with_name(INCOMING)
    try:
        sha256 = copy_bytes(source, whole)
    # A rename needs no right to read, so a file that nobody can read gets to quarantine as well.
    except PermissionError:
        source.rename(target)
        return None
    whole.rename(target)
    return sha256


def _rename(source: Path, target: Path) -> None:
    ensure_folder(target.parent)
    source.rename(target)

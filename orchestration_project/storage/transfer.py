"""The transfer of a file from landing to the archive or to quarantine.

It is safe against a kill, a power cut, and a writer that writes to the file again.

    landing/<feed>/<name>              as it was delivered
    archive/<feed>/.incoming/<name>    its bytes, secured before the commit: the same file, or a copy that was read back
    archive/<feed>/<batch>/<name>      its place, after the commit
    landing/<feed>/.taken/<name>       taken off landing, to be deleted or moved to quarantine

Each step is on disk before the next one begins. `recover` finishes or undoes what a killed run has left half done.
The layout of the archive, and how a file is written whole, are in `archive`.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.errors import FileChanged, FileRefused, WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.storage.archive import ensure_bytes, ensure_folder, flush, free_name, write_reason
from orchestration_project.storage.files import FoundFile, discover, ensure_unchanged, is_at, sha256_of

NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP})
"""Errors by which a file system refuses hard links though the file is fine: it is copied then."""

INCOMING = ".incoming"


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
    def _taken(self) -> Path:
        return self.landing / ".taken"

    def recover(self, place_of: Callable[[str, str], str | None]) -> None:
        """Finish or undo what a killed run has left half done.

        Args:
            place_of: returns the place in the archive for a name and SHA-256 that were committed, else None.
        """
        for file in discover(self._incoming):
            place = place_of(file.name, sha256_of(file.path))
            if place is not None and not (self.archive / place).exists():
                _rename(file.path, self.archive / place)
                flush((self.archive / place).parent)
        self.tidy()
        reached(Point.RECOVERED)

    def tidy(self) -> None:
        """Remove the two folders in between; a file that was taken off landing and is still there goes back."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        for file in discover(self._taken):
            self._put_back(file.path)
        with suppress(OSError):  # mostly there is none
            self._taken.rmdir()

    def secure(self, files: Iterable[tuple[FoundFile, str]]) -> None:
        """Make sure that the archive will have the bytes of files, whatever happens to them in landing.

        Args:
            files: each with its SHA-256.

        Raises:
            FileChanged: one is no longer the file that was listed.
        """
        ensure_folder(self._incoming)
        for file, sha256 in files:
            secured = self._incoming / file.path.name
            secured.unlink(missing_ok=True)
            try:
                _link_or_copy(file, secured, sha256)
            except FileNotFoundError:
                raise FileChanged(file.name, "vanished") from None
            reached(Point.SECURED)
        flush(self._incoming)

    def archive_all(self, files: Iterable[tuple[FoundFile, Path, str]]) -> list[str]:
        """Move files that were secured and committed to their places.

        Args:
            files: each with its place and SHA-256.

        Returns:
            Names of files that the archive lacks, since their writer has overwritten the accepted bytes.

        Raises:
            WarehouseError: a file with other bytes is at a place; the delivered file stays in landing.
        """
        overwritten, folders = [], set()
        for file, place, sha256 in files:
            secured = self._incoming / file.path.name
            if place.exists():
                _ensure_expected(file, place, sha256)
            elif _was_overwritten(file, secured):
                overwritten.append(file.name)
            else:
                _rename(secured, place)
                folders.add(place.parent)
            reached(Point.ARCHIVED)
        for folder in folders:
            flush(folder)
        reached(Point.FLUSHED)
        return overwritten

    def clear(self, file: FoundFile) -> None:
        """Delete a file from landing.

        Raises:
            FileChanged: it is no longer the file that was listed; it stays.
            OSError: landing can't be written to.
        """
        self._take(file).unlink()
        reached(Point.CLEARED)

    def refuse(self, file: FoundFile, reason: Mapping[str, object]) -> None:
        """Move a file to quarantine. `<name>.reason.json` is written first, so that no file is there without a reason.

        Raises:
            FileChanged: it is no longer the file that was listed; it stays.
            OSError: landing or quarantine can't be written to; it stays.
        """
        taken = self._take(file)
        try:
            ensure_folder(self.quarantine)
            target = free_name(self.quarantine, file.name)
            write_reason(target, reason)
            reached(Point.NOTED)
            _move(taken, target)
        except OSError:
            self._put_back(taken)
            raise
        flush(self.quarantine)
        reached(Point.QUARANTINED)

    def _take(self, file: FoundFile) -> Path:
        """Take a file off landing in one step: a file that arrives later under its name is another, and stays."""
        ensure_unchanged(file)
        ensure_folder(self._taken)
        taken = self._taken / file.path.name
        try:
            file.path.rename(taken)
        except FileNotFoundError:
            raise FileChanged(file.name, "vanished") from None
        reached(Point.TAKEN)
        if not is_at(file, taken):
            self._put_back(taken)
            raise FileChanged(file.name, "was written to")
        return taken

    def _put_back(self, taken: Path) -> None:
        """Put a file back into landing, unless there is a newer one of its name."""
        original = self.landing / taken.name
        if os.path.lexists(original):
            taken.unlink()
        else:
            taken.rename(original)


def _was_overwritten(file: FoundFile, secured: Path) -> bool:
    """Whether a secured file is a hard link to the file in landing, and was written to there."""
    return not is_at(file, secured) and file.path.exists() and secured.samefile(file.path)


def _ensure_expected(file: FoundFile, place: Path, sha256: str) -> None:
    try:
        ensure_bytes(place, sha256)
    except (FileRefused, OSError) as error:
        raise WarehouseError(
            f"{file.name!r} stays in landing: {error}. Restore that file from a backup or remove it, then load again"
        ) from error


def _link_or_copy(file: FoundFile, target: Path, sha256: str) -> None:
    """Put a file at a second place, its bytes on disk: as a hard link where both are on one file system, else a copy.

    Raises:
        FileNotFoundError: the file is gone.
        FileChanged: it has other bytes.
    """
    with file.path.open("rb") as stream:
        os.fsync(stream.fileno())
    try:
        os.link(file.path, target, follow_symlinks=False)
        unchanged = is_at(file, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        _copy(file.path, target)
        unchanged = sha256_of(target) == sha256
    if not unchanged:
        raise FileChanged(file.name, "was written to")


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def _move(source: Path, target: Path) -> None:
    """Rename a file, or copy it to another file system; the target must not exist."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        whole = target.with_name(INCOMING)
        _copy(source, whole)
        whole.rename(target)
        source.unlink()


def _rename(source: Path, target: Path) -> None:
    ensure_folder(target.parent)
    source.rename(target)

"""The files of a folder, and what identifies one: its name and the SHA-256 of its bytes."""

import datetime as dt
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from orchestration_project.errors import FileChanged, FileRefused

UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", ".filepart", "~")
"""Name endings that writers give to a file which they have not finished."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    r"""A regular file as the folder lists it.

    `name` is its logical name: the file's own, with bytes that are no UTF-8 as `\xff`, so that it is text.
    """

    location: str
    name: str
    size: int
    mtime_ns: int

    @property
    def path(self) -> Path:
        """Where it is. A sensor that looks at 100,000 files asks for none of their paths."""
        return Path(self.location)

    @property
    def modified_at(self) -> dt.datetime:
        """When it was last modified, UTC, to the microsecond."""
        return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=self.mtime_ns // 1000)

    @property
    def signature(self) -> str:
        """Changes whenever the file was written to."""
        return f"{self.size}-{self.mtime_ns}"


def discover(folder: Path) -> list[FoundFile]:
    """The finished regular files directly in a folder, by name.

    Links, folders, hidden and unfinished files are left out.
    """
    return sorted(_regular_files(folder), key=lambda found: found.name) if folder.is_dir() else []


def _regular_files(folder: Path) -> Iterator[FoundFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.casefold().endswith(UNFINISHED):
                continue
            try:
                if entry.is_file(follow_symlinks=False):
                    yield _found(entry.path, entry.name, entry.stat(follow_symlinks=False))
            except FileNotFoundError:  # taken away between the listing and the look
                continue


def find(path: Path) -> FoundFile | None:
    """The regular file at a path; None when there is none."""
    return _found(str(path), path.name, path.lstat()) if path.is_file() and not path.is_symlink() else None


def _found(location: str, own_name: str, status: os.stat_result) -> FoundFile:
    name = os.fsencode(own_name).decode("utf-8", errors="backslashreplace")
    return FoundFile(location, name, status.st_size, status.st_mtime_ns)


def fingerprint(found: FoundFile) -> str:
    """The SHA-256 of a file's bytes, in hex.

    Raises:
        FileRefused: the file can't be read.
        FileChanged: it is not the file that was listed any more.
    """
    try:
        digest = sha256_of(found.path)
    except FileNotFoundError as error:
        raise FileChanged(found.name, "vanished") from error
    except OSError as error:
        raise FileRefused("unreadable", f"{found.name!r} can't be read: {error.strerror}") from error
    ensure_unchanged(found)
    return digest


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def ensure_unchanged(found: FoundFile) -> None:
    """Make sure that a file is still the one that was listed.

    Raises:
        FileChanged: its size or modification time differ, or it is gone or no regular file any more.
    """
    if not os.path.lexists(found.path):
        raise FileChanged(found.name, "vanished")
    if not is_at(found, found.path):
        raise FileChanged(found.name, "was written to")


def is_at(found: FoundFile, path: Path) -> bool:
    """Whether the file at a path is the one that was listed; a link to it is not."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (found.size, found.mtime_ns)

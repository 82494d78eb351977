"""Object stores in folders: the half of `objects` that is on this machine; `objects` tells what each operation does.

What was put is on disk when `put` returns.
"""

import io
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EDQUOT, ELOOP, ENOSPC
from pathlib import Path, PurePosixPath
from stat import S_ISREG

from orchestration_project.errors import ObjectChanged, ObjectMissing, ObjectStoreDown, ObjectStoreError
from orchestration_project.storage.archive import ensure_folder, flush
from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.objects import PIECE, UNFINISHED, StoredObject, checked


@dataclass(frozen=True, slots=True)
class FolderStore:
    """A store in a folder, which is made when something is put there."""

    root: Path

    @property
    def url(self) -> str:
        """As an URL."""
        return self.root.as_uri()

    def put(self, key: str, content: bytes | Path) -> None:
        """See `ObjectStore`."""
        with self._unfinished(key, content) as (unfinished, target):
            unfinished.replace(target)

    def create(self, key: str, content: bytes) -> bool:
        """See `ObjectStore`."""
        with self._unfinished(key, content) as (unfinished, target):
            try:
                # A rename would replace what is there. A link to the finished file fails instead, and is as atomic.
                os.link(unfinished, target)
            except FileExistsError:
                return target.read_bytes() == content
        return True

    def get(self, key: str) -> bytes:
        """See `ObjectStore`."""
        with self._told(key):
            return (self.root / checked(key)).read_bytes()

    def download(self, key: str, target: Path) -> None:
        """See `ObjectStore`."""
        with self._told(key):
            shutil.copyfile(self.root / checked(key), target)

    def read(self, key: str) -> tuple[StoredObject, Iterator[bytes]]:
        """See `ObjectStore`. A link is refused: who may write here may not have us read elsewhere."""
        path = self.root / checked(key)
        with self._told(key):
            # Without NONBLOCK, to open a named pipe would wait for somebody who writes to it.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        stream = os.fdopen(descriptor, "rb", buffering=0)
        found = self._stored(path, os.fstat(descriptor))
        if found is None:
            stream.close()
            raise ObjectStoreError(f"{self.root}: {key} is no file")
        return found, self._pieces(found, path, stream)

    def _pieces(self, found: StoredObject, path: Path, stream: io.FileIO) -> Iterator[bytes]:
        with stream, self._told(found.key):
            while piece := stream.read(PIECE):
                yield piece
            if self._stored(path, os.fstat(stream.fileno())) != found:
                raise ObjectChanged(f"{self.root}: {found.key} was written to while it was read")

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `ObjectStore`."""
        folders = [self.root / prefix]
        with self._told(prefix):
            while folders:
                for entry in _entries(folders.pop()):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    elif found := self._listed(Path(entry.path)):
                        yield found

    def _listed(self, path: Path) -> StoredObject | None:
        try:
            return self._stored(path, path.stat())
        except FileNotFoundError:  # deleted since
            return None

    def _stored(self, path: Path, status: os.stat_result) -> StoredObject | None:
        """A file as an object; None for a folder, a pipe and whatever else is no file."""
        if not S_ISREG(status.st_mode):
            return None
        file = FoundFile(str(path), path.name, status.st_size, status.st_mtime_ns)
        return StoredObject(path.relative_to(self.root).as_posix(), file.size, file.modified_at, file.signature)

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore`."""
        for key in keys:
            with self._told(key):
                (self.root / checked(key)).unlink(missing_ok=True)

    @contextmanager
    def _unfinished(self, key: str, content: bytes | Path) -> Iterator[tuple[Path, Path]]:
        """A file of a name of its own with the content, on disk, beside the place where it belongs."""
        target = self.root / PurePosixPath(checked(key))
        unfinished = target.with_name(f".{uuid.uuid4().hex}{UNFINISHED}")
        with self._told(key):
            ensure_folder(target.parent)
            try:
                _write(unfinished, content)
                yield unfinished, target
                flush(target.parent)
            finally:
                unfinished.unlink(missing_ok=True)

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectMissing(f"{self.root} has no {key}") from error
        except (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise ObjectStoreError(f"{self.root}: {error.strerror}: {key}") from error
        except OSError as error:
            if error.errno == ELOOP:
                raise ObjectStoreError(f"{self.root}: {key} is a link, and links are not followed") from error
            full = "; free some space there" if error.errno in (ENOSPC, EDQUOT) else ""
            raise ObjectStoreDown(f"{self.root}: {error.strerror}: {key}{full}") from error


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    # A folder that nothing was put into yet is an empty store. One that may not be read is not.
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        yield from entries


def _write(path: Path, content: bytes | Path) -> None:
    with path.open("xb") as stream:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
        else:
            stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())

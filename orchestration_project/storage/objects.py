"""Object stores by URL: a folder, S3, Google Cloud Storage, Azure. What is put there is whole or not there.

Belongs here: what an URL means, and the few operations that all stores have in common. A store in a folder is here, one
in the cloud in `cloud_objects`. Does not belong here: what the objects are for, and which of them count.

    deliveries/reports          a folder; a relative path begins in the working directory
    file:///srv/deliveries      the same, as an URL
    s3://bucket/prefix          S3, and whatever speaks its protocol (AWS_ENDPOINT_URL)
    gs://bucket/prefix          Google Cloud Storage
    az://container/prefix       Azure, also abfss://container@account.dfs.core.windows.net/prefix

Credentials come from the environment alone, by the names that each service documents. An URL with a password in it is
refused, since URLs are shown.

`create` is the one operation with a condition: it makes an object only if there is none of that key. No other is used:
replacing an object under a condition let two writers of six win in 26 of 30 races on one server of the S3 protocol,
while `create` let one win in all of them. So who needs an order of versions numbers them: `manifest/00000042.json`.
"""

import datetime as dt
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

from orchestration_project.errors import ObjectMissing, ObjectStoreDown, ObjectStoreError, visible
from orchestration_project.storage.archive import ensure_folder, flush

CLOUDS = ("s3", "gs", "az", "abfss")
UNFINISHED = ".uploading"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as its store lists it: key below the store's URL, bytes, and when it was written (UTC)."""

    key: str
    size: int
    modified_at: dt.datetime


class ObjectStore(Protocol):
    """Objects below one URL. Keys are relative, with slashes: `sales/2024-03-01.parquet`.

    Every operation raises ObjectStoreDown if the store does not answer, or fails, and ObjectStoreError if it refuses.
    No message tells credentials.
    """

    @property
    def url(self) -> str:
        """Where it is, fit to be shown."""

    def put(self, key: str, content: bytes | Path) -> None:
        """Write an object, from memory or from a file, in place of one of that key. It is seen when it is whole."""

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one of that key.

        Returns:
            Whether the object has this content now: it was written, or an object of these very bytes was there. Who
            has to know that it was the first puts something unique into the content.
        """

    def get(self, key: str) -> bytes:
        """The bytes of an object.

        Raises:
            ObjectMissing: there is none of that key.
        """

    def download(self, key: str, target: Path) -> None:
        """Write the bytes of an object to a file, in place of what is there, in bounded memory.

        Raises:
            ObjectMissing: there is none of that key.
        """

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """The objects below a folder of keys, such as `sales/manifest`, in no order; all of them without it.

        In a folder, what a killed writer has left unfinished is listed too, with a key that ends with `.uploading`.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects. One that is not there is no error."""


def open_objects(url: str) -> ObjectStore:
    """The store of an URL, or of the path of a folder. Nothing is asked of it yet.

    Raises:
        ObjectStoreError: the URL can't be used, or what reads such an URL is not installed.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        return FolderStore(_folder(url))
    if scheme == "file":
        return FolderStore(_folder(_path_of(url)))
    if scheme not in CLOUDS:
        raise ObjectStoreError(
            f"{masked(url)}: an object store is a folder, or an URL that begins with file://,"
            f" {', '.join(f'{cloud}://' for cloud in CLOUDS)}"
        )
    parts = urlsplit(url)
    # `abfss://container@account...` has a name in front of the host, and no password.
    if parts.password or parts.query or parts.fragment or (parts.username and scheme != "abfss"):
        raise ObjectStoreError(f"{masked(url)}: name a place only; credentials are read from the environment")
    from orchestration_project.storage.cloud_objects import CloudStore

    return CloudStore(masked(url))


def masked(url: str) -> str:
    """A store's URL without anything that may be a secret; the path of a folder as it is."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        return visible(url)
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that is not closed, for example
        return f"{visible(scheme)}://..."
    place = parts.netloc if scheme == "abfss" and not parts.password else parts.netloc.rpartition("@")[2]
    return visible(f"{scheme}://{place}{parts.path}".rstrip("/"))


def checked(key: str) -> str:
    """A key as it was given.

    Raises:
        ObjectStoreError: the key leads out of its store, or is none.
    """
    if not key or key.startswith("/") or any(part in ("", ".", "..") for part in key.split("/")):
        raise ObjectStoreError(f"{visible(key)!r} is no key of an object")
    return key


def _folder(path: str) -> Path:
    if not path:
        raise ObjectStoreError("an object store is a folder or an URL, and this is empty")
    return Path(path).expanduser().absolute()


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise ObjectStoreError(f"{masked(url)}: the URL of a folder has three slashes: file:///srv/deliveries")
    return unquote(parts.path)


@dataclass(frozen=True, slots=True)
class FolderStore:
    """A store in a folder, which is made when something is put there. What was put is on disk when `put` returns."""

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

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `ObjectStore`."""
        with self._told(prefix):
            for parent, _, names in os.walk(self.root / prefix, onerror=_raise_unless_missing):
                yield from filter(None, (self._listed(Path(parent, name)) for name in names))

    def _listed(self, path: Path) -> StoredObject | None:
        try:
            status = path.stat()
        except FileNotFoundError:  # deleted since
            return None
        modified_at = dt.datetime.fromtimestamp(status.st_mtime, dt.UTC)
        return StoredObject(path.relative_to(self.root).as_posix(), status.st_size, modified_at)

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
            full = "; free some space there" if error.errno in (ENOSPC, EDQUOT) else ""
            raise ObjectStoreDown(f"{self.root}: {error.strerror}: {key}{full}") from error


def _raise_unless_missing(error: OSError) -> None:
    # A folder that nothing was put into yet is an empty store. One that may not be read is not.
    if not isinstance(error, FileNotFoundError):
        raise error


def _write(path: Path, content: bytes | Path) -> None:
    with path.open("xb") as stream:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
        else:
            stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())

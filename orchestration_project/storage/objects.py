"""Object stores by URL: a folder, S3, Google Cloud Storage, Azure. What is put there is whole or not there.

Belongs here: what an URL means, and the few operations that all stores have in common. A store in a folder is in
`folder_objects`, one in the cloud in `cloud_objects`. Does not belong here: what the objects are for, and which of them
count.

    deliveries/reports          a folder; a relative path begins in the working directory
    file:///srv/deliveries      the same, as an URL
    s3://bucket/prefix          S3, and whatever speaks its protocol (AWS_ENDPOINT_URL)
    gs://bucket/prefix          Google Cloud Storage
    az://container/prefix       Azure, also abfss://container@account.dfs.core.windows.net/prefix

Credentials come from the environment alone, by the names that each service documents. An URL with a password in it is
refused, since URLs are shown.

`create` is the one operation here with a condition: it makes an object only if there is none of that key. Reading and
deleting a certain version, which not all stores can, are in `conditional_objects`. Replacing one is not used: under a
condition it let two writers of six win in 26 of 30 races on one server of the S3 protocol, while `create` let one win
in all of them. So who needs an order of versions numbers them: `manifest/00000042.json`.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from orchestration_project.errors import ObjectStoreError, visible

CLOUDS = ("s3", "gs", "az", "abfss")
UNFINISHED = ".uploading"
PIECE = 1 << 20
"""Bytes that are read at once."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as its store lists it.

    Attributes:
        key: below the store's URL.
        size: bytes.
        modified_at: when it was written, UTC.
        version: changes when it is written anew: its ETag; in a folder, its size and time.
    """

    key: str
    size: int
    modified_at: dt.datetime
    version: str = ""


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

    def read(self, key: str) -> tuple[StoredObject, Iterator[bytes]]:
        """An object as it is now, and its bytes, piece by piece: all of this one version.

        Raises:
            ObjectMissing: there is none of that key.
            ObjectChanged: with a piece, it was written while it was read.
        """

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """The objects below a folder of keys, such as `sales/manifest`, in no order; all of them without it.

        It takes the same memory for ten objects and for a million.

        In a folder, what a killed writer has left unfinished is listed too, with a key that ends with `.uploading`.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects. One that is not there is no error."""


def open_objects(url: str) -> ObjectStore:
    """The store of an URL, or of the path of a folder. Nothing is asked of it yet.

    Raises:
        ObjectStoreError: the URL can't be used, or what reads such an URL is not installed.
    """
    from orchestration_project.storage.folder_objects import FolderStore

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

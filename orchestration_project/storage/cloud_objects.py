"""Object stores in the cloud, through obstore: the other half of `objects`, which tells what each operation does.

Nothing but an operation itself imports obstore, which is an extra. A message has the kind of fault and the server's
code for it. It never has what the client says: that is the whole request, and a signed one is a credential.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import ObjectMissing, ObjectStoreDown, ObjectStoreError, visible
from orchestration_project.storage.objects import PIECE, StoredObject, checked

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta
    from obstore.store import ObjectStore as Client

# A step that hangs keeps its slot. A dead server is told after a minute, and a new run asks again later.
RETRIES = 3
PATIENCE = dt.timedelta(seconds=60)
# A part of an upload has 5 MB and, by default, 30 seconds. Twelve at once, obstore's choice, are too many for a slow
# line.
PARTS_AT_ONCE = 4
DELETED_AT_ONCE = 1000
LISTED_AT_ONCE = 1000
STATUS = re.compile(r"status code: (\d{3})")
CODE = re.compile(r"<Code>(\w+)</Code>")
INVALID_KEY = re.compile(r'Path "(.*?)"')
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL for another service than AWS",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or another credential of Azure",
    "abfss": "AZURE_STORAGE_ACCOUNT_KEY or another credential of Azure",
}


@dataclass(frozen=True)
class CloudStore:
    """A store behind an URL with nothing secret in it."""

    url: str

    @cached_property
    def _client(self) -> "Client":
        """Made when it is first needed: where obstore is missing, definitions load all the same."""
        try:
            from obstore.store import from_url
        except ImportError:
            raise ObjectStoreError(
                f"{self.url}: what reads and writes object stores is not installed:"
                " pip install 'orchestration-project[object-store]'"
            ) from None
        with self._told(""):
            # No `client_options`: given any, obstore ignores those of the environment (AWS_ALLOW_HTTP, AWS_TIMEOUT).
            return from_url(self.url, retry_config={"max_retries": RETRIES, "retry_timeout": PATIENCE})

    def put(self, key: str, content: bytes | Path) -> None:
        """See `ObjectStore`."""
        client = self._client
        with self._told(key):
            client.put(checked(key), content, max_concurrency=PARTS_AT_ONCE)

    def create(self, key: str, content: bytes) -> bool:
        """See `ObjectStore`."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        client = self._client
        with self._told(key):
            try:
                client.put(checked(key), content, mode="create")
            except (AlreadyExistsError, PreconditionError):
                # The client repeats a request whose answer was lost: then the object that is there is our own.
                return self.get(key) == content
        return True

    def get(self, key: str) -> bytes:
        """See `ObjectStore`."""
        client = self._client
        with self._told(key):
            return client.get(checked(key)).bytes().to_bytes()

    def download(self, key: str, target: Path) -> None:
        """See `ObjectStore`."""
        client = self._client
        with target.open("wb") as stream, self._told(key):
            for chunk in client.get(checked(key)).stream():
                stream.write(chunk)

    def read(self, key: str) -> tuple[StoredObject, Iterator[bytes]]:
        """See `ObjectStore`. A connection that breaks is taken up where it broke, if it is still that version."""
        client = self._client
        with self._told(key):
            answer = client.get(checked(key))
            return stored_object(answer.meta), self._pieces(key, answer)

    def _pieces(self, key: str, answer: "GetResult") -> Iterator[bytes]:
        with self._told(key):
            for piece in answer.stream(min_chunk_size=PIECE):
                yield bytes(piece)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `ObjectStore`."""
        from obstore.exceptions import InvalidPathError

        client = self._client
        with self._told(prefix):
            try:
                for group in client.list(prefix or None, chunk_size=LISTED_AT_ONCE):
                    yield from map(stored_object, group)
            except InvalidPathError as error:
                raise ObjectStoreError(
                    f"{self.url} can't be listed: the key {visible(_invalid_key(error))!r} has an empty part, or one of"
                    " dots; rename that object, or keep it out of this folder"
                ) from None

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore`."""
        client, waiting = self._client, iter(keys)
        while group := list(islice(waiting, DELETED_AT_ONCE)):
            with self._told(group[0]):
                try:
                    client.delete([checked(key) for key in group])
                except FileNotFoundError:
                    self._delete_each(group)

    def _delete_each(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                self._client.delete(key)
            except FileNotFoundError:
                continue

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Tell faults in words of ours."""
        from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, UnauthenticatedError

        names = CREDENTIALS[self.url.partition(":")[0]]
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectMissing(f"{self.url} has no {key}{_code(error)}") from None
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise ObjectStoreError(f"{self.url} refuses access{_code(error)}; look at {names}") from None
        except (InvalidPathError, ValueError, TypeError):
            raise ObjectStoreError(f"{self.url} has no place for an object named {key!r}") from None
        except BaseError as error:
            raise self._failure(error, names) from None

    def _failure(self, error: Exception, names: str) -> ObjectStoreError:
        status = STATUS.search(str(error))
        # Without a status there was no answer, or no request: the environment lacks something.
        if status is None and "Missing" in str(error):
            return ObjectStoreError(f"{self.url} can't be used: the environment lacks something; look at {names}")
        if status is not None and status[1].startswith("4"):
            return ObjectStoreError(f"{self.url} refuses the request{_code(error)}; look at the URL, and at {names}")
        return ObjectStoreDown(f"{self.url} does not answer, or fails{_code(error)}")


def stored_object(meta: "ObjectMeta") -> StoredObject:
    """An object of what the client tells about it."""
    # Azure lists ETags without the quotes that it sends with the object.
    tag = (meta["e_tag"] or "").removeprefix("W/").strip('"')
    version = tag or f"{meta['size']}-{meta['last_modified'].isoformat()}"
    return StoredObject(meta["path"], meta["size"], meta["last_modified"], version)


def _invalid_key(error: Exception) -> str:
    found = INVALID_KEY.search(str(error))
    return found[1] if found else ""


def _code(error: Exception) -> str:
    """What the server calls its fault, ` (404 NoSuchBucket)`; empty where it told nothing."""
    found = [match[1] for pattern in (STATUS, CODE) if (match := pattern.search(str(error)))]
    return f" ({' '.join(found)})" if found else ""

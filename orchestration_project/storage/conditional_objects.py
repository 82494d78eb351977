"""Reads and deletes under a condition, for stores with the S3 protocol: what a landing needs beyond `cloud_objects`.

Belongs here: the operations, and the proof that a store heeds their conditions. What a landing does with them is in
`object_landing`.

A condition names a version of an object. `create` of `objects` is the third operation that needs one. Replacing under
a condition is not used: see `objects`.
"""

import datetime as dt
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from orchestration_project.errors import ObjectChanged, ObjectStoreDown, ObjectStoreError
from orchestration_project.storage.cloud_objects import PATIENCE, RETRIES, CloudStore, stored_object
from orchestration_project.storage.objects import PIECE, StoredObject, checked

if TYPE_CHECKING:
    import requests
    from obstore.store import S3Store

PROBES = ".probe"
NO_VERSION = "0" * 32
"""The version of no object: the form is that of an MD5, which is what most stores give."""
NOT_THAT_VERSION = (404, 409, 412)
SIGNED_FOR = dt.timedelta(minutes=5)
TRIED_AGAIN = 60.0
"""Seconds after which a store that was refused is tried again: it may have been mended."""
_tried: dict[str, tuple[float, Sequence[str]]] = {}
"""When this process has tried each store, and which conditions it lacked then."""


@dataclass(frozen=True)
class ConditionalStore(CloudStore):
    """A store behind an URL that begins with `s3://`. Errors are those of `ObjectStore`."""

    def head(self, key: str) -> StoredObject:
        """An object as it is now.

        Raises:
            ObjectMissing: there is none of that key.
        """
        client = self._client
        with self._told(key):
            return stored_object(client.head(checked(key)))

    def top(self) -> tuple[list[str], int]:
        """The folders at the store's URL, and how many objects are there in no folder."""
        client = self._client
        with self._told(""):
            found = client.list_with_delimiter()
            return sorted(str(folder).strip("/") for folder in found["common_prefixes"]), len(found["objects"])

    def read_version(self, key: str, version: str) -> Iterator[bytes]:
        """The bytes of an object, piece by piece.

        Raises:
            ObjectMissing: there is none of that key.
            ObjectChanged: it has another version by now.
        """
        from obstore.exceptions import PreconditionError

        client = self._client
        with self._told(key):
            try:
                answer = client.get(checked(key), options={"if_match": f'"{version}"'})
                for piece in answer.stream(min_chunk_size=PIECE):
                    yield bytes(piece)
            except PreconditionError:
                raise ObjectChanged(f"{self.url}: {key} was written anew") from None

    def delete_version(self, key: str, version: str) -> bool:
        """Delete an object if it still has that version; returns whether it was there and is gone now."""
        import requests
        from obstore import sign

        # The client has no such operation, but signs the address of any. So nothing else has to find out credentials,
        # region and endpoint, perhaps otherwise.
        with self._told(key):
            address = sign(cast("S3Store", self._client), "DELETE", checked(key), SIGNED_FOR)
        try:
            answer = self._http.delete(
                address,
                headers={"If-Match": f'"{version}"'},
                timeout=PATIENCE.total_seconds(),
                allow_redirects=False,
            )
        # What the library says has the signed address in it.
        except requests.RequestException as error:
            raise ObjectStoreDown(f"{self.url} does not answer ({type(error).__name__})") from None
        if answer.status_code in NOT_THAT_VERSION:
            return False
        if not answer.ok:
            kind = ObjectStoreDown if answer.status_code >= 500 else ObjectStoreError
            raise kind(f"{self.url} does not delete {key} under a condition ({answer.status_code})")
        return True

    @cached_property
    def _http(self) -> "requests.Session":
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3 import Retry

        # To repeat it is safe: a second request for the same version finds nothing.
        patience = Retry(
            RETRIES, allowed_methods=("DELETE",), status_forcelist=(500, 502, 503, 504), backoff_factor=0.5
        )
        session = requests.Session()
        # The address is signed already. Without this, a password for the host in ~/.netrc would be sent as well.
        session.auth = lambda request: request
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=32, max_retries=patience))
        return session

    def require_conditions(self) -> None:
        """Make sure, by trying, that the store heeds each condition. A process tries a store that does only once.

        Raises:
            ObjectStoreError: it does not; the message names the store and what it lacks.
        """
        at, lacking = _tried.get(self.url, (-TRIED_AGAIN, [""]))
        # Thousands of sensors may ask in a minute: a store that is refused would get all their attempts.
        if lacking and time.monotonic() - at >= TRIED_AGAIN:
            lacking = self._try()
            _tried[self.url] = (time.monotonic(), lacking)
        if lacking:
            raise ObjectStoreError(
                f"{self.url} can't be a landing: the store does not heed {', '.join(lacking)}. Use a store that does,"
                " or fetch its files with a Source of the kind object_store, which needs no conditions"
            )

    def _try(self) -> list[str]:
        """The conditions that the store lacks."""
        key = f"{PROBES}/{uuid.uuid4().hex}"
        try:
            return [*self._lacking(key)]
        finally:
            with suppress(ObjectStoreError):
                self.delete([key])

    def _lacking(self, key: str) -> Iterator[str]:
        self.create(key, b"1")
        if self.create(key, b"2"):
            yield "If-None-Match of PUT"
        with suppress(ObjectChanged):
            b"".join(self.read_version(key, NO_VERSION))
            yield "If-Match of GET"
        if not self._keeps_another_version(key):
            yield "If-Match of DELETE"

    def _keeps_another_version(self, key: str) -> bool:
        try:
            if self.delete_version(key, NO_VERSION):
                return False
            return self.delete_version(key, self.head(key).version)
        except ObjectStoreDown:
            raise
        # It knows no such condition, or is gone though its version was another one.
        except ObjectStoreError:
            return False

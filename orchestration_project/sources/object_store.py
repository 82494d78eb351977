"""Files in an object store, as a source: which prefixes are listed, and how one object becomes one file.

Belongs here: what a source adds to a store. Does not belong here: how a store is asked (`storage.objects`), and what
`defs.yaml` may say (`object_store_options`).
"""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestration_project.errors import (
    ItemGone,
    ObjectChanged,
    ObjectMissing,
    ObjectStoreDown,
    ObjectStoreError,
    SourceDown,
    SourceError,
    visible,
)
from orchestration_project.settings import revealed
from orchestration_project.sources.dated import filled
from orchestration_project.sources.model import Fetched, Item
from orchestration_project.sources.naming import Naming, require_size, written
from orchestration_project.sources.object_store_options import ObjectStoreOptions
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.storage.objects import ObjectStore, StoredObject, open_objects

HOUR = dt.timedelta(hours=1)
MOMENT = dt.timedelta(microseconds=1)

Secret = Callable[[str], str]


def open_object_store(
    options: ObjectStoreOptions, batching: Batching, now: dt.datetime, secret: Secret
) -> "ObjectSource":
    """The files of a store. Nothing is asked of it yet.

    Args:
        options: as `defs.yaml` has them.
        batching: of the feed, for prefixes with a date.
        now: the present moment, with a time zone.
        secret: gives the value of an environment variable.

    Raises:
        SourceError: the URL can't be used.
        SettingsError: the variable that has it is not set.
    """
    url = revealed(options.url, secret)
    # The working directories of Dagster's processes differ.
    if "://" not in url and not Path(url).expanduser().is_absolute():
        raise SourceError(f"{visible(url)} is a relative path; say from where: /srv/files, or s3://bucket/files")
    with _told():
        return ObjectSource(open_objects(url), options.naming, prefixes(options, batching, now))


def prefixes(options: ObjectStoreOptions, batching: Batching, now: dt.datetime) -> Sequence[str]:
    """The folders of keys that are listed, each once, newest first; the whole store is an empty one."""
    template = (options.prefix or "").strip("/")
    if not options.is_dated:
        return [template]
    found: dict[str, None] = {}
    batch = batching.current(now)
    for _ in range(options.last_batches):
        found.update(dict.fromkeys(filled(template, moment) for moment in _hours(batching, batch)))
        batch = batching.current(batching.begin(batch) - MOMENT)
    return list(found)


def _hours(batching: Batching, batch: Batch) -> Iterator[dt.datetime]:
    """The hours of a batch, as clocks in the feed's time zone show them, the last one first."""
    begin, moment = batching.begin(batch), batching.begin(batching.after(batch)) - MOMENT
    while moment >= begin:
        yield moment.astimezone(batching.timezone)
        moment -= HOUR


class ObjectSource:
    """The objects of a store, each of which becomes a file; the key of an item is the object's, below the store's URL.

    Args:
        store: where they are.
        naming: which are wanted, and what their files are called.
        prefixes: the folders of keys that are listed.
    """

    def __init__(self, store: ObjectStore, naming: Naming, prefixes: Sequence[str]) -> None:
        self._store, self._naming, self._prefixes = store, naming, prefixes
        # Names in folders may be no text: what such a key is called here, and as the system has it.
        self._own_keys: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Where it is."""
        return self._store.url

    def list(self, cursor: str | None) -> Iterator[Item]:  # noqa: ARG002 - objects have no cursor
        """See `model.Source`. The version is the store's own."""
        with _told():
            for prefix in self._prefixes:
                for found in self._store.list(prefix):
                    if item := self._item(found):
                        yield item

    def _item(self, found: StoredObject) -> Item | None:
        key = os.fsencode(found.key).decode(errors="backslashreplace")
        item = self._naming.item(key, found.version, found.size, found.modified_at)
        if item and key != found.key:
            self._own_keys[key] = found.key
        return item

    def fetch(self, item: Item, target: Path, limit: int) -> Fetched:
        """See `model.Source`. The bytes are of one version, which may be a newer one than was listed."""
        require_size(item, item.size or 0, limit)
        with _told():
            try:
                found, pieces = self._store.read(self._own_keys.get(item.key, item.key))
            except ObjectMissing:
                # An empty object `a/`, which some programs make for a folder, is listed as `a`, and is not there.
                if item.size == 0:
                    return Fetched(empty=True)
                raise
            came = written(pieces, target, item, limit)
        if came != found.size:
            raise SourceDown(f"{self.url}: of {visible(item.key)} {came:,} of {found.size:,} bytes came")
        is_listed = found.version == item.version
        return Fetched() if is_listed else Fetched(version=found.version, modified_at=found.modified_at)

    def close(self) -> None:
        """See `model.Source`. A store keeps nothing open."""


@contextmanager
def _told() -> Iterator[None]:
    """Tell a store's faults as those of a source."""
    try:
        yield
    except (ObjectMissing, ObjectChanged) as error:
        raise ItemGone(str(error)) from None
    except ObjectStoreDown as error:
        raise SourceDown(str(error)) from None
    except ObjectStoreError as error:
        raise SourceError(str(error)) from None

"""What waits for a load of a feed: files in landing on this machine, and objects of the landing in a store, if any.

Belongs here: what is told to those who watch a landing, such as the sensor. What is on this machine is listed by
`writers`, and how objects come here is in `object_landing`.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.settings import Settings
from orchestration_project.storage.files import FoundFile, count_ignored
from orchestration_project.storage.writers import delivered

if TYPE_CHECKING:
    from orchestration_project.storage.object_landing import ObjectLanding


@dataclass(frozen=True, slots=True)
class Waiting:
    """The files that wait for a load, by name, and how many others are not looked at."""

    files: Sequence[FoundFile]
    ignored: int


def object_landing(settings: Settings, feed: str) -> "ObjectLanding | None":
    """The landing of a feed in a store; None without `LANDING_URL`. Nothing is asked of the store yet."""
    if not settings.landing_url:
        return None
    # Late: who has no such landing imports none of it.
    from orchestration_project.storage.conditional_objects import ConditionalStore
    from orchestration_project.storage.object_landing import ObjectLanding

    store = ConditionalStore(settings.landing_url)
    return ObjectLanding(store, feed, settings.landing(feed), settings.quarantine(feed), settings.lock_timeout)


def waiting(settings: Settings, feed: str) -> Waiting:
    """What waits for a load of a feed. An object that another machine has claimed does not wait.

    Raises:
        ObjectStoreError: the store can't be listed, or lacks a condition that a landing needs.
    """
    landing = settings.landing(feed)
    files, ignored = delivered(landing, settings.archive(feed)), count_ignored(landing)
    store = object_landing(settings, feed)
    if store is None:
        return Waiting(files, ignored)
    # Here, since sensors ask first of all: a store that can't be a landing is told before a file comes.
    store.store.require_conditions()
    listed = store.delivered()
    fetched = store.fetched(listed.files)
    # As the object that it was before it was fetched: to the sensor it is the same file, and not a new one.
    own = {file.name: file for file in files if file.name not in fetched}
    # A file of this machine goes first. Its object of the same name is fetched when that file has left landing.
    objects = [file for file in store.free(listed.files, dt.datetime.now(dt.UTC)) if file.name not in own]
    return Waiting(sorted([*own.values(), *objects], key=lambda file: file.name), ignored + listed.ignored)


def stray_objects(settings: Settings, feeds: Collection[str]) -> dict[str, int]:
    """How many objects are in the store and belong to no feed, by the URLs of their folders.

    Args:
        settings: where the store is.
        feeds: the names of all feeds.

    Raises:
        ObjectStoreError: the store can't be listed.
    """
    if not settings.landing_url:
        return {}
    from orchestration_project.storage.conditional_objects import ConditionalStore

    store = ConditionalStore(settings.landing_url)
    folders, alone = store.top()
    # Those with a dot are the platform's own.
    strays = [name for name in folders if name not in feeds and not name.startswith(".")]
    counted = {f"{store.url}/{name}": sum(1 for _ in store.list(name)) for name in strays}
    return {**({store.url: alone} if alone else {}), **counted}


def waiting_files(settings: Settings, feed: str) -> Sequence[FoundFile]:
    """The files of `waiting`. Raises what that does."""
    return waiting(settings, feed).files

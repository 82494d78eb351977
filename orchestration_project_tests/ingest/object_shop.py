"""A feed whose files are delivered to an object store, with its folders and its warehouse."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestration_project.ingest.report import Report
from orchestration_project.settings import Settings
from orchestration_project.storage import object_landing
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.conditional_objects import ConditionalStore
from orchestration_project.storage.object_notes import OBJECTS
from orchestration_project_tests.ingest.shop import Shop, day

DAYS = [day(number) for number in range(1, 8)]


@dataclass
class ObjectShop(Shop):
    """One feed whose landing is at an URL. Loads ask for all of `DAYS`.

    `archive_url` is that of the archive's store, if it has one. `environment` is set before each load, which may be in
    another process.
    """

    url: str = ""
    archive_url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    threads: int = object_landing.THREADS

    @property
    def settings(self) -> Settings:
        """As those of any shop, with the landing."""
        return replace(
            super().settings, landing_url=self.url, archive_url=self.archive_url, cold_archive_url=self.archive_url
        )

    @property
    def store(self) -> ConditionalStore:
        """The store, as tests look at it."""
        return ConditionalStore(self.url)

    def send(self, name: str, content: str | bytes) -> None:
        """Put an object into the landing."""
        self.store.put(f"{self.feed.name}/{name}", content.encode() if isinstance(content, str) else content)

    def load(self, *batches: Batch, **request: Any) -> Report:
        """Load some batches, by default those of the first days."""
        os.environ.update(self.environment)  # noqa: TID251 - of a process that is about to die
        object_landing.THREADS = self.threads
        return super().load(*(batches or DAYS), **request)

    def objects(self) -> dict[str, bytes]:
        """All objects of the store with their bytes."""
        return {found.key: self.store.get(found.key) for found in self.store.list()}

    def waiting(self) -> list[str]:
        """The names of the objects that are in the feed's landing."""
        return sorted(found.key.partition("/")[2] for found in self.store.list(self.feed.name))

    def notes(self) -> list[Path]:
        """The notes of objects that this machine is not done with."""
        return sorted((self.settings.landing(self.feed.name) / OBJECTS).glob("*.json"))

    def landing(self) -> list[str]:
        """Names of the files that are in landing on this machine."""
        return [name for name in super().landing() if name != OBJECTS]


def elsewhere(shop: ObjectShop, folder: Path) -> ObjectShop:
    """The same feed and landing on another machine."""
    return replace(shop, folder=folder, told=[])


def when(shop: ObjectShop, act: Callable[[], object]) -> None:
    """Do something that writes an object, until the store's clock tells another time than before."""
    before = {found.key: found.modified_at for found in shop.store.list(shop.feed.name)}
    while {found.key: found.modified_at for found in shop.store.list(shop.feed.name)} == before:
        act()

"""A small shop whose files are old enough to be moved to the cold archive, and what must be the same afterwards."""

import datetime as dt
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import Verification
from orchestration_project.inspection.verify import verify
from orchestration_project.retention.cool import Moved, move_old
from orchestration_project.settings import Settings
from orchestration_project.storage.files import find_archived
from orchestration_project.storage.withdrawals import NOTE
from orchestration_project_tests.ingest.shop import NOW, Shop, named
from orchestration_project_tests.recovery.stock import CONTRACT, HEAD


@dataclass
class Aged(Shop):
    """The shop. Its files are of February, and the cold archive takes what is older than 10 days in March."""

    url: str = ""

    @property
    def settings(self) -> Settings:
        """With a cold archive."""
        url = self.url or str(self.folder.parent / "cold")
        return replace(super().settings, cold_archive_url=url, cold_archive_days=10)

    def move(self, now: dt.datetime = NOW) -> Moved:
        """Move what is old."""
        return move_old(self.warehouse, self.settings, now, self.told.append)

    def verified(self) -> Verification:
        """What `verify` says."""
        return verify(self.warehouse, self.settings, [ConfiguredFeed(self.feed, self.options)])

    def places(self) -> dict[str, bool]:
        """The files of the archive by place, and whether each is in the cold archive; notes are no files."""
        root = self.settings.archive(self.feed.name)
        paths = [Path(top, name) for top, _, names in os.walk(root) for name in names if "/." not in f"{top}/{name}"]
        paths = [path for path in paths if not path.name.endswith(NOTE)]
        found = {path: find_archived(path) for path in paths}
        return {str(path.relative_to(root)): bool(file.cold) for path, file in sorted(found.items()) if file}

    def objects(self) -> list[Path]:
        """The files of the cold archive in a folder."""
        return sorted(path for path in Path(self.settings.cold_archive_url, "files").rglob("*") if path.is_file())


def aged(folder: Path, **fields: Any) -> Aged:
    """Three days: keys that recur, a correction, a duplicate, rejects; nothing is moved yet."""
    shop = Aged(folder / "shop", CONTRACT, **fields)
    fill(shop)
    return shop


def fill(shop: Shop) -> None:
    """Deliver and load these days."""
    for number in (1, 2, 3):
        shop.deliver(named(number), f"{HEAD}k{number},{number}\nr,1\n,{number}\nx,-1\n", number)
    shop.load()
    shop.deliver(named(2), f"{HEAD}k2,22\n", 5)
    shop.deliver(named(3, "t"), f"{HEAD}k3,3\nr,1\n,3\nx,-1\n", 6)
    shop.load()


def moving(shop: Aged) -> partial[Moved]:
    """The move, as work for another process."""
    return partial(shop.move)

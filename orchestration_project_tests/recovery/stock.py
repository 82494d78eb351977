"""A feed with a history, how it is rebuilt, and all that must be right afterwards."""

import datetime as dt
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.ingest.options import ConfiguredFeed, FeedOptions
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery import rebuild as rebuilding
from orchestration_project.recovery.rebuild import Rebuilt, rebuild
from orchestration_project.storage.batches import Cadence
from orchestration_project_tests.ingest.shop import Shop, column, feed, named

CONTRACT = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "0")), primary_key=("id",))
HEAD = "id,n\n"


def rebatched(found: FeedOptions, **changes: Any) -> FeedOptions:
    return replace(found, batching=replace(found.batching, **changes))


def weekly(found: FeedOptions) -> FeedOptions:
    return rebatched(found, cadence=Cadence.WEEKLY, start=dt.date(1999, 12, 27))


def stocked(folder: Path, contract: Any = CONTRACT) -> Shop:
    """Two weeks with keys that recur, corrections, a duplicate, a refused file, an empty one, rejects."""
    shop = Shop(folder, contract)
    for number in range(1, 15):
        shop.deliver(named(number), f"{HEAD}k{number},{number}\nr{number % 5},1\n,{number}\nx,-1\n")
    shop.load()
    shop.deliver(named(3), f"{HEAD}k3,33\nr3,1\n")
    shop.deliver(named(4, "t"), f"{HEAD}k4,4\nr4,1\n,4\nx,-1\n")
    shop.deliver(named(5, "u"), "no header at all\n")
    shop.deliver(named(6, "v"), HEAD)
    shop.load()
    return shop


def rebuilt(shop: Shop, **more: Any) -> Rebuilt:
    return rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None, **more)


def fresh(shop: Shop, folder: Path) -> Shop:
    """What a load of all archived versions into nothing gives, in the order of their delivery."""
    other = Shop(folder, shop.feed, shop.options)
    root = shop.settings.archive(shop.feed.name)
    found = [path for path in root.rglob("*.csv") if "withdrawn" not in path.parts]
    numbers = {path: int((re.search(r"/v(\d+)/", str(path)) or ["", "1"])[1]) for path in found}
    for number in sorted({*numbers.values()}):
        for path in sorted(path for path in found if numbers[path] == number):
            target = other.settings.landing(other.feed.name) / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        other.load()
    return other


def whole(shop: Shop) -> dict[str, Any]:
    """All that must be right: tables, ledger, batching, and every file but the watched ones: place and bytes."""
    settings, name = shop.settings, shop.feed.name
    folders = [settings.landing(name), settings.archive(name), settings.quarantine(name)]
    files = {
        str(path.relative_to(shop.folder)): path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and ".taken" not in path.parts
    }
    ledger = shop.rows("SELECT * FROM file_ledger ORDER BY ALL")
    beside = sorted(path.name for path in shop.folder.glob("warehouse.duckdb?*"))
    found = sorted(str(path.relative_to(shop.folder)) for folder in folders for path in folder.glob(".*"))
    hidden = [path for path in found if not path.endswith("/.taken")]
    batching = shop.rows("SELECT feed, cadence, mode, coalesce(tree, '') AS tree FROM feed_batching")
    return {
        **shop.tables(),
        "ledger": ledger,
        "files": files,
        "beside": beside,
        "hidden": hidden,
        "batching": batching,
        "waivers": shop.rows("FROM waivers ORDER BY ALL"),
    }


def proven(shop: Shop) -> bool:
    return verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings == []


@contextmanager
def nothing_tidied() -> Iterator[None]:
    """Leave behind what a process leaves that gets SIGKILL: no `except` and no `finally` removes anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rebuilding, "undo_tree", lambda _: None)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        yield

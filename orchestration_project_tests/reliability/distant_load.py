"""A load on another machine, which stands still at a point until its standard input has a line.

python -m orchestration_project_tests.reliability.distant_load FOLDER PATIENCE [POINT ...]

Several points: it stands still at the last one, after it has passed the others in this order.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestration_project.errors import PlatformError
from orchestration_project.failpoints import AnyPoint, listen
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.ingest.shop import NOW, Shop
from orchestration_project_tests.reliability.contention import keyed

REACHED, LOADED = "reached", "loaded"


def load_all(folder: Path, patience: float, points: Sequence[str] = ()) -> str:
    """Load all that is in landing; returns what became of it.

    Args:
        folder: the shop's.
        patience: seconds to wait for the lock.
        points: where it stands still.
    """
    ahead = list(points)

    def wait(point: AnyPoint) -> None:
        if ahead[:1] == [point]:
            ahead.pop(0)
            if not ahead:
                print(REACHED, flush=True)  # noqa: T201 - the test that has started it reads that
                sys.stdin.readline()

    shop = Shop(folder, keyed())
    settings = replace(shop.settings, lock_timeout=patience)
    listen(wait)
    try:
        load(
            Warehouse.from_settings(settings),
            settings,
            shop.feed,
            shop.options,
            Request(list(shop.due()), now=NOW),
            lambda _: None,
        )
    except PlatformError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        listen(None)
    return LOADED


if __name__ == "__main__":
    print(load_all(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]), flush=True)  # noqa: T201

"""What loads leave behind on a lake, and sessions that get into the middle of others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from orchestration_project.failpoints import AnyPoint, Point, listen
from orchestration_project_tests.ingest.shop import Shop
from orchestration_project_tests.reliability.victim import everything


def state(shop: Shop) -> dict[str, Any]:
    """All that loads leave behind but for what lies beside a warehouse, which depends on its kind."""
    return {name: found for name, found in everything(shop).items() if name != "beside the warehouse"}


@contextmanager
def intruding(at: Point, work: Callable[[], object]) -> Iterator[None]:
    """Do something once, in the middle of another load of this process."""

    def intrude(point: AnyPoint) -> None:
        if point is at:
            listen(None)
            work()

    listen(intrude)
    try:
        yield
    finally:
        listen(None)

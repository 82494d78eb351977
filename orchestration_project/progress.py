"""Progress of long work in lines of log: how much is done and how fast, told now and then."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

INTERVAL_SECONDS = 5.0
"""A line is written at most so often; work that is done before says nothing."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """Tells how far work has come.

    Attributes:
        log: takes a line.
        clock: tells the seconds since some moment.
    """

    log: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic

    def of(self, items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
        """The items, unchanged and one at a time; an item counts as done when the next one is asked for.

        Args:
            items: what is worked on.
            what: such as `sales: files hashed`.
            total: how many there are, where that is known.
        """
        began = told = self.clock()
        of_all = "" if total is None else f" of {total:,}"
        for done, item in enumerate(items):
            now = self.clock()
            if now - told >= INTERVAL_SECONDS:
                told = now
                self.log(f"{what}: {pace(done, now - began, of_all)}")
            yield item


def pace(done: int, seconds: float, of_all: str = "") -> str:
    """How much was done in which time, and how much a second; no rate where the time is too short to tell one."""
    rate = f", {done / seconds:,.0f} a second" if seconds >= 1 else ""
    return f"{done:,}{of_all} in {seconds:,.1f} s{rate}"

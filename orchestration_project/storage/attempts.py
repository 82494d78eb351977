"""Do the same with many files: with small ones one after the other, with large ones as many at a time as cores.

Hashing and scanning leave Python's lock to others; with a small file, starting a thread would cost more than the file.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from orchestration_project.errors import FileChanged, FileRefused

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGE_BYTES = 1 << 20


def attempts(
    work: Callable[[Item], Result], items: Sequence[Item], size: Callable[[Item], int]
) -> Iterator[tuple[Item, Result | FileRefused | FileChanged]]:
    """Do some work with each file.

    Args:
        work: what to do; it must bear to be called by several threads at a time.
        items: what stands for the files.
        size: tells how many bytes one has.

    Yields:
        Each item, in order, with the work's result, or with what is wrong with the file.
    """

    def attempt(item: Item) -> Result | FileRefused | FileChanged:
        try:
            return work(item)
        except (FileRefused, FileChanged) as fault:
            return fault

    large = [index for index, item in enumerate(items) if size(item) >= LARGE_BYTES]
    if len(large) < 2:
        yield from ((item, attempt(item)) for item in items)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = {index: pool.submit(attempt, items[index]) for index in large}
        try:
            for index, item in enumerate(items):
                yield item, begun[index].result() if index in begun else attempt(item)
        finally:
            pool.shutdown(cancel_futures=True)

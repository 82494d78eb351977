"""Which runs are under way: each holds a lock that all of them may hold, for as long as its process lives.

What several steps of a run write is only whole at its end. So nothing is published while another run is under way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows has no such locks: runs don't wait for each other there
    fcntl = None  # type: ignore[assignment]

NAME = ".runs"


def opened(folder: Path) -> BinaryIO:
    """Note that a run has begun; it has ended when the result is closed, or its process is gone.

    It waits for a moment while somebody reads the warehouse for publishing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / NAME).open("ab")
    # The kernel gives it free when the process dies, however it dies: no note of a killed run is ever left.
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_SH)
    return file


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether no run is under way; if so, none begins before the end of the block."""
    with (folder / NAME).open("ab") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True

"""File systems apart from each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

PLACES = ("/dev/shm", "/tmp", str(Path.home()))  # noqa: S108 - whichever is on another file system


@contextmanager
def another_disk(folder: Path) -> Iterator[Path]:
    """A folder on another file system than an existing one."""
    for place in PLACES:
        if Path(place).is_dir() and Path(place).stat().st_dev != folder.stat().st_dev:
            with TemporaryDirectory(dir=place) as found:
                yield Path(found)
                return
    pytest.skip("this machine has one file system only")

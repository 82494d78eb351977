"""Readers with other programs than DuckDB alone, and readers who may not write to the folder."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.publishing.copies import HEAD, held, published, reader, shown
from orchestration_project_tests.reliability.deliverers import ended, started

NOBODY = 65534
EXPECTED = pd.DataFrame({"id": ["a", "b"], "n": pd.Series([1, 2], dtype="int32")})


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A copy of two days in a folder that others may enter, which the tests' own ones are not."""
    with tempfile.TemporaryDirectory(prefix="shop_") as made:
        Path(made).chmod(0o755)
        shop = Shop(Path(made))
        shop.deliver(named(1), f"{HEAD}a,1\n")
        shop.deliver(named(2), f"{HEAD}b,2\n")
        shop.load()
        published(shop)
        yield shop


def frame(shop: Shop) -> pd.DataFrame:
    """What pandas gets of a table."""
    with reader(shop.settings) as copy:
        return copy.sql("SELECT id, n FROM cleaned_f ORDER BY id").df()


def test_pandas(shop: Shop) -> None:
    """A table of the copy is a DataFrame, with the types of the contract."""
    pd.testing.assert_frame_equal(frame(shop), EXPECTED)


class Stranger:
    """Reads the copy as somebody who may not write to it; a class, so that another process can be given it."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def __call__(self) -> None:
        """Read, after all rights were given up."""
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        with pytest.raises(PermissionError):
            (self.shop.settings.published / "x").touch()
        pd.testing.assert_frame_equal(frame(self.shop), EXPECTED)


def test_a_folder_that_may_only_be_read(shop: Shop) -> None:
    """Whoever has no right to write reads all of it, and leaves nothing; the platform goes on publishing."""
    folder = shop.settings.published
    before = sorted(folder.rglob("*"))
    folder.chmod(0o555)
    assert ended(started(Stranger(shop))) == 0
    assert sorted(folder.rglob("*")) == before
    folder.chmod(0o755)
    shop.deliver(named(3), f"{HEAD}c,3\n")
    shop.load()
    published(shop)
    assert shown(shop.settings) == held(shop.settings)

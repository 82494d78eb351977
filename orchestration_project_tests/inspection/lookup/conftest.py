"""The desk that the tests of `find` and `where` sit at."""

from pathlib import Path

import pytest

from orchestration_project_tests.inspection.lookup.desk import Desk, feed, new_desk


@pytest.fixture
def desk(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A project of one feed, `orders`."""
    return new_desk(tmp_path, data_dir, monkeypatch).add(orders=feed("orders"))

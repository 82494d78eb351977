"""A shop that was filled once, copied for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration_project.failpoints import listen
from orchestration_project_tests.backup.saved import Saved, filled


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the shop."""
    return filled(tmp_path_factory.mktemp("saved")).folder


@pytest.fixture
def saved(model: Path, tmp_path: Path) -> Saved:
    """A copy of the shop, which nobody has backed up yet."""
    return Saved(shutil.copytree(model, tmp_path / "machine"))


@pytest.fixture(autouse=True)
def _nobody_listens() -> Iterator[None]:
    """What a test had done at a step ends with it."""
    yield
    listen(None)

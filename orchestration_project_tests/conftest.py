"""Fixtures that tests of every part of the package use."""

import os
from pathlib import Path

import pytest

SETTINGS = ("DATA_DIR", "AUTOMATION", "DAGSTER_HOME")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or touches the data and the history of whoever runs the tests."""
    for name in list(os.environ):  # noqa: TID251 - the environment itself is what is prepared here
        if name in SETTINGS or name.startswith("WAREHOUSE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DATA_DIR, set in the environment."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("DATA_DIR", str(folder))
    return folder

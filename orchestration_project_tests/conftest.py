"""Fixtures that tests of every part of the package use."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration_project_tests.reliability.evidence import PROMISES, taken_figures, tally
from orchestration_project_tests.servers.warehouses import place

pytest_plugins = [
    "orchestration_project_tests.reliability.report",
    "orchestration_project_tests.servers.postgres",
    "orchestration_project_tests.servers.s3",
    # After s3, which it imports: pytest rewrites the assertions of a plugin that is not imported yet.
    "orchestration_project_tests.servers.mail",
    "orchestration_project_tests.servers.sftp",
    # After postgres and s3, for the same reason.
    "orchestration_project_tests.servers.lakes",
    "orchestration_project_tests.servers.access",
]

SETTINGS = (
    "DATA_DIR",
    "LANDING_URL",
    "ARCHIVE_URL",
    "MAX_FILE_BYTES",
    "AUTOMATION",
    "DAGSTER_HOME",
    "ALERT_URLS",
    "HEARTBEAT_URL",
    "DAILY_SUMMARY",
    "BACKUP_URL",
    "BACKUP_KEY",
    "DELIVERY_HASH_KEY",
)


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> Iterator[None]:
    """No test, and no fixture of several tests, sees or touches the data and the history of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):  # noqa: TID251 - the environment itself is what is prepared here
            if name in SETTINGS or name.startswith(("WAREHOUSE_", "PUBLISHED_")):
                patch.delenv(name)
        # A tenth of a second at the end of each of a thousand runs; tests that are about it switch it on.
        patch.setenv("PUBLISH", "no")
        yield


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs publish at their end, as they do outside of tests."""
    monkeypatch.delenv("PUBLISH")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DATA_DIR, set in the environment."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("DATA_DIR", str(folder))
    for name, value in zip(("WAREHOUSE_URL", "WAREHOUSE_DATA"), place(folder), strict=True):
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture(autouse=True)
def _no_sender_left() -> Iterator[None]:
    """A process that a test started to send alerts ends before the next test."""
    yield
    if sender := sys.modules.get("orchestration_project.alerts.sender"):
        for process in sender._started:
            process.wait(60)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note for the reliability report what a test of a promise holds, how many cases it tried, what it measured."""
    before = tally()
    assert item.get_closest_marker("promise") or not item.get_closest_marker("found"), "no promise lists its defect"
    taken_figures()
    try:
        yield
    finally:
        if promise := item.get_closest_marker("promise"):
            assert promise.args[0] in PROMISES
            item.user_properties.append(("promise", promise.args[0]))
            item.user_properties.append(("cases", max(1, tally() - before)))
            item.user_properties.extend(("measured", sentence) for sentence in taken_figures())
            item.user_properties.extend(("found", mark.args[0]) for mark in item.iter_markers("found"))

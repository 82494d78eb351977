"""A small feed that has a bit of everything, and the project's own code location."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration_project.alerts import sender
from orchestration_project_tests.components.alarming import Alarming, alarming_shop
from orchestration_project_tests.components.watch import Watch, spec_of
from orchestration_project_tests.components.workbench import Workbench, project


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """The project's code location with no data yet."""
    bench = Workbench(project(), tmp_path / "data")
    with bench.instance:
        yield bench


@pytest.fixture
def watch(bench: Workbench) -> Watch:
    return Watch(bench, spec_of("sales"))


@pytest.fixture
def alarming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Alarming]:
    """The shop with somebody who is told. The process that sends is not started: the outbox is what is looked at."""
    monkeypatch.setattr(sender, "start", lambda _: None)
    with alarming_shop(tmp_path) as shop:
        yield shop

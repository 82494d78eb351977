"""A small feed that has a bit of everything, and the project's own code location."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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

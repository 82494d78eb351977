"""What is done with many files, some of them at a time."""

import threading

import pytest

from orchestration_project.errors import FileChanged, FileRefused
from orchestration_project.storage.attempts import LARGE_BYTES, attempts


@pytest.mark.parametrize("size", [pytest.param(0, id="small"), pytest.param(LARGE_BYTES, id="large")])
def test_results_and_faults_come_in_order(size: int) -> None:
    """Each item comes with its result or with what is wrong with its file, in the order of the items."""
    faults = {3: FileRefused("rule", "three"), 5: FileChanged("five", "vanished")}

    def work(item: int) -> int:
        if item in faults:
            raise faults[item]
        return -item

    found = list(attempts(work, range(20), lambda item: size * (item % 2)))
    assert found == [(item, faults.get(item, -item)) for item in range(20)]


@pytest.mark.parametrize("size", [pytest.param(0, id="small"), pytest.param(LARGE_BYTES, id="large")])
def test_other_errors_are_raised(size: int) -> None:
    """An error that says nothing about a file ends it all."""

    def work(item: int) -> int:
        raise ZeroDivisionError(item)

    with pytest.raises(ZeroDivisionError):
        list(attempts(work, range(4), lambda _: size))


def test_large_files_are_worked_on_at_the_same_time() -> None:
    """Two large files are begun before either of them is done."""
    both = threading.Barrier(2, timeout=30)
    assert [item for item, _ in attempts(lambda _: both.wait(), [0, 1], lambda _: LARGE_BYTES)] == [0, 1]

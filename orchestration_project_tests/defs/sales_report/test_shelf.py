"""Where reports are kept."""

import datetime as dt
from pathlib import Path

import pytest

from orchestration_project.defs.sales_report.shelf import put

DAY, NEXT = dt.date(2024, 1, 15), dt.date(2024, 1, 16)


def kept(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_the_newest_is_the_index_and_days_keep_their_last_one(tmp_path: Path) -> None:
    """A report replaces that of its day and the index; those of other days stay."""
    for page, day in (("one", DAY), ("one, better", DAY), ("twö", NEXT)):
        assert put(tmp_path / "reports", page, day) == tmp_path / "reports" / "index.html"
    assert kept(tmp_path / "reports") == {
        "index.html": "twö",
        "sales_report_2024-01-15.html": "one, better",
        "sales_report_2024-01-16.html": "twö",
    }


def test_without_sales_there_is_no_dated_copy(tmp_path: Path) -> None:
    """A report that tells of no day has no day to be kept under."""
    put(tmp_path, "empty", None)
    assert kept(tmp_path) == {"index.html": "empty"}


def test_a_write_that_fails_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody ever sees half a report: what can't be written leaves the old one, and nothing else, behind."""
    put(tmp_path, "old", None)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestration_project.storage.archive.os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        put(tmp_path, "new", None)
    assert kept(tmp_path) == {"index.html": "old"}

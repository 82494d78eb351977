"""`python -m benchmarks drafting`, on a corpus of one set and a sample that is not large."""

from pathlib import Path

import pytest

from benchmarks.drafting.corpus import SETS
from benchmarks.drafting.score import write_samples
from benchmarks.drafting.speed import LARGE, Large
from benchmarks.parts import drafting
from benchmarks.session import Session


def test_each_set_has_a_row_and_large_samples_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has edits by kind, their sum, and what drafting of large samples takes."""
    few = SETS["few_records"]
    monkeypatch.setattr(drafting, "SETS", {few.name: few})
    monkeypatch.setattr(drafting, "SHARED", ())
    large = Large("not large", lambda folder: write_samples(few, folder)[0], 3, 600)
    monkeypatch.setattr(drafting, "LARGE", {"large": large})
    section = drafting.measure(Session(tmp_path))
    assert [row[:2] for row in section.rows] == [["few_records", "3"], ["all", "3"], ["not large", "3"]]
    assert {len(row) for row in section.rows} == {len(section.columns)}
    assert [target.met for target in section.targets] == [True]
    assert not section.failures


def test_large_samples_are_large(tmp_path: Path) -> None:
    """The wide one has 700 columns and 1,000 records."""
    lines = LARGE["wide"].write(tmp_path).read_text(encoding="utf-8").splitlines()
    assert (len(lines), {line.count(",") for line in lines}) == (1001, {699})

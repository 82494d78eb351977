"""Which batches share a file: the newest two months by day, the rest by month."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.publishing.plan import Contents, is_dated, parts_of

COLUMNS = {"n": "INTEGER", "_batch_date": "DATE"}
DAYS = st.dates()


def keys(*batches: str | None) -> list[str]:
    """The keys of the parts of a table with these batches."""
    return [part.key for part in parts_of("main", "t", COLUMNS, dict.fromkeys(batches, 1))]


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        pytest.param([], ["empty"], id="no rows"),
        pytest.param(["all"], ["all"], id="no batches"),
        pytest.param([None, "2024-03-01"], ["undated", "2024-03-01"], id="rows without a batch"),
        pytest.param(["2024-01-30", "2024-01-31", "2024-02-29", "2024-03-01"], ["2024-01", "2024-02-29", "2024-03-01"]),
        pytest.param(["2023-12-01", "2024-01-01"], ["2023-12-01", "2024-01-01"], id="over a new year"),
        pytest.param(["2024-03-01 10:00:00", "2024-03-01 11:00:00"], ["2024-03-01"], id="hours of a day"),
    ],
)
def test_parts(batches: list[str | None], expected: list[str]) -> None:
    """A day of the newest month or of the one before is a part; of months before, all days are one."""
    assert keys(*batches) == expected


@given(st.sets(DAYS, min_size=1))
def test_each_batch_is_in_one_part(days: set[dt.date]) -> None:
    """The spans of the parts hold each batch once."""
    parts = parts_of("main", "t", COLUMNS, {str(day): 1 for day in days})
    assert all(sum(str(day).startswith(part.key) for part in parts) == 1 for day in days)
    assert {(part.unit, str(part.first)) for part in parts} == {
        ("DAY", part.key) if len(part.key) == 10 else ("MONTH", f"{part.key}-01") for part in parts
    }


def changed(before: Contents, after: Contents) -> set[str]:
    """The keys of the parts whose file is a new one."""
    files = {part.file for part in parts_of("main", "t", COLUMNS, before)}
    return {part.key for part in parts_of("main", "t", COLUMNS, after) if part.file not in files}


def test_a_changed_batch_changes_its_part_alone() -> None:
    """A file's name stands for what is in it: other rows, other columns, another table give another name."""
    before: Contents = {"2024-01-30": 1, "2024-01-31": 2, "2024-03-01": 3, "2024-03-02": 4}
    assert changed(before, dict(before)) == set()
    assert changed(before, {**before, "2024-03-02": 5}) == {"2024-03-02"}
    assert changed(before, {**before, "2024-01-30": 5}) == {"2024-01"}
    assert changed(before, {**before, "2024-01-30": 2, "2024-01-31": 1}) == {"2024-01"}
    assert changed(before, {**before, "2024-04-01": 1}) == {"2024-04-01"}
    (one,), (other,) = (parts_of("main", "t", columns, {"all": 1}) for columns in ({"n": "INTEGER"}, {"n": "BIGINT"}))
    assert one.file != other.file


def test_a_thousand_days_are_few_files() -> None:
    """After years there is a file a month, and at most 62 for days."""
    days = [str(dt.date(2022, 1, 1) + dt.timedelta(days=number)) for number in range(1000)]
    assert len(keys(*days)) < 32 + 62


def test_a_name_is_a_path() -> None:
    """Whatever a table is called, its files are two folders deep, and no pattern."""
    (part,) = parts_of("a/b", "../x*", COLUMNS, {"all": 1})
    assert part.file.startswith("a%2Fb/..%2Fx%2A/all-")


def test_what_no_calendar_has_is_no_batch() -> None:
    """Times without end, and years that have five digits, are told apart from days."""
    assert is_dated({"2024-01-01": 1, "2024-01-01 10:00:00": 1, None: 1})
    assert not is_dated({"infinity": 1})
    assert not is_dated({"12024-01-01": 1})
    assert not is_dated({"0044-03-15 (BC)": 1})

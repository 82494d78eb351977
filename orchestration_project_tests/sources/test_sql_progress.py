"""Increments: however rows are committed, each of them counts as new once."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.errors import SourceError
from orchestration_project.sources import sql_progress
from orchestration_project.sources.sql_progress import Progress, Window, since

NOW = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)


def asked(progress: Progress, table: list[tuple[str, str]], start: str, overlap: int) -> tuple[list[str], Progress]:
    """One fetch of a table of increments and rows; returns its new rows and how far it came."""
    begin = since(progress, start, overlap)
    window = Window("at", progress, begin, overlap, NOW)
    new = [row for value, row in table if int(value) >= int(begin) and window.is_new(value, row)]
    return new, Progress.of(window.after(bool(new)).cursor())


@given(st.lists(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2)))), st.integers(0, 5))
def test_each_row_once(arrivals: list[list[tuple[int, int]]], overlap: int) -> None:
    """Rows that are committed no later than the overlap come once each, equal ones as often as they are there."""
    table: list[tuple[str, str]] = []
    seen: list[str] = []
    progress, expected, largest = Progress(), 0, 0
    for commits in arrivals:
        # A row that is later than the overlap is outside of the promise.
        table += [(str(n), f"{n}.{other}") for n, other in commits if n >= largest - overlap]
        new, progress = asked(progress, table, "0", overlap)
        seen += new
        expected = len(table)
        largest = max([largest, *(int(value) for value, _ in table)])
    assert sorted(seen) == sorted(row for _, row in table)
    assert len(seen) == expected


@pytest.mark.parametrize(
    ("start", "values", "overlap", "expected"),
    [
        pytest.param("0", ["7", "12"], 5, "7", id="numbers"),
        pytest.param("2024-01-01", ["2024-01-05", "2024-01-03"], 2, "2024-01-03", id="dates"),
        pytest.param("2024-01-01", ["2024-01-01 00:10:00.5+00"], 600, "2024-01-01 00:00:00+00:00", id="instants"),
        pytest.param("2024-01-01", ["2024-01-01 00:10:00.5"], 600, "2024-01-01 00:00:00", id="without zone"),
        pytest.param("2024-01-01", ["2024-01-01T00:10:00Z"], 60, "2024-01-01T00:09:00", id="with T and Z"),
        pytest.param("2024-01-01", ["2024-01-01 00:10"], 60, "2024-01-01 00:09", id="minutes"),
        pytest.param("2024-01-01", ["2099-01-01 00:00:00+00"], 0, "2024-03-01 12:00:00+00:00", id="future"),
        pytest.param("2024-01-01", ["2099-01-01"], 1, "2024-02-29", id="future date"),
    ],
)
def test_where_the_next_begins(start: str, values: list[str], overlap: int, expected: str) -> None:
    """The next fetch begins before the largest value, in the form of the values, and never after the present."""
    window = Window("at", Progress(), start, overlap, NOW)
    for value in values:
        window.is_new(value, value)
    assert since(window.after(landed=True), start, overlap) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(None, "has no at", id="none"),
        pytest.param("2023-12-31 23:59:59+00", "before :since", id="too early"),
        pytest.param("2024-01-01 00:00:00+02:00", "another form", id="another zone"),
        pytest.param("17", "another form", id="a number among moments"),
        pytest.param("yesterday", "another form", id="a word"),
    ],
)
def test_values_that_are_no_increment(value: Any, message: str) -> None:
    """A row of which can't be told whether it is new is refused, not passed over."""
    window = Window("at", Progress(), "2024-01-01", 0, NOW)
    with pytest.raises(SourceError, match=message):
        window.is_new(value, "row")


def test_a_start_that_is_none() -> None:
    """A start has to be a value of an increment."""
    with pytest.raises(SourceError, match="no whole number"):
        since(Progress(), "soon", 0)


def test_too_many_rows_to_remember(monkeypatch: pytest.MonkeyPatch) -> None:
    """An overlap with more rows than can be remembered is refused, with what to do."""
    monkeypatch.setattr(sql_progress, "MOST_REMEMBERED", 10)
    window = Window("at", Progress(), "0", 5, NOW)
    for number in range(10):
        window.is_new("3", str(number))
    with pytest.raises(SourceError, match="make `overlap` smaller"):
        window.is_new("4", "one more") and window.after(landed=True)
    window = Window("at", Progress(), "0", 5, NOW)
    assert all(window.is_new(str(number), "row") for number in range(100))
    assert len(window.after(landed=True).counted()) == 1

"""`batch_column`: which contracts and attributes allow it, and what is said of the others."""

import datetime as dt
from typing import Any

import pytest

from orchestration_project.contracts.division import Division, attribute_problem, division_of, division_problem
from orchestration_project.contracts.ignored_rules import ControlTotal, IgnoredWhere
from orchestration_project.contracts.outside import FillDown, ValueFrom
from orchestration_project_tests.ingest.shop import column, feed

START = dt.date(2024, 1, 1)
TOTALS = IgnoredWhere("totals", "id = 'Total'", ("id",), (ControlTotal("n"),))


def test_a_feed_without_the_attribute_is_not_divided() -> None:
    """No column, no division, and nothing to be said against it."""
    assert division_of(None, "hourly", START, "UTC") is None
    assert division_problem(feed(), None) is None
    assert attribute_problem(None, snapshot=True, cadence="yearly", pattern="x") is None


@pytest.mark.parametrize(("cadence", "unit"), [("daily", "day"), ("weekly", "week"), ("monthly", "month")])
def test_the_unit_is_that_of_the_cadence(cadence: str, unit: str) -> None:
    """Days, weeks and months can be told by a column."""
    assert division_of("day", cadence, START, "UTC") == Division("day", unit, START, "UTC")
    assert attribute_problem("day", snapshot=False, cadence=cadence, pattern=None) is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param({}, "", id="date"),
        pytest.param({"sql_type": "TIMESTAMPTZ"}, "", id="moment"),
        pytest.param({"sql_type": "INTEGER"}, "is no date or timestamp", id="number"),
        pytest.param({"expression": '"id"::DATE', "uses": ("id",)}, "is no date or timestamp", id="computed"),
        pytest.param({"value_from": ValueFrom("constant", "2024-01-01")}, "is no date or timestamp", id="given"),
        pytest.param({"fill_down": FillDown()}, "does not fit fillDown", id="filled down"),
    ],
)
def test_the_column_is_a_day_of_the_records(fields: dict[str, Any], told: str) -> None:
    """A date or timestamp that each record has by itself."""
    found = division_problem(feed(column("id"), column("day", fields.pop("sql_type", "DATE"), **fields)), "day")
    assert (told in (found or "")) if told else found is None


def test_totals_of_files_do_not_fit() -> None:
    """A control total is the sum of the records of a file, and these are in several batches."""
    found = division_problem(feed(column("id"), column("day", "DATE"), ignored=(TOTALS,)), "day")
    assert found is not None
    assert "control total" in found

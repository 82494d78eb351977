"""Service levels and owners."""

import datetime as dt
from typing import Any

import dagster as dg
import pytest

from orchestration_project_tests.contracts.conftest import Load, Problems, contract


def level(name: str, value: Any, unit: str | None = None) -> dict[str, Any]:
    return {"property": name, "value": value, **({"unit": unit} if unit else {})}


@pytest.mark.parametrize(
    ("value", "unit", "duration"),
    [
        pytest.param(1, "d", dt.timedelta(days=1), id="d"),
        pytest.param(2, "Days", dt.timedelta(days=2), id="days"),
        pytest.param("36", "h", dt.timedelta(hours=36), id="number as text"),
        pytest.param(0.5, "hour", dt.timedelta(minutes=30), id="half"),
        pytest.param(15, "m", dt.timedelta(minutes=15), id="minutes"),
        pytest.param(1, "w", dt.timedelta(weeks=1), id="week"),
        pytest.param(1, "month", dt.timedelta(days=31), id="the longest month"),
        pytest.param(1, "y", dt.timedelta(days=366), id="the longest year"),
    ],
)
def test_latency(value: Any, unit: str, duration: dt.timedelta, load: Load) -> None:
    feed = load(contract(slaProperties=[level("latency", value, unit), level("frequency", value, unit)]))
    assert (feed.latency, feed.frequency) == (duration, duration)


def test_other_service_levels_are_documentation(load: Load) -> None:
    """Retention and the like say nothing about freshness."""
    feed = load(contract(slaProperties=[level("retention", 3, "y"), level("timeOfAvailability", "09:00-08:00")]))
    assert (feed.latency, feed.frequency) == (None, None)


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        pytest.param([level("latency", 1)], "slaProperties[0].unit: found nothing; allowed: s, sec", id="no unit"),
        pytest.param([level("latency", 1, "fortnight")], "unit: found 'fortnight'", id="unknown unit"),
        pytest.param([level("latency", "soon", "d")], "value: found 'soon'; allowed: a number more than 0", id="text"),
        pytest.param([level("latency", 0, "d")], "more than 0", id="zero"),
        pytest.param([level("latency", True, "d")], "more than 0", id="boolean"),
        pytest.param([level("latency", 1e200, "d")], "more than 0", id="too long"),
        pytest.param([level("latency", "NaN", "d")], "more than 0", id="no number"),
        pytest.param([level("latncy", 1, "d")], "'latncy' is not known; did you mean 'latency'?", id="typing error"),
        pytest.param([level("latency", 1, "d"), level("latency", 2, "d")], "given twice", id="twice"),
    ],
)
def test_refused(levels: list[dict[str, Any]], told: str, problems: Problems) -> None:
    found = problems(contract(slaProperties=levels))
    assert any(told in problem for problem in found), found


MEMBERS = [{"username": "a@b.de"}, {"username": "ceastwood"}, {"username": "x@y.com", "dateOut": "2020-01-01"}]


@pytest.mark.parametrize(
    ("team", "owners"),
    [
        pytest.param(MEMBERS, ("a@b.de",), id="list of version 3.0"),
        pytest.param({"name": "Sales & Data", "members": MEMBERS}, ("team:sales_data", "a@b.de"), id="team"),
        pytest.param({"name": "sales_data"}, ("team:sales_data",), id="team without members"),
        pytest.param({"description": "x"}, (), id="nobody"),
    ],
)
def test_owners(team: Any, owners: tuple[str, ...], load: Load) -> None:
    assert load(contract(team=team)).owners == owners
    dg.AssetSpec("x", owners=owners)

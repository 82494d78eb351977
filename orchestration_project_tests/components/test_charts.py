"""Charts as pictures."""

import base64
import datetime as dt
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.components.charts import (
    HEIGHT,
    MAX_BUCKETS,
    MOST_STEPS,
    TOP,
    Bar,
    Quality,
    Unit,
    floor,
    nice_ticks,
    percent,
    reject_share,
    starts,
    time_bars,
    total,
    unit_for,
    whole,
)

DAY = dt.date(2024, 1, 15)
SVG = "{http://www.w3.org/2000/svg}"
LARGEST_IMAGE = 20_000


def days(*heights: float | None) -> list[Bar]:
    return [Bar(DAY + dt.timedelta(days=index), height, f"tip {index}") for index, height in enumerate(heights)]


def drawn(*heights: float | None) -> list[dict[str, float]]:
    """The bars of a chart that can be seen."""
    chart = ET.fromstring(time_bars("Title", days(*heights)).svg)  # noqa: S314 - our own
    bars = [item for item in chart.iter(f"{SVG}rect") if item.get("class") == "bar"]
    return [{name: float(bar.get(name, "nan")) for name in ("x", "y", "width", "height")} for bar in bars]


def test_heights_are_in_proportion() -> None:
    """A bar twice as high stands for twice as much; nothing and the unknown have none."""
    low, high = drawn(2, 4, 0, None)
    assert high["height"] == pytest.approx(2 * low["height"], abs=0.02)
    assert high["width"] == low["width"]
    assert high["y"] == TOP


def test_values_below_zero_hang_from_the_line() -> None:
    """Returns that outweigh sales go down from where sales go up."""
    up, down = drawn(4, -4)
    assert up["y"] + up["height"] == pytest.approx(down["y"])


@settings(deadline=None)
@given(st.lists(st.none() | st.integers(-(10**12), 10**12), min_size=1, max_size=120))
def test_bars_stay_in_the_picture(heights: list[int | None]) -> None:
    """Whatever the numbers are, no bar leaves the picture."""
    for bar in drawn(*heights):
        assert bar["x"] >= 0
        assert bar["y"] >= TOP - 0.01
        assert bar["y"] + bar["height"] <= HEIGHT


@settings(deadline=None)
@given(st.integers(-(10**17), 0), st.integers(0, 10**17))
def test_ticks(cents_below: int, cents_above: int) -> None:
    """Ticks enclose the values, zero is one of them, and they are few."""
    low, high = cents_below / 100, cents_above / 100
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low * (1 - 1e-9)
    assert ticks[-1] >= high * (1 - 1e-9)
    assert 0 in ticks
    assert 2 <= len(ticks) <= MOST_STEPS + 3


def test_what_a_chart_shows_is_told() -> None:
    """Those who do not see a chart read its title, its span, its lowest and its highest bar."""
    values = [(DAY, Decimal("1234.50")), (DAY + dt.timedelta(days=1), None)]
    values.append((DAY + dt.timedelta(days=2), Decimal("-0.10")))
    told = "Revenue per day, 2024-01-15 to 2024-01-17; lowest 2024-01-17: -0.10; highest 2024-01-15: 1,234.50"
    chart = total("Revenue", values, "day")
    assert chart.alt == told
    assert ET.fromstring(chart.svg).get("aria-label") == told  # noqa: S314 - our own
    assert "2024-01-16: no batch" in chart.svg


def test_a_chart_of_nothing() -> None:
    """A chart in which nothing is known says so."""
    assert time_bars("Units", days(None, None)).alt == "Units: nothing is known"


def test_image() -> None:
    """As Markdown a chart is an image that carries its own colours and is small enough for an event."""
    chart = reject_share([Quality(DAY + dt.timedelta(days=day), 90, day) for day in range(60)], "day")
    assert len(chart.markdown) < LARGEST_IMAGE
    alt, _, uri = chart.markdown.partition("](data:image/svg+xml;base64,")
    image = base64.b64decode(uri.removesuffix(")")).decode()
    assert alt.startswith("![Share of rejected records per day")
    assert ET.fromstring(image).get("width") == "480"  # noqa: S314 - our own
    assert "<style>" in image
    assert "<style>" not in chart.svg


def test_markup_is_text() -> None:
    """A title that looks like markup stays a title."""
    chart = time_bars('<script>"', [Bar(DAY, 1, "</title><script>")])
    assert "<script" not in chart.svg


FIRST = dt.date(2024, 1, 15)


@pytest.mark.parametrize(
    ("days", "unit"),
    [
        pytest.param(1, Unit.DAY, id="one day"),
        pytest.param(100, Unit.DAY, id="as many days as fit"),
        pytest.param(101, Unit.WEEK, id="one day more"),
        pytest.param(1000, Unit.MONTH, id="years of days"),
        pytest.param(10000, Unit.YEAR, id="decades"),
    ],
)
def test_unit(days: int, unit: Unit) -> None:
    """The longer the span, the longer the stretches."""
    assert unit_for(FIRST, FIRST + dt.timedelta(days=days - 1)) is unit


@settings(deadline=None)
@given(st.dates(dt.date(1990, 1, 1), dt.date(2060, 1, 1)), st.integers(0, 20000))
def test_stretches_cover_the_span_without_holes(first: dt.date, days: int) -> None:
    """Each day of a span falls into one of the stretches, which follow each other and are not too many."""
    last = first + dt.timedelta(days=days)
    unit = unit_for(first, last)
    found = list(starts(unit, first, last))
    assert found == sorted(set(found))
    assert found[0] == floor(unit, first) <= first
    assert found[-1] == floor(unit, last) <= last
    assert len(found) <= MAX_BUCKETS
    assert {floor(unit, day) for day in (first, last, first + (last - first) / 2)} <= set(found)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(whole(1234567), "1,234,567", id="count"),
        pytest.param(percent(0.0123), "1.2%", id="share"),
        pytest.param(percent(0.00001), "<0.1%", id="a little is not nothing"),
        pytest.param(percent(0.0), "0.0%", id="nothing"),
        pytest.param(whole(None), "-", id="count that is not known"),
        pytest.param(percent(None), "-", id="share that is not known"),
    ],
)
def test_numbers(found: str, expected: str) -> None:
    """Each kind of number has one form; nothing known is a dash."""
    assert found == expected

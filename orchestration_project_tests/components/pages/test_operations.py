"""The operations page: what is on it, whatever names are in it."""

import re
from dataclasses import replace

import pytest

from orchestration_project.components.pages.operations import heat_map, render_operations, size_chart
from orchestration_project.health.deliveries import Delivery, State
from orchestration_project.health.operations import Operations, runs_of_days
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.components.pages.html import HOSTILE, Page
from orchestration_project_tests.components.pages.operations import operations
from orchestration_project_tests.health.runs import NOW

EMPTY = Operations(NOW, {}, {}, {}, {}, {}, runs_of_days([], NOW), [], {}, None)


def test_the_page_says_how_everything_does() -> None:
    """Runs, deliveries, arrivals, sizes, disks and alarms are on it, with their figures."""
    text = Page(render_operations(operations())).text
    assert "Measured 2026-03-18 12:30 UTC" in text
    for told in (
        "Orders: no file came",
        "ask Orders",
        "22.9 s",
        "9 batches to look at",
        "2 min 20 s",
        "21:58",
        "4.1 GB",
        "24.0 MB",
        "5,231",
        "42.0%",
    ):
        assert told in text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_outside_are_text(name: str) -> None:
    """Whatever a job, a feed or an alarm is called, the page has the same elements."""
    tags = [tag for tag, _ in Page(render_operations(operations(name))).tags]
    assert tags == [tag for tag, _ in Page(render_operations(operations())).tags]


@pytest.mark.parametrize(
    "shown", [pytest.param(operations(), id="everything"), pytest.param(EMPTY, id="nothing measured yet")]
)
def test_the_page_needs_nothing_but_itself(shown: Operations) -> None:
    """It runs no script, loads nothing, and its links and labels lead to what is on it."""
    html = render_operations(shown)
    page = Page(html)
    (policy,) = [item["content"] or "" for item in page.named("meta") if "http-equiv" in item]
    assert policy.startswith("default-src 'none';")
    assert "script-src 'none'" in policy
    assert not page.named("script", "link", "img", "iframe", "object", "embed")
    assert [url for url in re.findall(r"https?://[^\"'\s<]*", html) if url != "http://www.w3.org/2000/svg"] == []
    ids = [item["id"] for _, item in page.tags if "id" in item]
    assert len(ids) == len(set(ids))
    targets = {(item["href"] or "").removeprefix("#") for item in page.named("a")}
    targets |= {item["aria-labelledby"] or "" for item in page.named("section")}
    assert targets <= set(ids)


def test_alarms_are_shown_where_there_are_some() -> None:
    """Without anything that looks after alarms there is no word of them; with it, none being on is told."""
    assert "larm" not in Page(render_operations(operations(alarms=False))).text
    assert "None is." in Page(render_operations(replace(operations(), alarms=[]))).text


def test_the_same_figures_give_the_same_page() -> None:
    """The page is a function of what it tells."""
    assert render_operations(operations()) == render_operations(operations())


@pytest.mark.parametrize(
    ("cadence", "count", "size"),
    [
        pytest.param(Cadence.HOURLY, 30, (24, 2), id="a row a day, a column an hour"),
        pytest.param(Cadence.DAILY, 15, (3, 7), id="a column a week, a row a weekday"),
        pytest.param(Cadence.WEEKLY, 5, (5, 1), id="weeks in one row"),
        pytest.param(Cadence.MONTHLY, 5, (5, 1), id="months in one row"),
    ],
)
def test_a_heat_map_has_a_cell_for_each_batch(cadence: Cadence, count: int, size: tuple[int, int]) -> None:
    """Cells stand where their batch belongs, and each says what became of it."""
    chart = heat_map(batches(cadence, count), cadence)
    rects = re.findall(r'<rect x="(\d+)" y="(\d+)"', chart.svg)
    assert len(rects) == len(set(rects)) == count
    assert tuple(len({rect[axis] for rect in rects}) for axis in (0, 1)) == size
    assert chart.svg.count("</title>") == count
    assert f"1 missing, {count - 1} not expected" in chart.alt
    assert chart.svg.count(">M</text>") == 1


def batches(cadence: Cadence, count: int) -> list[Delivery]:
    """So many batches from Monday 2026-03-02 (or the first of the month) on, the last of them missing."""
    batching = Batching(cadence, NOW.date())
    batch = batching.floor(NOW.replace(day=2, hour=0, tzinfo=None))
    found = []
    for number in range(count):
        state = State.MISSING if number == count - 1 else State.NOT_EXPECTED
        found.append(Delivery(batch, batching.key(batch), state))
        batch = batching.after(batch)
    return found


def test_sizes_are_drawn_in_a_unit_that_fits() -> None:
    """The axis is in the unit of the largest size, a day that was not measured is told as one."""
    chart = size_chart("archive", operations().sizes["archive"])
    assert chart.title == "Size of the archive in GB, per day"
    assert "2026-03-13: not measured" in chart.svg
    assert "2026-03-18: 1.9 GB" in chart.svg

"""The sales report as its readers open it: a file, on a desktop or a phone, in light or dark."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from orchestration_project_tests.browser.axe import serious_faults
from orchestration_project_tests.browser.chromium import DESKTOP, SCREENS, Visit, visit
from orchestration_project_tests.browser.screenshots import photograph
from orchestration_project_tests.reliability.deployment import Deployment

pytestmark = pytest.mark.xdist_group("browser")

LARGEST = 3_000_000
"""Bytes; a larger file takes a phone too long to open."""


@pytest.fixture
def report(deployment: Deployment) -> Path:
    """The report that the runs of the sample have made."""
    return deployment.settings.data_dir / "reports" / "index.html"


@pytest.fixture(params=SCREENS)
def visited(request: pytest.FixtureRequest, browser: Browser, report: Path, tmp_path: Path) -> Iterator[Visit]:
    """The report on a screen."""
    size: Mapping[str, int]
    size, dark = request.param
    with visit(browser, size, dark) as visited:
        visited.page.goto(report.as_uri())
        yield visited


def test_the_report_needs_nothing_but_itself(visited: Visit, report: Path) -> None:
    """It opens without an error, asks for no other file and for no network, and is small."""
    visited.page.get_by_role("heading").first.wait_for()
    assert visited.errors == []
    assert visited.asked_for == [report.as_uri()]
    assert report.stat().st_size < LARGEST


def test_the_report_fits_the_screen(visited: Visit) -> None:
    """Nobody has to scroll sideways to read it."""
    assert visited.overflow == 0


def test_the_report_is_accessible(visited: Visit) -> None:
    """It has no fault that keeps somebody from reading it."""
    assert serious_faults(visited.page) == []


def test_the_report_shows_charts(browser: Browser, report: Path) -> None:
    """Under its heading there are charts, each told in words too."""
    with visit(browser, DESKTOP) as visited:
        visited.page.goto(report.as_uri())
        expect(visited.page.get_by_role("heading", level=1)).to_be_visible()
        charts = visited.page.get_by_role("img")
        expect(charts.first).to_be_visible()
        assert all(chart.get_attribute("aria-label") or chart.get_attribute("alt") for chart in charts.all())
        photograph(visited.page, "report")

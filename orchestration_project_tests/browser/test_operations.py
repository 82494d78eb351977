"""The operations page as its readers open it: a file, on a desktop or a phone, in light or dark, without scripts."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from orchestration_project.components.pages.operations import render_operations
from orchestration_project_tests.browser.axe import serious_faults
from orchestration_project_tests.browser.chromium import DESKTOP, SCREENS, Visit, visit
from orchestration_project_tests.browser.screenshots import photograph
from orchestration_project_tests.components.pages.operations import operations

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A page with half a year of deliveries, and alarms that are on."""
    path = tmp_path / "operations.html"
    path.write_text(render_operations(operations()), encoding="utf-8")
    return path


@pytest.fixture(params=SCREENS)
def visited(request: pytest.FixtureRequest, browser: Browser, written: Path, tmp_path: Path) -> Iterator[Visit]:
    """The page on a screen, with all that can be unfolded."""
    size: Mapping[str, int]
    size, dark = request.param
    with visit(browser, size, dark) as visited:
        visited.page.goto(written.as_uri())
        for summary in visited.page.locator("summary").all():
            summary.click()
        yield visited


def test_the_page_needs_nothing_but_itself(visited: Visit, written: Path) -> None:
    """It opens without an error, and asks for no other file and for no network."""
    assert visited.errors == []
    assert visited.asked_for == [written.as_uri()]


def test_the_page_fits_the_screen(visited: Visit) -> None:
    """Nobody has to scroll sideways to read it; only what is too wide scrolls by itself."""
    assert visited.overflow == 0


def test_the_page_is_accessible(visited: Visit) -> None:
    """It has no fault that keeps somebody from reading it."""
    assert serious_faults(visited.page) == []


def test_every_picture_is_told_in_words(browser: Browser, written: Path) -> None:
    """Heat map and charts are shown, each with what it shows for those who don't see it."""
    with visit(browser, DESKTOP) as visited:
        visited.page.goto(written.as_uri())
        pictures = visited.page.get_by_role("img")
        expect(pictures.first).to_be_visible()
        labels = [picture.get_attribute("aria-label") or "" for picture in pictures.all()]
        assert all(labels)
        assert any("2 missing" in label and "5 late" in label for label in labels)
        visited.page.locator("#feed-orders").scroll_into_view_if_needed()
        visited.page.evaluate("document.getElementById('feed-orders').closest('section').scrollIntoView()")
        photograph(visited.page, "operations")

"""The Chromium of this machine, driven by Playwright. None is ever downloaded."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
SCREENS = [
    pytest.param((DESKTOP, False), id="desktop"),
    pytest.param((DESKTOP, True), id="desktop, dark"),
    pytest.param((PHONE, False), id="phone"),
    pytest.param((PHONE, True), id="phone, dark"),
]
"""Parameters of a fixture: the size of a screen, and whether it is dark."""
# What a page asks of other hosts fails at once and leaves the machine in no case.
HERE_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
IN_CI = os.environ.get("CI") == "true"  # noqa: TID251 - for tests alone
PATIENCE = 180
"""Seconds to wait for what a page is to show. Machines of tests are slow and shared."""


def lacking(what: str) -> NoReturn:
    """End the test because something is not installed: skipped on somebody's machine, failed in CI."""
    if IN_CI:
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, running without a window."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        lacking(f"none of {', '.join(PROGRAMS)} is on the PATH; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[HERE_ONLY])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page and what it complained of.

    Attributes:
        page: the page.
        errors: what it wrote to the console as an error, and what it threw.
        requests: the addresses that it asked for.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listen to the page from its first moment."""
        self.page.on("console", self._note_message)
        self.page.on("pageerror", self._note_exception)
        self.page.on("request", self._note_request)

    @property
    def asked_for(self) -> list[str]:
        """The addresses that it asked for, but for data within the page."""
        return [url for url in self.requests if not url.startswith("data:")]

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than the screen."""
        width = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return int(width)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _note_exception(self, error: Error) -> None:
        self.errors.append(str(error))

    def _note_request(self, request: Request) -> None:
        self.requests.append(request.url)


@contextmanager
def visit(browser: Browser, size: Mapping[str, int], dark: bool = False, **options: Any) -> Iterator[Visit]:
    """A page of a size in a browser that remembers nothing of others.

    Args:
        browser: it.
        size: of the page.
        dark: whether its user likes it dark.
        options: others of the browser, such as what it says when it is asked for a password.
    """
    context = browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="dark" if dark else "light",
        **options,
    )
    context.set_default_timeout(PATIENCE * 1000)
    try:
        yield Visit(context.new_page())
    finally:
        context.close()

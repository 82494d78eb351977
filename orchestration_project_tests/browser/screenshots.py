"""Pictures of pages: those in the documentation, and what is kept of a test that failed."""

import os
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Error, Page

FOLDER = os.environ.get("SCREENSHOTS")  # noqa: TID251 - set by `make screenshots`, for tests alone


def photograph(page: Page, name: str) -> None:
    """Take the picture for the documentation, if pictures are asked for, once the page asks for nothing more."""
    if FOLDER:
        page.wait_for_load_state("networkidle")
        page.mouse.move(0, 0)  # what is under the mouse looks different
        page.screenshot(path=Path(FOLDER) / f"{name}.png", animations="disabled", caret="hide")


def keep(page: Page, log: str, folder: Path) -> Path:
    """Keep what a page shows and its server said; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.log").write_text(log, encoding="utf-8")
    with suppress(Error):  # a page that crashed can't be looked at; that is no reason to end all tests
        page.screenshot(path=folder / "page.png", full_page=True)
        (folder / "page.html").write_text(page.content(), encoding="utf-8")
    return folder

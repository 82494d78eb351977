"""An alarm as it comes by mail: found by the sensor, sent by the sender, taken by a mail server, and looked at."""

import html
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from orchestration_project.alerts import sender, services
from orchestration_project.settings import Settings
from orchestration_project_tests.alerts.servers import mail_server, text_of
from orchestration_project_tests.browser.chromium import DESKTOP, visit
from orchestration_project_tests.browser.screenshots import photograph
from orchestration_project_tests.components.alarming import Alarming, alarming_shop, day, sold
from orchestration_project_tests.components.sales_files import sale

pytestmark = pytest.mark.xdist_group("browser")
HEADERS = ("From", "To", "Subject", "Date")
PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Mail</title>
<style>
  body {{ font: 16px/1.5 "Liberation Sans", Arial, sans-serif; margin: 0; color: #1f2328; background: #fff }}
  dl {{ display: grid; grid-template-columns: 5em 1fr; margin: 0; padding: 1.5em 2em; background: #f0f2f5 }}
  dt {{ color: #57606a }} dd {{ margin: 0 }} .subject {{ font-weight: bold }}
  pre {{ font: 15px/1.5 "Liberation Mono", monospace; margin: 0; padding: 1.5em 2em; white-space: pre-wrap }}
</style>
<dl>{headers}</dl><pre>{text}</pre></html>
"""


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmailMessage]:
    """The mail of a morning: files that can't be read, many rejects, and a day that did not come."""
    folder = tmp_path_factory.mktemp("mail")
    with mail_server() as server, alarming_shop(folder) as shop, pytest.MonkeyPatch.context() as patch:
        trusted = folder / "authority.pem"
        trusted.write_bytes(server.certificates)
        patch.setenv("SSL_CERT_FILE", str(trusted))
        patch.setenv("UI_URL", "https://dagster.example.org")
        patch.setattr(sender, "start", lambda _: None)
        shop.urls = server.url("ops@example.org")
        deliver(shop)
        assert shop.tick()
        sender.run(Settings(data_dir=shop.bench.data_dir, alert_urls=shop.urls), services.send, lambda: shop.now)
        ((_, taken),) = server.mails
        yield taken


def deliver(shop: Alarming) -> None:
    """Have files in the shop that somebody has to look at."""
    for till in range(1, 6):
        shop.bench.drop("sales", f"sales_{day(-1)}_till_{till}.csv", f"Report of till {till}\nNo data.\n")
    bad = [sale(f"B{number}", quantity=-1, day=day(-1)) for number in range(3)]
    shop.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1, sale("A1", day=day(-1)), *bad))
    shop.load("sales", -1)


def test_a_mail_tells_what_to_do(mail: EmailMessage, browser: Browser, tmp_path: Path) -> None:
    """It names the feed, the files and why they were refused, and the commands; whoever reads it needs nothing else."""
    named = "".join(
        f'<dt>{name}</dt><dd class="{name.lower()}">{html.escape(str(mail[name]))}</dd>' for name in HEADERS
    )
    page = tmp_path / "mail.html"
    page.write_text(PAGE.format(headers=named, text=html.escape(text_of(mail))), encoding="utf-8")
    with visit(browser, DESKTOP) as visited:
        visited.page.goto(page.as_uri())
        expect(visited.page.locator(".to")).to_have_text("ops@example.org")
        text = visited.page.locator("pre")
        for part in (
            "5 files were refused",
            "till_1.csv: no_header",
            "and 2 more",
            "75.0% rejected",
            "to do",
            "silence",
        ):
            expect(text).to_contain_text(part)
        assert visited.overflow == 0
        photograph(visited.page, "mail")

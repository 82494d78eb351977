"""What is deleted by age: dated reports, and refused files in whose place something was accepted."""

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.retention.expire import Deleted, expire
from orchestration_project_tests.ingest.shop import NOW, Shop, named

MONTH = dt.timedelta(days=30)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two refused files, one of which was replaced since, and reports of two days."""
    shop = Shop(tmp_path)
    for number in (1, 2):
        shop.deliver(named(number), "no header at all\n")
    shop.load()
    shop.deliver(named(1), "id,n\na,1\n")
    shop.load()
    for name, age in (("report_2024-01-01.html", 40), ("report_2024-02-28.html", 2), ("index.html", 40)):
        path = shop.settings.reports / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("<p>")
        moment = (NOW - dt.timedelta(days=age)).timestamp()
        os.utime(path, (moment, moment))
    return shop


def kept(shop: Shop, now: dt.datetime = NOW, **days: Any) -> Deleted:
    """Delete by some settings."""
    source = ConfiguredFeed(shop.feed, shop.options)
    return expire(shop.warehouse, replace(shop.settings, **days), [source], now)


def test_nothing_is_deleted_without_a_setting(shop: Shop) -> None:
    """However old it is, everything stays."""
    assert kept(shop, NOW + 100 * MONTH) == Deleted([], [])
    assert kept(shop, report_keep_days=10**12, quarantine_keep_days=10**12) == Deleted([], [])
    assert len(shop.quarantine()) == 2


def test_old_reports_go(shop: Shop) -> None:
    """Dated reports that are too old go; the newest page and younger ones stay."""
    assert kept(shop, report_keep_days=30) == Deleted(["reports/report_2024-01-01.html"], [])
    assert sorted(path.name for path in shop.settings.reports.iterdir()) == ["index.html", "report_2024-02-28.html"]


def test_a_replaced_refused_file_goes_when_it_is_old(shop: Shop) -> None:
    """It goes with its reason; one that nothing has replaced stands for ever, like a young one."""
    assert kept(shop, NOW + MONTH / 2, quarantine_keep_days=30).quarantine == []
    gone = kept(shop, NOW + 2 * MONTH, quarantine_keep_days=30).quarantine
    assert gone == [f"quarantine/f/{named(1)}", f"quarantine/f/{named(1)}.reason.json"]
    assert list(shop.quarantine()) == [named(2)]


def test_a_reason_that_a_kill_left_alone_goes(shop: Shop) -> None:
    """Without its file, a reason is nothing that anybody waits for."""
    (shop.settings.quarantine("f") / named(1)).unlink()
    assert kept(shop, NOW + 2 * MONTH, quarantine_keep_days=30).quarantine == [f"quarantine/f/{named(1)}.reason.json"]


def test_what_has_no_note_stays(shop: Shop) -> None:
    """Of a file that somebody put there nobody knows when it was refused."""
    (shop.settings.quarantine("f") / named(1)).with_name(f"{named(1)}.reason.json").unlink()
    assert kept(shop, NOW + 2 * MONTH, quarantine_keep_days=30).quarantine == []


def test_without_a_warehouse_refused_files_stay(shop: Shop) -> None:
    """Nothing tells then which of them were replaced."""
    shop.lose_warehouse()
    assert kept(shop, NOW + 2 * MONTH, quarantine_keep_days=30).quarantine == []

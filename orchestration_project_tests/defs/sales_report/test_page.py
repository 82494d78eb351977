"""The page: what is on it for a given report, whatever names and numbers are in it."""

import base64
import datetime as dt
import hashlib
import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.components.charts import Quality, Unit
from orchestration_project.components.pages.skeleton import SHARED
from orchestration_project.defs.sales_report.model import (
    Accounts,
    FeedState,
    Figures,
    File,
    Ranking,
    Reason,
    Report,
    Sales,
    Sold,
    Stretch,
)
from orchestration_project.defs.sales_report.page import TEMPLATES, render
from orchestration_project_tests.components.pages.html import HOSTILE, Page
from orchestration_project_tests.reliability.evidence import effort, tried

DAY, NEXT = dt.date(2024, 1, 15), dt.date(2024, 1, 16)
NOW = dt.datetime(2024, 1, 17, 8, 30, tzinfo=dt.UTC)
NO_ACCOUNTS = Accounts(0, 0, 0, 0, 0, 0, 0, 0)


def figures(revenue: str = "10.00", units: int = 2, products: int = 1) -> Figures:
    return Figures(products, units, Decimal(revenue))


def ranking(*lines: Sold, count: int | None = None, total: Figures | None = None) -> Ranking:
    return Ranking(lines, len(lines) if count is None else count, total or figures())


def sales(name: str | None = "Kettle", **fields: object) -> Sales:
    line = Sold(name, figures(), product_id="7", category=name)
    default = Sales(
        first=DAY,
        last=NEXT,
        days=2,
        total=figures(),
        recent=figures(),
        unit=Unit.DAY,
        stretches=[Stretch(DAY, figures()), Stretch(NEXT, None)],
        products=ranking(line),
        categories=ranking(line),
        price_categories=ranking(line),
        new=None,
        vanished=None,
        unknown=ranking(),
        unsold=0,
    )
    return replace(default, **fields)  # type: ignore[arg-type]  # fields of Sales, whichever a test is about


def feed(text: str = "x", **fields: object) -> FeedState:
    default = FeedState(
        name="sales",
        title=text,
        files={"loaded": 1, "kept": 0, "superseded": 0, "duplicate": 0, "quarantined": 1},
        accounts=Accounts(records=10, cleaned=6, rejected=3, blank=1, ignored=0, open=2, repaired=1, waived=0),
        newest="2024-01-16",
        due=NOW,
        overdue=True,
        unit=Unit.DAY,
        quality=[Quality(DAY, 6, 3), Quality(NEXT, None, None)],
        reasons=[Reason(text, 3, 1.0, text, 1, text)],
        more_reasons=0,
    )
    return replace(default, **fields)  # type: ignore[arg-type]  # likewise


def file(text: str = "a.csv") -> File:
    return File("sales", "2024-01-15", text, "0123456789abcdef", "loaded", 1234, 10, 6, 3, 1, 0, text, NOW)


def report(text: str = "Kettle") -> Report:
    return Report(NOW, sales(text), [feed(text)], [file(text)], 1)


EMPTY = Report(NOW, None, [], [], 0)
NOTHING_LOADED = feed(
    "Sales",
    files=dict.fromkeys(("loaded", "kept", "superseded", "duplicate", "quarantined"), 0),
    accounts=NO_ACCOUNTS,
    newest=None,
    due=None,
    overdue=False,
    quality=[],
    reasons=[],
)
REPORTS = [
    pytest.param(report(), id="usual"),
    pytest.param(EMPTY, id="nothing at all"),
    pytest.param(Report(NOW, None, [NOTHING_LOADED], [], 0), id="a feed without files"),
    pytest.param(
        Report(NOW, sales(first=DAY, last=DAY, days=1, stretches=[Stretch(DAY, figures())]), [feed()], [], 0),
        id="a day",
    ),
    pytest.param(Report(NOW, sales(None, new=ranking(), vanished=ranking()), [feed()], [file()], 9), id="no names"),
]


@pytest.mark.parametrize("shown", REPORTS)
def test_structure(shown: Report) -> None:
    """Headings in order below one h1, landmarks, names of charts and tables, scopes, ids, links that lead somewhere."""
    page = Page(render(shown))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.tags}
    assert all(item.get("scope") in ("col", "row") for item in page.named("th"))
    assert all(item.get("aria-label") or item.get("aria-hidden") for item in page.named("svg"))
    assert len(page.named("caption")) == len(page.named("table"))
    ids = Counter(item["id"] for _, item in page.tags if "id" in item)
    assert set(ids.values()) == {1}
    targets = [(item["href"] or "").removeprefix("#") for item in page.named("a")]
    targets += [item["aria-labelledby"] for item in page.named("section") if item["aria-labelledby"]]
    assert set(targets) <= set(ids)


@pytest.mark.parametrize("shown", REPORTS)
def test_nothing_comes_from_elsewhere(shown: Report) -> None:
    """The page has one style and one script, both its own, and its policy allows no other; it loads nothing."""
    html = render(shown)
    page = Page(html)
    (policy,) = [item["content"] or "" for item in page.named("meta") if "http-equiv" in item]
    assert policy.startswith("default-src 'none';")
    for file, directive in ((SHARED / "style.css", "style-src"), (TEMPLATES / "search.js", "script-src")):
        text = file.read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
        assert html.count(text) == 1
    assert not page.named("link", "img", "iframe", "object", "embed")
    assert not [item for _, item in page.tags if {"src", "style", "onclick"} & {*item}]
    assert [url for url in re.findall(r"https?://[^\"'\s<]*", html) if url != "http://www.w3.org/2000/svg"] == []


@pytest.mark.promise("security")
@pytest.mark.parametrize("text", HOSTILE)
def test_values_are_text(text: str) -> None:
    """Names, reasons and values that look like markup are shown as they are; what is not visible is spelled out."""
    html = render(report(text))
    harmless = Page(render(report("Kettle")))
    page = Page(html)
    assert Counter(tag for tag, _ in page.tags) == Counter(tag for tag, _ in harmless.tags)
    assert [{*item} for _, item in page.tags] == [{*item} for _, item in harmless.tags]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u200e\u200f\u202a-\u202e\u2066-\u2069]", html)


@pytest.mark.promise("security")
@settings(deadline=None, max_examples=effort(15, 400))
@given(st.text(min_size=1))
def test_any_text_leaves_the_page_as_it_is(text: str) -> None:
    """No text adds an element or an attribute."""
    tried()
    page, harmless = (Page(render(report(item))) for item in (text, "Kettle"))
    assert [(tag, {*item}) for tag, item in page.tags] == [(tag, {*item}) for tag, item in harmless.tags]


def test_the_same_report_gives_the_same_bytes() -> None:
    """Nothing but what is in the report decides what the page says."""
    assert render(report()) == render(report())


def test_what_is_left_out_of_a_list_is_summed_up() -> None:
    """The products that are not shown stand in one line that completes the total."""
    lines = [Sold(f"P{number}", figures(f"{100 - number}.00"), str(number)) for number in range(3)]
    total = Figures(40000, 80003, Decimal("5000.00"))
    html = render(replace(report(), sales=sales(products=ranking(*lines, count=40000, total=total))))
    text = Page(html).text
    assert "39,997 others 79,997 4,703.00 94.1%" in text
    assert "All 40,000 products sold 80,003 5,000.00" in text


def test_products_without_a_name_or_category() -> None:
    """What the catalogue does not know is said so."""
    text = Page(render(replace(report(), sales=sales(None)))).text
    assert "not in the catalogue 7 - 2 10.00" in text
    assert "none given 1 2 10.00" in text


def test_new_and_vanished_products() -> None:
    """They are listed; before there is anything to compare with, that is said instead."""
    assert (
        "It takes more than 7 days of sales to tell; there are sales since 2024-01-15." in Page(render(report())).text
    )
    new = ranking(Sold("Lamp", figures(), "9", "Living"))
    text = Page(render(replace(report(), sales=sales(new=new, vanished=ranking())))).text
    assert "New: 1" in text
    assert "Lamp 9 Living 2 10.00" in text
    assert "No product has vanished." in text


def test_accounts() -> None:
    """Each feed's records are shown with whether they balance, its files by status, and whether it is late."""
    text = Page(render(replace(report(), feeds=[feed("Sales")]))).text
    assert "Sales 10 6 3 1 0 even 2 1 0" in text
    assert "Sales 2024-01-16 2024-01-17 08:30 UTC overdue 1 0 0 0 1" in text
    lost = Accounts(records=10, cleaned=6, rejected=2, blank=1, ignored=0, open=2, repaired=0, waived=0)
    assert "off by 1" in Page(render(replace(report(), feeds=[feed("Sales", accounts=lost)]))).text


def test_older_files_are_counted() -> None:
    """The table of files ends with how many others there are."""
    assert "And 1,999 older ones" in Page(render(replace(report(), file_count=2000))).text


def test_returns_beyond_sales() -> None:
    """Revenue below zero has no share and no bar of it."""
    below = figures("-5.00")
    shown = sales(
        total=below, stretches=[Stretch(DAY, below)], products=ranking(Sold("Kettle", below, "7"), total=below)
    )
    assert "Kettle 7 - 2 -5.00 -" in Page(render(replace(report(), sales=shown))).text

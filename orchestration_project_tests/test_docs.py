"""What README, CONTRIBUTING and docs promise exists, in the words and the width that are agreed upon."""

import re
import struct
from pathlib import Path

import pytest

from orchestration_project.alerts.model import Kind
from orchestration_project_tests.components.workbench import project
from orchestration_project_tests.pages import PAGES, ROOT, WRITTEN, blocks_of, page_id, prose_of
from orchestration_project_tests.reliability.evidence import PROMISES

PICTURES = sorted((ROOT / "docs/images").glob("*"))
WIDTH = 120
OTHER_WORDS = {
    "validate, violation": "judg(?:e|es|ed|ing)|verdicts?",
    "duplicate": "losers?",
    "transfer": "hand-?overs?",
    "split, csv scanner": "excis(?:e|es|ed|ing)",
    "dry run, scratch warehouse": "trials?",
    "baseline": "floors?",
    "what it is": "shel(?:f|ves)|dice|upkeep|intakes?",
}
"""Words that pages do not use, by the word that is used instead."""


def test_the_settings_table_names_exactly_the_variables_that_are_read() -> None:
    """Every variable that settings.py reads is documented, and no other."""
    code = (ROOT / "orchestration_project/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'env\.get\("([A-Z_]+)"', code))
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Settings")[2].partition("## ")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE)) == read


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file of the repository."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def slugs_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as hosted repositories make them."""
    headings = (line.lstrip("#").strip() for _, line in prose_of(page) if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_links_lead_to_headings(page: Path) -> None:
    """Every link to a part of a page names a heading of that page."""
    links = re.findall(r"\]\(([^)#:]*)#([^)]*)\)", page.read_text(encoding="utf-8"))
    targets = [(page.parent / file if file else page, anchor) for file, anchor in links]
    assert [(target.name, anchor) for target, anchor in targets if anchor not in slugs_of(target)] == []


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_lines_of_prose_are_wrapped(page: Path) -> None:
    """A line of prose has at most 120 characters; rows of tables and pictures stand in one line each."""
    lines = [(number, line) for number, line in prose_of(page) if len(line) > WIDTH]
    assert [number for number, line in lines if not line.startswith(("|", "!["))] == []


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_pages_use_the_agreed_words(page: Path) -> None:
    """One word means one thing, so prose has none of the words that stood for it before; names in code may."""
    lines = [(number, re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)) for number, line in prose_of(page)]
    assert [
        (number, found[0], f"say: {instead}")
        for number, line in lines
        for instead, words in OTHER_WORDS.items()
        if (found := re.search(rf"\b(?:{words})\b", line, re.IGNORECASE))
    ] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != ROOT], ids=page_id)
def test_every_page_is_in_the_index(page: Path) -> None:
    """docs/README.md leads to every other page of its folder, and README.md to docs/README.md."""
    index = ROOT / ("README.md" if page.name == "README.md" else "docs/README.md")
    assert f"({page.relative_to(index.parent)})" in index.read_text(encoding="utf-8")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_pictures_are_shown_and_small(picture: Path) -> None:
    """A picture stands in a page, is as wide as a desktop's window, as high but for the graph, and less than 250 KB."""
    header = picture.read_bytes()[:24]
    assert any(f"(images/{picture.name})" in page.read_text(encoding="utf-8") for page in PAGES)
    kind, width, height = struct.unpack(">8x4x4sII", header)
    assert (kind, width) == (b"IHDR", 1400)
    assert height == (1150 if picture.stem == "graph" else 900)
    assert picture.stat().st_size < 250_000


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_make_targets_that_are_mentioned_exist(page: Path) -> None:
    """Every `make x` of a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    mentioned = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert mentioned <= targets


def test_the_component_of_the_tutorial_is_the_example() -> None:
    """The defs.yaml that docs/add-a-feed.md shows is the one in examples/online_retail."""
    blocks = blocks_of(ROOT / "docs/add-a-feed.md")
    shown = next(block.text for block in blocks if block.text.startswith("type:"))
    assert shown == (ROOT / "examples/online_retail/defs.yaml").read_text(encoding="utf-8")


def edited_lines(page: Path) -> int:
    """How many lines a reader of a page writes or changes: those of whole files, and of edits the added ones."""
    lines = [(block.language, line) for block in blocks_of(page) if block.file for line in block.text.splitlines()[1:]]
    return sum(language != "diff" or line.startswith("+") for language, line in lines)


def test_exports_of_tills_need_few_edited_lines() -> None:
    """From the files of a till to a table of its articles a person edits fewer than 15 lines, none of them Python."""
    page = ROOT / "docs/till-exports.md"
    edited = edited_lines(page)
    assert edited < 15
    assert f"{edited} edited lines" in page.read_text(encoding="utf-8")
    assert not any(block.language == "python" for block in blocks_of(page))


def test_the_documented_checks_exist() -> None:
    """The table of checks in docs/how-it-works.md names checks of the project."""
    page = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8").partition("| check ")[2]
    documented = re.findall(r"^\| `([a-z_]+)`", page, re.MULTILINE)
    assert documented
    assert set(documented) <= {key.name for key in project().resolve_asset_graph().asset_check_keys}


@pytest.mark.parametrize("name", ["operations.md", "alerts.md"])
def test_each_kind_of_alarm_is_explained(name: str) -> None:
    """The runbook says what to do about each kind of alarm, and the page about alerts when it is on."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    named = re.findall(r"^\| `([a-z]+_[a-z_]+|verification)(?::[\w.]+)?` ", text, re.MULTILINE)
    assert sorted(set(named)) == sorted(Kind)


def test_the_threat_model_names_tests_that_exist() -> None:
    """Each row of the table in docs/security.md names tests, and each of them is there."""
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8").partition("| threat ")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(test_\w+\.py)::(test_\w+)`", row) for row in page.splitlines()[2:]]
    found = {path.name: path for path in (ROOT / "orchestration_project_tests").rglob("test_*.py")}
    assert rows
    assert all(rows)
    assert [
        name for row in rows for file, name in row if f"def {name}(" not in found[file].read_text(encoding="utf-8")
    ] == []


def test_the_reliability_report_is_about_the_promises_and_tests_that_there_are() -> None:
    """docs/reliability.md has a row for every promise, with tests behind it, none of which failed."""
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z][^|]*\.) \| ([^|]+ \| [^|]+ \| [^|]+) \|", page, re.MULTILINE)
    figures = [[int(text.replace(",", "")) for text in row.split(" | ")] for _, row in rows]
    assert set(PROMISES.values()) <= {promise for promise, _ in rows}
    assert all(tests and cases >= tests and not failed for tests, cases, failed in figures)
    assert [
        file
        for file in set(re.findall(r"`(orchestration_project_tests/[\w/]+\.py)", page))
        if not (ROOT / file).exists()
    ] == []

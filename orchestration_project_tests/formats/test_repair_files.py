"""Repair files survive spreadsheets: nothing in them is executed, and every text comes back as it was."""

import csv
import io
import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestration_project.formats.repair_files import protected, repair_header, unprotected
from orchestration_project_tests.ingest.repairs import as_csv, cells, export, repair_name, resolved
from orchestration_project_tests.ingest.shop import Shop, column, feed, named
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("repair")

DANGEROUS = "=+-@\t\r"
# Made of what matters: apostrophes, signs, digits, quotes, delimiters, line ends, and anything else now and then.
TEXTS = st.text(
    st.one_of(st.sampled_from("''=+-@\t\r\n1.,e\"; s"), st.characters(exclude_categories=["Cs"])), max_size=8
)


@settings(max_examples=effort(60, 2000), deadline=None)
@given(texts=st.lists(TEXTS, max_size=40))
def test_protection_is_taken_away_again(texts: list[str]) -> None:
    """For every text at all; and what is protected begins with no formula."""
    tried(len(texts))
    written = [protected(text) for text in texts]
    rows = duckdb.sql(
        f"SELECT {unprotected('written')} FROM (SELECT unnest($1) AS written)", params=[written]
    ).fetchall()
    assert [text for (text,) in rows] == texts
    assert [text for text in written if text[:1] in set(DANGEROUS) and not _is_number(text)] == []


def _is_number(text: str) -> bool:
    return text[1:2].isdigit() or text[1:2] in (".", ",")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("=1+1", "'=1+1", id="formula"),
        pytest.param("'=1+1", "''=1+1", id="protected before"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="at sign"),
        pytest.param("\t=1", "'\t=1", id="tab"),
        pytest.param("-1+2", "'-1+2", id="sum"),
        pytest.param("+49 30 1234", "'+49 30 1234", id="phone number"),
        pytest.param("-1", "-1", id="negative number"),
        pytest.param("-1.234,50", "-1.234,50", id="with a decimal comma"),
        pytest.param("'s-Hertogenbosch", "'s-Hertogenbosch", id="a town"),
        pytest.param("a=b", "a=b", id="sign inside"),
    ],
)
def test_what_is_protected(text: str, written: str) -> None:
    """Texts that begin like a formula, after any apostrophes, and are no plain number."""
    assert protected(text) == written


def test_names_of_columns_are_protected_too(tmp_path: Path) -> None:
    """A column whose name begins like a formula is exported as text and recognised when it comes back."""
    contract = feed(column("id", source="=HYPERLINK(1)"), column("n", "INTEGER"))
    assert repair_header(contract)[0] == "'=HYPERLINK(1)"
    shop = Shop(tmp_path / "shop", contract)
    shop.deliver(named(1), "=HYPERLINK(1),n\n=A1,x\n")
    shop.load()
    (written,) = export(shop, tmp_path / "out")
    (row,) = cells(written.path)
    assert row["'=HYPERLINK(1)"] == "'=A1"
    shop.deliver(written.path.name, as_csv([row | {"n": "1"}]))
    shop.load()
    assert shop.cleaned("id", "n") == [("=A1", 1)]


@settings(max_examples=effort(4, 200), deadline=None)
@given(texts=st.lists(TEXTS.filter(lambda text: "\0" not in text and text.strip() != ""), min_size=1, max_size=20))
@example(texts=["0\r", "a\r\nb", "'=1\r", '"', "''"])
def test_texts_come_back_through_export_and_landing(texts: list[str]) -> None:
    """Each text that stands in a rejected record stands in the record that repairs it."""
    tried(len(texts))
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["id", "n"], *([text, "x"] for text in texts)])
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder) / "shop", feed(column("id"), column("n", "INTEGER")))
        shop.deliver(named(1), stream.getvalue())
        shop.load()
        (written,) = export(shop, Path(folder) / "out")
        shop.deliver(written.path.name, as_csv([row | {"n": "1"} for row in cells(written.path)]))
        shop.load()
        assert [row["id"] for row in shop.table("raw") if row["_file"] == repair_name()] == texts
        assert set(resolved(shop).values()) == {repair_name()}

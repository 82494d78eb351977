"""Violations: every rule that a record breaks is listed."""

from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Bound, Length, OneOf, Pattern, Required
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, read


def test_every_broken_rule_of_a_record_is_listed(tmp_path: Path) -> None:
    """A record's reasons name each rule of each column that it breaks, in the contract's order."""
    contract = feed(
        column("id", "VARCHAR", Required(), Length("minLength", 3), Pattern("^[a-z]+$"), OneOf(("abc",))),
        column("n", "INTEGER", Required(), Bound("minimum", "5"), Bound("maximum", "3")),
        column("at", "DATE", Required()),
    )
    shop = read(tmp_path, "id,n,at\nA1,4,2024-13-01\nabc,,x\nabc,x,2024-01-01\n", contract)
    assert shop.rejected() == {
        1: ["id: minLength", "id: pattern", "id: enum", "n: minimum", "n: maximum", "at: type"],
        2: ["n: required", "at: type"],
        3: ["n: type"],
    }


def test_derived_columns(tmp_path: Path) -> None:
    """Derived columns are computed in their order, checked by their rules, and never NULL because they do not fit."""
    contract = feed(
        column("n", "INTEGER"),
        column("price", "DECIMAL(18,2)"),
        column("total", "DECIMAL(9,2)", Required(), Bound("maximum", "100"), expression='"n" * "price"'),
        column("half", "DECIMAL(9,2)", expression='"total" / 2'),
    )
    shop = read(tmp_path, "n,price\n2,1.50\n90,2\n,2\nx,2\n900000,99999999\n", contract)
    assert [(str(total), str(half)) for total, half in shop.cleaned("total", "half")] == [("3.00", "1.50")]
    assert shop.rejected() == {
        2: ["total: maximum"],
        3: ["total: required"],
        4: ["n: type"],
        5: ["total: type"],
    }


def test_a_derived_column_that_can_not_be_computed(tmp_path: Path) -> None:
    """A value that can't be computed is rejected, not taken for missing; a NULL that is meant stays."""
    contract = feed(column("a"), column("b", "INTEGER", expression='CAST("a" AS INTEGER)'))
    shop = read(tmp_path, "a\n1\nx\n", contract)
    assert shop.cleaned("b") == [1]
    assert shop.rejected() == {2: ["b: type"]}


def test_blank_records_are_neither_cleaned_nor_rejected(tmp_path: Path) -> None:
    """Records with nothing but empty fields and padding are counted as blank; a rescued value makes a record count."""
    shop = read(tmp_path, "id,n,x\n,,\n \t, \u00a0,\n\n,,y\na,1,\n")
    assert shop.cleaned("id") == ["a"]
    assert shop.rejected() == {4: ["id: required"]}
    assert shop.ledger("records", "blank_records", "cleaned", "rejected") == [(5, 3, 1, 1)]


def test_blank_is_the_same_on_every_way_of_reading(tmp_path: Path) -> None:
    """Whether a record is blank does not depend on what else is in its file."""
    shop = Shop(tmp_path)
    content = "id,n\n \u00a0,\t\n\u3000,\n  \na,1\n"
    shop.deliver(named(1), content)
    shop.deliver(named(2), content + '"x"y,1\n')
    shop.deliver(named(3), content.replace("\n", "\r"))
    shop.load()
    assert shop.ledger("records", "blank_records", "cleaned", "rejected") == [(4, 2, 2, 0), (5, 2, 2, 1), (4, 2, 2, 0)]


def test_rejected_rows_carry_what_was_delivered(tmp_path: Path) -> None:
    """A rejected row has the text as delivered, where it came from, and an identity that a reload keeps."""
    shop = read(tmp_path, 'id,n,note\n" b ",x,hello\nshort\n')
    first, second = shop.table("rejected")
    assert (first["id"], first["n"], first["_rescued"]) == (" b ", "x", '{"note":"hello"}')
    assert (second["_raw_line"], second["_reasons"]) == ("short", ["_raw_line: too_few_columns"])
    assert first["_reject_id"] != second["_reject_id"]
    shop.lose_warehouse()
    shop.load()
    assert shop.table("rejected") == [first, second]


@pytest.mark.parametrize("nothing", ["", " ", "\t", "\u00a0", "\u00a0 ", " \u00a0\t"])
def test_blank_records_are_counted_as_blank(nothing: str, tmp_path: Path) -> None:
    """A record of nothing but blanks is blank, one with a value behind blanks is not, whatever the blanks are."""
    shop = Shop(tmp_path, feed(column("a"), column("b")))
    shop.deliver(named(1), f"a,b\n{nothing},{nothing}\n{nothing},x\n\u00c4,\u00a0y\n\u00a1,\n")
    (count,) = shop.load().counts
    assert (count.records, count.blank, count.cleaned) == (4, 1, 3)

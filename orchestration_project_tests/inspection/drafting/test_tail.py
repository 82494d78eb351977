"""Totals lines and records that could not be split: nothing is guessed from them, and the draft says so."""

from pathlib import Path

import pytest

from orchestration_project_tests.inspection.drafting.samples import Drafted, drafted

ROWS = [f"A-{number},Mug,{number},1.50" for number in range(1, 5)]
FILE = "\n".join(["sku,label,units,price", *ROWS]) + "\n"


def results(found: Drafted) -> list[tuple[int, int, int]]:
    """Of each sample the cleaned, rejected and ignored records."""
    return [(item.cleaned, item.rejected, item.ignored) for item in found.draft.results]


@pytest.mark.parametrize(
    ("last", "condition"),
    [
        pytest.param(",Total,10,6.00", "condition: 'lower(\"label\") = ''total'' AND \"sku\" IS NULL'", id="word"),
        pytest.param("Gesamt:,,10,", "condition: 'starts_with(lower(\"sku\"), ''gesamt'') AND", id="word and mark"),
        pytest.param(",,10,6.00", 'condition: \'"sku" IS NULL AND "label" IS NULL\'', id="sums only"),
        pytest.param("Total,10", "regexp_matches(_raw_line", id="too few fields"),
    ],
)
def test_a_totals_line(last: str, condition: str, tmp_path: Path) -> None:
    """It does not make columns optional, and it is ignored where it is called a total or has the sums."""
    found = drafted(tmp_path, FILE + last + "\n", FILE + "\n" + last + "\n\n")
    assert "the last record of every sample looks like a total" in found.text
    assert condition in found.text
    assert [column.required for column in found.feed.columns] == [True] * 4
    assert found.types == {"sku": "VARCHAR", "label": "VARCHAR", "units": "INTEGER", "price": "DECIMAL(18,2)"}
    assert results(found) == [(4, 0, 1)] * 2


def test_a_total_that_is_not_certain(tmp_path: Path) -> None:
    """A last record with hardly any value is left out, but only a comment proposes to ignore it."""
    found = drafted(tmp_path, FILE + ",,,99\n")
    assert not found.feed.ignored
    assert '    #   - {name: totals, condition: \'"sku" IS NULL AND' in found.text
    assert [column.required for column in found.feed.columns] == [True] * 4
    assert results(found) == [(4, 1, 0)]


@pytest.mark.parametrize("last", ["A-5,Total,5,1.50", "A-5,Mug,,1.50", "A-5,Mug,,6.00"])
def test_no_total(last: str, tmp_path: Path) -> None:
    """A thing that is called Total, a record that lacks a value, and a number that is a sum by chance are data."""
    found = drafted(tmp_path, FILE + last + "\n")
    assert "looks like a total" not in found.text
    assert results(found) == [(5, 0, 0)]


def test_the_sum_is_told(tmp_path: Path) -> None:
    """Where a total is the sum of a column, the draft names the column for a control total."""
    found = drafted(tmp_path, FILE + ",Total,10,6.00\n")
    assert "controlTotal: {column: units}" in found.text


def test_ragged_records(tmp_path: Path) -> None:
    """A record with a field too many makes no column optional; that it would be rejected is said."""
    found = drafted(tmp_path, FILE + "A-8,Cup,2,3.00\nTotal Tea, green,Box,1,1.50\n")
    assert "1 records have more or fewer fields than the header" in found.text
    assert [column.required for column in found.feed.columns] == [True] * 4
    assert results(found) == [(5, 1, 0)]


def test_a_summary_at_the_begin(tmp_path: Path) -> None:
    """A first record with columns of its own, and without those of all others, is of another kind and ignored."""
    lines = ["id,sku,label,units,paid_on,paid", "7,,,,2024-01-31,10.50"]
    lines += [f"7,A-{number},Mug,{number},," for number in range(4)]
    found = drafted(tmp_path, "\n".join(lines) + "\n")
    assert "the first record of every sample looks like a summary" in found.text
    assert {column.name for column in found.feed.columns if column.required} == {"id", "sku", "label", "units"}
    assert results(found) == [(4, 0, 1)]

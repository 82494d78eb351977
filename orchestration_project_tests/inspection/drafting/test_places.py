"""What the names of sample files tell of stores and tills becomes a column of the draft."""

from pathlib import Path

import pytest

from orchestration_project.contracts.outside import ValueFrom
from orchestration_project.inspection.drafting.places import place_column
from orchestration_project_tests.inspection.drafting.samples import drafted, table


def test_two_stores_with_the_same_receipts(tmp_path: Path) -> None:
    """The number of the store, as the names tell it, is a part of the key; the samples load by the draft."""
    receipts = table(receipt_no=[str(number) for number in range(60)], amount=["1.50", "2.25"] * 30)
    found = drafted(tmp_path, receipts, receipts, names=("Store13_2024-01-01.csv", "Store14_2024-01-01.csv"))
    assert set(found.feed.primary_key) == {"store_id", "receipt_no"}
    assert [column.value_from for column in found.feed.given_columns] == [
        ValueFrom("fileName", r"(?i)store[-_ ]?(\d+)")
    ]
    assert [(result.cleaned, result.rejected) for result in found.draft.results] == [(60, 0)] * 2


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        pytest.param(["store13_a.csv", "store13_b.csv"], [], id="one store"),
        pytest.param(["store13.csv", "web.csv"], [], id="a name without it"),
        pytest.param(["export_part1.csv", "export_part2.csv"], [], id="parts"),
        pytest.param(["store13_store14.csv", "store15.csv"], [], id="two in a name"),
        pytest.param(["store13.csv", "store14.csv"], ["store_id"], id="in the records"),
    ],
)
def test_no_place_in_the_names(names: list[str], taken: list[str]) -> None:
    """Nothing is proposed where names tell no number, or the same one, or the records have the column."""
    assert place_column(names, taken) is None

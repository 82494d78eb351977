"""Orders whose status stands on their first line only: when a draft proposes to fill it down."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestration_project.inspection.drafting.groups import FEWEST_GROUPS
from orchestration_project.inspection.drafting.trial import MOST_COLUMNS
from orchestration_project_tests.inspection.drafting.samples import Drafted, drafted, table

LINES = 3
"""Records of each order."""


def orders(number: Sequence[int] = range(40), more: Mapping[str, list[str]] | None = None) -> str:
    """A sample of orders with status, day, total and an id on the first record only, and further columns."""
    lines = [(order, line) for order in number for line in range(LINES)]

    def first(text: str) -> list[str]:
        return [text.format(order) if not line else "" for order, line in lines]

    return table(
        buyer_mail=[f"b{order}@example.org" for order, _ in lines],
        order=[f"#{order}" for order, _ in lines],
        status=first("paid"),
        paid_on=first("2024-01-31"),
        total=first("{0}.50"),
        payment_id=first("77{0:03}"),
        sku=[f"A-{order}-{line}" for order, line in lines],
        **(more or {}),
    )


def filled(found: Drafted) -> dict[str, str | None]:
    """The columns that a draft fills down, and within what."""
    return {column.name: column.fill_down.within for column in found.feed.columns if column.fill_down}


def test_attributes_are_filled_down_and_amounts_are_not(tmp_path: Path) -> None:
    """What holds for all lines of an order is filled down within it; of its amounts the draft says why they are not."""
    found = drafted(tmp_path, orders())
    assert filled(found) == dict.fromkeys(["status", "paid_on", "payment_id"], "order")
    assert "only the first record of each order has a value" in found.text
    assert "not filled down, or sums would count it several times" in found.comment("total", "physicalType")
    assert [(item.cleaned, item.rejected) for item in found.draft.results] == [(120, 0)]


def test_a_value_below_the_first_record_disproves_it(tmp_path: Path) -> None:
    """One later record of an order with a value of its own is enough; the other columns are filled down."""
    note = ["seen" if place % LINES == 0 or place == 1 else "" for place in range(120)]
    assert set(filled(drafted(tmp_path, orders(more={"note": note})))) == {"status", "paid_on", "payment_id"}


def test_gaps_that_are_alike_by_chance_prove_nothing(tmp_path: Path) -> None:
    """Without a column that each first record has, and only these, nothing is proposed: the order may be another."""
    rows = range(120)
    found = drafted(
        tmp_path,
        table(
            order=[f"#{row // LINES}" for row in rows],
            note=["gift" if row % LINES == 0 and row % 2 else "" for row in rows],
            mark=["x" if row % LINES == 1 else "" for row in rows],
        ),
    )
    assert filled(found) == {}


def test_few_orders_prove_nothing(tmp_path: Path) -> None:
    """Below a number of orders of several lines the draft proposes nothing."""
    assert filled(drafted(tmp_path, orders(number=range(FEWEST_GROUPS - 1)))) == {}
    assert filled(drafted(tmp_path, orders(number=range(FEWEST_GROUPS))))


def test_orders_of_several_samples(tmp_path: Path) -> None:
    """An order that ends one sample and begins the next one has its status in both."""
    found = drafted(tmp_path, orders(number=range(20)), orders(number=range(19, 40)))
    assert set(filled(found)) == {"status", "paid_on", "payment_id"}


def test_a_column_that_is_called_an_id_tells_the_orders(tmp_path: Path) -> None:
    """Of two columns that are the same within each order the one that is called an id is named, never a person's."""
    numbers = [str(5000 + place // LINES) for place in range(120)]
    assert set(filled(drafted(tmp_path, orders(more={"invoice_no": numbers}))).values()) == {"invoice_no"}


def test_samples_with_very_many_columns(tmp_path: Path) -> None:
    """The draft names the column of the orders there, too, whatever columns are read again to prove it."""
    more = {f"c{number}": ["x"] * 120 for number in range(MOST_COLUMNS)}
    found = drafted(tmp_path, orders(more=more))
    assert filled(found)["status"] == "order"
    assert not found.draft.results[0].tried

"""What real exports have in their columns: what a draft makes of it, and what it says that it can't know."""

from pathlib import Path

import pytest

from orchestration_project_tests.inspection.drafting.samples import drafted, table

RECORDS = 120
NUMBERS = range(RECORDS)


def repeated(*values: str) -> list[str]:
    """The values again and again, in a column of 120 records."""
    return [values[number % len(values)] for number in NUMBERS]


COLUMNS: dict[str, tuple[list[str], str, str]] = {
    "postal_code": ([f"{10115 + number}" for number in NUMBERS], "VARCHAR", "a code by its name"),
    "sku": ([f"{90000 + number}" for number in NUMBERS], "VARCHAR", "a code by its name"),
    "Telefon": ([f"{4930123400 + number}" for number in NUMBERS], "VARCHAR", "a code by its name"),
    "reach_at": ([f"+49301234{number:04}" for number in NUMBERS], "VARCHAR", ""),
    "scanned": (["4006381333931"] * RECORDS, "VARCHAR", "numbers to dial or to scan"),
    "plu": ([*(str(1000 + number) for number in range(RECORDS - 1)), "0012"], "VARCHAR", "begin with a zero"),
    "drawer": ([f"012.{number}" for number in NUMBERS], "VARCHAR", "begin with a zero"),
    "shelf": (["0"] * (RECORDS - 1) + ["a"], "VARCHAR", ""),
    "grade": (repeated("t", "x"), "VARCHAR", ""),
    "gift": (repeated("yes", "no"), "BOOLEAN", ""),
    "late": (repeated("Y", "N"), "BOOLEAN", ""),
    "taxable": (["true"] * RECORDS, "BOOLEAN", "one of its two words only"),
    "made": (repeated("2024-01-31T10:00:00Z", "2024-02-01T11:30:00Z"), "TIMESTAMPTZ", ""),
    "paid": (repeated("2024-01-31 10:00:00 -0400", "2024-02-01 11:30:00 -0500"), "TIMESTAMPTZ", ""),
    "posted": (repeated("31.01.2024 10:00:00 UTC"), "TIMESTAMPTZ", ""),
    "booked": (repeated("31-01-24", "28-02-24"), "DATE", ""),
    "valued": (repeated("31-Jan-2024", "01-Feb-2024"), "DATE", ""),
    "printed": (repeated("31 January 2024", "01 February 2024"), "DATE", ""),
    "due": (repeated("Jan 31, 2024", "Feb 1, 2024"), "DATE", ""),
    "gedruckt": (repeated("31. Mai 2024", "1. März 2024"), "VARCHAR", "names of months"),
    "Belegdatum": ([f"{1 + number % 28}{1 + number % 9:02}" for number in NUMBERS], "VARCHAR", "without a year"),
    "clock": (repeated("9:05", "10:15"), "TIME", ""),
    "quantity": (repeated("1", "2", "ERROR"), "INTEGER", ""),
    "price": (repeated("1.50", "UNKNOWN", "2.25", "#N/A"), "DECIMAL(18,2)", ""),
    "payment": (repeated("Cash", "Card", "UNKNOWN"), "VARCHAR", "`UNKNOWN` in 40 records"),
    "mostly": ([*(str(number) for number in range(110)), *("about 5",) * 10], "VARCHAR", "would be a integer"),
}


def test_columns_of_real_exports(tmp_path: Path) -> None:
    """Codes stay texts, flags are truth values if both words are, moments and words for no value are recognised."""
    found = drafted(tmp_path, table(**{name: values for name, (values, _, _) in COLUMNS.items()}))
    columns = dict(zip(found.types, COLUMNS, strict=True))
    types = {header: found.types[name] for name, header in columns.items()}
    assert types == {name: sql_type for name, (_, sql_type, _) in COLUMNS.items()}
    said = {header: found.comment(name, "physicalType") for name, header in columns.items()}
    assert {name: said[name] for name, (_, _, words) in COLUMNS.items() if words not in said[name]} == {}
    assert [item.rejected for item in found.draft.results] == [0]


@pytest.mark.parametrize(
    ("values", "others", "sql_type", "said"),
    [
        pytest.param(["1.234", "2.500"], ["x", "y"], "DECIMAL(18,3)", "could be more than a thousand", id="point"),
        pytest.param(["1,234", "2,500"], ["x", "y"], "DECIMAL(18,3)", "could be more than a thousand", id="comma"),
        pytest.param(["1.234", "2.500"], ["1,5", "2,25"], "INTEGER", "of other columns", id="others have commas"),
        pytest.param(["1,234", "2,500"], ["1.5", "2.25"], "INTEGER", "of other columns", id="others have points"),
        pytest.param(["1.234", "2.5"], ["x", "y"], "DECIMAL(18,3)", "", id="one value tells"),
    ],
)
def test_three_digits_behind_a_mark(
    values: list[str], others: list[str], sql_type: str, said: str, tmp_path: Path
) -> None:
    """1.234 may be thousands or decimals: other columns tell, or the draft says that nothing does."""
    found = drafted(tmp_path, table(amount=values, other=others))
    assert found.types["amount"] == sql_type
    assert said in found.comment("amount", "physicalType")
    assert ("thousand" in found.text) == bool(said)


def test_day_and_month_stand_as_in_other_columns(tmp_path: Path) -> None:
    """A column that leaves no doubt tells how an ambiguous one is read."""
    found = drafted(tmp_path, table(day=["01/02/2024", "03/04/2024"], paid=["12/31/2024", "01/30/2024"]))
    assert found.text.count('format: "MM/dd/yyyy"') == 2
    assert "as in other columns" in found.comment("day", "physicalType")


@pytest.mark.parametrize(
    ("header", "personal"),
    [
        pytest.param("Lineitem name", False, id="the name of a thing"),
        pytest.param("Billing Address1", True, id="a numbered line of an address"),
        pytest.param("Shipping City", True, id="a part of an address"),
        pytest.param("Shipping Method", False, id="how it is sent"),
        pytest.param("Device Name", False, id="a device"),
        pytest.param("Kassierer", True, id="who is at the till"),
    ],
)
def test_personal_columns_by_name(header: str, personal: bool, tmp_path: Path) -> None:
    """What belongs to a person's address is personal, the names of things are not."""
    found = drafted(tmp_path, f"{header},n\nx,1\n")
    assert bool(found.feed.personal_columns) == personal


def test_a_key_of_few_records_is_not_claimed(tmp_path: Path) -> None:
    """In 25 records much is unique by chance: the draft says so, and declares no key."""
    found = drafted(tmp_path, table(order_id=[str(n) for n in range(25)], town=["x"] * 25))
    assert found.feed.primary_key == ()
    assert "order_id is called like a key and unique, but only in 25 records" in found.text


def test_a_receipt_number_of_each_day(tmp_path: Path) -> None:
    """A number and a day are a key together, whatever else is unique by chance."""
    rows = {"receipt_no": [str(n % 60) for n in NUMBERS], "sold_on": repeated("2024-01-01")[:60] + ["2024-01-02"] * 60}
    found = drafted(tmp_path, table(**rows, note=[f"note {n}" for n in NUMBERS]))
    assert set(found.feed.primary_key) == {"receipt_no", "sold_on"}


def test_orders_with_one_item_each_have_no_key(tmp_path: Path) -> None:
    """Where the number of an order and that of its items are both unique, the draft names them and claims neither."""
    columns = {name: [str(number) for number in NUMBERS] for name in ("order_id", "order_item_no")}
    found = drafted(tmp_path, table(**columns, town=["x"] * RECORDS))
    assert found.feed.primary_key == ()
    assert "order_id is unique in 120 records" in found.text
    assert "order_item_no is unique in 120 records" in found.text

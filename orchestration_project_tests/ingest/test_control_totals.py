"""Control totals: a file whose records do not add up to its own total is refused, or told."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import Feed, Parsing, Required
from orchestration_project.contracts.ignored_rules import ControlTotal, IgnoredLast, IgnoredWhere
from orchestration_project.ingest.control_totals import reconcile
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, options
from orchestration_project_tests.oracle.ignored import Term
from orchestration_project_tests.oracle.oracle import outcome
from orchestration_project_tests.oracle.values import Contract
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("input")

CENT = Decimal("0.01")
HEAD = "id,amount,pieces,label\n"


def contract(*totals: ControlTotal) -> Feed:
    """A contract whose totals line has neither `id` nor data."""
    rule = IgnoredWhere("totals", '"id" IS NULL AND "label" = \'Total\'', ("id", "label"), totals)
    return feed(
        column("id", "VARCHAR", Required()),
        column("amount", "DECIMAL(10,2)"),
        column("pieces", "INTEGER"),
        column("label"),
        primary_key=("id",),
        ignored=(rule,),
    )


STRICT = contract(ControlTotal("amount", blocking=True))


def told(shop: Shop, relation: str = "raw_f") -> list[str]:
    """What does not match in the loaded files."""
    files = [(str(row["_batch_date"]), row["_file"], row["_file_version"]) for row in shop.table("raw")]
    with shop.warehouse.connection("test") as connection:
        found = reconcile(connection, shop.feed, relation, list(dict.fromkeys(files)))
    return [total.told for totals in found.values() for total in totals if not total.matches]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        pytest.param("a,1.10,,\n,1.11,,Total\n", "its total is 1.11; the 1 records add up to 1.10", id="a cent"),
        pytest.param("a,1.10,,\n", "the file has no totals records, not 1", id="no totals line"),
        pytest.param("", "the 0 records add up to 0", id="no record"),
        pytest.param("a,1,,\n,1,,Total\n,1,,Total\n", "the file has 2 totals records, not 1", id="two"),
        pytest.param("a,1,,\n,one,,Total\n", "its total can't be read", id="no number"),
        pytest.param("a,1,,\n,,,Total\n", "its total can't be read", id="nothing"),
        pytest.param("a,1,,\nb,x,,\nc\n,3,,Total\n", "and 2 have no readable amount", id="unreadable"),
        pytest.param("a,1,,\n,1.001,,Total\n", "its total can't be read", id="another digit"),
    ],
)
def test_an_error_refuses_the_file(lines: str, why: str, tmp_path: Path) -> None:
    """The file is in quarantine with both figures, and what it would have replaced stays."""
    shop = Shop(tmp_path, STRICT, options())
    shop.deliver(named(1), HEAD + "a,1,,\n,1.00,,Total\n")
    shop.deliver(named(2), HEAD + "b,1,,\n,1,,Total\n")
    shop.load()
    before = shop.tables()
    shop.deliver(named(1), HEAD + lines)
    shop.load()
    note = shop.quarantine()[named(1)]
    assert note["rule"] == "control_total"
    assert why in note["reason"], note
    assert shop.tables() == before


def test_all_records_of_the_file_count(tmp_path: Path) -> None:
    """Rejected records and duplicates are in the till's total; blank, ignored and missing values add nothing."""
    shop = Shop(tmp_path, STRICT, options())
    shop.deliver(named(1), HEAD + "a,1.50,,\na,2.25,,\n,3,,no id\nb,,,\n\nc,-0.75,many,\n,6.00,,Total\n")
    shop.load()
    assert shop.ledger("status", "cleaned", "rejected", "ignored") == [("loaded", 2, 3, 1)]
    assert told(shop) == []


def test_a_warning_loads(tmp_path: Path) -> None:
    """The file is loaded; the load says what does not match, with both figures."""
    shop = Shop(tmp_path, contract(ControlTotal("amount"), ControlTotal("pieces")), options())
    shop.deliver(named(1), HEAD + "a,1.10,2,\n,1.10,3,Total\n")
    shop.load()
    said = "control total of pieces: its total is 3; the 1 records add up to 2"
    assert shop.ledger("status") == ["loaded"]
    assert told(shop) == [said]
    assert any(said in line for line in shop.told)


def test_an_accepted_file_stays(tmp_path: Path) -> None:
    """A contract that asks for totals later refuses no file that was loaded before; neither does a rebuild."""
    shop = Shop(tmp_path, contract(), options())
    shop.deliver(named(1), HEAD + "a,1.10,2,\n,9,3,Total\n")
    shop.load()
    before = shop.tables()
    shop.feed = STRICT
    shop.load()
    assert shop.tables() == before
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == before
    assert told(shop) == ["control total of amount: its total is 9.00; the 1 records add up to 1.10"]


def test_the_last_record_may_have_the_total(tmp_path: Path) -> None:
    """A footer of one record is a totals record as well."""
    rule = IgnoredLast("end", 1, (ControlTotal("amount", blocking=True),))
    shop = Shop(tmp_path, replace(STRICT, ignored=(rule,)), options())
    shop.deliver(named(1), HEAD + "a,1.10,,\nSum,1.10,,\n\n")
    shop.deliver(named(2), HEAD + "b,1.10,,\nc,1.20,,\n")
    shop.load()
    assert shop.ledger("status") == ["loaded", "quarantined"]


def test_personal_figures_are_masked(tmp_path: Path) -> None:
    """The message about a personal column tells no figure."""
    columns = tuple(replace(item, personal=item.name == "amount") for item in STRICT.columns)
    shop = Shop(tmp_path, replace(STRICT, columns=columns), options())
    shop.deliver(named(1), HEAD + "a,31415.10,,\n,27182.10,,Total\n")
    shop.load()
    reason = shop.quarantine()[named(1)]["reason"]
    assert "31,415" not in reason
    assert "27,182" not in reason
    assert "its total is ***" in reason


def test_a_total_may_have_more_digits_than_its_values(tmp_path: Path) -> None:
    """The sum of many small numbers is no number of the column's type, and still exact."""
    small = (replace(STRICT.columns[1], sql_type="DECIMAL(4,2)"), replace(STRICT.columns[2], sql_type="TINYINT"))
    totals = contract(ControlTotal("amount", blocking=True), ControlTotal("pieces", blocking=True)).ignored
    shop = Shop(tmp_path, replace(STRICT, columns=(STRICT.columns[0], *small, STRICT.columns[3]), ignored=totals))
    lines = "".join(f"r{number},99.99,100,\n" for number in range(1000))
    shop.deliver(named(1), HEAD + lines + ",99990.00,100000,Total\n")
    shop.load()
    assert shop.ledger("status") == ["loaded"]


AMOUNTS = st.lists(st.decimals("-99999", "99999", places=2), max_size=12)


@settings(max_examples=effort(12, 300), deadline=None)
@given(files=st.lists(st.tuples(AMOUNTS, st.sampled_from([0, 0, 1, -1])), min_size=1, max_size=8))
def test_sums_are_exact(files: Sequence[tuple[list[Decimal], int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file is loaded if its total is the sum by Python's decimals, else refused; so says the oracle."""
    columns = tuple(
        replace(item, parsing=Parsing(decimal_separator=",", thousands_separator="."))
        if item.name == "amount"
        else item
        for item in STRICT.columns
    )
    source = replace(STRICT.source, delimiter=";")
    own = replace(STRICT, columns=columns, source=source)
    shop = Shop(tmp_path_factory.mktemp("totals"), own, options())
    meanings = {"totals": (Term("id"), Term("label", "Total"))}
    expected = {}
    for number, (amounts, cents) in enumerate(files, start=1):
        total = sum(amounts, Decimal(0)) + cents * CENT
        lines = [f"r{number}-{row};{german(amount)};;" for row, amount in enumerate(amounts)]
        text = "\n".join([HEAD.replace(",", ";").strip(), *lines, f";{german(total)};;Total"])
        shop.deliver(named(number), text)
        expected[named(number)] = cents == 0
        assert (outcome(Contract(own), text.encode(), named(number), meanings) == "control_total") is (cents != 0)
        tried()
    shop.load()
    assert {name: status == "loaded" for name, status in shop.ledger("file", "status")} == expected


def german(number: Decimal) -> str:
    """A number as a German till writes it."""
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))

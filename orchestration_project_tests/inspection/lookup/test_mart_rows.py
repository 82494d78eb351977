"""Which rows of marts a record feeds, told by `where` for whatever marts a project has."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, project
from orchestration_project_tests.inspection.lookup.desk import HEAD, MAIL, Desk, feed, mart

pytestmark = pytest.mark.promise("seen")
MONDAY, TUESDAY = "s_2024-01-01.csv", "s_2024-01-02.csv"
CLEANED = ["cleaned_orders"]
BY_VALUE = "SELECT _batch_date, value, sum(file) AS total, count(*) AS orders FROM cleaned_orders GROUP BY ALL"
DAILY = mart("by_value", BY_VALUE, CLEANED, ["_batch_date", "value"], batches_of="cleaned_orders")


def fed(desk: Desk, file: str = MONDAY, row: int = 1) -> dict[str, tuple[int, int, list[Any]]]:
    """By mart: the rows that the record feeds, those that are there, and their keys."""
    marts = desk.record(file, row)["marts"]
    assert [item["problem"] for item in marts if item["problem"]] == []
    return {item["mart"]: (item["rows"], item["present"], item["keys"]) for item in marts}


def loaded(desk: Desk, *records: str) -> Desk:
    desk.deliver(MONDAY, HEAD + "".join(f"{record}\n" for record in records))
    desk.load()
    desk.build()
    return desk


def test_the_row_of_its_batch_and_key(desk: Desk) -> None:
    """By partition and key; other records feed the same row, and other rows are not told."""
    loaded(desk.add(by_value=DAILY), "a,x,,1,1", "b,x,,1,2", "c,y,,1,3")
    for row in (1, 2):
        assert fed(desk, row=row) == {"by_value": (1, 1, [{"_batch_date": "2024-01-01", "value": "x"}])}


def test_through_other_marts(desk: Desk) -> None:
    """A mart that is made from marts is followed, by a key that its SELECT computes."""
    months = "SELECT strftime(_batch_date, '%Y-%m') AS month, sum(total) AS total FROM by_value GROUP BY ALL"
    desk.add(by_value=DAILY, a_months=mart("a_months", months, ["by_value"], ["month"]))
    assert fed(loaded(desk, "a,x,,1,1", "b,y,,1,1"))["a_months"] == (1, 1, [{"month": "2024-01"}])


def test_a_record_that_a_mart_leaves_out(desk: Desk) -> None:
    """A row of its key that others made is not told for it; one of its own is."""
    only = "SELECT value, count(*) AS n FROM cleaned_orders WHERE file > 1 GROUP BY ALL"
    loaded(desk.add(dear=mart("dear", only, CLEANED, ["value"])), "a,x,,1,1", "b,x,,1,2")
    assert (fed(desk, row=1), fed(desk, row=2)) == ({}, {"dear": (1, 1, [{"value": "x"}])})


def test_rows_that_other_inputs_make_are_not_told(desk: Desk) -> None:
    """Of a full join with a list only the row that the record changes, from either side."""
    joined = """SELECT coalesce(l.id, o.value) AS code, max(l.value) AS title, count(o.id) AS orders
        FROM cleaned_lists AS l FULL JOIN cleaned_orders AS o ON l.id = o.value GROUP BY ALL"""
    desk.add(lists=feed("lists", mode="snapshot"))
    desk.add(joined=mart("joined", joined, ["cleaned_lists", "cleaned_orders"], ["code"]))
    desk.deliver(MONDAY, f"{HEAD}x,Lamp,,1,1\ny,Chair,,1,1\n", "lists")
    desk.load("lists")
    loaded(desk, "a,x,,1,1", "b,z,,1,1")
    answers = {file["feed"]: file["record"]["marts"] for file in desk.where(MONDAY, 1)}
    assert {name: [item["keys"] for item in marts] for name, marts in answers.items()} == {
        "orders": [[{"code": "x"}]],
        "lists": [[{"code": "x"}]],
    }


def test_a_mart_of_rejects_and_of_raw_rows(desk: Desk) -> None:
    """A rejected record feeds what is made from rejects."""
    reasons = """WITH broken AS (SELECT _file, unnest(_reasons) AS reason FROM rejected_orders)
        SELECT _file, reason, count(*) AS n FROM broken GROUP BY ALL"""
    raw = "SELECT _file, count(*) AS n FROM raw_orders GROUP BY ALL"
    desk.add(broken=mart("broken", reasons, ["rejected_orders"], ["_file", "reason"]))
    desk.add(files=mart("files", raw, ["raw_orders"], ["_file"]))
    loaded(desk, "a,x,,y,-1")
    found = fed(desk)
    assert [key["reason"] for key in found["broken"][2]] == ["file: minimum", "row: type"]
    assert found["files"] == (1, 1, [{"_file": MONDAY}])


def test_a_mart_that_is_out_of_date(desk: Desk) -> None:
    """Rows that are not there yet are told as such; so before the mart was made at all."""
    desk.add(by_value=DAILY)
    desk.deliver(MONDAY, f"{HEAD}a,x,,1,1\n")
    desk.load()
    assert fed(desk)["by_value"][:2] == (1, 0)
    assert "0 of 1 there: materialize it" in desk.type("where", MONDAY, 1).stdout


def test_a_mart_without_a_key(desk: Desk) -> None:
    """Its one row is counted."""
    loaded(desk.add(one=mart("one", "SELECT count(*) AS n FROM cleaned_orders", CLEANED, [])), "a,x,,1,1")
    assert fed(desk) == {"one": (1, 1, [])}


def test_many_rows_are_counted(desk: Desk) -> None:
    """The first ten keys are told."""
    many = "SELECT id, unnest(generate_series(1, 25)) AS n FROM cleaned_orders"
    loaded(desk.add(many=mart("many", many, CLEANED, ["id", "n"])), "a,x,,1,1")
    rows, present, keys = fed(desk)["many"]
    assert (rows, present, len(keys)) == (25, 25, 10)
    assert "15 more" in desk.type("where", MONDAY, 1).stdout


def test_keys_that_come_from_personal_columns_are_masked(desk: Desk) -> None:
    """By whatever name and through whatever mart; a key whose origin is not known too."""
    buyers = "SELECT lower(mail) AS buyer, value, 1 AS fixed, count(*) AS n FROM cleaned_orders GROUP BY ALL"
    names = "SELECT left(buyer, 3) AS who, count(*) AS n FROM buyers GROUP BY ALL"
    desk.add(buyers=mart("buyers", buyers, CLEANED, ["buyer", "value", "fixed"]))
    desk.add(a_names=mart("a_names", names, ["buyers"], ["who"]))
    loaded(desk, f"a,x,{MAIL},1,1")
    assert fed(desk) == {
        "buyers": (1, 1, [{"buyer": "***", "value": "x", "fixed": "***"}]),
        "a_names": (1, 1, [{"who": "***"}]),
    }


def test_a_select_that_fails_shows_no_value(desk: Desk) -> None:
    """The mart is named, and what DuckDB quotes is left out."""
    cast = "SELECT mail::INTEGER AS n, count(*) AS m FROM cleaned_orders GROUP BY ALL"
    desk.add(bad=mart("bad", cast, CLEANED, ["n"]))
    desk.deliver(MONDAY, f"{HEAD}a,x,{MAIL},1,1\n")
    desk.load()
    (told,) = desk.record(MONDAY, 1)["marts"]
    assert told["problem"]
    printed = desk.type("where", MONDAY, 1).output
    assert "could not be told" in printed
    assert MAIL not in printed + told["problem"]


def test_the_shop_s_marts(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sale feeds the row of its product and day, and the product's; a product of the catalogue feeds its own."""
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), desk.data_dir, instance)
        bench.drop("sales", "sales_2024-01-15.csv", sales(sale("A1", product=7), sale("A2", product=8)))
        bench.drop("products", "p_2024-01-15.json", catalogue((7, "Lamp", "Living", 4.0), (9, "Pan", "Kitchen", 5.0)))
        bench.run(
            *("raw_sales", "cleaned_sales", "rejected_sales"), *("raw_products", "cleaned_products"),
            *("rejected_products", "product_daily_sales", "product_warehouse"),
            first="2024-01-15", last="2024-01-15", raise_on_error=False,
        )  # fmt: skip
    product = {"product_warehouse": (1, 1, [{"product_id": "7"}])}
    daily = {"product_daily_sales": (1, 1, [{"_batch_date": "2024-01-15", "product_id": "7"}])}
    assert fed(desk, "sales_2024-01-15.csv") == daily | product
    assert fed(desk, "p_2024-01-15.json") == product

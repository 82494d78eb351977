"""A feed's run by the entrances that users use: what is in the tables, recorded in Dagster, found by the checks."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

import dagster as dg
import pytest

from orchestration_project_tests.components.sales_files import HEADER, catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, evaluations, materializations, project, value

DAY, NEXT = "2024-01-15", "2024-01-16"
GOOD = sales(sale("A1"), sale("A2", product=2, quantity=3, price="19.99"), sale("A3", customer=""))
BAD = sales(
    sale("B1", quantity=0, channel="fax", day=NEXT),
    sale("B2", quantity="two", day=NEXT),
    sale("B3", customer="C-SECRET", product="", day=NEXT),
    sale("B4", day=NEXT),
    "",
    "B5,1,1",
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workbench, dg.ExecuteInProcessResult]]:
    """One good and one bad day, loaded as a range by the feed's job."""
    bench = Workbench(project(), tmp_path_factory.mktemp("loaded"))
    with bench.instance:
        bench.drop("products", "products.json", catalogue((1, "Kettle", "Kitchen", 20.0), (3, "Lamp", "Living", 40.0)))
        bench.run("raw_products", "cleaned_products", "rejected_products")
        bench.drop("sales", f"sales_{DAY}.csv", GOOD)
        bench.drop("sales", f"sales_{NEXT}.csv", BAD)
        yield bench, bench.run(first=DAY, last=NEXT, job="sales_job")


Loaded = tuple[Workbench, dg.ExecuteInProcessResult]


def test_a_range_run_fills_every_table(loaded: Loaded) -> None:
    """Raw has every record, cleaned the sound ones with derived columns, rejected the others with every reason."""
    bench, _ = loaded
    assert bench.query("SELECT _batch_date, count(*) FROM raw_sales GROUP BY 1 ORDER BY 1") == [
        (dt.date(2024, 1, 15), 3),
        (dt.date(2024, 1, 16), 6),
    ]
    assert bench.query("SELECT order_id, total_amount FROM cleaned_sales ORDER BY 1") == [
        ("A1", Decimal("10.00")),
        ("A2", Decimal("59.97")),
        ("A3", Decimal("10.00")),
        ("B4", Decimal("10.00")),
    ]
    assert bench.query("SELECT _row, list_sort(_reasons) FROM rejected_sales ORDER BY 1") == [
        (1, ["channel: enum", "quantity: minimum"]),
        (2, ["quantity: type"]),
        (3, ["product_id: required"]),
        (6, ["_raw_line: too_few_columns"]),
    ]


def test_a_range_run_records_each_batch_with_its_own_numbers(loaded: Loaded) -> None:
    """Every table has a materialization a batch: rows, bytes, files, rejects by reason and reject rate of it."""
    _, result = loaded
    raw, cleaned = materializations(result, "raw_sales"), materializations(result, "cleaned_sales")
    rejected = materializations(result, "rejected_sales")
    assert set(raw) == set(cleaned) == set(rejected) == {DAY, NEXT}
    rows = {
        name: [value(item.metadata, "dagster/partition_row_count") for item in (table[DAY], table[NEXT])]
        for name, table in {"raw": raw, "cleaned": cleaned, "rejected": rejected}.items()
    }
    assert rows == {"raw": [3, 6], "cleaned": [3, 1], "rejected": [0, 4]}
    assert value(raw[DAY].metadata, "bytes") == len(GOOD)
    (file,) = value(raw[NEXT].metadata, "files")
    assert (file["file"], file["status"], file["bytes"], file["records"]) == (
        f"sales_{NEXT}.csv",
        "loaded",
        len(BAD),
        6,
    )
    assert value(cleaned[NEXT].metadata, "reject_rate") == pytest.approx(0.8)
    assert value(rejected[NEXT].metadata, "rejects_by_reason")[0].keys() == {"reason", "records", "share"}
    assert {row["reason"]: row["records"] for row in value(rejected[NEXT].metadata, "rejects_by_reason")} == {
        "channel: enum": 1,
        "quantity: minimum": 1,
        "quantity: type": 1,
        "product_id: required": 1,
        "_raw_line: too_few_columns": 1,
    }


def test_a_range_run_makes_the_marts(loaded: Loaded) -> None:
    """The unpartitioned mart is made once, the daily one for each batch, both by the same run."""
    bench, result = loaded
    assert set(materializations(result, "product_daily_sales")) == {DAY, NEXT}
    assert set(materializations(result, "product_warehouse")) == {None}
    assert bench.query("SELECT product_id, units_sold, in_catalog FROM product_warehouse ORDER BY 1") == [
        (1, 6, True),
        (2, 3, False),
        (3, 0, True),
    ]


def test_failed_rules_warn_with_counts(loaded: Loaded) -> None:
    """Rejected records make the rules' checks warn, which blocks nothing; the rules that held pass."""
    _, result = loaded
    found = evaluations(result)
    failed = {name: item for name, item in found.items() if not item.passed}
    assert set(failed) == {
        "channel_enum",
        "quantity_minimum",
        "quantity_type",
        "product_id_required",
        "records_readable",
        "reject_rate",
        "orphan_products",
    }
    assert {item.severity for item in failed.values()} == {dg.AssetCheckSeverity.WARN}
    assert value(failed["quantity_minimum"].metadata, "rejected_records") == 1
    assert value(failed["quantity_minimum"].metadata, "published_rows_breaking_it") == 0
    assert found["accounting"].passed
    assert {
        name: value(found["accounting"].metadata, name) for name in ("records", "cleaned", "rejected", "blank")
    } == {
        "records": 9,
        "cleaned": 4,
        "rejected": 4,
        "blank": 1,
    }


def test_every_check_tells_what_was_expected_and_what_was_found(loaded: Loaded) -> None:
    """Whatever a check is about, its metadata begins with the same two entries, in words."""
    _, result = loaded
    for name, found in evaluations(result).items():
        assert list(found.metadata)[:2] == ["expected", "found"], name
        assert all(value(found.metadata, key) for key in ("expected", "found")), name


def test_expected_and_found_in_words(loaded: Loaded) -> None:
    """They say what the contract or the platform asks for, and what the batches of the run have."""
    _, result = loaded
    told = {
        name: (value(found.metadata, "expected"), value(found.metadata, "found"))
        for name, found in evaluations(result).items()
    }
    assert told["quantity_minimum"] == (
        "quantity is at least 1 (contract: minimum).",
        "1 rejected records, 0 published rows that break it",
    )
    assert told["not_empty"] == ("more than 0", "1 to 3")
    assert told["reject_rate"] == ("at most 5.00%", "50.00%")
    assert told["files_accepted"] == ("no refused file", "0 refused files")
    assert value(evaluations(result)["quantity_minimum"].metadata, "share") == 1 / 8


def test_samples_mask_personal_values(loaded: Loaded) -> None:
    """The rows that a check shows tell file, record and reasons, but not what the contract calls personal."""
    _, result = loaded
    found = evaluations(result)
    (row,) = value(found["product_id_required"].metadata, "sample")
    assert row == {"_file": f"sales_{NEXT}.csv", "_row": 3, "product_id": "", "_reasons": "product_id: required"}
    assert "C-SECRET" not in str(result.all_events)
    (line,) = value(found["records_readable"].metadata, "sample")
    assert line["_raw_line"] == "***"


def test_a_good_file_passes_all_checks(bench: Workbench) -> None:
    """Data of the past is not late: whatever came after it was due before this warehouse had anything."""
    bench.drop("sales", f"sales_{DAY}.csv", GOOD)
    found = evaluations(bench.run("raw_sales", "cleaned_sales", "rejected_sales", first=DAY))
    assert [name for name, item in found.items() if not item.passed] == []
    told = found["newest_batch"].description or ""
    assert told.startswith("Newest batch: 2024-01-15; those after it were due before the feed's first load here; the")


def test_newest_batch_is_in_time_today(bench: Workbench) -> None:
    """Yesterday's batch is as new as the contract's latency asks for."""
    yesterday = f"{dt.datetime.now(dt.UTC) - dt.timedelta(days=1):%F}"
    bench.drop("sales", f"sales_{yesterday}.csv", sales(sale("A1", day=yesterday)))
    assert evaluations(bench.run("raw_sales", first=yesterday))["newest_batch"].passed


def test_raw_alone_then_cleaned_alone(bench: Workbench) -> None:
    """`raw_sales` alone writes only raw; `cleaned_sales` alone publishes both sides and records both."""
    bench.drop("sales", f"sales_{NEXT}.csv", BAD)
    first = bench.run("raw_sales", first=NEXT)
    assert bench.query("SELECT count(*) FROM raw_sales") == [(6,)]
    assert bench.query("SELECT (SELECT count(*) FROM cleaned_sales), (SELECT count(*) FROM rejected_sales)") == [(0, 0)]
    assert not materializations(first, "cleaned_sales")
    assert bench.landing("sales") == []

    second = bench.run("cleaned_sales", first=NEXT)
    assert bench.query("SELECT (SELECT count(*) FROM cleaned_sales), (SELECT count(*) FROM rejected_sales)") == [(1, 4)]
    assert not materializations(second, "raw_sales")
    assert value(materializations(second, "cleaned_sales")[NEXT].metadata, "dagster/partition_row_count") == 1
    assert value(materializations(second, "rejected_sales")[NEXT].metadata, "dagster/partition_row_count") == 4
    assert evaluations(second)["accounting"].passed


def test_an_earlier_batch_updates_later_ones(bench: Workbench) -> None:
    """A late batch that takes a key from a later one changes that one too: cleaned, rejected and mart, recorded."""
    bench.drop("sales", f"sales_{NEXT}.csv", sales(sale("A1", quantity=5, day=NEXT), sale("A2", day=NEXT)))
    bench.run(first=NEXT, job="sales_job")
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1", quantity=1)))
    result = bench.run(first=DAY, job="sales_job")
    assert set(materializations(result, "cleaned_sales")) == {DAY, NEXT}
    assert set(materializations(result, "product_daily_sales")) == {DAY, NEXT}
    assert bench.query("SELECT _batch_date::VARCHAR, units_sold FROM product_daily_sales ORDER BY 1") == [
        (DAY, 1),
        (NEXT, 2),
    ]
    assert bench.query("SELECT units_sold FROM product_warehouse") == [(3,)]


def test_refused_file_is_told(bench: Workbench) -> None:
    """A file without a required column fails `files_accepted` as an error, is shown, and the others are loaded."""
    bench.drop("sales", f"sales_{DAY}.csv", GOOD)
    bench.drop("sales", f"late_sales_{DAY}.csv", "order_id,order_line\nA9,1\n")
    result = bench.run("raw_sales", "cleaned_sales", first=DAY)
    found = evaluations(result)["files_accepted"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    (refused,) = value(materializations(result, "raw_sales")[DAY].metadata, "refused_files")
    assert (refused["file"], refused["rule"]) == (f"late_sales_{DAY}.csv", "missing_column")
    assert bench.query("SELECT count(*) FROM cleaned_sales") == [(3,)]
    assert not evaluations(bench.run("raw_sales", first=DAY))["files_accepted"].passed
    bench.drop("sales", f"late_sales_{DAY}.csv", sales(sale("A9")))
    assert evaluations(bench.run("raw_sales", first=DAY))["files_accepted"].passed


def test_unexpected_columns_warn(bench: Workbench) -> None:
    """Values of columns that the contract does not know are kept, and named by a warning."""
    bench.drop("sales", f"sales_{DAY}.csv", f"{HEADER},till\n{sale('A1')},7\n{sale('A2')},\n")
    found = evaluations(bench.run("raw_sales", first=DAY))["unexpected_columns"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert value(found.metadata, "columns")[0]["column"] == "till"
    assert bench.query("SELECT count(*) FROM raw_sales WHERE _rescued IS NOT NULL") != [(0,)]


def test_odd_volume_warns(bench: Workbench) -> None:
    """A batch that is far from those of the same weekday before it is named; until there are three, the feed learns."""
    mondays = [f"{dt.date(2024, 1, 15) + weeks * dt.timedelta(weeks=1):%F}" for weeks in range(4)]
    for day in mondays[:3]:
        lines = [sale(f"{day}-{number}", day=day) for number in range(4)]
        bench.drop("sales", f"sales_{day}.csv", sales(*lines))
        learning = evaluations(bench.run("raw_sales", first=day))["volume"]
        assert learning.passed
        assert learning.description == f"Learning: {day} can't be compared yet with 3 or more earlier ones."
    bench.drop("sales", f"sales_{mondays[3]}.csv", sales(sale("D", day=mondays[3])))
    found = evaluations(bench.run("raw_sales", first=mondays[3]))["volume"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert value(found.metadata, "batches") == [
        {"batch": mondays[3], "records": 1, "median before": 4.0, "from": 1.3, "to": 12.0}
    ]


def test_quality_rule_of_the_contract_blocks(bench: Workbench) -> None:
    """A batch that breaks a quality rule with severity error fails the run before the marts."""
    bench.drop("sales", f"sales_{DAY}.csv", sales(*(sale(f"A{number}") for number in range(9))))
    bench.run(first=DAY, job="sales_job")
    bench.drop("sales", f"sales_{DAY}.csv", HEADER + "\n")
    result = bench.run(first=DAY, job="sales_job", raise_on_error=False)
    found = evaluations(result)["not_empty"]
    assert (result.success, found.passed, found.severity) == (False, False, dg.AssetCheckSeverity.ERROR)
    assert (value(found.metadata, "expected"), value(found.metadata, "found")) == ("more than 0", "0")
    assert value(found.metadata, "by_batch") == [{"batch": DAY, "found": 0.0}]
    assert not materializations(result, "product_daily_sales")
    assert bench.query("SELECT sum(units_sold) FROM product_warehouse") == [(18,)]


def test_a_batch_without_files_passes(bench: Workbench) -> None:
    """A run for days without a file succeeds before the first file ever came: there is nothing to check."""
    result = bench.run(first=DAY, last=NEXT, job="sales_job")
    found = evaluations(result)
    assert result.success
    assert found["accounting"].description == "All files balance: 0."
    assert found["delivered"].description == (
        f"{DAY} is not expected: no file of the feed was ever accepted (and 1 more)."
    )
    assert {name for name, item in found.items() if not item.passed} == {"newest_batch"}


def test_an_expected_day_without_files_stops_its_marts(bench: Workbench) -> None:
    """A run for a day that the calendar expects and of which nothing came is red, and makes no mart."""
    bench.drop("sales", f"sales_{DAY}.csv", GOOD)
    assert bench.run(first=DAY, job="sales_job").success
    result = bench.run(first=NEXT, job="sales_job", raise_on_error=False)
    assert not result.success
    assert (evaluations(result)["delivered"].description or "").endswith("05:00 UTC, and nothing came.")
    assert not materializations(result, "product_daily_sales")
    assert not materializations(result, "product_warehouse")


def test_a_catalogue_that_never_came_blocks_nothing(bench: Workbench) -> None:
    """Without any products file the rule that a catalogue is not empty has nothing to check; sales get their mart."""
    bench.drop("sales", f"sales_{DAY}.csv", GOOD)
    result = bench.run(first=DAY, last=DAY)
    assert evaluations(result)["not_empty"].passed
    assert bench.query("SELECT product_id, in_catalog FROM product_warehouse ORDER BY 1") == [(1, False), (2, False)]


@pytest.mark.parametrize(
    ("damage", "check", "severity"),
    [
        pytest.param("DELETE FROM cleaned_sales WHERE order_id = 'A1'", "accounting", "ERROR", id="lost row"),
        pytest.param(
            "INSERT INTO rejected_sales BY NAME SELECT order_id, _batch_date, _file, _file_version FROM raw_sales",
            "accounting",
            "ERROR",
            id="twice",
        ),
        pytest.param("UPDATE cleaned_sales SET quantity = 0", "quantity_minimum", "ERROR", id="rule"),
        pytest.param("UPDATE cleaned_sales SET channel = 'fax'", "channel_enum", "ERROR", id="enum"),
        pytest.param("UPDATE cleaned_sales SET order_id = 'A1'", "primary_key", "ERROR", id="key"),
    ],
)
def test_tampering_is_found(bench: Workbench, damage: str, check: str, severity: str) -> None:
    """A check of its own finds what somebody did to the tables, and is an error."""
    bench.drop("sales", f"sales_{DAY}.csv", GOOD)
    bench.run("raw_sales", "cleaned_sales", first=DAY)
    bench.query(damage)
    found = bench.check(("cleaned_sales", check))[check]
    assert (found.passed, found.severity.value) == (False, severity)


def test_checks_before_the_first_load_warn(bench: Workbench) -> None:
    """Checks that are run on an empty warehouse say so and do not fail the run."""
    found = bench.check(("cleaned_sales", "accounting"), ("product_warehouse", "orphan_products"))
    assert found["accounting"].description == "Nothing has been loaded yet."
    assert found["orphan_products"].passed


def test_unbalanced_files_stop_the_marts(bench: Workbench) -> None:
    """Rows of a file that the ledger does not know fail accounting, and nothing downstream is computed from them."""
    bench.drop("sales", f"sales_{DAY}.csv", GOOD)
    bench.run("raw_sales", "cleaned_sales", first=DAY)
    bench.query("INSERT INTO raw_sales SELECT * REPLACE ('ghost.csv' AS _file) FROM raw_sales")
    result = bench.run("cleaned_sales", "product_daily_sales", "product_warehouse", first=DAY, raise_on_error=False)
    assert not result.success
    assert not materializations(result, "product_daily_sales")


def test_snapshot_replaces_the_catalogue(bench: Workbench) -> None:
    """Each products file is the whole truth; the row counts recorded are those of the table."""
    bench.drop("products", "products_2024-01-15.json", catalogue((1, "Kettle", "Kitchen", 20.0), (2, "", "Garden", 1)))
    first = bench.run(job="products_job")
    assert value(materializations(first, "cleaned_products")[None].metadata, "dagster/row_count") == 1
    assert value(materializations(first, "rejected_products")[None].metadata, "rejects_by_reason") == [
        {"reason": "name: required", "records": 1, "share": 1.0}
    ]
    bench.drop("products", "products_2024-01-16.json", catalogue((3, "Lamp", "Living", 40.0)))
    bench.run(job="products_job")
    assert bench.query("SELECT product_id, product_code, price_category FROM cleaned_products") == [
        (3, "LIV003", "High")
    ]
    assert bench.query("SELECT product_id, name, in_catalog FROM product_warehouse ORDER BY 1") == [
        (1, "Kettle", False),
        (3, "Lamp", True),
    ]

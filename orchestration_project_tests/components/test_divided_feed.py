"""A feed whose files are divided by `batch_column`, as Dagster has it: runs, partitions, checks, marts, refusals."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from orchestration_project_tests.components.test_file_feed import CONTRACT, DATE, failure, folder
from orchestration_project_tests.components.workbench import Workbench, evaluations, feeds, materializations, value

DAY_READ = "      - {name: day, physicalType: DATE, logicalType: date, required: true}\n"
DIVIDED = CONTRACT + DAY_READ
MART = {
    "daily.sql": "SELECT _batch_date, sum(kwh)::BIGINT AS kwh FROM cleaned_meters GROUP BY _batch_date",
    "defs.yaml": yaml.safe_dump(
        {
            "type": "orchestration_project.components.SqlTable",
            "attributes": {
                "query": "daily.sql",
                "description": "Energy of each day.",
                "inputs": ["cleaned_meters"],
                "batches_of": "cleaned_meters",
                "key": ["_batch_date"],
                "columns": {"_batch_date": "Day.", "kwh": "Energy."},
                "reconcile": {"input": "cleaned_meters", "totals": {"kwh": "kwh"}},
            },
        }
    ),
}
HEADER = "meter,kwh,day\n"
CAME, NEXT = "2024-03-10", "2024-03-11"


def noon(day: str) -> float:
    """Noon of a day, in seconds since the epoch."""
    return dt.datetime.fromisoformat(f"{day} 12:00+00:00").timestamp()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """A divided feed with a mart of days."""
    meters = folder(DIVIDED, batch_column="day", start_date="2024-01-01")
    with feeds(meters=meters, daily=MART) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, tmp_path, instance)


def test_a_run_for_the_day_of_delivery_materializes_all_days(bench: Workbench) -> None:
    """Tables, checks and marts of every day that a file has records of, and a correction takes days away again."""
    bench.drop("meters", "year.csv", f"{HEADER}M1,5,2024-01-15\nM2,-1,2024-01-15\nM1,7,2024-02-20\n", noon(CAME))
    result = bench.run(job="meters_job", first=CAME)
    days = {"2024-01-15", "2024-02-20", CAME}
    for table in ("raw_meters", "cleaned_meters", "rejected_meters"):
        assert set(materializations(result, table)) == days
    told = materializations(result, "cleaned_meters")["2024-01-15"].metadata
    assert value(told, "dagster/partition_row_count") == 1
    found = evaluations(result)
    assert (found["accounting"].passed, value(found["accounting"].metadata, "records")) == (True, 3)
    assert not found["kwh_minimum"].passed
    assert found["day_batch"].passed
    mart = "SELECT _batch_date::VARCHAR, kwh FROM daily ORDER BY 1"
    assert bench.query(mart) == [("2024-01-15", 5), ("2024-02-20", 7)]
    bench.drop("meters", "year.csv", f"{HEADER}M1,8,2024-02-20\nM1,1,2023-12-31\n", noon(NEXT))
    again = bench.run(job="meters_job", first=NEXT)
    assert {"2024-01-15", "2024-02-20", NEXT} <= set(materializations(again, "cleaned_meters"))
    assert bench.query(mart) == [("2024-02-20", 8)]
    assert not evaluations(again)["day_batch"].passed
    assert bench.query("SELECT _batch_date::VARCHAR, _reasons FROM rejected_meters") == [(NEXT, ["day: batch"])]


@pytest.mark.parametrize(
    ("attributes", "contract", "told"),
    [
        pytest.param({"mode": "snapshot"}, DIVIDED, "batch_column does not fit mode: snapshot", id="snapshot"),
        pytest.param({"mode": "snapshot", "history": True}, DIVIDED, "does not fit mode: snapshot", id="history"),
        pytest.param(
            {"cadence": "yearly"}, DIVIDED, "fits the cadences daily, weekly, monthly, not yearly", id="yearly"
        ),
        pytest.param({"cadence": "hourly"}, DIVIDED, "not hourly", id="hourly"),
        pytest.param({"batch_pattern": DATE}, DIVIDED, "batch_column and batch_pattern both tell", id="pattern"),
        pytest.param(
            {"batch_column": "dai"}, DIVIDED, "'dai' is no date or timestamp of the records; did you", id="typo"
        ),
        pytest.param({"batch_column": "kwh"}, DIVIDED, "'kwh' is no date or timestamp of the records", id="number"),
        pytest.param(
            {},
            DIVIDED.replace("name: meter,", "name: meter, customProperties: [{property: fillDown, value: true}],"),
            "batch_column does not fit fillDown",
            id="fill down",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(attributes: dict[str, Any], contract: str, told: str) -> None:
    """Definitions do not load, and the error says what contradicts what."""
    assert told in failure(folder(contract, **{"batch_column": "day", **attributes}))

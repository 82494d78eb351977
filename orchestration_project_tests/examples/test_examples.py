"""The examples: feeds made of a contract and a `defs.yaml` alone, on files that nobody here wrote."""

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration_project.components.file_feed import FileFeed
from orchestration_project.contracts import load_feed
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, feeds

SHARED = REPOSITORY.parent / "shared" / "data"
EXAMPLES = REPOSITORY / "examples"
TAXI = "yellow_tripdata_2018-01.csv"
TAXI_HEADER = (
    "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,rate_code_id,store_and_fwd_flag,"
    "pickup_location_id,dropoff_location_id,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
    "improvement_surcharge,total_amount,congestion_surcharge"
)


def shared_files(folder: str) -> list[Path]:
    """The files of a real data set; the test is skipped when it is not beside the checkout."""
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the data set {folder} is not beside the checkout ({SHARED / folder})")
    return sorted((SHARED / folder).glob("*.csv"))


def folder_of(example: str) -> dict[str, str]:
    """The files of an example, as a person copies them."""
    return {path.name: path.read_text(encoding="utf-8") for path in (EXAMPLES / example).iterdir() if path.is_file()}


@pytest.fixture
def online_retail(tmp_path: Path) -> Iterator[Workbench]:
    with feeds(online_retail=folder_of("online_retail")) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, tmp_path, instance)


@pytest.fixture
def nyc_taxi(tmp_path: Path) -> Iterator[Workbench]:
    with feeds(nyc_taxi=folder_of("nyc_taxi")) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, tmp_path, instance)


def test_online_retail_by_its_job(online_retail: Workbench) -> None:
    """A few days are loaded by the feed's job: every row is accounted for, cancellations count."""
    files = shared_files("online_retail")[:3]
    for file in files:
        online_retail.drop("online_retail", file.name, file.read_bytes())
    days = [file.stem.removeprefix("sales_") for file in files]
    result = online_retail.run(job="online_retail_job", first=days[0], last=days[-1])
    failed = {item.check_name for item in result.get_asset_check_evaluations() if not item.passed}
    assert failed <= {"newest_batch", "known_customers"}
    rows = sum(file.read_bytes().count(b"\n") - 1 for file in files)
    assert online_retail.query("SELECT count(*) FROM cleaned_online_retail") == [(rows,)]
    assert online_retail.query("SELECT count(*) > 0 FROM cleaned_online_retail WHERE invoice_no LIKE 'C%'") == [(True,)]


def test_all_of_online_retail_reconciles(tmp_path: Path) -> None:
    """All 219 files in one load: the sums are those that were measured outside, to the tenth of a penny."""
    landing = tmp_path / "landing" / "online_retail"
    landing.mkdir(parents=True)
    for file in shared_files("online_retail"):
        shutil.copy2(file, landing)
    attributes = {
        "contract": "online_retail.odcs.yaml",
        "batch_pattern": r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})",
    }
    spec = FileFeed.model_validate(attributes).spec_of(
        load_feed(EXAMPLES / "online_retail" / "online_retail.odcs.yaml")
    )
    settings = Settings(data_dir=tmp_path)
    days = [dt.date(2010, 12, 1) + dt.timedelta(days=number) for number in range(274)]
    load(Warehouse.from_settings(settings), settings, spec.feed, spec.options, Request(days), print)
    with duckdb.connect(str(settings.database)) as connection:
        found = connection.execute(
            """SELECT count(*), count(DISTINCT invoice_no), count(*) FILTER (customer_id IS NULL),
               count(*) FILTER (description IS NULL), count(*) FILTER (quantity < 0), count(*) FILTER (unit_price = 0),
               count(*) FILTER (unit_price < 0), count(*) FILTER (invoice_no LIKE 'C%'), sum(line_amount),
               sum(line_amount) FILTER (quantity > 0 AND unit_price > 0 AND invoice_no NOT LIKE 'C%')
               FROM cleaned_online_retail"""
        ).fetchone()
        rejected = connection.execute("SELECT count(*) FROM rejected_online_retail").fetchone()
    assert rejected == (0,)
    assert found == (
        320_705,
        16_459,
        88_652,
        1_161,
        6_772,
        1_797,
        2,
        5_847,
        Decimal("5761931.382"),
        Decimal("6304826.062"),
    )
    assert len(list((tmp_path / "archive" / "online_retail").glob("20*/**/*.csv"))) == 219


def test_nyc_taxi_by_its_job(nyc_taxi: Workbench) -> None:
    """A month of trips is one batch, refunds with negative amounts included."""
    file = shared_files("nyc_taxi")[0]
    nyc_taxi.drop("nyc_taxi", file.name, file.read_bytes())
    first = file.stem[-7:] + "-01"
    result = nyc_taxi.run(job="nyc_taxi_job", first=first)
    failed = {item.check_name: item.description for item in result.get_asset_check_evaluations() if not item.passed}
    assert set(failed) <= {"newest_batch"}, failed
    ((raw, cleaned, refunds),) = nyc_taxi.query(
        """SELECT (SELECT count(*) FROM raw_nyc_taxi), count(*), count(*) FILTER (total_amount < 0)
           FROM cleaned_nyc_taxi"""
    )
    assert raw == cleaned == 10_000
    assert refunds > 0


def test_trips_that_end_before_they_start_are_rejected(nyc_taxi: Workbench) -> None:
    """A pick-up after the drop-off breaks a rule of the derived duration; a trip of no time is kept."""
    rest = "1,2.5,1,N,100,200,1,9,0.5,0.5,0,0,0.3,{total},"
    trips = [
        f"1,2018-01-05 10:00:00,2018-01-05 10:30:00,{rest.format(total='10.3')}",
        f"1,2018-01-05 10:30:00,2018-01-05 10:00:00,{rest.format(total='10.3')}",
        f"2,2018-01-05 10:00:00,2018-01-05 10:00:00,{rest.format(total='-10.3')}",
    ]
    nyc_taxi.drop("nyc_taxi", TAXI, "\n".join([TAXI_HEADER, *trips]) + "\n")
    nyc_taxi.run(job="nyc_taxi_job", first="2018-01-01")
    assert nyc_taxi.query("SELECT _row, _reasons FROM rejected_nyc_taxi") == [(2, ["trip_seconds: minimum"])]
    assert nyc_taxi.query("SELECT trip_seconds, total_amount > 0 FROM cleaned_nyc_taxi ORDER BY 1") == [
        (0, False),
        (1800, True),
    ]


def test_examples_are_contract_and_defs_alone() -> None:
    """An example holds no Python."""
    found = {path.suffix for _, _, names in os.walk(EXAMPLES) for path in map(Path, names)}
    assert found <= {".yaml", ".md"}

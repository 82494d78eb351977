"""The example of monthly Parquet: fetched by HTTP, delivered to an object store and to PostgreSQL, exact to the cent.

What the targets have is compared with the served files as another program reads them: fastparquet, not DuckDB.
"""

import csv
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import psycopg
import pytest

from orchestration_project_tests.components.workbench import Workbench, copy_of_project, feeds, value
from orchestration_project_tests.examples.taxi_trips import TABLE, in_database, in_lake, places, served_trips, sums_of
from orchestration_project_tests.examples.test_examples import EXAMPLES, folder_of, shared_files
from orchestration_project_tests.pages import ROOT, blocks_of
from orchestration_project_tests.reliability.evidence import effort
from orchestration_project_tests.servers.postgres import OWNER, PASSWORD, PostgresServer
from orchestration_project_tests.servers.s3 import BUCKET, S3Server

pytestmark = pytest.mark.xdist_group("s3")

FEED = "nyc_taxi"
# The TLC wrote passengers and tariffs of older months as floats, since some are empty.
OLDER_SQL = """
SELECT vendor_id AS VendorID, pickup_datetime AS tpep_pickup_datetime, dropoff_datetime AS tpep_dropoff_datetime,
    passenger_count::DOUBLE AS passenger_count, trip_distance, rate_code_id::DOUBLE AS RatecodeID, store_and_fwd_flag,
    pickup_location_id AS PULocationID, dropoff_location_id AS DOLocationID, payment_type, fare_amount, extra, mta_tax,
    tip_amount, tolls_amount, improvement_surcharge, total_amount, NULL::DOUBLE AS congestion_surcharge,
    NULL::INTEGER AS airport_fee
FROM {trips}
"""
THREE_TRIPS = """
(SELECT 1 AS vendor_id, TIMESTAMP '2018-01-05 10:00' + to_minutes(start) AS pickup_datetime,
    TIMESTAMP '2018-01-05 10:00' + to_minutes(stop) AS dropoff_datetime, 1 AS passenger_count, 2.5 AS trip_distance,
    1 AS rate_code_id, 'N' AS store_and_fwd_flag, 100 AS pickup_location_id, 200 AS dropoff_location_id,
    1 AS payment_type, 9.0 AS fare_amount, 0.5 AS extra, 0.5 AS mta_tax, 0 AS tip_amount, 0 AS tolls_amount,
    0.3 AS improvement_surcharge, total AS total_amount
FROM (VALUES (0, 30, 10.3), (30, 0, 10.3), (0, 0, -10.3)) AS trips(start, stop, total))
"""


@dataclass
class Pipeline:
    """The example in a project, with the servers that it needs.

    Attributes:
        project: a copy of the project, whose shop has the example.
        environment: of its commands.
        months: the folder that is served.
        lake: the URL of its place in the object store.
        database: the URL of its database, with the password.
        bench: the example's definitions, on the data of the copy.
        printed: what the two commands have told.
    """

    project: Path
    environment: dict[str, str]
    months: Path
    lake: str
    database: str
    bench: Workbench
    printed: str = ""

    def type(self, text: str) -> str:
        """What a block of a page prints, typed in the project's folder."""
        command = ["bash", "-e", "-o", "pipefail", "-c", text]
        done = subprocess.run(
            command,
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def fetch(self) -> dict[str, Any]:
        """Fetch as the schedule does; tells the observation's metadata."""
        self.bench.run(job=f"fetch_{FEED}")
        (record,) = self.bench.instance.fetch_observations(dg.AssetKey(f"source_{FEED}"), limit=1).records
        assert record.asset_observation
        metadata = record.asset_observation.metadata
        return {name: value(metadata, name) for name in ("listed", "landed", "unchanged", "failed")}

    def load_and_deliver(self, month: str) -> None:
        """Load what landed and deliver it, as the sensors do."""
        self.bench.run(job=f"{FEED}_job", first=f"{month}-01")
        for target in ("lake", "database"):
            self.bench.run(job=f"deliver_{FEED}_{target}", first=f"{month}-01")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The example's own server with three months in a folder; gives the address that it prints."""
    command = [sys.executable, str(EXAMPLES / FEED / "server.py"), str(folder), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            # SIGTERM is handled as SIGINT where the tests run, which a session in the background ignores.
            server.kill()


@pytest.fixture(scope="module")
def pipeline(
    s3_server: S3Server, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """The example after the commands of docs/fetch.md."""
    folder = tmp_path_factory.mktemp("nyc")
    project, months = folder / "project", folder / "months"
    database = postgres.new_database()
    if s3_server.process is None:
        s3_server.start()
    with served(months) as url, pytest.MonkeyPatch.context() as patch:
        addresses = {
            "NYC_TAXI_URL": url,
            "NYC_TAXI_LAKE_URL": f"s3://{BUCKET}/{uuid.uuid4().hex}",
            "NYC_TAXI_DATABASE_URL": f"postgresql://{OWNER}@127.0.0.1:{postgres.port}/{database}",
            "PGPASSWORD": PASSWORD,
            **s3_server.environment,
        }
        for name, text in addresses.items():
            patch.setenv(name, text)
        project.mkdir()
        environment = copy_of_project(project) | {"HOME": str(folder)}
        (project / "examples").symlink_to(EXAMPLES)
        (project / ".venv").symlink_to(sys.prefix)
        with feeds(nyc_taxi=yaml_files()) as defs, dg.DagsterInstance.ephemeral() as instance:
            bench = Workbench(defs, project / "data", instance)
            made = Pipeline(project, environment, months, addresses["NYC_TAXI_LAKE_URL"], postgres.url(database), bench)
            for text in typed_blocks():
                made.printed += made.type(text)
            yield made


def yaml_files() -> dict[str, str]:
    """What a person copies of the example: its server stays outside."""
    return {name: text for name, text in folder_of(FEED).items() if name.endswith(".yaml")}


def typed_blocks() -> list[str]:
    """What docs/fetch.md has a person type for the example, but for the addresses."""
    blocks = [block.text for block in blocks_of(ROOT / "docs/fetch.md") if FEED in block.text]
    return [text for text in blocks if "export" not in text]


def require_same(pipeline: Pipeline, server: S3Server, *months: str) -> None:
    """Both targets have the good trips of the served files, each as often as it is there, and their sums."""
    trips = served_trips(pipeline.months)
    sums = sums_of(trips)
    assert {*sums} == {*months}
    assert in_lake(pipeline.lake, server) == (trips, sums)
    assert in_database(pipeline.database) == (trips, sums)


def test_two_commands_bring_the_months_to_both_targets(pipeline: Pipeline, s3_server: S3Server) -> None:
    """As docs/fetch.md types them, they fetch, load and deliver: what both targets have are the files' good trips."""
    assert "3 listed, 3 landed" in pipeline.printed
    assert "0 failed" in pipeline.printed
    assert len(typed_blocks()) == 2
    require_same(pipeline, s3_server, "2024-01", "2024-02", "2024-03")
    assert pipeline.bench.query(f"SELECT count(*) FROM {TABLE}") == [(3 * 9_960,)]
    reasons = pipeline.bench.query("SELECT DISTINCT _reasons FROM rejected_nyc_taxi")
    assert reasons == [(["trip_seconds: minimum"],)]


def test_the_table_in_postgresql_is_described_and_has_no_key(pipeline: Pipeline) -> None:
    """Trips have no number, so there is no primary key; table and columns have the contract's descriptions."""
    with psycopg.connect(pipeline.database) as connection:
        keys, comment, columns = connection.execute(
            """SELECT (SELECT count(*) FROM pg_constraint WHERE conrelid = made.oid AND contype = 'p'),
                      obj_description(made.oid), (SELECT count(*) FROM pg_attribute WHERE attrelid = made.oid
                       AND col_description(attrelid, attnum) LIKE 'Tips paid by card%%')
               FROM (SELECT %s::regclass::oid AS oid) AS made""",
            [f"nyc_taxi.{TABLE}"],
        ).fetchall()[0]
    assert (keys, columns) == (0, 1)
    assert "trip" in comment


def test_a_month_that_is_not_there_yet_comes_later(pipeline: Pipeline, s3_server: S3Server) -> None:
    """A fetch brings nothing twice; the next month comes with the first fetch after it was published."""
    months = sorted(path.stem[-7:] for path in pipeline.months.glob("*.parquet"))
    assert pipeline.fetch() == {"listed": len(months), "landed": 0, "unchanged": len(months), "failed": 0}
    assert pipeline.bench.landing(FEED) == []
    source = pipeline.months / "yellow_tripdata_2024-01.parquet"
    moved = pd.read_parquet(source, engine="fastparquet")
    for column in ("tpep_pickup_datetime", "tpep_dropoff_datetime"):
        moved[column] += pd.Timedelta(days=91)
    moved.to_parquet(pipeline.months / "yellow_tripdata_2024-04.parquet", engine="fastparquet", index=False)
    assert pipeline.fetch() == {
        "listed": len(months) + 1,
        "landed": 1,
        "unchanged": len(months),
        "failed": 0,
    }
    before = places(pipeline.lake, s3_server, pipeline.database)
    pipeline.load_and_deliver("2024-04")
    require_same(pipeline, s3_server, *months, "2024-04")
    after = places(pipeline.lake, s3_server, pipeline.database)
    assert before < after
    assert {month for month, _ in after - before} == {"2024-04"}


def test_a_corrected_month_changes_its_month_only(pipeline: Pipeline, s3_server: S3Server) -> None:
    """A month with fewer trips and another amount replaces its own rows on both targets, and no other ones."""
    path = pipeline.months / "yellow_tripdata_2024-02.parquet"
    trips = pd.read_parquet(path, engine="fastparquet").iloc[7:]
    trips.loc[trips.index[0], ["fare_amount", "total_amount"]] = [99.95, 111.11]
    part = path.with_suffix(".part")
    trips.to_parquet(part, engine="fastparquet", index=False)
    part.replace(path)
    before = places(pipeline.lake, s3_server, pipeline.database)
    assert pipeline.fetch()["landed"] == 1
    pipeline.load_and_deliver("2024-02")
    require_same(pipeline, s3_server, *sorted(path.stem[-7:] for path in pipeline.months.glob("*.parquet")))
    after = places(pipeline.lake, s3_server, pipeline.database)
    assert {month for month, _ in before - after} == {"2024-02"} == {month for month, _ in after - before}


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Workbench]:
    """The example's feed alone: what it loads is dropped by hand."""
    with feeds(nyc_taxi=yaml_files()) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, tmp_path, instance)


def test_real_months_are_loaded(feed: Workbench, tmp_path: Path) -> None:
    """Real trips in the columns and types of the TLC's older files are all good, refunds included, and sums agree."""
    expected = {}
    for file in shared_files(FEED)[: effort(1, 6)]:
        month = file.stem[-7:]
        with file.open(encoding="utf-8") as stream:
            totals = [Decimal(line["total_amount"]) for line in csv.DictReader(stream)]
        expected[month] = (len(totals), sum(totals), sum(total < 0 for total in totals))
        path = tmp_path / f"yellow_tripdata_{month}.parquet"
        duckdb.sql(OLDER_SQL.format(trips=f"read_csv('{file}')")).write_parquet(str(path))
        feed.drop(FEED, path.name, path.read_bytes())
        result = feed.run(job=f"{FEED}_job", first=f"{month}-01")
        failed = {item.check_name for item in result.get_asset_check_evaluations() if not item.passed}
        assert failed <= {"newest_batch"}
    found = feed.query(
        f"""SELECT left(_batch_date::VARCHAR, 7), count(*), sum(total_amount), count(*) FILTER (total_amount < 0)
            FROM {TABLE} GROUP BY 1"""
    )
    assert {month: tuple(figures) for month, *figures in found} == expected
    assert all(refunds for *_, refunds in expected.values())
    assert feed.query("SELECT count(*) FROM rejected_nyc_taxi") == [(0,)]


def test_trips_that_end_before_they_start_are_rejected(feed: Workbench, tmp_path: Path) -> None:
    """A pick-up after the drop-off breaks a rule of the derived duration; a trip of no time is kept."""
    path = tmp_path / "yellow_tripdata_2018-01.parquet"
    duckdb.sql(OLDER_SQL.format(trips=THREE_TRIPS)).write_parquet(str(path))
    feed.drop(FEED, path.name, path.read_bytes())
    feed.run(job=f"{FEED}_job", first="2018-01-01")
    assert feed.query("SELECT _row, _reasons FROM rejected_nyc_taxi") == [(2, ["trip_seconds: minimum"])]
    assert feed.query(f"SELECT trip_seconds, total_amount > 0 FROM {TABLE} ORDER BY 1") == [(0, False), (1800, True)]

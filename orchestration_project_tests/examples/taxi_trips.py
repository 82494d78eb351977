"""Trips of the example of monthly Parquet: as served files have them, and as the targets of its deliveries do.

Belongs here: what is compared. The files are read by fastparquet, the targets by DuckDB and psycopg as readers do.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import psycopg

from orchestration_project_tests.servers.s3 import S3Server

TABLE = "cleaned_nyc_taxi"
WHOLE = (
    "vendor_id passenger_count rate_code_id pickup_location_id dropoff_location_id payment_type trip_seconds"
).split()
SUMMED = [
    *WHOLE,
    *"trip_distance fare_amount extra mta_tax tip_amount tolls_amount improvement_surcharge total_amount".split(),
    *"congestion_surcharge airport_fee".split(),
]
COLUMNS = [*SUMMED, "pickup_datetime", "dropoff_datetime", "store_and_fwd_flag"]
THEIR_NAMES = {
    "VendorID": "vendor_id",
    "tpep_pickup_datetime": "pickup_datetime",
    "tpep_dropoff_datetime": "dropoff_datetime",
    "RatecodeID": "rate_code_id",
    "PULocationID": "pickup_location_id",
    "DOLocationID": "dropoff_location_id",
    "Airport_fee": "airport_fee",
}

Trips = Counter[tuple[Any, ...]]
"""How often each trip is there; the month comes first, then `COLUMNS`."""
Sums = dict[str, tuple[Any, ...]]
"""For each month the number of its trips, then the sums of `SUMMED`."""


def served_trips(folder: Path) -> Trips:
    """The good trips of the served files."""
    found: Trips = Counter()
    for path in sorted(folder.glob("*.parquet")):
        trips = pd.read_parquet(path, engine="fastparquet").rename(columns=THEIR_NAMES)
        seconds = (trips.dropoff_datetime - trips.pickup_datetime).dt.total_seconds()
        good = trips.assign(trip_seconds=seconds)[seconds >= 0]
        columns = ([exact(column, item) for item in good[column]] for column in COLUMNS)
        found.update((path.stem[-7:], *trip) for trip in zip(*columns, strict=True))
    return found


def exact(column: str, item: Any) -> Any:
    """A value of a file as the contract means it; a float is the shortest number that is read as the same one."""
    if pd.isna(item):
        return None
    if isinstance(item, pd.Timestamp):
        return item.to_pydatetime()
    if column in WHOLE:
        return int(item)
    return item if isinstance(item, str) else Decimal(str(item))


def sums_of(trips: Trips) -> Sums:
    """The sums, made of the trips one by one."""
    places = [1 + COLUMNS.index(column) for column in SUMMED]
    found: dict[str, list[Any]] = {}
    for trip, times in trips.items():
        sums = found.setdefault(trip[0], [0, *(0 for _ in places)])
        sums[0] += times
        for number, place in enumerate(places, 1):
            sums[number] += times * (trip[place] or 0)
    return {month: tuple(sums) for month, sums in found.items()}


def as_sums(rows: list[tuple[Any, ...]]) -> Sums:
    return {month: tuple(sums) for month, *sums in rows}


TRIPS_SQL = f"SELECT left(_batch_date::VARCHAR, 7), {', '.join(COLUMNS)} FROM "
SUMS_SQL = f"SELECT left(_batch_date::VARCHAR, 7), count(*), {', '.join(f'sum({name})' for name in SUMMED)} FROM "


@contextmanager
def lake(url: str, server: S3Server) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[str]]]:
    """DuckDB on the object store, and the files that the newest manifest names, as a reader finds them."""
    spec = find_spec("duckdb_extension_httpfs")
    assert spec
    (extension,) = Path((spec.submodule_search_locations or [""])[0]).rglob("*.duckdb_extension")
    access = server.environment
    with duckdb.connect() as connection:
        connection.execute(f"LOAD '{extension}'")
        connection.execute(
            f"""CREATE SECRET (TYPE s3, KEY_ID '{access["AWS_ACCESS_KEY_ID"]}', URL_STYLE path, USE_SSL false,
                SECRET '{access["AWS_SECRET_ACCESS_KEY"]}', REGION '{access["AWS_REGION"]}',
                ENDPOINT '{access["AWS_ENDPOINT_URL"].removeprefix("http://")}')"""
        )
        table = f"{url}/{TABLE}"
        ((newest,),) = connection.execute(f"SELECT max(file) FROM glob('{table}/manifest/*.json')").fetchall()
        files = connection.execute(f"SELECT unnest(files).file FROM read_json('{newest}')").fetchall()
        yield connection, [f"{table}/{file}" for (file,) in files]


def in_lake(url: str, server: S3Server) -> tuple[Trips, Sums]:
    """The trips in the object store, and their sums by DuckDB."""
    with lake(url, server) as (connection, files):
        trips, sums = (
            connection.execute(f"{sql} read_parquet({files}) {group}").fetchall()
            for sql, group in ((TRIPS_SQL, ""), (SUMS_SQL, "GROUP BY 1"))
        )
    return Counter(trips), as_sums(sums)


def in_database(url: str) -> tuple[Trips, Sums]:
    """The trips in PostgreSQL, and their sums by PostgreSQL."""
    with psycopg.connect(url) as connection:
        trips, sums = (
            connection.execute(f"{sql} nyc_taxi.{TABLE} {group}".encode()).fetchall()
            for sql, group in ((TRIPS_SQL, ""), (SUMS_SQL, "GROUP BY 1"))
        )
    return Counter(trips), as_sums(sums)


def places(lake_url: str, server: S3Server, database: str) -> set[tuple[str, str]]:
    """Where each part of both targets is, with its month; what is written anew has another place."""
    with lake(lake_url, server) as (_, files):
        found = {(file.partition("_batch_date=")[2][:7], file) for file in files}
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            f"SELECT left(_batch_date::text, 7), xmin::text || ctid::text FROM nyc_taxi.{TABLE}".encode()
        ).fetchall()
    return found | {*rows}

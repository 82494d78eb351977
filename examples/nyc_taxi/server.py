"""Three months of taxi trips behind HTTP, to try the example without the internet. It needs DuckDB.

python examples/nyc_taxi/server.py FOLDER [PORT]

The trips are made up; the columns, their types and the names of the files are those of the TLC's files of 2024. A month
that is in the folder already is served as it is, so it can be changed there. Every 250th trip ends before it starts.
"""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb

MONTHS = ["2024-01", "2024-02", "2024-03"]
TRIPS = 10_000

# Amounts are counted in cents, so that the sum of a trip is exact; every 100th trip is refunded.
TRIPS_SQL = """
WITH numbers AS (
    SELECT trip, CASE WHEN trip % 100 = 0 THEN -1 ELSE 1 END AS sign, {month} AS month,
        [(hash(trip, {month}, number) % 1000)::INTEGER FOR number IN range(9)] AS chance
    FROM range(1, {trips} + 1) AS made(trip)
), trips AS (
    SELECT *,
        month + to_seconds(chance[1] * 2500 + chance[2]) AS started,
        to_seconds(CASE WHEN trip % 250 = 0 THEN -60 ELSE 120 + 3 * chance[3] END) AS took,
        trip % 20 = 0 AS is_flex,
        sign * (300 + 7 * chance[3]) AS fare, sign * [0, 100, 250][1 + chance[4] % 3] AS extra, sign * 50 AS mta_tax,
        CASE WHEN sign = 1 AND chance[5] % 3 > 0 THEN chance[6] ELSE 0 END AS tip,
        CASE WHEN chance[7] < 60 THEN sign * 694 ELSE 0 END AS tolls, sign * 100 AS improvement,
        CASE WHEN trip % 20 > 0 THEN sign * 250 END AS congestion, CASE WHEN trip % 20 > 0 THEN 0 END AS airport
    FROM numbers
)
SELECT
    (1 + chance[8] % 2)::INTEGER AS VendorID,
    started AS tpep_pickup_datetime,
    started + took AS tpep_dropoff_datetime,
    CASE WHEN NOT is_flex THEN (chance[9] % 6)::BIGINT END AS passenger_count,
    chance[3] / 100.0 AS trip_distance,
    CASE WHEN NOT is_flex THEN 1::BIGINT END AS RatecodeID,
    CASE WHEN NOT is_flex THEN 'N' END AS store_and_fwd_flag,
    (1 + chance[8] % 265)::INTEGER AS PULocationID,
    (1 + chance[9] % 265)::INTEGER AS DOLocationID,
    (CASE WHEN is_flex THEN 0 WHEN chance[5] % 3 > 0 THEN 1 ELSE 2 END)::BIGINT AS payment_type,
    fare / 100.0 AS fare_amount,
    extra / 100.0 AS extra,
    mta_tax / 100.0 AS mta_tax,
    tip / 100.0 AS tip_amount,
    tolls / 100.0 AS tolls_amount,
    improvement / 100.0 AS improvement_surcharge,
    (fare + extra + mta_tax + tip + tolls + improvement + coalesce(congestion, 0)) / 100.0 AS total_amount,
    congestion / 100.0 AS congestion_surcharge,
    airport / 100.0 AS Airport_fee
FROM trips ORDER BY started, trip
"""


class Months(SimpleHTTPRequestHandler):
    """Answers with the files of a folder, each with an `ETag` that tells one version from another."""

    def end_headers(self) -> None:
        """Add the version, where there is a file."""
        path = Path(self.translate_path(self.path))
        if path.is_file():
            found = path.stat()
            self.send_header("ETag", f'"{found.st_mtime_ns:x}-{found.st_size:x}"')
        super().end_headers()


def make_months(folder: Path) -> None:
    """Write the months that a folder lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    for month in MONTHS:
        path = folder / f"yellow_tripdata_{month}.parquet"
        if not path.exists():
            trips = TRIPS_SQL.format(month=f"TIMESTAMP '{month}-01'", trips=TRIPS)
            duckdb.sql(trips).write_parquet(str(path))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("Say in which folder the months are: python examples/nyc_taxi/server.py FOLDER [PORT]")
    months, port = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8766
    make_months(months)
    with ThreadingHTTPServer(("127.0.0.1", port), partial(Months, directory=str(months))) as server:
        address = f"http://127.0.0.1:{server.server_port}/yellow_tripdata_{{year}}-{{month}}.parquet"
        print(address, flush=True)  # noqa: T201 - where they are found
        server.serve_forever()

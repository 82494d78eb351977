"""Sales files of any size and the catalogue they refer to: made by DuckDB, the same for the same arguments.

One record in a hundred breaks a rule (a bad number, a missing value, a channel that there is not) and one in a thousand
repeats the key of another record of its day, as in real deliveries.
"""

import datetime as dt
from pathlib import Path

import duckdb

FIRST_DAY = dt.date(2024, 1, 1)
PRODUCTS = 500


def days(count: int, first: dt.date = FIRST_DAY) -> list[dt.date]:
    """Days in a row."""
    return [first + dt.timedelta(days=number) for number in range(count)]


def name_of(day: dt.date) -> str:
    """The name of a day's file."""
    return f"sales_{day}.csv"


def make_sales(folder: Path, day: dt.date, rows: int) -> Path:
    """Write one day's file.

    Args:
        folder: where to; it is made.
        day: the day.
        rows: records.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name_of(day)
    seed = day.toordinal()
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (
                WITH random AS (SELECT range AS i, (hash(range, {seed}) >> 1)::BIGINT AS h FROM range({rows}))
                SELECT 'S{day:%Y%m%d}-' || (CASE WHEN h % 1000 = 7 THEN i // 2 ELSE i END) AS order_id,
                    CASE WHEN h % 5 < 2 THEN NULL ELSE 'C' || (h >> 20) % 50000 END AS customer_id,
                    CASE h % 300 WHEN 0 THEN '' WHEN 1 THEN 'x1'
                        ELSE ((h >> 10) % {PRODUCTS} + 1)::VARCHAR END AS product_id,
                    (h >> 12) % 9 + 1 AS quantity,
                    ((h >> 16) % 20000 / 100)::DECIMAL(18, 2) AS price,
                    strftime(DATE '{day}' + INTERVAL ((h >> 8) % 86400) SECOND, '%Y-%m-%d %H:%M:%S') AS sold_at,
                    CASE WHEN h % 300 = 2 THEN 'pigeon'
                        ELSE ['store', 'online', 'marketplace', 'phone'][(h >> 7) % 4 + 1] END AS channel
                FROM random ORDER BY i)
            TO '{path}' (HEADER, DELIMITER ',')"""
        )
    return path


def make_catalogue(folder: Path, day: dt.date) -> Path:
    """Write the catalogue of a day."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"products_{day}.json"
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (
                SELECT range + 1 AS product_id, 'Product ' || range AS name,
                    ['Kitchen', 'Garden', 'Office', 'Sports', 'Toys'][range % 5 + 1] AS category,
                    (range % 200 + 5)::DECIMAL(18, 2) AS list_price
                FROM range({PRODUCTS})) TO '{path}' (ARRAY true)"""
        )
    return path

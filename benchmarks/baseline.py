"""The baseline: one hand-written DuckDB script that makes the same tables of the benchmark's sales as the platform.

    python -m benchmarks.baseline DATA_DIR

It has built in what the platform reads from a contract or proves for each file: the encoding, the header, the dialect,
that every record can be split, that nothing was loaded before. Its outputs are complete: text with provenance and
record numbers, typed rows, rejects with every reason, a ledger with hashes and counts, aggregates, the archive.
"""

import datetime as dt
import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from benchmarks import rules

STORAGE_VERSION = "v1.4.0"
ORIGIN = "_batch_date, _file, _file_version, _row, _rescued"
AS_TEXT = "_file::VARCHAR AS _file, _file_version::VARCHAR AS _file_version"
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - UTC without a zone, as the ledger has it
PRODUCT_CODE = (
    "upper(left(category, 3)) || lpad(product_id::VARCHAR, greatest(3, length(product_id::VARCHAR))::INTEGER, '0')"
)
PRICE_CATEGORY = "CASE WHEN list_price < 25 THEN 'Low' WHEN list_price < 35 THEN 'Medium' ELSE 'High' END"


def main(data: Path) -> None:
    """Load all that is in landing."""
    files = sorted((data / "landing/sales").glob("*.csv"))
    catalogue = max((data / "landing/products").glob("*.json"))
    with ThreadPoolExecutor() as pool:
        hashes = list(pool.map(_sha256, [*files, catalogue]))
    with duckdb.connect(
        str(data / "warehouse.duckdb"), config={"storage_compatibility_version": STORAGE_VERSION}
    ) as connection:
        _read(connection, files, hashes)
        _validate(connection)
        connection.execute("BEGIN")
        _publish(connection, files)
        _catalogue(connection, catalogue)
        _ledger(connection, [*files, catalogue], hashes)
        # The marts are made of what is committed, which DuckDB reads with all threads.
        connection.execute("COMMIT")
        _marts(connection)
    for file in (*files, catalogue):
        feed, _, day = file.stem.partition("_")
        place = data / "archive" / feed / day / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        file.rename(place)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(connection: duckdb.DuckDBPyConnection, files: list[Path], hashes: list[str]) -> None:
    """Read every record as text and number it.

    Row ids of a table give the numbers: a window function would make the scan use one thread.
    """
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in rules.TEXTS)
    paths = ", ".join(f"'{path}'" for path in files)
    connection.execute(
        f"""CREATE TEMP TABLE lines AS SELECT file_index AS f, * FROM read_csv([{paths}], header = true, delim = ',',
            quote = '"', escape = '"', auto_detect = false, columns = {{{columns}}})"""
    )
    first = dict(connection.execute("SELECT f, min(rowid) FROM lines GROUP BY f").fetchall())
    names = [path.name for path in files]
    batches = [path.stem.removeprefix("sales_") for path in files]
    versions = [digest[:16] for digest in hashes[: len(files)]]
    connection.execute(
        f"""CREATE TEMP VIEW records AS
            SELECT rowid AS rid, {_by_file(batches, "DATE")} AS _batch_date,
                {_by_file(names, _enumeration(names))} AS _file,
                {_by_file(versions, _enumeration(versions))} AS _file_version,
                rowid - {_by_file([first.get(number, 0) for number in range(len(files))])} + 1 AS _row,
                {", ".join(rules.TEXTS)}, NULL::VARCHAR AS _rescued, NULL::VARCHAR AS _raw_line,
                NULL::VARCHAR AS _parse_error, NULL::VARCHAR AS _repairs
            FROM lines"""
    )


def _by_file(values: Sequence[str | int], sql_type: str = "") -> str:
    """SQL for a value that depends on a line's file: an index into a list, which is cheaper than a join."""
    cast = f"::{sql_type}[]" if sql_type else ""
    return f"({list(values)}{cast})[(f + 1)::BIGINT]"


def _enumeration(values: Sequence[str]) -> str:
    """A type that keeps each of a few texts in a byte."""
    return f"ENUM({str(list(dict.fromkeys(values))).strip('[]')})"


def _validate(connection: duckdb.DuckDBPyConnection) -> None:
    """Convert and check every record, and find duplicates.

    This runs before the transaction: DuckDB uses one thread to read rows that are not committed.
    """
    connection.execute(
        f"""CREATE TEMP TABLE validated AS
            WITH trimmed AS (SELECT rid, {rules.TRIMMED}, {ORIGIN} FROM records),
            typed AS (SELECT *, {rules.TYPED} FROM trimmed)
            SELECT rid, {", ".join(rules.VALUES)}, {ORIGIN}, {rules.REASONS} AS reasons FROM typed"""
    )
    connection.execute(
        f"""CREATE TEMP TABLE duplicates AS
            WITH repeated AS MATERIALIZED (
                SELECT hash(order_id) AS h FROM validated WHERE reasons IS NULL GROUP BY ALL HAVING count(*) > 1),
            ranked AS (
                SELECT rid, {ORIGIN}, row_number() OVER newest AS rank,
                    first_value(_file || ' row ' || _row) OVER newest AS kept
                FROM validated WHERE reasons IS NULL AND hash(order_id) IN (FROM repeated)
                WINDOW newest AS (PARTITION BY order_id ORDER BY _batch_date, _row DESC))
            SELECT rid, ['order_id: duplicate_key (kept: ' || kept || ')'] AS reasons, {ORIGIN}
            FROM ranked WHERE rank > 1"""
    )


def _publish(connection: duckdb.DuckDBPyConnection, files: list[Path]) -> None:
    connection.execute(f"CREATE TABLE raw_sales AS SELECT * EXCLUDE (rid) REPLACE ({AS_TEXT}) FROM records")
    connection.execute(
        f"""CREATE TABLE cleaned_sales AS SELECT * EXCLUDE (rid, reasons) REPLACE ({AS_TEXT})
            FROM validated ANTI JOIN duplicates USING (rid) WHERE reasons IS NULL"""
    )
    connection.execute(
        f"""CREATE TABLE rejected_sales AS
            WITH texts AS (SELECT rid, {", ".join(rules.TEXTS)}, _raw_line FROM records),
            refused AS (
                SELECT rid, reasons, {ORIGIN} FROM validated WHERE reasons IS NOT NULL UNION ALL FROM duplicates),
            files AS (SELECT unnest($1) AS _file, unnest($2)::TIMESTAMP AS modified)
            SELECT {", ".join(rules.TEXTS)}, _batch_date, {AS_TEXT}, _row, _rescued, _raw_line, reasons AS _reasons,
                left(sha256(concat_ws('/', 'sales', _file, _file_version, _row)), 16) AS _reject_id,
                modified AS _rejected_at, NULL::VARCHAR AS _resolved_by
            FROM texts JOIN refused USING (rid) JOIN files USING (_file)""",
        [[path.name for path in files], [_modified(path) for path in files]],
    )


def _modified(path: Path) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=path.stat().st_mtime_ns // 1000)


def _catalogue(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute(
        f"""CREATE TABLE cleaned_products AS
            SELECT *, {PRODUCT_CODE} AS product_code, {PRICE_CATEGORY} AS price_category
            FROM read_json('{path}', columns = {{product_id: 'INTEGER', name: 'VARCHAR', category: 'VARCHAR',
                list_price: 'DECIMAL(18,2)'}})"""
    )


def _ledger(connection: duckdb.DuckDBPyConnection, files: list[Path], hashes: list[str]) -> None:
    connection.execute(
        """CREATE TABLE file_ledger AS
            WITH files AS (SELECT unnest($1) AS file, unnest($2) AS sha256, unnest($3) AS bytes),
            in_raw AS (
                SELECT _file AS file, count(*) AS records FROM raw_sales GROUP BY 1
                UNION ALL SELECT $4, count(*) FROM cleaned_products),
            in_cleaned AS (
                SELECT _file AS file, count(*) AS cleaned FROM cleaned_sales GROUP BY 1
                UNION ALL SELECT $4, count(*) FROM cleaned_products),
            in_rejected AS (SELECT _file AS file, count(*) AS rejected FROM rejected_sales GROUP BY 1)
            SELECT file, sha256, bytes, records, cleaned, coalesce(rejected, 0) AS rejected
            FROM files JOIN in_raw USING (file) JOIN in_cleaned USING (file) LEFT JOIN in_rejected USING (file)""",
        [[path.name for path in files], hashes, [path.stat().st_size for path in files], files[-1].name],
    )
    uneven = connection.execute("SELECT file FROM file_ledger WHERE records <> cleaned + rejected").fetchall()
    if uneven:
        raise SystemExit(f"These files do not balance: {uneven}")


def _marts(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """CREATE TABLE product_daily_sales AS
            SELECT _batch_date, product_id, count(DISTINCT order_id) AS orders, sum(quantity)::BIGINT AS units_sold,
                sum(total_amount) AS revenue, min(sold_at)::DATE AS first_sold_on, max(sold_at)::DATE AS last_sold_on
            FROM cleaned_sales GROUP BY ALL ORDER BY ALL"""
    )
    connection.execute(
        """CREATE TABLE product_warehouse AS
            WITH sold AS (
                SELECT product_id, sum(orders)::BIGINT AS orders, sum(units_sold)::BIGINT AS units_sold,
                    sum(revenue) AS revenue, min(first_sold_on) AS first_sold_on, max(last_sold_on) AS last_sold_on,
                    sum(revenue) FILTER (_batch_date > newest - 7) AS revenue_7d,
                    sum(revenue) FILTER (_batch_date > newest - 30) AS revenue_30d
                FROM product_daily_sales, (SELECT max(_batch_date) AS newest FROM product_daily_sales) GROUP BY ALL)
            SELECT product_id, product_code, name, category, list_price, price_category, coalesce(orders, 0) AS orders,
                coalesce(units_sold, 0) AS units_sold, coalesce(revenue, 0) AS revenue, first_sold_on, last_sold_on,
                coalesce(revenue_7d, 0) AS revenue_7d, coalesce(revenue_30d, 0) AS revenue_30d,
                name IS NOT NULL AS in_catalog, NULL::DATE AS delisted_on
            FROM cleaned_products FULL JOIN sold USING (product_id) ORDER BY product_id"""
    )
    found, sold = (
        connection.execute(f"SELECT sum({units}), sum({money}) FROM {table}").fetchone()
        for table, units, money in (
            ("product_warehouse", "units_sold", "revenue"),
            ("cleaned_sales", "quantity", "total_amount"),
        )
    )
    if found != sold:
        raise SystemExit(f"The products sold {found}, the sales say {sold}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The floor: one hand-written DuckDB script for the sales feed, with the same tables as the platform makes of it.

    python -m benchmarks.floor DATA_DIR

It knows everything beforehand that the platform reads from a contract or proves of a file: the encoding, the header, the
dialect, that no record is broken, that nothing was loaded before. It keeps the outputs: text with provenance and record
numbers, typed rows, rejects with every reason, a ledger with hashes and counts, aggregates, the archive.
"""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

TEXTS = "order_id order_line product_id customer_id store_id channel quantity unit_price sold_at".split()
BROKEN = {
    "order_id: required": "order_id IS NULL",
    "order_id: maxLength": "length(order_id) > 40",
    "order_id: pattern": "NOT regexp_full_match(order_id, '[A-Za-z0-9_-]+')",
    "order_line: required": "t_order_line IS NULL",
    "order_line: type": "t_order_line IS NOT NULL AND order_line IS NULL",
    "order_line: minimum": "order_line < 1",
    "product_id: required": "t_product_id IS NULL",
    "product_id: type": "t_product_id IS NOT NULL AND product_id IS NULL",
    "product_id: minimum": "product_id < 1",
    "store_id: required": "store_id IS NULL",
    "channel: required": "channel IS NULL",
    "channel: enum": "channel NOT IN ('store', 'online', 'marketplace', 'phone')",
    "quantity: required": "t_quantity IS NULL",
    "quantity: type": "t_quantity IS NOT NULL AND quantity IS NULL",
    "quantity: minimum": "quantity < 1",
    "quantity: maximum": "quantity > 10000",
    "unit_price: required": "t_unit_price IS NULL",
    "unit_price: type": "t_unit_price IS NOT NULL AND unit_price IS NULL",
    "unit_price: minimum": "unit_price < 0",
    "sold_at: required": "t_sold_at IS NULL",
    "sold_at: type": "t_sold_at IS NOT NULL AND sold_at IS NULL",
}
TYPED = {
    "order_id": "order_id",
    "order_line": "TRY_CAST(t_order_line AS INTEGER)",
    "product_id": "TRY_CAST(t_product_id AS INTEGER)",
    "customer_id": "customer_id",
    "store_id": "store_id",
    "channel": "channel",
    "quantity": "TRY_CAST(t_quantity AS INTEGER)",
    "unit_price": "TRY_CAST(t_unit_price AS DECIMAL(18, 2))",
    "sold_at": "try_strptime(t_sold_at, '%Y-%m-%d %H:%M:%S')",
}


def main(data: Path) -> None:
    """Load all that is in landing."""
    files = sorted((data / "landing/sales").glob("*.csv"))
    with ThreadPoolExecutor() as pool:
        hashes = list(pool.map(_sha256, files))
    with duckdb.connect(str(data / "warehouse.duckdb")) as connection:
        connection.execute("BEGIN")
        _raw(connection, files, hashes)
        _cleaned(connection)
        _ledger(connection, files, hashes)
        _marts(connection, data)
        connection.execute("COMMIT")
    for file in files:
        place = data / "archive/sales" / file.stem.removeprefix("sales_") / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        file.rename(place)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _raw(connection: duckdb.DuckDBPyConnection, files: list[Path], hashes: list[str]) -> None:
    """Every record as text, numbered: a numbering window would serialize the scan, the row ids of a table do not."""
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in TEXTS)
    paths = ", ".join(f"'{path}'" for path in files)
    connection.execute(
        f"""CREATE TEMP TABLE lines AS SELECT file_index AS f, * FROM read_csv([{paths}], header = true, delim = ',',
            quote = '"', escape = '"', auto_detect = false, columns = {{{columns}}})"""
    )
    connection.execute(
        "CREATE TEMP TABLE files AS SELECT unnest($1)::UBIGINT AS f, unnest($2)::DATE AS batch, unnest($3) AS name,"
        " unnest($4) AS version",
        [
            list(range(len(files))),
            [path.stem.removeprefix("sales_") for path in files],
            [path.name for path in files],
            [digest[:16] for digest in hashes],
        ],
    )
    connection.execute(
        f"""CREATE TABLE raw_sales AS
            SELECT batch AS _batch_date, name AS _file, version AS _file_version, lines.rowid - first + 1 AS _row,
                {", ".join(TEXTS)}, NULL::VARCHAR AS _rescued, NULL::VARCHAR AS _raw_line, NULL::VARCHAR AS _parse_error
            FROM lines JOIN (SELECT f, min(rowid) AS first FROM lines GROUP BY f) USING (f) JOIN files USING (f)"""
    )
    connection.execute("DROP TABLE lines")


def _cleaned(connection: duckdb.DuckDBPyConnection) -> None:
    texts = ", ".join(f"nullif(trim({name}), '') AS {_text(name)}" for name in TEXTS)
    typed = ", ".join(f"{value} AS {name}" for name, value in TYPED.items() if value != name)
    reasons = ", ".join(f"CASE WHEN {broken} THEN '{reason}' END" for reason, broken in BROKEN.items())
    connection.execute(
        f"""CREATE TEMP TABLE judged AS
            SELECT rid, {", ".join(TYPED)}, quantity * unit_price AS total_amount, _batch_date, _file, _file_version, _row,
                _rescued, CASE WHEN {" OR ".join(f"({broken})" for broken in BROKEN.values())}
                    THEN list_filter([{reasons}], lambda reason: reason IS NOT NULL) END AS reasons
            FROM (SELECT *, {typed} FROM (
                SELECT rowid AS rid, {texts}, _batch_date, _file, _file_version, _row, _rescued FROM raw_sales))"""
    )
    connection.execute(
        """CREATE TEMP TABLE losers AS
            WITH twice AS (SELECT order_id, order_line FROM judged WHERE reasons IS NULL GROUP BY ALL HAVING count(*) > 1),
            ranked AS (
                SELECT rid, row_number() OVER newest AS place, first_value(_file || ' row ' || _row) OVER newest AS kept
                FROM judged JOIN twice USING (order_id, order_line) WHERE reasons IS NULL
                WINDOW newest AS (PARTITION BY order_id, order_line ORDER BY _batch_date, _row DESC))
            SELECT rid, ['order_id, order_line: duplicate_key (kept: ' || kept || ')'] AS reasons
            FROM ranked WHERE place > 1"""
    )
    cleaned = "* EXCLUDE (rid, reasons)"
    connection.execute(
        f"CREATE TABLE cleaned_sales AS SELECT {cleaned} FROM judged ANTI JOIN losers USING (rid) WHERE reasons IS NULL"
    )
    connection.execute(
        f"""CREATE TABLE rejected_sales AS
            SELECT {", ".join(TEXTS)}, _batch_date, _file, _file_version, _row, _rescued, _raw_line, reasons AS _reasons,
                left(sha256(concat_ws('/', 'sales', _file, _file_version, _row)), 16) AS _reject_id
            FROM raw_sales JOIN (SELECT rid, reasons FROM judged WHERE reasons IS NOT NULL UNION ALL FROM losers) bad
            ON raw_sales.rowid = bad.rid"""
    )
    connection.execute("DROP TABLE judged")


def _text(name: str) -> str:
    return name if TYPED[name] == name else f"t_{name}"


def _ledger(connection: duckdb.DuckDBPyConnection, files: list[Path], hashes: list[str]) -> None:
    connection.execute(
        """CREATE TABLE file_ledger AS
            SELECT name AS file, sha256, bytes, records, coalesce(cleaned, 0) AS cleaned, coalesce(rejected, 0) AS rejected
            FROM (SELECT unnest($1) AS name, unnest($2) AS sha256, unnest($3) AS bytes)
            JOIN (SELECT _file AS name, count(*) AS records FROM raw_sales GROUP BY 1) USING (name)
            LEFT JOIN (SELECT _file AS name, count(*) AS cleaned FROM cleaned_sales GROUP BY 1) USING (name)
            LEFT JOIN (SELECT _file AS name, count(*) AS rejected FROM rejected_sales GROUP BY 1) USING (name)""",
        [[path.name for path in files], hashes, [path.stat().st_size for path in files]],
    )
    (uneven,) = connection.execute("SELECT count(*) FROM file_ledger WHERE records <> cleaned + rejected").fetchone() or ()
    if uneven:
        raise SystemExit(f"{uneven} files do not balance")


def _marts(connection: duckdb.DuckDBPyConnection, data: Path) -> None:
    connection.execute(
        f"CREATE TABLE cleaned_products AS FROM read_json('{data}/landing/products/*.json', columns = {{product_id: "
        "'INTEGER', name: 'VARCHAR', category: 'VARCHAR', list_price: 'DECIMAL(18,2)'})"
    )
    connection.execute(
        """CREATE TABLE product_daily_sales AS
            SELECT _batch_date, product_id, count(DISTINCT order_id) AS orders, sum(quantity) AS units_sold,
                sum(total_amount) AS revenue, min(sold_at)::DATE AS first_sold_on, max(sold_at)::DATE AS last_sold_on
            FROM cleaned_sales GROUP BY ALL ORDER BY ALL"""
    )
    connection.execute(
        """CREATE TABLE product_warehouse AS
            SELECT product_id, name, category, list_price, sum(orders) AS orders, sum(units_sold) AS units_sold,
                sum(revenue) AS revenue, min(first_sold_on) AS first_sold_on, max(last_sold_on) AS last_sold_on
            FROM cleaned_products FULL JOIN product_daily_sales USING (product_id) GROUP BY ALL ORDER BY 1"""
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

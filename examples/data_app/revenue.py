"""Revenue by category on the newest day, from the tables that were delivered to PostgreSQL: as text, or as a web page.

    export PGHOST=127.0.0.1 PGDATABASE=shop PGUSER=dashboard PGPASSWORD=...
    python revenue.py                  prints the table
    python revenue.py --port 8000      shows it at http://127.0.0.1:8000/ and, as JSON, at /revenue.json

It is all that a program on top of the platform has to be: it reads, with a user that can do nothing else.
"""

import argparse
import html
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
from psycopg.rows import dict_row

REVENUE = """
    WITH newest AS (SELECT max(_batch_date) AS day FROM warehouse.product_daily_sales)
    SELECT day, coalesce(category, 'unknown') AS category, sum(daily.units_sold) AS units, sum(daily.revenue) AS revenue
    FROM warehouse.product_daily_sales AS daily
    JOIN newest ON day = daily._batch_date
    LEFT JOIN warehouse.product_warehouse USING (product_id)
    GROUP BY day, category ORDER BY revenue DESC, category
"""


def revenue() -> list[dict[str, Any]]:
    """The newest day's rows: day, category, units, revenue. Where and who we are is in libpq's PG* variables."""
    # A delivery is one transaction, so a statement sees each table before or after it, whatever is delivered meanwhile.
    with psycopg.connect(row_factory=dict_row, application_name="data_app") as connection:
        connection.read_only = True
        return connection.execute(REVENUE).fetchall()


def as_text(rows: list[dict[str, Any]]) -> str:
    """A table for a terminal."""
    lines = [f"{row['category']:<20} {row['units']:>8} {row['revenue']:>12}" for row in rows]
    day = rows[0]["day"] if rows else "no day yet"
    return "\n".join([f"Revenue on {day}", f"{'category':<20} {'units':>8} {'revenue':>12}", *lines])


def as_page(rows: list[dict[str, Any]]) -> str:
    """The same for a browser."""
    # What stands in a table came from somebody's file, so it is text and never markup.
    return f"<!doctype html><title>Revenue</title><pre>{html.escape(as_text(rows))}</pre>"


class Pages(BaseHTTPRequestHandler):
    """Answers each request with what is in the tables at that moment."""

    def do_GET(self) -> None:
        """Send the page, or JSON."""
        if self.path == "/revenue.json":
            # Amounts as text: a number of JSON is a binary fraction for most who read it.
            self._send("application/json", json.dumps(revenue(), default=str))
        elif self.path == "/":
            self._send("text/html; charset=utf-8", as_page(revenue()))
        else:
            self.send_error(404)

    def _send(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())


def main() -> None:
    """Print the table, or serve it until somebody presses Ctrl+C."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--port", type=int, help="serve it here, to this machine only")
    port = parser.parse_args().port
    if port is None:
        sys.stdout.write(as_text(revenue()) + "\n")
        return
    ThreadingHTTPServer(("127.0.0.1", port), Pages).serve_forever()


if __name__ == "__main__":
    main()

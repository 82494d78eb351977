"""Fixtures for the tests of what checks measure."""

from collections.abc import Iterator

import duckdb
import pytest

from orchestration_project.warehouse.feed_tables import cleaned_layout, raw_layout, rejected_layout
from orchestration_project.warehouse.ledger import ensure_ledger
from orchestration_project.warehouse.tables import ensure_table
from orchestration_project_tests.inspection.orders import FEED, ROWS


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """The feed's tables with its rows published, and one record rejected on each day."""
    with duckdb.connect() as connection:
        ensure_ledger(connection)
        ensure_table(connection, "raw_orders", raw_layout(FEED, "DATE"))
        ensure_table(connection, "cleaned_orders", cleaned_layout(FEED, "DATE"))
        ensure_table(connection, "rejected_orders", rejected_layout(FEED, "DATE"))
        connection.executemany(
            "INSERT INTO cleaned_orders (id, size, buyer, _batch_date, _file, _file_version)"
            " VALUES (?, ?, ?, ?, 'f', 'v')",
            [list(row) for row in ROWS],
        )
        connection.execute(
            """INSERT INTO rejected_orders (id, buyer, _batch_date, _file, _file_version, _row, _raw_line, _reasons)
               VALUES ('x', 'Zoe', '2024-01-15', 'f', 'v', 5, NULL,
                ['size: minimum', 'id: duplicate_key (kept: f/v/1)']),
               (NULL, NULL, '2024-01-16', 'g', 'w', 1, 'Zoe;;', ['_raw_line: too_few_columns'])"""
        )
        yield connection

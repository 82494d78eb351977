"""`Source` with a query: from the component's YAML to the feed's tables."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestration_project_tests.components.test_source import DAY, bench_with


def test_rows_become_those_of_the_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run fetches a day's rows into landing, under the feed's name; the next run finds nothing new."""
    store = tmp_path / "store.db"
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("CREATE TABLE sales (id TEXT, sold_on TEXT)")
        connection.execute("INSERT INTO sales VALUES ('A1', ?), ('A2', ?)", (DAY, DAY))
    monkeypatch.setenv("STORE", f"sqlite:///{store}")
    query = "SELECT * FROM sales WHERE sold_on >= :batch_start AND sold_on < :batch_end ORDER BY id"
    options: dict[str, Any] = {"url": "env:STORE", "query": query, "batches": {"start": DAY}}
    with bench_with(tmp_path, sql=options) as bench:
        bench.run(job="fetch_sales")
        assert bench.landing("sales") == [f"sales_{DAY}.parquet"]
        bench.run(job="fetch_sales")
        assert bench.landing("sales") == [f"sales_{DAY}.parquet"]

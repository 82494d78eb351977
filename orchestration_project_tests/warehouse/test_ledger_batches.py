"""Totals and arrivals over the ledger, on a real one."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from orchestration_project.warehouse.ledger import Status, ensure_ledger, write_entries
from orchestration_project.warehouse.ledger_batches import Arrival, FeedTotals, arrivals, totals
from orchestration_project_tests.servers.warehouses import connected
from orchestration_project_tests.warehouse.test_ledger import entry, repair

EARLY, LATE = dt.datetime(2024, 2, 1, 6), dt.datetime(2024, 2, 1, 9)  # noqa: DTZ001 - the ledger's times are naive UTC


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A ledger with loaded, superseded, withdrawn, refused and repair files."""
    entries = [
        replace(entry("a", "a", 1, status=Status.LOADED), seen_at=LATE, rejected=5, repaired=2, waived=1),
        replace(entry("b", "b", 1, status=Status.SUPERSEDED), seen_at=EARLY, rejected=9),
        replace(repair("r", day=1), status=Status.LOADED, seen_at=EARLY, rejected=1, attempts=1),
        replace(entry("c", "c", 2, status=Status.WITHDRAWN), seen_at=LATE, rejected=4),
        replace(entry("d", "d", 3, status=Status.QUARANTINED), seen_at=LATE),
        replace(entry("e", "e", 4, status=Status.LOADED), seen_at=None),
        replace(entry("g", "g", 9, status=Status.LOADED), feed="other", rejected=1),
    ]
    with connected(tmp_path) as connection:
        ensure_ledger(connection)
        write_entries(connection, entries)
        yield connection


def test_totals_of_each_feed(connection: duckdb.DuckDBPyConnection) -> None:
    """Archived files and their bytes count; rejects are open if they are loaded, not repaired and not waived."""
    assert totals(connection) == {
        "f": FeedTotals(files=5, bytes=50, newest="2024-01-04", open_rejects=2, oldest_open="2024-01-01"),
        "other": FeedTotals(files=1, bytes=10, newest="2024-01-09", open_rejects=1, oldest_open="2024-01-09"),
    }


def test_what_came_for_each_batch(connection: duckdb.DuckDBPyConnection) -> None:
    """Accepted and refused files count, those that were taken back and repairs do not."""
    assert arrivals(connection, "f", "2024-01-01") == [
        Arrival("2024-01-01", EARLY, 2, 0),
        Arrival("2024-01-02", None, 0, 0),
        Arrival("2024-01-03", None, 0, 1),
        Arrival("2024-01-04", None, 1, 0),
    ]
    assert [item.batch for item in arrivals(connection, "f", "2024-01-03")] == ["2024-01-03", "2024-01-04"]


def test_when_a_feed_was_seen_first(connection: duckdb.DuckDBPyConnection) -> None:
    """The first moment of any of its files, in UTC; none of a feed that never came."""

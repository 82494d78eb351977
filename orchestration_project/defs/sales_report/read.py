"""Reads from the warehouse all that the report says."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.defs.sales_report.feeds import read_feed, read_files
from orchestration_project.defs.sales_report.model import Report
from orchestration_project.defs.sales_report.sales import read_sales
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.warehouse.ledger import ensure_ledger

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def read_report(connection: "DuckDBPyConnection", sources: Sequence[ConfiguredFeed], now: dt.datetime) -> Report:
    """All that the report says, from one state of the warehouse.

    Args:
        connection: inside a transaction; what is missing before the first load is made, empty.
        sources: the feeds, in the order in which they are shown.
        now: the moment of the report, with a time zone.
    """
    ensure_ledger(connection)
    files, file_count = read_files(connection)
    return Report(
        generated_at=now,
        sales=read_sales(connection),
        feeds=[read_feed(connection, source, now) for source in sources],
        files=files,
        file_count=file_count,
    )

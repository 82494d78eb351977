"""`feed_contracts`: the contract with which each feed's tables were made, written in the transaction that makes them.

So a load can tell whether the rows that are there are those that the present contract would give.
"""

import datetime as dt
from typing import TYPE_CHECKING

from orchestration_project.warehouse.tables import ensure_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "feed_contracts"
COLUMNS = {"feed": "VARCHAR", "made_as": "VARCHAR", "contract_version": "VARCHAR", "made_at": "TIMESTAMP"}


def ensure_feed_contracts(connection: "DuckDBPyConnection") -> None:
    """Make sure that the table exists."""
    ensure_table(connection, TABLE, COLUMNS)


def made_as(connection: "DuckDBPyConnection", feed: str) -> str | None:
    """What identifies the contract with which a feed's tables were made; None if that was never recorded."""
    row = connection.execute(f"SELECT made_as FROM {TABLE} WHERE feed = $1", [feed]).fetchone()
    return None if row is None else str(row[0])


def note_contract(
    connection: "DuckDBPyConnection", feed: str, made_as: str, contract_version: str, now: dt.datetime
) -> None:
    """Record with which contract a feed's tables are made.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        made_as: identifies what of the contract decides columns, values and duplicates.
        contract_version: its version, for people.
        now: the present moment, with a time zone.
    """
    connection.execute(f"DELETE FROM {TABLE} WHERE feed = $1", [feed])
    moment = now.astimezone(dt.UTC).replace(tzinfo=None)
    connection.execute(f"INSERT INTO {TABLE} VALUES ($1, $2, $3, $4)", [feed, made_as, contract_version, moment])

"""What errors of DuckDB mean for a lake: its catalog does not answer, its object store, or a file is missing.

Full disks and too little memory are told in `faults`, for every kind of warehouse.
"""

import re
from typing import TYPE_CHECKING

from orchestration_project.errors import PlatformError, WarehouseBroken, WarehouseDown, WarehouseError, without_values
from orchestration_project.warehouse.snapshots import is_conflict

if TYPE_CHECKING:
    import duckdb

    from orchestration_project.warehouse.lake_catalog import Catalog

# Of a server that is gone, and of one that answers with an error of its own.
DOWN_TOLD = re.compile(
    r"server closed|terminating connection|connection to server|no connection to the server|connection not open"
    r"|the database system is|SSL connection|could not serialize|too many clients|could not (receive|send) data"
    r"|Could not (establish|resolve|connect)|Connection (refused|reset|timed out)|timeout was reached|timed out"
    r"|HTTP (code )?5\d\d|SlowDown|Unable to connect to Postgres|Unable to query Postgres|database is locked"
    r"|Failed to read from socket|Failed to write to socket|IO Error: Connection error",
    re.IGNORECASE,
)
REFUSED_TOLD = re.compile(r"HTTP (code )?40[13]|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch", re.IGNORECASE)
LOST_TOLD = re.compile(r"No such file or directory|HTTP (code )?404|NoSuchKey|No files found", re.IGNORECASE)
BROKEN_CATALOG = re.compile(r"file is not a database|database disk image is malformed")
OTHER_PATH = re.compile(r"DATA_PATH .*does not match", re.DOTALL)


def lake_fault_of(
    error: "duckdb.Error", catalog: "Catalog", data: str, to_move: str, purpose: str
) -> PlatformError | None:
    """The error to raise when catalog or data of a lake are at fault; None for any other error.

    Args:
        error: what DuckDB raised.
        catalog: the lake's catalog.
        data: where its files are.
        to_move: what has to be moved away before the lake is made anew.
        purpose: what was being done, for the message.
    """
    text = catalog.masked(str(error))
    told = catalog.masked(without_values(error))
    if OTHER_PATH.search(text):
        return WarehouseError(
            f"the catalog {catalog.where} has its data elsewhere than in WAREHOUSE_DATA ({data}): set WAREHOUSE_DATA to"
            " the place that it was made with"
        )
    if BROKEN_CATALOG.search(text) or (data in text and LOST_TOLD.search(text)):
        return WarehouseBroken(
            f"the lake {catalog.where} can't be read ({purpose}): {told}. Restore what is missing below {data}. Or move"
            f" {to_move}, then rebuild it from the archive by the commands that `orchestration-project verify` prints"
            " (docs/recover.md)"
        )
    if REFUSED_TOLD.search(text):
        return WarehouseError(
            f"{data} refuses {purpose}: {told}. Look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights of"
            " that key; nothing was changed"
        )
    if DOWN_TOLD.search(text) or is_conflict(error):
        return WarehouseDown(
            f"the lake {catalog.where} with its data in {data} can't be used now ({purpose}): {told}. What was not"
            " committed has changed nothing, and no file is lost. Run again when it answers"
        )
    return None

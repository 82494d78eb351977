"""Which files are refused for what their records turned out to be, once these are judged."""

from collections.abc import Set
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.errors import FileRefused
from orchestration_project.ingest.counts import reject_rates
from orchestration_project.ingest.second_headers import second_headers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def bad_files(
    connection: "DuckDBPyConnection", feed: Feed, limit: float, new: Set[tuple[str, str]]
) -> dict[str, FileRefused]:
    """The new files that hold another table too, or of whose records too many break the contract.

    Args:
        connection: inside a transaction, `_judged` filled.
        feed: the contract.
        limit: share (0 to 1) of a file's records that may break the contract.
        new: names and versions of the files that may be refused; others were accepted once.
    """
    faults = {
        rate.file: FileRefused(
            "too_many_rejects",
            f"{rate.file!r}: {rate.rejected} of {rate.records} records break the contract, more than"
            f" max_reject_rate {limit:g} allows: {rate.worst}",
        )
        for rate in reject_rates(connection, limit)
        if (rate.file, rate.version) in new
    }
    headers = second_headers(connection, feed) if feed.source.format is FileFormat.CSV else []
    return faults | {
        found.file: FileRefused(
            "several_tables",
            f"{found.file!r}: record {found.row} is the header of another table; deliver one table a file",
        )
        for found in headers
        if (found.file, found.version) in new
    }

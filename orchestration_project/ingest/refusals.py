"""Which new files are refused as a whole for what their records turned out to be, once these are validated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import FileFormat
from orchestration_project.errors import FileRefused
from orchestration_project.ingest.model import Staged
from orchestration_project.ingest.second_headers import second_headers
from orchestration_project.ingest.session import Session

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def refusals(session: Session, staged: Staged, validated: str, records: str) -> Mapping[str, FileRefused]:
    """The new files that hold another table too, or of whose records too many break the contract, by name.

    What they would have replaced stays. A file of the archive was accepted once, so it is not refused any more.

    Args:
        session: of the load.
        staged: what comes in.
        validated: relation of the validated records.
        records: relation of their text.
    """
    connection, feed, limit = session.connection, session.feed, session.options.max_reject_rate
    landed = {candidate.name for candidate in staged.candidates.landed}
    new = {(entry.file, entry.version) for entry in staged.plan.loads if entry.file in landed}
    found = {
        rate.file: FileRefused(
            "too_many_rejects",
            f"{rate.file!r}: {rate.rejected} of {rate.records} records break the contract, more than"
            f" max_reject_rate {limit:g} allows: {rate.worst}",
        )
        for rate in reject_rates(connection, validated, limit)
        if (rate.file, rate.version) in new
    }
    headers = second_headers(connection, feed, validated, records) if feed.source.format is FileFormat.CSV else []
    return found | {
        header.file: FileRefused(
            "several_tables",
            f"{header.file!r}: record {header.row} is the header of another table; deliver one table a file",
        )
        for header in headers
        if (header.file, header.version) in new
    }


@dataclass(frozen=True, slots=True)
class RejectRate:
    """How many of a file's records break a rule of the contract, and why: the most frequent reasons, at most five."""

    file: str
    version: str
    rejected: int
    records: int
    worst: str


def reject_rates(connection: "DuckDBPyConnection", validated: str, above: float) -> list[RejectRate]:
    """The files of whose validated records more than a share break a rule of the contract.

    Keys do not count here: that another file has a record's key is not this file's fault.
    """
    rows = connection.execute(_reject_rates(validated), {"above": above}).fetchall()
    return [RejectRate(*row) for row in rows]


def _reject_rates(validated: str) -> str:
    """Query of the files above a rate. Reasons are looked at for these few files only."""
    return f"""
        WITH rates AS (
            SELECT _file, _file_version, count(*) FILTER (_reasons IS NOT NULL) AS rejected, count(*) AS records
            FROM {validated} GROUP BY ALL HAVING rejected > records * $above),
        broken AS (
            SELECT _file, _file_version, unnest(_reasons) AS reason
            FROM {validated} SEMI JOIN rates USING (_file, _file_version)),
        reasons AS (SELECT _file, _file_version, reason, count(*) AS times FROM broken GROUP BY ALL),
        worst AS (
            SELECT _file, _file_version, list(reason || ' (' || times || ')' ORDER BY times DESC, reason)[:5] AS listed
            FROM reasons GROUP BY ALL)
        SELECT _file, _file_version, rejected, records, array_to_string(listed, ', ')
        FROM rates JOIN worst USING (_file, _file_version)"""

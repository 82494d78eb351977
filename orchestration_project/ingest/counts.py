"""What became of records, counted in the tables: by file, and by the rule that they broke."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.rejects import IS_WAIVED, is_attempt
from orchestration_project.ingest.validate import filled
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import cleaned_table, raw_table, rejected_table
from orchestration_project.warehouse.quoting import ident
from orchestration_project.warehouse.tables import batch_filter

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


RULE_OF_REASON = "regexp_replace(reason, '(?s) \\(kept: .*$', '')"
"""SQL that takes a reason's details away, so that equal rules are counted together."""


@dataclass(frozen=True, slots=True)
class FileCount:
    """What became of the records of one file, counted in the tables; `batch` is None for a file without any.

    Of the rejected ones some are repaired or waived; `attempts` are failed repairs of rejects that are counted
    themselves.
    """

    batch: Batch | None
    file: str
    version: str
    records: int
    blank: int
    cleaned: int
    rejected: int
    repaired: int = 0
    waived: int = 0
    attempts: int = 0

    @property
    def open(self) -> int:
        """How many rejects nobody has corrected or waived."""
        return self.rejected - self.repaired - self.waived - self.attempts


def nothing_of(file: str, version: str) -> FileCount:
    """The count of a file of which the tables have nothing."""
    return FileCount(None, file, version, records=0, blank=0, cleaned=0, rejected=0)


def count_records(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None) -> list[FileCount]:
    """Count each file's records in `raw_x`, `cleaned_x` and `rejected_x`, for some batches (None: all)."""
    condition = batch_filter(batches)
    raw, cleaned, rejected = (ident(table(feed)) for table in (raw_table, cleaned_table, rejected_table))
    attempt = is_attempt(feed)
    rejects = {
        "rejected": "count(*)",
        "repaired": f"count(*) FILTER (_resolved_by IS NOT NULL AND NOT {IS_WAIVED} AND NOT {attempt})",
        "waived": f"count(*) FILTER ({IS_WAIVED} AND NOT {attempt})",
        "attempts": f"count(*) FILTER ({attempt})",
    }
    parts = [
        ({"records": "count(*)"}, raw, condition),
        ({"blank": "count(*)"}, raw, f"{condition} AND {_blank(feed)}"),
        ({"cleaned": "count(*)"}, cleaned, condition),
        (rejects, rejected, condition),
    ]
    names = ("records", "blank", "cleaned", *rejects)
    counted = " UNION ALL ".join(
        f"""SELECT _batch_date, _file, _file_version, {", ".join(counts.get(name, "0") for name in names)}
            FROM {table} WHERE {where} GROUP BY _batch_date, _file, _file_version"""
        for counts, table, where in parts
    )
    sums = ", ".join(f"sum({name})::BIGINT" for name in names)
    rows = connection.execute(
        f"""SELECT _batch_date, _file, _file_version, {sums}
            FROM ({counted}) AS counted(_batch_date, _file, _file_version, {", ".join(names)})
            GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    return [FileCount(*row) for row in rows]


def _blank(feed: Feed) -> str:
    """A condition over the raw table that holds for blank records.

    It begins with comparisons that DuckDB makes before it reads other columns, with a column that hardly any record
    lacks: a text of nothing but blanks begins with one.
    """
    needed = [column.name for column in feed.source_columns if column.required]
    column = ident((needed or [feed.source_columns[0].name])[0])
    return f"({column} IS NULL OR {column} < '!' OR {column} >= '\u00a0') AND NOT coalesce({filled(feed)}, false)"


@dataclass(frozen=True, slots=True)
class RejectRate:
    """How many of a file's records break a rule of the contract, and why: the most frequent reasons, at most five."""

    file: str
    version: str
    rejected: int
    records: int
    worst: str


def reject_rates(connection: "DuckDBPyConnection", above: float) -> list[RejectRate]:
    """The files in `_judged` of whose records more than a share break a rule of the contract.

    Keys do not count here: whether a record loses against another file's is not this file's fault.
    """
    rows = connection.execute(
        """WITH rates AS (
            SELECT _file, _file_version, count(*) FILTER (_reasons IS NOT NULL) AS rejected, count(*) AS records
            FROM _judged GROUP BY ALL HAVING rejected > records * $above),
        reasons AS (
            SELECT _file, _file_version, reason, count(*) AS times FROM (
                SELECT _file, _file_version, unnest(_reasons) AS reason
                FROM _judged SEMI JOIN rates USING (_file, _file_version)) GROUP BY ALL),
        worst AS (
            SELECT _file, _file_version, list(reason || ' (' || times || ')' ORDER BY times DESC, reason)[:5] AS listed
            FROM reasons GROUP BY ALL)
        SELECT _file, _file_version, rejected, records, array_to_string(listed, ', ')
        FROM rates JOIN worst USING (_file, _file_version)""",
        {"above": above},
    ).fetchall()
    return [RejectRate(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many rejected records of a batch broke a rule; a duplicate's reason is counted without its winner."""

    batch: Batch
    reason: str
    records: int


def count_reasons(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None) -> list[ReasonCount]:
    """Count the reasons in `rejected_x`, for some batches (None: all), the most frequent first."""
    condition = batch_filter(batches)
    rows = connection.execute(
        f"""SELECT _batch_date, {RULE_OF_REASON} AS rule, count(*) FROM
            (SELECT _batch_date, unnest(_reasons) AS reason FROM {ident(rejected_table(feed))} WHERE {condition})
            GROUP BY ALL ORDER BY 1, 3 DESC, 2"""
    ).fetchall()
    return [ReasonCount(*row) for row in rows]

"""The tables of a feed: their names, their columns and types, and the columns that the platform adds.

Each feed has three. A feed with a history has a fourth one.
"""

from dataclasses import dataclass

from orchestration_project.contracts.feed import Feed

PREFIXES = ("raw_", "cleaned_", "rejected_")
"""What the names of a feed's tables begin with."""
# No column of a contract begins with `_`, so these names are free whatever a contract calls its own.
PLATFORM_COLUMNS = ("_batch_date", "_file", "_file_version", "_row")
REPAIRS = "_repairs"
"""A column of the raw table: the `_reject_id` that a record of a repair file corrects; NULL for other files."""

HISTORY = "_history"
"""What the name of a feed's history has behind that of the feed."""
VALID_FROM, VALID_TO, IS_CURRENT = "valid_from", "valid_to", "is_current"
"""The columns that the platform adds to a history: the days from which and until which a version holds."""
IGNORED = "_ignored"
"""A column of the raw table of a feed that ignores records: the rule by which a record is no data, else NULL."""

# No feed's name has a dot, so no table of a feed is taken for one that is being made beside the published one.
NEW = ".new"


@dataclass(frozen=True, slots=True)
class RenewedFeed(Feed):
    """A feed whose tables are being made anew, beside the published ones.

    Attributes:
        raw_anew: whether the raw table is, too; else the published one is read.
        has_history: whether it has a history.
    """

    raw_anew: bool = False
    has_history: bool = False


def raw_table(feed: Feed) -> str:
    """The name of a feed's raw table."""
    return f"raw_{feed.name}{NEW if isinstance(feed, RenewedFeed) and feed.raw_anew else ''}"


def _platform(batch_type: str) -> dict[str, str]:
    return dict(zip(PLATFORM_COLUMNS, (batch_type, "VARCHAR", "VARCHAR", "BIGINT"), strict=True))


def raw_layout(feed: Feed, batch_type: str) -> dict[str, str]:
    """The columns of a feed's raw table and their DuckDB types."""
    # All text: a value that a contract of today can't read is there for that of tomorrow.
    return (
        _platform(batch_type)
        | {column.name: "VARCHAR" for column in feed.source_columns}
        | {"_rescued": "VARCHAR", "_raw_line": "VARCHAR", "_parse_error": "VARCHAR", REPAIRS: "VARCHAR"}
        | ({IGNORED: "VARCHAR"} if feed.ignored else {})
    )


def cleaned_table(feed: Feed) -> str:
    """The name of a feed's cleaned table."""
    return f"cleaned_{feed.name}{NEW if isinstance(feed, RenewedFeed) else ''}"


def rejected_table(feed: Feed) -> str:
    """The name of a feed's table of rejected records."""
    return f"rejected_{feed.name}{NEW if isinstance(feed, RenewedFeed) else ''}"


def cleaned_layout(feed: Feed, batch_type: str) -> dict[str, str]:
    """The columns of a feed's cleaned table and their DuckDB types: the contract's, then the platform's."""
    return {column.name: column.sql_type for column in feed.columns} | _platform(batch_type) | {"_rescued": "VARCHAR"}


def rejected_layout(feed: Feed, batch_type: str) -> dict[str, str]:
    """The columns of a feed's table of rejected records: the raw text, every violation, and how it was resolved."""
    return (
        {column.name: "VARCHAR" for column in feed.source_columns}
        | _platform(batch_type)
        | {
            "_rescued": "VARCHAR",
            "_raw_line": "VARCHAR",
            "_reasons": "VARCHAR[]",
            "_reject_id": "VARCHAR",
            "_rejected_at": "TIMESTAMP",
            "_resolved_by": "VARCHAR",
        }
    )


def layouts(feed: Feed, batch_type: str) -> dict[str, dict[str, str]]:
    """The columns of each of a feed's tables and their DuckDB types, by the table's name."""
    return {
        raw_table(feed): raw_layout(feed, batch_type),
        cleaned_table(feed): cleaned_layout(feed, batch_type),
        rejected_table(feed): rejected_layout(feed, batch_type),
    }


def tables_of(feed: Feed) -> tuple[str, str, str]:
    """The names of a feed's tables: raw, cleaned, rejected."""
    return raw_table(feed), cleaned_table(feed), rejected_table(feed)


def history_table(feed: Feed) -> str:
    """The name of a feed's history, where it has one."""
    return f"{feed.name}{HISTORY}{NEW if isinstance(feed, RenewedFeed) else ''}"


def history_layout(feed: Feed) -> dict[str, str]:
    """The columns of a feed's history and their DuckDB types: the contract's, from when to when, the record."""
    return (
        {column.name: column.sql_type for column in feed.columns}
        | {VALID_FROM: "DATE", VALID_TO: "DATE", IS_CURRENT: "BOOLEAN"}
        | {"_file": "VARCHAR", "_file_version": "VARCHAR", "_row": "BIGINT"}
    )

"""What `raw_x` looks like, and the files that are about to be read into it. Reading them is the affair of `stage`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileRefused, without_values
from orchestration_project.transforms.prepare import Prepared
from orchestration_project.warehouse.faults import no_fault_of_files

if TYPE_CHECKING:
    import duckdb

PLATFORM_COLUMNS = ("_batch_date", "_file", "_file_version", "_row")
REPAIRS = "_repairs"
"""The raw table's column for the `_reject_id` that a record of a repair file corrects; NULL in other files."""


@dataclass(frozen=True, slots=True)
class ReadyFile:
    """A prepared file with the identity that its rows carry, and a folder for rewritten copies."""

    prepared: Prepared
    batch: str
    version: str
    work: Path

    @property
    def name(self) -> str:
        """The logical name."""
        return self.prepared.name

    @property
    def path(self) -> str:
        """What to read."""
        return str(self.prepared.readable)


def raw_table(feed: Feed) -> str:
    """The name of a feed's raw table."""
    return f"raw_{feed.name}"


def reading_of(feed: Feed) -> str:
    """Identifies what of a contract decides how files are read: another one means that they have to be read again."""
    read = [(column.name, column.source, column.aliases) for column in feed.source_columns]
    return hashlib.sha256(repr((feed.source, read)).encode()).hexdigest()[:16]


def raw_layout(feed: Feed, batch_type: str) -> dict[str, str]:
    """The columns of a feed's raw table and their DuckDB types."""
    return (
        dict(zip(PLATFORM_COLUMNS, (batch_type, "VARCHAR", "VARCHAR", "BIGINT"), strict=True))
        | {column.name: "VARCHAR" for column in feed.source_columns}
        | {"_rescued": "VARCHAR", "_raw_line": "VARCHAR", "_parse_error": "VARCHAR", REPAIRS: "VARCHAR"}
    )


def unreadable(name: str, what: str, error: "duckdb.Error | None" = None) -> FileRefused:
    """The refusal of a file that can't be read.

    Args:
        name: the file's logical name.
        what: what is wrong with it.
        error: the engine's, told without values.

    Raises:
        duckdb.Error: the error itself, where a full disk or too little memory is at fault, not the file.
    """
    if error and no_fault_of_files(error):
        raise error
    told = f": {without_values(error)}" if error and str(error) else ""
    return FileRefused("unreadable", f"{name!r} {what}{told}")

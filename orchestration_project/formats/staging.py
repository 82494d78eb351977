"""What `raw_x` looks like, and the files that are about to be read into it. Reading them is the affair of `stage`.

New records are first read into temporary tables, outside of the transaction that adds them to `raw_x`: DuckDB reads
what a transaction has not committed yet with a single thread. The view `_staged` shows them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileRefused, without_values
from orchestration_project.formats.prepare import Prepared
from orchestration_project.warehouse.faults import no_fault_of_files
from orchestration_project.warehouse.feed_tables import raw_layout
from orchestration_project.warehouse.quoting import ident
from orchestration_project.warehouse.tables import is_empty, types_of

if TYPE_CHECKING:
    import duckdb

STAGED, COPIED = "_staged", "_copied"


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


def make_staged(connection: "duckdb.DuckDBPyConnection", feed: Feed, batch_type: str) -> None:
    """Make an empty `_copied`, which has the columns of the raw table, and `_staged`, which shows it."""
    columns = ", ".join(f"{ident(name)} {sql_type}" for name, sql_type in raw_layout(feed, batch_type).items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {COPIED} ({columns})")
    show_staged(connection)


def show_staged(connection: "duckdb.DuckDBPyConnection", select: str = "") -> None:
    """Make the view `_staged`: the records in `_copied`, and those that a query gives of another temporary table.

    Args:
        connection: after `make_staged`.
        select: gives columns of the raw table, and `_nth`, a number from 0 that is a record's own.
    """
    sides = [f"SELECT -1 - 2 * rowid AS _rid, * FROM {COPIED}"]
    if select:
        given = types_of(connection, f"({select})")
        # Not left to a union: in one with text an enumeration becomes text. There is none where nothing is copied.
        lacking = "".join(
            f", NULL::{sql_type} AS {ident(name)}"
            for name, sql_type in types_of(connection, COPIED).items()
            if name not in given
        )
        sides.append(f"SELECT -2 - 2 * _nth AS _rid, * EXCLUDE (_nth) {lacking} FROM ({select})")
    show(connection, STAGED, sides)


def show(connection: "duckdb.DuckDBPyConnection", view: str, sides: Sequence[str]) -> None:
    """Make a view of what some queries give together, without those that give nothing now.

    A union in which one side turns out to be empty is read with a single thread, by DuckDB 1.5.5.
    """
    filled = [side for side in sides if not is_empty(connection, f"({side})")]
    union = " UNION ALL BY NAME ".join(filled or sides)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {union}")


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

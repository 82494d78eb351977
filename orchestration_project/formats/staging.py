"""The relations of the session into which files are read: their names, and `_staged`, which shows what was read.

Nothing is read here: each format has a module of its own, and `stage` chooses among them.

New records are first read into temporary tables, outside of the transaction that adds them to `raw_x`. DuckDB reads
the uncommitted rows of a transaction with a single thread.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileKey, FileRefused, without_values
from orchestration_project.formats.prepare import Prepared
from orchestration_project.warehouse.faults import no_fault_of_files
from orchestration_project.warehouse.feed_tables import raw_layout
from orchestration_project.warehouse.tables import ident, is_empty, types_of

if TYPE_CHECKING:
    import duckdb

STAGED = "_staged"
"""View: all records of this load, with the columns of `raw_x` and `_rid`, a number that each record has for itself."""
COPIED = "_copied"
"""Table with the columns of `raw_x`: the records that were copied out of the tables below."""
LINES = "_lines"
"""Table: the fields of the text records of one scan, see `lines`."""
SKIPPED = "_skipped"
"""Table: the records that DuckDB's reader left out of that scan, see `lines`."""
READER_ERRORS, READER_SCANS = "_reader_errors", "_reader_scans"
"""Tables in which DuckDB's reader notes what it could not split, and in which file."""
KEY_LISTS = "_key_lists"
"""Table: the lists of keys that JSON objects have, see `json_files`."""
PROBE = "_probe"
"""Table: what one Parquet file holds, read only to see if it can be read."""


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
    def key(self) -> FileKey:
        """What tells the files of one load apart: batch and logical name."""
        return self.batch, self.name

    @property
    def path(self) -> str:
        """What to read."""
        return str(self.prepared.readable)


@dataclass(frozen=True, slots=True)
class StagedRecords:
    """The records of some files, read and counted, until they are committed or the next ones are staged.

    Attributes:
        files: what was read.
        relation: name of the view that shows the records: the columns of the raw table, and `_rid`.
    """

    files: tuple[ReadyFile, ...]
    relation: str = STAGED

    @property
    def count(self) -> int:
        """How many records there are, blank ones included."""
        return sum(file.prepared.records or 0 for file in self.files)


def make_staged(connection: "duckdb.DuckDBPyConnection", feed: Feed, batch_type: str) -> None:
    """Make an empty `_copied`, which has the columns of the raw table, and `_staged`, which shows it."""
    columns = ", ".join(f"{ident(name)} {sql_type}" for name, sql_type in raw_layout(feed, batch_type).items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {COPIED} ({columns})")
    show_staged(connection)


def show_staged(connection: "duckdb.DuckDBPyConnection", select: str = "") -> None:
    """Make the view `_staged`: the records in `_copied`, and those that a query gives of another temporary table.

    Args:
        connection: after `make_staged`.
        select: gives columns of the raw table, and `_nth`, a number from 0 that each record has for itself.
    """
    # Odd numbers for one side and even ones for the other; all negative, since `raw_x` has the others.
    sides = [f"SELECT -1 - 2 * rowid AS _rid, * FROM {COPIED}"]
    if select:
        given = types_of(connection, f"({select})")
        # Not left to the union: it would turn an enumeration into text, if the other side has text there.
        lacking = "".join(
            f", NULL::{sql_type} AS {ident(name)}"
            for name, sql_type in types_of(connection, COPIED).items()
            if name not in given
        )
        sides.append(
            f"WITH uncopied AS ({select}) SELECT -2 - 2 * _nth AS _rid, * EXCLUDE (_nth) {lacking} FROM uncopied"
        )
    show(connection, STAGED, sides)


def show(connection: "duckdb.DuckDBPyConnection", view: str, sides: Sequence[str]) -> None:
    """Make a view of what several queries give together, without the queries that give nothing now.

    DuckDB 1.5.5 reads a union with a single thread if one of its sides turns out to be empty.
    """
    # A question costs little: it ends with the first row that is found.
    filled = [side for side in sides if not is_empty(connection, f"({side})")]
    union = " UNION ALL BY NAME ".join(f"({side})" for side in filled or sides)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {union}")


def drop(connection: "duckdb.DuckDBPyConnection", tables: Iterable[str]) -> None:
    """Drop temporary tables, as far as they exist."""
    for table in tables:
        connection.execute(f"DROP TABLE IF EXISTS temp.{ident(table)}")


def unreadable(name: str, what: str, error: "duckdb.Error | None" = None) -> FileRefused:
    """The refusal of a file that can't be read.

    Args:
        name: the file's logical name.
        what: what is wrong with it.
        error: DuckDB's error; its message is quoted without values.

    Raises:
        duckdb.Error: the error itself, if its cause is a full disk or too little memory, not the file.
    """
    if error and no_fault_of_files(error):
        raise error
    # DuckDB quotes what it could not read, and that may be about a person.
    told = f": {without_values(error)}" if error and str(error) else ""
    return FileRefused("unreadable", f"{name!r} {what}{told}")

"""`file_batches`: the batches of each loaded file that was divided by a column, a row for each file and batch.

Only feeds with a `batch_column` have rows here. Their rows in `file_ledger` have the day of delivery and the counts of
the whole file; what is here adds up to them.

    file_ledger    y.csv  2024-02-01   5 records
    file_batches   y.csv  2024-02-01   2024-01-30   3 records
                   y.csv  2024-02-01   2024-01-31   2 records

Belongs here: the table, and the relation in which questions about batches find each file under its records' batches.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from orchestration_project.warehouse.ledger import COUNTS, IN_RAW
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.tables import columns_of, ensure_table, exists, is_empty, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "file_batches"
COLUMNS = {
    "feed": "VARCHAR",
    "file": "VARCHAR",
    "version": "VARCHAR",
    "delivered": "VARCHAR",
    "batch": "VARCHAR",
    "batch_date": "DATE",
    **dict.fromkeys(COUNTS, "BIGINT"),
    "validated_as": "VARCHAR",
}
"""`delivered` is the `batch` of the file's row in the ledger."""
REPLACED = ("batch", "batch_date", *COUNTS, "validated_as")
"""What of the ledger's columns is told of each batch by itself."""


def ensure_file_batches(connection: "DuckDBPyConnection") -> None:
    """Make sure that the table exists."""
    ensure_table(connection, TABLE, COLUMNS)


def placed(connection: "DuckDBPyConnection") -> str:
    """The relation for questions about batches: the ledger, with a row a batch for each loaded file that was divided.

    Of a feed whose files are divided it has these rows and the refused files; no other version has rows in a batch.
    """
    if not exists(connection, TABLE) or is_empty(connection, TABLE):
        return LEDGER
    # A ledger of an older release may lack some, and who only reads can't add them.
    present = columns_of(connection, LEDGER)
    replaced = ", ".join(
        f"CASE WHEN _p.feed IS NULL THEN _l.{name} ELSE _p.{name} END AS {name}" for name in REPLACED if name in present
    )
    return f"""(
        SELECT _l.* REPLACE ({replaced}) FROM {LEDGER} AS _l LEFT JOIN {TABLE} AS _p
        ON _p.feed = _l.feed AND _p.delivered = _l.batch AND _p.file = _l.file AND _p.version = _l.version
            AND _l.status IN ({literals(IN_RAW)})
        WHERE _p.feed IS NOT NULL OR _l.status = 'quarantined' OR _l.feed NOT IN (SELECT feed FROM {TABLE}))"""


def replace_parts(
    connection: "DuckDBPyConnection", feed: str, gone: Sequence[tuple[str, str]], parts: str, loads: Sequence[str]
) -> None:
    """Write the batches of the files that come in, and remove those of the files that go.

    Args:
        connection: inside the transaction.
        feed: the feed's name.
        gone: name and version of the files that go.
        parts: relation with `_delivered`, `_batch_date`, `_file`, `_file_version` and `records` of what was read.
        loads: the versions that come in.
    """
    if gone:
        connection.execute(
            f"""DELETE FROM {TABLE} WHERE feed = $feed AND (file, version) IN (
                SELECT (unnest($files), unnest($versions)))""",
            {"feed": feed, "files": [file for file, _ in gone], "versions": [version for _, version in gone]},
        )
    source = f"{parts} WHERE _file_version IN ({literals(dict.fromkeys(loads))})" if loads else ""
    # In DuckDB 1.5.5 an INSERT of no rows makes a later large one of the same transaction lose its rows.
    if source and not is_empty(connection, source):
        connection.execute(
            f"""INSERT INTO {TABLE} BY NAME
                SELECT {literal(feed)} AS feed, _file AS file, _file_version AS version,
                    strftime(_delivered, '%Y-%m-%d') AS delivered, strftime(_batch_date, '%Y-%m-%d') AS batch,
                    _batch_date AS batch_date, records FROM {source}"""
        )


def write_part_counts(
    connection: "DuckDBPyConnection",
    feed: str,
    counts: Mapping[tuple[str, str, str], Sequence[int]],
    validated_as: str | None,
) -> None:
    """Write what became of the records of divided files, batch by batch, and their sums to the ledger.

    Args:
        connection: inside the transaction.
        feed: the feed's name.
        counts: the numbers for the columns `COUNTS`, by batch (partition key), file and version.
        validated_as: identifies the contract by which they have been validated.
    """
    names = ("batch", "file", "version", *COUNTS)
    rows = [(*key, *numbers) for key, numbers in counts.items()]
    values: dict[str, object] = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    listed = ", ".join(f"unnest(${name}::{COLUMNS[name]}[]) AS {name}" for name in names)
    changes = ", ".join(f"{name} = counted.{name}" for name in COUNTS)
    connection.execute(
        f"""WITH counted AS (SELECT {listed})
        UPDATE {TABLE} SET {changes}, validated_as = $validated_as FROM counted
        WHERE {TABLE}.feed = $feed AND {TABLE}.batch = counted.batch AND {TABLE}.file = counted.file
            AND {TABLE}.version = counted.version""",
        {"feed": feed, "validated_as": validated_as} | values,
    )
    # The ledger's number of records was counted in the bytes, so it stays.
    sums = [name for name in COUNTS if name != "records"]
    connection.execute(
        f"""WITH summed AS (
            SELECT delivered, file, version, {", ".join(f"sum({name})::BIGINT AS {name}" for name in COUNTS)},
                CASE WHEN count(DISTINCT coalesce(validated_as, '')) = 1 THEN max(validated_as) END AS validated_as
            FROM {TABLE} WHERE feed = $feed GROUP BY delivered, file, version)
        UPDATE {LEDGER} SET records = coalesce({LEDGER}.records, summed.records),
            {", ".join(f"{name} = summed.{name}" for name in sums)}, validated_as = summed.validated_as
        FROM summed WHERE {LEDGER}.feed = $feed AND {LEDGER}.batch = summed.delivered
            AND {LEDGER}.file = summed.file AND {LEDGER}.version = summed.version
            AND {LEDGER}.status IN ({literals(IN_RAW)})""",
        {"feed": feed},
    )


def parts_select(feed: str) -> str:
    """Query of where the rows of a feed's divided files are: `_batch_date`, `_file`, `_file_version`, `delivered`."""
    return f"""SELECT batch_date AS _batch_date, file AS _file, version AS _file_version, delivered
        FROM {TABLE} WHERE feed = {literal(feed)}"""

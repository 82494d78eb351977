"""`published_batches`: what each batch of a cleaned table holds, written in the transaction that writes its rows.

So whoever made something from a batch can tell whether it is up to date, and whoever checks a table whether rows came
or went outside of a load, without reading the rows of all batches. A batch without rows is not listed.

What is made from published batches is in `marts`.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.warehouse.tables import batch_filter, ensure_table, exists, ident, is_empty, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "published_batches"
# A sum of 64-bit hashes is below 10^38 for fewer than 10^18 of them. Other engines make a DOUBLE of a HUGEINT.
CONTENT_TYPE = "DECIMAL(38,0)"
COLUMNS = {"table_name": "VARCHAR", "_batch_date": "TIMESTAMP", "rows": "BIGINT", "content": CONTENT_TYPE}


def ensure_published(connection: "DuckDBPyConnection", table: str) -> None:
    """Make sure that the batches of a cleaned table are listed.

    All rows are read where none is: a warehouse from before there was this list has to be taken as it is. The list of
    an older release, whose `content` is a HUGEINT, gets the type of today; the values stay.
    """
    ensure_table(connection, TABLE, COLUMNS)
    if is_unlisted(connection, table):
        note_published(connection, table, None)


def is_unlisted(connection: "DuckDBPyConnection", table: str) -> bool:
    """Whether a cleaned table has rows and the list, which must exist, has none of its batches."""
    unlisted = is_empty(connection, f"{TABLE} WHERE table_name = {literal(table)}")
    return unlisted and exists(connection, table) and not is_empty(connection, ident(table))


def note_published(
    connection: "DuckDBPyConnection", table: str, batches: Sequence[object] | None, rules: str = ""
) -> None:
    """List what some batches (None: all) of a cleaned table hold now.

    `content` stands for which records the batch has, and for what decides their values, so that these need not be read:
    it depends neither on the order of rows or columns nor on the time, and the same files give the same again.

    Args:
        connection: inside the transaction that writes the rows.
        table: the cleaned table.
        batches: its batches.
        rules: identifies how records become values; another contract has another one.
    """
    condition = batch_filter(batches)
    connection.execute(f"DELETE FROM {TABLE} WHERE table_name = $table AND {condition}", {"table": table})
    # Two steps, so that name and version are hashed once a file and not with each row. Records stand for values: the
    # same records under the same rules give the same ones, and to hash all columns would cost a pass over all of them.
    connection.execute(
        f"""WITH files AS (
                SELECT _batch_date, _file, _file_version, count(*) AS rows, sum(hash(_row)) AS places
                FROM {ident(table)} WHERE {condition} GROUP BY _batch_date, _file, _file_version)
            INSERT INTO {TABLE}
            SELECT $table, _batch_date, sum(rows), sum(hash($rules, _file, _file_version, places))::{CONTENT_TYPE}
            FROM files GROUP BY _batch_date""",
        {"table": table, "rules": rules},
    )


def has_listed_rows(connection: "DuckDBPyConnection", table: str) -> bool:
    """Whether a table has as many rows as are listed, which is none for one that is not listed."""
    found = connection.execute(
        f"""SELECT (SELECT count(*) FROM {ident(table)})
            = (SELECT coalesce(sum(rows), 0) FROM {TABLE} WHERE table_name = $1)""",
        [table],
    ).fetchone()
    return found == (True,)


def listed_contents(connection: "DuckDBPyConnection", table: str, batch_type: str) -> dict[str, int]:
    """What is listed of a cleaned table: the content of each batch, by the text that its start has in the table.

    Empty if the table is not listed, or if rows came or went outside of a load: then the list tells nothing.

    Args:
        connection: to the warehouse.
        table: any table of the schema `main`.
        batch_type: the type of its `_batch_date`; that of the list is TIMESTAMP for every feed.
    """
    if not exists(connection, TABLE) or not has_listed_rows(connection, table):
        return {}
    rows = connection.execute(
        f"SELECT _batch_date::{batch_type}::VARCHAR, content::HUGEINT FROM {TABLE} WHERE table_name = $1", [table]
    ).fetchall()
    return dict(rows)


def changed_outside(connection: "DuckDBPyConnection", table: str) -> list[dt.datetime]:
    """The starts of a cleaned table's batches that have more or fewer rows than were published, in order.

    DuckDB knows the number of a table's rows without reading them; they are counted by batch only if that is wrong.
    """
    # Else each check would count years of rows by batch.
    if has_listed_rows(connection, table):
        return []
    published = f"FROM {TABLE} WHERE table_name = $1"
    rows = connection.execute(
        f"""WITH present AS (SELECT _batch_date, count(*) AS rows FROM {ident(table)} GROUP BY 1),
                published AS (SELECT _batch_date, rows {published})
            SELECT coalesce(present._batch_date, published._batch_date) AS batch
            FROM present FULL JOIN published ON present._batch_date = published._batch_date
            WHERE present.rows IS DISTINCT FROM published.rows ORDER BY 1""",
        [table],
    ).fetchall()
    return [batch for (batch,) in rows]

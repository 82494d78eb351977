"""Which keys a feed has, and the queries that find records whose key another record has.

The rule is in `duplicates_select`. Each key (the primary key, every unique column) is looked at by itself, over the
records that break no other rule. So the records that may win in a batch depend on that batch alone. When one batch is
replaced, records of later batches may become duplicates or cease to be, within the look-back and never beyond.

A column of a contract may have any name that begins with a letter. So in a query over such columns all that we add to
them has a name that begins with `_`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.relations import CORRECTED, DUPLICATES, REPEATED_KEYS, SHARED_KEYS, VALIDATED
from orchestration_project.ingest.values import text_of, value_of
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import cleaned_table, rejected_table
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.quoting import ident, idents, literal
from orchestration_project.warehouse.tables import append, batch_filter, is_empty

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DUPLICATE_KEY, UNIQUE = "duplicate_key", "unique"
IDENTITY = "_batch_date, _file, _file_version, _row"


@dataclass(frozen=True, slots=True)
class Key:
    """Columns whose values may occur once; `rule` names it in reasons."""

    columns: tuple[str, ...]
    rule: str

    @property
    def reason(self) -> str:
        """The reason without the winner."""
        return f"{', '.join(self.columns)}: {self.rule}"

    @property
    def listed(self) -> str:
        """The columns as SQL."""
        return idents(self.columns)


def keys_of(feed: Feed) -> list[Key]:
    """What may occur only once in a feed."""
    unique = [
        Key((column.name,), UNIQUE) for column in feed.columns if column.unique and (column.name,) != feed.primary_key
    ]
    return ([Key(feed.primary_key, DUPLICATE_KEY)] if feed.primary_key else []) + unique


def find_duplicates(
    connection: "DuckDBPyConnection",
    feed: Feed,
    look_back: Sequence[Batch],
    window_seconds: float,
    among: str = "true",
) -> None:
    """Fill `_duplicates` with the validated records whose key another record has.

    Args:
        connection: inside the transaction; `_corrected` has the repaired records.
        feed: the contract.
        look_back: other batches whose published rows count, because a validated batch is within their reach.
        window_seconds: how far back a batch looks for earlier ones; 0: not at all.
        among: a condition on `_file`: only such records take part.
    """
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {DUPLICATES} AS
            SELECT _rid, {IDENTITY}, ''::VARCHAR AS reason FROM {VALIDATED} LIMIT 0"""
    )
    for key in keys_of(feed):
        own, shared = own_candidates(key, among), bool(look_back)
        if shared:
            outside = published_candidates(feed, key, f"{batch_filter(look_back)} AND {among}")
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {SHARED_KEYS} AS {shared_keys_select(key, own, outside)}")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {REPEATED_KEYS} AS {repeated_keys_select(key, own, shared)}")
        if not is_empty(connection, REPEATED_KEYS):
            append(connection, DUPLICATES, duplicates_select(feed, key, own, shared, window_seconds))


def affected_batches(
    connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch], later: Sequence[Batch]
) -> list[Batch]:
    """The later batches that share a key with what the validated batches gain or lose when they are published.

    It is asked before the published rows are replaced.

    Args:
        connection: inside the transaction.
        feed: the contract.
        batches: the validated ones.
        later: the batches within their reach; the result is a part of them.
    """
    affected: set[Batch] = set()
    for key in keys_of(feed) if later else ():
        rows = connection.execute(affected_select(feed, key, batches, later)).fetchall()
        affected |= {batch for (batch,) in rows}
    return [batch for batch in later if batch in affected]


def own_candidates(key: Key, among: str = "true") -> str:
    """Query of the validated records that may win a key: they break no rule and have all of it."""
    present = " AND ".join(f"{ident(name)} IS NOT NULL" for name in key.columns)
    return f"""SELECT {key.listed}, {IDENTITY}, _rid FROM {VALIDATED}
        WHERE _reasons IS NULL AND {present} AND {among}"""


def published_candidates(feed: Feed, key: Key, condition: str) -> str:
    """Query of the published rows that may win a key: cleaned ones, and those that were rejected for a key alone."""
    columns = {column.name: column for column in feed.source_columns}
    values = ", ".join(
        f"{value_of(columns[name], text_of(columns[name], ident(name)))} AS {ident(name)}" for name in key.columns
    )
    cleaned, rejected = ident(cleaned_table(feed)), ident(rejected_table(feed))
    return f"""SELECT {key.listed}, {IDENTITY} FROM {cleaned} WHERE {condition}
        UNION ALL SELECT {values}, {IDENTITY} FROM {rejected} WHERE {condition} AND {only_duplicates(feed)}"""


def only_duplicates(feed: Feed) -> str:
    """A condition over `rejected_x`: nothing is wrong with the row but that another one has its key."""
    starts = " OR ".join(f"starts_with(_reason, {literal(key.reason)})" for key in keys_of(feed)) or "false"
    return f"len(list_filter(_reasons, lambda _reason: NOT ({starts}))) = 0"


def repeated_keys_select(key: Key, own: str, shared: bool) -> str:
    """Query of the hashes of keys that may occur more than once.

    To count hashes costs much less than a window over all records; the windows then see the few records that remain.
    Keys that only share a hash are told apart there. Keys of the look-back are many: they are not counted, only looked
    up, once, by `shared_keys_select`.
    """
    counted = f"SELECT hash({key.listed}) AS _hash FROM ({own}) GROUP BY ALL HAVING count(*) > 1"
    return f"{counted} UNION ALL SELECT hash({key.listed}) FROM {SHARED_KEYS}" if shared else counted


def shared_keys_select(key: Key, own: str, outside: str) -> str:
    """Query of the published rows outside of the validated batches that have a key of a validated record."""
    return f"FROM ({outside}) SEMI JOIN ({own}) own USING ({key.listed})"


def duplicates_select(feed: Feed, key: Key, own: str, shared: bool, window_seconds: float) -> str:
    """Query of the validated records whose key another record has, with the reason that names the winner.

    Within a batch the last record of the newest file wins (modification time, then name). Across batches, as far back
    as the feed looks, the earlier batch wins. A repaired record takes the place of the one that it corrects: it counts
    as if that one had been right from the beginning.

    Steps: what takes part, with its place in time; the winner in each batch; the winner among earlier batches within
    the window; then every record that is not its own winner. Example, with a look-back of 7 days:

        2024-01-01  a.csv row 1  id = 7          (wins)
        2024-01-01  a.csv row 2  id = 8          kept: a.csv row 3
        2024-01-01  a.csv row 3  id = 8          (wins)
        2024-01-02  b.csv row 1  id = 7          kept: a.csv row 1

    Args:
        feed: the contract.
        key: the key.
        own: query of the validated records that take part.
        shared: whether rows of `_shared_keys` take part, too.
        window_seconds: how far back a batch looks for earlier ones; 0: not at all.
    """
    columns = key.listed
    pool = f"{own} UNION ALL SELECT *, NULL FROM {SHARED_KEYS}" if shared else own
    earlier = "SELECT *, NULL::STRUCT(file VARCHAR, row BIGINT) AS _earlier FROM in_batch"
    if window_seconds:
        earlier = f"""
            SELECT in_batch.*, winners._earlier FROM in_batch JOIN (
                SELECT {columns}, _at, first_value(_winner) OVER (PARTITION BY {columns} ORDER BY _at
                    RANGE BETWEEN {window_seconds} PRECEDING AND 1 PRECEDING) AS _earlier
                FROM in_batch WHERE _place = 1) winners USING ({columns}, _at)"""
    return f"""
        WITH pool AS (FROM ({pool}) WHERE hash({columns}) IN (FROM {REPEATED_KEYS})),
        ages AS ({ages_select(feed)}),
        placed AS (
            SELECT pool.*, coalesce(epoch(_batch_date::TIMESTAMP), 0) AS _at,
                coalesce(_target.modified_at, ages._modified_at) AS _modified_at,
                coalesce(_target.file, _file) AS _from, coalesce(_target.row, _row) AS _nth,
                _target.file IS NOT NULL AS _repaired
            FROM pool LEFT JOIN ages USING (_file, _file_version)
            LEFT JOIN {CORRECTED} AS _target USING (_file, _file_version, _row)),
        in_batch AS (
            SELECT *, first_value({{'file': _file, 'row': _row}}) OVER newest AS _winner,
                row_number() OVER newest AS _place
            FROM placed
            WINDOW newest AS (PARTITION BY {columns}, _batch_date
                ORDER BY _modified_at DESC, _from DESC, _nth DESC, _repaired DESC)),
        compared AS ({earlier}),
        beaten AS (
            SELECT _rid, {IDENTITY}, coalesce(_earlier, _winner) AS kept FROM compared
            WHERE _rid IS NOT NULL AND (_place > 1 OR _earlier IS NOT NULL))
        SELECT _rid, {IDENTITY}, {literal(key.reason)} || ' (kept: ' || kept.file || ' row ' || kept.row || ')'
        FROM beaten"""


def ages_select(feed: Feed) -> str:
    """Query of when each version of a feed's files was last modified."""
    return f"""SELECT file AS _file, version AS _file_version, modified_at AS _modified_at
        FROM {LEDGER} WHERE feed = {literal(feed.name)}"""


def affected_select(feed: Feed, key: Key, batches: Sequence[Batch], later: Sequence[Batch]) -> str:
    """Query of the later batches that share a key with what the validated batches gain or lose."""
    columns = key.listed
    return f"""
        WITH old AS ({published_candidates(feed, key, batch_filter(batches))}),
        new AS (SELECT {columns}, {IDENTITY} FROM {VALIDATED} WHERE _reasons IS NULL),
        changed AS ((FROM old EXCEPT FROM new) UNION ALL (FROM new EXCEPT FROM old)),
        later AS ({published_candidates(feed, key, batch_filter(later))})
        SELECT DISTINCT _batch_date FROM later SEMI JOIN changed USING ({columns})"""

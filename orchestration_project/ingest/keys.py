"""Keys count once: find the records of `_judged` that lose against another record with the same key.

Within a batch the last record of the newest file (modification time, then name) wins; across batches, as far back as
the feed looks, the earlier batch wins. Each of the feed's keys (the primary key, every unique column) is judged by
itself, over the records that break no other rule, so a batch's candidates depend on that batch alone: replacing one
batch can change the verdict on the batches that follow within the look-back, never beyond. A repaired record takes the
place of the one that it corrects: it counts as if that one had been right from the beginning. Whether it is a candidate
at all is judged before, in `repairs`, by what the batches before it hold: only there one batch can reach further.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.values import text_of, value_of
from orchestration_project.storage.batches import Batch
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


def keys_of(feed: Feed) -> list[Key]:
    """What may occur only once in a feed."""
    unique = [
        Key((column.name,), UNIQUE) for column in feed.columns if column.unique and (column.name,) != feed.primary_key
    ]
    return ([Key(feed.primary_key, DUPLICATE_KEY)] if feed.primary_key else []) + unique


def only_duplicates(feed: Feed) -> str:
    """A condition over `rejected_x`: nothing is wrong with the row but that another one has its key."""
    starts = " OR ".join(f"starts_with(reason, {literal(key.reason)})" for key in keys_of(feed)) or "false"
    return f"len(list_filter(_reasons, lambda reason: NOT ({starts}))) = 0"


def published_candidates(feed: Feed, key: Key, condition: str) -> str:
    """Query of the published rows of some batches that are candidates for a key: kept, or rejected for a key alone."""
    columns = {column.name: column for column in feed.source_columns}
    values = ", ".join(
        f"{value_of(columns[name], text_of(columns[name], ident(name)))} AS {ident(name)}" for name in key.columns
    )
    cleaned, rejected = ident(f"cleaned_{feed.name}"), ident(f"rejected_{feed.name}")
    return f"""SELECT {idents(key.columns)}, {IDENTITY} FROM {cleaned} WHERE {condition}
        UNION ALL SELECT {values}, {IDENTITY} FROM {rejected} WHERE {condition} AND {only_duplicates(feed)}"""


def find_losers(
    connection: "DuckDBPyConnection",
    feed: Feed,
    batches: Sequence[Batch] | None,
    look_back: Sequence[Batch],
    window_seconds: float,
    among: str = "true",
) -> None:
    """Fill the temporary table `_losers` for the records of `_judged`.

    It has their `_rid`, `_batch_date`, `_file`, `_file_version` and `_row`, and `reason` with the winner's name.

    Args:
        connection: inside a transaction, `_judged` filled, and `_places` for the repaired records.
        feed: the contract.
        batches: the batches in `_judged`; None for a snapshot.
        look_back: other batches whose published rows count, because one of `batches` is within their reach.
        window_seconds: how far back a batch looks for earlier ones; 0: not at all.
        among: a condition on `_file`: only such records take part.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _losers AS SELECT _rid, {IDENTITY}, ''::VARCHAR AS reason FROM _judged LIMIT 0"
    )
    for key in keys_of(feed):
        within_reach = bool(look_back) and batches is not None
        condition = f"{batch_filter(look_back)} AND {among}"
        outside = published_candidates(feed, key, condition) if within_reach else None
        own = _candidates(key, among)
        columns = idents(key.columns)
        # Counting the hashes of keys is much cheaper than a window over all records; the windows see the few that occur
        # more than once. Keys that only share a hash are told apart there.
        several = f"SELECT hash({columns}) AS _hash FROM ({own}) GROUP BY ALL HAVING count(*) > 1"
        pool = own
        if outside:
            # The keys of a long look-back are many: they are not counted, only looked up, in one scan.
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE _shared AS FROM ({outside}) SEMI JOIN ({own}) own USING ({columns})"
            )
            several += f" UNION ALL SELECT hash({columns}) FROM _shared"
            pool += " UNION ALL SELECT *, NULL FROM _shared"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE _several AS {several}")
        if not is_empty(connection, "_several"):
            append(connection, "_losers", _losers(feed, key, pool, window_seconds))


def _candidates(key: Key, among: str) -> str:
    """Query of the judged records that are candidates for a key."""
    present = " AND ".join(f"{ident(name)} IS NOT NULL" for name in key.columns)
    return f"""SELECT {idents(key.columns)}, {IDENTITY}, _rid FROM _judged
        WHERE _reasons IS NULL AND {present} AND {among}"""


def _losers(feed: Feed, key: Key, pool: str, window_seconds: float) -> str:
    columns = idents(key.columns)
    ledger = (
        f"SELECT file AS _file, version AS _file_version, modified_at FROM {LEDGER} WHERE feed = {literal(feed.name)}"
    )
    candidates = f"""SELECT pool.*, coalesce(epoch(_batch_date::TIMESTAMP), 0) AS _at,
            coalesce(place.modified_at, ledger.modified_at) AS _modified_at, coalesce(place.file, _file) AS _from,
            coalesce(place.row, _row) AS _nth, place.file IS NOT NULL AS _repaired
        FROM (FROM ({pool}) WHERE hash({columns}) IN (FROM _several)) pool
        LEFT JOIN ({ledger}) ledger USING (_file, _file_version)
        LEFT JOIN _places place USING (_file, _file_version, _row)"""
    in_batch = f"""SELECT *, first_value({{'file': _file, 'row': _row}}) OVER newest AS _winner,
            row_number() OVER newest AS _place FROM ({candidates})
        WINDOW newest AS (PARTITION BY {columns}, _batch_date
            ORDER BY _modified_at DESC, _from DESC, _nth DESC, _repaired DESC)"""
    if window_seconds:
        earlier = f"""SELECT {columns}, _at, first_value(_winner) OVER (PARTITION BY {columns} ORDER BY _at
            RANGE BETWEEN {window_seconds} PRECEDING AND 1 PRECEDING) AS _earlier FROM ({in_batch}) WHERE _place = 1"""
        found = f"SELECT b.*, e._earlier FROM ({in_batch}) b JOIN ({earlier}) e USING ({columns}, _at)"
    else:
        found = f"SELECT *, NULL::STRUCT(file VARCHAR, row BIGINT) AS _earlier FROM ({in_batch})"
    return f"""SELECT _rid, {IDENTITY}, {literal(key.reason)} || ' (kept: ' || kept.file || ' row ' || kept.row || ')'
        FROM (SELECT _rid, {IDENTITY}, coalesce(_earlier, _winner) AS kept FROM ({found})
            WHERE _rid IS NOT NULL AND (_place > 1 OR _earlier IS NOT NULL))"""


def changed_later(
    connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch], later: Sequence[Batch]
) -> list[Batch]:
    """The later batches that share a key with what the judged batches gained or lost against their published rows.

    Must run before the published rows are replaced. `later` are the batches within reach; the result is a part of them.
    """
    affected: set[Batch] = set()
    for key in keys_of(feed):
        columns = idents(key.columns)
        old = published_candidates(feed, key, batch_filter(batches))
        new = f"SELECT {columns}, {IDENTITY} FROM _judged WHERE _reasons IS NULL"
        changed = f"(({old}) EXCEPT ({new})) UNION ALL (({new}) EXCEPT ({old}))"
        rows = connection.execute(
            f"""SELECT DISTINCT _batch_date FROM ({published_candidates(feed, key, batch_filter(later))})
                SEMI JOIN ({changed}) changed USING ({columns})"""
        ).fetchall()
        affected |= {batch for (batch,) in rows}
    return [batch for batch in later if batch in affected]

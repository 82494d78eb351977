"""Find the validated records whose key another record has, and the later batches that a change of keys reaches.

Belongs here: which records take part. Which of them keeps a key is in `keys`; when it is asked, in `deduplicate`.

Each key (the primary key, every unique column) is looked at by itself, over the records that break no other rule. What
the batches before a batch keep is all that has to be known of them. When that changes, the later batches within reach
are looked at again, and those after them when they change in their turn.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.keys import IDENTITY, Key, duplicates_select, keys_of
from orchestration_project.ingest.relations import DUPLICATES, REPEATED_KEYS, SHARED_KEYS, VALIDATED
from orchestration_project.ingest.values import text_of, value_of
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import cleaned_table, rejected_table
from orchestration_project.warehouse.ledger import of_repairs
from orchestration_project.warehouse.tables import append, batch_filter, ident, is_empty, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def find_duplicates(
    connection: "DuckDBPyConnection",
    feed: Feed,
    look_back: Sequence[Batch],
    window_seconds: float,
    ordinary: bool = False,
) -> None:
    """Fill `_duplicates` with the validated records whose key another record has.

    Args:
        connection: inside the transaction; `_corrected` has the repaired records.
        feed: the contract.
        look_back: other batches whose published rows count, because a validated batch is within their reach.
        window_seconds: how far back a batch looks for earlier ones; 0: not at all.
        ordinary: whether only records of ordinary files take part, and any earlier one with the key counts, kept or
            not: so what repair files may correct does not depend on what other repair files bring.
    """
    # A query of no rows, so that `_batch_date` has the type that it has in this feed.
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {DUPLICATES} AS
            SELECT _rid, {IDENTITY}, ''::VARCHAR AS reason FROM {VALIDATED} LIMIT 0"""
    )
    among = f"NOT {of_repairs(feed.name)}" if ordinary else "true"
    outside = published_candidates if ordinary else published_keepers
    for key in keys_of(feed):
        own, shared = own_candidates(key, among), bool(look_back)
        # Made once: the pool and the counted keys both ask for it, and it reads the published tables.
        if shared:
            others = outside(feed, key, f"{batch_filter(look_back)} AND {among}")
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {SHARED_KEYS} AS {shared_keys_select(key, own, others)}")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {REPEATED_KEYS} AS {repeated_keys_select(key, own, shared)}")
        # The windows read the records once more, and mostly no key repeats.
        if not is_empty(connection, REPEATED_KEYS):
            append(connection, DUPLICATES, duplicates_select(feed, key, own, shared, window_seconds, ordinary))


def affected_batches(
    connection: "DuckDBPyConnection",
    feed: Feed,
    batches: Sequence[Batch],
    later: Sequence[Batch],
    window_seconds: float,
    with_duplicates: bool = False,
) -> list[Batch]:
    """The later batches with a key that the validated batches keep otherwise than before, within its reach.

    It is asked before the published rows are replaced.

    Args:
        connection: inside the transaction; `_duplicates` is filled.
        feed: the contract.
        batches: the validated ones.
        later: other batches; the result is a part of them.
        window_seconds: how far a record reaches.
        with_duplicates: whether it counts too that records came or went that are not kept.
    """
    # A record may have lost one key and kept another, so each key is asked by itself.
    affected: set[Batch] = set()
    for key in keys_of(feed) if later else ():
        rows = connection.execute(
            affected_select(feed, key, batches, later, window_seconds, with_duplicates)
        ).fetchall()
        affected |= {batch for (batch,) in rows}
    return [batch for batch in later if batch in affected]


def own_candidates(key: Key, among: str = "true") -> str:
    """Query of the validated records that may win a key: they break no rule and have all of it."""
    present = " AND ".join(f"{ident(name)} IS NOT NULL" for name in key.columns)
    return f"""SELECT {key.listed}, {IDENTITY}, _rid FROM {VALIDATED}
        WHERE _reasons IS NULL AND {present} AND {among}"""


def published_candidates(feed: Feed, key: Key, condition: str, rejects: str = "true") -> str:
    """Query of the published rows that may win a key: cleaned ones, and those that were rejected for a key alone.

    Of the latter only those for which the condition `rejects` holds.
    """
    columns = {column.name: column for column in feed.source_columns}
    # A rejected row has text only. The same expressions as in the load give its key, so that both compare equal.
    values = ", ".join(
        f"{value_of(columns[name], text_of(columns[name], ident(name)))} AS {ident(name)}" for name in key.columns
    )
    cleaned, rejected = ident(cleaned_table(feed)), ident(rejected_table(feed))
    return f"""SELECT {key.listed}, {IDENTITY} FROM {cleaned} WHERE {condition}
        UNION ALL SELECT {values}, {IDENTITY} FROM {rejected} WHERE {condition}
        AND {only_duplicates(feed)} AND {rejects}"""


def published_keepers(feed: Feed, key: Key, condition: str) -> str:
    """Query of the published rows that keep a key: no other record has taken it from them. Most of them are cleaned."""
    beaten = f"list_filter(_reasons, lambda _reason: {key.beaten('_reason')})"
    return published_candidates(feed, key, condition, f"len({beaten}) = 0")


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
    # SEMI: a key that several validated records have must not repeat the published row.
    return f"FROM ({outside}) SEMI JOIN ({own}) own USING ({key.listed})"


def affected_select(
    feed: Feed,
    key: Key,
    batches: Sequence[Batch],
    later: Sequence[Batch],
    window_seconds: float,
    with_duplicates: bool = False,
) -> str:
    """Query of the later batches with a key that the validated batches keep otherwise than before, within its reach.

    Another version of a file that has the key in the same row keeps it as before: what others say of it stays true.
    """
    # What is kept before comes from the published rows, what is kept now from the validated ones less the beaten.
    columns, before, now = (
        key.listed,
        published_keepers,
        f"""FROM ({own_candidates(key)})
        ANTI JOIN (SELECT _rid FROM {DUPLICATES} WHERE {key.beaten("reason")}) USING (_rid)""",
    )
    if with_duplicates:
        before, now = published_candidates, own_candidates(key)
    place = f"{columns}, _batch_date, _file, _row"
    # Differences both ways: a key that came takes later records out, one that went lets them back in.
    return f"""
        WITH old AS (SELECT {place} FROM ({before(feed, key, batch_filter(batches))})),
        new AS (SELECT {place} FROM ({now})),
        changed AS ((FROM old EXCEPT FROM new) UNION ALL (FROM new EXCEPT FROM old)),
        reached AS (
            SELECT DISTINCT {columns}, _batch_date AS _begin,
                _batch_date + to_seconds({window_seconds}) AS _end
            FROM changed),
        later AS ({published_candidates(feed, key, batch_filter(later))})
        SELECT DISTINCT _batch_date FROM later JOIN reached USING ({columns})
        WHERE _batch_date > _begin AND _batch_date <= _end"""

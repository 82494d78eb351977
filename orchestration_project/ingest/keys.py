"""Which keys a feed has, and the queries that find records whose key another record has.

The rule is in `duplicates_select`. Each key (the primary key, every unique column) is looked at by itself, over the
records that break no other rule. A record that is kept takes its key from the records after it, within the look-back;
one that is not kept takes nothing. So what the batches before a batch keep is all that has to be known of them. When
that changes, the later batches within reach are looked at again, and those after them when they change in their turn.

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
from orchestration_project.warehouse.ledger import BATCH_DATE, of_repairs
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.tables import append, batch_filter, ident, idents, is_empty, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DUPLICATE_KEY, UNIQUE = "duplicate_key", "unique"
IDENTITY = "_batch_date, _file, _file_version, _row"
WINNER = "STRUCT(file VARCHAR, row BIGINT)"


@dataclass(frozen=True, slots=True)
class Key:
    """Columns whose values may occur once; `rule` names it in reasons."""

    columns: tuple[str, ...]
    rule: str

    @property
    def reason(self) -> str:
        """The reason without the winner."""
        return f"{', '.join(self.columns)}: {self.rule}"

    def beaten(self, reason: str) -> str:
        """A condition: the reason, given as SQL, says that another record has this key."""
        return f"starts_with({reason}, {literal(f'{self.reason} (kept: ')})"

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
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {DUPLICATES} AS
            SELECT _rid, {IDENTITY}, ''::VARCHAR AS reason FROM {VALIDATED} LIMIT 0"""
    )
    among = f"NOT {of_repairs(feed.name)}" if ordinary else "true"
    outside = published_candidates if ordinary else published_keepers
    for key in keys_of(feed):
        own, shared = own_candidates(key, among), bool(look_back)
        if shared:
            others = outside(feed, key, f"{batch_filter(look_back)} AND {among}")
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {SHARED_KEYS} AS {shared_keys_select(key, own, others)}")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {REPEATED_KEYS} AS {repeated_keys_select(key, own, shared)}")
        if not is_empty(connection, REPEATED_KEYS):
            append(connection, DUPLICATES, duplicates_select(feed, key, own, shared, window_seconds, ordinary))


def affected_batches(
    connection: "DuckDBPyConnection",
    feed: Feed,
    batches: Sequence[Batch],
    later: Sequence[Batch],
    window_seconds: float,
    rivals: bool = False,
) -> list[Batch]:
    """The later batches with a key that the validated batches keep otherwise than before, within its reach.

    It is asked before the published rows are replaced.

    Args:
        connection: inside the transaction; `_duplicates` is filled.
        feed: the contract.
        batches: the validated ones.
        later: other batches; the result is a part of them.
        window_seconds: how far a record reaches.
        rivals: whether it counts too that records came or went that are not kept.
    """
    affected: set[Batch] = set()
    for key in keys_of(feed) if later else ():
        rows = connection.execute(affected_select(feed, key, batches, later, window_seconds, rivals)).fetchall()
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
    return f"FROM ({outside}) SEMI JOIN ({own}) own USING ({key.listed})"


def duplicates_select(
    feed: Feed, key: Key, own: str, shared: bool, window_seconds: float, ordinary: bool = False
) -> str:
    """Query of the validated records whose key another record has, with the reason that names the winner.

    Within a batch the last record of the newest file wins (modification time, then name). Across batches a record that
    is kept takes its key from those after it, as far as the feed looks back. A repaired record takes the place of the
    one that it corrects: it counts as if that one had been right from the beginning.

    Steps: what takes part, with its place in time; the winner in each batch; the earlier batch that takes the key from
    it; then every record that is not its own winner. Example, with a look-back of 7 days:

        2024-01-01  a.csv row 1  id = 7          (kept)
        2024-01-01  a.csv row 2  id = 8          kept: a.csv row 3
        2024-01-01  a.csv row 3  id = 8          (kept)
        2024-01-08  b.csv row 1  id = 7          kept: a.csv row 1
        2024-01-15  c.csv row 1  id = 7          (kept)

    Args:
        feed: the contract.
        key: the key.
        own: query of the validated records that take part.
        shared: whether rows of `_shared_keys` take part, too.
        window_seconds: how far back a batch looks for earlier ones; 0: not at all.
        ordinary: whether any earlier record takes the key, not only one that is kept.
    """
    columns = key.listed
    pool = f"{own} UNION ALL SELECT *, NULL FROM {SHARED_KEYS}" if shared else own
    across = f"compared AS (SELECT *, NULL::{WINNER} AS _earlier FROM in_batch)"
    if window_seconds:
        taken = _taken_by_any(columns, window_seconds) if ordinary else _taken_by_kept(columns, window_seconds)
        across = f"""winners AS (SELECT {columns}, _at, _winner FROM in_batch WHERE _place = 1),
        {taken},
        compared AS (SELECT in_batch.*, taken._earlier FROM in_batch JOIN taken USING ({columns}, _at))"""
    return f"""
        WITH RECURSIVE pool AS (FROM ({pool}) WHERE hash({columns}) IN (FROM {REPEATED_KEYS})),
        ages AS ({ages_select(feed)}),
        placed AS (
            SELECT pool.*, coalesce(epoch(_batch_date::TIMESTAMP), 0) AS _at,
                coalesce(_target.modified_at, ages._modified_at) AS _modified_at,
                coalesce(_target.file, _file) AS _from, coalesce(_target.row, _row) AS _nth,
                _target.file IS NOT NULL AS _repaired
            FROM pool LEFT JOIN ages USING (_batch_date, _file, _file_version)
            LEFT JOIN {CORRECTED} AS _target USING (_batch_date, _file, _file_version, _row)),
        in_batch AS (
            SELECT *, first_value({{'file': _file, 'row': _row}}) OVER newest AS _winner,
                row_number() OVER newest AS _place
            FROM placed
            WINDOW newest AS (PARTITION BY {columns}, _batch_date
                ORDER BY _modified_at DESC, _from DESC, _nth DESC, _repaired DESC)),
        {across},
        beaten AS (
            SELECT _rid, {IDENTITY}, coalesce(_earlier, _winner) AS kept FROM compared
            WHERE _rid IS NOT NULL AND (_place > 1 OR _earlier IS NOT NULL))
        SELECT _rid, {IDENTITY}, {literal(key.reason)} || ' (kept: ' || kept.file || ' row ' || kept.row || ')'
        FROM beaten"""


def _taken_by_any(columns: str, window_seconds: float) -> str:
    """Table expression `taken`: of each winner the first earlier one within the window, kept or not, or NULL."""
    return f"""taken AS (
            SELECT {columns}, _at, first_value(_winner) OVER (PARTITION BY {columns} ORDER BY _at
                RANGE BETWEEN {window_seconds} PRECEDING AND 1 PRECEDING) AS _earlier
            FROM winners)"""


def _taken_by_kept(columns: str, window_seconds: float) -> str:
    """Table expressions; the last, `taken`, has of each winner the kept one that takes its key, or NULL.

    The first of a run of winners, each within the window of the one before, is kept and takes the key from all within
    its own window. Only in a run that is longer (a chain) it has to be found step by step who is kept: after each one
    that is, the first beyond its window. Few keys have chains, so the steps go through these keys alone.

        window 7, days  1   4   8   15   20   30
        run (_head)     1   1   1   1    1    30     15 is beyond the window of 1: a chain
        kept            x            x         x     4 and 8 go to 1, 20 goes to 15
    """
    return f"""begun AS (
            SELECT *, coalesce(_at - lag(_at) OVER (PARTITION BY {columns} ORDER BY _at) > {window_seconds}, true)
                AS _begins
            FROM winners),
        runs AS (
            SELECT *, max(CASE WHEN _begins THEN _at END) OVER (
                PARTITION BY {columns} ORDER BY _at ROWS UNBOUNDED PRECEDING) AS _head
            FROM begun),
        chains AS (SELECT DISTINCT {columns}, _head FROM runs WHERE _at > _head + {window_seconds}),
        -- Materialized: each step would make the windows anew.
        chained AS MATERIALIZED (
            SELECT {columns}, _at, _begins, first_value(_at) OVER (PARTITION BY {columns}, _head ORDER BY _at
                RANGE BETWEEN {window_seconds} + 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS _next
            FROM runs SEMI JOIN chains USING ({columns}, _head)),
        steps AS (
            SELECT {columns}, _at, _next FROM chained WHERE _begins
            UNION ALL
            SELECT {columns}, chained._at, chained._next
            FROM (SELECT {columns}, _next AS _at FROM steps) JOIN chained USING ({columns}, _at)),
        found AS (
            SELECT runs.*, _begins OR steps._at IS NOT NULL AS _kept FROM runs LEFT JOIN steps USING ({columns}, _at)),
        taken AS (
            SELECT {columns}, _at, CASE WHEN NOT _kept THEN last_value(CASE WHEN _kept THEN _winner END IGNORE NULLS)
                OVER (PARTITION BY {columns} ORDER BY _at ROWS UNBOUNDED PRECEDING) END AS _earlier
            FROM found)"""


def ages_select(feed: Feed) -> str:
    """Query of when each version of a feed's files was last modified; the same bytes may be in several batches."""
    return f"""SELECT {BATCH_DATE} AS _batch_date, file AS _file, version AS _file_version, modified_at AS _modified_at
        FROM {LEDGER} WHERE feed = {literal(feed.name)}"""


def affected_select(
    feed: Feed,
    key: Key,
    batches: Sequence[Batch],
    later: Sequence[Batch],
    window_seconds: float,
    rivals: bool = False,
) -> str:
    """Query of the later batches with a key that the validated batches keep otherwise than before, within its reach.

    Another version of a file that has the key in the same row keeps it as before: what others say of it stays true.
    """
    columns, before, now = (
        key.listed,
        published_keepers,
        f"""FROM ({own_candidates(key)})
        ANTI JOIN (SELECT _rid FROM {DUPLICATES} WHERE {key.beaten("reason")}) USING (_rid)""",
    )
    if rivals:
        before, now = published_candidates, own_candidates(key)
    place = f"{columns}, _batch_date, _file, _row"
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

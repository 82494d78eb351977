"""Which keys a feed has, and which record keeps a key: the query that finds all others, and names it in their reason.

Belongs here: the rule. Which records take part, and which batches a change reaches, is in `duplicates`.

A record that is kept takes its key from the records after it, within the look-back; one that is not kept takes nothing.

A column of a contract may have any name that begins with a letter. So in a query over such columns all that we add to
them has a name that begins with `_`.
"""

from dataclasses import dataclass

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.relations import CORRECTED, REPEATED_KEYS, SHARED_KEYS
from orchestration_project.warehouse.file_batches import parts_select
from orchestration_project.warehouse.ledger import BATCH_DATE, IS_IN_RAW
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.tables import idents, literal

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
    # A unique column that is the primary key alone would give each duplicate two reasons.
    unique = [
        Key((column.name,), UNIQUE) for column in feed.columns if column.unique and (column.name,) != feed.primary_key
    ]
    return ([Key(feed.primary_key, DUPLICATE_KEY)] if feed.primary_key else []) + unique


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
    pool = f"{own} UNION ALL SELECT *, NULL FROM {SHARED_KEYS}" if shared else own
    # Rows of the look-back have no `_rid`: they decide, but what becomes of them is told by their own batches.
    return f"""
        WITH RECURSIVE {_winners_in_batch(feed, key.listed, pool)},
        {_taken_across(key.listed, window_seconds, ordinary)},
        beaten AS (
            SELECT _rid, {IDENTITY}, coalesce(_earlier, _winner) AS kept FROM compared
            WHERE _rid IS NOT NULL AND (_place > 1 OR _earlier IS NOT NULL))
        SELECT _rid, {IDENTITY}, {literal(key.reason)} || ' (kept: ' || kept.file || ' row ' || kept.row || ')'
        FROM beaten"""


def _winners_in_batch(feed: Feed, columns: str, pool: str) -> str:
    """Table expressions; the last, `in_batch`, has each record with its batch's winner and its own place behind it."""
    # Joined by LEFT: a record that no line of the ledger dates must not drop out, as if nobody had its key. A
    # snapshot has no batch: 0 puts its records at one moment. `_repaired` comes last in the order: a repair has the
    # place of the record that it corrects, and of the two it is the one that counts.
    return f"""pool AS (FROM ({pool}) WHERE hash({columns}) IN (FROM {REPEATED_KEYS})),
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
                ORDER BY _modified_at DESC, _from DESC, _nth DESC, _repaired DESC))"""


def _taken_across(columns: str, window_seconds: float, ordinary: bool) -> str:
    """Table expressions; the last, `compared`, adds to `in_batch` the earlier record that takes the key."""
    if not window_seconds:
        return f"compared AS (SELECT *, NULL::{WINNER} AS _earlier FROM in_batch)"
    taken = _taken_by_any(columns, window_seconds) if ordinary else _taken_by_kept(columns, window_seconds)
    # Only one record of each batch can be kept, so batches are compared by these alone.
    return f"""winners AS (SELECT {columns}, _at, _winner FROM in_batch WHERE _place = 1),
        {taken},
        compared AS (SELECT in_batch.*, taken._earlier FROM in_batch JOIN taken USING ({columns}, _at))"""


def _taken_by_any(columns: str, window_seconds: float) -> str:
    """Table expression `taken`: of each winner the first earlier one within the window, kept or not, or NULL."""
    # `1 PRECEDING` is a second, and no batches are closer: of an hour that clocks repeat the second batch is one second
    # after the first.
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
    # Counted from any record, kept or not, a key that comes back weekly was once refused for ever.
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
    # With its batch: a name may bring the same bytes for two days, each with a time of its own; joined by name and
    # version alone, their records would come twice.
    if feed.division:
        return f"""SELECT _batch_date, _file, _file_version, modified_at AS _modified_at
            FROM ({parts_select(feed.name)}) JOIN {LEDGER}
            ON file = _file AND version = _file_version AND batch = delivered AND feed = {literal(feed.name)}
            WHERE {IS_IN_RAW}"""
    return f"""SELECT {BATCH_DATE} AS _batch_date, file AS _file, version AS _file_version, modified_at AS _modified_at
        FROM {LEDGER} WHERE feed = {literal(feed.name)}"""

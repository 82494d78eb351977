"""Prove a feed's history another way than it was made, and measure what the newest snapshot changed. Reads only.

Belongs here: questions to the history of a feed. A load makes versions by comparing each day with the day before; here
they are counted, laid over the days, and held against the cleaned table and the ledger, which know nothing of versions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.warehouse.feed_tables import (
    IS_CURRENT,
    VALID_FROM,
    VALID_TO,
    cleaned_table,
    history_table,
    raw_table,
)
from orchestration_project.warehouse.history_days import TABLE as DAYS
from orchestration_project.warehouse.history_days import days_in_ledger, differing, noted_days
from orchestration_project.warehouse.ledger import IS_IN_RAW
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.tables import ident, idents, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HELD_THEN = f"{VALID_FROM} <= $day::DATE AND ({VALID_TO} IS NULL OR {VALID_TO} > $day::DATE)"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What of a history is not as it should be: in words, what was expected, what was found."""

    what: str
    expected: str
    found: str


def disagreements(connection: "DuckDBPyConnection", feed: Feed) -> Iterator[Disagreement]:
    """What a feed's history says otherwise than the ledger, the cleaned table, or its own order allow.

    Its cost is that of the versions and of the newest snapshot, whatever the number of snapshots.
    """
    noted, days = noted_days(connection, feed.name), days_in_ledger(connection, feed.name)
    if late := sorted(differing(noted, days)):
        what = f"was not made of the snapshots that are accepted, first of {late[0]}"
        yield Disagreement(what, f"{len(days)} days as in the ledger", f"{len(late)} of them are otherwise")
        return
    asked = [
        ("has other current versions than the newest snapshot has records", "0 differences", _unlike_cleaned(feed)),
        ("has days with another number of versions than records", "0 days", _days_unlike(feed)),
        ("has versions that overlap, end before they begin, or repeat the one before", "0 versions", _disordered(feed)),
    ]
    for what, expected, query in asked:
        row = connection.execute(query, {"feed": feed.name} if "$feed" in query else None).fetchone()
        if row and row[0]:
            yield Disagreement(what, expected, str(row[0]))


def unfounded_versions(connection: "DuckDBPyConnection", feed: Feed) -> int:
    """How many versions name a record that is not in the raw table. Reads where all raw records come from."""
    place = "_file, _file_version, _row"
    row = connection.execute(
        f"""SELECT count(*) FROM (SELECT {VALID_FROM} AS _batch_date, {place} FROM {ident(history_table(feed))})
            ANTI JOIN {ident(raw_table(feed))} USING (_batch_date, {place})"""
    ).fetchone()
    return int(row[0]) if row else 0


def _unlike_cleaned(feed: Feed) -> str:
    """Query of how many rows only one of the current versions and the cleaned table has."""
    names = idents(column.name for column in feed.columns)
    current = f"SELECT {names} FROM {ident(history_table(feed))} WHERE {IS_CURRENT}"
    cleaned = f"SELECT {names} FROM {ident(cleaned_table(feed))}"
    return f"""SELECT count(*) FROM (
        FROM ({current} EXCEPT ALL {cleaned}) UNION ALL FROM ({cleaned} EXCEPT ALL {current}))"""


def _days_unlike(feed: Feed) -> str:
    """Query of on how many days other versions hold than the ledger has cleaned records.

    Versions begin and end; the sum of that up to a day is what holds on it. What begins or ends on a day without a
    snapshot is no number of that day's records.
    """
    return f"""
        WITH snapshots AS (
            SELECT batch::DATE AS day, sum(coalesce(cleaned, 0)) AS cleaned
            FROM {LEDGER} SEMI JOIN {DAYS} USING (feed, batch) WHERE feed = $feed AND {IS_IN_RAW} GROUP BY 1),
        changes AS (
            SELECT {VALID_FROM} AS day, 1 AS change FROM {ident(history_table(feed))}
            UNION ALL SELECT {VALID_TO}, -1 FROM {ident(history_table(feed))} WHERE {VALID_TO} IS NOT NULL),
        by_day AS (SELECT day, sum(change) AS change FROM changes GROUP BY 1),
        holding AS (
            SELECT day, cleaned, sum(coalesce(change, 0)) OVER (ORDER BY day) AS versions
            FROM snapshots FULL JOIN by_day USING (day))
        SELECT count(*) FROM holding WHERE cleaned IS DISTINCT FROM versions"""


def _disordered(feed: Feed) -> str:
    """Query of how many versions do not fit the next one of their key, or are none."""
    values = [ident(column.name) for column in feed.columns if column.name not in feed.primary_key]
    same = "".join(f" AND {name} IS NOT DISTINCT FROM lead({name}) OVER versions" for name in values)
    return f"""
        WITH followed AS (
            SELECT {VALID_FROM}, {VALID_TO}, {IS_CURRENT}, lead({VALID_FROM}) OVER versions AS _next,
                coalesce({VALID_TO} = lead({VALID_FROM}) OVER versions{same}, false) AS _repeated
            FROM {ident(history_table(feed))}
            WINDOW versions AS (PARTITION BY {idents(feed.primary_key)} ORDER BY {VALID_FROM}))
        SELECT count(*) FROM followed
        WHERE {VALID_TO} <= {VALID_FROM} OR {IS_CURRENT} IS DISTINCT FROM ({VALID_TO} IS NULL) OR _repeated
            OR (_next IS NOT NULL AND coalesce({VALID_TO} > _next, true))"""


@dataclass(frozen=True, slots=True)
class Move:
    """A number that the newest snapshot changed: of which key, and its share of what it was."""

    key: str
    column: str
    before: float
    now: float
    share: float


@dataclass(frozen=True, slots=True)
class Change:
    """What the newest snapshot changed, compared with the one before it.

    Attributes:
        day: of the newest.
        before: of the one before.
        keys: how many keys that one had.
        gone: how many of them the newest lacks.
        begun: how many keys are new, or came back.
        moves: numbers that moved by more than their limit, the largest moves first.
    """

    day: str
    before: str
    keys: int
    gone: int
    begun: int
    moves: Sequence[Move]


def newest_change(connection: "DuckDBPyConnection", feed: Feed, limits: Mapping[str, float]) -> Change | None:
    """What the newest snapshot changed; None if there is none before it.

    Args:
        connection: to the warehouse.
        feed: the contract.
        limits: by column, the share of its value by which a number may move.
    """
    days = [*noted_days(connection, feed.name)][-2:]
    if len(days) < 2:
        return None
    before, day = days
    table, key = ident(history_table(feed)), idents(feed.primary_key)
    row = connection.execute(
        f"""
        WITH was AS (SELECT {key} FROM {table} WHERE {HELD_THEN}), now AS (SELECT {key} FROM {table} WHERE {IS_CURRENT})
        SELECT (SELECT count(*) FROM was), (SELECT count(*) FROM was ANTI JOIN now USING ({key})),
            (SELECT count(*) FROM now ANTI JOIN was USING ({key}))""",
        {"day": before},
    ).fetchone()
    moves = [move for column, limit in limits.items() for move in _moves(connection, feed, before, column, limit)]
    keys, gone, begun = row or (0, 0, 0)
    return Change(day, before, keys, gone, begun, sorted(moves, key=lambda move: -move.share))


def _moves(connection: "DuckDBPyConnection", feed: Feed, before: str, column: str, limit: float) -> list[Move]:
    """The keys whose number moved by more than a share of what it was; from 0, any move is more."""
    table, key, name = ident(history_table(feed)), idents(feed.primary_key), ident(column)
    shown = f"concat_ws(', ', {key})"
    rows = connection.execute(
        f"""
        WITH was AS (SELECT {key}, {name}::DOUBLE AS _was FROM {table} WHERE {HELD_THEN}),
        now AS (SELECT {key}, {name}::DOUBLE AS _now FROM {table} WHERE {IS_CURRENT}),
        moved AS (
            SELECT {shown} AS _key, _was, _now,
                CASE WHEN _was = 0 THEN 'inf'::DOUBLE ELSE abs(_now - _was) / abs(_was) END AS _share
            FROM was JOIN now USING ({key}) WHERE _was <> _now)
        SELECT _key, {literal(column)}, _was, _now, _share FROM moved WHERE _share > $limit
        ORDER BY _share DESC, _key""",
        {"day": before, "limit": limit},
    ).fetchall()
    return [Move(*row) for row in rows]

"""The outbox: messages that wait until their targets took them, in `$DATA_DIR/alarms.sqlite`.

Belongs here: what is kept of messages and of the targets' health, and the queries for it. Does not belong here: which
target takes which message (`targets`), and the sending itself (`sender`).

A tick puts messages in its own transaction, so that what was told and what is to be sent are committed together. For
each target there is one row a tick. Only the sender changes rows later:

    put -> waiting -> sent
                   -> given up    the target took nothing for a day
"""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from orchestration_project.alerts.targets import Routing, Target, replacement
from orchestration_project.errors import visible

DEAD_AFTER = 3
"""Failed attempts in a row after which a target counts as dead: with the pauses between them, some three minutes."""
KEPT = dt.timedelta(days=30)
"""How long messages that were sent or given up are kept."""
SUBJECT_LENGTH = 150
_WAITING = "sent_at IS NULL AND given_up_at IS NULL"
# A target that has no row in `targets` is well: rows are made by failures and deleted by the first success.
_DUE = f"""{_WAITING} AND NOT EXISTS (SELECT 1 FROM targets WHERE label = target AND next_try > $now)"""
GONE = "its URL is not in ALERT_URLS any more"


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: `feed` decides to whom; an empty one stands for the platform. All of it is plain text."""

    subject: str
    body: str
    feed: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits for a target; `id` is its row."""

    id: int
    message: Message


@dataclass(frozen=True, slots=True)
class DeadTarget:
    """A target that takes nothing.

    Attributes:
        label: the target, without its secrets.
        since: when the first of the failed attempts was.
        attempts: how many failed in a row.
        error: why the last one did.
        waiting: how many messages wait for it.
        given_up: how many of the last 30 days were given up.
    """

    label: str
    since: dt.datetime
    attempts: int
    error: str
    waiting: int
    given_up: int


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables `outbox` and `targets` where they are missing. Moments are seconds since the epoch."""
    connection.execute(
        """CREATE TABLE IF NOT EXISTS outbox (
            id INTEGER PRIMARY KEY,
            target TEXT NOT NULL,
            route TEXT NOT NULL,
            subject TEXT NOT NULL,
            body TEXT NOT NULL,
            created_at REAL NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            sent_at REAL,
            given_up_at REAL,
            error TEXT NOT NULL DEFAULT '')"""
    )
    # Messages are kept for 30 days, and each tick asks for the few that wait: the index has no others.
    connection.execute(f"CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (target) WHERE {_WAITING}")
    connection.execute(
        """CREATE TABLE IF NOT EXISTS targets (
            label TEXT PRIMARY KEY,
            failing_since REAL NOT NULL,
            attempts INTEGER NOT NULL,
            next_try REAL NOT NULL,
            error TEXT NOT NULL)"""
    )


def put(connection: sqlite3.Connection, messages: Sequence[Message], routing: Routing, now: dt.datetime) -> None:
    """Have messages sent: several for the same target as one. The caller commits.

    Args:
        connection: with the tables; a transaction of the caller's may be open.
        messages: what is told.
        routing: who takes the messages of which feed; without any target nothing is put.
        now: with a time zone.
    """
    for target in routing.targets():
        its = [message for message in messages if target in routing.targets_of(message.feed)]
        if its:
            told = combined(its)
            connection.execute(
                "INSERT INTO outbox (target, route, subject, body, created_at) VALUES (?, ?, ?, ?, ?)",
                (target.label, target.route, told.subject, told.body, now.timestamp()),
            )


def combined(messages: Sequence[Message]) -> Message:
    """One message that says all, as text in which neither a mail server nor a terminal finds an instruction."""
    subject = messages[0].subject if len(messages) == 1 else f"{messages[0].subject} (and {len(messages) - 1} more)"
    bodies = [messages[0].body] if len(messages) == 1 else map(_headed, messages)
    # Line by line, because `visible` would spell out the line breaks too.
    lines = "\n\n\n".join(bodies).splitlines()
    # Apprise sends nothing that has no body.
    return Message(_line(subject, SUBJECT_LENGTH), "\n".join(map(visible, lines)) or visible(subject))


def _headed(message: Message) -> str:
    """The body under its subject, unless it begins with that itself."""
    # The body of a single alarm begins with the line that is its subject as well.
    body = message.body.strip()
    return body if body.startswith(message.subject) else f"{message.subject}\n\n{body}"


def _line(text: str, length: int) -> str:
    line = visible(text)
    return line if len(line) <= length else f"{line[: length - 1]}…"


def dead_targets(connection: sqlite3.Connection, routing: Routing) -> list[DeadTarget]:
    """The targets that took nothing when they were tried the last times, and the heartbeat's address if it is one."""
    # A target that was taken out of ALERT_URLS stays in the table, and would be an alarm for ever.
    known = {target.label for target in routing.targets()} | {routing.heartbeat}
    rows = connection.execute(
        f"""SELECT label, failing_since, attempts, error,
                (SELECT count(*) FROM outbox WHERE target = label AND {_WAITING}),
                (SELECT count(*) FROM outbox WHERE target = label AND given_up_at IS NOT NULL)
            FROM targets WHERE attempts >= ? ORDER BY label""",
        (DEAD_AFTER,),
    ).fetchall()
    return [
        DeadTarget(label, dt.datetime.fromtimestamp(since, dt.UTC), *counts)
        for label, since, *counts in rows
        if label in known
    ]


def is_due(connection: sqlite3.Connection, now: dt.datetime) -> bool:
    """Whether a message waits for a target that may be tried."""
    row = connection.execute(f"SELECT EXISTS (SELECT 1 FROM outbox WHERE {_DUE})", {"now": now.timestamp()}).fetchone()
    return bool(row[0])


def due_targets(connection: sqlite3.Connection, configured: Sequence[Target], now: dt.datetime) -> list[Target]:
    """The targets that may be tried and that messages wait for.

    What waits for a target that is not there any more goes to the one that has taken its place, such as the same
    service under a corrected URL; without one it is given up.
    """
    rows = connection.execute(f"SELECT DISTINCT target, route FROM outbox WHERE {_DUE}", {"now": now.timestamp()})
    found = {}
    for label, route in rows.fetchall():
        target = replacement(configured, label, route)
        if target is None or target.label != label:
            _reroute(connection, label, target.label if target else None, now)
        if target is not None:
            found[target.label] = target
    return list(found.values())


def _reroute(connection: sqlite3.Connection, label: str, new: str | None, now: dt.datetime) -> None:
    """Have another target take what waits for one, but for what it got already; give up the rest."""
    # One `put` gives all its rows the same `created_at`. So a row of that moment for the new target is the same tick's
    # message, as when two URLs took all messages and one of them was removed.
    connection.execute(
        f"""UPDATE outbox AS o SET target = $new WHERE target = $label AND {_WAITING} AND $new IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM outbox AS i WHERE i.target = $new AND i.created_at = o.created_at)""",
        {"new": new, "label": label},
    )
    connection.execute(
        f"UPDATE outbox SET given_up_at = ?, error = ? WHERE target = ? AND {_WAITING}", (now.timestamp(), GONE, label)
    )
    connection.execute("DELETE FROM targets WHERE label = ?", (label,))


def next_due(connection: sqlite3.Connection, label: str, now: dt.datetime) -> Waiting | None:
    """The message that a target is to take next, those first that were tried least: one may be refused for itself."""
    row = connection.execute(
        f"SELECT id, subject, body FROM outbox WHERE target = $label AND {_DUE} ORDER BY attempts, id LIMIT 1",
        {"label": label, "now": now.timestamp()},
    ).fetchone()
    return Waiting(row[0], Message(row[1], row[2])) if row else None


def note_attempt(connection: sqlite3.Connection, row: int) -> None:
    """Note that a message is about to be sent: where this can't be written, the result could not be either."""
    connection.execute("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?", (row,))


def note_taken(connection: sqlite3.Connection, row: int, label: str, now: dt.datetime) -> None:
    """Note that the target took a message, which shows that it is well."""
    connection.execute("UPDATE outbox SET sent_at = ?, error = '' WHERE id = ?", (now.timestamp(), row))
    note_success(connection, label)


def note_not_taken(connection: sqlite3.Connection, row: int, error: str, before: dt.datetime, now: dt.datetime) -> bool:
    """Note that the target did not take a message.

    Args:
        connection: with the tables.
        row: the message's.
        error: why, without secrets.
        before: a message that was put before this moment is given up.
        now: with a time zone.

    Returns:
        Whether it is given up.
    """
    changed = connection.execute(
        """UPDATE outbox SET error = $error, given_up_at = CASE WHEN created_at < $before THEN $now END
            WHERE id = $row RETURNING given_up_at IS NOT NULL""",
        {"error": error, "before": before.timestamp(), "now": now.timestamp(), "row": row},
    ).fetchone()
    return bool(changed and changed[0])


def attempts_of(connection: sqlite3.Connection, label: str) -> int:
    """How many attempts in a row a target failed."""
    row = connection.execute("SELECT attempts FROM targets WHERE label = ?", (label,)).fetchone()
    return int(row[0]) if row else 0


def note_success(connection: sqlite3.Connection, label: str) -> None:
    """Note that a target, or the heartbeat's address, is well."""
    connection.execute("DELETE FROM targets WHERE label = ?", (label,))


def note_failure(
    connection: sqlite3.Connection, label: str, error: str, now: dt.datetime, next_try: dt.datetime
) -> None:
    """Note that an attempt failed, and when the next one may be made."""
    # `failing_since` is that of the first failure in a row: the alarm tells since when.
    connection.execute(
        """INSERT INTO targets (label, failing_since, attempts, next_try, error) VALUES ($label, $now, 1, $next, $error)
            ON CONFLICT (label) DO UPDATE SET attempts = attempts + 1, next_try = $next, error = $error""",
        {"label": label, "now": now.timestamp(), "next": next_try.timestamp(), "error": error},
    )


def forget_old(connection: sqlite3.Connection, now: dt.datetime) -> None:
    """Delete what was sent or given up long ago."""
    before = (now - KEPT).timestamp()
    connection.execute("DELETE FROM outbox WHERE sent_at < $before OR given_up_at < $before", {"before": before})

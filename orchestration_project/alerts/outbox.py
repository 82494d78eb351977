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

from orchestration_project.alerts.targets import Routing
from orchestration_project.errors import visible

DEAD_AFTER = 3
"""Failed attempts in a row after which a target counts as dead: with the pauses between them, some three minutes."""
KEPT = dt.timedelta(days=30)
"""How long messages that were sent or given up are kept."""
SUBJECT_LENGTH = 150
_WAITING = "sent_at IS NULL AND given_up_at IS NULL"


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: `feed` decides to whom; an empty one stands for the platform. All of it is plain text."""

    subject: str
    body: str
    feed: str = ""


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
    bodies = [
        message.body if len(messages) == 1 else f"{message.subject}\n\n{message.body.strip()}" for message in messages
    ]
    lines = "\n\n\n".join(bodies).splitlines()
    return Message(_line(subject, SUBJECT_LENGTH), "\n".join(map(visible, lines)))


def _line(text: str, length: int) -> str:
    line = visible(text)
    return line if len(line) <= length else f"{line[: length - 1]}…"


def dead_targets(connection: sqlite3.Connection, routing: Routing) -> list[DeadTarget]:
    """The targets that took nothing when they were tried the last times, and the heartbeat's address if it is one."""
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

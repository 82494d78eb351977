"""What is kept of alarms in `$DATA_DIR/alarms.sqlite`: which are on and were told, and who silenced which.

It survives a lost warehouse and a restart of everything. Several processes use it at once: the alarms sensor, the
sender, and commands. The outbox is in the same file, so that what was told and what is to be sent are one commit.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from orchestration_project.alerts import outbox
from orchestration_project.alerts.changes import Silence, Standing
from orchestration_project.alerts.model import Alarm, Kind, Severity
from orchestration_project.errors import PlatformError
from orchestration_project.settings import Settings
from orchestration_project.storage.sqlite_files import Layout, opened, transaction

FILE = "alarms.sqlite"
SILENCES_KEPT = dt.timedelta(days=400)
"""How long silences that have ended are kept: who decided what, and why."""


class AlarmStoreError(PlatformError):
    """The file with the state of alarms can't be used."""


def path_of(settings: Settings) -> Path:
    """Where the state of alarms is kept."""
    return settings.data_dir / FILE


def open_store(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    """A connection to the state of alarms, which is made when it is not there. Each statement commits by itself.

    Raises:
        AlarmStoreError: it can't be used.
    """
    return opened(path, LAYOUT)


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute(
        """CREATE TABLE IF NOT EXISTS alarms (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            feed TEXT NOT NULL,
            severity TEXT NOT NULL,
            what TEXT NOT NULL,
            since REAL NOT NULL,
            todo TEXT NOT NULL,
            count INTEGER NOT NULL,
            items TEXT NOT NULL,
            run_id TEXT NOT NULL,
            level INTEGER NOT NULL,
            on_since REAL NOT NULL,
            off_since REAL,
            told_at REAL,
            told_level INTEGER NOT NULL)"""
    )
    connection.execute(
        """CREATE TABLE IF NOT EXISTS silences (
            alarm TEXT NOT NULL,
            made_at REAL NOT NULL,
            until REAL NOT NULL,
            who TEXT NOT NULL,
            reason TEXT NOT NULL,
            ended_at REAL)"""
    )
    connection.execute("CREATE TABLE IF NOT EXISTS evaluations (evaluated_at REAL NOT NULL)")
    outbox.create_tables(connection)


LAYOUT = Layout(1, _create_tables, AlarmStoreError, "alarms that are on are then told again, and silences are lost")


def read_standings(connection: sqlite3.Connection) -> dict[str, Standing]:
    """How it stands with each alarm, by id."""
    rows = connection.execute(
        """SELECT id, kind, subject, feed, severity, what, since, todo, count, items, run_id,
            on_since, off_since, told_at, told_level FROM alarms ORDER BY id"""
    )
    # A newer release may have left alarms of a kind that this one does not know.
    return {name: _standing(*values) for name, *values in rows if values[0] in set(Kind)}


def _standing(
    kind: str,
    subject: str,
    feed: str,
    severity: str,
    what: str,
    since: float,
    todo: str,
    count: int,
    items: str,
    run_id: str,
    on_since: float,
    off_since: float | None,
    told_at: float | None,
    told_level: int,
) -> Standing:
    alarm = Alarm(
        Kind(kind),
        subject,
        feed,
        Severity(severity),
        what,
        _moment(since),
        todo,
        count,
        tuple(json.loads(items)),
        run_id,
    )
    return Standing(alarm, _moment(on_since), _maybe(off_since), _maybe(told_at), told_level)


def last_evaluation(connection: sqlite3.Connection) -> dt.datetime | None:
    """When it was last looked which alarms are on; None: never."""
    return _maybe(connection.execute("SELECT max(evaluated_at) FROM evaluations").fetchone()[0])


def write_standings(connection: sqlite3.Connection, standings: Mapping[str, Standing], now: dt.datetime) -> None:
    """Replace how it stands with all alarms; inside the caller's transaction."""
    # All of them anew: they are few, and what has been over for the settle time has to go.
    connection.execute("DELETE FROM evaluations")
    connection.execute("INSERT INTO evaluations VALUES (?)", (now.timestamp(),))
    connection.execute("DELETE FROM alarms")
    connection.executemany(
        "INSERT INTO alarms VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_row(name, standing) for name, standing in standings.items()],
    )


def _row(name: str, standing: Standing) -> tuple[object, ...]:
    alarm = standing.alarm
    return (
        name,
        str(alarm.kind),
        alarm.subject,
        alarm.feed,
        str(alarm.severity),
        alarm.what,
        alarm.since.timestamp(),
        alarm.todo,
        alarm.count,
        json.dumps([*alarm.items], ensure_ascii=False),
        alarm.run_id,
        alarm.level,
        standing.on_since.timestamp(),
        _seconds(standing.off_since),
        _seconds(standing.told_at),
        standing.told_level,
    )


def read_silences(connection: sqlite3.Connection) -> list[Silence]:
    """All silences that are kept, the oldest first."""
    rows = connection.execute("SELECT alarm, made_at, until, who, reason, ended_at FROM silences ORDER BY made_at")
    return [
        Silence(alarm, _moment(made_at), _moment(until), who, reason, _maybe(ended_at))
        for alarm, made_at, until, who, reason, ended_at in rows
    ]


def add_silence(connection: sqlite3.Connection, silence: Silence) -> None:
    """Silence an alarm. What held before for it ends with that, and very old silences are forgotten."""
    with transaction(connection):
        # Ended, not replaced: who decided so before, and why, is kept.
        end_silences(connection, silence.alarm, silence.made_at)
        connection.execute("DELETE FROM silences WHERE until < ?", ((silence.made_at - SILENCES_KEPT).timestamp(),))
        connection.execute(
            "INSERT INTO silences VALUES (?, ?, ?, ?, ?, NULL)",
            (silence.alarm, silence.made_at.timestamp(), silence.until.timestamp(), silence.who, silence.reason),
        )


def end_silences(connection: sqlite3.Connection, alarm: str, now: dt.datetime) -> int:
    """End the silences of an alarm that hold; returns how many did."""
    moment = now.timestamp()
    return connection.execute(
        "UPDATE silences SET ended_at = ?1 WHERE alarm = ?2 AND ended_at IS NULL AND until > ?1", (moment, alarm)
    ).rowcount


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _maybe(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else _moment(seconds)


def _seconds(moment: dt.datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()

"""The sender: a process of its own that takes the outbox to the targets, and calls the heartbeat's address.

Belongs here: when what is tried, and that only one process sends. Does not belong here: what is said to a service
(`services`) and what is kept (`outbox`).

A tick only starts it. Each target has a thread, so one that accepts and never answers holds up nobody else. A target
that took nothing is tried again after 1, 2, 4, 8 and then every 15 minutes, for a day. The sender does not wait for
that: it ends, and a later tick starts the next one.

Each message is noted as sent after the target took it. A sender that is killed between the two, and an answer that does
not come in time, make the message come twice; no protocol that we speak can tell them apart. Nothing else does.
"""

import datetime as dt
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from orchestration_project.alerts import outbox, services, store
from orchestration_project.alerts.outbox import Message
from orchestration_project.alerts.targets import Target, heartbeat_label, read_targets
from orchestration_project.settings import Settings

FIRST_PAUSE, LONGEST_PAUSE = dt.timedelta(minutes=1), dt.timedelta(minutes=15)
GIVEN_UP_AFTER = dt.timedelta(days=1)
POLL_SECONDS = 0.2
LOG, LOG_BYTES = "logs/alerts.log", 1_000_000
log = logging.getLogger(__name__)
_started: list[subprocess.Popen[bytes]] = []

Send = Callable[[Target, Message], str]
Clock = Callable[[], dt.datetime]


def start(settings: Settings) -> None:
    """Start the sender, detached, if there is something to send or a heartbeat to call.

    Returns at once; never raises. If another sender is at work, the new one leaves the outbox to it.
    """
    _started[:] = [process for process in _started if process.poll() is None]  # else they would stay as zombies
    try:
        if settings.heartbeat_url or _is_due(settings, dt.datetime.now(dt.UTC)):
            _started.append(_spawned(settings))
    except (OSError, store.AlarmStoreError) as error:
        log.warning("The process that sends alerts can't be started: %s", error)


def _spawned(settings: Settings) -> subprocess.Popen[bytes]:
    path = settings.data_dir / LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    # The module itself, not the command: it starts in half the time, and with a heartbeat it starts at every tick.
    command = [sys.executable, "-m", __name__, str(settings.data_dir)]
    with path.open("ab") as file:
        # In a session of its own: Ctrl-C at `dagster dev` must not end it between an answer and the note of it.
        return subprocess.Popen(  # noqa: S603 - of this package itself
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True, close_fds=True
        )


def run(settings: Settings, send: Send = services.send, clock: Clock = lambda: dt.datetime.now(dt.UTC)) -> None:
    """Call the heartbeat's address, and send all that is due, unless another process is at it.

    Args:
        settings: where the outbox is, and the URLs.
        send: takes a message to a target; returns why it was not taken.
        clock: tells the time, with a time zone.

    Raises:
        SettingsError: `ALERT_URLS` can't be read.
        AlarmStoreError: the outbox can't be used.
    """
    # Not under the lock: the heartbeat is due at each start, also while another sender is at work for minutes.
    beat = threading.Thread(target=_beat, args=(settings, clock))
    if settings.heartbeat_url:
        beat.start()
    lock = FileLock(settings.data_dir / "alarms.sender.lock", timeout=0)
    # A message that was put while the lock was held found no other sender, so it is looked for after that.
    while _is_due(settings, clock()):
        try:
            with lock:
                _send_all(settings, send, clock)
        except Timeout:
            break
    if settings.heartbeat_url:
        beat.join()


def _is_due(settings: Settings, now: dt.datetime) -> bool:
    if not store.path_of(settings).exists():
        return False
    with store.open_store(store.path_of(settings)) as connection:
        return outbox.is_due(connection, now)


def _beat(settings: Settings, clock: Clock) -> None:
    label, error, now = heartbeat_label(settings.heartbeat_url), services.call(settings.heartbeat_url), clock()
    with store.open_store(store.path_of(settings)) as connection:
        if error:
            # No pause: a service that alarms by silence has to hear of the next tick, whatever this one got.
            outbox.note_failure(connection, label, error, now, next_try=now)
            log.warning("%s: not called: %s", label, error)
        else:
            outbox.note_success(connection, label)


def _note_failure(connection: sqlite3.Connection, label: str, error: str, now: dt.datetime) -> None:
    attempts = outbox.attempts_of(connection, label) + 1
    # The exponent has a limit of its own: after some forty attempts a timedelta can't hold the doubled pause.
    pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)
    outbox.note_failure(connection, label, error, now, now + pause)
    log.warning("%s: attempt %d failed: %s; next one in %d s", label, attempts, error, pause.total_seconds())


def _send_all(settings: Settings, send: Send, clock: Clock) -> None:
    """Serve each target that has something due in a thread of its own, until none has.

    Raises:
        AlarmStoreError: the outbox can't be written.
    """
    configured = read_targets(settings.alert_urls)
    at_work: dict[str, threading.Thread] = {}
    # A thread can't raise to whoever started it, so it leaves its error here.
    errors: list[store.AlarmStoreError] = []
    with store.open_store(store.path_of(settings)) as connection:
        while not errors:
            # Asked before the threads are looked at: what a thread left is either seen here, or put later.
            targets = outbox.due_targets(connection, configured, clock())
            for target in targets:
                if target.label not in at_work:
                    arguments = (settings, target, send, clock, errors)
                    at_work[target.label] = threading.Thread(target=_serve, args=arguments)
                    at_work[target.label].start()
            if not at_work:
                break
            time.sleep(POLL_SECONDS)
            at_work = {label: thread for label, thread in at_work.items() if thread.is_alive()}
        for thread in at_work.values():
            thread.join()
        if errors:
            raise errors[0]
        outbox.forget_old(connection, clock())


def _serve(settings: Settings, target: Target, send: Send, clock: Clock, errors: list[store.AlarmStoreError]) -> None:
    """Send a target what waits for it, until it does not take one."""
    try:
        with store.open_store(store.path_of(settings)) as connection:
            while waiting := outbox.next_due(connection, target.label, clock()):
                outbox.note_attempt(connection, waiting.id)
                error = send(target, waiting.message)
                if error:
                    _note_failure(connection, target.label, error, clock())
                    # Others that wait for it come after the pause: trying each of them now would only take longer.
                    if outbox.note_not_taken(connection, waiting.id, error, clock() - GIVEN_UP_AFTER, clock()):
                        log.error("%s: given up after a day: %s", target.label, waiting.message.subject)
                    return
                outbox.note_taken(connection, waiting.id, target.label, clock())
    except store.AlarmStoreError as error:
        errors.append(error)


def _main(arguments: Sequence[str]) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, level=logging.INFO)
    # The folder of whoever started it: a project may give its `Platform` another one than the environment has.
    run(replace(Settings.from_env(), data_dir=Path(arguments[0])))


if __name__ == "__main__":
    _main(sys.argv[1:])

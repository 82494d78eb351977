"""What is said of alarms, as plain text: one message a tick for each feed, and one for the platform.

    Subject: sales: 2 alarms, 1 over

    ALARM  sales: 1,000 files were refused and not replaced
      since   2024-01-16 06:04 UTC
              till_1.csv: missing_column: there is no column quantity
              till_2.csv: missing_column: there is no column quantity
              till_3.csv: missing_column: there is no column quantity
              and 997 more
      to do   Correct the files in quarantine/sales and put them into landing/sales under the same names; ...
      silence orchestration-project silence file_quarantined:sales --until 1d --reason WHY

Belongs here: the words, their order, and how long they get. Names of files and texts of errors come from outside: they
are written on one line each, without anything that a terminal or a mail program takes for an instruction.
"""

import datetime as dt
import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby

from orchestration_project.alerts.changes import Change, Event
from orchestration_project.alerts.model import SHOWN, Alarm, Kind, Severity
from orchestration_project.alerts.outbox import Message
from orchestration_project.errors import visible

HEADS = {Event.ON: "ALARM", Event.WORSE: "WORSE", Event.STILL: "STILL ON", Event.OVER: "OVER"}
ORDER = [*HEADS]
PLATFORM = "platform"
LONGEST = 300
"""How much of one text from outside is told."""
ALARMS_SHOWN = 20
"""How many alarms of a feed are told in full; of the others the first line."""
LISTED_ALL = frozenset(
    {Kind.CHECK_FAILED, Kind.REJECTS_OPEN, Kind.CATALOGUE_SHRANK, Kind.SUCCESS_RATE, Kind.DISK_SHORT}
)
"""The kinds whose number is not that of their items."""


def compose(changes: Sequence[Change], ui_url: str | None) -> list[Message]:
    """The messages that tell of some changes.

    Args:
        changes: what is to be told.
        ui_url: where Dagster's UI is; None: links are left out.
    """
    # `groupby` joins neighbours only, so the feed is the first part of the rank.
    ordered = sorted(changes, key=_rank)
    return [_message(feed, list(its), ui_url) for feed, its in groupby(ordered, key=lambda change: _alarm(change).feed)]


def _rank(change: Change) -> tuple[str, int, bool, str]:
    alarm = _alarm(change)
    return alarm.feed, ORDER.index(change.event), alarm.severity is not Severity.ERROR, alarm.id


def _alarm(change: Change) -> Alarm:
    return change.standing.alarm


def _message(feed: str, changes: Sequence[Change], ui_url: str | None) -> Message:
    told = [*changes[:ALARMS_SHOWN]]
    parts = ["\n".join(_lines(change, ui_url)) for change in told]
    parts += ["\n".join(_head(change) for change in changes[ALARMS_SHOWN:])] if len(changes) > ALARMS_SHOWN else []
    return Message(_subject(feed, changes), "\n\n".join(parts) + "\n", feed)


def _subject(feed: str, changes: Sequence[Change]) -> str:
    if len(changes) == 1:
        return _head(changes[0])
    over = sum(change.event is Event.OVER for change in changes)
    on = len(changes) - over
    parts = ([f"{on} alarm{'s' if on > 1 else ''}"] if on else []) + ([f"{over} over"] if over else [])
    return f"{visible(feed) or PLATFORM}: {', '.join(parts)}"


def _head(change: Change) -> str:
    return f"{HEADS[change.event]}  {_short(_alarm(change).what)}"


def _lines(change: Change, ui_url: str | None) -> Iterator[str]:
    standing, alarm = change.standing, _alarm(change)
    yield _head(change)
    yield _field("since", _time(standing.since))
    # What is over needs nothing to be done, and nothing of it is left to be listed.
    if change.event is Event.OVER:
        if standing.off_since:
            yield _field("until", _time(standing.off_since))
        return
    for item in alarm.items[:SHOWN]:
        yield _field("", _short(item))
    # "and 997 more" is said of items only: the number of some kinds counts something else, such as how bad it is.
    if alarm.count > len(alarm.items) and alarm.items and alarm.kind not in LISTED_ALL:
        yield _field("", f"and {alarm.count - len(alarm.items[:SHOWN]):,} more")
    yield _field("to do", visible(alarm.todo))
    if ui_url and alarm.run_id:
        yield _field("run", f"{ui_url.rstrip('/')}/runs/{visible(alarm.run_id)}")
    yield _field("silence", f"orchestration-project silence {_quoted(alarm)} --until 1d --reason WHY")


def _field(name: str, text: str) -> str:
    return f"  {name:<8}{text}"


def _quoted(alarm: Alarm) -> str:
    # People paste this line into a shell. An id has parts from outside: a target's label has blanks, for example.
    return visible(shlex.quote(alarm.id))


def _time(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%F %R} UTC"


def _short(text: str) -> str:
    # Errors have several lines, and reasons quote what stands in a file: their length is not ours to choose.
    line = visible(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"

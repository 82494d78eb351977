"""When somebody is told of an alarm: pure functions of what was told, what is on now, and what is silenced.

    on      the alarm has come; told once it is known for the settle time
    worse   it has doubled since it was told last
    still   it is on for another day, or its silence is over
    over    it has gone, for the settle time; told of every alarm that was told

The settle time is the rule against flapping. An alarm that comes and goes stays one alarm until it was off for the
settle time at a stretch: it is told once, and is over once. So a condition that holds for a tick only is not told, and
one that holds every other tick is not forgotten.

A silence stops `on`, `worse` and `still`. An alarm that was told before is told to be over all the same: that asks
nobody for anything, and whoever silenced it wants to know.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestration_project.alerts.model import Alarm


class Event(StrEnum):
    """What is told of an alarm."""

    ON = "on"
    WORSE = "worse"
    STILL = "still"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Standing:
    """An alarm that is on, or has gone off so recently that it may come back.

    Attributes:
        alarm: as it was seen last.
        on_since: when it was first seen.
        off_since: when it was first seen to be off; None while it is on.
        told_at: when it was last told; None: it never was.
        told_level: the highest level that was told.
    """

    alarm: Alarm
    on_since: dt.datetime
    off_since: dt.datetime | None = None
    told_at: dt.datetime | None = None
    told_level: int = 0

    @property
    def since(self) -> dt.datetime:
        """Since when it holds, as far as that is known."""
        # The condition's own moment moves on when the first of several files is mended, and the alarm stays on.
        return min(self.alarm.since, self.on_since)


@dataclass(frozen=True, slots=True)
class Silence:
    """Somebody's decision that an alarm is not told for a while. Moments have a time zone.

    Attributes:
        alarm: its id.
        made_at: from when on.
        until: when it ends by itself.
        who, reason: who decided so, and why.
        ended_at: when somebody ended it; None: nobody has.
    """

    alarm: str
    made_at: dt.datetime
    until: dt.datetime
    who: str
    reason: str
    ended_at: dt.datetime | None = None

    @property
    def end(self) -> dt.datetime:
        """When it ends or ended."""
        return min(self.until, self.ended_at or self.until)

    def holds(self, now: dt.datetime) -> bool:
        """Whether it is in force."""
        return self.made_at <= now < self.end


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient telling is.

    Attributes:
        settle: how long an alarm is on, or off, before that is told.
        again: the shortest time between two messages that an alarm is worse.
        remind: how often an alarm that stays on is told again.
    """

    settle: dt.timedelta = dt.timedelta(minutes=2)
    again: dt.timedelta = dt.timedelta(minutes=30)
    remind: dt.timedelta = dt.timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Change:
    """Something to tell of an alarm."""

    event: Event
    standing: Standing


def step(
    before: Mapping[str, Standing],
    alarms: Iterable[Alarm],
    silences: Sequence[Silence],
    now: dt.datetime,
    rules: Rules,
    unknown: Collection[str] = (),
    telling: bool = True,
) -> tuple[dict[str, Standing], list[Change]]:
    """What is to be told, and how it stands with each alarm afterwards.

    Args:
        before: how it stood, by id.
        alarms: those that are on.
        silences: of any time.
        now: the present moment, with a time zone.
        rules: how patient telling is.
        unknown: feeds of which nothing is known now: their alarms stay as they are.
        telling: whether there is anybody to tell; else nothing counts as told.
    """
    on = {alarm.id: alarm for alarm in alarms}
    after: dict[str, Standing] = {}
    changes: list[Change] = []
    for name in sorted(before.keys() | on.keys()):
        standing = _seen(before.get(name), on.get(name), now, unknown)
        about = [silence for silence in silences if silence.alarm == name]
        # Without anybody to tell nothing counts as told: who sets ALERT_URLS later hears of all that is on.
        event = _event(standing, about, now, rules) if telling else None
        gone = standing.off_since is not None and now - standing.off_since >= rules.settle
        # The highest level that was ever told: 1,000 files, then 10, then 900 are not worse than what people know.
        if event and event is not Event.OVER:
            standing = replace(standing, told_at=now, told_level=max(standing.told_level, standing.alarm.level))
        if event:
            changes.append(Change(event, standing))
        if not gone:
            after[name] = standing
    return after, changes


def _seen(before: Standing | None, alarm: Alarm | None, now: dt.datetime, unknown: Collection[str]) -> Standing:
    """How it stands with an alarm, before anything is told."""
    if alarm is not None:
        # `on_since` stays: what comes back within the settle time was never over.
        return replace(before, alarm=alarm, off_since=None) if before else Standing(alarm, now)
    assert before
    # A folder that can't be read for a while must not tell that all of its alarms are over.
    if before.alarm.feed and before.alarm.feed in unknown:
        return before
    return replace(before, off_since=before.off_since or now)


def _event(standing: Standing, silences: Sequence[Silence], now: dt.datetime, rules: Rules) -> Event | None:
    told = standing.told_at
    # Before silences: this is told in spite of them. What was never told needs no end.
    if standing.off_since is not None:
        return Event.OVER if told and now - standing.off_since >= rules.settle else None
    if any(silence.holds(now) for silence in silences):
        return None
    if told is None:
        # Counted from when it was seen: what it is about may be hours old by then, and gone at the next tick.
        return Event.ON if now - standing.on_since >= rules.settle else None
    # Not at each doubling: a thousand files that come one by one double ten times.
    if standing.alarm.level > standing.told_level and now - told >= rules.again:
        return Event.WORSE
    silence_ended = any(told < silence.end <= now for silence in silences)
    return Event.STILL if silence_ended or now - told >= rules.remind else None

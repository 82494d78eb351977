"""Whether what is expected of a feed has come: each batch of a run, and the feed as a whole. No I/O here.

Belongs here: what the calendar and the accepted batches say together. The calendar alone is in `storage.calendar`.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestration_project.ingest.options import ConfiguredFeed, promised_deadline
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.calendar import DeliveryCalendar

# Else a day that a shop never delivered, years ago, would be told for ever. A run that asks for it still judges it.
WAITED_FOR = dt.timedelta(days=92)
"""How long the platform as a whole waits for a batch that is due."""


class Freshness(StrEnum):
    """Whether all batches came that a feed's `deliveries`, or else its contract, promise.

    PAST: no batch came since the newest one, but each was due before anything of the feed was loaded here. Who loads a
    sample, or files of the past, waits for nothing yet.
    """

    FRESH = "fresh"
    LATE = "late"
    PAST = "past"
    NO_LATENCY = "no_latency"
    NOTHING_LOADED = "nothing_loaded"


class DeliveryState(StrEnum):
    """Whether a batch has an accepted file; if not, whether it is due, due later, or not expected at all."""

    CAME = "came"
    MISSING = "missing"
    WAITING = "waiting"
    NOT_EXPECTED = "not_expected"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What became of a batch: `due` is set if it is expected, `why_not` says why it is not."""

    key: str
    state: DeliveryState
    due: dt.datetime | None = None
    why_not: str = ""

    def __str__(self) -> str:
        match self.state:
            case DeliveryState.CAME:
                return f"{self.key} came"
            case DeliveryState.NOT_EXPECTED:
                return f"{self.key} is not expected: {self.why_not}"
            case DeliveryState.WAITING:
                return f"{self.key} is not due before {self.due:%F %R %Z}"
            case DeliveryState.MISSING:
                return f"{self.key} was expected by {self.due:%F %R %Z}"


def in_short(items: Sequence[Expectation]) -> str:
    """Some batches of one kind in words: the first, and how many more there are."""
    return f"{items[0]}" + (f" (and {len(items) - 1} more)" if len(items) > 1 else "")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a feed stands.

    Attributes:
        freshness: whether it is late.
        due: when the oldest missing batch was due; if none is missing, when the next one is; None if nothing is
            expected.
        missing: the batches that are due and did not come, in order. Without a calendar they are not known.
    """

    freshness: Freshness
    due: dt.datetime | None = None
    missing: tuple[Batch, ...] = ()


def expectations(
    source: ConfiguredFeed,
    asked: Sequence[str],
    accepted: Collection[Batch],
    first_load: dt.datetime | None,
    now: dt.datetime,
) -> list[Expectation]:
    """What became of some batches; empty if the feed has no calendar, or is a snapshot of which no batch was due yet.

    Of a snapshot feed a newer file replaces all before it, so only its last batch that is due is judged.

    Args:
        source: the feed.
        asked: the partition keys of the batches; a snapshot feed has none.
        accepted: all batches with an accepted file.
        first_load: when the first of its files was loaded here, with a time zone; None if that is unknown.
        now: the present moment, with a time zone.
    """
    calendar, batching = source.options.calendar, source.options.batching
    if calendar is None:
        return []
    calendar = calendar.beginning(min(accepted, default=None))
    # Who loads the files of years has days without trade among them, of which a contract says nothing. A declared
    # calendar says which days they are, so it is held to from its first batch on.
    waits_from = None if calendar.declared else first_load
    if not source.options.snapshot:
        return [expectation(calendar, batching.from_key(key), accepted, waits_from, now) for key in asked]
    # A newer file is worth all that did not come before it.
    newest = max(accepted, default=None)
    due = _due_lately(calendar, now)[-1:] if newest or calendar.since else []
    came = {batch for batch in due if newest and newest >= batch}
    return [expectation(calendar, batch, came, waits_from, now) for batch in due]


def expectation(
    calendar: DeliveryCalendar,
    batch: Batch,
    accepted: Collection[Batch],
    waits_from: dt.datetime | None,
    now: dt.datetime,
) -> Expectation:
    """What became of a batch.

    Args:
        calendar: the feed's, from its first batch on.
        batch: the batch.
        accepted: all batches with an accepted file.
        waits_from: nothing is expected that was due before; with a time zone.
        now: the present moment, with a time zone.
    """
    key = calendar.batching.key(batch)
    if batch in accepted:
        return Expectation(key, DeliveryState.CAME)
    if calendar.since is None:
        return Expectation(key, DeliveryState.NOT_EXPECTED, why_not="no file of the feed was ever accepted")
    if why_not := calendar.why_not(batch):
        return Expectation(key, DeliveryState.NOT_EXPECTED, why_not=why_not)
    due = calendar.due(batch)
    if waits_from and due <= waits_from:
        return Expectation(key, DeliveryState.NOT_EXPECTED, why_not="it was due before the feed's first load")
    return Expectation(key, DeliveryState.MISSING if due <= now else DeliveryState.WAITING, due)


def standing(
    source: ConfiguredFeed, accepted: Collection[Batch], first_load: dt.datetime | None, now: dt.datetime
) -> Standing:
    """How a feed stands.

    Args:
        source: the feed.
        accepted: all batches with an accepted file.
        first_load: when the first of its files was loaded here, with a time zone; None if that is unknown. Without a
            declared `since`, nobody waited for what was due before.
        now: the present moment, with a time zone.
    """
    calendar = source.options.calendar
    if calendar is None:
        return _by_latency(source, accepted, first_load, now)
    # Without a first batch and without a declared one there is no day from which to wait.
    if not accepted and calendar.since is None:
        return Standing(Freshness.NOTHING_LOADED)
    waits_from = first_load if calendar.since is None and first_load and first_load <= now else None
    calendar, newest = calendar.beginning(min(accepted, default=None)), max(accepted, default=None)
    replaced = source.options.snapshot and newest
    absent = [
        batch
        for batch in _due_lately(calendar, now)
        if batch not in accepted and not (replaced and newest and batch < newest)
    ]
    missing = [batch for batch in absent if waits_from is None or calendar.due(batch) > waits_from]
    if missing:
        # A newer file of a snapshot feed is enough for all that did not come.
        missing = missing[-1:] if source.options.snapshot else missing
        return Standing(Freshness.LATE, calendar.due(missing[0]), tuple(missing))
    following = next((batch for batch in calendar.next_expected(now) if batch not in accepted), None)
    past = any(newest is None or batch > newest for batch in absent)
    return Standing(Freshness.PAST if past else Freshness.FRESH, None if following is None else calendar.due(following))


def _due_lately(calendar: DeliveryCalendar, now: dt.datetime) -> list[Batch]:
    earliest = now - WAITED_FOR
    # By due time, which may be days after the batch: so the search begins earlier by as much.
    first = calendar.batching.current(earliest - calendar.reach)
    return [batch for batch in calendar.expected(first, now) if calendar.due(batch) > earliest]


def _by_latency(
    source: ConfiguredFeed, accepted: Collection[Batch], first_load: dt.datetime | None, now: dt.datetime
) -> Standing:
    """How a feed without a calendar stands: data comes less often than there are batches, or nobody says when."""
    deadline, batching = promised_deadline(source.feed), source.options.batching
    if deadline is None:
        return Standing(Freshness.NO_LATENCY)
    if not accepted:
        return Standing(Freshness.NOTHING_LOADED)

    def due_after(batch: Batch) -> dt.datetime:
        # A weekly file of a daily feed is due a week later, not the next day; `after` is for a frequency below a batch.
        following = batching.current(batching.begin(batch) + (source.feed.frequency or dt.timedelta()))
        return deadline.moment(batching, max(batching.after(batch), following))

    due = due_after(max(accepted))
    if now <= due:
        return Standing(Freshness.FRESH, due)
    # What was due before the first load nobody waited for; what came next after it, somebody does.
    if first_load and due <= first_load <= now < (awaited := due_after(batching.current(first_load))):
        return Standing(Freshness.PAST, awaited)
    return Standing(Freshness.LATE, due)

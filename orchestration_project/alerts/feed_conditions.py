"""The alarms of a feed: what its folders and the notes of its loads say.

Belongs here: when each of these conditions holds, how bad it is, its words and what to do. How it is found out is in
`folders`; all other alarms are in `conditions`.
"""

import datetime as dt
from collections.abc import Iterator
from math import ceil

from orchestration_project.alerts.model import SHOWN, Alarm, FeedObserved, Kind, Severity, Thresholds
from orchestration_project.alerts.words import number, span
from orchestration_project.storage.feed_state import FeedState

SHRUNK_BEFORE = 3
"""A catalogue is compared with the largest of so many before it: else a second small one would pass for normal."""


def of_feed(feed: FeedObserved, now: dt.datetime, limits: Thresholds) -> Iterator[Alarm]:
    """The alarms of a feed that are on."""
    yield from _missing(feed)
    yield from _quarantined(feed, now)
    yield from _landing(feed, now, limits)
    if feed.state:
        yield from _rejects(feed, feed.state, now, limits)
        if feed.snapshot:
            yield from _shrank(feed, feed.state, limits)


def _missing(feed: FeedObserved) -> Iterator[Alarm]:
    if not feed.missing:
        return
    refused = [batch for batch in feed.missing if batch.refused]
    # Where refused files came, the sender did deliver: asking for the files alone would bring the same ones again.
    told = [
        f"{batch.key}, due {batch.due:%F %R %Z}" + (", only refused files came" if batch.refused else "")
        for batch in feed.missing[:SHOWN]
    ]
    todo = f"Ask the sender for the files and put them into landing/{feed.name}."
    if refused:
        todo += f" Of the refused ones, correct what quarantine/{feed.name} says and deliver them again."
    todo += " If nothing is to come for such a day, add it to `closed` of `deliveries` in the feed's defs.yaml."
    yield Alarm(
        Kind.BATCH_MISSING,
        feed.name,
        feed.name,
        Severity.ERROR,
        f"{feed.name}: {number(len(feed.missing), 'expected batch', 'expected batches')} did not come",
        feed.missing[0].due,
        todo,
        len(feed.missing),
        told,
    )


def _quarantined(feed: FeedObserved, now: dt.datetime) -> Iterator[Alarm]:
    files = feed.quarantined
    if files.count:
        yield Alarm(
            Kind.FILE_QUARANTINED,
            feed.name,
            feed.name,
            Severity.ERROR,
            f"{feed.name}: {number(files.count, 'file was', 'files were')} refused and not replaced",
            # A file that somebody moved there by hand has no note that says when.
            files.since or now,
            f"Correct the files in quarantine/{feed.name} and put them into landing/{feed.name} under the same names;"
            " `orchestration-project explain FILE` says what a load makes of one. Or delete them in quarantine.",
            files.count,
            files.first,
        )


def _landing(feed: FeedObserved, now: dt.datetime, limits: Thresholds) -> Iterator[Alarm]:
    given_up, waiting = feed.given_up, feed.waiting
    if given_up.count:
        yield Alarm(
            Kind.FILE_GIVEN_UP,
            feed.name,
            feed.name,
            Severity.ERROR,
            f"{feed.name}: the sensor gave up on {number(given_up.count, 'file', 'files')} in landing",
            given_up.since or now,
            f"See why the runs of {feed.name}_job failed. Then move the files away from landing/{feed.name} and back,"
            " to have them tried again.",
            given_up.count,
            given_up.first,
        )
    # Files that the sensor gave up are no part of it: they wait for a person, and that is the alarm above.
    if waiting.count and waiting.since and now - waiting.since > dt.timedelta(hours=limits.landing_hours):
        yield Alarm(
            Kind.LANDING_FULL,
            feed.name,
            feed.name,
            Severity.ERROR,
            f"{feed.name}: {number(waiting.count, 'file waits', 'files wait')} in landing, the first for"
            f" {span(now - waiting.since)}",
            waiting.since,
            f"See whether {feed.name}_files_sensor is on, runs are queued or fail, or a writer keeps the files open:"
            f" `orchestration-project status {feed.name}`.",
            waiting.count,
            waiting.first,
        )


def _rejects(feed: FeedObserved, state: FeedState, now: dt.datetime, limits: Thresholds) -> Iterator[Alarm]:
    high = {key: rate for key, rate in state.reject_rates.items() if rate > feed.reject_limit}
    repair = (
        f"`orchestration-project export-rejects {feed.name}` writes them to files to be corrected;"
        f" `orchestration-project waive {feed.name}` closes those that stay as they are."
    )
    if high:
        newest = sorted(high, reverse=True)
        yield Alarm(
            Kind.REJECT_RATE,
            feed.name,
            feed.name,
            Severity.WARN,
            f"{feed.name}: many records break a rule in {number(len(high), 'batch', 'batches')}",
            state.at,
            f"The reasons are in rejected_{feed.name}. {repair}",
            len(high),
            [f"{key}: {high[key]:.1%} rejected, expected at most {feed.reject_limit:.1%}" for key in newest[:SHOWN]],
        )
    since = state.open_since
    if state.open_rejects and since and now - since > dt.timedelta(days=limits.reject_days):
        yield Alarm(
            Kind.REJECTS_OPEN,
            feed.name,
            feed.name,
            Severity.WARN,
            f"{feed.name}: {number(state.open_rejects, 'reject is', 'rejects are')} open, the first for"
            f" {span(now - since)}",
            since,
            repair,
            state.open_rejects,
            [f"the first is of batch {state.oldest_open_reject}"],
        )


def _shrank(feed: FeedObserved, state: FeedState, limits: Thresholds) -> Iterator[Alarm]:
    sizes = [*state.records.items()][-SHRUNK_BEFORE - 1 :]
    if len(sizes) < 2:
        return  # the first file has nothing to be compared with
    (newest, records), (before, most) = sizes[-1], max(sizes[:-1], key=lambda item: item[1])
    if records < most * (1 - limits.shrunk_share):
        yield Alarm(
            Kind.CATALOGUE_SHRANK,
            feed.name,
            feed.name,
            Severity.WARN,
            f"{feed.name}: the newest file has {1 - records / most:.0%} fewer records than one before",
            state.at,
            "Ask the sender whether the file is whole. If not, have it delivered again, or take it back by"
            f" `orchestration-project withdraw {feed.name} FILE --reason WHY`.",
            # How many times the allowed loss it is, so that a catalogue which goes on shrinking is told to be worse.
            # The allowed loss of a small catalogue is less than a record.
            ceil((most - records) / max(1.0, most * limits.shrunk_share)),
            [f"{newest}: {records:,} records", f"{before}: {most:,} records"],
        )

"""One evaluation: observe, find the alarms, decide what is told, keep it, and have it sent.

What was told and the messages that tell it are committed together: a process that dies before has told nothing and
starts again, one that dies after has left the messages in the outbox. The sending itself is another process.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from orchestration_project.alerts import outbox, sender, store
from orchestration_project.alerts.changes import Rules, step
from orchestration_project.alerts.conditions import conditions
from orchestration_project.alerts.messages import compose
from orchestration_project.alerts.model import Thresholds
from orchestration_project.alerts.observe import Declared, FeedToWatch, observe
from orchestration_project.alerts.targets import Routing
from orchestration_project.settings import Settings
from orchestration_project.storage.sqlite_files import transaction


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation found.

    Attributes:
        on: how many alarms are on.
        told: the subjects of the messages that were put into the outbox.
        listeners: whether there is anybody to tell.
    """

    on: int
    told: Sequence[str]
    listeners: bool

    @property
    def summary(self) -> str:
        """What the tick shows in the UI."""
        on = f"{self.on} alarm(s) on" if self.on else "No alarm is on"
        return f"{on}, {len(self.told)} message(s)." if self.listeners else f"{on}. ALERT_URLS names nobody to tell."


def evaluate(
    instance: dg.DagsterInstance,
    settings: Settings,
    feeds: Sequence[FeedToWatch],
    declared: Declared,
    routing: Routing,
    limits: Thresholds,
    rules: Rules,
    now: dt.datetime,
) -> Evaluated:
    """Find out which alarms are on, and put what has changed into the outbox.

    Args:
        instance: with the history.
        settings: where everything is.
        feeds: the feeds to watch.
        declared: what the definitions have.
        routing: who is told.
        limits: from when on a condition is an alarm.
        rules: how patient telling is.
        now: the present moment, with a time zone.

    Raises:
        AlarmStoreError: what was told can't be read or kept.
    """
    listeners = bool(routing.targets())
    with store.open_store(store.path_of(settings)) as connection:
        # A target that takes nothing is a condition like the others, so it is told by the other targets.
        dead = outbox.dead_targets(connection, routing)
        observed = observe(instance, settings, feeds, declared, dead, limits, now)
        alarms = conditions(observed, limits)
        # Only now, because observing takes a while, and the sender and commands write here too.
        with transaction(connection):
            before, silences = store.read_standings(connection), store.read_silences(connection)
            after, changes = step(before, alarms, silences, now, rules, observed.not_watched, listeners)
            messages = compose(changes, settings.ui_url)
            store.write_standings(connection, after, now)
            outbox.put(connection, messages, routing, now)
    # After the commit: what it starts reads the outbox, and would find nothing before.
    sender.start(settings)
    return Evaluated(len(alarms), [message.subject for message in messages], listeners)

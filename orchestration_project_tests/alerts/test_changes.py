"""When alarms are told: single histories, and random ones that have to hold the promise whatever happens."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration_project.alerts import store
from orchestration_project.alerts.changes import Event, Rules, Silence, Standing, step
from orchestration_project.alerts.model import Alarm
from orchestration_project.storage.sqlite_files import transaction
from orchestration_project_tests.alerts.samples import DAY, HOUR, MINUTE, NOW, alarm
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("alerts")

RULES = Rules(settle=2 * MINUTE, again=30 * MINUTE, remind=24 * HOUR)


@dataclass
class Teller:
    """A history of ticks, a minute apart unless a test says otherwise, and what they told."""

    rules: Rules = RULES
    now: dt.datetime = NOW
    standings: dict[str, Standing] = field(default_factory=dict)
    silences: list[Silence] = field(default_factory=list)

    def tick(
        self, *alarms: Alarm, after: dt.timedelta = MINUTE, unknown: Sequence[str] = (), telling: bool = True
    ) -> list[str]:
        """Let time pass and look again; returns what is told."""
        self.now += after
        self.standings, changes = step(self.standings, alarms, self.silences, self.now, self.rules, unknown, telling)
        return [f"{change.event} {change.standing.alarm.id}" for change in changes]

    def silence(self, span: dt.timedelta, subject: str = "f") -> None:
        """Silence the alarm from now on."""
        self.silences.append(Silence(alarm(subject).id, self.now, self.now + span, "Ada", "test"))


@pytest.fixture
def teller() -> Teller:
    return Teller()


F = "file_quarantined:f"


def told_on(teller: Teller, count: int = 1) -> None:
    """Let the alarm come on and be told."""
    told = [teller.tick(alarm(count=count)) for _ in range(3)]
    assert told == [[], [], [f"on {F}"]]


def test_an_alarm_is_told_once_when_it_has_settled(teller: Teller) -> None:
    """It is told after the settle time, and not again for a day."""
    told_on(teller)
    assert [teller.tick(alarm()) for _ in range(100)] == [[]] * 100


def test_it_is_over_once_when_it_was_off_for_the_settle_time(teller: Teller) -> None:
    """It is told to be over once."""
    told_on(teller)
    assert [teller.tick() for _ in range(5)] == [[], [], [f"over {F}"], [], []]
    assert teller.standings == {}


def test_what_is_on_for_a_tick_is_not_told(teller: Teller) -> None:
    """A condition that holds for a moment only is never told, so it is never over either."""
    assert [*teller.tick(alarm()), *(told for _ in range(9) for told in teller.tick())] == []


def test_flapping_is_one_alarm(teller: Teller) -> None:
    """A condition that holds at every other tick is told once, and over once when it has calmed down."""
    told = [line for number in range(50) for line in teller.tick(*[alarm()] * (number % 2))]
    assert told == [f"on {F}"]
    assert [line for _ in range(5) for line in teller.tick()] == [f"over {F}"]


def test_a_long_break_counts_as_settled(teller: Teller) -> None:
    """An alarm that was on before the daemon was down for an hour, and still is, is told at once."""
    assert teller.tick(alarm()) == []
    assert teller.tick(alarm(), after=HOUR) == [f"on {F}"]


def test_worse_is_told_by_doublings_and_not_too_often(teller: Teller) -> None:
    """More files are told when they are twice as many, and half an hour has passed."""
    told_on(teller, count=4)
    assert teller.tick(alarm(count=7), after=HOUR) == []
    assert teller.tick(alarm(count=8), after=MINUTE) == [f"worse {F}"]
    assert teller.tick(alarm(count=1000), after=MINUTE) == []
    assert teller.tick(alarm(count=1000), after=HOUR) == [f"worse {F}"]
    assert teller.tick(alarm(count=8), after=HOUR) == []
    assert teller.tick(alarm(count=1000), after=HOUR) == []


def test_it_is_told_again_every_day(teller: Teller) -> None:
    """An alarm that stays on is told once a day."""
    told_on(teller)
    told = [line for _ in range(72) for line in teller.tick(alarm(), after=HOUR)]
    assert told == [f"still {F}"] * 3


def test_a_silenced_alarm_is_told_when_the_silence_ends(teller: Teller) -> None:
    """Nothing is told while it is silenced; if it is still on at the end, it is."""
    teller.silence(3 * HOUR)
    assert [line for _ in range(5) for line in teller.tick(alarm(), after=30 * MINUTE)] == []
    assert teller.tick(alarm(), after=30 * MINUTE) == [f"on {F}"]


def test_what_was_told_before_a_silence_is_told_at_its_end(teller: Teller) -> None:
    """An alarm that was told, silenced, and is on at the end, is told to be still on, once."""
    told_on(teller)
    teller.silence(HOUR)
    assert teller.tick(alarm(count=100), after=50 * MINUTE) == []
    assert teller.tick(alarm(count=100), after=10 * MINUTE) == [f"worse {F}"]
    assert teller.tick(alarm(count=100), after=HOUR) == []
    teller.silence(HOUR)
    assert teller.tick(alarm(count=100), after=HOUR) == [f"still {F}"]
    assert teller.tick(alarm(count=100), after=HOUR) == []


def test_over_is_told_in_spite_of_a_silence(teller: Teller) -> None:
    """Whoever silenced an alarm that was told hears that it is over."""
    told_on(teller)
    teller.silence(DAY)
    assert [line for _ in range(5) for line in teller.tick()] == [f"over {F}"]


def test_what_came_and_went_in_a_silence_is_not_told(teller: Teller) -> None:
    """An alarm that nobody was told of is not told to be over."""
    teller.silence(DAY)
    assert [*teller.tick(alarm()), *teller.tick(alarm(), after=HOUR), *teller.tick(), *teller.tick(after=HOUR)] == []


def test_a_feed_that_can_t_be_looked_at_changes_nothing(teller: Teller) -> None:
    """What is not known is neither on nor over."""
    told_on(teller)
    assert [teller.tick(unknown=["f"]) for _ in range(9)] == [[]] * 9
    assert [line for _ in range(5) for line in teller.tick()] == [f"over {F}"]


def test_without_listeners_nothing_counts_as_told(teller: Teller) -> None:
    """Who sets ALERT_URLS later is told of what is on."""
    assert [line for _ in range(9) for line in teller.tick(alarm(), telling=False)] == []
    assert teller.tick(alarm()) == [f"on {F}"]


TICKS = st.lists(
    st.tuples(
        st.sets(st.sampled_from(["f", "g"])),  # which alarms are on
        st.integers(1, 9),  # how many files
        st.sampled_from([MINUTE, MINUTE, 2 * MINUTE, HOUR, 25 * HOUR]),  # since the tick before
        st.sampled_from(["", "", "", "silence", "end", "restart", "silence g"]),  # what happens before the tick
    ),
    max_size=60,
)


@given(TICKS)
@settings(max_examples=effort(60, 2000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_each_alarm_is_told_once_and_over_once(
    tmp_path_factory: pytest.TempPathFactory, ticks: list[tuple[set[str], int, dt.timedelta, str]]
) -> None:
    """However alarms come, go, are silenced, and everything restarts: on and over alternate, and nothing is forgotten.

    Each tick reads from the store what the one before wrote, as a new process does.
    """
    tried()
    path = tmp_path_factory.mktemp("alarms") / "alarms.sqlite"
    now, told = NOW, dict[str, list[Event]]()
    with store.open_store(path) as connection:
        for subjects, count, after, happens in [*ticks, *[(set[str](), 1, 5 * MINUTE, "")] * 2]:
            now += after
            if happens.startswith("silence"):
                name = alarm(happens.removeprefix("silence").strip() or "f").id
                store.add_silence(connection, Silence(name, now, now + 2 * HOUR, "Ada", "test"))
            elif happens == "end":
                store.end_silences(connection, F, now)
            elif happens == "restart":
                with store.open_store(path) as other:
                    assert store.read_standings(other) == store.read_standings(connection)
            on = [alarm(subject, count) for subject in sorted(subjects)]
            silences = store.read_silences(connection)
            after_step, changes = step(store.read_standings(connection), on, silences, now, RULES)
            with transaction(connection):
                store.write_standings(connection, after_step, now)
            for change in changes:
                told.setdefault(change.standing.alarm.id, []).append(change.event)
                held = any(item.holds(now) for item in silences if item.alarm == change.standing.alarm.id)
                assert change.event is Event.OVER or not held
            for item in on:
                silenced = any(silence.holds(now) for silence in silences if silence.alarm == item.id)
                standing = after_step[item.id]
                # Nothing is forgotten: what has settled and is not silenced has been told within a day.
                if now - standing.on_since >= RULES.settle and not silenced:
                    assert standing.told_at
                    assert now - standing.told_at < RULES.remind
        assert store.read_standings(connection) == {}
    for events in told.values():
        without_details = [event for event in events if event in (Event.ON, Event.OVER)]
        assert without_details == [Event.ON, Event.OVER] * (len(without_details) // 2)
        assert events[0] is Event.ON
        assert events[-1] is Event.OVER

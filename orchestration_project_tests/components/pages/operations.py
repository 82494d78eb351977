"""An operations page with everything on it: half a year of deliveries of a shop, made up but the same each time."""

import datetime as dt

from orchestration_project.health.deliveries import Delivery, State, WeekdayArrivals
from orchestration_project.health.figures import of_runs
from orchestration_project.health.model import Kind, measured, values_of
from orchestration_project.health.operations import Alarm, FeedOperations, Operations, runs_of_days
from orchestration_project.storage.batches import Cadence
from orchestration_project_tests.health.runs import NOW, finished

DAY = dt.timedelta(days=1)
MONDAY = dt.date(2025, 9, 22)
LATE, REFUSED, MISSING, HOLIDAYS = {12, 60, 61, 109, 173}, {80, 152}, {96, 170}, {94, 95, 101}


def operations(text: str = "Orders", alarms: bool = True) -> Operations:
    """The page's data; `text` stands wherever a name from outside does."""
    runs = [
        finished("FAILURE" if number in (7, 8, 41) else "SUCCESS", 20 + number % 7, NOW - number * DAY / 2, 2, text)
        for number in reversed(range(60))
    ]
    figures = [
        *of_runs(Kind.JOB, text, runs, runs[-10:]),
        *of_runs(Kind.SCHEDULE, text, runs, runs[-10:]),
        *measured(
            Kind.FEED,
            "orders",
            waiting_files=2,
            waiting_oldest=140.0,
            newest_batch=(NOW - DAY).timestamp(),
            open_rejects=35,
            oldest_open_reject=(NOW - 30 * DAY).timestamp(),
            quarantined_files=1,
        ),
        *measured(Kind.STORE, "warehouse", size=4.1e9, growth=2.4e7),
        *measured(Kind.STORE, "archive", size=1.9e9, growth=1.1e7, files=5231),
        *measured(Kind.DISK, "data", free=5.6e11, free_share=0.42),
    ]
    return Operations(
        measured_at=NOW,
        jobs=values_of(figures, Kind.JOB),
        schedules=values_of(figures, Kind.SCHEDULE),
        feed_figures=values_of(figures, Kind.FEED),
        stores=values_of(figures, Kind.STORE),
        disks=values_of(figures, Kind.DISK),
        days=runs_of_days(runs, NOW),
        feeds=[FeedOperations("orders", text, "Europe/Berlin", Cadence.DAILY, half_a_year(text), arrivals())],
        sizes={
            "warehouse": {NOW.date() - number * DAY: 4.1e9 - number * 2.4e7 for number in range(90)},
            "archive": {NOW.date() - number * DAY: 1.9e9 - number * 1.1e7 for number in range(90) if number != 5},
        },
        alarms=[Alarm(text, f"{text}: no file came", "error", NOW - DAY, f"ask {text}")] if alarms else None,
    )


def half_a_year(text: str) -> list[Delivery]:
    """Deliveries from Monday to Saturday."""
    found = []
    for number in range((NOW.date() - MONDAY).days + 1):
        day = MONDAY + number * DAY
        found.append(Delivery(day, day.isoformat(), _state(number, day), text))
    return found


def _state(number: int, day: dt.date) -> State:
    if day.weekday() == 6 or number in HOLIDAYS:
        return State.NOT_EXPECTED
    if day == NOW.date():
        return State.AWAITED
    known = {State.LATE: LATE, State.REFUSED: REFUSED, State.MISSING: MISSING}
    return next((state for state, numbers in known.items() if number in numbers), State.CAME)


def arrivals() -> list[WeekdayArrivals]:
    """Twelve files on each weekday, each at another time of the evening."""
    return [
        WeekdayArrivals(
            weekday, tuple(dt.time(20 + number % 2, (number * 17 + weekday * 11) % 60) for number in range(12))
        )
        for weekday in range(6)
    ]

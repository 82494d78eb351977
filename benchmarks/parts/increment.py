"""A day's increment on warehouses with pasts of different lengths, in turns, on several days."""

import datetime as dt
import shutil
from statistics import median

from benchmarks.data import FIRST_DAY, days, make_sales
from benchmarks.history import lengthen
from benchmarks.measure import Contender, Failed, ratio, run, take_turns, tell
from benchmarks.report import Section, Target, megabytes, seconds, times
from benchmarks.runs import step_seconds
from benchmarks.session import CATALOGUE, PUBLISH, SALES, SHOP, Session, materialize

ROWS, ROUNDS, FULL_ROUNDS = 100_000, 3, 7
PASTS = (1, 100, 1000)
FIRST_STEP = "load_sales"
INTRO = """A file of {rows:,} records for a new day, loaded into warehouses that hold 1 to 1,000 such days: all tables
of sales and their checks. Steps count from the start of the load to the end of the last check; the command includes the
start of Python and of Dagster."""


def measure(session: Session) -> Section:
    """Measure an increment for each length of the past."""
    rows = min(session.rows or ROWS, ROWS)
    rounds = session.rounds or (FULL_ROUNDS if session.full else ROUNDS)
    section = Section(
        "A day's increment",
        INTRO.format(rows=rows),
        ["days before", "runs", "steps", "of day 1's", "command", "of day 1's", "peak memory", "warehouse before"],
    )
    try:
        sizes = make_pasts(session, rows)
    except Failed as error:
        section.failures["the first day's load"] = str(error)
        return section
    steps: dict[int, list[float]] = {past: [] for past in PASTS}
    contenders = [_contender(session, past, rows, days(rounds), steps[past]) for past in PASTS]
    take_turns(contenders, session.log)
    in_steps = {past: median(steps[past]) if steps[past] else None for past in PASTS}
    for past, item in zip(PASTS, contenders, strict=True):
        section.rows.append(
            [
                f"{past:,}",
                str(len(item.usages)),
                seconds(in_steps[past]),
                times(ratio(in_steps[past], in_steps[PASTS[0]])),
                seconds(item.seconds),
                times(ratio(item.seconds, contenders[0].seconds)),
                megabytes(item.peak_bytes),
                megabytes(sizes[past]),
            ]
        )
    longest = ratio(in_steps[PASTS[-1]], in_steps[PASTS[0]])
    section.targets = [Target(f"day {PASTS[-1]:,} to day {PASTS[0]}, steps", longest, 1.2)]
    section.add_failures(contenders)
    return section


def make_pasts(session: Session, rows: int) -> dict[int, int]:
    """Load one day, copy that state, and give each copy its past; tells the sizes of the warehouses.

    Raises:
        Failed: the day could not be loaded, or not be published.
    """
    day = FIRST_DAY - dt.timedelta(days=1)
    files = session.files(rows, [day])
    first = name_of(PASTS[0])
    data = session.data_dir(first, files)
    session.dagster_home(first)
    run(materialize(SHOP, [*SALES, *CATALOGUE], [day]), session.environment(first), session.log)
    for past in PASTS[1:]:
        tell(f"making {past:,} days of sales")
        shutil.copytree(session.work / first, session.work / name_of(past))
        lengthen(session.work / name_of(past) / "data/warehouse.duckdb", day, past)
        # Else the first increment would publish the whole past.
        run(PUBLISH, session.environment(name_of(past)), session.log)
    return {past: (session.work / name_of(past) / data.name / "warehouse.duckdb").stat().st_size for past in PASTS}


def name_of(past: int) -> str:
    """The name of the folder with a past of so many days."""
    return f"after-{past}-days"


def _contender(session: Session, past: int, rows: int, increments: list[dt.date], steps: list[float]) -> Contender:
    name, waiting = name_of(past), iter(increments)
    contender = Contender(name, [], session.environment(name), rounds=len(increments))

    def prepare() -> None:
        day = next(waiting)
        contender.command = materialize(SHOP, SALES, [day])
        make_sales(session.work / name / "data/landing/sales", day, rows)

    def note() -> None:
        steps.append(step_seconds(session.work / name / "home", FIRST_STEP))

    contender.prepare, contender.verify = prepare, note
    return contender

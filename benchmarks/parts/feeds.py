"""Thousands of feeds: what a tick of all sensors takes, and what the definitions of many feeds take.

It is measured only when it is named: it takes long, and some of its figures are extrapolated.
"""

import json
import sys
from typing import Any

from benchmarks.measure import Failed, run, tell
from benchmarks.report import UNKNOWN, Section, megabytes, seconds
from benchmarks.session import Session

SIMULATED = (1_000, 10_000)
DEFINED = (50, 200)
"""How many feeds have their definitions built. More of them would take minutes."""
EXTRAPOLATED = (1_000, 10_000)
INTRO = """Feeds of one contract, in one process. *Sensors* and *schedules* are evaluated as in Dagster's code server,
with an instance on SQLite and a clock that is set; a tenth of the feeds gets a file. Runs are requested, not started.
*Definitions* are those of real folders with a contract and a `defs.yaml` each; what stands in *italics* was not
measured, but continues the line through the two that were. Times are CPU seconds."""


def measure(session: Session) -> Section:
    """Measure sensors, schedules and definitions."""
    section = Section("Feeds", INTRO, ["", "CPU time", "each", "runs requested", "peak memory"])
    for count in SIMULATED:
        outcome = _told(session, section, "tick", count)
        section.rows += simulated_rows(outcome) if outcome else []
    found = {count: outcome for count in DEFINED if (outcome := _told(session, section, "define", count))}
    section.rows += [_defined_row(f"definitions of {count:,} feeds", count, each) for count, each in found.items()]
    if len(found) == len(DEFINED):
        section.rows += [extrapolated_row(count, found) for count in EXTRAPOLATED]
    return section


def _told(session: Session, section: Section, what: str, count: int) -> dict[str, Any] | None:
    """What the simulation tells, in a process of its own; None if it failed."""
    session.data_dir("feeds")
    session.dagster_home("feeds")
    command = [sys.executable, "-m", "benchmarks.feeds", what, str(count)]
    try:
        run(command, session.environment("feeds"), session.log)
        told: dict[str, Any] = json.loads(session.log.read_text(encoding="utf-8").splitlines()[-1])
    except Failed as error:
        section.failures[f"{what}, {count:,} feeds"] = str(error)
        return None
    tell(f"{what}, {count:,} feeds: {told}")
    return told


def simulated_rows(outcome: dict[str, Any]) -> list[list[str]]:
    """A row for each tick, and one for the schedules."""
    feeds, memory = outcome["feeds"], megabytes(outcome["peak_bytes"])
    name = f"sensors of {feeds:,} feeds"
    rows = [
        [f"{name}: {tick['what']}", *_times(tick["seconds"], feeds), f"{tick['requests']:,}", memory]
        for tick in outcome["ticks"]
    ]
    taken, swept = outcome["schedule_seconds"], outcome["swept"]
    last = f"schedules of {swept:,} of them; {outcome['due_at_once']:,} of all are due in the busiest minute"
    return [*rows, [last, *_times(taken, swept), f"{outcome['swept_requests']:,}", memory]]


def extrapolated_row(count: int, found: dict[int, dict[str, Any]]) -> list[str]:
    """The line through what two numbers of feeds took, continued."""
    few, many = DEFINED
    values = {}
    for name in ("seconds", "peak_bytes"):
        slope = (found[many][name] - found[few][name]) / (many - few)
        values[name] = found[many][name] + slope * (count - many)
    return _defined_row(f"*definitions of {count:,} feeds*", count, values)


def _defined_row(name: str, count: int, told: dict[str, Any]) -> list[str]:
    return [name, *_times(told["seconds"], count), UNKNOWN, megabytes(told["peak_bytes"])]


def _times(taken: float, count: int) -> tuple[str, str]:
    return seconds(taken), f"{taken / count * 1000:.1f} ms"

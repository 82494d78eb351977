"""What orchestration costs: a small batch, imports, a sensor evaluation, the time from a file to its rows."""

import datetime as dt
import shutil
import sys
from collections.abc import Sequence
from statistics import median

from benchmarks.drop import Arrival, arrival
from benchmarks.measure import Contender, Failed, ratio, run, take_turns, tell
from benchmarks.report import UNKNOWN, Section, Target, seconds, times
from benchmarks.session import ROOT, SALES, Session, materialize

ROUNDS, FULL_ROUNDS, FULL_DROPS = 3, 7, 3
SAMPLE = sorted((ROOT / "data/sample/sales").glob("*.csv"))
TICKS = {1_000: None, 10_000: 1.0, 100_000: 10.0}
"""How many files lie in landing, and how many seconds one sensor evaluation may take."""
INTRO = """The project itself with its own sample: a small batch as one command, against runs of as many assets that do
nothing; imports; one sensor evaluation with many files of 1,000 batches and a real instance; and the time from a
file's arrival to its rows, with `AUTOMATION=on`: the file settles for 10 seconds, the sensor runs every 30. `watch`
waits for neither. The start of a run, in Dagster's queue and of its process, is shown beside it."""


def measure(session: Session) -> Section:
    """Measure all of it."""
    section = Section("Orchestration", INTRO, ["", "runs", "time", "ratio"])
    rounds = min(session.rounds or (FULL_ROUNDS if session.full else ROUNDS), len(SAMPLE))
    _compare(session, section, _small_batch(session, rounds), "small batch to as many empty assets", 1.5)
    _compare(session, section, _imports(rounds), "import of the definitions to import of Dagster", 1.3)
    for files, limit in TICKS.items():
        _tick(session, section, files, limit)
    _drop(session, section, FULL_DROPS if session.full else 1)
    return section


def _compare(session: Session, section: Section, contenders: Sequence[Contender], what: str, limit: float) -> None:
    """Measure contenders, of which the second has the first as its yardstick, as all others."""
    take_turns(contenders, session.log)
    yardstick = contenders[0].seconds
    for item in contenders:
        section.rows.append(
            [item.name, str(len(item.usages)), seconds(item.seconds), times(ratio(item.seconds, yardstick))]
        )
    section.targets.append(Target(what, ratio(contenders[1].seconds, yardstick), limit))
    section.add_failures(contenders)


def _small_batch(session: Session, rounds: int) -> list[Contender]:
    days = [dt.date.fromisoformat(path.stem.removeprefix("sales_")) for path in SAMPLE]
    assets = [f"asset_{number}" for number in range(len(SALES))]
    empty = materialize("benchmarks.empty", assets, days[:1])
    waiting = iter(zip(SAMPLE, days, strict=True))
    platform = Contender("small batch", [], session.environment("small"), rounds)

    def deliver() -> None:
        file, day = next(waiting)
        landing = session.work / "small/data/landing/sales"
        landing.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, landing)
        platform.command = materialize("orchestration_project.definitions", SALES, [day])

    platform.prepare = deliver
    for name in ("small", "empty", "checked"):
        session.data_dir(name)
        session.dagster_home(name)
    return [
        Contender("empty assets", [*empty, "-a", "assets_only"], session.environment("empty"), rounds),
        platform,
        Contender("empty assets and checks", [*empty, "-a", "with_checks"], session.environment("checked"), rounds),
    ]


def _imports(rounds: int) -> list[Contender]:
    location = "orchestration_project.definitions"
    statements = {
        "import of Dagster": "import dagster",
        "import of the definitions": f"import {location}",
        "import, and all definitions built": f"import {location} as location; location.defs()",
    }
    environment = {"PYTHONPATH": str(ROOT)}
    return [Contender(name, [sys.executable, "-c", code], environment, rounds) for name, code in statements.items()]


def _tick(session: Session, section: Section, files: int, limit: float | None) -> None:
    name, taken = f"sensor, {files:,} files", None
    session.data_dir("tick")
    session.dagster_home("tick")
    try:
        run([sys.executable, "-m", "benchmarks.tick", str(files)], session.environment("tick"), session.log)
        taken = float(session.log.read_text(encoding="utf-8").split()[-1])
        tell(f"{name}: {taken:.2f} s")
    except Failed as error:
        section.failures[name] = str(error)
    section.rows.append([name, "1", seconds(taken), UNKNOWN])
    if limit:
        section.targets.append(Target(name, taken, limit, unit="s"))


def _drop(session: Session, section: Section, rounds: int) -> None:
    """Measure the way of a file with the sensor alone and with `watch`, and what of it is the start of the run."""
    for name, watched in {"from drop to product_warehouse": False, "the same with `watch`": True}.items():
        taken: list[Arrival] = []
        try:
            for file in SAMPLE[:rounds]:
                taken.append(arrival(session, file, watched))
                tell(f"{name}: {taken[-1].total:.1f} s, of it {taken[-1].starting:.1f} s until its run had started")
        except Failed as error:
            section.failures[name] = str(error)
        total = median(item.total for item in taken) if taken else None
        starting = median(item.starting for item in taken) if taken else None
        section.rows.append([name, str(len(taken)), seconds(total), UNKNOWN])
        section.rows.append([f"{name}: the start of its run", str(len(taken)), seconds(starting), UNKNOWN])

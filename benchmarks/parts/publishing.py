"""What the copy for readers costs: a day published after pasts of different lengths, and a load with and without it."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.data import days, make_sales
from benchmarks.measure import Contender, Failed, ratio, run, take_turns
from benchmarks.parts.increment import PASTS, make_pasts, name_of
from benchmarks.report import Section, Target, megabytes, seconds, times
from benchmarks.session import PUBLISH, SALES, SHOP, Session, materialize

ROWS, ROUNDS, FULL_ROUNDS = 100_000, 3, 7
LOADED = "loaded"
INTRO = """A day of {rows:,} records, loaded without publishing, then published by its own command into copies of 1 to
1,000 such days. The command includes the start of Python, which is about a quarter of a second. The last two rows are
the load of such a day after 1 day, by the command, with publishing and without it."""


def measure(session: Session) -> Section:
    """Measure publishing for each length of the past, and a load with and without it."""
    rows = min(session.rows or ROWS, ROWS)
    rounds = session.rounds or (FULL_ROUNDS if session.full else ROUNDS)
    columns = ["what", "runs", "command", "of day 1's", "peak memory", "written"]
    section = Section("Publishing", INTRO.format(rows=rows), columns)
    try:
        make_pasts(session, rows)
    except Failed as error:
        section.failures["the first day's load"] = str(error)
        return section
    contenders = [_published(session, past, rows, rounds) for past in PASTS]
    contenders += [_load(session, rows, rounds, is_on) for is_on in (True, False)]
    take_turns(contenders, session.log)
    for item in contenders:
        written = megabytes(_newest_bytes(session, item.name)) if item in contenders[: len(PASTS)] else "-"
        share = times(ratio(item.seconds, contenders[0].seconds)) if item in contenders[: len(PASTS)] else "-"
        row = [item.name, str(len(item.usages)), seconds(item.seconds), share, megabytes(item.peak_bytes), written]
        section.rows.append(row)
    longest = ratio(contenders[len(PASTS) - 1].seconds, contenders[0].seconds)
    section.targets = [
        Target(f"publishing after {PASTS[-1]:,} days to day {PASTS[0]}", longest, 1.2),
        Target("a load with publishing to one without", ratio(contenders[-2].seconds, contenders[-1].seconds), 1.1),
    ]
    section.add_failures(contenders)
    return section


def _published(session: Session, past: int, rows: int, rounds: int) -> Contender:
    name, waiting = name_of(past), iter(days(rounds))
    environment = session.environment(name)

    def prepare() -> None:
        day = next(waiting)
        make_sales(session.work / name / "data/landing/sales", day, rows)
        run(materialize(SHOP, SALES, [day]), environment | {"PUBLISH": "off"}, session.log)

    return Contender(name, PUBLISH, environment, rounds, prepare)


def _load(session: Session, rows: int, rounds: int, is_on: bool) -> Contender:
    # Of its own days, after those of the other contenders.
    name, waiting = name_of(PASTS[0]), iter(days(3 * rounds)[rounds + rounds * is_on :])
    environment = session.environment(name) | {"PUBLISH": "on" if is_on else "off"}
    contender = Contender(f"{LOADED}, {'' if is_on else 'not '}published", [], environment, rounds)
    contender.prepare = _next_day(session, contender, name, rows, lambda: next(waiting))
    return contender


def _next_day(
    session: Session, contender: Contender, name: str, rows: int, next_day: Callable[[], dt.date]
) -> Callable[[], None]:
    def prepare() -> None:
        day = next_day()
        contender.command = materialize(SHOP, SALES, [day])
        make_sales(session.work / name / "data/landing/sales", day, rows)

    return prepare


def _newest_bytes(session: Session, name: str) -> int:
    """The bytes of the files that the last publishing has written."""
    folder: Path = session.work / name / "data/published"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    files = [folder / part["file"] for table in manifest["tables"] for part in table["parts"].values()]
    ages = {file: file.stat() for file in files if file.exists()}
    # Those of one publishing are written within moments; the one before was a load ago.
    newest = max(stat.st_mtime for stat in ages.values())
    return sum(stat.st_size for stat in ages.values() if newest - stat.st_mtime < 1)

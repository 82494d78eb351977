"""Several writers of one lake in PostgreSQL and S3: how well they share the work, and what its lock costs them.

Two parts: a few large batches, and many small ones.
"""

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.contents import contents_of, ensure_equal
from benchmarks.data import days
from benchmarks.measure import Contender, Failed, run, take_turns
from benchmarks.report import UNKNOWN, Section, seconds, times
from benchmarks.session import BIN, Session
from benchmarks.warehouses import Servers, started

COMMAND = (str(BIN / "python"), "-m", "benchmarks.writers")
ROUNDS = 3
LOCKED = re.compile(
    r"^(\d+\.\d+) .*\(process (\d+) on .*duration: ([\d.]+) ms  (?:statement|execute [^:]*): .*advisory_(?:xact_)?lock",
    re.MULTILINE,
)
"""PostgreSQL's line about a statement that has got an advisory lock: when, for which process, and after which time."""
Waits = Sequence[tuple[float, int, float]]
"""Of each statement that got the lock: when that was, which process has waited, and for how many seconds."""
COLUMNS = [
    *("", "runs", "time", "efficiency", "of a lake each", "a load, median", "95th percentile"),
    *("waits for the lock", "95th percentile", "of the loads' time", "holds it", "95th percentile"),
]
INTRO = """{days} days of {rows:,} records, a file and a load each, come into a lake that has another day. Each writer
is a process that loads days of its own, one after another, with one thread of DuckDB and without Dagster. Time is that
from the start of the first load to the end of the last. *Efficiency* is the time of one writer, divided by that of all
times their number: 1 is perfect, and on two cores {most} writers, which share them with the servers, can't have more
than {limit:.2f}. *Of a lake each*: the same days, but each writer has a lake of its own, so nobody waits for the lock.
What a load waits for the lock is as PostgreSQL has logged it, how long it has it as the load itself has noted. After
each round each day is in the lake once, with all of its records and the same sums, and tables of one lake have the same
rows, or the writers are shown as failed."""


@dataclass(frozen=True, slots=True)
class Batches:
    """What is loaded.

    Attributes:
        title: of the section.
        days: how many.
        rows: records of each.
        writers: how many load them at the most.
        at_once: whether a writer loads all of its days in one load.
    """

    title: str
    days: int
    rows: int
    writers: int
    at_once: bool = False

    def of(self, session: Session) -> "Batches":
        """As many records as a session has, if it says so."""
        return replace(self, rows=min(self.rows, session.rows // (self.days + 1))) if session.rows else self


LARGE = Batches("Workers", 4, 250_000, 2)
SMALL = Batches("Writers", 16, 10_000, 8)


@dataclass
class Writers:
    """Processes that load all days at the same time.

    Attributes:
        batches: what they load.
        name: how results call them.
        number: how many they are.
        lakes: how many lakes they have: one together, or one each.
        settings: under which they work.
        times: of each round, from the start of the first load to the end of the last.
        loads, waits, holds: of each load of all rounds, what it took, waited for the lock, and had it.
    """

    session: Session
    servers: Servers
    batches: Batches
    name: str
    number: int = 1
    lakes: int = 1
    settings: Mapping[str, str] = field(default_factory=lambda: {"WAREHOUSE_THREADS": "1"})
    times: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    holds: list[float] = field(default_factory=list)

    def contender(self, expected: dict[str, Any]) -> Contender:
        """What is run.

        Args:
            expected: what the lakes have to have of each day; the first run fills it.
        """
        environment = self.servers.store.environment
        item = Contender(self.name, [], environment, self.session.rounds or ROUNDS)
        places: list[dict[str, str]] = []
        said = 0

        def prepare() -> None:
            nonlocal said
            places[:] = [self._place(number) for number in range(self.lakes)]
            first, *others = days(self.batches.days + 1)
            # The tables are made beforehand, as they are in any warehouse but a new one.
            run(self._command([(place, [first]) for place in places]), environment, self.session.log)
            shares = [others[number :: self.number] for number in range(self.number)]
            item.command = self._command([(places[n % self.lakes], share) for n, share in enumerate(shares)])
            said = self.servers.database.log.stat().st_size

        def verify() -> None:
            told = json.loads(self.session.log.read_text(encoding="utf-8").splitlines()[-1])
            waits = waits_in(self.servers.database.log, said)
            self._prove([contents_of(self.session, environment | place) for place in places], expected)
            self.take(told, waits)

        item.prepare, item.verify = prepare, verify
        return item

    def _prove(self, lakes: Sequence[dict[str, Any]], expected: dict[str, Any]) -> None:
        loaded = {day: figures for lake in lakes for day, figures in lake["days"].items()}
        ensure_whole(loaded, days(self.batches.days + 1), self.batches.rows)
        # A lake that has all days has all tables as every such lake has them.
        found: dict[str, dict[str, Any]] = {"days": loaded} | (
            {"tables": lakes[0]["tables"]} if len(lakes) == 1 else {}
        )
        for what, items in found.items():
            ensure_equal(items, expected.setdefault(what, items), f"{self.name} and the first who loaded")

    def _place(self, number: int) -> dict[str, str]:
        """The settings of an empty lake, and of a landing that has all days."""
        name = f"{self.batches.title}-{number}"
        files = self.session.files(self.batches.rows * (self.batches.days + 1), days(self.batches.days + 1))
        data = self.session.data_dir(name, files)
        return {"DATA_DIR": str(data)} | dict(self.settings) | self.servers.new_lake()

    def _command(self, shares: Sequence[tuple[dict[str, str], Sequence[dt.date]]]) -> list[str]:
        plan = self.session.work / "plan.json"
        listed = [{"settings": place, "loads": self._loads([*map(str, share)])} for place, share in shares]
        plan.write_text(json.dumps(listed), encoding="utf-8")
        return [*COMMAND, str(plan)]

    def _loads(self, share: list[str]) -> list[list[str]]:
        return [share] if self.batches.at_once else [[day] for day in share]

    def take(self, told: Sequence[dict[str, Any]], waits: Waits) -> None:
        """Note what a round took.

        Args:
            told: its loads, as they have told it.
            waits: what PostgreSQL has logged meanwhile.

        Raises:
            Failed: a load has not got the lock, as far as PostgreSQL knows.
        """
        for load in told:
            own = [wait for at, who, wait in waits if who == load["process"] and load["began"] <= at <= load["ended"]]
            if not own or not load["held"]:
                raise Failed(f"{self.name}: nobody knows when a load had the lock, so what it costs can't be told")
            self.loads.append(load["ended"] - load["began"])
            self.waits.append(sum(own))
            self.holds.append(sum(load["held"]))
        self.times.append(max(load["ended"] for load in told) - min(load["began"] for load in told))

    def row(self, alone: "Writers", apart: "Writers | None") -> list[str]:
        """Their row, beside one writer, and as many with a lake each."""
        return [
            self.name,
            str(len(self.times)),
            seconds(median(self.times) if self.times else None),
            times(efficiency(self.times, alone.times, self.number)),
            times(ratio_of_rounds(self.times, apart.times) if apart else None),
            *_spread(self.loads),
            *_spread(self.waits),
            UNKNOWN if not self.loads else f"{sum(self.waits) / sum(self.loads):.2%}",
            *_spread(self.holds),
        ]


def measure(batches: Batches, session: Session) -> Section:
    """Measure one writer, several of one lake, and as many with a lake each."""
    batches, most = batches.of(session), batches.writers
    intro = INTRO.format(days=batches.days, rows=batches.rows, most=most, limit=2 / most)
    section = Section(batches.title, intro, COLUMNS)
    with ExitStack() as stack:
        both = started(session, section, stack)
        if both is None:
            return section
        crowds = [
            Writers(session, both, batches, "1 writer"),
            Writers(session, both, batches, f"{most} writers, 1 lake", most),
            Writers(session, both, batches, f"{most} writers, {most} lakes", most, most),
        ]
        section.add_failures(run_all(crowds))
    alone, together, apart = crowds
    section.rows = [crowd.row(alone, apart if crowd is together else None) for crowd in crowds]
    return section


def run_all(crowds: Sequence[Writers]) -> list[Contender]:
    """Let them load in turns; returns those who are told of failures."""
    expected: dict[str, Any] = {}
    contenders = [crowd.contender(expected) for crowd in crowds]
    take_turns(contenders, crowds[0].session.log)
    return contenders


def waits_in(log: Path, offset: int) -> Waits:
    """Who has waited for an advisory lock, as PostgreSQL has logged it.

    Args:
        log: of the server.
        offset: where in the log to begin.
    """
    with log.open("rb") as stream:
        stream.seek(offset)
        found = LOCKED.findall(stream.read().decode(errors="replace"))
    return [(float(at), int(process), float(taken) / 1000) for at, process, taken in found]


def ratio_of_rounds(own: Sequence[float], others: Sequence[float]) -> float | None:
    """The median of the rounds' ratios; None if one of both has failed."""
    if not own or len(own) != len(others):
        return None
    return median(mine / theirs for mine, theirs in zip(own, others, strict=True))


def efficiency(own: Sequence[float], alone: Sequence[float], number: int) -> float | None:
    """The time of one, divided by that of several times their number; None if one of both has failed."""
    found = ratio_of_rounds(alone, own)
    return None if found is None else found / number


def _spread(taken: Sequence[float]) -> tuple[str, str]:
    """The median and the 95th percentile; a single value has none."""
    if len(taken) < 2:
        return UNKNOWN, UNKNOWN
    return milliseconds(median(taken)), milliseconds(quantiles(taken, n=20, method="inclusive")[-1])


def milliseconds(value: float) -> str:
    """Seconds as milliseconds."""
    return f"{value * 1000:,.1f} ms" if value < 0.1 else f"{value * 1000:,.0f} ms"


def ensure_whole(found: dict[str, Any], wanted: Sequence[dt.date], rows: int) -> None:
    """Make sure that each day is there once, and no other one.

    Args:
        found: figures by day, as `contents` has them.
        wanted: the days.
        rows: records that a day has.

    Raises:
        Failed: a day is not, or not as a whole, or more than once.
    """
    if found.keys() != {*map(str, wanted)}:
        raise Failed(f"there are the days {', '.join(sorted(found))}, and not {', '.join(map(str, wanted))}")
    for day, (records, numbered, cleaned, rejected, _, files) in found.items():
        if not (records == numbered == rows and (cleaned or 0) + rejected == rows and files == 1):
            raise Failed(
                f"{day} has {records} records with {numbered} numbers, {cleaned} of them cleaned and {rejected}"
                f" rejected, of {files} file(s); it was one file of {rows} records"
            )

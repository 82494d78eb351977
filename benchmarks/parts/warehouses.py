"""The same loads into each kind of warehouse: a month of files into an empty one, then one more day at a time."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contents import contents_of, ensure_equal
from benchmarks.data import days, name_of
from benchmarks.measure import Contender, paired, take_turns
from benchmarks.report import UNKNOWN, Section, megabytes, seconds, times
from benchmarks.session import CATALOGUE, SALES, SHOP, Session, materialize
from benchmarks.warehouses import Kind, kinds

ROWS, DAYS = 1_000_000, 30
ROUNDS = 3
COLUMNS = ["", "runs", "time", "of the file's", "CPU time", "of the file's", "servers' CPU time", "peak memory"]
INTRO = """{rows:,} records in {days} files, and a catalogue, are loaded into an empty warehouse of each kind, in turns;
all tables of sales and products are made and checked. Then, as often, one more day of {each:,}
records. Nothing is published for readers. Times are of whole commands, so the start of Dagster is in them; *of the
file's* is the median of the rounds' ratios. After each round all tables of all kinds have the same columns, types, rows
and hashes, or the kind is shown as failed."""


@dataclass
class Loads:
    """The loads into one kind of warehouse.

    Attributes:
        session: where they work.
        kind: the kind.
        rows: records of a month.
        warehouse: the settings of the present one.
    """

    session: Session
    kind: Kind
    rows: int
    warehouse: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The DATA_DIR."""
        return self.session.work / self.kind.name / "data"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a load, and of whoever reads the warehouse."""
        return self.session.environment(self.kind.name) | {"PUBLISH": "off"} | dict(self.warehouse)

    def month(self) -> Contender:
        """A month of files, into a new warehouse each time."""
        command = materialize(SHOP, [*SALES, *CATALOGUE], days(DAYS))
        item = Contender(f"a month, {self.kind.name}", command, rounds=self.session.rounds or ROUNDS)

        def prepare() -> None:
            self.session.data_dir(self.kind.name, self.session.files(self.rows, days(DAYS)))
            self.session.dagster_home(self.kind.name)
            self.warehouse = self.kind.empty(self.data)
            item.environment = self.environment

        item.prepare = prepare
        return item

    def day(self) -> Contender:
        """One more day, another one each time, into what the last month has left."""
        rounds = self.session.rounds or ROUNDS
        waiting = iter(days(DAYS + rounds)[DAYS:])
        item = Contender(f"a day more, {self.kind.name}", [], self.environment, rounds)

        def prepare() -> None:
            day = next(waiting)
            item.command = materialize(SHOP, SALES, [day])
            name = f"sales/{name_of(day)}"
            # A link: the time of the file is in the tables, so it has to be the same for all kinds.
            os.link(self.session.files(self.rows // DAYS, [day]) / name, self.data / "landing" / name)

        item.prepare = prepare
        return item


def measure(session: Session) -> Section:
    """Measure all kinds."""
    rows = session.rows or ROWS
    section = Section("Kinds of warehouses", INTRO.format(rows=rows, days=DAYS, each=rows // DAYS), COLUMNS)
    with ExitStack() as stack:
        loads = [Loads(session, kind, rows) for kind in kinds(session, stack, section)]
        _measure(section, loads, [item.month() for item in loads])
        # A day comes into what the month has left.
        loads = [item for item in loads if f"a month, {item.kind.name}" not in section.failures]
        _measure(section, loads, [item.day() for item in loads])
    return section


def _measure(section: Section, loads: Sequence[Loads], contenders: Sequence[Contender]) -> None:
    expected: dict[int, dict[str, Any]] = {}
    costs = [_watched(item, contender, expected) for item, contender in zip(loads, contenders, strict=True)]
    if contenders:
        take_turns(contenders, loads[0].session.log)
    for item, cost in zip(contenders, costs, strict=True):
        section.rows.append(_row(item, contenders[0], cost))
    section.add_failures(contenders)


def _watched(loads: Loads, item: Contender, expected: dict[int, dict[str, Any]]) -> list[float]:
    """Let each run be compared with that of the first kind in its round; the list gets what it costs the servers."""
    costs: list[float] = []
    prepare, before = item.prepare, 0.0

    def begin() -> None:
        nonlocal before
        prepare()
        before = loads.kind.servers.cpu_seconds() if loads.kind.servers else 0.0

    def end() -> None:
        if loads.kind.servers:
            costs.append(loads.kind.servers.cpu_seconds() - before)
        found = contents_of(loads.session, loads.environment)["tables"]
        ensure_equal(found, expected.setdefault(len(item.usages), found), f"{item.name} and the first of its round")

    item.prepare, item.verify = begin, end
    return costs


def _row(item: Contender, file: Contender, costs: Sequence[float]) -> list[str]:
    return [
        item.name,
        str(len(item.usages)),
        seconds(item.seconds),
        times(paired(item, file)),
        seconds(item.cpu_seconds),
        times(paired(item, file, attrgetter("cpu_seconds"))),
        seconds(median(costs)) if costs else UNKNOWN,
        megabytes(item.peak_bytes),
    ]

"""What it costs to bring a table out: published and delivered, beside DuckDB's own statement and dlt; what is sent.

The platform's contenders end when both sides are compared and readers may read; the others when the rows are there.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from benchmarks.data import days, make_sales
from benchmarks.measure import Contender, Failed, paired, run, take_turns, tell
from benchmarks.parts.load import PEERS_BIN
from benchmarks.places import TABLE, Place, entered, folder_place, postgres_place, s3_place
from benchmarks.report import UNKNOWN, Section, Target, megabytes, seconds, times
from benchmarks.session import PUBLISH, SALES, SHOP, Session, materialize
from orchestration_project_tests.servers.network import Network, network

ROWS, FULL_ROWS, DAYS, ROUNDS = 1_000_000, 10_000_000, 30, 3
NAME = "out"
ASSET = f"{NAME}/{TABLE}"
CHANGED = days(DAYS)[DAYS // 2]
COPIED = "copied by DuckDB"
COLUMNS = ["", "runs", "time", "of DuckDB's", "peak memory", "sent", "received", "requests"]
INTRO = """`cleaned_sales`, of {rows:,} records of {days} days, is published for readers and delivered. In turn with
that, DuckDB copies the table by one statement, and dlt brings it out. Times are of whole processes; *of DuckDB's* is
the median of the rounds' ratios. Deliveries start Dagster, and compare both sides in the end; nobody else does. A
changed day is a corrected file, whose load is not timed. What a delivery sends and receives was counted in runs of
their own, by a proxy."""


@dataclass
class Shop:
    """The warehouse that has the table, one day of which can be changed."""

    session: Session
    rows_a_day: int
    corrections: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """Runs publish only where that is measured."""
        return self.session.environment(NAME) | {"PUBLISH": "off"}

    @property
    def data(self) -> Path:
        """The DATA_DIR."""
        return self.session.work / NAME / "data"

    @property
    def warehouse(self) -> str:
        """The DuckDB file."""
        return str(self.data / "warehouse.duckdb")

    def rows(self) -> int:
        """How many rows the table has."""
        with duckdb.connect(self.warehouse, read_only=True) as connection:
            row = connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone()
            return int(row[0]) if row else 0

    def change_day(self) -> None:
        """Load a corrected file of a day, which has a record less than the one before."""
        self.corrections += 1
        make_sales(self.data / "landing/sales", CHANGED, self.rows_a_day - self.corrections)
        run(materialize(SHOP, SALES[:3], [CHANGED]), self.environment, self.session.log)


@dataclass
class Results:
    """All that was measured at a place: who is compared with DuckDB's statement, and who brought a changed day."""

    place: Place
    whole: list[Contender] = field(default_factory=list)
    changed: list[Contender] = field(default_factory=list)
    wires: dict[str, Network] = field(default_factory=dict)

    @property
    def contenders(self) -> list[Contender]:
        """All of them."""
        return [*self.whole, *self.changed]

    def rows(self) -> Iterator[Sequence[str]]:
        """The rows of the section."""
        copied = next(item for item in self.whole if item.name.endswith(COPIED))
        for item in self.contenders:
            wire = self.wires.get(item.name)
            yield [
                item.name,
                str(len(item.usages)),
                seconds(item.seconds),
                times(paired(item, copied)) if item in self.whole else UNKNOWN,
                megabytes(item.peak_bytes),
                *([_amount(wire.sent), _amount(wire.received)] if wire else [UNKNOWN] * 2),
                str(wire.requests) if wire and wire.requests else UNKNOWN,
            ]

    def targets(self) -> Iterator[Target]:
        """A changed day is a thirtieth of the table; with what a delivery asks, a tenth is more than enough."""
        if len(self.wires) == 2:
            first, later = self.wires.values()
            what = f"{self.place.name}: bytes sent for a changed day to those for all {DAYS} days"
            yield Target(what, later.sent / first.sent if first.sent else None, 0.1)


def _amount(count: int) -> str:
    return f"{count / 1e6:,.2f} MB"


def measure(session: Session) -> Section:
    """Measure all ways out."""
    rows = session.rows or (FULL_ROWS if session.full else ROWS)
    section = Section("Out", INTRO.format(rows=rows, days=DAYS), COLUMNS)
    shop = Shop(session, rows // DAYS)
    with ExitStack() as stack:
        try:
            _load(shop, rows)
        except Failed as error:
            section.failures["the load"] = str(error)
            return section
        found = [*_at_places(shop, stack, section)]
        take_turns([contender for results in found for contender in results.contenders], session.log)
        for results in found:
            _finish(shop, results, section)
    return section


def _load(shop: Shop, rows: int) -> None:
    shop.session.data_dir(NAME, shop.session.files(rows, days(DAYS)))
    shop.session.dagster_home(NAME)
    run(materialize(SHOP, SALES, days(DAYS)), shop.environment, shop.session.log)


def _at_places(shop: Shop, stack: ExitStack, section: Section) -> Iterator[Results]:
    """What is to be measured at each place whose server runs."""
    for name, make in {"folder": folder_place, "S3": s3_place, "PostgreSQL": postgres_place}.items():
        try:
            yield _at_place(shop, entered(stack, make(shop.session)))
        except Failed as error:
            section.failures[name] = str(error)


def _at_place(shop: Shop, place: Place) -> Results:
    """What is to be measured at a place, where all days are delivered for those who deliver a changed one."""
    deliver, kept = materialize(SHOP, [ASSET], days(DAYS)), place.empty("kept")
    delivered = _whole(shop, place, "delivered", lambda _: deliver)
    results = Results(place, [delivered, *_others(shop, place)], [_changed_day(shop, place, kept)])
    if place.port is None:
        results.whole.insert(0, _published(shop))
        results.changed.insert(0, _published(shop, changed=True))
    _deliver_once(shop, results, delivered, kept, deliver)
    return results


def _others(shop: Shop, place: Place) -> list[Contender]:
    python = str(PEERS_BIN / "python")

    def copy(url: str) -> list[str]:
        return [python, "-m", "benchmarks.peers.copy_out", shop.warehouse, TABLE, url]

    def dlt(url: str) -> list[str]:
        folder = str(shop.session.folder("dlt"))
        return [python, "-m", "benchmarks.peers.dlt_out", shop.warehouse, TABLE, url, folder]

    return [_whole(shop, place, COPIED, copy), _whole(shop, place, "dlt", dlt, RUNTIME__DLTHUB_TELEMETRY="false")]


def _whole(
    shop: Shop, place: Place, what: str, command: Callable[[str], Sequence[str]], **environment: str
) -> Contender:
    """Somebody who brings all of the table to a place that is empty."""
    contender = Contender(f"{place.name}: {what}", [], rounds=shop.session.rounds or ROUNDS)
    url = ""

    def prepare() -> None:
        nonlocal url
        url = place.empty("turn")
        contender.command = command(url)
        contender.environment = _environment(shop, place.environment, url) | environment

    def verify() -> None:
        if (found := place.rows(url)) != (expected := shop.rows()):
            raise Failed(f"{contender.name}: {found:,} rows arrived, and the warehouse has {expected:,}")

    contender.prepare, contender.verify = prepare, verify
    return contender


def _environment(shop: Shop, client: Mapping[str, str], url: str) -> dict[str, str]:
    return shop.environment | dict(client) | {"OUT_URL": url}


def _changed_day(shop: Shop, place: Place, kept: str) -> Contender:
    """The platform, which brings a changed day to where the other days are."""
    command, environment = materialize(SHOP, [ASSET], [CHANGED]), _environment(shop, place.environment, kept)
    rounds = shop.session.rounds or ROUNDS
    return Contender(f"{place.name}: a changed day delivered", command, environment, rounds, shop.change_day)


def _published(shop: Shop, changed: bool = False) -> Contender:
    """The platform, which publishes the table, or a changed day of it."""
    environment = shop.environment | {"PUBLISH": "on", "PUBLISHED_TABLES": TABLE}
    rounds = shop.session.rounds or ROUNDS

    def prepare() -> None:
        if changed:
            run(PUBLISH, environment, shop.session.log)
            shop.change_day()
        else:
            shutil.rmtree(shop.data / "published", ignore_errors=True)

    name = "folder: a changed day published" if changed else "folder: published"
    return Contender(name, PUBLISH, environment, rounds, prepare)


def _deliver_once(shop: Shop, results: Results, row: Contender, url: str, command: Sequence[str]) -> None:
    """Deliver all days, or a changed one, to where they are kept; counts what goes over a wire, if there is one."""
    place, log = results.place, shop.session.log
    if place.port is None:
        run(command, _environment(shop, place.environment, url), log)
        return
    with network(place.port) as wire:
        through, environment = place.through(wire.port, url)
        run(command, _environment(shop, environment, through), log)
    tell(f"{row.name}: {_amount(wire.sent)} sent, {_amount(wire.received)} received, {wire.requests} requests")
    results.wires[row.name] = wire


def _finish(shop: Shop, results: Results, section: Section) -> None:
    """Count what a changed day sends, and tell everything of a place."""
    item = results.changed[-1]
    if not item.failure:
        try:
            shop.change_day()
            _deliver_once(shop, results, item, item.environment["OUT_URL"], item.command)
        except Failed as error:
            item.failure = str(error)
    section.rows += results.rows()
    section.targets += results.targets()
    section.add_failures(results.contenders)

"""The initial load: a month of files in one run, by the platform, a hand-written script and other tools."""

import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb

from benchmarks import rules
from benchmarks.data import days
from benchmarks.measure import Contender, Failed, ratio, take_turns
from benchmarks.report import Section, Target, megabytes, seconds, spread, times
from benchmarks.session import CATALOGUE, ROOT, SALES, SHOP, Session, materialize

ROWS, DAYS = 10_000_000, 30
ROUNDS, TOOL_ROUNDS, FULL_ROUNDS = 3, 1, 5
"""Rounds of platform and baseline, rounds of the others, and rounds of all in a full session."""
BOUNDED, BOUND = "platform, 1 GB", {"WAREHOUSE_MEMORY_LIMIT": "1GB"}
"""The platform with less memory for DuckDB than it would take: tells what that costs."""
PEERS = ROOT / "benchmarks/peers"
PEERS_BIN = ROOT / "benchmarks/.venv/bin"
INTRO = """{rows:,} records in {days} files, and a catalogue, become raw text, typed rows, rejects with reasons,
sales by product and day, and products. From the start of the process to its end, in turns."""
OUTCOME = """SELECT (SELECT count(*) FROM cleaned_sales), (SELECT count(*) FROM rejected_sales),
    (SELECT sum(units_sold)::BIGINT FROM product_warehouse),
    (SELECT sum(revenue)::DECIMAL(38, 2) FROM product_warehouse)"""
Outcome = tuple[int, int, int, Decimal]


def measure(session: Session) -> Section:
    """Measure all contenders."""
    rows = session.rows or ROWS
    contenders = _contenders(session, session.files(rows, days(DAYS)))
    _expect_the_same(session, contenders)
    take_turns(contenders, session.log)
    section = Section(
        "Initial load",
        INTRO.format(rows=rows, days=DAYS),
        ["", "runs", "time", "shortest to longest", "of the platform's time", "peak memory", "of the platform's"],
    )
    platform = contenders[0]
    for item in contenders:
        section.rows.append(
            [
                item.name,
                str(len(item.usages)),
                seconds(item.seconds),
                spread(item),
                times(ratio(item.seconds, platform.seconds)),
                megabytes(item.peak_bytes),
                times(ratio(item.peak_bytes, platform.peak_bytes)),
            ]
        )
    section.targets = _targets(*(item for item in contenders if item.name != BOUNDED))
    section.add_failures(contenders)
    return section


def _contenders(session: Session, files: Path) -> list[Contender]:
    rounds = session.rounds or (FULL_ROUNDS if session.full else ROUNDS)
    tool_rounds = FULL_ROUNDS if session.full else TOOL_ROUNDS

    def contender(name: str, command: Sequence[str], rounds: int, history: bool = False, **more: str) -> Contender:
        def prepare() -> None:
            session.data_dir(name, files)
            if history:
                session.dagster_home(name)

        return Contender(name, command, session.environment(name) | more, rounds, prepare)

    platform = materialize(SHOP, [*SALES, *CATALOGUE], days(DAYS))
    baseline = [sys.executable, "-m", "benchmarks.baseline", _data(session, "baseline")]
    stock = materialize("benchmarks.stock", [*SALES, "cleaned_products"], days(DAYS))
    dlt = [str(PEERS_BIN / "python"), "-m", "benchmarks.peers.dlt_load", _data(session, "dlt")]
    return [
        contender("platform", platform, rounds, history=True),
        contender("baseline", baseline, rounds),
        contender(BOUNDED, platform, tool_rounds, history=True, **BOUND),
        contender("stock", stock, tool_rounds, history=True),
        contender("dlt", dlt, tool_rounds, RUNTIME__DLTHUB_TELEMETRY="false"),
        contender("dbt", _dbt(session.work / "dbt"), tool_rounds),
    ]


def _dbt(folder: Path) -> list[str]:
    variables = {"trimmed": rules.TRIMMED, "typed": rules.TYPED, "reasons": rules.REASONS, "values": rules.VALUES}
    return [
        str(PEERS_BIN / "dbt"),
        "--no-send-anonymous-usage-stats",
        "--no-version-check",
        f"--log-path={folder / 'logs'}",
        "build",
        f"--target-path={folder / 'target'}",
        f"--project-dir={PEERS / 'dbt'}",
        f"--profiles-dir={PEERS / 'dbt'}",
        f"--vars={json.dumps(variables)}",
    ]


def _data(session: Session, name: str) -> str:
    return session.environment(name)["DATA_DIR"]


def _expect_the_same(session: Session, contenders: Sequence[Contender]) -> None:
    """Let each run be compared with the first: contenders that come to other results are out."""
    found: list[tuple[str, Outcome]] = []

    def verify(name: str) -> None:
        outcome = outcome_of(Path(_data(session, name)) / "warehouse.duckdb")
        found.append((name, outcome))
        if outcome != found[0][1]:
            raise Failed(f"{name} made {outcome}, {found[0][0]} made {found[0][1]}: cleaned, rejected, units, revenue")

    for item in contenders:
        item.verify = partial(verify, item.name)


def outcome_of(warehouse: Path) -> Outcome:
    """What a contender made: cleaned and rejected rows, units and revenue over all products.

    Raises:
        Failed: it has not made it.
    """
    try:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            row = connection.execute(OUTCOME).fetchone()
    except duckdb.Error as error:
        raise Failed(f"{warehouse.name} has not what was to be made: {error}") from error
    assert row
    return (row[0], row[1], row[2], row[3])


def _targets(platform: Contender, baseline: Contender, stock: Contender, *tools: Contender) -> list[Target]:
    return [
        Target("platform to baseline, time", ratio(platform.seconds, baseline.seconds), 1.25),
        Target("stock to platform, time", ratio(stock.seconds, platform.seconds), 2.5, at_least=True),
        Target("stock to platform, memory", ratio(stock.peak_bytes, platform.peak_bytes), 5, at_least=True),
        *(
            Target(f"{tool.name} to platform, time", ratio(tool.seconds, platform.seconds), 1, at_least=True)
            for tool in tools
        ),
    ]

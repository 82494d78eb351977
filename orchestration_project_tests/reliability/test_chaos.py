"""Everything at once, sensors alive: clients that write as they like, readers, backfills, loads by hand, and kills."""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.watch import spec_of
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.oracle.oracle import BLANK, Cleaned, Outcome, Rejected, outcome
from orchestration_project_tests.oracle.values import Contract
from orchestration_project_tests.reliability.deployment import Deployment, deployed
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = [
    pytest.mark.promise("load"),
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="the processes to kill are found in /proc"),
]

SECONDS = effort(60, 900)
PATIENCE = 600
DAYS = [f"2024-01-{day:02}" for day in range(1, effort(5, 13))]
ROWS = 40
KILLED = ("worker", "daemon", "code server")
LOADED = ["raw_sales", "cleaned_sales", "rejected_sales"]
BACKFILL = """
mutation Backfill($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) { __typename }
}
"""


@dataclass
class Chaos:
    """A deployment, and what its clients have left in landing.

    Attributes:
        deployment: `dagster dev` with all sensors on.
        finals: the bytes that each name has in the end. A name belongs to one client.
        doubtful: names that were deleted; whether they were taken before nobody can know.
        again: the second names under which bytes were delivered.
        failures: what went wrong in a client.
    """

    deployment: Deployment
    finals: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def landing(self) -> Path:
        """The drop folder of the clients."""
        return self.deployment.settings.landing("sales")


def content(dice: random.Random, name: str, version: int, day: str) -> str:
    """A sales file whose keys no other name has; some of its records are wrong, but never too many of them."""
    choices: list[int | str] = [1, 2, 3, 10_000, 0, "x"]
    quantities = [1, *dice.choices(choices, k=dice.randrange(ROWS))]
    return sales(
        *(
            sale(f"{name}-{row}", quantity=quantity, price=f"{version}.50", day=day)
            for row, quantity in enumerate(quantities)
        )
    )


def slowly(chaos: Chaos, dice: random.Random, name: str, text: str) -> None:
    """Write line by line, with pauses, into a file that is open all the while."""
    with (chaos.landing / name).open("w", encoding="utf-8") as file:
        for line in text.splitlines(keepends=True):
            file.write(line)
            if dice.random() < 0.2:
                file.flush()
                time.sleep(dice.uniform(0, 0.3))


def renamed(chaos: Chaos, _: random.Random, name: str, text: str) -> None:
    """Write under a name that is left alone, then rename."""
    part = chaos.landing / f"{name}.part"
    part.write_text(text, encoding="utf-8")
    part.rename(chaos.landing / name)


def twice(chaos: Chaos, dice: random.Random, name: str, text: str) -> None:
    """Deliver the same bytes under a second name, too."""
    renamed(chaos, dice, name, text)
    time.sleep(0.05)
    other = f"again_{name}"
    renamed(chaos, dice, other, text)
    chaos.finals[other] = text
    chaos.again.add(other)


def deleted(chaos: Chaos, dice: random.Random, name: str, text: str) -> None:
    """Deliver, and think better of it."""
    chaos.doubtful.add(name)
    renamed(chaos, dice, name, text)
    time.sleep(dice.uniform(0, 3))
    (chaos.landing / name).unlink(missing_ok=True)


WAYS = (slowly, renamed, twice, deleted)


def client(chaos: Chaos, number: int) -> None:
    """Deliver files for any day in any way, and sometimes correct one of the last."""
    dice = random.Random(number)  # noqa: S311 - moments and contents, no secrets
    own: dict[str, tuple[str, int]] = {}
    for serial in range(10_000):
        if own and dice.random() < 0.3:
            name = dice.choice(list(own))
            day, version = own[name]
            way: Callable[..., None] = dice.choice((slowly, renamed))
        else:
            day, version = dice.choice(DAYS), 0
            name = f"sales_{day}_c{number}n{serial}.csv"
            way = dice.choice(WAYS)
        text = content(dice, name.removesuffix(".csv"), version + 1, day)
        way(chaos, dice, name, text)
        chaos.finals[name] = text
        if way in (slowly, renamed):
            own[name] = (day, version + 1)
        if chaos.over.wait(dice.uniform(0.2, 2)):
            return


def reader(chaos: Chaos, number: int) -> None:
    """Look into the warehouse again and again, for a moment only."""
    path = chaos.deployment.settings.data_dir / "warehouse.duckdb"
    while not chaos.over.wait(1 + number):
        # While a load writes, the warehouse is refused to others.
        with contextlib.suppress(duckdb.Error), duckdb.connect(str(path), read_only=True) as connection:
            doubled = "SELECT order_id FROM cleaned_sales GROUP BY ALL HAVING count(*) > 1"
            found = connection.execute(doubled).fetchall() if connection.sql("SHOW TABLES").fetchall() else []
            if found:
                chaos.failures.append(f"doubled: {found[:3]}")


def operator(chaos: Chaos, _: int) -> None:
    """Ask for backfills by GraphQL, and load days by hand."""
    dice = random.Random("operator")  # noqa: S311 - moments, no secrets
    while not chaos.over.wait(1):
        first = dice.randrange(len(DAYS))
        # Nobody answers while the deployment starts.
        if backfill(chaos.deployment, DAYS[first:]):
            chaos.over.wait(dice.uniform(5, 15))
            chaos.failures += by_hand(chaos.deployment, DAYS[first])


def backfill(deployment: Deployment, days: list[str]) -> bool:
    """Ask for a backfill of the feed's tables; returns whether it was accepted."""
    parameters = {
        "assetSelection": [{"path": [name]} for name in LOADED],
        "partitionNames": days,
        "fromFailure": False,
    }
    try:
        answer = deployment.ask(BACKFILL, parameters=parameters)
    except OSError:
        return False
    return bool(answer["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess")


def by_hand(deployment: Deployment, day: str) -> list[str]:
    """Load a day by the command line; what went wrong, but that the warehouse was busy for too long."""
    own = {"DATA_DIR": str(deployment.settings.data_dir), "DAGSTER_HOME": str(deployment.home)}
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "orchestration_project.definitions"]
    done = subprocess.run(
        [*command, "--select", ",".join(LOADED), "--partition", day],
        cwd=REPOSITORY,
        env=dict(os.environ) | own,  # noqa: TID251 - the command runs as it would from this shell
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return [] if done.returncode == 0 or "WarehouseBusy" in done.stderr else [done.stderr[-3000:]]


@contextlib.contextmanager
def at_work(chaos: Chaos) -> Iterator[None]:
    """All clients, until the block ends."""
    tasks = [(client, number) for number in range(4)] + [(reader, 0), (reader, 1), (operator, 0)]
    threads = [threading.Thread(target=watched, args=(chaos, task, number)) for task, number in tasks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        chaos.over.set()
        for thread in threads:
            thread.join()


def watched(chaos: Chaos, task: Callable[[Chaos, int], None], number: int) -> None:
    """Do a client's work; what it raises is a failure of the test."""
    try:
        task(chaos, number)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test has to tell
        chaos.failures.append(f"{task.__name__}: {error!r}")


def succeeded(deployment: Deployment) -> int:
    """How many runs have succeeded."""
    return len(deployment.runs(dg.DagsterRunStatus.SUCCESS))


def is_quiet(chaos: Chaos) -> bool:
    """Whether nothing is in landing, and no run and no backfill is under way or waiting."""
    waiting = any(backfill.status.value == "REQUESTED" for backfill in chaos.deployment.history.get_backfills())
    runs = chaos.deployment.runs()
    return not waiting and all(run.is_finished for run in runs) and not any(chaos.landing.iterdir())


def expected(chaos: Chaos) -> dict[str, Outcome]:
    """What the oracle says of the last bytes of each name."""
    feed = spec_of("sales").feed
    stored = replace(feed, columns=tuple(column for column in feed.columns if not column.expression))
    contract = Contract(stored, {"sold_at": "yyyy-MM-dd HH:mm:ss"})
    return {
        name: outcome(contract, text.encode(), name) for name, text in chaos.finals.items() if name not in chaos.again
    }


def found(deployment: Deployment) -> dict[str, dict[int, Any]]:
    """What the tables say of each file."""
    told: dict[str, dict[int, Any]] = {}
    with deployment.warehouse.connection("test") as connection:
        for file, row in connection.execute("SELECT _file, _row FROM raw_sales").fetchall():
            told.setdefault(file, {})[row] = BLANK
        cleaned = connection.execute("SELECT * EXCLUDE (_batch_date, _file_version, _rescued) FROM cleaned_sales")
        names = [column[0] for column in cleaned.description]
        for record in cleaned.fetchall():
            values = dict(zip(names, record, strict=True))
            file, row, total = values.pop("_file"), values.pop("_row"), values.pop("total_amount")
            assert total == values["quantity"] * values["unit_price"]
            told[file][row] = Cleaned(values)
        rejected = connection.execute("SELECT _file, _row, _reasons FROM rejected_sales").fetchall()
        for file, row, reasons in rejected:
            told[file][row] = Rejected(tuple(sorted(reasons)))
    return told


def hold_the_truth(chaos: Chaos) -> None:
    """The tables hold the last bytes of each name, record by record, and nothing else."""
    told, truth = found(chaos.deployment), expected(chaos)
    for name in chaos.doubtful:
        # Taken as a whole or not at all.
        if name not in told:
            del truth[name]
    assert told.keys() == truth.keys()
    for name, records in truth.items():
        assert told[name] == records, name


@pytest.mark.found("a file that changed while it was read stopped every run; no sales run succeeded for 5 minutes")
def test_chaos(tmp_path: Path) -> None:
    """Runs go on succeeding after each kill, landing gets empty, and the tables end as the oracle says."""
    with deployed(tmp_path) as deployment:
        chaos = Chaos(deployment)
        chaos.landing.mkdir(parents=True)
        deployment.start()
        began, kills = time.monotonic(), 0
        with at_work(chaos):
            while time.monotonic() - began < SECONDS or kills < len(KILLED):
                before = succeeded(deployment)
                deployment.wait_until(lambda: succeeded(deployment) > before, PATIENCE)  # noqa: B023 - called at once
                part = KILLED[kills % len(KILLED)]
                deployment.kill(part)
                if part != "worker":
                    deployment.restart()
                kills += 1
        assert chaos.failures == []
        deployment.wait_until(lambda: is_quiet(chaos), PATIENCE)
        assert any("dagster/backfill" in run.tags for run in deployment.runs())
        hold_the_truth(chaos)
        tried(len(chaos.finals))

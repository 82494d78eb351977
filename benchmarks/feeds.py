"""Thousands of feeds, simulated: ticks of all their sensors by a clock that is set, and what their definitions cost.

python -m benchmarks.feeds tick FEEDS      sensors and schedules, with the instance of DAGSTER_HOME; prints JSON
python -m benchmarks.feeds define FEEDS    all definitions of a project with so many feeds, built; prints JSON

Belongs here: making the feeds and calling what Dagster calls in the code server. Does not belong here: Dagster's daemon
with its queue, its table of ticks and its calls of the code server; and runs, so nobody takes files off landing.
"""

import datetime as dt
import importlib
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click
import dagster as dg

from benchmarks.measure import tell
from orchestration_project.components.feed_assets import build_feed_assets
from orchestration_project.components.feed_runs import build_job, build_schedule, build_sensor
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.file_feed import FileFeed
from orchestration_project.components.project import load_project
from orchestration_project.components.resources import Platform
from orchestration_project.contracts import load_feed
from orchestration_project.settings import Settings

if TYPE_CHECKING:
    from dagster._core.definitions.repository_definition import RepositoryDefinition

CONTRACT = Path(__file__).parent / "shop/defs/sales/sales.odcs.yaml"
PACKAGE = "many_feeds"
DATE = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
NOW = dt.datetime(2024, 3, 1, 5, 30, tzinfo=dt.UTC)
"""When the first tick is. The schedules come after it."""
STEP = dt.timedelta(seconds=30)
TICKS = ("landing is empty", "files arrive", "they have settled", "they are asked for")
ARRIVAL, EACH = 1, 10
"""The tick at which files arrive, in one of so many feeds. They are too young for that tick."""
FORM = "%Y-%m-%d %H:%M"


@dataclass(slots=True)
class Simulated:
    """A feed's sensor and schedule.

    Attributes:
        spec: the feed.
        repository: what resolves the partitions of requests; None for a feed that asks for none.
        now: the clock of the sensor.
        cursor: what the sensor remembers.
    """

    spec: FeedSpec
    repository: "RepositoryDefinition | None" = None
    now: float = 0.0
    cursor: str | None = None
    sensor: dg.SensorDefinition = field(init=False)

    def __post_init__(self) -> None:
        self.sensor = build_sensor(self.spec, build_job(self.spec), clock=lambda: self.now)

    def tick(self, instance: dg.DagsterInstance, platform: Platform, moment: dt.datetime) -> list[dg.RunRequest]:
        """One evaluation of the sensor, as the code server does it."""
        self.now = moment.timestamp()
        context = dg.build_sensor_context(
            instance, cursor=self.cursor, repository_def=self.repository, resources={"platform": platform}
        )
        answer = self.sensor.evaluate_tick(context)
        self.cursor = answer.cursor
        return list(answer.run_requests or [])

    def next_time(self) -> dt.datetime:
        """When the schedule is due first, after the first tick."""
        # A window of time begins where its cron expression says: the one public function that reads such expressions.
        windows = dg.TimeWindowPartitionsDefinition(
            NOW.strftime(FORM), FORM, cron_schedule=self.spec.monitoring.schedule, timezone="UTC"
        )
        window = windows.get_first_partition_window()
        if window is None:
            raise LookupError(f"no time comes for {self.spec.monitoring.schedule!r}")
        return window.start

    def swept(self, instance: dg.DagsterInstance, platform: Platform) -> list[dg.RunRequest]:
        """What the schedule asks for when it is due."""
        schedule = build_schedule(self.spec, build_job(self.spec))
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=self.next_time(),
            resources={"platform": platform},
            repository_def=self.repository,
        )
        return list(schedule.evaluate_tick(context).run_requests or [])


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of all sensors: what was there, CPU seconds, runs that were requested, the largest cursor in bytes."""

    what: str
    seconds: float
    requests: int
    cursor_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A simulation.

    Attributes:
        feeds: how many there are.
        ticks: those of the sensors.
        due_at_once: how many schedules are due in the busiest minute.
        schedule_seconds: CPU seconds of the evaluations of `swept` schedules.
        swept: how many schedules were evaluated: those of feeds with files.
        swept_requests: the runs that these requested.
        peak_bytes: the peak memory of the process.
    """

    feeds: int
    ticks: Sequence[Tick]
    due_at_once: int
    schedule_seconds: float
    swept: int
    swept_requests: int
    peak_bytes: int


def simulate(count: int, instance: dg.DagsterInstance, platform: Platform) -> Outcome:
    """Evaluate the sensors of many feeds at each tick, and the schedules of those with files once.

    Files arrive in the landing folders of `platform`, which must be empty.
    """
    feeds = simulated_feeds(count)
    busy = feeds[::EACH]
    for item in busy:
        item.repository = _repository(item.spec, platform)
    ticks = []
    for number, what in enumerate(TICKS):
        moment = NOW + number * STEP
        if number == ARRIVAL:
            _deliver(busy, platform.settings, moment)
        began = time.process_time()
        requests = sum(len(item.tick(instance, platform, moment)) for item in feeds)
        seconds = time.process_time() - began
        tell(f"{count:,} feeds, {what}: {seconds:.1f} CPU seconds, {requests:,} runs requested")
        ticks.append(Tick(what, seconds, requests, max(len(item.cursor or "") for item in feeds)))
    due = Counter(item.next_time() for item in feeds)
    began = time.process_time()
    swept = sum(len(item.swept(instance, platform)) for item in busy)
    return Outcome(count, ticks, max(due.values()), time.process_time() - began, len(busy), swept, _peak_bytes())


def simulated_feeds(count: int) -> list[Simulated]:
    """Feeds of one contract, with names, settle times and schedules of their own; the contract is read once."""
    feed = load_feed(CONTRACT)
    found = []
    for number in range(count):
        spec = FileFeed.model_validate(_attributes(CONTRACT, number)).spec_of(feed)
        found.append(Simulated(replace(spec, feed=replace(feed, name=name_of(number)))))
    return found


def name_of(number: int) -> str:
    """The name of a feed."""
    return f"feed_{number:05}"


def _attributes(contract: Path, number: int) -> dict[str, str | float]:
    return {
        "contract": str(contract),
        "start_date": "2020-01-01",
        "batch_pattern": DATE,
        "settle_seconds": 5 + number % 10,
        "schedule": f"{number % 60} 6 * * *",
    }


def _repository(spec: FeedSpec, platform: Platform) -> "RepositoryDefinition":
    return dg.Definitions(
        assets=[build_feed_assets(spec)], jobs=[build_job(spec)], resources={"platform": platform}
    ).get_repository_def()


def _deliver(feeds: Sequence[Simulated], settings: Settings, moment: dt.datetime) -> None:
    for item in feeds:
        landing = settings.landing(item.spec.name)
        landing.mkdir(parents=True)
        path = landing / f"{item.spec.name}_2024-02-29.csv"
        path.touch()
        os.utime(path, (moment.timestamp(), moment.timestamp()))


def write_project(folder: Path, count: int) -> None:
    """Write a package with as many feeds, each a folder with a contract and a `defs.yaml`, as a person would."""
    contract = CONTRACT.read_text(encoding="utf-8")
    for number in range(count):
        home = folder / PACKAGE / "defs" / name_of(number)
        home.mkdir(parents=True)
        text = contract.replace("  - name: sales\n", f"  - name: {name_of(number)}\n")
        (home / "feed.odcs.yaml").write_text(text, encoding="utf-8")
        component = {
            "type": "orchestration_project.components.FileFeed",
            "attributes": _attributes(Path("feed.odcs.yaml"), number),
        }
        # JSON is YAML.
        (home / "defs.yaml").write_text(json.dumps(component), encoding="utf-8")
    for package in (folder / PACKAGE, folder / PACKAGE / "defs"):
        (package / "__init__.py").touch()


def defined(folder: Path) -> dict[str, float]:
    """Build all definitions of the package in a folder: CPU seconds, how many assets and sensors, peak memory."""
    began = time.process_time()
    repository = load_project(_imported(folder), folder).get_repository_def()
    seconds = time.process_time() - began
    assets = len(repository.asset_graph.get_all_asset_keys())
    return {
        "seconds": seconds,
        "assets": assets,
        "sensors": len(repository.sensor_defs),
        "peak_bytes": _peak_bytes(),
    }


def _imported(folder: Path) -> ModuleType:
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(f"{PACKAGE}.defs")
    finally:
        sys.path.remove(str(folder))


def _peak_bytes() -> int:
    # macOS counts bytes, others kilobytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@click.command()
@click.argument("what", type=click.Choice(["tick", "define"]))
@click.argument("count", type=click.IntRange(1))
def main(what: str, count: int) -> None:
    """Simulate or define COUNT feeds below DATA_DIR, which must be empty, and print what came out as JSON."""
    if what == "define":
        folder = Settings.from_env().data_dir
        write_project(folder, count)
        click.echo(json.dumps(defined(folder)))
        return
    with dg.DagsterInstance.get() as instance:
        click.echo(json.dumps(asdict(simulate(count, instance, Platform()))))


if __name__ == "__main__":
    main()

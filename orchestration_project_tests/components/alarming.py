"""The alerts sensor over the shop, on a real instance with real files, with a clock that can be put ahead."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration_project.components import Alerts
from orchestration_project.components.alerts import build_alerts_sensor
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.resources import Platform
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.watch import spec_of
from orchestration_project_tests.components.workbench import Workbench, project

TODAY = dt.datetime.now(dt.UTC).date()
NOBODY = "json://127.0.0.1:9"
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def day(number: int) -> str:
    """Some days from today."""
    return (TODAY + number * DAY).isoformat()


def sold(number: int, *lines: str) -> str:
    """A file of sales."""
    return sales(*(lines or [sale(f"A{number}")]))


@dataclass
class Alarming:
    """The alerts sensor over the shop, with a clock that is ahead of the real one, and the messages that it leaves.

    Attributes:
        bench: the shop.
        feeds: its feeds, as they are watched.
        others: what others have open or running meanwhile; it ends with the shop.
        urls: who is told.
        attributes: of the component.
        repository: declares what is to be on; None: the shop's own.
        ahead: of the real clock.
        read: how many messages were looked at.
    """

    bench: Workbench
    feeds: list[FeedSpec]
    others: ExitStack
    urls: str = NOBODY
    attributes: dict[str, Any] = field(default_factory=dict)
    repository: dg.RepositoryDefinition | None = None
    ahead: dt.timedelta = dt.timedelta()
    read: int = 0

    @contextmanager
    def environment(self) -> Iterator[None]:
        """The settings that the sensor and commands see."""
        with self.bench.environment(), pytest.MonkeyPatch.context() as patch:
            patch.setenv("ALERT_URLS", self.urls)
            yield

    @property
    def now(self) -> dt.datetime:
        """The time by its own clock."""
        return dt.datetime.now(dt.UTC) + self.ahead

    def tick(self, ahead: dt.timedelta = dt.timedelta()) -> list[str]:
        """Let the sensor tick; returns the bodies of the messages that it has put into the outbox."""
        self.ahead += ahead
        alerts = Alerts.model_validate({"settle_seconds": 0, "free_gigabytes": 0, **self.attributes})
        sensor = build_alerts_sensor(alerts, self.feeds, lambda: self.now)
        with self.environment():
            context = dg.build_sensor_context(
                instance=self.bench.instance,
                resources={"platform": Platform()},
                repository_def=self.repository or self.bench.defs.get_repository_def(),
            )
            sensor.evaluate_tick(context)
        rows = self.rows("SELECT subject || char(10) || body FROM outbox ORDER BY id")[self.read :]
        self.read += len(rows)
        return [str(body) for (body,) in rows]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the state of alarms."""
        with closing(sqlite3.connect(self.bench.data_dir / "alarms.sqlite")) as connection:
            return connection.execute(query).fetchall()

    @property
    def on(self) -> set[str]:
        """The ids of the alarms that are on."""
        return {name for (name,) in self.rows("SELECT id FROM alarms WHERE off_since IS NULL")}

    def load(self, feed: str, number: int | None, raise_on_error: bool = True) -> bool:
        """Run the job of a feed; returns whether it succeeded."""
        first = None if number is None else day(number)
        return self.bench.run(job=f"{feed}_job", first=first, raise_on_error=raise_on_error).success


@contextmanager
def alarming_shop(folder: Path) -> Iterator[Alarming]:
    """The shop with its data and its history in a folder; nothing has happened yet."""
    home, data_dir = folder / "home", folder / "data"
    for made in (home, data_dir):
        made.mkdir()
    (home / "dagster.yaml").touch()
    # One in memory keeps no states of sensors.
    with dg.DagsterInstance.from_config(str(home)) as instance, ExitStack() as others:
        feeds = [spec_of("sales"), spec_of("products", mode="snapshot")]
        yield Alarming(Workbench(project(), data_dir, instance), feeds, others)

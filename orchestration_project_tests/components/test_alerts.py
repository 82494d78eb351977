"""The alerts sensor on a real instance with real files: each kind of alarm comes, is told, and is over when mended."""

import datetime as dt
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration_project.alerts import sender
from orchestration_project.alerts.model import Kind
from orchestration_project.alerts.targets import read_targets
from orchestration_project.components import Alerts
from orchestration_project.components.alerts import build_alerts_sensor
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.resources import Platform
from orchestration_project_tests.components.instigators import remember
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.watch import Watch, spec_of
from orchestration_project_tests.components.workbench import Workbench, project

pytestmark = pytest.mark.promise("alerts")

TODAY = dt.datetime.now(dt.UTC).date()
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
TARGET = read_targets("json://127.0.0.1:9")[0].label


def day(number: int) -> str:
    """Some days from today."""
    return (TODAY + number * DAY).isoformat()


def sold(number: int, *lines: str) -> str:
    """A file of sales."""
    return sales(*(lines or [sale(f"A{number}")]))


@dataclass
class Alarming:
    """The alerts sensor over the shop, with a clock that is ahead of the real one, and the messages that it leaves."""

    bench: Workbench
    feeds: list[FeedSpec]
    attributes: dict[str, Any] = field(default_factory=dict)
    repository: dg.RepositoryDefinition | None = None
    ahead: dt.timedelta = dt.timedelta()
    read: int = 0

    def tick(self, ahead: dt.timedelta = dt.timedelta()) -> list[str]:
        """Let the sensor tick; returns the bodies of the messages that it has put into the outbox."""
        self.ahead += ahead
        alerts = Alerts.model_validate({"settle_seconds": 0, "free_gigabytes": 0, **self.attributes})
        sensor = build_alerts_sensor(alerts, self.feeds, lambda: dt.datetime.now(dt.UTC) + self.ahead)
        with self.bench.environment():
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


@pytest.fixture
def alarming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Alarming]:
    """The shop with somebody who is told. The process that sends is not started: the outbox is what is looked at."""
    monkeypatch.setenv("ALERT_URLS", "json://127.0.0.1:9")
    monkeypatch.setattr(sender, "start", lambda _: None)
    home, data_dir = tmp_path / "home", tmp_path / "data"
    for folder in (home, data_dir):
        folder.mkdir()
    (home / "dagster.yaml").touch()
    # One in memory keeps no states of sensors.
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield Alarming(
            Workbench(project(), data_dir, instance), [spec_of("sales"), spec_of("products", mode="snapshot")]
        )


def quarantined(alarming: Alarming) -> Callable[[], object]:
    path = alarming.bench.drop("sales", f"sales_{day(-1)}.csv", "no,such,columns\n1,2,3\n")
    alarming.load("sales", -1)
    assert not path.exists()

    def deliver_again() -> None:
        alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1))
        alarming.load("sales", -1)

    return deliver_again


def failed_run(alarming: Alarming) -> Callable[[], object]:
    warehouse = alarming.bench.data_dir / "warehouse.duckdb"
    warehouse.write_bytes(b"no database" * 1000)
    alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1))
    assert not alarming.load("sales", -1, raise_on_error=False)

    def mend() -> None:
        warehouse.unlink()
        alarming.load("sales", -1)

    return mend


def failed_check(alarming: Alarming) -> Callable[[], object]:
    alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1))
    alarming.load("sales", -1)
    alarming.bench.query("DELETE FROM cleaned_sales")
    assert not alarming.bench.check(("cleaned_sales", "accounting"), first=day(-1))["accounting"].passed
    return lambda: alarming.load("sales", -1)


def missing(alarming: Alarming) -> Callable[[], object]:
    alarming.bench.drop("sales", f"sales_{day(-3)}.csv", sold(3))
    alarming.load("sales", -3)
    alarming.tick()
    assert alarming.on == set()  # what was due before the first load was not waited for
    alarming.ahead = dt.datetime.combine(TODAY + DAY, dt.time(1), dt.UTC) - dt.datetime.now(dt.UTC)

    def deliver() -> None:
        alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1))
        alarming.load("sales", -1)

    return deliver


def many_rejects(alarming: Alarming) -> Callable[[], object]:
    bad = [sale(f"B{number}", quantity=-1) for number in range(3)]
    alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1, sale("A1"), *bad))
    alarming.load("sales", -1)

    def deliver_again() -> None:
        alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1, sale("A1"), sale("A2")))
        alarming.load("sales", -1)

    return deliver_again


def old_rejects(alarming: Alarming) -> Callable[[], object]:
    mend = many_rejects(alarming)
    alarming.ahead = 15 * DAY
    return mend


def given_up(alarming: Alarming) -> Callable[[], object]:
    watch = Watch(alarming.bench, alarming.feeds[0], now=dt.datetime.now(dt.UTC).timestamp() - 6 * 3600)
    path = watch.drop(f"sales_{day(-1)}.csv", sale("A1"))
    for _ in range(20):
        watch.tick(900)
    remember(alarming.bench.instance, watch.cursor)
    return path.unlink


def waiting(alarming: Alarming) -> Callable[[], object]:
    path = alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1), modified=86400)
    alarming.tick()
    assert alarming.on == set()  # it is old, and has just arrived
    alarming.ahead = 3 * HOUR
    return path.unlink


def shrunk(alarming: Alarming) -> Callable[[], object]:
    def deliver(number: int, products: int) -> None:
        found = catalogue(*((item, f"P{item}", "Toys", 1.5) for item in range(1, products + 1)))
        alarming.bench.drop("products", f"products_{day(number)}.json", found)
        alarming.load("products", None)

    deliver(-3, 10)
    alarming.tick()
    assert alarming.on == set()
    deliver(-2, 5)
    return lambda: deliver(-1, 9)


def unproven(alarming: Alarming) -> Callable[[], object]:
    alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1))
    alarming.load("sales", -1)
    path = alarming.bench.data_dir / "archive" / "sales" / day(-1) / f"sales_{day(-1)}.csv"
    before = path.read_bytes()
    path.write_bytes(b"something else")
    alarming.bench.run("verification")

    def restore() -> None:
        path.write_bytes(before)
        alarming.bench.run("verification")

    return restore


def full_disk(alarming: Alarming) -> Callable[[], object]:
    alarming.attributes["free_gigabytes"] = 1_000_000_000
    return lambda: alarming.attributes.update(free_gigabytes=0)


def switched_off(alarming: Alarming) -> Callable[[], object]:
    @dg.sensor(name="watcher", default_status=dg.DefaultSensorStatus.RUNNING)
    def watcher() -> dg.SkipReason:
        return dg.SkipReason("Nothing.")

    alarming.repository = dg.Definitions(sensors=[watcher]).get_repository_def()
    alarming.tick()
    assert alarming.on == set()
    remember(alarming.bench.instance, name="watcher", running=False)
    return lambda: remember(alarming.bench.instance, name="watcher")


def many_failures(alarming: Alarming) -> Callable[[], object]:
    job = alarming.bench.defs.resolve_job_def("verification_job")
    for _ in range(10):
        run = alarming.bench.instance.create_run_for_job(job)
        alarming.bench.instance.report_run_failed(run)

    def succeed() -> None:
        for _ in range(10):
            run = alarming.bench.instance.create_run_for_job(job)
            event = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job.name)
            alarming.bench.instance.report_dagster_event(event, run.run_id)

    return succeed


def idle(alarming: Alarming) -> Callable[[], object]:
    alarming.bench.drop("products", f"products_{day(-1)}.json", catalogue((1, "P", "Toys", 1.5)))
    alarming.load("products", None)
    alarming.ahead = 26 * HOUR

    def go_on() -> None:
        alarming.ahead = dt.timedelta()

    return go_on


def busy(alarming: Alarming) -> Callable[[], object]:
    held = Platform(data_dir=str(alarming.bench.data_dir)).warehouse.connection("a long load")
    held.__enter__()
    alarming.ahead = HOUR
    return lambda: held.__exit__(None, None, None)


def dead_target(alarming: Alarming) -> Callable[[], object]:
    alarming.tick()
    path = alarming.bench.data_dir / "alarms.sqlite"

    def execute(statement: str, *values: object) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(statement, values)

    execute("INSERT INTO targets VALUES (?, ?, ?, ?, ?)", TARGET, 1.0, 9, 2e9, "connection refused")
    return lambda: execute("DELETE FROM targets")


def unreadable(alarming: Alarming) -> Callable[[], object]:
    # A folder that can't be entered would be one only for others than root; this is none for anybody.
    path = alarming.bench.data_dir / "archive" / "sales" / ".taken" / "2024-03-01T12" / ".files.jsonl"
    path.mkdir(parents=True)
    return lambda: shutil.rmtree(alarming.bench.data_dir / "archive")


PROVOKED = {
    Kind.FILE_QUARANTINED: (quarantined, "file_quarantined:sales", "no_header"),
    Kind.RUN_FAILED: (failed_run, "run_failed:sales_job", "can't be opened as a DuckDB file"),
    Kind.CHECK_FAILED: (failed_check, "check_failed:cleaned_sales.accounting", "Files that do not balance: 1 of 1."),
    Kind.BATCH_MISSING: (missing, "batch_missing:sales", day(-1)),
    Kind.REJECT_RATE: (many_rejects, "reject_rate:sales", "75.0% rejected"),
    Kind.REJECTS_OPEN: (old_rejects, "rejects_open:sales", "3 rejects are open, the first for 15 days"),
    Kind.FILE_GIVEN_UP: (given_up, "file_given_up:sales", f"sales_{day(-1)}.csv"),
    Kind.LANDING_FULL: (waiting, "landing_full:sales", "1 file waits in landing, the first for 3 hours"),
    Kind.CATALOGUE_SHRANK: (shrunk, "catalogue_shrank:products", "50% fewer records"),
    Kind.VERIFICATION: (unproven, "verification", "orchestration-project verify"),
    Kind.DISK_SHORT: (full_disk, "disk_short:data", "Free space"),
    Kind.AUTOMATION_OFF: (switched_off, "automation_off:watcher", "watcher is switched off"),
    Kind.SUCCESS_RATE: (many_failures, "success_rate:verification_job", "10 of the last 10 runs failed"),
    Kind.NOTHING_MATERIALIZED: (idle, "nothing_materialized", "no asset was materialized for 26 hours"),
    Kind.WAREHOUSE_BUSY: (busy, "warehouse_busy", "a long load"),
    Kind.TARGET_DEAD: (dead_target, f"target_dead:{TARGET}", "connection refused"),
    Kind.NOT_WATCHED: (unreadable, "not_watched:sales", "can't be looked at"),
}


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_comes_once_and_is_over_once(alarming: Alarming, kind: Kind) -> None:
    """It is told with what is known and what to do; mended, it is told to be over; in between nothing is told twice."""
    provoke, name, words = PROVOKED[kind]
    mend = provoke(alarming)
    bodies = alarming.tick()
    assert name in alarming.on
    told = "\n".join(bodies)
    what = str(alarming.rows(f"SELECT what FROM alarms WHERE id = '{name}'")[0][0])
    assert f"ALARM  {what}" in told
    assert words in told
    assert "  to do   " in told
    assert alarming.tick() == []
    mend()
    told = "\n".join(alarming.tick())
    assert f"OVER  {what}" in told
    assert name not in alarming.on


def test_all_is_well(alarming: Alarming) -> None:
    """A shop that is loaded as it should be has no alarm, and nobody is told of anything."""
    alarming.bench.drop("products", f"products_{day(-1)}.json", catalogue((1, "P", "Toys", 1.5)))
    alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1))
    alarming.load("products", None)
    alarming.load("sales", -1)
    assert alarming.tick() == []
    assert alarming.on == set()


def test_the_warehouse_is_never_opened(alarming: Alarming, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick does not touch DuckDB, whatever it finds."""
    quarantined(alarming)

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the warehouse was opened")

    monkeypatch.setattr(duckdb, "connect", refuse)
    assert len(alarming.tick()) == 1


def test_a_thousand_bad_files_are_one_message(alarming: Alarming) -> None:
    """A flood is one message with a number and the first three files."""
    for number in range(1000):
        alarming.bench.drop("sales", f"sales_{day(-1)}_{number:03}.csv", f"wrong{number}\n")
    alarming.load("sales", -1)
    (message,) = alarming.tick()
    assert "1,000 files were refused and not replaced" in message
    assert [line for line in message.splitlines() if "sales_" in line and "no_header" in line][:1]
    assert "and 997 more" in message
    assert message.count(".csv: ") == 3
    assert alarming.tick() == []


def test_after_a_lost_warehouse_nothing_is_told_twice(alarming: Alarming) -> None:
    """What was told is kept apart from the warehouse."""
    quarantined(alarming)
    assert len(alarming.tick()) == 1
    for path in alarming.bench.data_dir.glob("warehouse.duckdb*"):
        path.unlink()
    assert alarming.tick() == []
    assert "file_quarantined:sales" in alarming.on


def test_a_silence_holds_until_it_ends(alarming: Alarming) -> None:
    """A silenced alarm is on and not told; when the silence ends it is."""
    from click.testing import CliRunner

    from orchestration_project.cli.main import main

    quarantined(alarming)
    arguments = ["silence", "file_quarantined:sales", "--until", "1h", "--reason", "known", "--by", "Ada"]
    with alarming.bench.environment():
        assert CliRunner().invoke(main, arguments).exit_code == 0
    assert alarming.tick() == []
    with alarming.bench.environment():
        listed = CliRunner().invoke(main, ["alarms", "--json"])
    assert listed.exit_code == 1
    found = json.loads(listed.stdout)
    assert [item["id"] for item in found["alarms"]] == ["file_quarantined:sales"]
    assert [(item["who"], item["reason"]) for item in found["silences"]] == [("Ada", "known")]
    (message,) = alarming.tick(2 * HOUR)
    assert "ALARM  sales: 1 file was refused" in message


def test_notes_tell_of_a_load_what_the_warehouse_has(alarming: Alarming) -> None:
    """After a load, a waiver and a withdrawal the note says how many rejects are open."""
    many_rejects(alarming)
    note = Path(alarming.bench.data_dir / "state" / "sales.json")

    def noted() -> tuple[int, str]:
        found = json.loads(note.read_text(encoding="utf-8"))
        return found["open_rejects"], found["oldest_open_reject"]

    from click.testing import CliRunner

    from orchestration_project.cli.main import main

    assert noted() == (3, day(-1))
    rejects = [name for (name,) in alarming.bench.query("SELECT _reject_id FROM rejected_sales ORDER BY 1")]
    with alarming.bench.environment():
        waived = CliRunner().invoke(main, ["waive", "sales", "--by", "Ada", "--because", "x", "--reject", rejects[0]])
        assert waived.exit_code == 0
    assert noted() == (2, day(-1))
    with alarming.bench.environment():
        file = f"sales_{day(-1)}.csv"
        assert CliRunner().invoke(main, ["withdraw", "sales", file, "--reason", "x"]).exit_code == 0
    assert noted() == (0, "")

"""How each kind of alarm is provoked in the shop. Each function returns what mends it."""

import datetime as dt
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing

import dagster as dg
import pytest

from orchestration_project.alerts.model import Kind
from orchestration_project.alerts.targets import read_targets
from orchestration_project.components.resources import Platform
from orchestration_project.publishing.publish import publish
from orchestration_project_tests.components.alarming import DAY, HOUR, NOBODY, TODAY, Alarming, day, sold
from orchestration_project_tests.components.instigators import remember
from orchestration_project_tests.components.sales_files import catalogue, sale
from orchestration_project_tests.components.watch import Watch

TARGET = read_targets(NOBODY)[0].label


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


def yesterday(instance: dg.DagsterInstance, asset: str) -> None:
    """Have an asset materialized 26 hours ago."""
    key = dg.AssetKey(asset)
    # Dagster has no way to say when it was, so the event is one of another history.
    with dg.DagsterInstance.ephemeral() as other:
        other.report_runless_asset_event(dg.AssetMaterialization(key))
        event = other.fetch_materializations(key, limit=1).records[0].event_log_entry
    instance.store_event(event._replace(timestamp=event.timestamp - 26 * 3600))


def idle(alarming: Alarming) -> Callable[[], object]:
    yesterday(alarming.bench.instance, "raw_products")

    def go_on() -> None:
        alarming.bench.drop("products", f"products_{day(-1)}.json", catalogue((1, "P", "Toys", 1.5)))
        alarming.load("products", None)

    return go_on


def busy(alarming: Alarming) -> Callable[[], object]:
    held = Platform(data_dir=str(alarming.bench.data_dir)).warehouse.connection("a long load")
    held.__enter__()
    alarming.ahead = HOUR
    return lambda: held.__exit__(None, None, None)


def behind(alarming: Alarming) -> Callable[[], object]:
    alarming.others.enter_context(pytest.MonkeyPatch.context()).setenv("PUBLISH", "on")
    platform = Platform(data_dir=str(alarming.bench.data_dir))
    with platform.warehouse.transaction("a change by hand") as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS n")
    alarming.ahead = 3 * HOUR
    return lambda: publish(platform.settings, print)


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
    Kind.COPY_BEHIND: (behind, "copy_behind", "the published copy is behind for 3 hours"),
    Kind.TARGET_DEAD: (dead_target, f"target_dead:{TARGET}", "connection refused"),
    Kind.NOT_WATCHED: (unreadable, "not_watched:sales", "can't be looked at"),
}

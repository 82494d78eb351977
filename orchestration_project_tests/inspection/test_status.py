"""What a status says of files, ledger and history, and what it makes of them."""

import datetime as dt
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project.components.feed_runs import build_job, build_sensor
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.file_feed import FileFeed
from orchestration_project.components.resources import Platform
from orchestration_project.components.run_launcher import make_history
from orchestration_project.contracts import load_feed
from orchestration_project.inspection.expectations import Freshness
from orchestration_project.inspection.status import status_of
from orchestration_project.inspection.status_model import Availability, PlatformStatus, UnwatchedFolder
from orchestration_project.settings import Settings
from orchestration_project.storage.sensor_evaluation import MAX_REQUESTS
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.components.instigators import remember
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, project
from orchestration_project_tests.servers.warehouses import copied_folder

pytestmark = pytest.mark.promise("seen")

DAY = "2024-01-15"
NAME = f"sales_{DAY}.csv"
SOON = dt.datetime(2024, 1, 16, 12, tzinfo=dt.UTC)
LATER = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
TABLES = ("raw_sales", "cleaned_sales", "rejected_sales")


@pytest.fixture(scope="module")
def spec() -> FeedSpec:
    folder = REPOSITORY / "orchestration_project" / "defs" / "sales"
    pattern = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    feed = FileFeed.model_validate({"contract": "sales.odcs.yaml", "batch_pattern": pattern, "settle_seconds": 0})
    return feed.spec_of(load_feed(folder / "sales.odcs.yaml"))


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder and a Dagster home after one run: two cleaned records, an open reject, a refused file."""
    folder = tmp_path_factory.mktemp("status")
    home = folder / "home"
    home.mkdir()
    make_history(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        bench = Workbench(project(), folder / "data", instance)
        bench.drop("sales", NAME, sales(sale("A1"), sale("A2"), sale("A3", channel="fax")))
        bench.drop(
            "sales", f"other_{DAY}.csv", "a,b\n1,2\n", modified=dt.datetime(2024, 1, 16, tzinfo=dt.UTC).timestamp()
        )
        bench.run(*TABLES, first=DAY)
    return folder


@pytest.fixture
def loaded(loaded_once: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return copied_folder(loaded_once, tmp_path / "copy")


def settings_of(folder: Path) -> Settings:
    return Settings(data_dir=folder / "data", dagster_home=folder / "home", lock_timeout=0.2)


def status(folder: Path, spec: FeedSpec, now: dt.datetime = SOON, **settings: Path | None) -> PlatformStatus:
    return status_of(replace(settings_of(folder), **settings), [spec.configured], ["sales", "products"], now)  # type: ignore[arg-type]


def drop(folder: Path, name: str, text: str = "") -> Path:
    path = folder / "data" / "landing" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def tables_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file()}


def test_what_a_run_leaves(loaded: Path, spec: FeedSpec) -> None:
    """Newest batch, open rejects, refused files and the last run are told, and nothing is changed."""
    before = tables_of(loaded)
    found = status(loaded, spec)
    (feed,) = found.feeds
    assert (feed.newest_batch, feed.freshness, feed.open_rejects) == (DAY, Freshness.FRESH, 1)
    assert feed.next_batch_due == dt.datetime(2024, 1, 18, tzinfo=dt.UTC)
    assert [(item.file, item.rule, item.replaced) for item in feed.quarantined] == [
        (f"other_{DAY}.csv", "no_header", False)
    ]
    assert feed.last_run
    assert (feed.last_run.status, feed.last_run.job) == ("SUCCESS", "__ASSET_JOB")
    assert found.problems == ["sales: 1 file(s) in quarantine were not replaced"]
    assert found.exit_code == 1
    assert {name: data for name, data in tables_of(loaded).items() if not name.endswith(".lock")} == {
        name: data for name, data in before.items() if not name.endswith(".lock")
    }


def test_the_fields_of_the_json(loaded: Path, spec: FeedSpec) -> None:
    """`status --json` is an interface: its fields keep their names."""
    found = json.loads(json.dumps(status(loaded, spec).as_dict(), default=str))
    assert list(found) == [
        *("exit_code", "problems", "unknown", "notes"),
        *("checked_at", "warehouse", "history", "feeds", "strays", "unknown_feeds", "published"),
    ]
    assert found["warehouse"] == {
        "where": str(loaded / "data" / "warehouse.duckdb"),
        "state": "ready",
        "detail": "",
        "holder": None,
    }
    (feed,) = found["feeds"]
    assert {name: list(value) if isinstance(value, dict) else value for name, value in feed.items()} == {
        "feed": "sales",
        "newest_batch": DAY,
        "freshness": "fresh",
        "next_batch_due": "2024-01-18 00:00:00+00:00",
        "landing": ["waiting", "oldest_seconds", "settling", "running", "given_up", "not_looked_at", "finished_by"],
        "quarantined": feed["quarantined"],
        "left_out": [],
        "open_rejects": 1,
        "last_run": ["run_id", "job", "status", "started_at", "ended_at"],
        "validated_otherwise": [],
        "load_again": "",
        "rebatching": "",
        "half_done": [],
        "missing": [],
        "source": None,
    }
    assert [list(item) for item in feed["quarantined"]] == [
        ["file", "batch", "rule", "reason", "refused_at", "replaced"]
    ]


@pytest.mark.parametrize("under_the_same_name", [True, False])
def test_a_refused_file_that_was_replaced_is_closed(under_the_same_name: bool, loaded: Path, spec: FeedSpec) -> None:
    """By a later file of the same name, but not by an earlier one or by one of another name."""
    name = f"other_{DAY}.csv" if under_the_same_name else f"more_{DAY}.csv"
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), loaded / "data", instance)
        bench.drop("sales", name, sales(sale("B1")))
        bench.run(*TABLES, first=DAY)
    found = status(loaded, spec)
    assert [item.replaced for item in found.feeds[0].quarantined] == [under_the_same_name]
    assert found.exit_code == (0 if under_the_same_name else 1)


def test_a_late_feed(loaded: Path, spec: FeedSpec) -> None:
    """A feed whose next batch is over its latency needs a person."""
    found = status(loaded, spec, LATER)
    assert found.feeds[0].freshness is Freshness.LATE
    assert (
        "sales: the batch 2024-01-16 is late, it was due 2024-01-18 00:00 UTC; 14 later one(s) did not come either"
        in found.problems
    )


@pytest.mark.found("status right after `make run` was an error: the sample's next day was late, by years")
def test_files_of_the_past_are_not_late(loaded: Path, spec: FeedSpec) -> None:
    """Nobody waited for a batch that was due before anything was loaded; for those due later, somebody does."""
    now = dt.datetime.now(dt.UTC)
    found = status(loaded, spec, now)
    assert found.feeds[0].freshness is Freshness.PAST
    assert (found.feeds[0].next_batch_due or now) > now
    assert not any("late" in problem for problem in found.problems)
    assert status(loaded, spec, now + dt.timedelta(days=9)).feeds[0].freshness is Freshness.LATE


def test_a_busy_warehouse(loaded: Path, spec: FeedSpec) -> None:
    """It tells who holds the warehouse and what the files say, waits for nobody and alarms nobody."""
    with Warehouse.from_settings(settings_of(loaded)).connection("load of sales, run 7"):
        found = status(loaded, spec)
    assert found.warehouse.state is Availability.BUSY
    assert "load of sales, run 7" in str(found.warehouse.holder)
    (feed,) = found.feeds
    assert (feed.newest_batch, feed.freshness, feed.open_rejects) == (DAY, Freshness.FRESH, None)
    assert [item.replaced for item in feed.quarantined] == [None]
    assert (found.problems, found.exit_code) == ([], 2)


def test_an_empty_project(tmp_path: Path, spec: FeedSpec) -> None:
    """Nothing is there and nothing is wrong; nothing is made either."""
    found = status(tmp_path, spec)
    assert (found.warehouse.state, found.history.state) == (Availability.NONE, Availability.NONE)
    assert found.feeds[0].freshness is Freshness.NOTHING_LOADED
    assert (found.exit_code, list(tmp_path.iterdir())) == (0, [])


def test_without_a_history(loaded: Path, spec: FeedSpec) -> None:
    """What only the history knows is unknown, and that is said."""
    found = status(loaded, spec, dagster_home=None)
    assert (found.history.state, found.history.detail) == (
        Availability.NONE,
        "DAGSTER_HOME is not set, so nothing is known of runs",
    )
    assert (found.feeds[0].last_run, found.feeds[0].landing.given_up) == (None, None)


def test_a_history_that_cannot_be_read(loaded: Path, spec: FeedSpec) -> None:
    """Its databases are damaged: what they know is unknown, which is not called well."""
    shutil.rmtree(loaded / "data" / "quarantine")
    for path in (loaded / "home").rglob("*.db"):
        path.write_bytes(b"no database" * 1000)
    found = status(loaded, spec)
    assert (found.history.state, found.exit_code) == (Availability.BROKEN, 2)


@pytest.mark.parametrize(
    ("damage", "state"),
    [
        pytest.param(lambda path: path.write_bytes(b"no database"), Availability.BROKEN, id="damaged"),
        pytest.param(lambda path: path.unlink(), Availability.NONE, id="gone"),
    ],
)
def test_a_warehouse_that_has_to_be_rebuilt(damage: object, state: Availability, loaded: Path, spec: FeedSpec) -> None:
    """A damaged or lost warehouse whose archive is there needs a person, and the page that helps is named."""
    assert callable(damage)
    damage(loaded / "data" / "warehouse.duckdb")
    found = status(loaded, spec)
    assert found.warehouse.state is state
    assert any("docs/recover.md" in problem for problem in found.problems)


def test_landing(loaded: Path, spec: FeedSpec) -> None:
    """Waiting files are counted with the age of the oldest; those that no feed watches need a person."""
    old = drop(loaded, "sales/sales_2024-01-16.csv")
    os.utime(old, (SOON.timestamp() - 3600,) * 2)
    drop(loaded, "sales/sales_2024-01-17.csv.part")
    drop(loaded, "sails/sales_2024-01-16.csv")
    drop(loaded, "astray.csv")
    found = status(loaded, spec)
    landing = found.feeds[0].landing
    assert (landing.waiting, landing.oldest_seconds, landing.given_up) == (1, 3600, [])
    assert found.strays == [UnwatchedFolder("landing", 1), UnwatchedFolder("landing/sails", 1)]
    assert "1 file(s) lie in landing/sails, which no feed watches" in found.problems


@pytest.fixture
def given_up(loaded: Path, spec: FeedSpec) -> Path:
    """A file that the sensor asked for in vain, as often as it does."""
    os.utime(drop(loaded, "sales/sales_2024-01-16.csv", "x"), (SOON.timestamp() - 9000,) * 2)
    now, cursor = SOON.timestamp(), None
    with dg.DagsterInstance.from_config(str(loaded / "home")) as instance, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(loaded / "data"))
        repository = project().get_repository_def()
        sensor = build_sensor(spec, build_job(spec), clock=lambda: now)
        for _ in range(MAX_REQUESTS + 1):
            now += 3600
            context = dg.build_sensor_context(
                instance, cursor, resources={"platform": Platform()}, repository_def=repository
            )
            cursor = sensor.evaluate_tick(context).cursor
        remember(instance, cursor)
    return loaded


def test_files_that_were_given_up(given_up: Path, spec: FeedSpec) -> None:
    """They are named as the sensor would name them, and need a person."""
    found = status(given_up, spec)
    assert found.feeds[0].landing.given_up == ["sales_2024-01-16.csv"]
    assert "sales: 1 file(s) were asked for in vain and given up" in found.problems


def test_a_failed_last_run(loaded: Path, spec: FeedSpec) -> None:
    """The newest run of the feed counts, whichever job it was of."""
    with dg.DagsterInstance.from_config(str(loaded / "home")) as instance:
        bench = Workbench(project(), loaded / "data", instance)
        with (
            Warehouse.from_settings(settings_of(loaded)).connection("the big load"),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0.1")
            bench.run(job="sales_job", first=DAY, raise_on_error=False)
    found = status(loaded, spec)
    assert found.feeds[0].last_run
    assert (found.feeds[0].last_run.status, found.feeds[0].last_run.job) == ("FAILURE", "sales_job")
    assert any(problem.startswith("sales: the last run failed") for problem in found.problems)

"""`Source`: files are fetched into a feed's landing in runs of their own, and a check follows them to the ledger."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from orchestration_project.components import Source
from orchestration_project.sources.kinds import KINDS
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.test_sql_table import files_of
from orchestration_project_tests.components.workbench import Workbench, evaluations, feeds, value
from orchestration_project_tests.servers.http_files import HttpFiles, ServedFile, http_files

DAY = "2024-01-15"
KEY = dg.AssetKey("source_sales")
FILE = f"/sales_{DAY}.csv"


@pytest.fixture
def server() -> Iterator[HttpFiles]:
    with http_files() as served:
        served.files[FILE] = ServedFile(sales(sale("A1"), sale("A2")).encode())
        yield served


def source(**attributes: Any) -> str:
    """The YAML document of a source of the sales feed."""
    usual = {"feed": "sales", "schedule": "*/15 * * * *", "retries": 0}
    return yaml.safe_dump({"type": "orchestration_project.components.Source", "attributes": usual | attributes})


def of(server: HttpFiles, **options: Any) -> dict[str, Any]:
    """Attributes of a source that fetches the day's file."""
    return {"http": {"url": f"{server.url}{FILE}", "retries": 0} | options}


@contextmanager
def bench_with(folder: Path, **attributes: Any) -> Iterator[Workbench]:
    """The sales feed with a source."""
    shop = files_of("sales")
    shop["defs.yaml"] += f"\n---\n{source(**attributes)}"
    with feeds(sales=shop) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, folder / "data", instance)


@pytest.fixture
def bench(tmp_path: Path, server: HttpFiles) -> Iterator[Workbench]:
    with bench_with(tmp_path, **of(server)) as made:
        yield made


def observed(bench: Workbench) -> list[Mapping[str, dg.MetadataValue]]:
    """The metadata of the observations so far, the newest first."""
    records = bench.instance.fetch_observations(KEY, limit=10).records
    return [record.asset_observation.metadata for record in records if record.asset_observation]


def test_a_source_stands_above_the_drop_folder(bench: Workbench, server: HttpFiles) -> None:
    """It is observable, in the feed's group with its owners and tags, and shows kind and address."""
    graph = bench.defs.resolve_asset_graph()
    node, landing = graph.get(KEY), graph.get(dg.AssetKey("landing_sales"))
    assert node.is_observable
    assert {*landing.parent_keys} == {KEY}
    assert (node.group_name, node.kinds, node.owners) == ("sales", {"http"}, landing.owners)
    assert node.tags["feed"] == "sales"
    assert node.metadata["dagster/uri"] == f"{server.url}{FILE}"


def test_a_fetch_lands_what_is_new(bench: Workbench) -> None:
    """A run lands the file and tells of it; the next run finds it unchanged."""
    first = bench.run(job="fetch_sales")
    assert bench.landing("sales") == [f"sales_{DAY}.csv"]
    assert evaluations(first)["source_complete"].passed
    bench.run(job="fetch_sales")
    second, told = observed(bench)
    assert (value(told, "listed"), value(told, "landed"), value(told, "unchanged")) == (1, 1, 0)
    assert value(told, "lag_seconds") > 0
    assert (value(second, "landed"), value(second, "unchanged")) == (0, 1)


def test_what_was_fetched_is_followed_to_the_ledger(bench: Workbench, server: HttpFiles) -> None:
    """The check passes while a file waits and when it is loaded, warns of a refused one, and fails for a lost one."""
    bench.run(job="fetch_sales")
    bench.run(job="sales_job", first=DAY)
    assert evaluations(bench.run(job="fetch_sales"))["source_complete"].passed
    server.files[FILE].content = b"not,the,columns\n1,2,3\n"
    bench.run(job="fetch_sales")
    bench.run(job="sales_job", first=DAY, raise_on_error=False)
    refused = evaluations(bench.run(job="fetch_sales"))["source_complete"]
    assert (refused.passed, refused.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"sales_{DAY}.csv: refused" in (refused.description or "")
    server.files[FILE].content = sales(sale("A3")).encode()
    bench.run(job="fetch_sales")
    (bench.data_dir / "landing" / "sales" / f"sales_{DAY}.csv").unlink()
    lost = evaluations(bench.run(job="fetch_sales", raise_on_error=False))["source_complete"]
    assert (lost.passed, lost.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "fetch sales --again KEY" in (lost.description or "")


def test_a_file_that_waits_for_too_long(tmp_path: Path, server: HttpFiles) -> None:
    """A fetched file that no load takes is warned of."""
    with bench_with(tmp_path, **of(server), stale_after_hours=0) as bench:
        stale = evaluations(bench.run(job="fetch_sales"))["source_complete"]
    assert (stale.passed, stale.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "waiting in landing for too long" in (stale.description or "")


def test_a_source_that_is_down_is_asked_again(tmp_path: Path, server: HttpFiles) -> None:
    """The fetch is tried again in its run, and fails as a fault that passes when it stays down."""
    server.statuses[FILE] = [(503, {})]
    with bench_with(tmp_path, **of(server), retries=1, retry_seconds=0) as bench:
        assert bench.run(job="fetch_sales").success
        assert bench.landing("sales") == [f"sales_{DAY}.csv"]
        server.statuses[FILE] = [(503, {})] * 3
        failed = bench.run(job="fetch_sales", raise_on_error=False)
    assert not failed.success
    assert len(server.statuses[FILE]) == 1
    (failure,) = [event for event in failed.all_events if event.is_step_failure]
    assert "SourceDown" in str(failure.step_failure_data.error)


def test_what_has_landed_before_a_fault_is_told(tmp_path: Path, server: HttpFiles) -> None:
    """A fetch in which one file breaks off tells of the others before it is tried again."""
    first_day, second_day = (f"{dt.datetime.now(dt.UTC).date() - dt.timedelta(days=ago)}" for ago in (2, 1))
    server.files |= {f"/{day}.csv": ServedFile(day.encode()) for day in (first_day, second_day)}
    server.cuts[f"/{second_day}.csv"] = [3]
    url = f"{server.url}/{{year}}-{{month}}-{{day}}.csv"
    options = {"http": {"url": url, "retries": 0, "last_batches": 5}}
    with bench_with(tmp_path, **options, retries=1, retry_seconds=0, max_seconds=600) as bench:
        bench.run(job="fetch_sales")
        last, first = observed(bench)
    assert (value(first, "landed"), value(first, "failed")) == (1, 1)
    assert (value(last, "landed"), value(last, "unchanged"), value(last, "failed")) == (1, 1, 0)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        pytest.param({}, "needs exactly one of http", id="no kind"),
        pytest.param({"feed": "salse", "http": {"url": "http://host/x.csv"}}, "did you mean 'sales'", id="feed"),
        pytest.param({"http": {"url": "http://host/x.csv"}, "twice": True}, "has two sources", id="two"),
        pytest.param({"http": {"url": "http://host/x.csv", "retrys": 1}}, "retrys", id="option"),
        pytest.param({"http": {"url": "http://host/x.csv"}, "timezone": "Mars"}, "not a time zone", id="zone"),
    ],
)
def test_a_source_that_can_not_be_used(attributes: dict[str, Any], told: str) -> None:
    """Definitions do not load, and say why."""
    shop, twice = files_of("sales"), attributes.pop("twice", False)
    shop["defs.yaml"] += f"\n---\n{source(**attributes)}" * (1 + twice)
    with pytest.raises(Exception) as found, feeds(sales=shop):  # noqa: PT011 - Dagster wraps it
        pass
    causes = list[str]()
    error: BaseException | None = found.value
    while error is not None:
        causes.append(str(error))
        error = error.__cause__ or error.__context__
    assert told in " ".join(causes)


def test_each_kind_is_an_attribute() -> None:
    """What the table of kinds has, a `defs.yaml` may say."""
    assert KINDS.keys() <= Source.model_fields.keys()


def test_the_schedule_of_a_fetch(bench: Workbench) -> None:
    """It runs in the feed's time zone; the run has the slot for sources, and not the one for the warehouse."""
    schedule = bench.defs.resolve_schedule_def("fetch_sales_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("*/15 * * * *", "UTC")
    job = bench.defs.resolve_job_def("fetch_sales")
    pools = {pool for node in job.nodes for pool in node.definition.pools}
    assert pools == {"sources"}

"""`Source`: files are fetched into a feed's landing in runs of their own, and a check follows them to the ledger."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

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

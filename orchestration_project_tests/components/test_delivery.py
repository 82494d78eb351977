"""`Delivery`: tables of a `defs.yaml` go to their target in runs of their own, and a check compares both sides."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from orchestration_project.components.delivery_runs import PAUSE
from orchestration_project.storage import cloud_objects
from orchestration_project_tests.alerts.servers import unused_port
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.test_sql_table import ATTRIBUTES as CHANNELS
from orchestration_project_tests.components.test_sql_table import SELECT, files_of, table
from orchestration_project_tests.components.workbench import Workbench, evaluations, feeds, value
from orchestration_project_tests.servers.warehouses import copied_folder

DAY, NEXT = "2024-01-15", "2024-01-16"
KEY = dg.AssetKey(["reports", "channels"])
BUYERS = {
    "query": "buyers.sql",
    "description": "Units of each customer.",
    "inputs": ["cleaned_sales"],
    "key": ["who"],
}
BUYERS_SELECT = (
    "SELECT customer_id AS who, count(*) AS n, sum(quantity)::BIGINT AS units FROM cleaned_sales GROUP BY ALL"
)


def delivery(**attributes: Any) -> dict[str, str]:
    """The `defs.yaml` of a delivery."""
    usual = {"name": "reports", "tables": ["channels", "buyers", "cleaned_sales"], "target": "reports", "retries": 0}
    document = {"type": "orchestration_project.components.Delivery", "attributes": usual | attributes}
    return {"defs.yaml": yaml.safe_dump(document)}


def shop_with(**attributes: Any) -> Any:
    """The sales feed, two marts, and a delivery of them."""
    marts = {"channels": table(CHANNELS, SELECT), "buyers": table(BUYERS, BUYERS_SELECT)}
    return feeds(sales=files_of("sales"), **marts, reports=delivery(**attributes))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Two days that were loaded, for all tests: each delivers from a copy."""
    with shop_with() as defs, dg.DagsterInstance.ephemeral() as instance:
        made = Workbench(defs, tmp_path_factory.mktemp("shop"), instance)
        made.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("A2", channel="online")))
        made.drop("sales", f"sales_{NEXT}.csv", sales(sale("B1", day=NEXT)))
        made.run(job="sales_job", first=DAY, last=NEXT)
        yield made


@pytest.fixture
def bench(shop: Workbench, tmp_path: Path) -> Iterator[Workbench]:
    """Two days are loaded; nothing is delivered."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(shop.defs, copied(shop, tmp_path), instance)


def copied(shop: Workbench, folder: Path) -> Path:
    """The data of the shop in a folder of its own."""
    return copied_folder(shop.data_dir, folder / "data")


@contextmanager
def bench_with(shop: Workbench, folder: Path, **attributes: Any) -> Iterator[Workbench]:
    """The same with another delivery."""
    with shop_with(**attributes) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, copied(shop, folder), instance)


def manifest(bench: Workbench, name: str) -> dict[str, Any]:
    """The newest manifest of a delivered table."""
    newest = max((bench.data_dir / "deliveries" / "reports" / name / "manifest").iterdir())
    found: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
    return found


def told(result: dg.ExecuteInProcessResult) -> dict[str | None, dg.AssetMaterialization]:
    """What a run recorded of the daily mart's delivery, by partition."""
    events = [event for event in result.all_events if event.is_step_materialization and event.asset_key == KEY]
    found = [event.step_materialization_data.materialization for event in events]
    return {item.partition: item for item in found}


def test_a_delivery_has_an_asset_for_each_table(shop: Workbench) -> None:
    """Each asset shows kind and place of its target, is partitioned as its source, and is in no feed's job."""
    graph = shop.defs.resolve_asset_graph()
    node = graph.get(KEY)
    assert node.partitions_def == graph.get(dg.AssetKey("channels")).partitions_def
    assert graph.get(dg.AssetKey(["reports", "buyers"])).partitions_def is None
    assert {*node.parent_keys} == {dg.AssetKey("channels")}
    assert node.metadata["dagster/uri"].endswith("/reports/channels")
    assert (node.kinds, node.group_name) == ({"files", "parquet"}, "delivery")
    assert not (shop.data_dir / "deliveries" / "reports").exists()  # the feed's job has run


def test_a_delivery_brings_what_has_changed(bench: Workbench) -> None:
    """A run delivers all that differs, also what it does not name: everything, then nothing, then a corrected day."""
    first = bench.run(job="deliver_reports", first=NEXT)
    assert {*told(first)} == {DAY, NEXT}
    check = evaluations(first)["target_matches"]
    assert (check.passed, check.blocking) == (True, True)
    assert [file["part"] for file in manifest(bench, "channels")["files"]] == [DAY, NEXT]

    again = bench.run(job="deliver_reports", first=NEXT)
    assert value(told(again)[NEXT].metadata, "written") == "none"

    bench.drop("sales", f"sales_{NEXT}.csv", sales(sale("B1", day=NEXT), sale("B2", day=NEXT)))
    bench.run(job="sales_job", first=NEXT)
    before = {file["part"]: file["file"] for file in manifest(bench, "channels")["files"]}
    corrected = bench.run(job="deliver_reports", first=DAY)
    assert value(told(corrected)[DAY].metadata, "written") == NEXT
    after = {file["part"]: file["file"] for file in manifest(bench, "channels")["files"]}
    assert (before[DAY] == after[DAY], before[NEXT] == after[NEXT]) == (True, False)
    assert all(item.passed for item in evaluations(corrected).values())


def test_what_is_made_from_a_personal_column_is_left_out(bench: Workbench) -> None:
    """Neither a customer's number nor a mart's column that is made from it is delivered; a count is."""
    bench.run(job="deliver_reports", first=NEXT)
    assert [column["name"] for column in manifest(bench, "buyers")["columns"]] == ["n", "units"]
    delivered = [column["name"] for column in manifest(bench, "cleaned_sales")["columns"]]
    assert "customer_id" not in delivered
    assert {"order_id", "total_amount", "_batch_date"} <= {*delivered}


def test_a_delivery_may_say_otherwise(shop: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that a delivery names is delivered, or hashed."""
    monkeypatch.setenv("DELIVERY_HASH_KEY", "a long key")
    columns = {"customer_id": "hashed", "who": "delivered"}
    with bench_with(shop, tmp_path, columns=columns) as bench:
        bench.run(job="deliver_reports", first=NEXT)
        assert [column["name"] for column in manifest(bench, "buyers")["columns"]] == ["who", "n", "units"]
        types = {column["name"]: column["type"] for column in manifest(bench, "cleaned_sales")["columns"]}
        assert types["customer_id"] == "VARCHAR"


def test_a_target_that_was_changed_fails_the_check(bench: Workbench) -> None:
    """A check that runs alone compares all parts, and names those that differ."""
    bench.run(job="deliver_reports", first=NEXT)
    lost = manifest(bench, "channels")["files"][0]
    (bench.data_dir / "deliveries" / "reports" / "channels" / lost["file"]).unlink()
    found = check_alone(bench)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.description is not None
    assert found.description.startswith(f"1 part(s) differ: {DAY}: has 2 row(s) in the warehouse and is not at the")
    assert value(found.metadata, "parts_compared") == 2


def check_alone(bench: Workbench) -> dg.AssetCheckEvaluation:
    """The check of the daily mart's delivery, run without the delivery."""
    with bench.environment():
        key = dg.AssetCheckKey(KEY, "target_matches")
        job = dg.define_asset_job("checks_only", selection=dg.AssetSelection.checks(key))
        found = dg.Definitions.merge(bench.defs, dg.Definitions(jobs=[job])).resolve_job_def("checks_only")
        result = found.execute_in_process(instance=bench.instance, raise_on_error=False)
    return evaluations(result)["target_matches"]


def test_secrets_are_in_no_event(shop: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL that a variable holds is masked wherever something is told, and a fault that stays is tried once."""
    monkeypatch.setenv("REPORTS_URL", "s3://key:secret-word@bucket/reports")
    attributes = {"target": "env:REPORTS_URL", "retries": 3}
    with bench_with(shop, tmp_path, **attributes) as bench:
        node = bench.defs.resolve_asset_graph().get(KEY)
        assert node.metadata["dagster/uri"] == "s3://bucket/reports/channels"
        result = bench.run(job="deliver_reports", first=NEXT, raise_on_error=False)
        assert not result.success
        told = str(bench.instance.all_logs(result.run_id))
        assert "credentials are read from the environment" in told
        assert "secret-word" not in told
        assert "STEP_UP_FOR_RETRY" not in told


def test_a_dead_target_is_tried_again(shop: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that does not answer is tried again in the run, then the run fails; the load is not touched."""
    monkeypatch.setattr(cloud_objects, "RETRIES", 0)
    server = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{unused_port()}", "AWS_ALLOW_HTTP": "true"}
    for name, text in {**server, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-word"}.items():
        monkeypatch.setenv(name, text)
    attributes = {"target": "s3://bucket/reports", "tables": ["channels"], "retries": 2, "retry_seconds": 0}
    with bench_with(shop, tmp_path, **attributes) as bench:
        result = bench.run(job="deliver_reports", first=NEXT, raise_on_error=False)
        kinds = [event.event_type_value for event in result.all_events]
        assert (kinds.count("STEP_RESTARTED"), kinds.count("STEP_FAILURE")) == (2, 1)
        told = str(bench.instance.all_logs(result.run_id))
        assert "s3://bucket/reports does not answer" in told
        assert "secret-word" not in told
        assert bench.run(job="sales_job", first=DAY).success


def test_a_target_that_is_not_set_yet(shop: Workbench, tmp_path: Path) -> None:
    """Definitions load without the variable; the delivery tells which one is missing."""
    with bench_with(shop, tmp_path, target="env:NOT_SET_YET") as bench:
        result = bench.run(job="deliver_reports", first=NEXT, raise_on_error=False)
        assert "NOT_SET_YET is not set in the environment" in str(bench.instance.all_logs(result.run_id))


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        pytest.param({"columns": {"custmer_id": "left_out"}}, "did you mean 'customer_id'", id="unknown column"),
        pytest.param({"name": "my reports"}, "letters, digits and _", id="name"),
    ],
)
def test_what_can_not_be_used_is_said(attributes: dict[str, Any], told: str) -> None:
    """A mistake shows when the definitions load."""
    with pytest.raises(Exception, match="reports") as raised, shop_with(**attributes):
        pass
    assert told in str(raised.value) or told in str(raised.value.__cause__)


def test_the_sensor_asks_for_a_delivery_after_a_load(shop: Workbench, tmp_path: Path) -> None:
    """One run for what was materialized, none without news, and another one a while after a run that failed."""
    bench = Workbench(shop.defs, copied(shop, tmp_path), shop.instance)
    cursor, keys, partitions = None, [], []
    for _ in range(2):
        tick = evaluated(bench, cursor)
        cursor = tick.cursor or cursor
        keys.append([request.run_key for request in tick.run_requests or []])
        partitions += [request.partition_key for request in tick.run_requests or []]
    assert [len(found) for found in keys] == [1, 0]
    assert partitions == [NEXT]

    (bench.data_dir / "deliveries").mkdir()
    (bench.data_dir / "deliveries" / "reports").write_text("in the way")
    failed = bench.run(job="deliver_reports", first=NEXT, raise_on_error=False)
    assert not evaluated(bench, cursor).run_requests
    tick = evaluated(bench, cursor, later=PAUSE + dt.timedelta(minutes=1))
    assert [request.run_key for request in tick.run_requests or []] == [f"reports:after:{failed.run_id}"]


def evaluated(bench: Workbench, cursor: str | None, later: dt.timedelta = dt.timedelta()) -> Any:
    """A tick of the sensor, as if it were later."""
    from orchestration_project.components import delivery_runs

    with bench.environment(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery_runs, "PAUSE", PAUSE - later)
        sensor = bench.defs.resolve_sensor_def("deliver_reports_sensor")
        repository = bench.defs.get_repository_def()
        return sensor.evaluate_tick(dg.build_sensor_context(bench.instance, cursor, repository_def=repository))

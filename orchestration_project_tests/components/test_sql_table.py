"""`SqlTable`: a SELECT and a `defs.yaml` beside a feed become a mart; what can't be used is said when it is loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from orchestration_project.cli.project import SHOP
from orchestration_project.components.sql_table import SqlTable
from orchestration_project.inspection.verify import verify
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import (
    REPOSITORY,
    Workbench,
    evaluations,
    feeds,
    materializations,
    project,
    value,
)

DAY, NEXT = "2024-01-15", "2024-01-16"
FEEDS = REPOSITORY / "orchestration_project" / "defs"
SELECT = "SELECT _batch_date, channel, sum(quantity)::BIGINT AS units FROM cleaned_sales GROUP BY ALL"
ATTRIBUTES: dict[str, Any] = {
    "query": "channels.sql",
    "description": "Units of each channel.",
    "inputs": ["cleaned_sales"],
    "batches_of": "cleaned_sales",
    "key": ["_batch_date", "channel"],
    "reconcile": {"input": "cleaned_sales", "totals": {"units": "quantity"}},
}
WHOLE = {
    "query": "by_channel.sql",
    "description": "Units of each channel, over all days.",
    "inputs": ["channels"],
    "key": ["channel"],
    "reconcile": {"input": "channels", "totals": {"units": "units"}, "check": "adds_up"},
}


def files_of(feed: str) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in (FEEDS / feed).iterdir() if path.is_file()}


def table(attributes: dict[str, Any], select: str) -> dict[str, str]:
    """The two files of a mart."""
    document = {"type": "orchestration_project.components.SqlTable", "attributes": attributes}
    return {"defs.yaml": yaml.safe_dump(document), attributes["query"]: select}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """The sales feed, a mart of it, and a mart without batches of that mart; two days are loaded."""
    whole = table(WHOLE, "SELECT channel, sum(units)::BIGINT AS units FROM channels GROUP BY ALL")
    marts = {"channels": table(ATTRIBUTES, SELECT), "by_channel": whole}
    with feeds(sales=files_of("sales"), **marts) as defs, dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(defs, tmp_path, instance)
        bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("A2", channel="online")))
        bench.drop("sales", f"sales_{NEXT}.csv", sales(sale("B1", day=NEXT)))
        bench.run(job="sales_job", first=DAY, last=NEXT)
        yield bench


def test_a_mart_without_batches_of_a_mart(bench: Workbench) -> None:
    """The feed's job makes both; the whole one tells its rows, and its check compares it with the other mart."""
    result = bench.run("by_channel")
    (event,) = materializations(result, "by_channel").values()
    assert value(event.metadata, "dagster/row_count") == 2
    assert evaluations(result)["adds_up"].passed
    assert bench.query("SELECT sum(units) FROM by_channel") == bench.query("SELECT sum(quantity) FROM cleaned_sales")
    bench.query("UPDATE by_channel SET units = 99")
    found = bench.check(("by_channel", "adds_up"))["adds_up"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.description == "2 row(s) differ from channels; materialize by_channel again"


def test_checks_write_nothing(bench: Workbench) -> None:
    """A check leaves the warehouse as it is, byte for byte."""
    warehouse = bench.data_dir / "warehouse.duckdb"
    before = warehouse.read_bytes()
    assert bench.check(("channels", "matches_cleaned_sales"), ("by_channel", "adds_up"), first=DAY)
    assert warehouse.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "select", "told"),
    [
        pytest.param({"inputs": ["cleaned_sale"]}, SELECT, "did you mean 'cleaned_sales'", id="unknown input"),
        pytest.param({"inputs": ["channels"]}, SELECT, "made from itself", id="made from itself"),
        pytest.param({}, SELECT.replace("::BIGINT", ""), "units is HUGEINT", id="type"),
        pytest.param({}, SELECT.replace("quantity", "quantities"), "quantities", id="unknown column"),
        pytest.param({"key": ["_batch_date", "chanel"]}, SELECT, "did you mean 'channel'", id="unknown key"),
        pytest.param({"key": ["channel"]}, SELECT, "_batch_date", id="batches that are no key"),
        pytest.param({"columns": {"unit": "Units."}}, SELECT, "did you mean 'units'", id="unknown description"),
        pytest.param({"nullable": ["channel"]}, SELECT, "can't be empty", id="empty key"),
        pytest.param({"batches_of": "elsewhere"}, SELECT, "no input that has batches", id="batches of no input"),
        pytest.param({"batches_of": None, "chart": "units"}, SELECT, "needs batches_of", id="chart of no days"),
        pytest.param(
            {"reconcile": {"input": "elsewhere", "totals": {"units": "quantity"}}},
            SELECT,
            "none of the inputs",
            id="sums",
        ),
    ],
)
def test_what_can_not_be_used_is_said(changes: dict[str, Any], select: str, told: str) -> None:
    """A mistake in either file shows when the definitions load, with the table's name."""
    with (
        pytest.raises(Exception, match="channels") as raised,
        feeds(sales=files_of("sales"), channels=table(ATTRIBUTES | changes, select)),
    ):
        pass
    cause: BaseException = raised.value
    while not isinstance(cause, dg.DagsterInvalidDefinitionError):
        assert cause.__cause__
        cause = cause.__cause__
    assert str(cause).startswith("table channels: ")
    assert told in str(cause)


def test_a_table_that_python_makes_is_an_input(tmp_path: Path) -> None:
    """Its columns are told by `input_columns`; before it is there, it is empty."""
    attributes = {
        "query": "stars.sql",
        "description": "Products that many buy.",
        "inputs": ["top"],
        "key": ["product_id"],
        "input_columns": {"top": {"product_id": "INTEGER"}},
        "columns": {"product_id": "The product."},
    }
    with (
        feeds(stars=table(attributes, "SELECT product_id FROM top")) as defs,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        bench = Workbench(defs, tmp_path, instance)
        bench.run("stars")
        assert bench.query("FROM stars") == []


def test_marts_bring_their_proofs() -> None:
    """The project's marts are found by their components: those with batches first."""
    _, found = SHOP.feeds_and_proofs()
    assert [(proof.table, proof.needs, proof.batches_of) for proof in found] == [
        ("product_daily_sales", ("cleaned_sales",), "cleaned_sales"),
        ("product_warehouse", ("cleaned_sales",), None),
    ]


def test_a_lost_warehouse_is_rebuilt_with_its_marts(tmp_path: Path) -> None:
    """Without a warehouse the last command of `verify` makes the marts of all batches in the archive."""
    bench = Workbench(project(), tmp_path)
    with bench.instance:
        bench.drop("products", "products.json", catalogue((1, "Kettle", "Kitchen", 20.0)))
        bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1")))
        bench.run(first=DAY, last=DAY)
    (tmp_path / "warehouse.duckdb").unlink()
    feeds, proofs = SHOP.feeds_and_proofs()
    settings = Settings(data_dir=tmp_path)
    sources = [spec.configured for spec in feeds.values()]
    found = verify(Warehouse.from_settings(settings), settings, sources, proofs=proofs)
    assert [(item.feed, item.file) for item in found.findings] == [
        ("", "warehouse.duckdb"),
        ("products", ""),
        ("sales", ""),
        ("", "product_warehouse"),
    ]
    assert found.findings[-1].remedy.endswith(f"--select product_daily_sales,product_warehouse --partition {DAY}")


def test_every_attribute_is_described() -> None:
    """What `defs.yaml` may say is explained, as the UI and `dg` show it."""
    assert [name for name, field in SqlTable.model_fields.items() if not field.description] == []

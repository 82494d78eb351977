"""Column lineage in Dagster: from the file's columns to the mart's, told once in a run."""

from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, materializations, project, value

DAY, NEXT = "2024-01-15", "2024-01-16"
LINEAGE = "dagster/column_lineage"
TABLES = [
    *(f"{stage}_{feed}" for feed in ("sales", "products") for stage in ("raw", "cleaned", "rejected")),
    "product_daily_sales",
    "product_warehouse",
]
Origins = dict[str, set[tuple[str, str]]]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.ExecuteInProcessResult]:
    """A run over two days that makes every table."""
    bench = Workbench(project(), tmp_path_factory.mktemp("lineage"))
    with bench.instance:
        bench.drop("products", "products.json", catalogue((1, "Kettle", "Kitchen", 20.0)))
        bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("bad", quantity="x")))
        bench.drop("sales", f"sales_{NEXT}.csv", sales(sale("A2", day=NEXT)))
        yield bench.run(first=DAY, last=NEXT)


def origins(result: dg.ExecuteInProcessResult, table: str) -> Origins:
    """The lineage that the last event of a table tells."""
    *_, last = materializations(result, table).values()
    deps = value(last.metadata, LINEAGE).deps_by_column
    return {
        column: {(dep.asset_key.to_user_string(), dep.column_name) for dep in found} for column, found in deps.items()
    }


@pytest.mark.parametrize("table", TABLES)
def test_lineage_leads_to_columns_that_exist(result: dg.ExecuteInProcessResult, table: str) -> None:
    """What a column is made from is a column of an asset that the table depends on, in the schema that it shows."""
    about = {"delivery", "operations"}  # their assets are no tables that others are made from
    specs = {
        spec.key.to_user_string(): spec for spec in project().resolve_all_asset_specs() if spec.group_name not in about
    }
    schemas = {name: {column.name for column in columns_of(spec)} for name, spec in specs.items()}
    parents = {dep.asset_key.to_user_string() for dep in specs[table].deps}
    found = origins(result, table)
    assert found
    assert set(found) <= schemas[table]
    assert all(asset in parents and column in schemas[asset] for items in found.values() for asset, column in items)


def columns_of(spec: dg.AssetSpec) -> list[dg.TableColumn]:
    schema = spec.metadata["dagster/column_schema"]
    return list((schema.schema if isinstance(schema, dg.TableSchemaMetadataValue) else schema).columns)


def test_a_figure_is_followed_back_to_the_file(result: dg.ExecuteInProcessResult) -> None:
    """The revenue of a product leads through all tables to quantity and price in the sales files."""
    known = {table: origins(result, table) for table in TABLES}
    here = {("product_warehouse", "revenue")}
    while not all(asset.startswith("landing_") for asset, _ in here):
        here = {found for asset, column in here for found in known.get(asset, {}).get(column, {(asset, column)})}
    assert here == {("landing_sales", "quantity"), ("landing_sales", "unit_price")}


@pytest.mark.parametrize("table", TABLES)
def test_lineage_is_told_once_in_a_run(result: dg.ExecuteInProcessResult, table: str) -> None:
    """Of the events of a range only the last has the lineage: it is the same for all, and events take room."""
    *others, last = materializations(result, table).values()
    assert LINEAGE in last.metadata
    assert [event.partition for event in others if LINEAGE in event.metadata] == []


def test_lineage_can_be_read_in_the_open_source_ui(result: dg.ExecuteInProcessResult) -> None:
    """The same stands beside it as a table, since Dagster draws column lineage in Dagster+ only."""
    (event,) = materializations(result, "product_warehouse").values()
    rows = {row["column"]: row["made from"] for row in value(event.metadata, "columns_made_from")}
    assert rows["revenue_7d"] == "product_daily_sales._batch_date, product_daily_sales.revenue"
    assert set(rows) == set(value(event.metadata, LINEAGE).deps_by_column)


def test_open_rejects_come_with_their_query(result: dg.ExecuteInProcessResult) -> None:
    """A batch with rejects has the SQL that shows them; one without has none."""
    told = materializations(result, "rejected_sales")
    assert told[DAY].metadata["open_rejects_sql"].value == (
        "```sql\nSELECT _file, _row, _reasons, *\nFROM rejected_sales\n"
        f"WHERE _resolved_by IS NULL\n  AND _batch_date IN ('{DAY}')\nORDER BY _file, _row;\n```"
    )
    assert "open_rejects_sql" not in told[NEXT].metadata

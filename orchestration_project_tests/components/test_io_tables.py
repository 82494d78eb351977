"""Which table a frame goes to, and that no other one is touched; and what users of the stock IO manager rely on."""

import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest
from dagster._check import CheckError

from orchestration_project.components.io_manager import WarehouseIOManager
from orchestration_project.errors import WarehouseError
from orchestration_project_tests.ingest.shop import Shop, named

pytestmark = [pytest.mark.promise("frames"), pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")]

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
COLOURS = dg.StaticPartitionsDefinition(["red", "blue"])
FIRST, SECOND = "2024-01-01", "2024-01-02"


def frames_asset(key: str, frame: pd.DataFrame, **options: Any) -> dg.AssetsDefinition:
    """An asset of a key such as `shop_a/orders` that returns a frame."""

    def made() -> pd.DataFrame:
        return frame

    asset = dg.asset(key=key.split("/"), **options)(made)
    assert isinstance(asset, dg.AssetsDefinition)
    return asset


def daily(key: str, frame: pd.DataFrame, expression: str = "day") -> dg.AssetsDefinition:
    """The same, partitioned by a column."""
    return frames_asset(key, frame, partitions_def=DAYS, metadata={"partition_expr": expression})


def materialize(
    *assets: dg.AssetsDefinition | dg.SourceAsset, manager: WarehouseIOManager | None = None, **options: Any
) -> Any:
    return dg.materialize(assets, resources={"io_manager": manager or WarehouseIOManager()}, **options)


def rows(data_dir: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(data_dir / "warehouse.duckdb")) as connection:
        return connection.execute(sql).fetchall()


def numbers(*values: int) -> pd.DataFrame:
    return pd.DataFrame({"n": list(values)})


def day(key: str, *values: Any) -> pd.DataFrame:
    return pd.DataFrame({"day": [dt.date.fromisoformat(key)] * len(values), "n": list(values)})


@pytest.mark.found(
    "the assets shop_a/orders and shop_b/orders were written to one table, each in the place of the other"
)
def test_the_prefix_is_the_schema(data_dir: Path) -> None:
    """Without a schema of its own or of the manager, an asset's table is in the schema that its prefix names."""
    materialize(frames_asset("shop_a/orders", numbers(1)), frames_asset("shop_b/orders", numbers(2)))
    materialize(frames_asset("orders", numbers(3)))
    materialize(frames_asset("x/orders", numbers(4)), manager=WarehouseIOManager(schema="own"))
    materialize(frames_asset("x/orders", numbers(5), metadata={"schema": "other"}))
    found = {schema: rows(data_dir, f"FROM {schema}.orders") for schema in ("shop_a", "shop_b", "main", "own", "other")}
    assert found == {"shop_a": [(1,)], "shop_b": [(2,)], "main": [(3,)], "own": [(4,)], "other": [(5,)]}


@pytest.mark.parametrize("key", ["warehouse/orders", "order/select", "Shop/Orders"])
def test_any_name_may_be_a_key(key: str, data_dir: Path) -> None:
    """Keywords, the warehouse's own name and capitals are names like any others."""
    for number in (1, 2):
        materialize(daily(key, day(FIRST, number)), partition_key=FIRST)
    schema, table = key.split("/")
    assert rows(data_dir, f'SELECT n FROM warehouse."{schema}"."{table}"') == [(2,)]

    @dg.asset(ins={"given": dg.AssetIn(key.split("/"))})
    def read(given: pd.DataFrame) -> pd.DataFrame:
        return given[["n"]]

    materialize(daily(key, day(FIRST, 2)).to_source_assets()[0], read)
    assert rows(data_dir, "FROM read") == [(2,)]


@pytest.mark.found("an asset whose table had the name of another one replaced it")
def test_a_table_of_another_asset_is_never_replaced(data_dir: Path) -> None:
    """The first asset that writes a table owns it, also where another one comes to it by another way, or case."""
    materialize(frames_asset("orders", numbers(1)))
    for key in ("shop_a/orders", "shop_a/Orders"):
        with pytest.raises(WarehouseError, match=f"belongs to the asset orders, {key} can't replace it"):
            materialize(frames_asset(key, numbers(2), metadata={"schema": "main"}))
    assert rows(data_dir, "FROM orders") == [(1,)]
    # Who drops the table gives it free.
    rows(data_dir, "DROP TABLE orders")
    materialize(frames_asset("shop_a/orders", numbers(2), metadata={"schema": "main"}))
    assert rows(data_dir, "FROM orders") == [(2,)]
    assert rows(data_dir, "FROM table_owners") == [("main", "orders", "shop_a/orders")]


@pytest.mark.found("an asset named as a table of the platform dropped it, and the run succeeded")
@pytest.mark.parametrize("table", ["cleaned_sales", "raw_sales", "file_ledger", "published_batches", "waivers"])
def test_a_table_of_the_platform_is_never_replaced(table: str, data_dir: Path) -> None:
    """Tables of feeds and records are the platform's, whichever release made them."""
    rows(data_dir, f"CREATE TABLE {table} AS SELECT 1 AS _row, 'f' AS _file, 'v' AS _file_version, 2 AS _batch_date")
    before = rows(data_dir, f"FROM {table}")
    materialize(frames_asset(f"my/{table}", numbers(7)))
    for key, manager in ((table, WarehouseIOManager()), (f"my/{table}", WarehouseIOManager(schema="MAIN"))):
        asset = frames_asset(key, numbers(7))
        with pytest.raises(WarehouseError, match=f"{table} is a table of the platform"):
            materialize(asset, manager=manager)
    assert rows(data_dir, f"FROM main.{table}") == before
    assert rows(data_dir, f"FROM my.{table}") == [(7,)]


def test_names_that_look_like_a_feeds_are_free(data_dir: Path) -> None:
    """Only tables that a feed has made are the platform's."""
    materialize(frames_asset("cleaned_customers", numbers(1)), frames_asset("orders_built", numbers(2)))
    materialize(frames_asset("cleaned_customers", numbers(3)))
    assert rows(data_dir, "FROM cleaned_customers") == [(3,)]


def test_a_feed_does_not_write_to_a_table_of_an_asset(tmp_path: Path) -> None:
    """Where an asset was first, the load says whose table is in its way, and the file stays in landing."""
    shop = Shop(tmp_path)
    manager = WarehouseIOManager(database=str(shop.settings.database))
    materialize(frames_asset("cleaned_f", numbers(1)), manager=manager)
    shop.deliver(named(1), "id,n\na,1\n")
    with pytest.raises(WarehouseError, match=r"main\.cleaned_f belongs to the asset cleaned_f"):
        shop.load()
    assert shop.landing() == [named(1)]


def test_a_table_of_an_older_release_belongs_to_its_asset(data_dir: Path) -> None:
    """Release 0.1.0 recorded no owners: the asset goes on, and has the table from then on."""
    rows(data_dir, "CREATE TABLE orders AS SELECT DATE '2024-01-01' AS day, 1::BIGINT AS n")
    materialize(daily("orders", day(SECOND, 2)), partition_key=SECOND)
    assert rows(data_dir, "SELECT n FROM orders ORDER BY 1") == [(1,), (2,)]
    with pytest.raises(WarehouseError, match="belongs to the asset orders"):
        materialize(frames_asset("shop/orders", numbers(2), metadata={"schema": "main"}))


def test_partitions_of_an_older_release_are_not_left_behind(data_dir: Path) -> None:
    """Release 0.1.0 wrote shop/orders to main.orders: the table is neither taken for another one nor forgotten."""
    rows(data_dir, "CREATE TABLE orders AS SELECT DATE '2024-01-01' AS day, 1::BIGINT AS n")
    asset = daily("shop/orders", day(SECOND, 2))
    with pytest.raises(WarehouseError, match=r"main\.orders is there.*'schema': 'main'"):
        materialize(asset, partition_key=SECOND)

    @dg.asset(partitions_def=DAYS, ins={"orders": dg.AssetIn(["shop", "orders"])})
    def reader(orders: pd.DataFrame) -> None: ...

    with pytest.raises(WarehouseError, match=r"main\.orders is there"):
        materialize(asset, reader, partition_key=SECOND, selection=[reader])
    kept = frames_asset(
        "shop/orders", day(SECOND, 2), partitions_def=DAYS, metadata={"partition_expr": "day", "schema": "main"}
    )
    materialize(kept, partition_key=SECOND)
    assert rows(data_dir, "SELECT n FROM orders ORDER BY 1") == [(1,), (2,)]


@pytest.mark.found("text as the partition column was refused as rows of other partitions")
def test_a_text_column_for_spans_of_time_is_refused(data_dir: Path) -> None:
    """The first day says what is wrong, and the expression that it advises works."""
    text = pd.DataFrame({"day": [FIRST], "n": [1]})
    with pytest.raises(WarehouseError, match=r"`partition_expr` day is VARCHAR.*CAST\(day AS DATE\)"):
        materialize(daily("orders", text), partition_key=FIRST)
    materialize(daily("orders", text, "CAST(day AS DATE)"), partition_key=FIRST)
    assert rows(data_dir, "FROM orders") == [(FIRST, 1)]


@pytest.mark.found("the UI named a table without the name that DuckDB gives the warehouse")
def test_the_metadata_names_the_table_as_duckdb_does(tmp_path: Path) -> None:
    """DuckDB names a file's catalog by its rules; the table's whole name can be pasted into a query."""
    manager = WarehouseIOManager(database=str(tmp_path / "main.v1.duckdb"), schema="shop")
    (event,) = materialize(frames_asset("orders", numbers(1)), manager=manager).get_asset_materialization_events()
    name = event.materialization.metadata["dagster/table_name"].value
    assert event.materialization.metadata["dagster/storage_kind"].value == "duckdb"
    with duckdb.connect(str(tmp_path / "main.v1.duckdb")) as connection:
        assert connection.execute(f"FROM {name}").fetchall() == [(1,)]


@pytest.mark.found("nine of the twelve published tests of the stock IO manager failed with this one in its place")
def test_ops_have_tables(data_dir: Path) -> None:
    """An op's output is a table named as the output, in the schema of its metadata; each op owns its own."""

    @dg.op(out=dg.Out(metadata={"schema": "made"}))
    def make() -> pd.DataFrame:
        return numbers(1, 2)

    @dg.op(out=dg.Out(metadata={"schema": "added"}))
    def add(frame: pd.DataFrame) -> pd.DataFrame:
        return frame + 1

    @dg.op
    def count(frame: pd.DataFrame) -> int:
        return len(frame)

    @dg.job(resource_defs={"io_manager": WarehouseIOManager()})
    def adding() -> None:
        add(make())

    @dg.job(resource_defs={"io_manager": WarehouseIOManager()})
    def counting() -> None:
        count(make())

    for _ in range(2):
        assert adding.execute_in_process().success
    assert rows(data_dir, "FROM added.result") == [(2,), (3,)]
    with pytest.raises(CheckError, match="WarehouseIOManager does not have a handler for type '<class 'int'>'"):
        counting.execute_in_process()


def test_some_columns_are_loaded(data_dir: Path) -> None:
    """`columns` of an input says which ones it gets."""

    @dg.asset(ins={"wide": dg.AssetIn(["shop", "wide"], metadata={"columns": ["b"]})})
    def narrow(wide: pd.DataFrame) -> pd.DataFrame:
        return wide

    materialize(frames_asset("shop/wide", pd.DataFrame({"a": [1], "b": [2]})), narrow)
    assert rows(data_dir, "FROM narrow") == [(2,)]
    assert rows(data_dir, "SELECT column_name FROM (DESCRIBE narrow)") == [("b",)]


@pytest.mark.parametrize("dynamic", [False, True])
def test_partitions_are_replaced_by_key(dynamic: bool, data_dir: Path) -> None:
    """Static and dynamic partitions: a key's rows are replaced, those of others stay."""
    partitions = dg.DynamicPartitionsDefinition(name="colours") if dynamic else COLOURS
    with dg.DagsterInstance.ephemeral() as instance:
        if dynamic:
            instance.add_dynamic_partitions("colours", ["red", "blue"])
        for key, number in (("red", 1), ("blue", 2), ("red", 3)):
            frame = pd.DataFrame({"colour": [key], "n": [number]})
            options = {"partitions_def": partitions, "metadata": {"partition_expr": "colour"}}
            materialize(frames_asset("shop/paint", frame, **options), partition_key=key, instance=instance)
    assert rows(data_dir, "FROM shop.paint ORDER BY 1") == [("blue", 2), ("red", 3)]


def test_partitions_of_two_dimensions(data_dir: Path) -> None:
    """A partition is replaced where both of its dimensions are the same."""
    partitions = dg.MultiPartitionsDefinition({"day": DAYS, "colour": COLOURS})
    metadata = {"partition_expr": {"day": "CAST(day AS DATE)", "colour": "colour"}}
    for on, colour, number in ((FIRST, "red", 1), (FIRST, "blue", 2), (SECOND, "red", 3), (FIRST, "red", 4)):
        frame = pd.DataFrame({"day": [on], "colour": [colour], "n": [number]})
        asset = frames_asset("shop/paint", frame, partitions_def=partitions, metadata=metadata)
        materialize(asset, partition_key=dg.MultiPartitionKey({"day": on, "colour": colour}))
    assert rows(data_dir, "SELECT n FROM shop.paint ORDER BY 1") == [(2,), (3,), (4,)]


def test_an_asset_reads_its_own_day_before(data_dir: Path) -> None:
    """A partition may be made from the one before it; the first one gets an empty frame."""
    before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    @dg.asset(
        key=["shop", "total"],
        partitions_def=DAYS,
        ins={"total": dg.AssetIn(["shop", "total"], partition_mapping=before)},
        metadata={"partition_expr": "strptime(day, '%Y-%m-%d')"},
    )
    def made(context: dg.AssetExecutionContext, total: pd.DataFrame) -> pd.DataFrame:
        last = 0 if total.empty else int(total["n"].iloc[0])
        return pd.DataFrame({"day": [context.partition_key], "n": [last + 1]})

    for key in (FIRST, SECOND, SECOND):
        materialize(made, partition_key=key)
    assert rows(data_dir, "FROM shop.total ORDER BY 1") == [(FIRST, 1), (SECOND, 2)]


def test_an_empty_frame_is_stored(data_dir: Path) -> None:
    """The stock manager leaves the old rows, or no table at all; here no rows are a result."""
    materialize(frames_asset("orders", numbers(1)))
    materialize(frames_asset("orders", numbers()))
    assert rows(data_dir, "FROM orders") == []

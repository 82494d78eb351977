"""The IO manager by the entrance that users use: assets with DataFrames in and out, on a real warehouse."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest

from orchestration_project.components.io_manager import WarehouseIOManager
from orchestration_project.errors import WarehouseBusy, WarehouseError
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.duckdb_file import DuckdbFile

pytestmark = [pytest.mark.promise("frames"), pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")]

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
FIRST, SECOND = "2024-01-01", "2024-01-02"
PRICES = dg.TableSchema([dg.TableColumn("item", "VARCHAR"), dg.TableColumn("price", "DECIMAL(38,2)")])


def asset_of(frame: pd.DataFrame, **options: Any) -> dg.AssetsDefinition:
    """An asset named `items` that returns the frame."""

    def items() -> pd.DataFrame:
        return frame

    made = dg.asset(items, **options)
    assert isinstance(made, dg.AssetsDefinition)
    return made


def daily(frame: pd.DataFrame) -> dg.AssetsDefinition:
    """The same, partitioned by its column `day`."""
    policy = dg.BackfillPolicy.single_run()
    return asset_of(frame, partitions_def=DAYS, metadata={"partition_expr": "day"}, backfill_policy=policy)


def write(asset: dg.AssetsDefinition, first: str | None = None, last: str | None = None) -> dg.ExecuteInProcessResult:
    """Materialize it, for a partition or a range."""
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    tags = dict(zip(names, (first, last), strict=True)) if first and last else {}
    job = dg.Definitions(
        assets=[asset], resources={"io_manager": WarehouseIOManager()}, executor=dg.in_process_executor
    )
    return job.resolve_implicit_global_asset_job_def().execute_in_process(
        partition_key=None if last else first, tags=tags
    )


def rows(data_dir: Path, sql: str = "FROM items ORDER BY ALL") -> list[tuple[Any, ...]]:
    with duckdb.connect(str(data_dir / "warehouse.duckdb")) as connection:
        return connection.execute(sql).fetchall()


def frame(*days: str, **more: list[Any]) -> pd.DataFrame:
    """A frame with a row for each day."""
    columns = {"day": pd.to_datetime(list(days)), "item": [f"on {day}" for day in days], **more}
    return pd.DataFrame(columns)


@pytest.fixture
def written(data_dir: Path) -> Path:
    """A table with two partitions of one row each."""
    write(daily(frame(FIRST, amount=[1])), FIRST)
    write(daily(frame(SECOND, amount=[2])), SECOND)
    return data_dir


BOTH = [("on 2024-01-01", 1), ("on 2024-01-02", 2)]
AMOUNTS = "SELECT item, amount FROM items ORDER BY 1"


def test_a_crash_between_delete_and_insert_loses_nothing(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the process dies after the delete, the old rows are there as if nothing had happened."""

    class Died(BaseException):
        """Stands for a signal."""

    def die(*arguments: Any) -> None:
        assert rows_inside(arguments[0].connection) == [("on 2024-01-02", 2)]
        raise Died

    monkeypatch.setattr("orchestration_project.warehouse.frame_tables._Writer.insert", die)
    with pytest.raises(Died):
        write(daily(frame(FIRST, amount=[9])), FIRST)
    assert rows(written, AMOUNTS) == BOTH


def rows_inside(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute(AMOUNTS).fetchall()


def test_a_new_column_is_added(written: Path) -> None:
    """A column that the table lacks is added; rows that were there have no value in it."""
    write(daily(frame(FIRST, amount=[9], note=["new"])), FIRST)
    assert rows(written, "SELECT item, amount, note FROM items ORDER BY 1") == [
        ("on 2024-01-01", 9, "new"),
        ("on 2024-01-02", 2, None),
    ]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        pytest.param(
            frame(FIRST, amount=["nine"]), "column amount, row 1 of the frame is no BIGINT", id="text in a number"
        ),
        pytest.param(frame(FIRST, amount=[1e300]), "column amount, row 1 of the frame", id="too large"),
        pytest.param(frame(FIRST), r"lacks the column\(s\) amount", id="missing column"),
        pytest.param(
            frame(FIRST, SECOND, amount=[9, 9]), "1 of the frame's 2 rows are not of the partition", id="other day"
        ),
    ],
)
def test_a_bad_frame_leaves_the_rows(written: Path, bad: pd.DataFrame, message: str) -> None:
    """A frame that does not fit is refused with what does not fit, and the partition stays."""
    with pytest.raises(WarehouseError, match=message):
        write(daily(bad), FIRST)
    assert rows(written, AMOUNTS) == BOTH


def test_columns_are_matched_by_name(written: Path) -> None:
    """The order of a frame's columns does not matter."""
    write(daily(frame(FIRST, amount=[9])[["amount", "item", "day"]]), FIRST)
    assert rows(written, AMOUNTS) == [("on 2024-01-01", 9), ("on 2024-01-02", 2)]


def test_an_empty_frame_empties_the_partition(written: Path) -> None:
    """No rows is a result: the partition is empty afterwards, the others are untouched."""
    write(daily(frame(amount=[])), FIRST)
    assert rows(written, AMOUNTS) == [("on 2024-01-02", 2)]


def test_an_empty_frame_makes_a_table(data_dir: Path) -> None:
    """A table exists after its first materialization, also without rows."""
    write(asset_of(pd.DataFrame({"item": [], "price": []}), metadata={"dagster/column_schema": PRICES}))
    assert rows(data_dir) == []


def test_a_range_is_written_at_once(written: Path) -> None:
    """A run over several partitions replaces exactly these."""
    write(daily(frame(SECOND, "2024-01-03", amount=[8, 7])), SECOND, "2024-01-04")
    assert rows(written, AMOUNTS) == [("on 2024-01-01", 1), ("on 2024-01-02", 8), ("on 2024-01-03", 7)]


def test_an_unpartitioned_table_is_replaced(data_dir: Path) -> None:
    """Without partitions the whole table is the frame, with whatever columns it has now."""
    write(asset_of(pd.DataFrame({"item": ["a"], "old": [1]})))
    write(asset_of(pd.DataFrame({"item": ["b"], "new": [2.5]})))
    assert rows(data_dir) == [("b", 2.5)]


def test_a_failed_replacement_keeps_the_table(data_dir: Path) -> None:
    """An unpartitioned table survives a frame that does not fit its declared schema."""
    options = {"metadata": {"dagster/column_schema": PRICES}}
    write(asset_of(pd.DataFrame({"item": ["a"], "price": ["1.10"]}), **options))
    with pytest.raises(WarehouseError, match="a value does not fit"):
        write(asset_of(pd.DataFrame({"item": ["b"], "price": ["cheap"]}), **options))
    with pytest.raises(WarehouseError, match=r"has the columns \['item'\]"):
        write(asset_of(pd.DataFrame({"item": ["b"]}), **options))
    assert rows(data_dir) == [("a", Decimal("1.10"))]


def test_decimals_are_exact(data_dir: Path) -> None:
    """Decimals of any size arrive to the cent in the declared type, missing ones as NULL."""
    prices = [Decimal("0.10"), Decimal("123456789012345678901234567890.12"), None]
    table = pd.DataFrame({"item": ["a", "b", "c"], "price": pd.Series(prices, dtype=object)})
    write(asset_of(table, metadata={"dagster/column_schema": PRICES}))
    assert rows(data_dir) == list(zip("abc", prices, strict=True))


def test_metadata_tells_rows_and_columns(data_dir: Path) -> None:
    """A materialization shows row count and, where the asset declares none, the column schema."""
    result = write(asset_of(pd.DataFrame({"item": ["a", "b"], "n": [1, 2]})))
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert metadata["dagster/row_count"].value == 2
    schema = metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert [(column.name, column.type) for column in schema.columns] == [("item", "VARCHAR"), ("n", "BIGINT")]


def test_metadata_of_a_partition(written: Path) -> None:
    """One partition shows its own row count; a range run shows none, for it is not known by partition."""
    (one,) = write(daily(frame(FIRST, amount=[1])), FIRST).get_asset_materialization_events()
    assert one.materialization.metadata["dagster/partition_row_count"].value == 1
    several = write(daily(frame(FIRST, SECOND, amount=[1, 2])), FIRST, SECOND).get_asset_materialization_events()
    assert [event.partition for event in several] == [FIRST, SECOND]
    assert not any("dagster/partition_row_count" in event.materialization.metadata for event in several)


def test_a_frame_is_loaded_by_the_next_asset(data_dir: Path) -> None:
    """A user's asset needs nothing but the decorator: the parameter's name is the table, partitions follow along."""
    seen: dict[str, pd.DataFrame] = {}

    @dg.asset(partitions_def=DAYS)
    def doubled(items: pd.DataFrame) -> None:
        seen["partition"] = items

    @dg.asset
    def top(items: pd.DataFrame) -> pd.DataFrame:
        seen["all"] = items
        return items.nlargest(1, "amount")[["item"]]

    write(daily(frame(FIRST, SECOND, amount=[1, 2])), FIRST, SECOND)
    resources = {"io_manager": WarehouseIOManager()}
    source = daily(frame())
    instance = dg.DagsterInstance.ephemeral()
    dg.materialize([source, doubled], selection=[doubled], partition_key=SECOND, resources=resources, instance=instance)
    assert seen["partition"]["item"].tolist() == ["on 2024-01-02"]
    dg.materialize([*source.to_source_assets(), top], selection=[top], resources=resources, instance=instance)
    assert len(seen["all"]) == 2
    assert rows(data_dir, "FROM top") == [("on 2024-01-02",)]
    instance.dispose()


def test_a_missing_upstream_table_is_named(data_dir: Path) -> None:
    """Loading what was never materialized says which table is missing."""

    @dg.asset
    def top(items: pd.DataFrame) -> None: ...

    source = dg.AssetSpec("items")
    with pytest.raises(duckdb.CatalogException, match="items"):
        dg.materialize([source, top], resources={"io_manager": WarehouseIOManager()})


def test_the_connection_closes_after_an_error(written: Path) -> None:
    """A failed write leaves neither an open connection nor a lock behind: another process may write at once."""
    with pytest.raises(WarehouseError):
        write(daily(frame(FIRST, amount=["nine"])), FIRST)
    with DuckdbFile(written / "warehouse.duckdb", lock_timeout=0).transaction("the next one") as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (2,)
    assert not (written / "warehouse.duckdb.holder.json").exists()


def test_a_locked_warehouse_is_waited_for(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for another holder ends after the configured time and names the holder."""
    monkeypatch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0.1")
    with (
        Warehouse.from_settings(Settings.from_env()).transaction("a long load"),
        pytest.raises(WarehouseBusy, match="a long load"),
    ):
        write(daily(frame(FIRST, amount=[9])), FIRST)
    assert rows(written, AMOUNTS) == BOTH


def test_another_database_can_be_given(data_dir: Path, tmp_path: Path) -> None:
    """A path of its own takes precedence over the settings."""
    elsewhere = tmp_path / "elsewhere.duckdb"
    resources = {"io_manager": WarehouseIOManager(database=str(elsewhere))}
    dg.materialize([asset_of(pd.DataFrame({"item": ["a"]}))], resources=resources)
    assert elsewhere.is_file()
    assert not (data_dir / "warehouse.duckdb").exists()


def test_hostile_names_are_quoted(data_dir: Path) -> None:
    """Column names are data: whatever they hold, they never become SQL."""
    name = 'x"; DROP TABLE items; --'
    write(asset_of(pd.DataFrame({name: [1]})))
    write(asset_of(pd.DataFrame({name: [2]})))
    assert rows(data_dir) == [(2,)]

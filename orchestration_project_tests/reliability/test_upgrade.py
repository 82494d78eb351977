"""A shop that release 0.1 made goes on: its warehouse, its archive, its sensor cursor and its `dagster.yaml`.

`release_0_1` was made by that release: two days of sales and a catalogue were loaded, one file was refused, one reject
was waived. The warehouse is kept as text (`EXPORT DATABASE ... (FORMAT csv)`), with the types that its tables had.
"""

import datetime as dt
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.components.event_log import EventLog
from orchestration_project.components.resources import Platform
from orchestration_project.components.run_launcher import LocalRunLauncher
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, project

RELEASE = Path(__file__).parent / "release_0_1"
MODIFIED = dt.datetime(2024, 1, 17, 6, tzinfo=dt.UTC).timestamp()
"""When the files that the release loaded were last written to, as its ledger says."""
MARTS = ("product_daily_sales", "product_warehouse")
TABLES = ("raw_sales", "cleaned_sales", "rejected_sales", "raw_products", "cleaned_products", "rejected_products")
HEADER = "order_id,order_line,product_id,customer_id,store_id,channel,quantity,unit_price,sold_at\n"
WAITING = ("sales_2024-01-17.csv", "order_id\n", 1705500000.0)
"""A file that was in landing when the cursor below was written: name, text and modification time."""
CURSOR = (
    '{"since":1705600000.0,"requests":1,"batches":{"2024-01-17":{"digest":"08ce208979df11d0","requests":1,'
    '"at":1705600000.0,"run_key":"sales:2024-01-17...2024-01-17:ada28e447c944fb1"}},"unsettled":{}}'
)
"""What the sensor of release 0.1 remembers after one request."""


@pytest.fixture
def shop(data_dir: Path) -> Iterator[Workbench]:
    """What the release left, and this release's definitions."""
    for folder in ("archive", "quarantine"):
        shutil.copytree(RELEASE / folder, data_dir / folder)
    for file in (data_dir / "archive").glob("*/20*/*"):
        os.utime(file, (MODIFIED, MODIFIED))
    with duckdb.connect(str(data_dir / "warehouse.duckdb")) as connection:
        connection.execute((RELEASE / "warehouse" / "schema.sql").read_text(encoding="utf-8"))
        for table in (RELEASE / "warehouse").glob("*.csv"):
            connection.execute(f"COPY {table.stem} FROM '{table}' (HEADER)")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(project(), data_dir, instance)


def proven() -> str:
    """What `verify` says of a shop in which files, ledger and tables agree."""
    verified = CliRunner().invoke(main, ["verify"])
    assert verified.exit_code == 0, verified.output
    return verified.output


def test_its_state_is_read(shop: Workbench) -> None:
    """`verify` proves the old state, and `status` and `summary` tell of it."""
    assert "3 archived files (1,202 bytes) and 13 records compared: all proven" in proven()
    summary = CliRunner().invoke(main, ["summary"])
    assert summary.exit_code == 0
    assert "BOO008" in summary.output
    told = json.loads(CliRunner().invoke(main, ["status", "--json"]).output)
    assert {"sales", "products"} <= {item["feed"] for item in told["feeds"]}


def test_it_goes_on_loading(shop: Workbench) -> None:
    """A new day and another version of an old one are loaded beside what is there. `verify` proves all of it."""
    kept = shop.query("FROM cleaned_sales WHERE _batch_date = '2024-01-16' ORDER BY ALL")
    shop.drop("sales", "sales_2024-01-17.csv", HEADER + "S3,1,29,,ST08,store,2,5.99,2024-01-17 08:00:00\n", MODIFIED)
    shop.drop("sales", "sales_2024-01-15.csv", HEADER + "S1,1,8,,ST08,store,1,41.49,2024-01-15 08:00:00\n", MODIFIED)
    assert shop.run(*TABLES, *MARTS, first="2024-01-15", last="2024-01-17").success
    assert shop.query("SELECT order_id FROM cleaned_sales WHERE _batch_date <> '2024-01-16' ORDER BY 1") == [
        ("S1",),
        ("S3",),
    ]
    # The first sale of this key was in the version that was replaced, so its repetition on the 16th counts now.
    assert set(kept) < set(shop.query("FROM cleaned_sales WHERE _batch_date = '2024-01-16'"))
    assert shop.query("SELECT status, count(*) FROM file_ledger WHERE feed = 'sales' GROUP BY 1 ORDER BY 1") == [
        ("loaded", 3),
        ("quarantined", 1),
        ("superseded", 1),
    ]
    assert "5 archived files" in proven()


def test_its_history_begins_in_its_archive(shop: Workbench) -> None:
    """The first load that finds a new catalogue makes the history of that one and of those in the old archive."""
    text = (RELEASE / "archive/products/2024-01-15/products_2024-01-15.json").read_text(encoding="utf-8")
    shop.drop("products", "products_2024-01-16.json", text.replace("25.0", "26.0"), MODIFIED)
    assert shop.run(*TABLES[3:], "products_history", *MARTS, first="2024-01-15", last="2024-01-16").success
    prices = "SELECT list_price::VARCHAR, valid_from::VARCHAR, is_current FROM products_history WHERE product_id = 1"
    assert shop.query(f"{prices} ORDER BY 2") == [("25.00", "2024-01-15", False), ("26.00", "2024-01-16", True)]
    kept = "SELECT status FROM file_ledger WHERE feed = 'products' ORDER BY batch"
    assert shop.query(kept) == [("kept",), ("loaded",)]
    proven()


def test_loading_again_changes_nothing(shop: Workbench) -> None:
    """Without a new file, a run over the old days leaves every row, and the waiver, as it is."""
    # A column that came since is all that a mart gains.
    columns = "COLUMNS(name -> name <> 'delisted_on')"
    queries = [f"SELECT {columns} FROM {table} ORDER BY ALL" for table in (*TABLES, *MARTS, "waivers")]
    before = [shop.query(query) for query in queries]
    assert shop.run(*TABLES, *MARTS, first="2024-01-15", last="2024-01-16").success
    assert [shop.query(query) for query in queries] == before
    assert shop.query("SELECT count(*) FROM rejected_sales WHERE _resolved_by LIKE 'waived by Ada%'") == [(1,)]
    proven()


def test_it_is_rebuilt_from_its_archive(shop: Workbench) -> None:
    """Without the warehouse, the old archive gives the same tables again."""
    queries = [f"FROM {table} ORDER BY ALL" for table in TABLES]
    before = [shop.query(query) for query in queries]
    (shop.data_dir / "warehouse.duckdb").unlink()
    assert shop.run(*TABLES, *MARTS, first="2024-01-15", last="2024-01-16").success
    assert [shop.query(query) for query in queries] == before


def test_its_sensor_cursor_is_read(shop: Workbench) -> None:
    """A batch that was requested once is requested the second time, not the first: attempts stay limited."""
    name, text, modified = WAITING
    shop.drop("sales", name, text, modified)
    sensor = shop.defs.resolve_sensor_def("sales_files_sensor")
    with shop.environment():
        context = dg.build_sensor_context(
            shop.instance,
            cursor=CURSOR,
            repository_def=shop.defs.get_repository_def(),
            resources={"platform": Platform()},
        )
        found = sensor.evaluate_tick(context)
    (request,) = found.run_requests or []
    remembered = json.loads(found.cursor or "")
    assert (remembered["since"], remembered["requests"]) == (1705600000.0, 2)
    assert remembered["batches"]["2024-01-17"]["requests"] == 2
    assert str(request.run_key) not in CURSOR


@dg.asset
def sold() -> None:
    """An asset."""


def sell(home: Path) -> tuple[str, list[str]]:
    """Materialize the asset with the classes that `dagster.yaml` names: the run's id, and what its log says."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        assert isinstance(instance.run_launcher, LocalRunLauncher)
        run_id = dg.materialize([sold], instance=instance).run_id
        return run_id, [entry.message for entry in instance.all_logs(run_id)]


def test_its_dagster_yaml_goes_on_working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes are found under their old modules, with a warning; this release's `dagster.yaml` reads that history."""
    for module in ("event_log", "run_launcher"):
        monkeypatch.delitem(sys.modules, f"orchestration_project.{module}", raising=False)
    shutil.copy(RELEASE / "dagster.yaml", tmp_path)
    with pytest.warns(DeprecationWarning, match=r"^orchestration_project\.") as warned:
        run_id, events = sell(tmp_path)
    named = {str(warning.message).split()[0] for warning in warned}
    assert named == {"orchestration_project.event_log", "orchestration_project.run_launcher"}
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert [entry.message for entry in instance.all_logs(run_id)] == events
        assert instance.get_latest_materialization_event(dg.AssetKey("sold"))

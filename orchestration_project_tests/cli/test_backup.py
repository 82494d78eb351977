"""The commands of `backup`, from nothing to a restored machine, by an object store."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration_project.cli.main import main
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, project
from orchestration_project_tests.servers.warehouses import CHOICE, POSTGRES, SQLITE, place

pytestmark = pytest.mark.xdist_group("s3")
DAY, NEXT = "2024-01-15", "2024-01-16"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["backup", *arguments])


def test_from_the_second_place_alone(data_dir: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back up, lose everything, restore, verify, and load the next delivery: nothing is lost or loaded twice."""
    bench = Workbench(project(), data_dir)
    bench.drop("products", f"products_{DAY}.json", catalogue((1, "Tea", "drinks", 5.0)))
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("bad", quantity="x")))
    bench.run(job="products_job")
    bench.run(job="sales_job", first=DAY)
    monkeypatch.setenv("BACKUP_URL", s3)
    taken = run("now")
    assert (taken.exit_code, "all proven" in taken.output) == (0, True), taken.output
    listed = json.loads(run("list", "--json").stdout)
    assert (listed["place"], len(listed["backups"]), listed["damaged"]) == (s3, 1, {})
    assert "Backups at" in run("list").output
    proven = run("verify")
    assert (proven.exit_code, "all proven" in proven.output) == (0, True), proven.output

    refused = run("restore")
    assert (refused.exit_code, "nothing is overwritten" in refused.stderr) == (2, True)
    early = run("restore", "--at", "2020-01-01")
    assert (early.exit_code, "no backup of before" in early.stderr) == (2, True)
    shutil.rmtree(data_dir)
    restored = run("restore")
    assert restored.exit_code == 0, restored.output
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("bad", quantity="x")))
    bench.drop("sales", f"sales_{NEXT}.csv", sales(sale("A2", day=NEXT)))
    bench.run(job="sales_job", first=DAY, last=NEXT)
    assert bench.query("SELECT order_id FROM cleaned_sales ORDER BY 1") == [("A1",), ("A2",)]
    assert bench.query("SELECT count(*) FROM rejected_sales") == [(1,)]
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0


@pytest.mark.parametrize("kind", [SQLITE, POSTGRES])
def test_into_a_lake(
    data_dir: Path, s3: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, kind: str
) -> None:
    """One command makes a lake of a file's backup; it is proven, and the next delivery comes to it."""
    monkeypatch.delenv("WAREHOUSE_URL")
    monkeypatch.delenv("WAREHOUSE_DATA")
    bench = Workbench(project(), data_dir)
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("bad", quantity="x")))
    bench.run(job="sales_job", first=DAY)
    monkeypatch.setenv("BACKUP_URL", f"{data_dir.parent}/second" if kind == POSTGRES else s3)
    assert run("now").exit_code == 0
    shutil.rmtree(data_dir)
    if kind == POSTGRES:
        request.getfixturevalue("lake_servers")
    monkeypatch.setenv(CHOICE, kind)
    for name, value in zip(("WAREHOUSE_URL", "WAREHOUSE_DATA"), place(data_dir, kind), strict=True):
        monkeypatch.setenv(name, value)
    restored = run("restore")
    assert restored.exit_code == 0, restored.output
    assert "main.cleaned_sales: 1 rows are equal on both sides" in restored.output
    assert not (data_dir / "warehouse.duckdb").exists()
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0
    bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), sale("bad", quantity="x")))
    bench.drop("sales", f"sales_{NEXT}.csv", sales(sale("A2", day=NEXT)))
    bench.run(job="sales_job", first=DAY, last=NEXT)
    with Warehouse.from_settings(Settings.from_env()).connection("test", read_only=True) as lake:
        assert lake.execute("SELECT order_id FROM cleaned_sales ORDER BY 1").fetchall() == [("A1",), ("A2",)]
        assert lake.execute("SELECT count(*) FROM rejected_sales").fetchall() == [(1,)]
    again = run("restore")
    assert (again.exit_code, "is there already, and nothing is overwritten" in again.stderr) == (2, True)


def test_an_empty_place(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has backed up there is nothing to list, and nothing to restore."""
    monkeypatch.setenv("BACKUP_URL", str(tmp_path / "vault"))
    assert run("list").exit_code == 1
    assert "has no backup" in run("restore").stderr


def test_without_a_place(data_dir: Path) -> None:
    """Each command says what to set."""
    for arguments in (["now"], ["list"], ["verify"], ["restore"]):
        result = run(*arguments)
        assert (result.exit_code, "BACKUP_URL is not set" in result.stderr) == (2, True)


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "2024-01-15T99:00"])
def test_what_is_no_date(text: str, data_dir: Path) -> None:
    """A mistyped moment is an error that shows how one looks."""
    result = run("restore", "--at", text)
    assert (result.exit_code, "nor a moment like 2024-01-15T08:00" in result.stderr) == (2, True)

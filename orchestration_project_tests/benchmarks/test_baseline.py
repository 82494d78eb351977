"""The hand-written script makes what the platform makes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from benchmarks import baseline, data
from benchmarks.session import CATALOGUE, SALES
from benchmarks.shop.definitions import defs
from orchestration_project.defs.product_marts.queries import CATALOGUE as CLEANED_PRODUCTS
from orchestration_project.defs.product_marts.queries import SOURCES
from orchestration_project_tests.components.workbench import Workbench

DAYS, ROWS = data.days(3), 2000
LEDGER = "file sha256 bytes records cleaned rejected".split()


@pytest.fixture(scope="module")
def warehouses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouses `baseline` and `platform`, made of the same files."""
    folder = tmp_path_factory.mktemp("baseline")
    for day in DAYS:
        data.make_sales(folder / "platform/landing/sales", day, ROWS)
    data.make_catalogue(folder / "platform/landing/products", DAYS[0])
    shutil.copytree(folder / "platform", folder / "baseline", copy_function=shutil.copy2)
    baseline.main(folder / "baseline")
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(defs(), folder / "platform", instance)
        bench.run(*SALES, *CATALOGUE, first=str(DAYS[0]), last=str(DAYS[-1]))
    with duckdb.connect() as connection:
        for name in ("baseline", "platform"):
            connection.execute(f"ATTACH '{folder / name / 'warehouse.duckdb'}' AS {name} (READ_ONLY)")
        yield connection


@pytest.mark.parametrize("table", SALES)
def test_tables_of_sales_are_equal(table: str, warehouses: duckdb.DuckDBPyConnection) -> None:
    """They have the same columns, types and rows."""
    assert columns(warehouses, "baseline", table) == columns(warehouses, "platform", table)
    assert difference(warehouses, table, ", ".join(columns(warehouses, "platform", table))) == []
    assert warehouses.execute(f"SELECT count(*) > 0 FROM baseline.{table}").fetchall() == [(True,)]


@pytest.mark.parametrize(
    ("table", "names"),
    [
        pytest.param(CLEANED_PRODUCTS, [*SOURCES[CLEANED_PRODUCTS]], id="catalogue"),
        pytest.param("file_ledger", LEDGER, id="ledger"),
    ],
)
def test_what_the_baseline_keeps_of_the_others_is_equal(
    table: str, names: list[str], warehouses: duckdb.DuckDBPyConnection
) -> None:
    """The script has fewer columns of the catalogue and the ledger, with the same values in them."""
    assert difference(warehouses, table, ", ".join(names)) == []


def test_both_archive_the_same_files(warehouses: duckdb.DuckDBPyConnection) -> None:
    """Nothing is left in landing, and the archives have the same names."""
    roots = [
        Path(path).parent
        for (path,) in warehouses.execute("SELECT path FROM duckdb_databases() WHERE path IS NOT NULL").fetchall()
    ]
    archived = [sorted(str(path.relative_to(root)) for path in root.glob("archive/*/[!.]*/*.*")) for root in roots]
    assert len(archived) == 2
    assert archived[0] == archived[1]
    assert len(archived[0]) == len(DAYS) + 1
    assert [path for root in roots for path in root.glob("landing/*/*")] == []


def columns(connection: duckdb.DuckDBPyConnection, warehouse: str, table: str) -> dict[str, str]:
    rows = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = $1 AND table_name = $2",
        [warehouse, table],
    ).fetchall()
    return dict(rows)


def difference(connection: duckdb.DuckDBPyConnection, table: str, names: str) -> list[tuple[object, ...]]:
    """Rows that one of both has and the other has not, or more often."""
    ours, theirs = (f"SELECT {names} FROM {name}.{table}" for name in ("platform", "baseline"))
    return connection.execute(f"({ours} EXCEPT ALL {theirs}) UNION ALL ({theirs} EXCEPT ALL {ours}) LIMIT 5").fetchall()

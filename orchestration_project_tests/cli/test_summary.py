"""The summary that `make run` ends with."""

import datetime as dt
from io import StringIO
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from orchestration_project.cli.summary import render_summary
from orchestration_project.settings import Settings
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, project

DAY, NEXT = "2024-01-15", "2024-01-16"
BEFORE = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def printed(data_dir: Path, since: dt.datetime | None = None, width: int = 300) -> str:
    out = StringIO()
    render_summary(Console(file=out, width=width), Settings(data_dir=data_dir), since)
    return out.getvalue()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with two days of sales, a refused file and a catalogue."""
    data_dir = tmp_path_factory.mktemp("summary")
    wrong = [sale(f"B{number}", channel="fax", quantity=0, price="-1", product="", day=NEXT) for number in range(2)]
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), data_dir, instance)
        bench.drop("products", "products.json", catalogue((1, "[red]Kettle[/]", "Kitchen", 20.0)))
        bench.run(job="products_job")
        bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1", price="1234.50"), sale("A2", product=9)))
        bench.drop(
            "sales", f"sales_{NEXT}.csv", sales(*wrong, sale("B7", day=NEXT), sale("B8", quantity="x", day=NEXT))
        )
        bench.drop("sales", f"other_{NEXT}.csv", "no such columns\n1\n")
        bench.run(job="sales_job", first=DAY, last=NEXT)
    return data_dir


def test_batches(loaded: Path) -> None:
    """Each batch shows rows in, cleaned, blank, rejected and open ones, the most frequent reasons and refused files."""
    lines = {line.split()[0]: line for line in printed(loaded).splitlines() if "2024-01-1" in line}
    assert lines[DAY].split() == [DAY, "2", "2", "0", "0", "0"]
    assert lines[NEXT].split()[:6] == [NEXT, "4", "1", "0", "3", "3"]
    assert "channel: enum 2, product_id: required 2, 3 more, 1 file(s) in quarantine" in lines[NEXT]


def test_top_products(loaded: Path) -> None:
    """The products that earned most come first; names are text, not markup."""
    text = printed(loaded)
    assert "[red]Kettle[/]" in text
    assert text.index("2,479.00") < text.index("not in the catalogue")


def test_news(loaded: Path) -> None:
    """With a moment given it tells what came in since, or that nothing did."""
    assert "New files  3 loaded, 1 quarantined" in printed(loaded, BEFORE)
    assert "Nothing new" in printed(loaded, dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    assert "Nothing new" not in printed(loaded)


def test_places(loaded: Path) -> None:
    """It ends with where the warehouse, the report and the UI are."""
    assert str(loaded / "warehouse.duckdb") in printed(loaded)
    assert str(loaded / "reports" / "index.html") in printed(loaded)
    assert "http://127.0.0.1:3000" in printed(loaded)


def test_no_warehouse_yet(tmp_path: Path) -> None:
    """Before the first run it says how to make one, and makes no file."""
    assert "There is no warehouse" in printed(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_warehouse(tmp_path: Path) -> None:
    """A warehouse without files is said to be empty."""
    with dg.DagsterInstance.ephemeral() as instance:
        Workbench(project(), tmp_path, instance).run("product_warehouse")
    assert "no files yet" in printed(tmp_path)

"""The asset `sales_report`, where its pages are kept, and the charts that loads and marts show of their newest days."""

import datetime as dt
import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project import defs
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.project import component_tree
from orchestration_project.components.resources import Platform
from orchestration_project.defs.sales_report.report import build_report, put
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, materializations, project, value

DAY, NEXT = "2024-01-15", "2024-01-16"
NOW = dt.datetime(2024, 1, 17, 8, 30, tzinfo=dt.UTC)
LARGEST_CHART = 20_000
IMAGE = "](data:image/svg+xml;base64,"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workbench, dg.ExecuteInProcessResult]]:
    """Two days of sales and a catalogue, loaded by the feeds' jobs."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), tmp_path_factory.mktemp("delivery"), instance)
        bench.drop("products", "products.json", catalogue((1, "<script>Kettle</script>", "Kitchen", 20.0)))
        bench.run(job="products_job")
        bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1", price="1234.50"), sale("bad", quantity="x")))
        secret = sale("B1", day=NEXT, customer="C-SECRET", channel="fax")
        bench.drop("sales", f"sales_{NEXT}.csv", sales(secret, sale("B2", day=NEXT), sale("B3", day=NEXT)))
        yield bench, bench.run(job="sales_job", first=DAY, last=NEXT)


Loaded = tuple[Workbench, dg.ExecuteInProcessResult]


def test_the_feeds_job_makes_the_report(loaded: Loaded) -> None:
    """After a load the report is there, with the numbers of that load and nothing personal."""
    bench, result = loaded
    metadata = materializations(result, "sales_report")[None].metadata
    path = bench.data_dir / "reports" / "index.html"
    page = path.read_text(encoding="utf-8")
    assert value(metadata, "path") == str(path)
    assert value(metadata, "link") == path.as_uri()
    assert value(metadata, "bytes") == len(page.encode())
    assert value(metadata, "open_rejects") == 2
    assert "**2,489.00** revenue, 6 units of 1 products, 2024-01-15 to 2024-01-16." in value(metadata, "summary")
    assert IMAGE in value(metadata, "summary")
    assert "2,489.00" in page
    assert "&lt;script&gt;Kettle&lt;/script&gt;" in page
    assert "C-SECRET" not in page
    assert (path.parent / f"sales_report_{NEXT}.html").read_text(encoding="utf-8") == page


def test_the_same_warehouse_gives_the_same_page(loaded: Loaded, tmp_path: Path) -> None:
    """At the same moment the report of the same tables has the same bytes."""
    bench, _ = loaded
    with component_tree(defs, REPOSITORY) as tree:
        feeds = feeds_of(tree)
    platform = Platform(data_dir=str(tmp_path), warehouse_url=f"duckdb:///{bench.data_dir / 'warehouse.duckdb'}")
    pages = []
    with warnings.catch_warnings():
        # As `load_from_defs_folder` does: Dagster uses what it warns of.
        warnings.simplefilter("ignore", dg.BetaWarning)
        asset = build_report(feeds, lambda: NOW)
    for _ in range(2):
        assert dg.materialize([asset], resources={"platform": platform}).success
        pages.append((tmp_path / "reports" / "index.html").read_bytes())
    assert pages[0] == pages[1]
    assert b"2024-01-17 08:30 UTC" in pages[0]


def test_an_empty_warehouse(tmp_path: Path) -> None:
    """Before the first file the report says that there is nothing."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), tmp_path, instance)
        result = bench.run("sales_report")
    assert value(materializations(result, "sales_report")[None].metadata, "summary") == "Nothing has been sold yet."
    assert "Nothing has been sold yet" in (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["index.html"]


@pytest.mark.parametrize(
    ("asset", "name"),
    [
        pytest.param("cleaned_sales", "Cleaned rows per batch day", id="cleaned"),
        pytest.param("rejected_sales", "Share of rejected records per batch day", id="rejected"),
        pytest.param("product_daily_sales", "Revenue per day", id="mart"),
    ],
)
def test_a_run_shows_its_newest_days_once(loaded: Loaded, asset: str, name: str) -> None:
    """The chart, with its text, is told with the last batch of a run and no other; it is small."""
    _, result = loaded
    events = materializations(result, asset)
    chart = value(events[NEXT].metadata, "newest_days")
    assert "newest_days" not in events[DAY].metadata
    assert chart.startswith(f"![{name}, {DAY} to {NEXT}; lowest ")
    assert IMAGE in chart
    assert len(chart) < LARGEST_CHART


def test_numbers_of_a_load(loaded: Loaded) -> None:
    """How long a load took is told once; reasons have their share of the rejected records."""
    _, result = loaded
    raw, rejected = materializations(result, "raw_sales"), materializations(result, "rejected_sales")
    assert value(raw[NEXT].metadata, "seconds") > 0
    assert "seconds" not in raw[DAY].metadata
    assert value(rejected[DAY].metadata, "rejects_by_reason") == [
        {"reason": "quantity: type", "records": 1, "share": 1.0}
    ]


def test_one_day_is_no_chart(loaded: Loaded, tmp_path: Path) -> None:
    """A snapshot feed, and a feed with a single batch, have nothing to compare."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), tmp_path, instance)
        bench.drop("products", "products.json", catalogue((1, "Kettle", "Kitchen", 20.0)))
        result = bench.run(job="products_job")
    metadata = materializations(result, "cleaned_products")[None].metadata
    assert "seconds" in metadata
    assert "newest_days" not in metadata


def kept(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_the_newest_is_the_index_and_days_keep_their_last_one(tmp_path: Path) -> None:
    """A report replaces that of its day and the index; those of other days stay."""
    for page, day in (
        ("one", dt.date(2024, 1, 15)),
        ("one, better", dt.date(2024, 1, 15)),
        ("twö", dt.date(2024, 1, 16)),
    ):
        assert put(tmp_path / "reports", page, day) == tmp_path / "reports" / "index.html"
    assert kept(tmp_path / "reports") == {
        "index.html": "twö",
        "sales_report_2024-01-15.html": "one, better",
        "sales_report_2024-01-16.html": "twö",
    }


def test_without_sales_there_is_no_dated_copy(tmp_path: Path) -> None:
    """A report that tells of no day has no day to be kept under."""
    put(tmp_path, "empty", None)
    assert kept(tmp_path) == {"index.html": "empty"}


def test_a_write_that_fails_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody ever sees half a report: what can't be written leaves the old one, and nothing else, behind."""
    put(tmp_path, "old", None)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestration_project.storage.archive.os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        put(tmp_path, "new", None)
    assert kept(tmp_path) == {"index.html": "old"}

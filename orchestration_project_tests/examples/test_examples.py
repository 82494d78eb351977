"""The examples: feeds and a mart made of a contract or a SELECT and a `defs.yaml`, on files that nobody here wrote."""

import csv
import datetime as dt
import io
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration_project.components.file_feed import FileFeed
from orchestration_project.contracts import load_feed
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.components.workbench import (
    REPOSITORY,
    Workbench,
    evaluations,
    feeds,
    materializations,
)
from orchestration_project_tests.reliability.evidence import effort

SHARED = REPOSITORY.parent / "shared" / "data"
EXAMPLES = REPOSITORY / "examples"


def shared_files(folder: str) -> list[Path]:
    """The files of a real data set; the test is skipped when it is not beside the checkout."""
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the data set {folder} is not beside the checkout ({SHARED / folder})")
    return sorted((SHARED / folder).glob("*.csv"))


def folder_of(example: str) -> dict[str, str]:
    """The files of an example, as a person copies them."""
    return {path.name: path.read_text(encoding="utf-8") for path in (EXAMPLES / example).iterdir() if path.is_file()}


@pytest.fixture
def online_retail(tmp_path: Path) -> Iterator[Workbench]:
    names = ("online_retail", "country_daily_revenue")
    with feeds(**{name: folder_of(name) for name in names}) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, tmp_path, instance)


def test_online_retail_by_its_job(online_retail: Workbench) -> None:
    """A few days are loaded by the feed's job: every row is accounted for, cancellations count."""
    files = shared_files("online_retail")[:3]
    for file in files:
        online_retail.drop("online_retail", file.name, file.read_bytes())
    days = [file.stem.removeprefix("sales_") for file in files]
    result = online_retail.run(job="online_retail_job", first=days[0], last=days[-1])
    failed = {item.check_name for item in result.get_asset_check_evaluations() if not item.passed}
    assert failed <= {"newest_batch", "known_customers"}
    rows = sum(file.read_bytes().count(b"\n") - 1 for file in files)
    assert online_retail.query("SELECT count(*) FROM cleaned_online_retail") == [(rows,)]
    assert online_retail.query("SELECT count(*) > 0 FROM cleaned_online_retail WHERE invoice_no LIKE 'C%'") == [(True,)]


Countries = dict[tuple[str, str], tuple[int, int, Decimal]]


def by_country(texts: Iterable[tuple[str, str]]) -> Countries:
    """Invoices, units and revenue of each day and country, added up line by line from the texts of days' files."""
    invoices: dict[tuple[str, str], set[str]] = defaultdict(set)
    units: dict[tuple[str, str], int] = defaultdict(int)
    revenue: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for day, text in texts:
        for line in csv.DictReader(io.StringIO(text)):
            key = day, line["Country"]
            invoices[key].add(line["InvoiceNo"])
            units[key] += int(line["Quantity"])
            revenue[key] += int(line["Quantity"]) * Decimal(line["UnitPrice"])
    return {key: (len(invoices[key]), units[key], revenue[key]) for key in invoices}


def made_by_country(bench: Workbench) -> Countries:
    """What the mart says."""
    rows = bench.query("SELECT _batch_date::VARCHAR, country, invoices, units, revenue FROM country_daily_revenue")
    return {(day, country): tuple(figures) for day, country, *figures in rows}


def invoices(*lines: str) -> str:
    return "\n".join(["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country", *lines, ""])


FIRST, NEXT = "2010-12-01", "2010-12-02"
LINES = {
    FIRST: invoices(
        "536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom",
        "536365,71053,LANTERN,6,2010-12-01 08:26:00,3.395,17850.0,United Kingdom",
        "536370,22728,ALARM CLOCK,24,2010-12-01 08:45:00,3.75,12583.0,France",
    ),
    NEXT: invoices(
        "536598,21421,ROSE,12,2010-12-02 07:48:00,1.25,13090.0,United Kingdom",
        "C536606,22728,ALARM CLOCK,-24,2010-12-02 09:00:00,3.75,12583.0,France",
    ),
}


def test_revenue_by_country(online_retail: Workbench) -> None:
    """The feed's job makes the mart too: a row a day and country, with the sums of the files; its check passes."""
    for day, text in LINES.items():
        online_retail.drop("online_retail", f"sales_{day}.csv", text)
    result = online_retail.run(job="online_retail_job", first=FIRST, last=NEXT)
    assert made_by_country(online_retail) == by_country(LINES.items())
    assert made_by_country(online_retail)[NEXT, "France"] == (1, -24, Decimal("-90.000"))
    assert evaluations(result)["matches_cleaned_online_retail"].passed
    told = materializations(result, "country_daily_revenue")
    assert {day: event.metadata["dagster/partition_row_count"].value for day, event in told.items()} == {
        FIRST: 2,
        NEXT: 2,
    }
    assert str(told[NEXT].metadata["newest_days"].value).startswith(f"![Revenue per day, {FIRST} to {NEXT};")


def test_a_corrected_day_changes_its_countries(online_retail: Workbench) -> None:
    """A corrected file is found by the check before the mart is made again, and in the mart afterwards."""
    for day, text in LINES.items():
        online_retail.drop("online_retail", f"sales_{day}.csv", text)
    online_retail.run(job="online_retail_job", first=FIRST, last=NEXT)
    corrected = {**LINES, FIRST: LINES[FIRST].replace(",24,", ",12,")}
    online_retail.drop("online_retail", f"sales_{FIRST}.csv", corrected[FIRST])
    online_retail.run("raw_online_retail", "cleaned_online_retail", "rejected_online_retail", first=FIRST)
    check = ("country_daily_revenue", "matches_cleaned_online_retail")
    found = online_retail.check(check, first=NEXT)[check[1]]
    assert not found.passed
    assert (found.description or "").endswith(f"materialize country_daily_revenue again: {FIRST}")
    result = online_retail.run("country_daily_revenue", first=NEXT)
    assert set(materializations(result, "country_daily_revenue")) == {FIRST, NEXT}
    assert made_by_country(online_retail) == by_country(corrected.items())


def test_revenue_by_country_of_real_files(online_retail: Workbench) -> None:
    """Ten days of a real shop: each country's invoices, units and revenue are those that its files add up to."""
    files = shared_files("online_retail")[:10]
    days = [file.stem.removeprefix("sales_") for file in files]
    for file in files:
        online_retail.drop("online_retail", file.name, file.read_bytes())
    result = online_retail.run(job="online_retail_job", first=days[0], last=days[-1])
    assert evaluations(result)["matches_cleaned_online_retail"].passed
    texts = [(day, file.read_text(encoding="utf-8")) for day, file in zip(days, files, strict=True)]
    assert made_by_country(online_retail) == by_country(texts)
    assert len({country for _, country in made_by_country(online_retail)}) > 5


def test_all_of_online_retail_reconciles(tmp_path: Path) -> None:
    """All 219 files in one load: the sums are those that were measured outside, to the tenth of a penny."""
    landing = tmp_path / "landing" / "online_retail"
    landing.mkdir(parents=True)
    for file in shared_files("online_retail"):
        shutil.copy2(file, landing)
    attributes = {
        "contract": "online_retail.odcs.yaml",
        "batch_pattern": r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})",
    }
    spec = FileFeed.model_validate(attributes).spec_of(
        load_feed(EXAMPLES / "online_retail" / "online_retail.odcs.yaml")
    )
    settings = Settings(data_dir=tmp_path)
    days = [dt.date(2010, 12, 1) + dt.timedelta(days=number) for number in range(274)]
    load(Warehouse.from_settings(settings), settings, spec.feed, spec.options, Request(days), print)
    with duckdb.connect(str(settings.database)) as connection:
        found = connection.execute(
            """SELECT count(*), count(DISTINCT invoice_no), count(*) FILTER (customer_id IS NULL),
               count(*) FILTER (description IS NULL), count(*) FILTER (quantity < 0), count(*) FILTER (unit_price = 0),
               count(*) FILTER (unit_price < 0), count(*) FILTER (invoice_no LIKE 'C%'), sum(line_amount),
               sum(line_amount) FILTER (quantity > 0 AND unit_price > 0 AND invoice_no NOT LIKE 'C%')
               FROM cleaned_online_retail"""
        ).fetchone()
        rejected = connection.execute("SELECT count(*) FROM rejected_online_retail").fetchone()
    assert rejected == (0,)
    assert found == (
        320_705,
        16_459,
        88_652,
        1_161,
        6_772,
        1_797,
        2,
        5_847,
        Decimal("5761931.382"),
        Decimal("6304826.062"),
    )
    assert len(list((tmp_path / "archive" / "online_retail").glob("20*/**/*.csv"))) == 219


def divided_online_retail() -> dict[str, str]:
    """The example, whose files may span days: the column of the invoice tells the day."""
    files = folder_of("online_retail")
    lines = files["defs.yaml"].splitlines()
    kept = [line for line in lines if "batch_pattern" not in line]
    return files | {"defs.yaml": "\n".join([*kept, "  batch_column: invoice_date", ""])}


def test_a_file_of_many_days_makes_the_marts_of_its_days(tmp_path: Path) -> None:
    """One file of two days, by the feed's job for the day on which it came: both days are in the mart, and proven."""
    mart = folder_of("country_daily_revenue")
    header, *_ = LINES[FIRST].splitlines()
    records = [line for text in LINES.values() for line in text.splitlines()[1:]]
    with (
        feeds(online_retail=divided_online_retail(), country_daily_revenue=mart) as defs,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        bench = Workbench(defs, tmp_path, instance)
        came = dt.datetime(2011, 1, 3, 12, tzinfo=dt.UTC)
        bench.drop("online_retail", "invoices.csv", "\n".join([header, *records, ""]), came.timestamp())
        result = bench.run(job="online_retail_job", first="2011-01-03")
        assert made_by_country(bench) == by_country(LINES.items())
        assert evaluations(result)["matches_cleaned_online_retail"].passed
        assert {FIRST, NEXT} <= set(materializations(result, "country_daily_revenue"))


def test_one_file_of_all_days_is_the_files_of_the_days(tmp_path: Path) -> None:
    """A real shop's days in one file give the rows that the files of the days give, batch by batch."""
    files = shared_files("online_retail")[: effort(30, 1000)]
    contract = load_feed(EXAMPLES / "online_retail" / "online_retail.odcs.yaml")
    pattern = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    folders = {"days": {"batch_pattern": pattern}, "whole": {"batch_column": "invoice_date"}}
    now = dt.datetime.now(dt.UTC)
    for name, attributes in folders.items():
        settings = Settings(data_dir=tmp_path / name)
        landing = settings.landing("online_retail")
        landing.mkdir(parents=True)
        if name == "days":
            for file in files:
                shutil.copy2(file, landing)
        else:
            header = files[0].read_bytes().split(b"\n")[0]
            records = (file.read_bytes().partition(b"\n")[2] for file in files)
            (landing / "year.csv").write_bytes(b"\n".join([header, b"".join(records)]))
        spec = FileFeed.model_validate({"contract": "online_retail.odcs.yaml", **attributes}).spec_of(contract)
        batching = spec.options.batching
        asked = (
            [dt.date.fromisoformat(file.stem[-10:]) for file in files] if name == "days" else [batching.current(now)]
        )
        load(Warehouse.from_settings(settings), settings, spec.feed, spec.options, Request(asked, now=now), print)
    with duckdb.connect(str(tmp_path / "days" / "warehouse.duckdb")) as connection:
        connection.execute(f"ATTACH '{tmp_path / 'whole' / 'warehouse.duckdb'}' AS whole (READ_ONLY)")
        for table in ("cleaned_online_retail", "rejected_online_retail"):
            divided, whole = (
                f"SELECT * EXCLUDE (_file, _file_version, _row{hidden}) FROM {place}{table}"
                for hidden in [", _reject_id, _rejected_at" if table.startswith("rejected") else ""]
                for place in ("main.", "whole.main.")
            )
            for one, other in ((divided, whole), (whole, divided)):
                assert connection.execute(f"{one} EXCEPT ALL {other}").fetchall() == []
        assert connection.execute("SELECT count(DISTINCT _batch_date) FROM cleaned_online_retail").fetchone() == (
            len(files),
        )


def test_examples_are_defs_with_a_contract_or_a_select() -> None:
    """An example holds no Python, but for what stands outside of the platform: a reader, a server of an API."""
    outside = {"revenue.py", "server.py"}
    files = (Path(folder, name) for folder, _, names in os.walk(EXAMPLES) for name in names)
    found = {path.suffix for path in files if path.name not in outside and path.parent.name != "__pycache__"}
    assert found <= {".yaml", ".sql", ".md", ".xlsx"}

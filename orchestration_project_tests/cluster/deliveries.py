"""What the cluster of `make cluster` is given, and the figures that its tables must have then, found without DuckDB."""

import csv
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from orchestration_project.sample.defects import SampleFile, SampleSpec
from orchestration_project.sample.files import generate
from orchestration_project_tests.cluster.machines import DEFINITIONS
from orchestration_project_tests.components.workbench import REPOSITORY

RETAIL = "online_retail"
RETAIL_MODULES = {
    "pyproject.toml": '[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "retail"\n',
    "retail/__init__.py": "",
    "retail/defs/__init__.py": "",
    "retail/definitions.py": (
        "from pathlib import Path\n\nfrom dagster import definitions, load_from_defs_folder\n\n\n"
        "@definitions\ndef defs():\n    return load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    ),
}
SETTLED_SECONDS = 3600
SAMPLE_FIGURES = """SELECT
    (SELECT count(*) FROM raw_sales), (SELECT count(*) FROM cleaned_sales), (SELECT count(*) FROM rejected_sales),
    (SELECT count(*) FROM cleaned_products), (SELECT sum(total_amount) FROM cleaned_sales),
    (SELECT sum(revenue) FROM product_daily_sales)"""
RETAIL_FIGURES = """SELECT
    (SELECT count(*) FROM cleaned_online_retail), (SELECT count(DISTINCT invoice_no) FROM cleaned_online_retail),
    (SELECT count(*) FROM rejected_online_retail), (SELECT sum(line_amount) FROM cleaned_online_retail),
    (SELECT sum(revenue) FROM country_daily_revenue)"""


@dataclass(frozen=True)
class Delivery:
    """Files, the project that loads them, and what comes of them.

    Attributes:
        folder: with a folder of files for each feed.
        files: how many there are.
        root: the project's folder.
        definitions: the module with its definitions.
        query: SELECT of one row of figures.
        figures: that row, by the names of its values.
    """

    folder: Path
    files: int
    root: Path
    definitions: str
    query: str
    figures: Mapping[str, Decimal]

    def deliver(self, landing: Path) -> None:
        """Put all files into landing, as if they had come an hour ago."""
        settled = time.time() - SETTLED_SECONDS
        for file in sorted(self.folder.glob("*/*")):
            target = landing / file.relative_to(self.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
            os.utime(target, (settled, settled))


def sample(folder: Path) -> Delivery:
    """The sample, made anew: its generator tells which records it damaged."""
    files = generate(SampleSpec(), folder).files
    sales = [file for file in files if file.feed == "sales"]
    revenue = sum((_revenue(folder / file.feed / file.name, file) for file in sales), Decimal(0))
    figures: dict[str, int | Decimal] = {
        "sales records": sum(file.records for file in sales),
        "cleaned sales": sum(file.cleaned for file in sales),
        "rejected sales": sum(len(file.rejected) for file in sales),
        "cleaned products": sum(file.cleaned for file in files if file.feed == "products"),
        "revenue of the sales": revenue,
        "revenue in the mart": revenue,
    }
    exact = {name: Decimal(value) for name, value in figures.items()}
    return Delivery(folder, len(files), REPOSITORY, DEFINITIONS, SAMPLE_FIGURES, exact)


def _revenue(path: Path, file: SampleFile) -> Decimal:
    """The sum over a file's good records."""
    total = Decimal(0)
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    quantity, price = header.split(",").index("quantity"), header.split(",").index("unit_price")
    for number, line in enumerate(lines, 1):
        # Blank lines and lines of empty fields have numbers, too. No good record has a quote in it.
        if number not in file.rejected and line.strip(","):
            fields = line.split(",")
            total += int(fields[quantity]) * Decimal(fields[price])
    return total


def online_retail(source: Path, folder: Path) -> Delivery:
    """The files of Online Retail, in a project that has the two examples about them."""
    for name, text in RETAIL_MODULES.items():
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(text, encoding="utf-8")
    for example in (RETAIL, "country_daily_revenue"):
        target = folder / "project" / "retail" / "defs" / example
        target.mkdir(parents=True)
        for file in REPOSITORY.joinpath("examples", example).iterdir():
            if file.suffix in (".yaml", ".sql"):
                shutil.copy(file, target)
    files = sorted(source.glob("sales_*.csv"))
    target = folder / "files" / RETAIL
    target.mkdir(parents=True)
    invoices, records, revenue = set(), 0, Decimal(0)
    for file in files:
        shutil.copy(file, target)
        with file.open(encoding="utf-8", newline="") as lines:
            for record in csv.DictReader(lines):
                records += 1
                invoices.add(record["InvoiceNo"])
                revenue += int(record["Quantity"]) * Decimal(record["UnitPrice"])
    figures: dict[str, int | Decimal] = {
        "records": records,
        "invoices": len(invoices),
        "rejected records": 0,
        "revenue of the invoices": revenue,
        "revenue in the mart": revenue,
    }
    exact = {name: Decimal(value) for name, value in figures.items()}
    return Delivery(folder / "files", len(files), folder / "project", "retail.definitions", RETAIL_FIGURES, exact)

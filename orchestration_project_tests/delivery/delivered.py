"""A small shop whose cleaned table is delivered, and what a reader of delivered files sees."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from orchestration_project.contracts.feed import Required
from orchestration_project.delivery.deliver import Comparison, Delivered, compare, deliver, work_folder
from orchestration_project.delivery.file_formats import FORMATS
from orchestration_project.delivery.source import Personal, Selection
from orchestration_project.delivery.targets import TargetConfig, open_target
from orchestration_project.storage.objects import ObjectStore, open_objects
from orchestration_project_tests.ingest.shop import Shop, column, feed, named

TABLE = "cleaned_f"
CONTRACT = feed(
    column("id", "VARCHAR", Required()),
    column("amount", "DECIMAL(18,2)"),
    column("buyer", "VARCHAR", personal=True, classification="personal"),
    primary_key=("id",),
)
HEAD = "id,amount,buyer\n"
PERSONAL = {"buyer": Personal.LEFT_OUT, "_rescued": Personal.LEFT_OUT}


def three_days(folder: Path) -> Shop:
    """A shop with two rows on each of three days."""
    shop = Shop(folder, CONTRACT)
    for number in (1, 2, 3):
        shop.deliver(named(number), f"{HEAD}{number}a,{number}.25,Ann\n{number}b,0.05,Ben\n")
    shop.load()
    return shop


def correct_day(shop: Shop, number: int) -> None:
    """New bytes for a day: one of its rows has another amount, and there is a third one."""
    shop.deliver(named(number), f"{HEAD}{number}a,100.50,Ann\n{number}b,0.05,Ben\n{number}c,7.00,Cem\n")
    shop.load()


@dataclass
class Outlet:
    """A delivery of the shop's table to files below an URL."""

    shop: Shop
    url: str
    format: str = "parquet"
    selection: Selection = field(default_factory=lambda: Selection(TABLE, PERSONAL, key=("_batch_date", "id")))

    def _with_target(self, work: Callable[[Any, Path], Any]) -> Any:
        with work_folder(self.shop.folder / "deliveries") as folder:
            for name in ("copies", "target"):
                (folder / name).mkdir()
            config = TargetConfig("test", self.url, self.format, work=folder / "target")
            return work(open_target(config), folder / "copies")

    def deliver(self) -> Delivered:
        """Deliver what has changed."""
        result: Delivered = self._with_target(
            lambda target, work: deliver(self.shop.warehouse, self.selection, target, work, "test")
        )
        return result

    def compare(self, parts: set[str] | None = None) -> Comparison:
        """Compare both sides."""
        result: Comparison = self._with_target(
            lambda target, _: compare(self.shop.warehouse, self.selection, target, parts, "test")
        )
        return result

    @property
    def store(self) -> ObjectStore:
        """Where the files are."""
        return open_objects(self.url)

    def manifest(self) -> dict[str, Any]:
        """The manifest that counts; without files where there is none."""
        keys = sorted(found.key for found in self.store.list(f"{self.selection.table}/manifest"))
        found: dict[str, Any] = json.loads(self.store.get(keys[-1])) if keys else {"number": 0, "files": []}
        return found

    def files(self) -> dict[str, bytes]:
        """The bytes of each part that counts."""
        table = self.selection.table
        return {file["part"]: self.store.get(f"{table}/{file['file']}") for file in self.manifest()["files"]}

    def objects(self) -> set[str]:
        """The keys of all objects."""
        return {found.key for found in self.store.list()}

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows that a reader sees who follows the manifest, by part, id and amount."""
        found = []
        for part, content in self.files().items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, f"part{FORMATS[self.format].ending}")
                path.write_bytes(content)
                found += [(part, key, Decimal(amount)) for key, amount in read_rows(path)]
        return sorted(found)

    def expected(self) -> list[tuple[Any, ...]]:
        """The same of the warehouse."""
        rows = self.shop.rows(
            f"SELECT _batch_date::VARCHAR AS part, id, amount FROM {self.selection.table} ORDER BY ALL"
        )
        return [tuple(row.values()) for row in rows]


def read_rows(path: Path) -> list[tuple[str, str]]:
    """Ids and amounts, as text, of a delivered file, read by somebody else than the platform."""
    if path.suffix == ".xlsx":
        import openpyxl

        head, *rows = openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True)
        return [(str(row[head.index("id")]), str(row[head.index("amount")])) for row in rows]
    if path.suffix == ".jsonl":
        lines = [json.loads(line, parse_float=Decimal) for line in path.read_text(encoding="utf-8").splitlines()]
        return [(line["id"], str(line["amount"])) for line in lines]
    options = {".csv": f"read_csv('{path}', all_varchar = true)", ".parquet": f"'{path}'"}
    return duckdb.sql(f"SELECT id, amount::VARCHAR FROM {options[path.suffix]}").fetchall()


def outlet(shop: Shop, url: str, format: str = "parquet", **selection: Any) -> Outlet:  # noqa: A002 - as in defs.yaml
    """A delivery, whose selection differs from the usual one."""
    made = Outlet(shop, url, format)
    made.selection = replace(made.selection, **selection)
    return made

"""What all parts of a session share: its folder, its sizes, and the commands as a person would type them."""

import datetime as dt
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SALES = ("raw_sales", "cleaned_sales", "rejected_sales", "product_daily_sales", "product_warehouse")
CATALOGUE = ("raw_products", "cleaned_products", "rejected_products")
SHOP = "benchmarks.shop.definitions"
PUBLISH = (str(BIN / "orchestration-project"), "publish")
HISTORY = "dagster_home"
MEMORY_LIMIT = "2GB"
"""DuckDB's, for the platform: large enough to work, far too small for ten million rows of text."""
SETTINGS = (
    *("ARCHIVE_URL", "AUTOMATION", "DAGSTER_", "DATA_DIR", "LANDING_URL", "MAX_FILE_BYTES", "PUBLISH", "SHARD"),
    *("WAREHOUSE_", "PYTHONDONTWRITEBYTECODE"),
)
"""How the names of variables begin that would change what is measured."""


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the benchmarks.

    Attributes:
        work: a folder that is gone afterwards.
        rows: records of the large loads; None: each part's own size.
        rounds: how often the main contenders run; None: each part's own number.
        full: also what takes long.
    """

    work: Path
    rows: int | None = None
    rounds: int | None = None
    full: bool = False

    @property
    def log(self) -> Path:
        """What the commands print."""
        return self.work / "output.log"

    def folder(self, name: str) -> Path:
        """An empty folder; what was in it before is gone."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def clear(self) -> None:
        """Take away what a part has left but for what other parts can use: files to load, and an empty history."""
        for path in self.work.iterdir():
            if path.is_dir() and not path.name.startswith(("files-", HISTORY)):
                shutil.rmtree(path)

    def files(self, rows: int, days: list[dt.date]) -> Path:
        """Landing folders with sales of some days, `rows` altogether, and a catalogue; they are made once a session."""
        folder = self.work / f"files-{rows}-{days[0]}-{len(days)}"
        if not folder.exists():
            half_done = self.folder(f"{folder.name}.part")
            for number, day in enumerate(days):
                data.make_sales(half_done / "sales", day, rows // len(days) + (number < rows % len(days)))
            data.make_catalogue(half_done / "products", days[0])
            half_done.rename(folder)
        return folder

    def data_dir(self, name: str, files: Path | None = None) -> Path:
        """An empty DATA_DIR into whose landing folders files were delivered.

        They are links: contenders rename files, but never write to them.
        """
        folder = self.folder(f"{name}/data")
        if files:
            shutil.copytree(files, folder / "landing", copy_function=os.link)
        return folder

    def dagster_home(self, name: str) -> Path:
        """A DAGSTER_HOME with an empty history, as the make targets make it."""
        from orchestration_project.components.run_launcher import make_history

        template = self.work / HISTORY
        if not template.exists():
            template.mkdir()
            shutil.copy(ROOT / "dagster.yaml", template)
            make_history(template)
        home = self.folder(f"{name}/home")
        return shutil.copytree(template, home, dirs_exist_ok=True)

    def environment(self, name: str) -> dict[str, str]:
        """The settings under which commands work in the DATA_DIR and DAGSTER_HOME of a name."""
        return {
            "DATA_DIR": str(self.work / name / "data"),
            "DAGSTER_HOME": str(self.work / name / "home"),
            "PYTHONPATH": str(ROOT),
        }


def materialize(module: str, assets: Iterable[str], days: list[dt.date]) -> list[str]:
    """The command that materializes assets for some days in a row."""
    chosen = ["--partition", str(days[0])] if len(days) == 1 else ["--partition-range", f"{days[0]}...{days[-1]}"]
    return [str(BIN / "dagster"), "asset", "materialize", "-m", module, "--select", ",".join(assets), *chosen]


def inherited() -> Mapping[str, str]:
    """The environment of this process, without settings of the platform."""
    environment = os.environ  # noqa: TID251 - the commands run as they would from this shell
    return {name: value for name, value in environment.items() if not name.startswith(SETTINGS)}

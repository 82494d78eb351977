"""Real files that lie beside the checkout, against contracts made by hand: those of this folder, or of `examples/`.

Belongs here: which files, and the right answers. They are no part of this project: without them nothing is scored.
"""

import datetime as dt
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.drafting.corpus import CONTRACTS
from benchmarks.drafting.score import Score, compared, run_new_feed
from benchmarks.session import ROOT
from orchestration_project.contracts import load_feed

DATA = ROOT.parent / "shared" / "data"
DAY = re.compile(r"(\d{4}-\d{2}(?:-\d{2})?)")


@dataclass(frozen=True, slots=True)
class SharedSet:
    """Files of `../shared/data`.

    Attributes:
        name: of the set, and of its right contract.
        pattern: which files, below `DATA`.
        cadence: how often they come.
        most_edits: how many edits a draft may need.
        says: what samples can't tell, see `score.says_of`.
        records: how many records of a Parquet file are taken, the first ones; None: all.
    """

    name: str
    pattern: str
    cadence: str
    most_edits: int
    says: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    records: int | None = None

    @property
    def files(self) -> list[Path]:
        """The files, the oldest first; none where the folder is not beside the checkout."""
        return sorted(DATA.glob(self.pattern))

    @property
    def contract(self) -> Path:
        """The right contract."""
        own = CONTRACTS / f"{self.name}.odcs.yaml"
        return own if own.exists() else ROOT / "examples" / self.name / own.name


SHARED = (
    SharedSet("online_retail", "online_retail/sales_2010-12-0[1-3].csv", "daily", 1),
    SharedSet(
        "nyc_taxi",
        "nyc_taxi/yellow_tripdata_sample_2018-0[1-2].csv",
        "monthly",
        8,
        {"congestion_surcharge": {"type": "no record"}},
    ),
    SharedSet("completejourney_transactions", "completejourney/transactions.parquet", "daily", 0, records=50_000),
    SharedSet("completejourney_products", "completejourney/products.parquet", "snapshot", 1),
)


def shared_score(item: SharedSet, folder: Path) -> Score:
    """The score of one set; its files are copied to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [_copied(path, folder, item.records) for path in item.files]
    done = run_new_feed(item.name, paths, folder / "draft")
    days = [_day(path.name) for path in paths]
    return compared(done, load_feed(item.contract), item.says, item.cadence, days, paths)


def _copied(path: Path, folder: Path, records: int | None) -> Path:
    if records is None:
        return Path(shutil.copy(path, folder))
    import duckdb

    with duckdb.connect() as connection:
        first = connection.from_parquet(str(path)).limit(records)
        first.write_parquet(str(folder / path.name))
    return folder / path.name


def _day(name: str) -> object:
    """The day that a file's name tells; None if it tells none."""
    found = DAY.search(name)
    if not found:
        return None
    return dt.date.fromisoformat(found[1] if len(found[1]) == len("2010-12-01") else f"{found[1]}-01")

"""Real files that lie beside the checkout, against the contracts that `examples/` has for them.

Belongs here: which files, and the right answers. They are no part of this project: without them nothing is scored.
"""

import datetime as dt
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drafting.score import Score, compared, run_new_feed
from benchmarks.session import ROOT
from orchestration_project.contracts import load_feed

DATA = ROOT.parent / "shared" / "data"
DAY = re.compile(r"(\d{4}-\d{2}(?:-\d{2})?)")


@dataclass(frozen=True, slots=True)
class SharedSet:
    """Files of `../shared/data`: their folder, which of them, how often they come, and the most edits of a draft."""

    folder: str
    pattern: str
    cadence: str
    most_edits: int
    says: Mapping[str, Mapping[str, str]]

    @property
    def files(self) -> list[Path]:
        """The files, the oldest first; none where the folder is not beside the checkout."""
        return sorted((DATA / self.folder).glob(self.pattern))


SHARED = (
    SharedSet("online_retail", "sales_2010-12-0[1-3].csv", "daily", 1, {}),
    SharedSet(
        "nyc_taxi",
        "yellow_tripdata_sample_2018-0[1-2].csv",
        "monthly",
        8,
        {"congestion_surcharge": {"type": "no record"}},
    ),
)


def shared_score(item: SharedSet, folder: Path) -> Score:
    """The score of one set; its files are copied to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [Path(shutil.copy(path, folder)) for path in item.files]
    feed = load_feed(ROOT / "examples" / item.folder / f"{item.folder}.odcs.yaml")
    done = run_new_feed(item.folder, paths, folder / "draft")
    days = [_day(path.name) for path in paths]
    return compared(done, feed, item.says, item.cadence, days, paths)


def _day(name: str) -> object:
    found = DAY.search(name)
    assert found
    return dt.date.fromisoformat(found[1] if len(found[1]) == len("2010-12-01") else f"{found[1]}-01")

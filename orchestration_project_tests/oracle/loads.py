"""What the tests against the oracle share: what a shop's tables tell of its files, and how many draws are tried."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from orchestration_project.contracts.feed import Feed
from orchestration_project_tests.ingest.shop import Shop
from orchestration_project_tests.oracle.oracle import BLANK, IGNORED, Cleaned, Outcome, Rejected
from orchestration_project_tests.reliability.evidence import effort


def thorough(usual: int) -> settings:
    """So many draws in the usual run, and many in the long form; the same ones each time."""
    return settings(
        max_examples=effort(usual, 300), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )


@contextmanager
def work_folder(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the shop of one draw; it is removed if all is well."""
    folder = factory.mktemp("oracle")
    yield folder
    # Each has a warehouse: those of the long form had 12 GB, and filled the disk.
    shutil.rmtree(folder)


def told_by(shop: Shop, feed: Feed, names: Collection[str]) -> dict[str, Outcome]:
    """What a shop tells of files that it has loaded: the rule that refused it, or what became of each record."""
    notes = shop.quarantine()
    told: dict[str, Any] = {name: notes[name]["rule"] if name in notes else {} for name in names}
    rule = "_ignored" if feed.ignored else "NULL AS _ignored"
    for row in shop.rows(f"SELECT _file, _row, {rule} FROM raw_f"):
        told[row["_file"]][row["_row"]] = IGNORED.format(row["_ignored"]) if row["_ignored"] else BLANK
    columns = [column.name for column in feed.columns]
    for row in shop.rows("FROM cleaned_f"):
        told[row["_file"]][row["_row"]] = Cleaned({name: row[name] for name in columns})
    for row in shop.rows("FROM rejected_f"):
        told[row["_file"]][row["_row"]] = Rejected(tuple(sorted(row["_reasons"])))
    return told

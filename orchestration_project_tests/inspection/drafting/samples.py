"""Sample files of the kinds that people have, and what is drafted from them."""

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestration_project.contracts import load_feed
from orchestration_project.contracts.feed import Feed
from orchestration_project.inspection.drafting.draft import Draft, draft
from orchestration_project.inspection.explain import found_file
from orchestration_project.settings import Settings

MODIFIED = dt.datetime(2024, 2, 1, tzinfo=dt.UTC).timestamp()


@dataclass(frozen=True)
class Drafted:
    """A draft, its contract as the platform reads it, and the attributes of its defs.yaml."""

    draft: Draft
    feed: Feed
    attributes: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The contract's text."""
        return self.draft.texts["f.odcs.yaml"]

    @property
    def types(self) -> dict[str, str]:
        """The columns' types by name."""
        return {column.name: column.sql_type for column in self.feed.columns}

    def comment(self, column: str, field: str) -> str:
        """What the draft says to a field of a column."""
        part = self.text.partition(f"- name: {column}\n")[2].partition("- name: ")[0]
        line = next(line for line in part.splitlines() if line.strip().startswith(f"{field}:"))
        return line.partition("# check: ")[2]


def drafted(folder: Path, *contents: str | bytes, names: tuple[str, ...] = ()) -> Drafted:
    """A draft from files with certain contents, for a day each unless their names are given."""
    files = []
    for number, content in enumerate(contents, start=1):
        path = folder / (names[number - 1] if names else f"s_2024-01-{number:02}.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (MODIFIED, MODIFIED))
        found = found_file(path)
        assert found
        files.append(found)
    made = draft(Settings(data_dir=folder, threads=1), "f", files)
    contract = folder / "f.odcs.yaml"
    contract.write_text(made.texts["f.odcs.yaml"], encoding="utf-8")
    return Drafted(made, load_feed(contract), yaml.safe_load(made.texts["defs.yaml"])["attributes"])


def table(**columns: list[str]) -> str:
    """Columns of the same length as CSV with semicolons, which need no quotes around commas."""
    rows = [";".join(columns), *(";".join(row) for row in zip(*columns.values(), strict=True))]
    return "\n".join(rows) + "\n"

"""The manifest: which files the published copy consists of, and what it was made of. It alone decides what counts.

Belongs here: the copy as plain data, to and from JSON. Does not belong here: how files are written.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from orchestration_project.errors import WarehouseError
from orchestration_project.warehouse.connection import Stamp

NAME = "manifest.json"
VIEWS = "warehouse.duckdb"
"""The file that readers open; what is in it is in `views`."""
FORMAT = 1
"""Of the manifest, the files and the views. With another one, all is made anew."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a table's batches, or all of its rows, in one file that never changes.

    Attributes:
        file: the path, relative to the folder of the copy.
        rows: how many rows it has.
    """

    file: str
    rows: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the copy.

    Attributes:
        schema, name: what it is called, in the warehouse and in the copy.
        columns: the DuckDB types by name, in order.
        parts: by their keys, in order.
    """

    schema: str
    name: str
    columns: Mapping[str, str]
    parts: Mapping[str, Part]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(part.rows for part in self.parts.values())


@dataclass(frozen=True, slots=True)
class Manifest:
    """A state of the copy.

    Attributes:
        number: grows with each state.
        published_at: when this state was made, in seconds since 1970.
        checked_at: when it was last found to be that of the warehouse, in seconds since 1970.
        warehouse: the stamp of the warehouse at that time.
        path: where readers find the folder of the copy.
        chosen: the setting that chose the tables.
        tables: the tables, in order.
        left_out: why a table could not be copied, by its name.
        among_runs: whether another run was under way: it may have written some of its tables and not yet the others.
        format: of this file.
    """

    number: int
    published_at: float
    checked_at: float
    warehouse: Stamp
    path: str
    chosen: str
    tables: Sequence[Table]
    left_out: Mapping[str, str] = field(default_factory=dict)
    among_runs: bool = False
    format: int = FORMAT

    @property
    def files(self) -> set[str]:
        """The files that count."""
        return {part.file for table in self.tables for part in table.parts.values()}

    def shows_the_same_as(self, other: "Manifest") -> bool:
        """Whether readers would see no difference."""
        same = replace(self, number=other.number, published_at=other.published_at, checked_at=other.checked_at)
        return replace(same, warehouse=other.warehouse, among_runs=other.among_runs) == other


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of the copy in a folder; None if there is none, or one of another release.

    Raises:
        WarehouseError: the file is damaged.
    """
    path = folder / NAME
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            return None
        tables = [
            Table(**{**table, "parts": {key: Part(**part) for key, part in table["parts"].items()}})
            for table in told.pop("tables")
        ]
        return Manifest(tables=tables, **told)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise WarehouseError(
            f"{path} is damaged ({error}): remove it and run `orchestration-project publish`, which makes it anew"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put a manifest in the place of the one before, at once."""
    new = folder / f".{NAME}.new"
    with new.open("w", encoding="utf-8") as file:
        # Not `dump`, which is written in Python: ten times as slow for the thousand files of some years.
        file.write(json.dumps(asdict(manifest), ensure_ascii=False, separators=(",", ":")))
        file.flush()
        # Else a power cut could leave the new name with no bytes.
        os.fsync(file.fileno())
    new.replace(folder / NAME)

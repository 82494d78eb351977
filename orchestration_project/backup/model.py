"""What a backup consists of, as plain data, and its form as JSON. No I/O.

    snapshots/20240116T020000000000Z     a `Snapshot`: when, and which objects it needs
        -> objects/3f/3fa9...            its `Catalogue`: which file, and which part of which table, is which object
        -> objects/07/07b1...            the files and parts themselves

An object's name is the SHA-256 of its bytes. So it never changes, equal contents are stored once, and whoever has an
object can tell whether it is whole. A snapshot is written last: without it no object counts.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestration_project.errors import PlatformError

FORMAT = 1
"""Of snapshots and catalogues. A release reads this one and all before it."""
STAMP = "%Y%m%dT%H%M%S%fZ"


class BackupError(PlatformError):
    """A backup can't be taken, read or restored."""


class BackupBroken(BackupError):
    """Something of a backup is missing or not what was put there."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with something of a backup, in words, and the object that is to blame; empty: none is."""

    told: str
    object: str = ""


class SourceChanged(BackupError):
    """A file changed or vanished while it was read for a backup."""

    transient = True


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the content of something is.

    Attributes:
        object: the object's name, the SHA-256 of its bytes.
        size: its bytes.
        sha256: of the content itself, before it was packed.
        how: how it was packed: `zst`, `age`, `zst+age`, or empty for as it is.
    """

    object: str
    size: int
    sha256: str
    how: str


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file: `data/...` of the data folder, `home/...` of Dagster's history; with its bytes and modification time."""

    path: str
    size: int
    mtime_ns: int
    stored: Stored


@dataclass(frozen=True, slots=True)
class SavedPart:
    """The rows of a batch of a table, as a Parquet file.

    Attributes:
        batch: the value of `_batch_date` as text; None: rows without one, or a table without batches.
        rows: how many.
        checksum: a sum of the hashes of all rows, which DuckDB computes.
        stored: where the file is.
    """

    batch: str | None
    rows: int
    checksum: str
    stored: Stored


@dataclass(frozen=True, slots=True)
class SavedTable:
    """A table of the warehouse: its columns with their DuckDB types, and the parts that have its rows."""

    schema: str
    name: str
    columns: Mapping[str, str]
    parts: tuple[SavedPart, ...]

    @property
    def full_name(self) -> str:
        """Schema and name."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that a snapshot has.

    Attributes:
        files: all files.
        tables: the warehouse's tables, those first that others refer to.
        ddl: the statements that make the warehouse's schema.
        duckdb: the version whose checksums they are.
    """

    files: tuple[SavedFile, ...] = ()
    tables: tuple[SavedTable, ...] = ()
    ddl: str = ""
    duckdb: str = ""

    @property
    def stored(self) -> list[Stored]:
        """Of all files and parts."""
        return [file.stored for file in self.files] + [part.stored for table in self.tables for part in table.parts]

    def to_json(self) -> bytes:
        """As JSON."""
        tables = [
            [
                table.schema,
                table.name,
                dict(table.columns),
                [[part.batch, part.rows, part.checksum, *_plain(part.stored)] for part in table.parts],
            ]
            for table in self.tables
        ]
        files = [[file.path, file.size, file.mtime_ns, *_plain(file.stored)] for file in self.files]
        plain = {"files": files, "tables": tables, "ddl": self.ddl, "duckdb": self.duckdb}
        return json.dumps({"format": FORMAT, **plain}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Catalogue":
        """The catalogue of such a JSON.

        Raises:
            BackupBroken: it is none.
        """
        try:
            found = json.loads(text)
            files = tuple(SavedFile(path, size, mtime, Stored(*rest)) for path, size, mtime, *rest in found["files"])
            tables = tuple(_table(*item) for item in found["tables"])
            return cls(files, tables, found["ddl"], found["duckdb"])
        except (ValueError, LookupError, TypeError) as error:
            raise BackupBroken(f"a backup's catalogue can't be read: {error}") from error


def _plain(stored: Stored) -> list[str | int]:
    return [stored.object, stored.size, stored.sha256, stored.how]


def _table(schema: str, name: str, columns: dict[str, str], parts: list[list[Any]]) -> SavedTable:
    saved = tuple(SavedPart(batch, rows, checksum, Stored(*rest)) for batch, rows, checksum, *rest in parts)
    return SavedTable(schema, name, columns, saved)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup.

    Attributes:
        id: its name, which sorts by time.
        taken_at: when the warehouse was read; with a time zone.
        release: of the platform that took it.
        platform: tells the deployment, so that two never share a place.
        sealed_for: the age recipients that can read it; empty: it is not encrypted.
        catalogue: where its catalogue is.
        objects: the bytes of every object that it needs, by name.
        files, tables, rows, content_bytes: how much it has; the bytes are those of the files, before they were packed.
    """

    id: str
    taken_at: dt.datetime
    release: str
    platform: str
    catalogue: Stored
    sealed_for: tuple[str, ...] = ()
    objects: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    tables: int = 0
    rows: int = 0
    content_bytes: int = 0

    @property
    def stored_bytes(self) -> int:
        """The bytes of all its objects, shared or not."""
        return sum(self.objects.values())

    def to_json(self) -> bytes:
        """As JSON."""
        names = ("id", "release", "platform", "files", "tables", "rows", "content_bytes")
        plain = {name: getattr(self, name) for name in names}
        plain |= {"taken_at": self.taken_at.isoformat(), "sealed_for": self.sealed_for}
        plain |= {"catalogue": _plain(self.catalogue), "objects": dict(self.objects)}
        return json.dumps({"format": FORMAT, **plain}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Snapshot":
        """The snapshot of such a JSON.

        Raises:
            BackupError: a newer release has made it.
            BackupBroken: it is none.
        """
        try:
            found = json.loads(text)
            if found.pop("format") > FORMAT:
                raise BackupError(
                    f"the backup {found['id']} was made by a newer release, {found['release']}: install that one"
                )
            found["taken_at"] = dt.datetime.fromisoformat(found["taken_at"])
            found["sealed_for"] = tuple(found["sealed_for"])
            return cls(**found | {"catalogue": Stored(*found["catalogue"])})
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise BackupBroken(f"it is no snapshot: {error}") from error

"""The manifest of delivered files: which files of a table count. Each version is an object of its own, never changed.

    <url>/product_daily_sales/
        manifest/00000041.json                         older versions, for readers that have just listed them
        manifest/00000042.json                         the highest number is what counts
        _batch_date=2024-03-01/5f0c...e1.parquet       named by 42
        _batch_date=2024-03-01/9a11...07.parquet       of an older version, or of a delivery that failed: counts no more

A version is made by the one operation of object stores that can only succeed once: to create an object that is not
there. So of two deliveries at once one has number 43 and the other one is refused, and a reader sees all of a version.

Belongs here: what a manifest says, as JSON and as plain data, and which objects nobody needs any more. No I/O.
"""

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from orchestration_project.delivery.model import WHOLE, Contents, Shape
from orchestration_project.errors import DeliveryError
from orchestration_project.storage.objects import StoredObject

FORMAT = 1
"""Of the manifest itself. A reader refuses a higher one."""
FOLDER = "manifest"
KEPT = dt.timedelta(days=1)
"""How long objects stay that count no more: a reader may have listed them just before."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that counts: its part with its content, its key below the table, its format, bytes and rows."""

    part: str
    content: str
    file: str
    format: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Retired:
    """A file that counts no more, and since when."""

    file: str
    since: dt.datetime


@dataclass(frozen=True, slots=True)
class Manifest:
    """A version of a table at a target.

    Attributes:
        table: the table's name.
        number: of the version, from 1; 0: nothing was delivered yet.
        columns: their types.
        files: the files that count, by part.
        retired: files of older versions that are still there.
        token: another one for each attempt to write a version, so that a writer knows its own.
    """

    table: str
    number: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    retired: Sequence[Retired] = ()
    token: str = ""

    @property
    def contents(self) -> Contents:
        """The content of each part."""
        return {part: file.content for part, file in self.files.items()}

    def with_files(self, shape: Shape, written: Iterable[File], removed: Iterable[str], now: dt.datetime) -> "Manifest":
        """The next version."""
        files = {part: file for part, file in self.files.items() if part not in {*removed}}
        files |= {file.part: file for file in written}
        gone = [file.file for part, file in self.files.items() if files.get(part) != file]
        kept = [item for item in self.retired if now - item.since < KEPT]
        return replace(
            self,
            number=self.number + 1,
            columns=dict(shape.columns),
            files=dict(sorted(files.items())),
            retired=[*kept, *(Retired(file, now) for file in gone)],
            token=uuid.uuid4().hex,
        )

    def to_json(self, now: dt.datetime) -> bytes:
        """As it is written."""
        told = {
            "format": FORMAT,
            "table": self.table,
            "number": self.number,
            "written_at": now.isoformat(),
            "columns": [{"name": name, "type": sql_type} for name, sql_type in self.columns.items()],
            "files": [asdict(file) for file in self.files.values()],
            "retired": [{"file": item.file, "since": item.since.isoformat()} for item in self.retired],
            "token": self.token,
        }
        return json.dumps(told, indent=1).encode()


def read_manifest(text: bytes, where: str) -> Manifest:
    """A manifest as it was written.

    Raises:
        DeliveryError: it is none, or one of a newer release.
    """
    try:
        told = json.loads(text)
        if told["format"] > FORMAT:
            raise DeliveryError(f"{where} was written by a newer release: deliver with that one")
        files = [File(**file) for file in told["files"]]
        return Manifest(
            told["table"],
            int(told["number"]),
            {column["name"]: column["type"] for column in told["columns"]},
            {file.part: file for file in files},
            [Retired(item["file"], dt.datetime.fromisoformat(item["since"])) for item in told["retired"]],
            told["token"],
        )
    except (ValueError, KeyError, TypeError):
        raise DeliveryError(
            f"{where} is no manifest: somebody has changed it. Delete it; the version before it counts then, and the"
            " next delivery brings what is newer"
        ) from None


def manifest_key(table: str, number: int) -> str:
    """The key of a version of a table's manifest."""
    return f"{table}/{FOLDER}/{number:08d}.json"


def number_of(key: str) -> int | None:
    """The version whose manifest has a key; None if it is no manifest's."""
    name = key.rpartition("/")[2].removesuffix(".json")
    return int(name) if name.isdecimal() and key.endswith(".json") else None


def file_key(part: str, batch: str | None, ending: str) -> str:
    """A key below the table that no file had before, in the folder of its part.

    2024-03-01 -> _batch_date=2024-03-01/5f0c...e1.parquet
    """
    name = f"{uuid.uuid4().hex}{ending}"
    # An hour has a blank and colons, which not every file system takes.
    return f"{part}/{name}" if part == WHOLE else f"{batch}={part.replace(' ', 'T').replace(':', '-')}/{name}"


def leftovers(manifest: Manifest, listed: Iterable[StoredObject], now: dt.datetime) -> Iterator[str]:
    """The keys of objects that nobody needs any more, of all that are listed below a table.

    What is younger than `KEPT` stays: it may be of a delivery that is under way.
    """
    needed = {f"{manifest.table}/{file.file}" for file in manifest.files.values()}
    needed |= {f"{manifest.table}/{item.file}" for item in manifest.retired if now - item.since < KEPT}
    folder = f"{manifest.table}/{FOLDER}/"
    versions: dict[int, StoredObject] = {}
    for found in listed:
        number = number_of(found.key) if found.key.startswith(folder) else None
        if number is not None:
            versions[number] = found
        elif found.key not in needed and now - found.modified_at >= KEPT:
            yield found.key
    # A version counts until the next one is there.
    for number, version in versions.items():
        following = versions.get(number + 1)
        if number < manifest.number and (following is None or now - following.modified_at >= KEPT):
            yield version.key

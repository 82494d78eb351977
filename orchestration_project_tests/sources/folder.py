"""A source for tests: a folder. It counts what is asked of it, and fails as it is told."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestration_project.errors import ItemGone, SourceDown, SourceError
from orchestration_project.sources.model import Fetched, Item


@dataclass
class FolderSource:
    """The files of a folder.

    Attributes:
        folder: where they are.
        names: the names in landing, by key; else the key itself.
        down: the keys of what can't be read since the source is down; `*`: it can't be listed.
        asked: the keys that were fetched.
        hides_versions: whether it tells neither versions nor times.
    """

    folder: Path
    names: dict[str, str] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    hides_versions: bool = False

    @property
    def url(self) -> str:
        """Where it is."""
        return self.folder.as_uri()

    def list(self, cursor: str | None) -> Iterator[Item]:  # noqa: ARG002 - files have no cursor
        """Its files."""
        if "*" in self.down:
            raise SourceDown("the folder does not answer")
        for number, path in enumerate(sorted(self.folder.iterdir())):
            status = path.stat()
            version, modified = f"{status.st_size}-{status.st_mtime_ns}", status.st_mtime
            moment = dt.datetime.fromtimestamp(int(modified), dt.UTC)
            if self.hides_versions:
                version, moment = f"{number} of {len(self.asked)}", None  # type: ignore[assignment]
            yield Item(path.name, version, self.names.get(path.name, path.name), status.st_size, moment)

    def fetch(self, item: Item, target: Path, limit: int) -> Fetched:
        """Copy a file."""
        self.asked.append(item.key)
        if item.key in self.down:
            raise SourceDown(f"{item.key}: the folder does not answer")
        if not (self.folder / item.key).is_file():
            raise ItemGone(f"{item.key} is not there any more")
        content = (self.folder / item.key).read_bytes()
        target.write_bytes(content[:limit])
        if len(content) > limit:
            raise SourceError(f"{item.key} has more than {limit} bytes")
        return Fetched()

    def close(self) -> None:
        """Nothing was opened."""

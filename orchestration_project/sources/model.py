"""What travels between a source and its fetch, and the protocol of sources. Plain data: nothing is opened here."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestration_project.errors import PlatformError


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a source has, which becomes one file.

    Attributes:
        key: what it is called at the source, unique there: an object's key, a path, a message and its attachment, or
            the window of rows that a query asks for.
        version: changes whenever its bytes may have changed: an ETag, else size and time.
        name: the name of its file in landing, without folders.
        size: bytes, None where the source does not tell before it sends them.
        modified_at: when it was last modified there, with a time zone; None where the source does not tell. It becomes
            the file's own time.
        cursor: where the next fetch goes on once this item and all before it are remembered, for a source that lists
            in an order of its own and has a cursor.
        problem: why it can't be fetched, where that is known before it is asked for; else None.
    """

    key: str
    version: str
    name: str
    size: int | None = None
    modified_at: dt.datetime | None = None
    cursor: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of an item.

    Attributes:
        version: of the bytes that came, if the source tells it with them; None: the one that was listed.
        cursor: where the next fetch goes on, for a source that has one; None: where this one began.
        empty: whether there was nothing to land: no rows are newer than the cursor. What was written is dropped.
        records: how many records came, where the source counts them.
        modified_at: when they were last modified, if the source tells it with them; None: what was listed.
        whole: whether what came is all that the item has. If it is empty and was not before, its rows are gone.
    """

    version: str | None = None
    cursor: str | None = None
    empty: bool = False
    records: int | None = None
    modified_at: dt.datetime | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one fetch takes at most. What is left is taken by the next one.

    Attributes:
        bytes: of one file, as it is sent; a larger one is not taken, and told.
        files: in one fetch.
        seconds: of one fetch; no file is begun after that.
    """

    bytes: int
    files: int = 10_000
    seconds: float = 3600.0


class Source(Protocol):
    """A place that files or rows are fetched from.

    Every operation raises SourceDown if the source does not answer, or fails, and SourceError if it refuses. No message
    tells credentials. A source is used by one thread, as a context manager that closes what it has opened.
    """

    @property
    def url(self) -> str:
        """Where it is, fit to be shown."""

    def list(self, cursor: str | None) -> Iterator[Item]:
        """What the source has, in no order, without taking all of it into memory.

        Args:
            cursor: what the last fetch has ended with; only sources of rows look at it.
        """

    def fetch(self, item: Item, target: Path, limit: int) -> Fetched:
        """Write the bytes of an item to a file, which is new, in bounded memory.

        Args:
            item: as `list` gave it.
            target: where to; its folder is there.
            limit: bytes after which the source stops and refuses the item.

        Raises:
            ItemGone: it is not there any more, or is another version.
        """

    def close(self) -> None:
        """Close what was opened. No other operation is used afterwards."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A file that a fetch has put into landing.

    Attributes:
        item: what it came from.
        sha256: of its bytes, in hex.
        bytes: how many.
        records: how many records, where the source counts them.
    """

    item: Item
    sha256: str
    bytes: int
    records: int | None = None


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What one fetch did.

    Attributes:
        listed: how many items the source has.
        landed: the files that were put into landing.
        unchanged: how many items were fetched before, as they are, or came with the same bytes and time again.
        empty: how many items had nothing to land.
        left: how many items wait for the next fetch, since a limit was reached.
        failed: by key, why an item could not be fetched. The others go on.
        newest: when the newest listed item was modified, with a time zone; None where no item tells it.
        digest: identifies what was listed: all keys and versions, in whatever order they came.
    """

    listed: int = 0
    landed: list[Landed] = field(default_factory=list)
    unchanged: int = 0
    empty: int = 0
    left: int = 0
    failed: dict[str, PlatformError] = field(default_factory=dict)
    newest: dt.datetime | None = None
    digest: str = ""

    @property
    def bytes(self) -> int:
        """Bytes of all files that landed."""
        return sum(file.bytes for file in self.landed)

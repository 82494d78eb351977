"""Whether the published copy is behind the warehouse, and since when. Told by files alone: the warehouse stays closed.

.behind     is there while something is not published that an attempt was made for; its age tells since when
"""

import datetime as dt
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestration_project.errors import WarehouseError
from orchestration_project.publishing.manifest import VIEWS, Manifest, read_manifest
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse

NOTE = ".behind"
LONGEST_WAIT = 3600.0
"""Seconds after which runs that overlap without end no longer put publishing off."""
NEEDS_A_PERSON = 2 * LONGEST_WAIT
"""Seconds after which whoever asks is told to do something."""


class CopyState(StrEnum):
    """It shows what the warehouse holds, it is behind, there is none yet, none is wanted, its manifest is damaged."""

    CURRENT = "current"
    BEHIND = "behind"
    NONE = "none"
    OFF = "off"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """The published copy.

    Attributes:
        where: the file that readers open.
        state: how it stands.
        number: of the state that readers see; None if there is none.
        published_at: when that state was made.
        behind_seconds: for how long the warehouse has held something else; None unless it does.
        left_out: the tables that could not be copied, each with why.
        detail: what is wrong with it.
    """

    where: str
    state: CopyState
    number: int | None = None
    published_at: dt.datetime | None = None
    behind_seconds: float | None = None
    left_out: tuple[str, ...] = ()
    detail: str = ""

    @property
    def needs_a_person(self) -> bool:
        """Whether no run is going to bring it up to date any more, by all that is known."""
        return self.state is CopyState.BROKEN or (self.behind_seconds or 0.0) > NEEDS_A_PERSON


def copy_status(settings: Settings, now: dt.datetime) -> CopyStatus:
    """How the copy stands.

    Args:
        settings: where warehouse and copy are.
        now: the present moment, with a time zone.
    """
    where = f"{settings.published_for_readers}/{VIEWS}"
    if not settings.publish:
        return CopyStatus(where, CopyState.OFF)
    try:
        manifest = read_manifest(settings.published)
    except WarehouseError as error:
        return CopyStatus(where, CopyState.BROKEN, detail=str(error))
    behind, exists = None, Warehouse.from_settings(settings).exists()
    if exists and not (manifest and is_current(settings, manifest)):
        behind = max(0.0, now.timestamp() - _behind_since(settings))
    if manifest is None:
        return CopyStatus(where, CopyState.NONE, behind_seconds=behind)
    published_at = dt.datetime.fromtimestamp(manifest.published_at, dt.UTC)
    left_out = tuple(f"{table}: {why}" for table, why in manifest.left_out.items())
    # Of a warehouse that is gone, others tell; what readers see is not what it will hold.
    is_behind = behind is not None or not exists
    state = CopyState.BEHIND if is_behind else CopyState.CURRENT
    return CopyStatus(where, state, manifest.number, published_at, behind, left_out)


def is_current(settings: Settings, manifest: Manifest) -> bool:
    """Whether a state is what the warehouse holds and the settings choose."""
    same = (manifest.path, manifest.chosen) == (settings.published_for_readers, settings.published_tables)
    present = (settings.published / VIEWS).exists() and not manifest.among_runs
    return same and present and list(map(list, manifest.warehouse)) == Warehouse.from_settings(settings).stamp()


def _behind_since(settings: Settings) -> float:
    """When the warehouse was first found to hold something else; if nobody has tried, when it was last written to."""
    with suppress(FileNotFoundError):
        return (settings.published / NOTE).stat().st_mtime
    return Warehouse.from_settings(settings).written_at()


def fallen_behind(folder: Path) -> None:
    """Note that something is not published, unless that is noted already."""
    # A folder that can't be written to is what the caller tells of, with the rest.
    with suppress(OSError), (folder / NOTE).open("x"):
        pass


def is_overdue(folder: Path) -> bool:
    """Whether the copy has been behind for so long that it no longer waits for runs that are under way."""
    with suppress(FileNotFoundError):
        return time.time() - (folder / NOTE).stat().st_mtime > LONGEST_WAIT
    return False


def caught_up(folder: Path) -> None:
    """Note that nothing is missing any more."""
    (folder / NOTE).unlink(missing_ok=True)

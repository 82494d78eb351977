"""Waivers on disk: who decided that which rejects will not be corrected, and why. One small JSON file each.

    archive/<feed>/waivers/<when>-<digest>.json

They are in the archive, so that the archive is still enough to rebuild the warehouse.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestration_project.errors import RepairError
from orchestration_project.storage.archive import write_whole

FOLDER = "waivers"


@dataclass(frozen=True, slots=True)
class Waiver:
    """Rejects that will not be corrected, by somebody's decision; `waived_at` has a time zone."""

    waived_by: str
    because: str
    waived_at: dt.datetime
    reject_ids: tuple[str, ...]


def write_waiver(archive: Path, waiver: Waiver) -> Path:
    """Write a waiver to a feed's archive, whole or not at all; returns its file."""
    text = json.dumps(asdict(waiver), ensure_ascii=False, indent=2, default=dt.datetime.isoformat) + "\n"
    moment = waiver.waived_at.astimezone(dt.UTC)
    path = archive / FOLDER / f"{moment:%Y%m%dT%H%M%S.%fZ}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    write_whole(path, text.encode())
    return path


def waivers_listing(archive: Path) -> str:
    """A digest of the names, sizes and times of a feed's waiver files, without reading them; empty without files."""
    found = ((path.name, path.lstat()) for path in _files(archive / FOLDER))
    listed = "".join(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n" for name, stat in found)
    return hashlib.sha256(listed.encode()).hexdigest() if listed else ""


def read_waivers(archive: Path) -> list[Waiver]:
    """All waivers of a feed, the oldest first.

    Raises:
        RepairError: one can't be read; the message names it.
    """
    return sorted(_read(archive / FOLDER), key=lambda waiver: (waiver.waived_at, waiver.waived_by, waiver.because))


def _read(folder: Path) -> Iterator[Waiver]:
    for path in _files(folder):
        try:
            waiver = _waiver(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise RepairError(
                f"{path} can't be read as a waiver: restore it from a backup, or remove it and waive its rejects again"
            ) from error
        yield waiver


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.json"))


def _waiver(waived_by: str, because: str, waived_at: str, reject_ids: list[str]) -> Waiver:
    if not isinstance(reject_ids, list):
        raise TypeError("reject_ids is a list")
    moment = dt.datetime.fromisoformat(waived_at).astimezone(dt.UTC)
    return Waiver(str(waived_by), str(because), moment, tuple(map(str, reject_ids)))

"""Put sample files into the drop folders, as a till or a partner would."""

import filecmp
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Delivery:
    """Names of the files that were put into landing, and of those that had been delivered before."""

    new: tuple[str, ...]
    known: tuple[str, ...]


def deliver(source: Path, landing: Callable[[str], Path], archive: Callable[[str], Path]) -> Delivery:
    """Copy `<source>/<feed>/*` to the feeds' drop folders.

    A file that lies in landing or in the archive already, with the same name and bytes, is left out.

    Args:
        source: one folder a feed.
        landing: tells a feed's drop folder.
        archive: tells a feed's archive.
    """
    new, known = [], []
    for file in sorted(path for path in source.glob("*/*") if path.is_file() and not path.name.startswith(".")):
        feed = file.parent.name
        if _has(landing(feed), file) or _has(archive(feed), file):
            known.append(file.name)
        else:
            _copy(file, landing(feed) / file.name)
            new.append(file.name)
    return Delivery(tuple(new), tuple(known))


def _has(folder: Path, file: Path) -> bool:
    return any(filecmp.cmp(file, found, shallow=False) for found in folder.rglob(file.name) if found.is_file())


def _copy(file: Path, target: Path) -> None:
    """Under a name that readers of the folder leave alone, until all is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.copyfile(file, partial)
    partial.replace(target)

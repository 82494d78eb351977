"""Feeds that the warehouse or the archive has and no definition: they were renamed or removed."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from orchestration_project.settings import Settings
from orchestration_project.storage.archive import archived, batch_keys
from orchestration_project.storage.batches import is_any_key


@dataclass(frozen=True, slots=True)
class UnknownFeed:
    """A feed without a definition, and how many accepted files it has; 0: refused or exported ones alone."""

    feed: str
    files: int

    @property
    def told(self) -> str:
        """What it has."""
        return f"{self.files} accepted file(s)" if self.files else "refused or exported files"

    @property
    def remedy(self) -> str:
        """What to do."""
        return (
            f"if it was renamed: `orchestration-project rebuild NEWNAME --from {self.feed}`;"
            f" if it was removed: `orchestration-project drop-feed {self.feed}`"
        )


def unknown_feeds(settings: Settings, accepted: Mapping[str, int], watched: Collection[str]) -> list[UnknownFeed]:
    """The feeds that have files and no definition, by name. A drop that was killed may have left only refused ones.

    Args:
        settings: where the archive is.
        accepted: how many files the ledger has of each feed; empty if it could not be read.
        watched: the names of all feeds that have a definition.
    """
    found = dict.fromkeys(_left(settings, watched), 0) | dict(_archived(settings, watched))
    found |= {name: accepted[name] for name in accepted if name not in watched}
    return [UnknownFeed(name, files) for name, files in sorted(found.items())]


def _archived(settings: Settings, watched: Collection[str]) -> Iterator[tuple[str, int]]:
    root = settings.data_dir / "archive"
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in watched:
            keys = filter(is_any_key, batch_keys(folder))
            if files := sum(len(archived(folder, key)) for key in keys):
                yield folder.name, files


def _left(settings: Settings, watched: Collection[str]) -> Iterator[str]:
    """The feeds that have refused files, or exported rejects."""
    for folder in (settings.quarantine, settings.repairs):
        root = folder("feed").parent
        for place in root.iterdir() if root.is_dir() else ():
            if place.is_dir() and not place.name.startswith(".") and place.name not in watched and any(place.iterdir()):
                yield place.name

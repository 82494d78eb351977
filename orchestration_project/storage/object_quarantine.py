"""The quarantine of a landing in a store: copies of what this machine has refused of its objects, for their senders.

    LANDING_URL/.quarantine/<feed>/<version>/<name>             beside <name>.reason.json
    LANDING_URL/.quarantine/<feed>/<version>/<archive>/<name>   the same for a member of a zip archive

Belongs here: what of this machine's quarantine is of which object, and its copy. When it is made is told by
`object_landing`: always after this machine has the file, and before the object is deleted. So whoever is killed in
between leaves the note of the object, and the next load makes the copy.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.failpoints import Landing, reached
from orchestration_project.hashes import shown
from orchestration_project.storage.archive import REASON
from orchestration_project.storage.files import discover, sha256_of
from orchestration_project.storage.object_notes import ObjectNote
from orchestration_project.storage.objects import ObjectStore

QUARANTINE = ".quarantine"


@dataclass(frozen=True, slots=True)
class Refused:
    """A file in this machine's quarantine, and the name under which it was delivered."""

    path: Path
    name: str

    @property
    def reason(self) -> Path:
        """The file that tells why."""
        return self.path.with_name(f"{self.path.name}{REASON}")


def refused_of(quarantine: Path, notes: Iterable[ObjectNote]) -> Mapping[ObjectNote, Sequence[Refused]]:
    """What quarantine has of some objects: the file itself, or members of a zip archive."""
    asked: dict[int, list[ObjectNote]] = defaultdict(list)
    for note in notes:
        asked[note.mtime_ns].append(note)
    found: dict[ObjectNote, list[Refused]] = defaultdict(list)
    for file in discover(quarantine) if asked else ():
        # Members have the time of their archive.
        for note in asked.get(file.mtime_ns, ()):
            name = _delivered_as(file.path)
            # By its bytes, too: the object is deleted because of it.
            if name.startswith(f"{note.name}/") or (name == note.name and sha256_of(file.path) == note.sha256):
                found[note].append(Refused(file.path, name))
    return found


def _delivered_as(path: Path) -> str:
    """The name of a refused file, as its reason tells it; empty if there is none."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return str(json.loads(path.with_name(f"{path.name}{REASON}").read_bytes())["file"])
    return ""


def copy_refused(store: ObjectStore, feed: str, refused: Refused) -> None:
    """Put a refused file into the store's quarantine, again after a kill.

    Raises:
        ObjectStoreError: the store can't be used.
        OSError: the file is gone, or can't be read.
    """
    place = f"{QUARANTINE}/{feed}/{shown(sha256_of(refused.path))}/{refused.name}"
    # The reason first, so that no object is there without one.
    store.put(f"{place}{REASON}", refused.reason)
    store.put(place, refused.path)
    reached(Landing.REFUSED)

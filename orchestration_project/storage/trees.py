"""A second archive tree for a feed: built beside the first one from the same files, then put in its place.

    archive/<feed>/<batch>/...                  what is loaded now
    archive/<feed>/.rebuild/archive/<feed>/...  the tree that is being built; until the commit it may be thrown away
    archive/<feed>/.rebuilt/archive/<feed>/...  the same, once nothing of the old tree is in its place any more
    archive/<feed>/.replaced/...                what was loaded before

The two trees share the bytes by hard links, or the new one has copies. Folders are moved one by one, since the feed's
own folder may be a mount point or a link. Each step can be done again, so a killed one is finished by whoever is next.
Other hidden folders are not part of a tree and stay.
"""

import errno
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.errors import FileRefused, RecoveryError
from orchestration_project.failpoints import Recovery, reached
from orchestration_project.storage.archive import (
    DUPLICATES,
    Archived,
    archive_folder,
    archived,
    batch_keys,
    ensure_folder,
    flush,
    free_name,
    write_whole,
)
from orchestration_project.storage.batches import Batching, is_any_key
from orchestration_project.storage.files import FoundFile, sha256_of
from orchestration_project.storage.withdrawals import WITHDRAWN, note_of

NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP})
"""How a file system refuses a hard link for no fault of the file: a copy does as well."""
BUILDING, BUILT, REPLACED = ".rebuild", ".rebuilt", ".replaced"
FIRST_NAME = "renamed.json"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file of an old tree: where it is, its old batch and delivery, and whether it was a duplicate or withdrawn."""

    item: Archived
    key: str
    duplicate: bool
    withdrawn: bool

    @property
    def file(self) -> FoundFile:
        return self.item.file


def ensure_feed_name(name: str) -> None:
    """Make sure that a name that somebody typed is the name of a feed's folders, and no way out of them.

    Raises:
        RecoveryError: it is not.
    """
    # `../sales` would be a folder elsewhere, and `.rebuild` one of our own.
    if not name or Path(name).name != name or name.startswith("."):
        raise RecoveryError(f"{name!r} is not the name of a feed")


def tree_root(root: Path) -> Path:
    """The folder that stands for `DATA_DIR` while a feed's new tree is built in its archive `root`."""
    return root / BUILDING


def new_tree(root: Path, feed: str) -> Path:
    """Where the new tree of a feed is built in its archive `root`."""
    return tree_root(root) / "archive" / feed


def is_unfinished(root: Path) -> bool:
    """Whether an archive has traces of a rebuild that did not come to its end."""
    return any((root / name).exists() for name in (BUILDING, BUILT, REPLACED))


def is_switching(root: Path) -> bool:
    """Whether folders were moved already: then the new tables were committed, even if the warehouse was lost since."""
    return any((root / name).exists() for name in (BUILT, REPLACED))


def build_tree(sources: Iterable[Path], target: Path, batching: Batching, keep: bool, by_name: bool = False) -> int:
    """Build a tree with all files of others, each in the batch that it has now.

    Of a file's deliveries the order stays, and their numbers as far as they can.

    Args:
        sources: the archives, in order: what is in the first one was delivered first.
        target: the new tree.
        batching: how files fall into batches now.
        keep: whether the files' batches are those of their folders; else they are told by name and time anew.
        by_name: whether a name is the same file in every batch.

    Returns:
        The number of archived files.

    Raises:
        RecoveryError: names the files that have no batch.
    """
    planned: set[Path] = set()
    last: dict[tuple[str, str], int] = defaultdict(int)
    placed, refused = list[tuple[FoundFile, Path]](), list[str]()
    for source in sources:
        for kept in _in_order([*_files_of(source)], by_name):
            # With its note, which `_link_others` would else put in place once more.
            planned |= {kept.file.path, note_of(kept.file.path)}
            try:
                key = kept.key if keep else batching.key(batching.batch_of(kept.file.name, kept.file.modified_at))
            except FileRefused as error:
                refused.append(error.message)
                continue
            identity = ("" if by_name else key, kept.file.name)
            # Two batches that become one may both have a first delivery of a name.
            last[identity] = number = max(kept.item.number, last[identity] + 1)
            root = target / WITHDRAWN if kept.withdrawn else target
            placed.append((kept.file, archive_folder(root, key, number, kept.duplicate) / kept.file.stored_as))
    # Told before a byte is placed: a rebuild that fails has changed nothing.
    if refused:
        raise RecoveryError(
            f"{len(refused)} archived file(s) have no batch now, so nothing was changed: {'; '.join(refused[:10])}."
            " Set the attribute as it was and withdraw these files, or set one under which all have a batch"
        )
    if not placed:
        return 0
    for file, place in placed:
        _put(file.path, place)
        # The note is the decision: in `withdrawn`, a file without one is no withdrawn file.
        if note_of(file.path).exists():
            _put(note_of(file.path), note_of(place))
    for source in sources:
        _link_others(source, target, planned)
    _flush_all(target)
    reached(Recovery.TREE_BUILT)
    return len(placed)


def _in_order(files: Sequence[_Kept], by_name: bool) -> list[_Kept]:
    """Files in the order of their delivery.

    If a name was another file in each batch until now, its numbers do not tell which one is newer: their times do.
    """
    numbers = Counter((kept.file.name, kept.item.number) for kept in files)
    # Example: each day's export.csv is v1 of its day; as one name for all days, these have to be put in a row by age.
    by_age = {name for (name, _), times in numbers.items() if times > 1} if by_name else set()

    def place(kept: _Kept) -> tuple[int, str, str]:
        return (kept.file.mtime_ns if kept.file.name in by_age else kept.item.number, kept.key, kept.file.name)

    return sorted(files, key=place)


def numbered_twice(root: Path) -> str:
    """A name of an archive whose deliveries are counted in each batch by itself; empty when there is none."""
    seen: set[tuple[str, int]] = set()
    for key in filter(is_any_key, batch_keys(root)):
        for item in archived(root, key):
            if (item.file.name, item.number) in seen:
                return item.file.name
            seen.add((item.file.name, item.number))
    return ""


def _files_of(source: Path) -> Iterator[_Kept]:
    for root, withdrawn in ((source, False), (source / WITHDRAWN, True)):
        for key in filter(is_any_key, batch_keys(root)):
            for item in archived(root, key):
                first = item.file.path.relative_to(root / key).parts[0]
                # The note beside a withdrawn file comes with it.
                if not (withdrawn and not note_of(item.file.path).exists()):
                    yield _Kept(item, key, first == DUPLICATES, withdrawn)


def _link_others(source: Path, target: Path, planned: set[Path]) -> None:
    """Put all other files, such as waivers, at the same place in the new tree, so that none is lost."""
    for child in sorted(source.iterdir()) if source.is_dir() else ():
        if child.name.startswith("."):
            continue
        for path in sorted(child.rglob("*")) if child.is_dir() and not child.is_symlink() else [child]:
            if path not in planned and (path.is_symlink() or not path.is_dir()):
                place = target / path.relative_to(source)
                _put(path, free_name(place.parent, place.name))


def _put(source: Path, target: Path) -> None:
    """Put a file at a second place: by a hard link where the file system has them, else a copy that is read back."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copy2(source, target, follow_symlinks=False)
        if source.is_symlink():
            return
        with target.open("rb") as stream:
            os.fsync(stream.fileno())
        # The old tree is thrown away in the end, so nobody would notice later.
        if sha256_of(source) != sha256_of(target):
            raise RecoveryError(f"{target} could not be read back as it was written; nothing was changed") from error


def _flush_all(folder: Path) -> None:
    for root, _, _ in os.walk(folder):
        flush(Path(root))
    flush(folder.parent)


def note_first_name(tree: Path, name: str) -> None:
    """Note in an archive the first name of its feed: the ids of rejects, which repairs and waivers tell, have it."""
    write_whole(tree / FIRST_NAME, json.dumps({"first_name": name}).encode(), replacing=True)


def first_name(archive: Path) -> str:
    """The name that a feed had first; empty if it was never renamed.

    Raises:
        RecoveryError: the note can't be read.
    """
    path = archive / FIRST_NAME
    try:
        return str(json.loads(path.read_bytes())["first_name"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecoveryError(f"{path} can't be read as the first name of a feed: restore it from a backup") from error


def undo_tree(root: Path) -> None:
    """Throw away a tree that was not committed."""
    shutil.rmtree(root / BUILDING, ignore_errors=True)


def switch_trees(root: Path, feed: str) -> None:
    """Put the new tree in the place of the old one, which is set aside. Call it again after a kill."""
    if (root / BUILDING).exists():
        # The folder itself says that the tables were committed, should the warehouse be lost now: see `is_switching`.
        ensure_folder(root / REPLACED)
        for child in _own(root):
            child.rename(root / REPLACED / child.name)
            reached(Recovery.REPLACED)
        flush(root / REPLACED)
        # From here on nothing of the old tree is in its place, so what is there comes from the new one.
        (root / BUILDING).rename(root / BUILT)
        flush(root)
        reached(Recovery.SWITCHED)
    if (tree := root / BUILT / "archive" / feed).exists():
        for child in _own(tree):
            child.rename(root / child.name)
            reached(Recovery.PLACED)
        flush(root)
    shutil.rmtree(root / BUILT, ignore_errors=True)


def remove_old_tree(root: Path) -> None:
    """Throw away what was replaced. As long as it is there a rebuild has not come to its end, which this is."""
    shutil.rmtree(root / REPLACED, ignore_errors=True)
    reached(Recovery.OLD_REMOVED)


def _own(root: Path) -> list[Path]:
    """What belongs to a tree: its visible children."""
    return sorted(child for child in root.iterdir() if not child.name.startswith("."))


def misplaced_file(root: Path, batching: Batching) -> str:
    """The first archived file that lies in another batch than a batching says; empty when there is none.

    Where a name tells no batch the folder is believed: an archive may have come back from a backup without its times.
    """
    for key in filter(is_any_key, batch_keys(root)):
        for item in archived(root, key):
            if not batching.is_key(key) or not _names_batch(item.file, key, batching):
                return f"{key}/{item.file.name}"
    return ""


def _names_batch(file: FoundFile, key: str, batching: Batching) -> bool:
    if not batching.is_dated(file.name):
        return batching.pattern is None or batching.undated_by_age
    try:
        return batching.key(batching.batch_of(file.name, file.modified_at)) == key
    except FileRefused:
        return False

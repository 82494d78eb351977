"""Which versions of files count: pure functions of the ledger's entries, whatever the order in which they came.

Belongs here: no question to the table, and no writing to it: that is in `ledger`.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from orchestration_project.warehouse.ledger import Entry, Status


def _says_nothing(_name: str) -> Hashable:
    return ()


def settle(
    entries: Sequence[Entry],
    snapshot: bool,
    history: bool = False,
    naming: Callable[[str], Hashable] = _says_nothing,
) -> list[Entry]:
    """Decide which files a feed's tables consist of. The order of arrival makes no difference.

    Bytes count once a batch. Of several files of a batch with the same bytes the oldest is loaded (modification time,
    then name); the others are duplicates. For another batch the same bytes are a file of their own: a price list that
    did not change is that day's price list. Files without records are exempt: they add nothing twice. In a snapshot
    feed only the newest file counts, together with the repairs of it.

    Example: `a` and `b` of Monday and `c` of Tuesday have the same bytes. `a` and `c` become LOADED, `b` DUPLICATE. If
    `a` is replaced by other bytes later, all are LOADED.

    Args:
        entries: the current version of each file, with any status.
        snapshot: whether each file of the feed replaces all files before it.
        history: whether the newest snapshot of each earlier day stays in the raw table.
        naming: what a file's name says of its records. Files whose names say different things are no duplicates.

    Returns:
        The same entries with the status LOADED, KEPT, DUPLICATE or SUPERSEDED.
    """
    if history:
        return _settled_by_day(entries, naming)
    # By rank, not by arrival or by what was decided before: a rebuild, which sees all files at once, decides the same.
    counting = _newest(entries, naming) if snapshot else list(entries)
    by_bytes: dict[tuple[str, str, Hashable], list[Entry]] = defaultdict(list)
    for entry in counting:
        bytes_of = entry.sha256 if entry.records != 0 or snapshot else entry.file
        # Once, of two stores with the same receipts only one would have counted.
        by_bytes[entry.batch, bytes_of, naming(entry.file)].append(entry)
    names = {(entry.batch, entry.file) for entry in counting}
    settled = [replace(entry, status=Status.SUPERSEDED) for entry in entries if (entry.batch, entry.file) not in names]
    # Together, since the loaded one may get other bytes: then the next of those with its former bytes counts.
    for same_bytes in by_bytes.values():
        first = min(same_bytes, key=lambda entry: entry.rank)
        settled += [
            replace(entry, status=Status.LOADED if entry is first else Status.DUPLICATE) for entry in same_bytes
        ]
    return settled


def _settled_by_day(entries: Sequence[Entry], naming: Callable[[str], Hashable]) -> list[Entry]:
    """Each day's newest snapshot counts, with its repairs: that of the newest day is loaded, the others are kept."""
    by_day: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_day[entry.batch].append(entry)
    newest = max((entry.batch for entry in entries if not entry.repair), default="")
    settled = []
    for entry in (entry for own in by_day.values() for entry in settle(own, snapshot=True, naming=naming)):
        counts = entry.status is Status.LOADED
        earlier = Status.KEPT if counts else Status.SUPERSEDED
        settled.append(entry if entry.batch == newest else replace(entry, status=earlier))
    return settled


def _newest(entries: Sequence[Entry], naming: Callable[[str], Hashable]) -> list[Entry]:
    """The newest file of a snapshot feed, the others of its batch with the same bytes, and repairs made of it since."""
    snapshots = [entry for entry in entries if not entry.repair]
    if not snapshots:
        return []
    newest = max(snapshots, key=lambda entry: entry.rank)
    # It may repeat the bytes of a file before it in the batch. Then that one is loaded, and repairs of it still count.
    same_bytes = [
        entry
        for entry in snapshots
        if (entry.batch, entry.sha256, naming(entry.file)) == (newest.batch, newest.sha256, naming(newest.file))
    ]
    first = min(same_bytes, key=lambda entry: entry.rank)
    repairs = [entry for entry in entries if entry.repair and entry.batch == first.batch]
    return same_bytes + [entry for entry in repairs if entry.modified_at > first.modified_at]


def left_out(last: Sequence[Entry]) -> list[Entry]:
    """The files that would be loaded today and are not, since an earlier release had another rule.

    For it, bytes counted once in all batches, and an undated name was one file whatever its day. A load leaves these
    files as they are: only a rebuild brings them in.

    Args:
        last: the last accepted version of each file (batch and name) of a feed without snapshots.
    """
    bytes_of, name_of = (defaultdict[str, set[str]](set) for _ in range(2))
    for entry in last:
        bytes_of[entry.sha256].add(entry.batch)
        name_of[entry.file].add(entry.batch)
    # The rule of today also has duplicates and superseded files. Only what it would load was left out by the old one.
    today = {(entry.batch, entry.file) for entry in settle(last, snapshot=False) if entry.status is Status.LOADED}
    return [
        entry
        for entry in last
        if (entry.batch, entry.file) in today
        and (
            (entry.status is Status.DUPLICATE and len(bytes_of[entry.sha256]) > 1)
            or (entry.status is Status.SUPERSEDED and len(name_of[entry.file]) > 1)
        )
    ]

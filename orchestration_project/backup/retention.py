"""Which snapshots are kept, and the removal of the others with the objects that nobody needs any more."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestration_project.backup.model import BackupError
from orchestration_project.backup.vault import Vault, taken_at


@dataclass(frozen=True, slots=True)
class Keep:
    """How many snapshots are kept: the newest one of each of so many days, weeks and months that have one (UTC)."""

    days: int = 7
    weeks: int = 5
    months: int = 12


def kept(names: Sequence[str], keep: Keep) -> set[str]:
    """The snapshots to keep, by name. The newest one is always among them.

    keep 2 days, 1 week:   Mon 1  Mon 2  Tue 1  Wed 1     kept: Tue 1, Wed 1
    """
    newest_first = sorted(names, reverse=True)
    found = set(newest_first[:1])
    for count, period in ((keep.days, _day), (keep.weeks, _week), (keep.months, _month)):
        newest: dict[tuple[int, ...], str] = {}
        for name in newest_first:
            newest.setdefault(period(taken_at(name)), name)
        found |= {*list(newest.values())[:count]}
    return found


def _day(moment: dt.datetime) -> tuple[int, ...]:
    return moment.year, moment.month, moment.day


def _week(moment: dt.datetime) -> tuple[int, ...]:
    return tuple(moment.isocalendar()[:2])


def _month(moment: dt.datetime) -> tuple[int, ...]:
    return moment.year, moment.month


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many snapshots and objects were deleted."""

    snapshots: int = 0
    objects: int = 0


def prune(vault: Vault, keep: Keep, note: Callable[[str], None]) -> Pruned:
    """Delete the snapshots that are not kept, then the objects that no snapshot names.

    Args:
        vault: where they are, and where nobody else changes anything (see `Vault.marked`).
        keep: what is kept.
        note: takes why nothing was deleted.
    """
    names = vault.snapshot_ids()
    staying = sorted(kept(names, keep))
    going = [name for name in names if name not in staying]
    try:
        needed = {item for name in staying for item in vault.snapshot(name).objects}
    except BackupError as error:
        # What it needs can't be told, so nothing may go.
        note(f"nothing old is deleted: {error}")
        return Pruned()
    # The snapshots first: without their objects they would be broken ones.
    if going:
        vault.forget(going)
    unneeded = sorted(vault.sizes().keys() - needed)
    if unneeded:
        vault.remove(unneeded)
    return Pruned(len(going), len(unneeded))

"""A night's work: take a backup, prove it, and only then delete what is old."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestration_project.backup.check import Checked, Whole, check, lost, new_and_sample
from orchestration_project.backup.memory import Memory, remembering
from orchestration_project.backup.retention import Keep, Pruned, prune
from orchestration_project.backup.take import Taken, back_up
from orchestration_project.backup.vault import Vault, open_vault
from orchestration_project.failpoints import Backup, reached
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse

SAMPLE_DAYS = 30
"""After so many nights each object was looked at again."""
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Night:
    """What a night did: the backup, its check, and what was deleted."""

    taken: Taken
    checked: Checked
    pruned: Pruned


def nightly(
    warehouse: Warehouse,
    settings: Settings,
    now: dt.datetime,
    log: Log,
    keep: Keep | None = None,
    whole: Whole | None = None,
    sample_days: int = SAMPLE_DAYS,
) -> Night:
    """Take a backup, prove it, delete what is old.

    Args:
        warehouse: what is saved.
        settings: where the files are; `BACKUP_URL` and `BACKUP_KEY`.
        now: the present moment, with a time zone.
        log: takes a line of progress.
        keep: which snapshots stay; None: all.
        whole: prove all of it; without it what is new and a sample.
        sample_days: after how many nights the sample has had each object.

    Raises:
        BackupError: no backup could be taken; those before are as they were.
        ObjectStoreError: the second place can't be used.
        WarehouseBusy: somebody else held the warehouse for too long.
        DiskFull: a disk had no room.
    """
    vault = open_vault(settings.backup_url)
    with remembering(settings) as memory, vault.marked(memory.marker(), now):
        # Before what is still on this machine is stored again: a place that loses objects is no second place.
        losses = [*lost(vault)]
        taken = back_up(warehouse, settings, vault, memory, now, log)
        log(f"{taken.snapshot.id}: {taken.new_objects:,} new object(s), {taken.new_bytes:,} bytes")
        before = taken.previous.objects if taken.previous else {}
        names = None if whole else new_and_sample(taken.snapshot, before, now.date(), sample_days)
        checked = _checked(vault, settings, memory, taken, names, now, log, whole)
        checked.losses += losses
        reached(Backup.CHECKED)
        notes = list(taken.notes)
        # What is old may be all that is whole.
        pruned = prune(vault, keep, notes.append) if keep and checked.proven else Pruned()
        return Night(replace(taken, notes=notes), checked, pruned)


def _checked(
    vault: Vault,
    settings: Settings,
    memory: Memory,
    taken: Taken,
    names: "set[str] | None",
    now: dt.datetime,
    log: Log,
    whole: Whole | None,
) -> Checked:
    work = memory.work / "check"
    work.mkdir()
    found = check(vault, settings, taken.snapshot, names, work, now, log, whole)
    if found.damaged:
        memory.keep(replace(memory.last(), damaged=frozenset(found.damaged)))
    return found


def check_now(settings: Settings, at: dt.datetime | None, now: dt.datetime, log: Log, whole: Whole) -> Checked:
    """Prove all of a snapshot, by default of the newest one. What is damaged is stored again by the next backup.

    Args:
        settings: `BACKUP_URL` and `BACKUP_KEY`.
        at: the snapshot is the last one up to this moment; None: the newest.
        now: the present moment, with a time zone.
        log: takes a line of progress.
        whole: what proves the restored copy.

    Raises:
        BackupError: there is no such backup.
        ObjectStoreError: the second place can't be used.
    """
    vault = open_vault(settings.backup_url)
    with remembering(settings) as memory:
        snapshot = vault.up_to(at)
        found = check(vault, settings, snapshot, None, memory.work, now, log, whole)
        last = memory.last()
        if found.damaged:
            memory.keep(replace(last, damaged=last.damaged | found.damaged))
        return found

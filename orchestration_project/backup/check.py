"""Prove a backup by restoring it into a scratch folder and comparing: all of it, or what is new and a sample.

Every object is hashed, unpacked and hashed again; every table is made from its parts, counted and summed. Of all of it
(`whole`) the platform's own proof is made as well, and one batch is loaded again from its restored files.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from orchestration_project.backup.model import BackupBroken, Catalogue, Fault, Snapshot, Stored
from orchestration_project.backup.reload import candidates, reload
from orchestration_project.backup.sealing import read_keys
from orchestration_project.backup.sources import DATA
from orchestration_project.backup.take import read_catalogue
from orchestration_project.backup.unpack import THREADS, Unpacker
from orchestration_project.backup.vault import Vault
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse

Prove = Callable[[Warehouse, Settings], Sequence[str]]
"""The platform's own proof of a warehouse and its folders: what it finds."""
Log = Callable[[str], None]
COPY = "restored.duckdb"


@dataclass(slots=True)
class Checked:
    """What a check found.

    Attributes:
        snapshot: the snapshot.
        objects: how many of its objects were looked at.
        bytes: their bytes.
        findings: what is wrong.
        damaged: the objects that are missing or damaged.
        notes: what was not looked at, and why.
        losses: what the place had lost of earlier backups, a line each. They keep nothing from being deleted by age.
    """

    snapshot: str
    objects: int = 0
    bytes: int = 0
    findings: list[str] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    @property
    def proven(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.findings

    @property
    def problems(self) -> list[str]:
        """All that somebody has to hear of."""
        return [*self.findings, *self.losses]

    def add(self, faults: Iterable[Fault]) -> None:
        """Take in what is wrong."""
        for fault in faults:
            self.findings.append(fault.told)
            self.damaged |= {fault.object} - {""}


@dataclass(frozen=True, slots=True)
class Whole:
    """What a check of everything needs beside the backup: the feeds, and the platform's own proof."""

    sources: Sequence[ConfiguredFeed]
    prove: Prove


def new_and_sample(snapshot: Snapshot, before: Collection[str], day: dt.date, days: int) -> set[str]:
    """The objects to look at tonight: those that the snapshot before lacks, and each of the others once in some days.

    Args:
        snapshot: what is checked.
        before: the objects of the snapshot before.
        day: today.
        days: after how many days each object was looked at again.
    """
    turn = day.toordinal() % days
    # Names are hashes, so their first digits spread them evenly.
    return {name for name in snapshot.objects if name not in before or int(name[:8], 16) % days == turn}


def lost(vault: Vault) -> Iterator[str]:
    """What the place has lost of the backups that are there, a line each, as far as the lists of objects tell it.

    A whole check is of one backup, the newest. Of an older one nobody would hear before it has to be restored.
    """
    present = vault.sizes()
    for name in vault.snapshot_ids():
        try:
            lacking = sorted(item for item, size in vault.snapshot(name).objects.items() if present.get(item) != size)
        except BackupBroken as error:
            yield str(error)
        else:
            if lacking:
                yield f"of the backup {name}, {len(lacking)} object(s) are missing or cut off, such as {lacking[0]}"


def check(
    vault: Vault,
    settings: Settings,
    snapshot: Snapshot,
    names: Collection[str] | None,
    work: Path,
    now: dt.datetime,
    log: Log,
    whole: Whole | None = None,
) -> Checked:
    """Restore a snapshot, or some of its objects, into a scratch folder, and compare.

    Args:
        vault: where it is.
        settings: the key, and how DuckDB works.
        snapshot: what is checked.
        names: the objects to look at; None: all of them.
        work: an empty folder; it needs room for what is looked at.
        now: the present moment, with a time zone.
        log: takes a line of progress.
        whole: for all of them, what proves the restored copy.

    Raises:
        ObjectStoreError: the second place does not answer.
        DiskFull: the work folder's disk had no room.
    """
    wanted = {*snapshot.objects} if names is None else {*names}
    found = Checked(snapshot.id, len(wanted), sum(snapshot.objects[name] for name in wanted))
    keys = read_keys(settings.backup_key)
    with Warehouse.from_settings(settings).clear_faults("backup check", work):
        if not keys.can_read(snapshot.sealed_for):
            found.notes.append(
                "the objects are those that were stored; what is in them was not compared, since BACKUP_KEY has no"
                " identity that decrypts it"
            )
            found.add(_hashed(vault, wanted, work))
            return found
        try:
            catalogue = read_catalogue(vault, keys, snapshot, work)
        except BackupBroken as error:
            # Without it nothing can be brought back, so there is nothing else to compare.
            found.add([Fault(str(error), snapshot.catalogue.object)])
            return found
        copy = replace(settings, data_dir=work / DATA, dagster_home=None, warehouse_url=_url_of(work / COPY))
        found.add(_compared(Unpacker(vault, keys, work), snapshot, catalogue, copy, wanted))
        if whole and found.proven:
            found.add(_proven(copy, whole, now, log))
    return found


def _hashed(vault: Vault, names: Collection[str], work: Path) -> Iterator[Fault]:
    """What is wrong with some objects, as far as it shows without decrypting them."""

    def hashed(name: str) -> list[Fault]:
        path = work / name
        try:
            vault.fetch(name, path)
        except BackupBroken as error:
            return [Fault(str(error), name)]
        finally:
            path.unlink(missing_ok=True)
        return []

    with ThreadPoolExecutor(THREADS) as pool:
        for faults in pool.map(hashed, sorted(names)):
            yield from faults


def _compared(
    unpacker: Unpacker, snapshot: Snapshot, catalogue: Catalogue, copy: Settings, wanted: Collection[str]
) -> Iterator[Fault]:
    """What is wrong with the files and tables that have some objects, after they were restored."""
    if lacking := {item.object for item in catalogue.stored} - snapshot.objects.keys():
        yield Fault(f"the catalogue names {len(lacking)} object(s) that the snapshot does not")

    def chosen(stored: Stored) -> bool:
        return stored.object in wanted

    yield from unpacker.files(catalogue.files, unpacker.work, chosen)
    yield from unpacker.tables(catalogue, Warehouse.from_settings(copy), chosen)


def _proven(copy: Settings, whole: Whole, now: dt.datetime, log: Log) -> Iterator[Fault]:
    """What the platform itself finds in a whole restored copy."""
    warehouse = Warehouse.from_settings(copy)
    for finding in whole.prove(warehouse, copy):
        yield Fault(f"of the restored copy, `verify` says: {finding}")
    if not warehouse.exists():
        return
    if samples := candidates(warehouse, whole.sources):
        sample = samples[now.toordinal() % len(samples)]
        log(f"{sample.source.name}: batch {sample.key} is loaded again from its restored files")
        yield from map(Fault, reload(warehouse, copy, sample, now, log))


def _url_of(database: Path) -> str:
    return f"duckdb:///{quote(str(database.absolute()))}"

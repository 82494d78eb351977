"""Restore a snapshot to a machine that has nothing: all of it is unpacked and compared beside its place, then renamed.

    DATA_DIR.restoring/                 work; is thrown away as long as `ready` is not there
    DATA_DIR.restoring/ready            all is compared: what is left is to rename
    DATA_DIR.restoring/home             its folders go to DAGSTER_HOME
    DATA_DIR.restoring/data             becomes DATA_DIR, last of all that is renamed
    DATA_DIR.restoring/tables.duckdb    what a lake is made of, after that

A lake can't be renamed: its catalog says where its files are. So the tables are restored to a file beside it, and that
is copied into the lake when all else is in its place, in one transaction.

Nothing that is there is ever overwritten. Whoever is killed runs the command again.
"""

import errno
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from orchestration_project.backup.memory import FOLDER, Memory
from orchestration_project.backup.model import BackupBroken, BackupError, Fault, Snapshot
from orchestration_project.backup.sealing import read_keys
from orchestration_project.backup.sources import DATA, HISTORY, HOME, MADE
from orchestration_project.backup.take import read_catalogue
from orchestration_project.backup.unpack import Unpacker
from orchestration_project.backup.vault import Vault
from orchestration_project.failpoints import Backup, reached
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import ensure_folder, flush
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.duckdb_file import DuckdbFile

if TYPE_CHECKING:
    from orchestration_project.warehouse.lake import Lake

ENDING = ".restoring"
TABLES = "tables.duckdb"
READY = "ready"
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and what was left out."""

    snapshot: Snapshot
    notes: Sequence[str] = ()


def restore(settings: Settings, vault: Vault, snapshot: Snapshot, log: Callable[[str], None]) -> Restored:
    """Restore a snapshot to where the settings say that things are.

    Args:
        settings: data folder, warehouse (a file or a lake) and Dagster home, none of which has anything yet; the key.
        vault: where the backups are.
        snapshot: the one to restore.
        log: takes a line of progress.

    Raises:
        BackupError: there is something already, or the backup can't be decrypted; nothing was changed.
        BackupBroken: something of the backup is missing or damaged; nothing was changed.
        WarehouseError: a lake can't hold a column's type; nothing was changed.
        WarehouseDown: a server that a lake needs does not answer: run again.
        ObjectStoreError: the second place does not answer.
        DiskFull: there is too little room.
    """
    staging = settings.data_dir.with_name(f"{settings.data_dir.name}{ENDING}")
    file, lake = (_beside(settings, staging), _lake(settings, staging)) if settings.is_lake else (settings, None)
    notes = [] if settings.dagster_home else ["Dagster's history is not restored, since DAGSTER_HOME is not set"]
    with DuckdbFile.of(file).clear_faults("restore", staging.parent):
        placing = _placing(file, staging)
        mark = f"{snapshot.id}\n{(lake or DuckdbFile.of(file)).where}"
        if (staging / READY).exists():
            if (staging / READY).read_text(encoding="utf-8") != mark:
                raise BackupError(
                    f"{staging} has another backup, or is for another warehouse, and its restore was killed half-way:"
                    " remove it, together with what it has brought to DAGSTER_HOME and DATA_DIR, or restore that one"
                )
        else:
            _ensure_nothing_there(file, lake, [target for _, target in placing])
            _stage(file, vault, snapshot, staging, log)
            if lake:
                _ensure_fits(DuckdbFile.of(file))
            # From here on names change, and a lake is filled: whoever comes next goes on instead of beginning anew.
            (staging / READY).write_text(mark, encoding="utf-8")
            flush(staging)
        for source, target in placing:
            _place(source, target)
        if lake:
            notes += _fill(lake, DuckdbFile.of(file), log)
        shutil.rmtree(staging)
    return Restored(snapshot, notes)


def _beside(settings: Settings, staging: Path) -> Settings:
    """The settings with the file that a lake is made of."""
    return replace(settings, warehouse_url=f"duckdb:///{quote(str(staging / TABLES))}", warehouse_data="")


def _lake(settings: Settings, staging: Path) -> "Lake":
    from orchestration_project.warehouse.lake import Lake

    # What it needs on this machine meanwhile must not be in the data folder, which is not there yet.
    return replace(Lake.of(settings), local=staging / "lake")


def _ensure_fits(file: DuckdbFile) -> None:
    from orchestration_project.warehouse.migrate import ensure_fits_a_lake

    if file.exists():
        ensure_fits_a_lake(file)


def _fill(lake: "Lake", file: DuckdbFile, log: Callable[[str], None]) -> Sequence[str]:
    """Copy the restored tables into the lake, unless a killed restore has done so; returns which types are others."""
    from orchestration_project.warehouse.migrate import migrate, migrated

    return () if not file.exists() or migrated(file, lake) else migrate(file, lake, log).notes


def _placing(settings: Settings, staging: Path) -> list[tuple[Path, Path]]:
    """What has to be renamed to what. The data folder comes last: when it is there, all is."""
    moves = list[tuple[Path, Path]]()
    if settings.dagster_home:
        moves += [(staging / HOME / name, settings.dagster_home / name) for name in (*HISTORY, MADE)]
    if not {settings.data_dir, staging} & {*settings.database.parents}:
        moves.append((staging / settings.database.name, settings.database))
    return [*moves, (staging / DATA, settings.data_dir)]


def _ensure_nothing_there(settings: Settings, lake: "Lake | None", targets: Sequence[Path]) -> None:
    for target in targets:
        # An empty folder is nothing: renaming takes its place.
        if target.is_dir() and not any(target.iterdir()):
            if target.is_mount():
                raise BackupError(
                    f"{target} is a disk of its own, which can't be replaced: let DATA_DIR be a folder on it"
                )
        elif target.exists() or target.is_symlink():
            raise BackupError(
                f"{target} is there already, and nothing is overwritten: restore to another place (DATA_DIR,"
                " DAGSTER_HOME, WAREHOUSE_URL), or move it away"
            )
    if settings.database.with_name(f"{settings.database.name}.wal").exists():
        raise BackupError(
            f"{settings.database}.wal is there already, and would be taken for the restored one's: move it away"
        )
    if lake and lake.exists():
        raise BackupError(
            f"{lake.where} is there already, and nothing is overwritten: restore to another lake (WAREHOUSE_URL,"
            f" WAREHOUSE_DATA), or move {lake.to_move}"
        )


def _stage(settings: Settings, vault: Vault, snapshot: Snapshot, staging: Path, log: Callable[[str], None]) -> None:
    """Unpack everything beside its place.

    Raises:
        BackupBroken: something is missing or damaged.
    """
    shutil.rmtree(staging, ignore_errors=True)
    work = staging / "work"
    work.mkdir(parents=True)
    (staging / DATA).mkdir()
    keys = read_keys(settings.backup_key)
    unpacker, catalogue = Unpacker(vault, keys, work), read_catalogue(vault, keys, snapshot, work)
    log(f"{len(catalogue.files):,} file(s) and {len(catalogue.tables):,} table(s) of {snapshot.id}")
    findings = [*unpacker.files(catalogue.files, staging)]
    findings += unpacker.tables(catalogue, _staged_warehouse(settings, staging))
    if findings:
        shutil.rmtree(staging)
        raise BackupBroken(
            f"the backup {snapshot.id} can't be restored whole, so nothing was: {_told(findings)}. Others:"
            " `orchestration-project backup list`; `--at` chooses one of them"
        )
    Memory(staging / DATA / FOLDER).set_platform(snapshot.platform)
    reached(Backup.STAGED)


def _told(findings: Sequence[Fault]) -> str:
    """The first few findings, and how many more there are."""
    more = f" and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    return f"{'; '.join(fault.told for fault in findings[:SHOWN])}{more}"


def _staged_warehouse(settings: Settings, staging: Path) -> Warehouse:
    inside = settings.data_dir in settings.database.parents
    place = Path(DATA, settings.database.relative_to(settings.data_dir)) if inside else Path(settings.database.name)
    return DuckdbFile.of(settings).scratch(staging / place)


def _place(source: Path, target: Path) -> None:
    """Rename, unless it is done already or there is nothing of it. Over file systems it is copied first."""
    if not source.exists():
        return
    ensure_folder(target.parent)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            return  # of a restore that was killed after this step
        new = target.with_name(f".{target.name}{ENDING}")
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(source, new) if source.is_dir() else shutil.copy2(source, new)
        new.rename(target)
        shutil.rmtree(source) if source.is_dir() else source.unlink()
    flush(target.parent)
    reached(Backup.PLACED)

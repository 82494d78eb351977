"""A small shop with a history and alarms, its second place, and what must be the same after a restore."""

import datetime as dt
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestration_project.backup.check import Checked, Whole
from orchestration_project.backup.nightly import Night, check_now, nightly
from orchestration_project.backup.restore import Restored, restore
from orchestration_project.backup.retention import Keep
from orchestration_project.backup.vault import Vault, open_vault
from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project.settings import Settings
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named, options

CONTRACT = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "0")), primary_key=("id",))
FIRST = dt.datetime(2024, 3, 1, 2, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@dataclass
class Saved:
    """The shop, its home and its second place; each night is a day after the one before."""

    folder: Path
    url: str = ""
    key: str = ""
    place: str = "shop"
    now: dt.datetime = FIRST
    told: list[str] = field(default_factory=list)

    @property
    def shop(self) -> Shop:
        """The feed over the data folder."""
        return Shop(self.folder / self.place, CONTRACT, options())

    @property
    def settings(self) -> Settings:
        """With the second place and Dagster's history."""
        return replace(
            self.shop.settings,
            backup_url=self.url or str(self.folder / "vault"),
            backup_key=self.key,
            dagster_home=self.folder / f"{self.place}_home",
        )

    @property
    def vault(self) -> Vault:
        """The second place."""
        return open_vault(self.settings.backup_url)

    @property
    def whole(self) -> Whole:
        """What proves a whole restored copy, with the one feed that there is."""
        # It imports the orchestrator, which takes longer than the night that a process is to die in.
        from orchestration_project.components.backup import whole_check

        source = ConfiguredFeed(self.shop.feed, self.shop.options)
        return replace(
            whole_check([], []),
            sources=[source],
            prove=lambda warehouse, settings: [
                f"{item.file}: {item.what}" for item in verify(warehouse, settings, [source]).findings
            ],
        )

    def night(self, keep: Keep | None = None, whole: bool = False) -> Night:
        """A backup, a day after the last one."""
        found = nightly(
            self.shop.warehouse, self.settings, self.now, self.told.append, keep, self.whole if whole else None
        )
        self.now += DAY
        return found

    def check(self, at: dt.datetime | None = None) -> Checked:
        """Prove all of a backup."""
        return check_now(self.settings, at, self.now, self.told.append, self.whole)

    def restored(self, place: str = "again", at: dt.datetime | None = None) -> "Saved":
        """A machine that had nothing but the second place."""
        other = replace(self, place=place, told=[])
        other.restore(at)
        return other

    def restore(self, at: dt.datetime | None = None) -> Restored:
        """Restore to this place."""
        return restore(self.settings, self.vault, self.vault.up_to(at), self.told.append)

    def archived(self, number: int) -> Path:
        """The archived file of the n-th day."""
        return self.settings.archive("f") / str(day(number)) / named(number)

    def objects(self) -> dict[str, Path]:
        """The objects in a folder, by name."""
        return {path.name: path for path in (self.folder / "vault/objects").rglob("*") if path.is_file()}

    def state(self) -> dict[str, Any]:
        """All that must come back: every file with its time, every row, the schema, the rows of SQLite files."""
        data, home = self.settings.data_dir, self.settings.dagster_home
        assert home
        files = {
            str(path.relative_to(data)): (path.read_bytes(), path.stat().st_mtime_ns)
            for name in ("archive", "landing", "quarantine", "repairs", "state", "dropped")
            for path in (data / name).rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }
        tables = self.shop.rows("SELECT table_name, sql FROM duckdb_tables() ORDER BY 1")
        rows = {item["table_name"]: self.rows(item["table_name"]) for item in tables}
        databases = [data / "alarms.sqlite", data / "sources" / "sales.sqlite"]
        databases += sorted((home / "history").rglob("*.db"))
        return {
            "files": files,
            "schema": tables,
            "rows": rows,
            "databases": {path.name: sqlite_rows(path) for path in databases},
        }

    def rows(self, table: str) -> list[str]:
        """The rows of a table as text, in order."""
        return sorted(str(row) for row in self.shop.rows(f'FROM "{table}"'))


def filled(folder: Path, **fields: Any) -> Saved:
    """A shop with three days, a correction, rejects, a refused file and one in landing; alarms and a history in use."""
    saved = Saved(folder, **fields)
    shop = saved.shop
    for number in (1, 2, 3):
        shop.deliver(named(number), f"id,n\na{number},1\nb{number},2\n,3\n\nc{number},-1\n", number)
    shop.deliver(named(3, "bad"), "nothing here\n", 4)
    shop.load()
    shop.deliver(named(1), "id,n\na1,1\nb1,5\n", 5)
    shop.load()
    shop.deliver(named(9), "id,n\nz,1\n", 6)
    write_sqlite(saved.settings.data_dir / "alarms.sqlite", 3)
    write_sqlite(saved.settings.data_dir / "sources" / "sales.sqlite", 4)
    home = saved.settings.dagster_home
    assert home
    write_sqlite(home / "history/runs/index.db", 5)
    write_sqlite(home / "history/runs.db", 2)
    write_sqlite(home / "schedules/schedules.db", 1)
    return saved


def write_sqlite(path: Path, rows: int) -> None:
    """Add rows to an SQLite file that, as those in use, has a log beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(rows)])
        connection.commit()


def sqlite_rows(path: Path) -> list[Any]:
    """The rows of such a file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT a FROM t ORDER BY 1").fetchall()

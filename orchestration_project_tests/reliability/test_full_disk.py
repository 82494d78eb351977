"""Full disks: small file systems, filled up so that the room ends at each write in turn."""

import gzip
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.errors import DiskFull, WarehouseError
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project.settings import Settings
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.workbench import Workbench, project
from orchestration_project_tests.ingest.shop import Shop, column, feed, named
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.servers.warehouses import copied_folder

pytestmark = [pytest.mark.promise("disk"), pytest.mark.skipif(os.name != "posix", reason="needs mount")]

ROWS = 4_000
CONTRACT = feed(column("id"), column("n", "INTEGER"), primary_key=("id",))
MANY = "id,n\n" + "".join(f"key{number:08d},{number}\n" for number in range(ROWS))
BALLAST = "ballast"


@dataclass
class Disk:
    """A small file system."""

    folder: Path

    @property
    def free(self) -> int:
        """How many bytes are free."""
        return shutil.disk_usage(self.folder).free

    @contextmanager
    def filled(self, free: int) -> Iterator[None]:
        """Fill the disk up to a number of free bytes."""
        ballast = self.folder / BALLAST
        ballast.write_bytes(bytes(max(0, self.free - free)))
        try:
            yield
        finally:
            ballast.unlink()

    def clear(self) -> None:
        """Delete all that is on the disk."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


Mount = Callable[[Path, str], Disk]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts small file systems, and takes them away afterwards."""
    mounted: list[Path] = []

    def attach(folder: Path, size: str) -> Disk:
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            assert "CI" not in os.environ, done.stderr  # noqa: TID251 - there it must not be skipped
            pytest.skip(f"a file system can't be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return Disk(folder)

    yield attach
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@dataclass
class Spread(Shop):
    """A shop whose warehouse may lie apart, with a limit to DuckDB's memory."""

    database: Path | None = None
    memory_limit: str | None = None

    @property
    def settings(self) -> Settings:
        """The settings."""
        url = f"duckdb:///{self.database}" if self.database else ""
        return Settings(self.folder, warehouse_url=url, lock_timeout=0.2, threads=1, memory_limit=self.memory_limit)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that has loaded a day, and has got a correction of it, a larger packed file and one to be refused."""
    shop = Shop(tmp_path_factory.mktemp("model") / "shop", CONTRACT)
    shop.deliver(named(1), "id,n\na,1\nb,x\n", minute=1)
    shop.load()
    shop.deliver(named(1), "id,n\na,2\n", minute=2)
    shop.deliver(named(2), gzip.compress(MANY.encode(), mtime=0), minute=3)
    shop.deliver(named(3), "neither,of,them\n" * 100, minute=4)
    return shop.folder


def state(shop: Shop) -> dict[str, Any]:
    """Rows, ledger and folders; what is hidden in a folder is not part of it."""
    (tables,) = shop.rows(
        """SELECT (SELECT bit_xor(hash(t)) FROM raw_f t) AS raw, (SELECT bit_xor(hash(t)) FROM cleaned_f t) AS cleaned,
        (SELECT bit_xor(hash(t)) FROM rejected_f t) AS rejected, (SELECT list((file, version, status, records, cleaned,
        rejected, archived_as) ORDER BY file, delivery) FROM file_ledger) AS ledger"""
    )
    archive = [path for path in shop.archive() if not any(part.startswith(".") for part in Path(path).parts)]
    quarantine = {name: reason["sha256"] for name, reason in shop.quarantine().items()}
    return {**tables, "archive": archive, "landing": shop.landing(), "quarantine": quarantine}


@pytest.fixture(scope="module")
def expected(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the shop comes to when nothing disturbs it."""
    shop = Shop(copied_folder(model, tmp_path_factory.mktemp("undisturbed") / "shop"), CONTRACT)
    shop.load()
    return state(shop)


def interrupted(shop: Shop, disk: Disk, free: int) -> str:
    """Load while a disk is nearly full; what the error says, empty when there was none."""
    try:
        with disk.filled(free):
            shop.load()
    except DiskFull as error:
        return str(error)
    return ""


PLACES = [
    pytest.param("", 4_000_000, id="everything on one disk"),
    pytest.param("archive", 200_000, id="archive on its own"),
    pytest.param("quarantine", 20_000, id="quarantine on its own"),
    pytest.param("apart", 4_000_000, id="warehouse on its own"),
]


@pytest.mark.found("a full disk was told by bare errors of Python and DuckDB that named neither the disk nor a way out")
@pytest.mark.parametrize(("place", "most"), PLACES)
def test_wherever_the_room_ends(
    place: str, most: int, model: Path, expected: dict[str, Any], tmp_path: Path, mount: Mount
) -> None:
    """However much room a load has: a clear error or none, nothing half done, and the next load mends it."""
    folder = tmp_path / "shop"
    disk = mount(folder / place, "6m")
    steps = effort(4, 30)
    errors = []
    for number in range(steps + 1):
        shop = again(model, folder, disk)
        if place == "apart":
            shop.database = Path(shutil.move(folder / "warehouse.duckdb", disk.folder / "w.duckdb"))
        # Closer together where there is little room: many small writes come before the large ones.
        error = interrupted(shop, disk, int(most * (number / steps) ** 3))
        errors.append(error)
        rows = {(row["id"], row["n"]) for row in shop.table("cleaned")[:2]}
        assert rows in ({("a", 1)}, {("a", 2), ("key00000000", 0)})
        shop.load()
        assert state(shop) == expected
        assert verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings == []
        tried()
    assert errors[0]
    assert not errors[-1]
    for error in filter(None, errors):
        assert re.match(
            rf"the disk of {disk.folder}.* has too little room \([\d,]+ of [\d,]+ bytes are free\): load of f, run",
            error,
        )
        assert "Free space on that disk, then run again (docs/recover.md)" in error


def again(model: Path, folder: Path, disk: Disk) -> Spread:
    """The model shop in a folder with a disk in it, both emptied."""
    disk.clear()
    for child in folder.iterdir():
        if not child.is_mount():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
    return Spread(copied_folder(model, folder), CONTRACT)


@pytest.mark.found("a good file was refused where DuckDB found no room, on disk or in memory, to read it")
@pytest.mark.found("a warehouse that was begun on a full disk could never be opened")
@pytest.mark.parametrize("free", [0, 400_000, 3_000_000, 8_000_000])
def test_room_for_what_does_not_fit_into_memory(free: int, tmp_path: Path, mount: Mount) -> None:
    """Where DuckDB finds no room for what it keeps on disk meanwhile, that is said and no file is refused for it."""
    disk = mount(tmp_path / "disk", "96m")
    shop = Spread(disk.folder, replace(CONTRACT, source=SourceFormat(FileFormat.PARQUET)), memory_limit="30MB")
    rows = "SELECT 'k' || (range * 7919 % 100000) || repeat('x', 30) AS id, range AS n FROM range(100000)"
    duckdb.execute(f"COPY ({rows}) TO '{tmp_path}/rows.parquet'")
    shop.deliver("s_2024-01-01.parquet", (tmp_path / "rows.parquet").read_bytes())
    assert "has too little room" in interrupted(shop, disk, free)
    assert shop.landing() == ["s_2024-01-01.parquet"]
    shop.load()
    assert shop.quarantine() == {}
    assert shop.ledger("status", "cleaned") == [("loaded", 100_000)]


@pytest.mark.found("with a memory limit below one gigabyte every delimited file was refused as unreadable")
def test_too_little_memory(tmp_path: Path) -> None:
    """Where DuckDB may not use the memory that it needs to read a file, that is said and the file stays in landing."""
    shop = Spread(tmp_path, CONTRACT, memory_limit="30MB")
    shop.deliver(named(1), MANY)
    with pytest.raises(WarehouseError, match="Set WAREHOUSE_MEMORY_LIMIT higher"):
        shop.load()
    assert shop.landing() == [named(1)]
    shop.memory_limit = None
    shop.load()
    assert shop.ledger("status", "cleaned") == [("loaded", ROWS)]


def test_a_run_that_finds_no_room(tmp_path: Path, mount: Mount) -> None:
    """In Dagster the run fails with the clear error, and after room was made the next one succeeds."""
    disk = mount(tmp_path / "data", "16m")
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), disk.folder, instance)
        bench.drop("sales", "sales_2024-01-15.csv", sales(*(sale(f"A{number}") for number in range(ROWS))))
        with disk.filled(300_000):
            failed = bench.run("raw_sales", "cleaned_sales", "rejected_sales", first="2024-01-15", raise_on_error=False)
        assert not failed.success
        (event,) = [event for event in failed.all_events if event.is_step_failure]
        assert event.step_failure_data.error
        assert event.step_failure_data.error.cause
        assert f"DiskFull: the disk of {disk.folder} has too little room" in event.step_failure_data.error.cause.message
        assert bench.landing("sales") == ["sales_2024-01-15.csv"]
        bench.run("raw_sales", "cleaned_sales", "rejected_sales", first="2024-01-15")
        assert bench.query("SELECT count(*) FROM cleaned_sales") == [(ROWS,)]
        assert bench.landing("sales") == []

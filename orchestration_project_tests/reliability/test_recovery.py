"""Ways back: whatever is broken is named with what to do, and doing so brings back the tables of before."""

import itertools
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.errors import WarehouseBroken
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import Finding
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, project
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, options
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.servers.warehouses import copied_folder

pytestmark = pytest.mark.promise("disk")

CONTRACT = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "0")), primary_key=("id",))
FILES = {
    named(1): "id,n\na,1\nb,2\n,3\n\nc,-1\n",
    named(2): "id,n\nd,1\ne,2\nf,3\ng,4\n",
    named(2, "t"): "id,n\nh,1\n",
    named(2, "u"): "id,n\nd,1\ne,2\nf,3\ng,4\n",
    named(3): "id,n\nd,7\nm,2\n",
}
CORRECTED = "id,n\na,1\nb,5\n,3\n\nx,-1\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop with three days: corrections, a duplicate, rejected and blank records, a refused file."""
    return filled(Shop(tmp_path_factory.mktemp("model") / "shop", CONTRACT, options())).folder


@pytest.fixture
def shop(model: Path, tmp_path: Path) -> Shop:
    """A copy of the shop."""
    return Shop(copied_folder(model, tmp_path / "shop"), CONTRACT, options(), itertools.count(100))


def filled(shop: Shop) -> Shop:
    """Deliver and load all files, then a correction of the first one, and a correction of the third and back."""
    for name, content in FILES.items():
        shop.deliver(name, content)
    shop.deliver(named(3, "bad"), "nothing here\n")
    shop.load()
    for name, content in ((named(1), CORRECTED), (named(2, "t"), "id,n\nk,1\n"), (named(2, "t"), FILES[named(2, "t")])):
        shop.deliver(name, content)
        shop.load()
    return shop


def findings(shop: Shop, keys: list[str] | None = None) -> list[Finding]:
    """What a verification of the shop finds."""
    return verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)], keys).findings


def state(shop: Shop) -> dict[str, Any]:
    """All that must be as before: rows, archive, landing, and the ledger but for the history of what was replaced."""
    ledger = shop.rows(
        """SELECT feed, file, version, sha256, batch, batch_date, status, archived_as, delivery,
        CASE WHEN status = 'loaded' THEN [records, cleaned, rejected, blank_records] END AS counts
        FROM file_ledger WHERE status <> 'quarantined' ORDER BY file, delivery"""
    )
    return {**shop.tables(), "ledger": ledger, "archive": shop.archive(), "landing": shop.landing()}


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def move_away(shop: Shop) -> None:
    """Do what errors say: move the warehouse and its .wal away."""
    aside = shop.folder / "aside"
    aside.mkdir(exist_ok=True)
    for name in ("warehouse.duckdb", "warehouse.duckdb.wal"):
        path = shop.folder / name
        if path.exists():
            path.rename(aside / name)


def test_what_is_whole_is_proven(shop: Shop) -> None:
    """After corrections, duplicates and refusals there is no finding, and looking changes no byte."""
    before = everything(shop.folder)
    assert findings(shop) == []
    assert everything(shop.folder) == before


# -- a ledger that disagrees, tables written to by hand -------------------------------------------------------------

WRITES = [
    pytest.param(
        "DELETE FROM raw_f WHERE _row = 1", r"not in raw_f.*each once|records of cleaned_f", id="raw rows deleted"
    ),
    pytest.param("DELETE FROM raw_f", "not in raw_f|records of cleaned_f", id="all raw rows deleted"),
    pytest.param("DELETE FROM cleaned_f WHERE n = 5", "1 records that are neither", id="cleaned rows deleted"),
    pytest.param("DELETE FROM rejected_f", "records that are neither", id="rejected rows deleted"),
    pytest.param("INSERT INTO raw_f FROM raw_f", "record numbers that several rows", id="raw rows doubled"),
    pytest.param("INSERT INTO cleaned_f FROM cleaned_f", "published more than once", id="cleaned rows doubled"),
    pytest.param(
        "UPDATE raw_f SET _row = 2 WHERE _row = 3", "record numbers that several rows", id="as many raw rows, one twice"
    ),
    pytest.param(
        "UPDATE raw_f SET _batch_date = '2024-01-03' WHERE _file = 's_2024-01-02.csv'",
        "is not loaded, says the ledger",
        id="raw rows under another batch",
    ),
    pytest.param(
        "UPDATE raw_f SET _file = 'elsewhere.csv'", "is not loaded, says the ledger", id="raw rows of no file"
    ),
    pytest.param(
        "UPDATE cleaned_f SET _row = 77 WHERE n = 5", "that raw_f does not have", id="cleaned rows of no record"
    ),
    pytest.param("DROP TABLE raw_f", "not in the warehouse", id="raw table dropped"),
    pytest.param("DROP TABLE cleaned_f", "not in the warehouse", id="cleaned table dropped"),
    pytest.param("DROP TABLE rejected_f", "not in the warehouse", id="rejected table dropped"),
    pytest.param("DROP TABLE file_ledger", "in the archive but not in the ledger", id="ledger dropped"),
    pytest.param("DELETE FROM file_ledger", "in the archive but not in the ledger", id="ledger emptied"),
    pytest.param(
        "DELETE FROM file_ledger WHERE status = 'loaded' AND file <> 's_2024-01-02.csv'",
        "is not loaded, says the ledger",
        id="loaded entries deleted",
    ),
    pytest.param(
        "DELETE FROM file_ledger WHERE delivery > 1",
        "in the archive but not in the ledger",
        id="last deliveries deleted",
    ),
    pytest.param(
        "UPDATE file_ledger SET status = 'superseded' WHERE status = 'loaded'",
        "is superseded in the ledger",
        id="no current version",
    ),
    pytest.param("ALTER TABLE cleaned_f DROP COLUMN n", "lacks the column", id="cleaned column dropped"),
    pytest.param("UPDATE file_ledger SET records = 9 WHERE status = 'loaded'", "each once", id="records miscounted"),
    pytest.param("UPDATE file_ledger SET cleaned = 0", "each once", id="cleaned miscounted"),
    pytest.param("UPDATE file_ledger SET records = NULL WHERE status = 'loaded'", "each once", id="records forgotten"),
]


@pytest.mark.parametrize(("statement", "what"), WRITES)
@pytest.mark.found(
    "rows of a file that the ledger no longer knew stayed in the tables, and the load that was to mend it failed"
)
def test_loading_again_mends_what_was_written_by_hand(shop: Shop, statement: str, what: str) -> None:
    """A write from outside is found, the remedy is to load the batches again, and that brings all back."""
    before = state(shop)
    shop.rows(statement)
    found = findings(shop)
    assert any(re.search(what, item.what) for item in found), found
    assert {item.remedy.partition(" --partition")[0] for item in found} == {
        "dagster asset materialize -m orchestration_project.definitions --select raw_f,cleaned_f,rejected_f"
    }
    shop.load()
    assert findings(shop) == []
    assert state(shop) == before


BEYOND = [
    pytest.param("UPDATE file_ledger SET status = 'loaded'", "is loaded in the ledger", id="all are current"),
    pytest.param(
        "UPDATE file_ledger SET sha256 = repeat('0', 64), version = repeat('0', 16) WHERE delivery = 1",
        "does not have the bytes",
        id="other hashes",
    ),
    pytest.param(
        "DELETE FROM file_ledger WHERE file = 's_2024-01-02.csv'",
        "is duplicate in the ledger",
        id="a duplicate of nothing",
    ),
    pytest.param("ALTER TABLE raw_f DROP COLUMN n", "lacks the column", id="raw column dropped"),
    pytest.param("ALTER TABLE file_ledger DROP COLUMN records", "lacks the column", id="ledger column dropped"),
    pytest.param("INSERT INTO file_ledger FROM file_ledger", "has 2 entries", id="entries doubled"),
    pytest.param("UPDATE raw_f SET _batch_date = NULL", "is not loaded, says the ledger", id="rows of no batch"),
]


@pytest.mark.parametrize(("statement", "what"), BEYOND)
def test_rebuilding_mends_the_rest(shop: Shop, statement: str, what: str) -> None:
    """Where a load can't tell what the ledger should say, the remedy is a rebuild, which brings all back."""
    before = state(shop)
    shop.rows(statement)
    found = findings(shop)
    assert any(re.search(what, item.what) for item in found), found
    assert any("rebuild it from the archive" in item.remedy or "restore" in item.remedy for item in found)
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None, accept_loss=True)
    assert findings(shop) == []
    assert state(shop) == before


def test_a_snapshot_without_a_current_file_is_loaded_again(tmp_path: Path) -> None:
    """A snapshot feed whose ledger or rows were written to gets its newest file back by a load."""
    shop = Shop(tmp_path, CONTRACT, options(snapshot=True))
    for number in (1, 2):
        shop.deliver(named(number), FILES[named(number)])
        shop.load()
    before = state(shop)
    for statement in (
        "DELETE FROM file_ledger WHERE status = 'loaded'",
        "DELETE FROM file_ledger",
        "DELETE FROM raw_f",
        "UPDATE file_ledger SET status = 'superseded'",
    ):
        shop.rows(statement)
        assert findings(shop) != []
        shop.load()
        assert findings(shop) == []
        assert state(shop) == before
        tried()


# -- the archive ------------------------------------------------------------------------------------------------------


def garble(path: Path) -> None:
    """Change a byte of a file; its length stays."""
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


HARM = [
    pytest.param(Path.unlink, "is not in the archive", id="missing"),
    pytest.param(garble, "does not have the bytes", id="damaged"),
]
PLACES = [
    pytest.param("2024-01-01/v2/s_2024-01-01.csv", id="loaded"),
    pytest.param("2024-01-01/s_2024-01-01.csv", id="superseded"),
    pytest.param("2024-01-02/duplicate/u_2024-01-02.csv", id="duplicate"),
]


@pytest.mark.parametrize(("harm", "what"), HARM)
@pytest.mark.parametrize("place", PLACES)
def test_an_archived_file_from_a_backup(shop: Shop, place: str, harm: Callable[[Path], None], what: str) -> None:
    """A file that is missing or damaged in the archive is named, and restoring it is all that is needed."""
    path = shop.settings.archive("f") / place
    backup = shutil.copy2(path, shop.folder / "backup")
    harm(path)
    (finding,) = findings(shop)
    assert what in finding.what
    assert (finding.file, finding.batch) == (path.name, place[:10])
    assert f"restore {path} from a backup" in finding.remedy
    shutil.copy2(backup, path)
    assert findings(shop) == []


@pytest.mark.parametrize(("harm", "what"), HARM)
@pytest.mark.parametrize("place", [item for item in PLACES if item.id != "superseded"])
def test_an_archived_file_from_its_sender(shop: Shop, place: str, harm: Callable[[Path], None], what: str) -> None:
    """Without a backup, the same bytes delivered again go to where they are missing."""
    before, path = state(shop), shop.settings.archive("f") / place
    content = path.read_bytes()
    harm(path)
    (finding,) = findings(shop)
    assert "have the very same file delivered again" in finding.remedy
    assert what in finding.what
    path.unlink(missing_ok=True)
    shop.deliver(path.name, content)
    shop.load()
    assert findings(shop) == []
    assert state(shop) == before


@pytest.mark.parametrize("place", PLACES)
def test_a_loss_that_is_accepted(shop: Shop, place: str) -> None:
    """Once the file's entries are deleted, a load makes of the tables what the archive still has."""
    path = shop.settings.archive("f") / place
    path.unlink()
    shop.rows(f"DELETE FROM file_ledger WHERE feed = 'f' AND file = '{path.name}'")
    shop.load()
    assert findings(shop) == []
    tables = state(shop)
    move_away(shop)
    shop.load()
    assert state(shop) == tables


def test_files_that_nobody_delivered(shop: Shop) -> None:
    """What was put into the archive by hand is named; it is loaded with its batch, or as a delivery."""
    root = shop.settings.archive("f")
    (root / "2024-01-02" / named(2, "v")).write_text("id,n\nu,1\n", encoding="utf-8")
    (root / "2024-01-01" / "duplicate").mkdir()
    stray = root / "2024-01-01" / "duplicate" / named(1)
    stray.write_text("id,n\nw,1\n", encoding="utf-8")
    found = {item.found.split()[0]: item for item in findings(shop)}
    assert set(found) == {f"2024-01-02/{named(2, 'v')}", f"2024-01-01/duplicate/{named(1)}"}
    assert "--partition 2024-01-02" in found[f"2024-01-02/{named(2, 'v')}"].remedy
    assert "move it to landing/f/" in found[f"2024-01-01/duplicate/{named(1)}"].remedy
    stray.rename(shop.settings.landing("f") / stray.name)
    shop.load()
    assert findings(shop) == []
    assert [file for file in shop.cleaned("_file") if file in (named(1), named(2, "v"))] == [named(1), named(2, "v")]


def test_quarantine_without_its_other_half(shop: Shop) -> None:
    """A refused file without a reason is validated again from landing; a reason without a file is deleted."""
    folder, name = shop.settings.quarantine("f"), named(3, "bad")
    note = folder / f"{name}.reason.json"
    note.unlink()
    (finding,) = findings(shop)
    assert finding.what == "is in quarantine without a reason"
    assert str(folder / name) in finding.remedy
    (folder / name).rename(shop.settings.landing("f") / name)
    shop.load()
    assert list(shop.quarantine()) == [name]
    assert findings(shop) == []
    (folder / name).unlink()
    (finding,) = findings(shop)
    assert f"delete {note}" in finding.remedy
    note.unlink()
    assert findings(shop) == []


def test_a_file_that_was_committed_but_not_moved(shop: Shop) -> None:
    """After a run that died before it moved its files, the finding is to load again, which moves them."""
    before, place = state(shop), shop.settings.archive("f") / "2024-01-02" / named(2)
    place.rename(shop.settings.landing("f") / named(2))
    (finding,) = findings(shop)
    assert finding.what == "waits to be moved to the archive"
    assert "--partition 2024-01-02" in finding.remedy
    shop.load()
    assert findings(shop) == []
    assert state(shop) == before


# -- the warehouse's file ---------------------------------------------------------------------------------------------


def database(shop: Shop) -> Path:
    """The warehouse's file."""
    return shop.settings.database


def truncate(share: float) -> Callable[[Shop], None]:
    """Cut the warehouse's file off."""

    def cut(shop: Shop) -> None:
        size = database(shop).stat().st_size
        with database(shop).open("r+b") as stream:
            stream.truncate(int(size * share))

    return cut


def flip(start: int, length: int) -> Callable[[Shop], None]:
    """Turn bytes of the warehouse's file around."""

    def turn(shop: Shop) -> None:
        with database(shop).open("r+b") as stream:
            stream.seek(start)
            found = stream.read(length)
            stream.seek(start)
            stream.write(bytes(byte ^ 0xFF for byte in found))

    return turn


def no_database(shop: Shop) -> None:
    """Put a text in the place of the warehouse's file."""
    database(shop).write_text("id,n\n" * 5000, encoding="utf-8")


def a_folder(shop: Shop) -> None:
    """Put a folder in the place of the warehouse's file."""
    database(shop).unlink()
    database(shop).mkdir()


def a_newer_version(shop: Shop) -> None:
    """Raise the storage version in the header, its checksum corrected: each word times a constant, all xored."""
    header = bytearray(database(shop).read_bytes()[:4096])
    header[12:20] = struct.pack("<Q", 10_000)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", bytes(header[8:])):
        checksum ^= word * 0xBF58476D1CE4E5B9 & 0xFFFF_FFFF_FFFF_FFFF
    header[:8] = struct.pack("<Q", checksum)
    with database(shop).open("r+b") as stream:
        stream.write(header)


def a_garbled_wal(shop: Shop) -> None:
    """Leave a write in the WAL, as a killed process does, and garble it."""
    with duckdb.connect(str(database(shop))) as connection:
        connection.execute("SET wal_autocheckpoint = '1GB'")
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("CREATE TABLE notes AS SELECT repeat('x', 1000) AS note FROM range(100)")
    wal = database(shop).with_name("warehouse.duckdb.wal")
    content = bytearray(wal.read_bytes())
    content[len(content) // 2] ^= 0xFF
    wal.write_bytes(content)


RUINED = [
    pytest.param(truncate(0), "not a valid DuckDB", id="empty"),
    pytest.param(truncate(0.5), "Could not read enough bytes", id="half"),
    pytest.param(truncate(0.999), "Could not read enough bytes", id="the end is missing"),
    pytest.param(flip(8, 4), "not a valid DuckDB", id="magic bytes"),
    pytest.param(flip(20, 64), "checksum", id="header"),
    pytest.param(flip(4096, 64), "checksum", id="both headers of the storage"),
    pytest.param(no_database, "not a valid DuckDB", id="a text"),
    pytest.param(a_folder, "Is a directory", id="a folder"),
    pytest.param(a_newer_version, "newer DuckDB", id="a newer version"),
    pytest.param(a_garbled_wal, "replaying WAL", id="garbled WAL"),
]


@pytest.mark.parametrize(("ruin", "told"), RUINED)
@pytest.mark.found("a warehouse that can't be read gave an error that did not say how to get it back")
def test_a_warehouse_that_can_not_be_read(shop: Shop, ruin: Callable[[Shop], None], told: str) -> None:
    """Load and verify say what is wrong and what to do, and touch nothing; moved away, the archive brings all back."""
    before = state(shop)
    ruin(shop)
    ruined = everything(shop.folder)
    with pytest.raises(WarehouseBroken, match=told) as raised:
        shop.load()
    assert str(database(shop)) in str(raised.value)
    assert "docs/recover.md" in str(raised.value)
    broken, lost = findings(shop)
    assert told in broken.found
    assert f"move {database(shop)} away" in broken.remedy
    assert lost.remedy == "orchestration-project rebuild f"
    assert everything(shop.folder) == ruined
    move_away(shop)
    missing, lost_then = findings(shop)
    assert missing.what == "the warehouse is missing"
    assert lost_then == lost
    shop.load()
    assert findings(shop) == []
    assert state(shop) == before


def test_a_deleted_warehouse(shop: Shop) -> None:
    """Without its file, and with or without the WAL that belonged to it, the warehouse comes back from the archive."""
    before = state(shop)
    for leave_wal in (False, True):
        shop.lose_warehouse()
        if leave_wal:
            database(shop).with_name("warehouse.duckdb.wal").write_bytes(b"left over")
        missing, lost = findings(shop)
        assert missing.what == "the warehouse is missing"
        assert lost.remedy == "orchestration-project rebuild f"
        assert not database(shop).exists()
        shop.load()
        assert findings(shop) == []
        assert state(shop) == before
        tried()


def test_nothing_at_all_is_proven(tmp_path: Path) -> None:
    """A feed without files and without a warehouse has nothing to find, and none is made by looking."""
    shop = Shop(tmp_path)
    assert findings(shop) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.found("after its last transactions were lost, corrections in the archive were not loaded again")
def test_a_lost_wal(shop: Shop) -> None:
    """Commits that were only in a WAL that is gone are found in the archive, and loaded with their batches."""
    older = shutil.copy2(database(shop), shop.folder / "older")
    for name, content in ((named(1), "id,n\nz,1\n"), (named(3, "new"), "id,n\ny,1\n")):
        shop.deliver(name, content)
        shop.load()
    before = state(shop)
    shutil.copy2(older, database(shop))
    assert {(item.file, item.what) for item in findings(shop)} == {
        (named(1), "is in the archive but not in the ledger"),
        (named(3, "new"), "is in the archive but not in the ledger"),
    }
    shop.load()
    assert findings(shop) == []
    assert state(shop) == before


def test_damaged_blocks(shop: Shop) -> None:
    """Wherever bytes of the file are damaged, a verification says the way back, or all tables are as before."""
    shop.rows("CREATE TABLE notes AS SELECT hash(range)::VARCHAR || repeat('y', 50) AS note FROM range(60000)")
    before, whole = state(shop), database(shop).read_bytes()
    broken = 0
    steps = effort(16, 150)
    for number in range(steps):
        database(shop).write_bytes(whole)
        flip(len(whole) * number // steps + 17, 5)(shop)
        ruined = database(shop).read_bytes()
        found = findings(shop)
        assert database(shop).read_bytes() == ruined
        if found:
            broken += 1
            assert found[0].what == "the warehouse can't be read"
            assert "move" in found[0].remedy
        else:
            assert state(shop) == before
        tried()
    assert broken > steps // 2


# -- as it is typed ---------------------------------------------------------------------------------------------------

TABLES = (
    "raw_sales",
    "cleaned_sales",
    "rejected_sales",
    "cleaned_products",
    "product_daily_sales",
    "product_warehouse",
)


VERIFY = f"{shlex.quote(sys.executable)} -m orchestration_project verify"


def test_the_commands_that_are_printed(tmp_path: Path) -> None:
    """`verify` prints what rebuilds a lost warehouse; typed as printed, it brings back every table."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), tmp_path / "data", instance)
        bench.drop("products", "products_2024-01-15.json", catalogue((1, "Tea", "drinks", 5.0)))
        for day in ("2024-01-15", "2024-01-17"):
            bench.drop("sales", f"sales_{day}.csv", sales(sale(f"A{day}", day=day), sale("bad", quantity="x")))
        bench.run(job="products_job")
        # Nothing came for the day between, which stops the marts of that run.
        bench.run(job="sales_job", first="2024-01-15", last="2024-01-17", raise_on_error=False)
        bench.run("product_daily_sales", "product_warehouse", first="2024-01-15", last="2024-01-17")
    before = rows(bench)
    environment = shell(tmp_path)
    assert "all proven" in typed(environment, VERIFY, 0)
    flip(4096, 8192)(Shop(bench.data_dir))
    printed = typed(environment, VERIFY, 1)
    assert "can't be read" in printed
    (tmp_path / "broken").mkdir()
    (bench.data_dir / "warehouse.duckdb").rename(tmp_path / "broken" / "warehouse.duckdb")
    commands = re.findall(
        r"^  ((?:dagster asset materialize|orchestration-project rebuild) .*)$", printed, re.MULTILINE
    )
    assert len(commands) == 3
    for command in commands:
        typed(environment, command, 0)
    assert "all proven" in typed(environment, VERIFY, 0)
    assert rows(bench) == before


def rows(bench: Workbench) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all tables, whatever the order of rows and columns."""
    found = {}
    for table in TABLES:
        columns = bench.query(f"SELECT column_name FROM (DESCRIBE {table}) ORDER BY 1")
        found[table] = bench.query(f"SELECT {', '.join(column for (column,) in columns)} FROM {table} ORDER BY ALL")
    return found


def shell(folder: Path) -> dict[str, str]:
    """An environment for the project's commands, with the data below a folder."""
    (folder / "home").mkdir()
    shutil.copy(REPOSITORY / "dagster.yaml", folder / "home")
    inherited = dict(os.environ)  # noqa: TID251 - the commands run as they would from this shell
    return inherited | {
        "DATA_DIR": str(folder / "data"),
        "DAGSTER_HOME": str(folder / "home"),
        "PYTHONPATH": str(REPOSITORY),
        "PATH": f"{Path(sys.executable).parent}:{inherited['PATH']}",
        "COLUMNS": "100",
    }


def typed(environment: dict[str, str], command: str, exit_code: int) -> str:
    """What a command prints."""
    done = subprocess.run(
        shlex.split(command), cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout

"""What keeps a lake small: fewer files, the same rows, also for whoever reads an earlier state."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from orchestration_project.recovery.withdraw import Chosen, withdraw
from orchestration_project.settings import Settings
from orchestration_project.warehouse.extensions import load as load_extension
from orchestration_project.warehouse.lake import Lake
from orchestration_project.warehouse.lake_maintenance import Maintained, maintain
from orchestration_project_tests.ingest.shop import NOW, Row, Shop, named
from orchestration_project_tests.pages import ROOT, blocks_of
from orchestration_project_tests.servers.warehouses import SQLITE, place

DAYS = 4
Reader = Callable[[], duckdb.DuckDBPyConnection]


class LakeShop(Shop):
    """A shop whose warehouse is a lake of one machine."""

    @property
    def settings(self) -> Settings:
        """Its settings."""
        url, data = place(self.folder, SQLITE)
        return Settings(data_dir=self.folder, warehouse_url=url, warehouse_data=data, lock_timeout=0.2, threads=1)

    @property
    def lake(self) -> Lake:
        """The lake."""
        assert isinstance(self.warehouse, Lake)
        return self.warehouse

    def maintain(self, days: float = 0, keep: float = 7) -> Maintained:
        """Maintain the lake so many days from now; files stay for a day that no snapshot has."""
        now = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        return maintain(self.lake, now, dt.timedelta(days=keep), dt.timedelta(days=1), self.told.append)

    def files(self) -> int:
        """The number of Parquet files on the disk."""
        return sum(1 for _ in Path(self.lake.data).rglob("*.parquet"))


def statements(*kinds: str) -> list[str]:
    """The statements of docs/lake.md that begin with one of these words."""
    found = [
        statement.query.strip("; \n")
        for block in blocks_of(ROOT / "docs" / "lake.md")
        if block.language == "sql"
        for statement in duckdb.extract_statements(block.text)
    ]
    return [query for query in found if query.startswith(kinds)]


@pytest.fixture
def shop(tmp_path: Path) -> LakeShop:
    """A shop with a load for each of some days, and a correction of one of them."""
    shop = LakeShop(tmp_path)
    for number in range(1, DAYS + 1):
        shop.deliver(named(number), f"id,n\na{number},{number}\nb{number},x\n")
        shop.load()
    shop.deliver(named(2), "id,n\nc,20\n")
    shop.load()
    return shop


@pytest.fixture
def reader(shop: LakeShop) -> Reader:
    """Opens the lake as a program of a reader does, without the platform."""

    def opened() -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        for name in ("ducklake", "sqlite_scanner"):
            load_extension(connection, name)
        for statement in statements("ATTACH", "USE"):
            connection.execute(statement.replace("/srv/shop/lake.sqlite", str(shop.lake.local)))
        return connection

    return opened


def versions(connection: duckdb.DuckDBPyConnection) -> dict[int, Row]:
    """What each snapshot that can be read has in the cleaned table and in the ledger."""
    numbers = connection.execute("SELECT snapshot_id FROM ducklake_snapshots('lake') ORDER BY 1").fetchall()
    found: dict[int, Row] = {}
    for (number,) in numbers:
        at = f"AT (VERSION => {number})"
        try:
            found[number] = {
                table: connection.execute(f"FROM {table} {at} ORDER BY ALL").fetchall()
                for table in ("cleaned_f", "file_ledger")
            }
        except duckdb.CatalogException:
            continue  # of before the table was made
    return found


def test_small_files_are_put_together(shop: LakeShop, reader: Reader) -> None:
    """After many small loads there are fewer files, all tables are equal, and so is each snapshot that is kept."""
    before = shop.tables()
    with reader() as connection:
        states = versions(connection)
    found = shop.maintain()
    assert found.after.files < found.before.files
    assert (found.expired, found.deleted, found.unknown) == (0, 0, [])
    assert shop.tables() == before
    with reader() as connection:
        assert {number: state for number, state in versions(connection).items() if number in states} == states
    again = shop.maintain()
    assert (again.before, again.after, again.snapshots) == (found.after, found.after, found.snapshots)


def test_old_states_go_after_a_grace(shop: LakeShop, reader: Reader) -> None:
    """Old snapshots expire, but a query goes on that began before; later their files are deleted, nobody else's are."""
    before, files = shop.tables(), shop.files()
    with reader() as connection:
        connection.execute("BEGIN")
        seen = connection.execute("FROM cleaned_f ORDER BY ALL").fetchall()
        found = shop.maintain(days=0, keep=0)
        assert found.expired > DAYS
        assert connection.execute("FROM cleaned_f ORDER BY ALL").fetchall() == seen
    assert shop.files() >= files
    foreign = Path(shop.lake.data) / "main" / "mine.parquet"
    foreign.write_bytes(b"mine")
    later = shop.maintain(days=9)
    assert later.deleted > DAYS
    assert later.snapshots == 1
    assert [Path(path).name for path in later.unknown] == ["mine.parquet"]
    assert foreign.read_bytes() == b"mine"
    assert shop.files() == later.after.files + 1
    assert shop.tables() == before
    shop.deliver(named(DAYS + 1), "id,n\nz,9\n")
    shop.load()
    assert shop.cleaned("id")[-1] == "z"


def test_an_earlier_state_is_read_and_a_bad_batch_rolled_back(shop: LakeShop, reader: Reader) -> None:
    """The page's queries read a snapshot by number and by time, and show what a withdrawal of a bad file changed."""
    good = shop.cleaned("id", "n")
    with reader() as connection:
        ((number, moment),) = connection.execute(
            "SELECT snapshot_id, snapshot_time FROM ducklake_snapshots('lake') ORDER BY 1 DESC LIMIT 1"
        ).fetchall()
    shop.deliver(named(3), "id,n\nbad,-1\n")
    shop.load()
    queries = [
        query.replace("cleaned_sales", "cleaned_f")
        .replace("=> 12", f"=> {number}")
        .replace("2024-01-15 08:00:00+00", moment.isoformat())
        for query in statements("SELECT")
    ]
    snapshots, by_number, by_time, changes = queries
    with reader() as connection:
        assert connection.execute(snapshots).fetchall()[0][0] > number
        counted = [connection.execute(query).fetchall() for query in (by_number, by_time)]
        assert counted == [[(len(good),)], [(len(good),)]]
        changed = connection.execute(f"SELECT change, id FROM ({changes}) ORDER BY ALL").fetchall()
        assert changed == [("gone", "a3"), ("new", "bad")]
    chosen = Chosen(named(3), "")
    withdraw(shop.warehouse, shop.settings, shop.feed, shop.options, chosen, "ann", "bad", NOW, shop.told.append)
    assert shop.cleaned("id", "n") == good
    with reader() as connection:
        assert connection.execute(f"SELECT id, n FROM ({changes})").fetchall() == []

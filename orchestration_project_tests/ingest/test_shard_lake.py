"""On a lake the files that shards write become the files of its tables, and none is left of a load that was killed."""

import datetime as dt
import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Bound
from orchestration_project.errors import ShardFailed
from orchestration_project.failpoints import Point, listen
from orchestration_project.ingest.shard import ShardResult, ShardTask, run_shard
from orchestration_project.ingest.shard_files import FOLDER, remove_left
from orchestration_project.ingest.shard_lake import LakeFolder
from orchestration_project.warehouse.lake import LEFT_SECONDS, Lake
from orchestration_project.warehouse.lake_maintenance import maintain
from orchestration_project_tests.ingest.repairs import reject, repair_name
from orchestration_project_tests.ingest.sharded import HERE, ShardedShop
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, options
from orchestration_project_tests.ingest.test_sharding import STORIES, Story, ensure_equal, pair, tell
from orchestration_project_tests.reliability.evidence import TORTURE, effort, tried
from orchestration_project_tests.servers.warehouses import CHOICE, FILE, POSTGRES, SQLITE

pytestmark = pytest.mark.promise("crash")

CONTRACT = feed(
    column("id"),
    column("n", "INTEGER", Bound("minimum", "0"), unique=True),
    column("part", "DECIMAL(38,18)", expression='"n" / 3'),
    column("root", "DOUBLE", expression="CASE WHEN \"n\" = 2 THEN 'NaN' WHEN \"n\" = 3 THEN '-inf' ELSE 0.1 END"),
    column("at", "TIMESTAMPTZ", expression="'2024-01-01 12:00:00.123456+01'"),
    column("on", "DATE", expression="DATE '2024-01-01' + \"n\""),
    primary_key=("id",),
)
"""A contract whose values are all in order; it has two keys."""
HEAD = "id,n\n"


@pytest.fixture(autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of lake that a test uses."""
    chosen = str(getattr(request, "param", SQLITE))
    if chosen == POSTGRES:
        request.getfixturevalue("lake_servers")
    monkeypatch.setenv(CHOICE, chosen)
    return chosen


def lake_of(shop: Shop) -> Lake:
    """The lake of a shop."""
    assert isinstance(shop.warehouse, Lake)
    return shop.warehouse


def by_shards(shop: Shop, table: str) -> int:
    """How many files of a table shards have written."""
    rows = shop.rows(f"SELECT data_file FROM ducklake_list_files('warehouse', '{table}')")
    return sum(f"/{FOLDER}/" in row["data_file"] for row in rows)


def in_folder(shop: Shop) -> int:
    """How many files of shards there are in the data of a lake, whether they belong to a table or not."""
    (row,) = shop.rows(f"SELECT count(*) AS files FROM glob('{lake_of(shop).data}{FOLDER}/**')")
    return int(row["files"])


def keep_small(shop: Shop, days: float = 9) -> None:
    """Maintain the lake so many days from now, and let nothing of before be readable."""
    lake, now = lake_of(shop), dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    for _ in range(2):  # what the first one puts together, the second one deletes
        found = maintain(lake, now, dt.timedelta(), dt.timedelta(), shop.told.append)
    remove_left(lake, found.unknown)


def first_wave(shop: Shop) -> None:
    """Keys that files of both shards have, rejects, and nothing of interest."""
    for number in range(1, 5):
        shop.deliver(named(number), f"{HEAD}a,{number}\nb{number},1{number}\nc{number},x\nd{number},99\n")
    shop.load()


@pytest.mark.parametrize("kind", [POSTGRES], indirect=True)
def test_in_an_object_store(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards write to the store of the lake, with the credentials of the load."""
    if TORTURE:
        test_files_of_shards_become_files_of_the_tables(tmp_path)
        return
    shop = ShardedShop(tmp_path / kind, CONTRACT, options(), executor="processes")
    first_wave(shop)
    assert (by_shards(shop, "raw_f"), by_shards(shop, "cleaned_f"), in_folder(shop)) == (2, 2, 4)
    found = shop.tables()
    monkeypatch.setenv(CHOICE, FILE)
    plain = Shop(tmp_path / FILE, CONTRACT, options())
    first_wave(plain)
    assert found == plain.tables()


def test_files_of_shards_become_files_of_the_tables(tmp_path: Path) -> None:
    """Their rows are those that one process writes, and stay so after corrections, repairs and maintenance."""
    tried()
    shops = pair(tmp_path, CONTRACT, options())
    for shop in shops:
        first_wave(shop)
    ensure_equal(shops)
    sharded = shops[1]
    assert (by_shards(sharded, "raw_f"), by_shards(sharded, "cleaned_f"), in_folder(sharded)) == (2, 2, 4)
    for shop in shops:
        shop.deliver(repair_name(1), f"id,n,_reject_id\nc1,50,{reject(shop, named(1), 3)}\n")
        shop.deliver(named(2), f"{HEAD}a,7\nb1,8\n")
        shop.deliver(named(5), f"{HEAD}e,9\na,10\n")
        shop.load()
    ensure_equal(shops)
    keep_small(sharded)
    assert in_folder(sharded) == 0
    ensure_equal(shops)
    for shop in shops:
        shop.deliver(named(1), f"{HEAD}a,70\n")
        shop.load()
    ensure_equal(shops)


@pytest.mark.skipif(not TORTURE, reason="the long form")
@pytest.mark.parametrize("story", [pytest.param(story, id=story.__name__) for story in STORIES])
def test_all_that_follows(story: Story, tmp_path: Path) -> None:
    """Whatever comes after the files of shards were added goes on as after a load in one process."""
    tell(story, pair(tmp_path, CONTRACT, options()))


def test_values_that_ducklake_would_miss_are_inserted(tmp_path: Path) -> None:
    """Of a file that is added, DuckLake takes the year 10001 to be before 2024: such rows are written by the load."""
    contract = feed(
        column("id"),
        column("on", "DATE", expression="CASE WHEN \"id\" LIKE '%125000' THEN '10001-01-01' ELSE '2024-01-01' END"),
    )
    shop = ShardedShop(tmp_path, contract, options(), executor=HERE)
    for name in "pq":
        # More than DuckDB puts into one part of a file.
        shop.deliver(named(1, name), "id\n" + "".join(f"{name}{row}\n" for row in range(130_000)))
    shop.load()
    assert (by_shards(shop, "raw_f"), by_shards(shop, "cleaned_f")) == (2, 0)
    assert in_folder(shop) == 2
    assert shop.rows("SELECT id FROM cleaned_f WHERE \"on\" > '9999-01-01' ORDER BY 1") == [
        {"id": "p125000"},
        {"id": "q125000"},
    ]


def test_a_file_that_proves_unfit_is_in_no_table(tmp_path: Path) -> None:
    """Rows of a file that is refused after the shards have read it are in none, and no file is left of them."""
    shops = pair(tmp_path, CONTRACT, options(max_reject_rate=0.6))
    for shop in shops:
        shop.deliver(named(9), f"{HEAD}x,x\n,\ny,y\n")
        first_wave(shop)
    ensure_equal(shops)
    assert len(shops[1].quarantine()) == 1
    assert in_folder(shops[1]) == by_shards(shops[1], "raw_f") + by_shards(shops[1], "cleaned_f")


FAILS: list[int] = []


def fails_first(task: ShardTask) -> ShardResult:
    """An executor: some shards fail after they have written all of their files."""
    result = run_shard(task)
    if FAILS and FAILS.pop():
        raise OSError("gone")
    return result


def test_what_failed_shards_wrote_is_removed(tmp_path: Path) -> None:
    """A shard that is done again leaves one pair of files; a load that fails for a shard leaves none."""
    shop = ShardedShop(tmp_path, CONTRACT, options(), executor=f"{__name__}:fails_first")
    FAILS[:] = [1] * 6
    with pytest.raises(ShardFailed):
        first_wave(shop)
    FAILS.clear()
    assert in_folder(shop) == 0
    FAILS[:] = [1]
    shop.load()
    assert (by_shards(shop, "raw_f"), by_shards(shop, "cleaned_f"), in_folder(shop)) == (2, 2, 4)


def die_at(folder: Path, fatal: Point) -> None:
    """Load in shards, and end by SIGKILL at a point."""
    listen(lambda point: os.kill(os.getpid(), signal.SIGKILL) if point is fatal else None)
    ShardedShop(folder, CONTRACT, options(), executor=HERE).load()


FATAL = (Point.INSERTED, Point.COMMITTED, Point.STAGED, Point.PUBLISHED, Point.SECURED, Point.TAKEN)


def test_after_kills(tmp_path: Path) -> None:
    """A load that is killed before and after its commit, and let through then, leaves what an undisturbed one does."""
    expected, disturbed = pair(tmp_path, CONTRACT, options())
    first_wave(expected)
    for number in range(1, 5):
        disturbed.deliver(named(number), f"{HEAD}a,{number}\nb{number},1{number}\nc{number},x\nd{number},99\n")
    context = multiprocessing.get_context("spawn")
    for fatal in FATAL[: effort(2, 6)]:
        process = context.Process(target=die_at, args=(disturbed.folder, fatal))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, fatal
        tried()
    disturbed.load()
    assert in_folder(disturbed) > 4
    maintained = maintain(
        lake_of(disturbed), dt.datetime.now(dt.UTC), dt.timedelta(1), dt.timedelta(), disturbed.told.append
    )
    removed = remove_left(lake_of(disturbed), maintained.unknown)
    # What a killed load itself had on its way is DuckLake's, and only told.
    assert {*removed} == {path for path in maintained.unknown if f"/{FOLDER}/" in path}
    keep_small(disturbed)
    assert in_folder(disturbed) == 0
    ensure_equal([expected, disturbed])


def test_files_of_loads_that_are_at_work_stay(tmp_path: Path) -> None:
    """Only files of loads that have ended are removed, and none that a table has, even if it counts as unknown."""
    shop = ShardedShop(tmp_path, CONTRACT, options(), executor=HERE)
    first_wave(shop)
    lake, here = lake_of(shop), socket.gethostname()
    old = time.time() - LEFT_SECONDS - 60
    loads = {f"{here}.{os.getpid()}.a": 0, f"{here}.{2**22 + 1}.b": 1, "elsewhere.1.c": 0, "else.where.1.d": 1}
    unknown = []
    for name, is_left in loads.items():
        file = Path(lake.data, FOLDER, name, "1-x-raw.parquet")
        file.parent.mkdir()
        file.write_bytes(b"")
        unknown.append(str(file))
        if is_left and here not in name:
            os.utime(file, (old, old))
    foreign = Path(lake.data, "main", "mine.parquet")
    foreign.write_bytes(b"mine")
    removed = remove_left(lake, [*unknown, str(foreign)])
    assert {Path(path).parent.name for path in removed} == {name for name, is_left in loads.items() if is_left}
    assert foreign.exists()
    assert in_folder(shop) == 4 + 2


def test_credentials_are_in_no_text() -> None:
    """What a shard is given shows the place in the store, and not the key."""
    folder = LakeFolder("s3://bucket/lake/_shards/x/", "CREATE SECRET data (SECRET 'hidden')")
    assert "hidden" not in repr(folder)
    assert folder.is_remote

"""A load in shards makes exactly what a load in one process makes."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.division import Division
from orchestration_project.contracts.feed import Bound, Feed, FileFormat, Required, SourceFormat
from orchestration_project.contracts.ignored_rules import ControlTotal, IgnoredLast, IgnoredWhere
from orchestration_project.contracts.outside import FillDown
from orchestration_project.formats.prepare import Prepared
from orchestration_project.formats.staging import ReadyFile
from orchestration_project.ingest.options import ConfiguredFeed, FeedOptions
from orchestration_project.ingest.sharding import divided
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.recovery.withdraw import Chosen, withdraw
from orchestration_project.storage.archive import Waiver, write_waiver
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.ingest.repairs import let_be, reject, repair_name
from orchestration_project_tests.ingest.sharded import HERE, ShardedShop, evidence, loads_in_shards
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named, options
from orchestration_project_tests.oracle.files import Delivery, deliveries
from orchestration_project_tests.oracle.loads import thorough, work_folder
from orchestration_project_tests.reliability.evidence import TORTURE, effort, tried
from orchestration_project_tests.reliability.test_repair_purity import World, worlds
from orchestration_project_tests.reliability.zips import packed
from orchestration_project_tests.servers.warehouses import CHOICE, FILE, SQLITE, kind

pytestmark = pytest.mark.promise("deliveries")

CONTRACT = feed(
    column("id", "VARCHAR", Required()),
    column("n", "INTEGER", Bound("minimum", "0"), unique=True),
    # Types that Parquet does not have, or not as DuckDB has them.
    column("vast", "HUGEINT", expression='"n"::HUGEINT * 100000000000000000000000000000000000000'),
    column("part", "DECIMAL(38,18)", expression='"n" / 3'),
    column("root", "DOUBLE", expression="CASE WHEN \"n\" = 2 THEN 'NaN' WHEN \"n\" = 3 THEN 'inf' ELSE 0.1 END"),
    column(
        "at", "TIMESTAMPTZ", expression="CASE WHEN \"n\" = 1 THEN 'infinity' ELSE '2024-01-01 12:00:00.123456+01' END"
    ),
    column("on", "DATE", expression="CASE WHEN \"n\" = 1 THEN '-infinity' ELSE '0044-03-15 (BC)' END"),
    primary_key=("id",),
)
"""A contract with two keys."""
FOR_LAKES = replace(CONTRACT, columns=tuple(item for item in CONTRACT.columns if item.sql_type != "HUGEINT"))
"""The same without what a lake refuses."""


def pair(folder: Path, contract: Feed, how: FeedOptions, shards: int = 2, executor: str = HERE) -> list[Shop]:
    """A shop that loads in one process, and one that loads in shards."""
    plain, sharded = folder / "plain", folder / "sharded"
    return [Shop(plain, contract, how), ShardedShop(sharded, contract, how, shards=shards, executor=executor)]


def ensure_equal(shops: list[Shop]) -> None:
    """Both have the same, and it is consistent."""
    plain, sharded = map(evidence, shops)
    assert plain == sharded
    shop = shops[1]
    contract = replace(shop.feed, division=shop.options.division)
    assert verify(shop.warehouse, shop.settings, [ConfiguredFeed(contract, shop.options)]).findings == []


@settings(max_examples=effort(4, 60), deadline=None)
@given(
    world=worlds(),
    data=st.data(),
    shards=st.sampled_from([1, 2, 4]),
    reach=st.sampled_from([0, 1, 7]),
    snapshot=st.booleans(),
    limit=st.sampled_from([0.4, 1.0]),
)
def test_any_loads_of_files_repairs_and_waivers(
    world: World,
    data: st.DataObject,
    shards: int,
    reach: int,
    snapshot: bool,
    limit: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Files, corrections, repairs and waivers, in any order and number of loads, give the same in shards."""
    tried()
    how = options(key_look_back=dt.timedelta(days=reach), snapshot=snapshot, max_reject_rate=limit)
    folder = tmp_path_factory.mktemp("world")
    every: list[str | Waiver] = [*sorted(world.files), *world.waivers]
    steps = data.draw(st.permutations(every))
    loads = data.draw(st.sets(st.integers(0, max(len(steps) - 1, 0)), max_size=2))
    shops = pair(folder, FOR_LAKES if kind() != FILE else CONTRACT, how, shards)
    for shop in shops:
        for number, step in enumerate(steps):
            if isinstance(step, str):
                shop.deliver(step, *world.files[step])
            else:
                write_waiver(shop.settings.archive("f"), step)
            if number in loads:
                shop.load()
        shop.load()
    ensure_equal(shops)


@thorough(4)
@given(
    delivery=st.one_of(
        deliveries(FileFormat.CSV, most=8, with_ignored=True),
        deliveries(FileFormat.JSON, most=8),
        deliveries(FileFormat.FIXED_WIDTH, most=8),
        deliveries(FileFormat.PARQUET, most=8),
    ),
    shards=st.sampled_from([2, 3]),
)
def test_any_contract(delivery: Delivery, shards: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Drawn contracts of every type and option, with drawn files, some of them damaged, give the same in shards."""
    with work_folder(tmp_path_factory) as folder:
        shops = pair(folder, delivery.contract.feed, options(max_reject_rate=0.6), shards)
        for shop in shops:
            for number, file in enumerate(delivery.files, 1):
                shop.deliver(named(number), file.content)
                tried()
            shop.load()
        ensure_equal(shops)


Story = Callable[[Shop], Iterator[None]]
HEAD = "id,n\n"


def corrections(shop: Shop) -> Iterator[None]:
    """Keys across shards and loads; a file is corrected, another withdrawn, then all is rebuilt from the archive."""
    for number in range(1, 6):
        shop.deliver(named(number), f"{HEAD}a,{number}\nb{number},1\n,9\nc,{number * 10}\nshort\n")
    yield
    shop.deliver(named(1), f"{HEAD}x,1\n")
    shop.deliver(named(6), f"{HEAD}a,77\n")
    yield
    chosen, asked = Chosen(named(2)), (shop.warehouse, shop.settings, shop.feed, shop.options)
    withdraw(*asked, chosen, "Ada", "wrong", NOW, shop.told.append)
    yield
    shop.feed = replace(shop.feed, columns=(*shop.feed.columns[:-1], column("on", "INTEGER", expression='"n" + 1')))
    yield
    rebuild(*(shop.warehouse, shop.settings, shop.feed, shop.options), shop.told.append)
    yield


def repairs(shop: Shop) -> Iterator[None]:
    """Rejects are repaired and waived, one repair is wrong; the repairs come with other large files."""
    for number in range(1, 5):
        shop.deliver(named(number), f"{HEAD}a{number},1\nb{number},-1\nc{number},x\n")
    yield
    ids = [reject(shop, named(number), 2) for number in (1, 2)]
    shop.deliver(repair_name(1), f"id,n,_reject_id\nb1,{5},{ids[0]}\nz,1,unknown\n")
    shop.deliver(named(5), f"{HEAD}b1,3\n")
    shop.deliver(named(6), f"{HEAD}b1,4\n")
    let_be(shop, ids[1])
    yield


def refused(shop: Shop) -> Iterator[None]:
    """Some files have too many rejects, one has no header; good older versions of their names wait beside them."""
    shop.options = replace(shop.options, max_reject_rate=0.5)
    for number in range(1, 5):
        shop.deliver(named(number), f"{HEAD}a{number},{number}\nb,9\n")
    yield
    shop.deliver(named(1), f"{HEAD}x,\n,\n,\n")
    shop.deliver(named(2), "no header at all\n")
    shop.deliver(named(3), f"{HEAD}a,33\nid,n\n")
    for number in range(5, 8):
        shop.deliver(named(number), f"{HEAD}c{number},{number}\n,3\n,1\n" if number == 6 else f"{HEAD}a1,{number}\n")
    yield


def zipped(shop: Shop) -> Iterator[None]:
    """Files come in a zip archive, with broken records, and another one comes by itself."""
    files: dict[str, str | bytes | None] = {
        named(number): f"a,{number}\nb{number},{number + 10}" for number in range(1, 4)
    }
    shop.deliver("all.zip", packed(files | {named(4): "a,x\nshort"}))
    shop.deliver(named(5), f"{HEAD}a,5\n")
    shop.load(*map(day, range(1, 6)))
    yield


def totals(shop: Shop) -> Iterator[None]:
    """Records that are no data are ignored; of two files the control total is wrong, of one that is refused."""
    rule = IgnoredWhere("totals", "\"id\" = 'Total'", ("id",), (ControlTotal("n", blocking=True),))
    shop.feed = replace(shop.feed, ignored=(rule, IgnoredLast("signature", 1)))
    for number in range(1, 5):
        shop.deliver(named(number), f"{HEAD}a,{number}\nTotal,{number if number < 4 else 1}\nby Ada,\n")
    yield


def filled_down(shop: Shop) -> Iterator[None]:
    """Values are filled down in each file, never from one file into another."""
    shop.feed = replace(
        shop.feed, columns=(replace(shop.feed.columns[0], fill_down=FillDown()), *shop.feed.columns[1:])
    )
    for number in range(1, 5):
        shop.deliver(named(number), f'{HEAD},{number}0\na{number},{number}\n,x\n"b"b,3\n,5\n')
    yield


def spanning_days(shop: Shop) -> Iterator[None]:
    """Files span days, one of them is refused, then one is corrected."""
    start = dt.date(2024, 1, 1)
    shop.feed = feed(column("id"), column("day", "DATE"), column("n", "INTEGER"), primary_key=("id",))
    batching, division = Batching(Cadence.DAILY, start), Division("day", "day", start, "UTC")
    shop.options = options(batching=batching, by_name=True, division=division, max_reject_rate=0.7)
    head = "id,day,n\n"
    for name in "pqr":
        shop.deliver(f"{name}.csv", f"{head}a,2024-01-05,1\n{name},2024-01-06,2\nx{name},2023-12-31,3\n")
    shop.deliver("s.csv", f"{head}s,,1\n,,2\n")
    yield
    shop.deliver("p.csv", f"{head}p,2024-01-07,2\n")
    shop.deliver("t.csv", f"{head}a,2024-01-05,8\n")
    yield


def history(shop: Shop) -> Iterator[None]:
    """Each file is the whole truth of its day, and all days are kept."""
    shop.options = options(snapshot=True, history=True)
    for number in range(1, 5):
        shop.deliver(named(number), f"{HEAD}a,1\nb,{number + 1}\nb,{number + 10}\n,7\n")
    yield
    shop.deliver(named(2), f"{HEAD}a,4\n")
    shop.deliver(named(5), f"{HEAD}a,4\n")
    yield


STORIES = [corrections, repairs, refused, zipped, totals, filled_down, spanning_days, history]


@pytest.mark.parametrize("story", [pytest.param(story, id=story.__name__) for story in STORIES])
def test_what_follows_a_load_in_shards(story: Story, tmp_path: Path) -> None:
    """Whatever comes after a load in shards goes on as after a load in one process."""
    tell(story, pair(tmp_path, FOR_LAKES if kind() != FILE else CONTRACT, options()))


@pytest.mark.parametrize(
    "story", [pytest.param(story, id=story.__name__) for story in (STORIES if TORTURE else [refused])]
)
def test_on_a_lake(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a lake, too, shards make what one process makes there."""
    monkeypatch.setenv(CHOICE, SQLITE)
    tell(story, pair(tmp_path, FOR_LAKES, options()))


def tell(story: Story, shops: list[Shop]) -> None:
    """Load in both shops after each step of a story."""
    tried()
    stories = [story(shop) for shop in shops]
    for _ in zip(*stories, strict=True):
        for shop in shops:
            shop.load()
        ensure_equal(shops)
    sharded = shops[1]
    assert isinstance(sharded, ShardedShop)
    assert loads_in_shards(sharded)


def test_json_in_processes(tmp_path: Path) -> None:
    """Processes of their own make the same as the load's own process."""
    contract = replace(CONTRACT, source=SourceFormat(FileFormat.JSON))
    shops = pair(tmp_path, contract, options(), executor="processes")
    for shop in shops:
        for number in range(1, 4):
            shop.deliver(named(number), f'{{"id":"a","n":{number}}}\n{{"id":"b{number}","n":"x","more":1}}\n[]\n')
        shop.load()
    ensure_equal(shops)
    assert shops[1].cleaned("id") == ["a"]


def test_small_loads_and_single_files_are_loaded_by_one_process(tmp_path: Path) -> None:
    """One file is not divided, and is loaded without shards, with a word in the log."""
    shop = ShardedShop(tmp_path, CONTRACT, options(), executor=HERE)
    shop.deliver(named(1), f"{HEAD}a,1\n")
    shop.load()
    assert shop.cleaned("id") == ["a"]
    assert not loads_in_shards(shop)
    assert "f: read without shards: there are not two files to divide among them" in shop.told


@given(
    sizes=st.lists(st.integers(0, 100), min_size=2, max_size=12),
    number=st.integers(2, 4),
)
def test_files_are_divided_evenly(sizes: list[int], number: int) -> None:
    """Each file is in one shard, in order; no two shards differ by more than the largest file."""
    work = Path("work")
    files = [ReadyFile(Prepared(f"{place}.csv", work), "2024-01-01", "v", work) for place in range(len(sizes))]
    by_key = {file.key: size for file, size in zip(files, sizes, strict=True)}
    shards = divided(files, by_key, number)
    assert sorted((file for shard in shards for file in shard), key=files.index) == files
    assert all(shard == sorted(shard, key=files.index) for shard in shards)
    totals = [sum(by_key[file.key] for file in shard) for shard in shards]
    assert max(totals) - min(totals) <= max(sizes)

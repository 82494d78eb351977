"""The promise: the tables are a function of the accepted files, whatever the order, grouping, repetition or crash."""

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.failpoints import Point
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named, options
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.stops import dying

pytestmark = pytest.mark.promise("deliveries")

CONTRACT = feed(
    column("id", "VARCHAR", Required()),
    column("n", "INTEGER", Bound("minimum", "0"), unique=True),
    column("twice", "INTEGER", expression='"n" * 2'),
    primary_key=("id",),
)
LINES = st.lists(
    st.sampled_from(["a,1", "a,2", "b,1", "b,3", "c,", "c,-1", "d,x", "", ",", "short", '"e"e,1', "id,n", "f,4,5"]),
    max_size=5,
)
FILES = st.dictionaries(
    st.builds(named, st.integers(1, 4), st.sampled_from(["s", "t"])),
    st.tuples(LINES.map(lambda lines: "\n".join(["id,n", *lines, ""])), st.integers(0, 3)),
    min_size=1,
    max_size=5,
)


def balanced(shop: Shop) -> bool:
    """Whether every record of every loaded file is in exactly one place."""
    rows = shop.rows("SELECT * FROM file_ledger WHERE status = 'loaded'")
    return all(row["records"] == row["cleaned"] + row["rejected"] + row["blank_records"] for row in rows)


@settings(max_examples=effort(12, 100), deadline=None)
@given(files=FILES, data=st.data(), reach=st.sampled_from([0, 1, 7]), snapshot=st.booleans())
def test_tables_are_a_function_of_the_files(
    files: dict[str, tuple[str, int]],
    data: st.DataObject,
    reach: int,
    snapshot: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Any order and grouping of the files gives the tables of one load, and so do re-runs, crashes and a rebuild."""
    tried()
    how = options(key_look_back=dt.timedelta(days=reach), snapshot=snapshot)
    together = Shop(tmp_path_factory.mktemp("together"), CONTRACT, how)
    for name, (content, minute) in files.items():
        together.deliver(name, content, minute)
    together.load()
    expected = together.tables()
    assert balanced(together)

    apart = Shop(tmp_path_factory.mktemp("apart"), CONTRACT, how)
    for name in data.draw(st.permutations(sorted(files))):
        apart.deliver(name, *files[name])
        if data.draw(st.booleans()):
            _load(apart, data)
        if data.draw(st.booleans()):
            apart.deliver(name, *files[name])
    apart.load()
    assert apart.tables() == expected
    assert balanced(apart)
    assert apart.landing() == []

    together.load()
    assert together.tables() == expected
    apart.lose_warehouse()
    days = [day(number) for number in data.draw(st.permutations(range(1, 5)))]
    for batch in [days[0]] if snapshot else days:
        apart.load(batch)
    assert apart.tables() == expected


def _load(shop: Shop, data: st.DataObject) -> None:
    """Load all that is there, some of it, or die on the way."""
    how = data.draw(st.sampled_from(["all", "one day", "raw first", "crash"]))
    if how == "one day":
        shop.load(day(data.draw(st.integers(1, 4))))
    elif how == "crash":
        with dying(data.draw(st.sampled_from(Point))):
            shop.load()
    else:
        if how == "raw first":
            shop.load(publish=False)
        shop.load()


@settings(max_examples=effort(8, 60), deadline=None)
@given(versions=st.lists(st.tuples(st.integers(1, 3), LINES), min_size=1, max_size=6), data=st.data())
def test_only_the_last_version_of_a_name_counts(
    versions: list[tuple[int, list[str]]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After any number of corrections the tables are those of the last versions alone."""
    tried()
    corrected = Shop(tmp_path_factory.mktemp("corrected"), CONTRACT)
    last: dict[str, tuple[str, int]] = {}
    for minute, (number, lines) in enumerate(versions):
        last[named(number)] = ("\n".join(["id,n", *lines, ""]), minute)
        corrected.deliver(named(number), *last[named(number)])
        if data.draw(st.booleans()):
            corrected.load()
    corrected.load()
    # A version that comes back keeps the time of its last delivery only if another one came in between.
    current = {
        row["file"]: row["modified_at"] for row in corrected.rows("FROM file_ledger WHERE status <> 'superseded'")
    }
    fresh = Shop(tmp_path_factory.mktemp("fresh"), CONTRACT)
    for name, (content, _) in last.items():
        start = dt.datetime(2024, 2, 1)  # noqa: DTZ001 - the ledger's times are naive UTC
        fresh.deliver(name, content, int((current[name] - start).total_seconds() // 60))
    fresh.load()
    assert corrected.tables() == fresh.tables()
    tables = corrected.tables()
    corrected.lose_warehouse()
    corrected.load()
    assert corrected.tables() == tables


@pytest.mark.found("the same bytes on another day were no file, and an undated name was one file whatever its day")
@settings(max_examples=effort(8, 40), deadline=None)
@given(
    exports=st.dictionaries(
        st.tuples(st.integers(1, 3), st.sampled_from(["export.csv", "stock.csv"])),
        st.sampled_from(["id,n\na,1\nb,\n", "id,n\nb,1\nc,-1\n", "id,n\na,2\na,3\n", "id,n\n"]),
        min_size=1,
    ),
    data=st.data(),
    reach=st.sampled_from([0, 1, 7]),
)
def test_undated_names_are_a_function_of_their_days(
    exports: dict[tuple[int, str], str], data: st.DataObject, reach: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each day's export, also one with the bytes of another day, counts in any order, after crashes and a rebuild."""
    tried()
    batching = Batching(Cadence.DAILY, dt.date(2000, 1, 1))
    how = options(key_look_back=dt.timedelta(days=reach), batching=batching)

    def taken(shop: Shop, export: tuple[int, str]) -> None:
        number, name = export
        shop.deliver(name, exports[export], 24 * 60 * number)
        if data.draw(st.booleans()):
            with dying(data.draw(st.sampled_from(Point))):
                shop.load()
        shop.load()

    ordered, mixed = (Shop(tmp_path_factory.mktemp(name), CONTRACT, how) for name in ("ordered", "mixed"))
    for export in sorted(exports):
        taken(ordered, export)
    for export in data.draw(st.permutations(sorted(exports))):
        taken(mixed, export)
    expected = ordered.tables()
    assert mixed.tables() == expected
    assert balanced(mixed)
    rebuild(mixed.warehouse, mixed.settings, mixed.feed, mixed.options, mixed.told.append)
    assert mixed.tables() == expected
    mixed.lose_warehouse()
    for number in data.draw(st.permutations(range(1, 4))):
        mixed.load(dt.date(2024, 2, 1 + number))
    assert mixed.tables() == expected


@pytest.mark.found("a key that came back weekly was refused for ever, for records that were not kept themselves")
@settings(max_examples=effort(8, 80), deadline=None)
@given(data=st.data(), reach=st.sampled_from([1, 2, 3, 7]))
def test_look_back_counts_from_the_record_that_is_kept(
    data: st.DataObject, reach: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Corrections in any order and grouping leave what one walk through the days keeps; reasons name what is kept."""
    tried()
    shop = Shop(tmp_path_factory.mktemp("chains"), CONTRACT, options(key_look_back=dt.timedelta(days=reach)))
    day_numbers = st.integers(1, 5).map(lambda week: week * reach - reach + 1) | st.integers(1, 4 * reach + 1)
    current: dict[int, str] = {}
    for number in data.draw(st.lists(day_numbers, min_size=2, max_size=8)):
        current[number] = data.draw(st.sampled_from(["a", "b", "ab"]))
        shop.deliver(named(number), "\n".join(["id,n", *(f"{key}," for key in current[number]), ""]))
        if data.draw(st.booleans()):
            shop.load()
    shop.load()
    kept: dict[str, list[int]] = {"a": [], "b": []}
    for number, keys in sorted(current.items()):
        for key in keys:
            if not kept[key] or number - kept[key][-1] > reach:
                kept[key].append(number)
    found = {(row["id"], row["_file"], row["_row"]) for row in shop.table("cleaned")}
    assert {(key, file) for key, file, _ in found} == {(key, named(day)) for key, days in kept.items() for day in days}
    for row in shop.table("rejected"):
        assert row["_reasons"] in [
            [f"id: duplicate_key (kept: {file} row {nth})"] for key, file, nth in found if key == row["id"]
        ]


def test_everything_at_once_after_the_warehouse_is_lost(tmp_path: Path) -> None:
    """A rebuild that meets new files in landing takes both."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\na,1\n")
    shop.load()
    shop.lose_warehouse()
    shop.deliver(named(1), "id,n\nb,1\n")
    shop.deliver(named(1, "t"), "id,n\na,1\n")
    shop.load()
    assert shop.cleaned("_file", "id") == [(named(1), "b"), (named(1, "t"), "a")]
    assert sorted(shop.ledger("file", "status")) == [
        (named(1), "loaded"),
        (named(1), "superseded"),
        (named(1, "t"), "loaded"),
    ]

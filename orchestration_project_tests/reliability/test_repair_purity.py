"""With repairs and waivers too, the tables are a function of what was accepted, in whatever order it came."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.failpoints import Point
from orchestration_project.storage.archive import Waiver, write_waiver
from orchestration_project_tests.ingest.repairs import repair_name
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named, options
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.stops import dying

pytestmark = pytest.mark.promise("repair")

CONTRACT = feed(
    column("id", "VARCHAR", Required()),
    column("n", "INTEGER", Bound("minimum", "0"), unique=True),
    primary_key=("id",),
)
DAYS = 3
LINES = ["a,1", "a,2", "b,1", "b,3", "c,-1", "d,x", ",", "short"]
COUNTS = ("file", "status", "records", "cleaned", "rejected", "blank_records", "repaired", "waived", "attempts")


@dataclass(frozen=True)
class World:
    """What is delivered: files by name with content and minute, and waivers."""

    files: dict[str, tuple[str, int]]
    waivers: list[Waiver]


def id_of(file: str, content: str, row: int) -> str:
    """What `_reject_id` is documented to be: it depends on file, version and record number alone."""
    version = hashlib.sha256(content.encode()).hexdigest()[:16]
    return hashlib.sha256(f"f/{file}/{version}/{row}".encode()).hexdigest()[:16]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Files of a few days, repairs of any of their records (rejected or not), and waivers."""
    names = st.builds(named, st.integers(1, DAYS), st.sampled_from(["s", "t"]))
    lines = st.lists(st.sampled_from(LINES), min_size=1, max_size=4)
    content = lines.map(lambda found: "\n".join(["id,n", *found, ""]))
    files = draw(st.dictionaries(names, st.tuples(content, st.integers(0, 3)), min_size=1, max_size=4))
    ids = [id_of(name, text, row) for name, (text, _) in files.items() for row in range(1, len(text.splitlines()))]
    targets = st.sampled_from([*ids, "unknown", ""])
    records = st.lists(st.tuples(st.sampled_from(LINES), targets).map(",".join), max_size=4)
    repairs = st.dictionaries(
        st.builds(repair_name, st.integers(1, DAYS), st.integers(1, 2)),
        st.tuples(records.map(lambda found: "\n".join(["id,n,_reject_id", *found, ""])), st.integers(2, 6)),
        max_size=3,
    )
    corrections = draw(repairs)
    # A repair of a repair is not one.
    own = [id_of(name, text, 1) for name, (text, _) in corrections.items()]
    waived = draw(st.lists(st.lists(st.sampled_from([*ids, *own, "unknown"]), max_size=3), max_size=2))
    moments = [NOW - dt.timedelta(hours=number) for number in range(len(waived))]
    return World(
        files | corrections,
        [
            Waiver(f"W{moment.hour}", "why", moment, tuple(rejects))
            for moment, rejects in zip(moments, waived, strict=True)
        ],
    )


def outcome(shop: Shop) -> dict[str, Any]:
    """The tables, and what the ledger says of what is in them."""
    loaded = shop.rows("SELECT * FROM file_ledger WHERE status = 'loaded' ORDER BY batch, file")
    assert all(row["records"] == row["cleaned"] + row["rejected"] + row["blank_records"] for row in loaded)
    return shop.tables() | {"counts": [tuple(row[name] for name in COUNTS) for row in loaded]}


@settings(max_examples=effort(6, 80), deadline=None)
@given(world=worlds(), data=st.data(), reach=st.sampled_from([0, 1, 7]), snapshot=st.booleans())
def test_tables_are_a_function_of_files_repairs_and_waivers(
    world: World, data: st.DataObject, reach: int, snapshot: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any order and grouping gives the tables of one load, and so do stale versions, crashes and a rebuild."""
    tried()
    how = options(key_look_back=dt.timedelta(days=reach), snapshot=snapshot)
    together = Shop(tmp_path_factory.mktemp("together"), CONTRACT, how)
    for name, delivery in world.files.items():
        together.deliver(name, *delivery)
    for waiver in world.waivers:
        write_waiver(together.settings.archive("f"), waiver)
    together.load()
    expected = outcome(together)

    apart = Shop(tmp_path_factory.mktemp("apart"), CONTRACT, how)
    steps: list[str | Waiver] = [*sorted(world.files), *world.waivers]
    for step in data.draw(st.permutations(steps)):
        if isinstance(step, Waiver):
            write_waiver(apart.settings.archive("f"), step)
        else:
            if data.draw(st.booleans()):
                stale = data.draw(st.sampled_from([text for text, _ in world.files.values()]))
                # Of the same age, for bytes that come again keep the time of their first delivery.
                apart.deliver(step, stale, world.files[step][1])
                _load(apart, data)
            apart.deliver(step, *world.files[step])
        _load(apart, data)
    apart.load()
    assert outcome(apart) == expected
    assert apart.landing() == []

    apart.lose_warehouse()
    days = [day(number) for number in data.draw(st.permutations(range(1, DAYS + 1)))]
    for batch in [days[0]] if snapshot else days:
        apart.load(batch)
    assert outcome(apart) == expected


def _load(shop: Shop, data: st.DataObject) -> None:
    """Load all that is there, some of it, none, or die on the way."""
    how = data.draw(st.sampled_from(["nothing", "all", "one day", "crash"]))
    if how == "one day":
        shop.load(day(data.draw(st.integers(1, DAYS))))
    elif how == "crash":
        with dying(data.draw(st.sampled_from(Point))):
            shop.load()
    elif how == "all":
        shop.load()

"""Kills: a load that dies by SIGKILL at any of its steps, and the next one, leave what an undisturbed load leaves."""

import datetime as dt
import gzip
import io
import random
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.contracts.division import Division
from orchestration_project.contracts.feed import Bound, FileFormat, Required, SourceFormat
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project.contracts.ignored_rules import ControlTotal, IgnoredLast, IgnoredPrefix, IgnoredWhere
from orchestration_project.contracts.outside import FillDown, ValueFrom
from orchestration_project.failpoints import Point
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.formats.open_documents import error, formula, open_document
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, options
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.victim import everything, killed_after, killed_load, steps_of_load

pytestmark = pytest.mark.promise("crash")

CONTRACT = feed(
    column("id", "VARCHAR", Required()),
    column("n", "INTEGER", Bound("minimum", "0")),
    column("twice", "INTEGER", expression='"n" * 2'),
    primary_key=("id",),
)
HEAD = "id,n\n"


def first_wave(shop: Shop) -> None:
    """Files for three days, one day's in two files, a key that occurs on two days, rejects, a duplicate."""
    shop.deliver(named(1), f"{HEAD}a,1\nb,2\n,3\n")
    shop.deliver(named(2), f"{HEAD}a,4\nc,5\nc,6\n")
    shop.deliver(named(2, "t"), f"{HEAD}d,7\n\n")
    shop.deliver(named(3), f"{HEAD}a,4\nc,5\nc,6\n")


def second_wave(shop: Shop) -> None:
    """A correction that sets a later day's key free, a bad one, an old file again, broken quotes, a packed file."""
    shop.deliver(named(1), f"{HEAD}b,2\n,3\ne,x\n")
    shop.deliver(named(2), "no header at all\n")
    shop.deliver(named(2, "t"), f"{HEAD}d,7\n\n")
    shop.deliver(named(3, "q"), f'{HEAD}"f"f,1\ng,2\nh,3,4\n')
    shop.deliver(named(4), gzip.compress(f"{HEAD}i,1\nj,-1\n".encode(), mtime=0))
    shop.deliver(named(5), HEAD)


def delivery(shop: Shop) -> dict[str, Any]:
    """More files beside loaded ones."""
    first_wave(shop)
    shop.load()
    second_wave(shop)
    return {}


def first_load(shop: Shop) -> dict[str, Any]:
    """No warehouse yet."""
    first_wave(shop)
    second_wave(shop)
    return {}


def lost_warehouse(shop: Shop) -> dict[str, Any]:
    """Everything has to come back from the archive, beside a new file."""
    delivery(shop)
    shop.load()
    shop.lose_warehouse()
    shop.deliver(named(6), f"{HEAD}k,1\n")
    return {}


def snapshot(shop: Shop) -> dict[str, Any]:
    """A newer truth, an older one and a bad one."""
    shop.options = replace(shop.options, snapshot=True)
    shop.deliver(named(2), f"{HEAD}a,1\nb,2\n")
    shop.load()
    shop.deliver(named(1), f"{HEAD}z,1\n")
    shop.deliver(named(3), f"{HEAD}a,1\nb,3\n,4\n")
    shop.deliver(named(4), "no header at all\n")
    return {}


def history(shop: Shop) -> dict[str, Any]:
    """Beside a newer snapshot, one between two others, and a correction of the first one."""
    shop.options = replace(shop.options, snapshot=True, history=True)
    for number, lines in ((1, "a,1\nb,2\n"), (3, "a,1\n"), (5, "b,2\n")):
        shop.deliver(named(number), f"{HEAD}{lines}")
        shop.load()
    shop.deliver(named(2), f"{HEAD}a,1\nb,7\n,4\n")
    shop.deliver(named(6), f"{HEAD}a,1\nb,2\n,4\n")
    shop.deliver(named(1), f"{HEAD}a,3\nb,7\n")
    return {}


def raw_alone(shop: Shop) -> dict[str, Any]:
    """Files are read, and published by a later run."""
    delivery(shop)
    return {"publish": False}


def rereading(shop: Shop) -> dict[str, Any]:
    """The contract reads files otherwise now, so they are read again from the archive."""
    delivery(shop)
    shop.load()
    shop.feed = replace(shop.feed, columns=(*shop.feed.columns, column("more", "VARCHAR")))
    return {}


def workbooks(shop: Shop) -> dict[str, Any]:
    """Files are workbooks: one is corrected, two are refused, some records are rejected."""
    shop.feed = replace(shop.feed, source=SourceFormat(FileFormat.XLSX))
    head = ("id", "n")
    shop.deliver(named(1), workbook({"Sales": [head, ("a", 1), ("b", "#DIV/0!")]}))
    shop.deliver(named(2), workbook({"Sales": [("Sales",), head, ("a", 4), (), ("c", 5)]}))
    shop.load()
    shop.deliver(named(1), workbook({"Sales": [head, ("b", 2), ("d", "x")]}))
    shop.deliver(named(1, "t"), workbook({"Sales": [head], "More": [head]}))
    shop.deliver(named(2, "t"), workbook({"Sales": [head, ("e", "=1+1")]}))
    shop.deliver(named(3), workbook({"Sales": [head, (None, 3), ("f", 1)]}))
    return {}


def open_documents(shop: Shop) -> dict[str, Any]:
    """Files are OpenDocument spreadsheets, one is corrected by an Excel workbook, one is refused, some are rejected."""
    shop.feed = replace(shop.feed, source=SourceFormat(FileFormat.XLSX))
    head = ("id", "n")
    shop.deliver(
        named(1), open_document({"Sales": [("Sales",), head, ("a", 1), ("a", 1), (), ("b", error("Err:502"))]})
    )
    shop.load()
    shop.deliver(named(1), workbook({"Sales": [head, ("b", 2), ("d", "x")]}))
    shop.deliver(named(2), open_document({"Sales": [head, (None, 3), ("f", 1)]}))
    shop.deliver(named(2, "t"), open_document({"Sales": [head, ("e", formula(""))]}))
    return {}


def fixed_width(shop: Shop) -> dict[str, Any]:
    """Files are of fixed width, in the bytes of another encoding: one is corrected, two are refused, some rejected."""
    fixed = FixedWidth(header_line=True, count_bytes=True)
    spans = {"id": Span(1, 4), "n": Span(6, 3)}
    columns = tuple(replace(item, span=spans.get(item.name)) for item in shop.feed.columns)
    source = SourceFormat(FileFormat.FIXED_WIDTH, encoding="cp932", fixed=fixed)
    shop.feed = replace(shop.feed, source=source, columns=columns)

    def written(*lines: str) -> bytes:
        return "\n".join(["id   n  ", *lines, ""]).encode("cp932")

    shop.deliver(named(1), written("東京   1", "b      2", "c"))
    shop.deliver(named(2), written("東京   4", "", "c      5"))
    shop.load()
    shop.deliver(named(1), written("b      2", "東京  -1"))
    shop.deliver(named(1, "t"), written("東京   1")[9:])
    shop.deliver(named(2, "t"), written("d") + b"\xff\n")
    shop.deliver(named(3), written("a東京 11", "e      6"))
    return {}


def documents(shop: Shop) -> dict[str, Any]:
    """Files are JSON documents, one after another: one is corrected, two are refused, some records are rejected."""
    shop.feed = replace(shop.feed, source=SourceFormat(FileFormat.JSON, records_path=("data", "items")))

    def written(*pages: str) -> str:
        return "".join(f'{{"data": {{"items": [{page}]}}, "more": [{{"id": "z"}}]}}\n' for page in pages)

    shop.deliver(named(1), written('{"id": "a", "n": 1}', "", '{"id": "b", "n": 2}, {"id": "c"}'))
    shop.deliver(named(2), written('{"id": "a", "n": 4}, 5', '{"id": "c", "n": 5}'))
    shop.load()
    shop.deliver(named(1), written('{"id": "b", "n": 2}', '{"id": "a", "n": -1}'))
    shop.deliver(named(1, "t"), written('{"id": "a", "n": 1}') + '{"data": {"items": null}}')
    shop.deliver(named(2, "t"), written('{"id": "a", "n": 1}')[:-3])
    shop.deliver(named(3), written('{"id": "a", "n": 11}, {"id": "e", "n": 6}'))
    return {}


def totals(shop: Shop) -> dict[str, Any]:
    """Files end with their total and a signature, and have comments: two don't add up, one had a right version."""
    rule = IgnoredWhere("totals", "\"id\" = 'Total'", ("id",), (ControlTotal("n", blocking=True),))
    shop.feed = replace(shop.feed, ignored=(rule, IgnoredPrefix("comments", "#"), IgnoredLast("signature", 1)))
    shop.deliver(named(1), f"{HEAD}#\na,1\n,2\nTotal,3\nsigned,\n")
    shop.deliver(named(2), f"{HEAD}a,4\nc,x\n#c,5\nTotal,4\nsigned,\n")
    shop.load()
    shop.deliver(named(1), f"{HEAD}b,2\n#\n#\nTotal,2\nsigned\n")
    shop.deliver(named(2), f"{HEAD}a,4\nTotal,5\nsigned,\n")
    shop.deliver(named(2, "t"), f"{HEAD}d,7\nsigned,\n")
    shop.deliver(named(3), f"{HEAD}a,4\ne,5\nTotal,9\n\nsigned,\n")
    return {}


def ignored_otherwise(shop: Shop) -> dict[str, Any]:
    """The contract ignores other records now, so all files are read again from the archive."""
    totals(shop)
    shop.load()
    shop.feed = replace(shop.feed, ignored=(*shop.feed.ignored, IgnoredWhere("empty", '"n" IS NULL', ("n",))))
    return {}


def zips(shop: Shop) -> dict[str, Any]:
    """Newer archives bring, correct, rename, lack and bring back files; one is refused, and a file of one."""
    shop.deliver(named(1, "a").replace("csv", "zip"), packed({named(1, "p"): "a,1", named(2, "q"): "b,2"}))
    shop.deliver(named(2, "b").replace("csv", "zip"), packed({named(2, "r"): "c,3", named(3, "t"): "d,4"}))
    first_wave(shop)
    shop.load()
    shop.deliver(named(2, "b").replace("csv", "zip"), packed({named(2, "r"): "c,3"}))
    shop.load()
    shop.deliver(named(1, "a").replace("csv", "zip"), packed({named(1, "p"): "a,5", named(2, "new"): "b,2"}))
    shop.deliver(named(2, "b").replace("csv", "zip"), packed({named(3, "t"): "d,4", named(2, "r"): "c,3\n,1"}))
    shop.deliver(named(3, "c").replace("csv", "zip"), packed({named(3, "u"): "e,5", "../v.csv": "f,6"}))
    shop.deliver(named(3, "d").replace("csv", "zip"), packed({named(3, "w"): "e,5", named(3, "x"): None}))
    return {}


def packed(files: dict[str, str | None]) -> bytes:
    """A zip archive of files with some records; None: of one without a header."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as written:
        for name, records in files.items():
            text = "no header" if records is None else f"{HEAD}{records}\n"
            written.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def outside(shop: Shop) -> dict[str, Any]:
    """Keys are told by names and by the records above; stores bring the same bytes, and the contract changes."""
    store = column("store", "VARCHAR", Required(), value_from=ValueFrom("fileName", r"store(\d)"))
    group = replace(CONTRACT.columns[0], fill_down=FillDown())
    shop.feed = replace(CONTRACT, columns=(group, *CONTRACT.columns[1:], store), primary_key=("store", "id"))
    for name in ("store1", "store2"):
        shop.deliver(named(1, name), f'{HEAD}a,1\n,2\n"b"b,3\n,4\n')
    shop.load()
    shop.deliver(named(1, "store1"), f"{HEAD}a,1\n,x\n")
    shop.deliver(named(2, "store2"), f"{HEAD}a,1\nc,2\n,-3\n")
    shop.deliver(named(2, "web"), f"{HEAD}a,1\n")
    until_n = replace(group, fill_down=FillDown("n"))
    shop.feed = replace(shop.feed, columns=(until_n, *shop.feed.columns[1:]))
    return {}


def divided(shop: Shop) -> dict[str, Any]:
    """Files span days: one is corrected and leaves days, one is new and has records without a batch."""
    start = dt.date(2023, 12, 1)
    shop.feed = replace(CONTRACT, columns=(*CONTRACT.columns, column("day", "DATE")))
    batching, division = Batching(Cadence.DAILY, start), Division("day", "day", start, "UTC")
    shop.options = replace(shop.options, batching=batching, by_name=True, division=division)
    head = "id,n,day\n"
    shop.deliver("p.csv", f"{head}a,1,2024-01-01\nb,2,2024-01-02\n,3,2024-01-03\n")
    shop.deliver("q.csv", f"{head}a,4,2024-01-03\nc,5,2024-01-02\n")
    shop.load()
    shop.deliver("p.csv", f"{head}b,2,2024-01-02\nd,3,2024-01-04\n")
    shop.deliver("r.csv", f"{head}a,6,2023-12-31\ne,7,\nf,8,2024-12-24\n\n")
    shop.deliver("q.csv", "no header at all\n")
    return {}


SCENARIOS: list[Callable[[Shop], dict[str, Any]]] = [
    delivery,
    first_load,
    lost_warehouse,
    snapshot,
    history,
    raw_alone,
    rereading,
    workbooks,
    open_documents,
    fixed_width,
    documents,
    totals,
    ignored_otherwise,
    zips,
    outside,
    divided,
]


@pytest.fixture(params=SCENARIOS, ids=lambda scenario: scenario.__name__.replace("_", " "))
def before(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Shop, dict[str, Any]]:
    """A shop before the load that is going to die, and what that load is asked to do."""
    shop = Shop(tmp_path / "before", CONTRACT, options())
    return shop, request.param(shop)


def chosen(steps: list[str]) -> Iterable[int]:
    """The steps to die at: each kind of point, and every fortieth statement; in the long form, every second one."""
    stride = effort(40, 2)
    last = {name: index for index, name in enumerate(steps) if name in set(Point)}
    return sorted({*last.values(), *range(0, len(steps), stride)})


@pytest.mark.of_a_file("it copies the warehouse; loads on lakes are killed in test_lakes.py")
def test_a_kill_at_any_step(before: tuple[Shop, dict[str, Any]], tmp_path: Path) -> None:
    """Whatever step a process dies at, the next load brings everything into the same state as an undisturbed one."""
    shop, request = before
    undisturbed = shop.copied(tmp_path / "undisturbed")
    steps = steps_of_load(undisturbed, None, dict(request))
    expected = everything(undisturbed)
    for fatal in chosen(steps):
        disturbed = shop.copied(tmp_path / f"dies at {fatal}")
        assert killed_load(disturbed, fatal, dict(request)), steps[fatal]
        disturbed.load(**request)
        assert everything(disturbed) == expected, f"killed at step {fatal}: {steps[fatal]}"
        shutil.rmtree(disturbed.folder)
        tried()


def test_all_points_are_passed(tmp_path: Path) -> None:
    """Loads pass every point that there is but the one that belongs to Dagster's part."""
    steps = list[str]()
    for scenario in (delivery, rereading, history, zips):
        shop = Shop(tmp_path / scenario.__name__, CONTRACT, options())
        steps += steps_of_load(shop, None, scenario(shop))
    assert set(Point) - set(steps) == {Point.REPORTED}


def test_kills_at_any_time(tmp_path: Path) -> None:
    """Loads that are killed at random moments, again and again, end in the state of an undisturbed one."""
    seed = random.randrange(1 << 32)  # noqa: S311 - chance, not secrets
    dice = random.Random(seed)  # noqa: S311 - chance, not secrets
    disturbed, expected = (Shop(tmp_path / name, CONTRACT, options()) for name in ("disturbed", "expected"))
    for number in range(effort(4, 25)):
        for shop in (expected, disturbed):
            (second_wave if number % 2 else first_wave)(shop)
        expected.load()
        for _ in range(dice.randint(1, 4)):
            tried(killed_after(disturbed, dice.uniform(0.02, 0.8), {}))
        disturbed.load()
        assert everything(disturbed) == everything(expected), f"seed {seed}, round {number}"

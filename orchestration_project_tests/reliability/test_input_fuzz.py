"""Valid files with random damage: every record is accounted for, or the file is refused; its neighbours always load."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project_tests.ingest.shop import feed, named
from orchestration_project_tests.oracle.delimited import line_at
from orchestration_project_tests.reliability.evidence import effort
from orchestration_project_tests.reliability.hostile import FileOutcome, loaded_beside, neighbour_of, outcomes

pytestmark = pytest.mark.promise("input")

HEADER = b"id,n\n"
TOKENS = [b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"id,n\n", b"\\", b"{", b"]", b" "]
TEXTS = st.text(st.sampled_from('ab1,;"\n\r é{}'), max_size=8)
ROWS = st.lists(st.tuples(TEXTS, st.integers(-5, 99) | TEXTS), max_size=8)
FILES_A_LOAD = effort(8, 60)

Change = Callable[[bytes], bytes]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """One change of some bytes; places are shares of the length, so that they fit whatever they are applied to."""
    kind = draw(st.sampled_from(["flip", "insert", "delete", "double", "cut", "splice"]))
    first, second = draw(st.floats(0, 1)), draw(st.floats(0, 1))
    token, value = draw(st.sampled_from(TOKENS)), draw(st.integers(0, 255))

    def change(data: bytes) -> bytes:
        start, stop = sorted((int(first * len(data)), int(second * len(data))))
        match kind:
            case "flip":
                return data[:start] + bytes([value]) + data[start + 1 :]
            case "insert":
                return data[:start] + token + data[start:]
            case "delete":
                return data[:start] + data[stop:]
            case "double":
                return data[:stop] + data[start:stop] + data[stop:]
            case "cut":
                return data[:stop]
            case _:
                return data[stop:] + data[:start]

    return change


def damaged(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """Different bodies, each with up to four changes."""
    one = st.builds(_changed, bodies, st.lists(changes(), max_size=4))
    return st.lists(one, min_size=1, max_size=FILES_A_LOAD, unique=True)


def _changed(data: bytes, applied: Sequence[Change]) -> bytes:
    for change in applied:
        data = change(data)
    return data


def delimited(rows: Sequence[tuple[object, ...]], end: str) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end).writerows(rows)
    return stream.getvalue().encode()


def objects(rows: Sequence[tuple[object, ...]], end: str) -> bytes:
    return "".join(json.dumps({"id": a, "n": b}, ensure_ascii=False) + end for a, b in rows).encode()


@cache
def parquet(rows: tuple[tuple[str, int], ...], folder: str) -> bytes:
    path = f"{folder}/made.parquet"
    listed = duckdb.sql(
        "SELECT unnest($rows, recursive := true)", params={"rows": [{"id": a, "n": b} for a, b in rows]}
    )
    listed.write_parquet(path)
    return Path(path).read_bytes()


def counted_csv(body: bytes) -> int | None:
    """How many records a delimited body has, by the oracle's reading of its characters; None when it is no UTF-8.

    A record is a line of cells, quoted ones with line ends in them; where that does not work out, a physical line.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    count = place = 0
    while place < len(text):
        place = line_at(text, place, ",", '"').end
        count += 1
    return count


def counted_json(body: bytes) -> int | None:
    """How many lines a JSON file has; None when it is no UTF-8."""
    try:
        text = body.decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return None
    return text.count("\n") + (not text.endswith("\n") and text != "")


def check(found: FileOutcome, expected: int | None, allowed: set[str]) -> None:
    """A file is loaded with all of its records, or refused for one of some reasons."""
    if isinstance(found, str):
        assert found in allowed
    else:
        assert sum(found) == expected


UNHURRIED = settings(
    max_examples=effort(4, 60),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@UNHURRIED
@given(bodies=damaged(st.builds(delimited, ROWS, st.sampled_from(["\n", "\r\n", "\r"]))))
def test_damaged_delimited_files(bodies: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    """A delimited file has as many records as a reading character by character finds, whatever bytes are changed."""
    files = {named(1, f"f{number}"): HEADER + body for number, body in enumerate(bodies)}
    shop = loaded_beside(tmp_path_factory.mktemp("fuzz"), feed(), files, neighbour_of(feed()))
    told = outcomes(shop)
    for name, content in files.items():
        expected = counted_csv(content.removeprefix(HEADER))
        check(told[name], expected, {"undecodable"} if expected is None else {"several_tables"})


@UNHURRIED
@given(bodies=damaged(st.builds(objects, ROWS, st.sampled_from(["\n", "\r\n", "\r"]))))
def test_damaged_json_lines(bodies: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file of JSON lines has as many records as it has lines, whatever bytes are changed."""
    contract = feed(source=SourceFormat(FileFormat.JSON))
    files = {named(1, f"f{number}"): b'{"id":"first"}\n' + body for number, body in enumerate(bodies)}
    shop = loaded_beside(tmp_path_factory.mktemp("fuzz"), contract, files, neighbour_of(contract))
    told = outcomes(shop)
    for name, content in files.items():
        expected = counted_json(content)
        check(told[name], expected, {"undecodable"} if expected is None else set())


@UNHURRIED
@given(rows=st.lists(ROWS, min_size=1, max_size=FILES_A_LOAD), change=st.lists(changes(), max_size=3), data=st.data())
def test_damaged_json_arrays(
    rows: list[list[tuple[object, ...]]],
    change: list[Change],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """An array that a strict parser reads has all of its elements; any other is refused or accounted for."""
    contract = feed(source=SourceFormat(FileFormat.JSON))
    arrays = [b"[" + b",\n".join(objects([row], "") for row in found) + b"]" for found in rows]
    contents = dict.fromkeys(b'[{"id":"x"},' + _changed(array.removeprefix(b"["), change) for array in arrays)
    files = {named(1, f"f{number}"): content for number, content in enumerate(contents)}
    shop = loaded_beside(tmp_path_factory.mktemp("fuzz"), contract, files, neighbour_of(contract))
    told = outcomes(shop)
    for name, content in files.items():
        found = told[name]
        try:
            expected = len(json.loads(content))
        except ValueError:
            continue
        assert not isinstance(found, str)
        assert sum(found) == expected


@UNHURRIED
@given(bodies=st.lists(ROWS, min_size=1, max_size=FILES_A_LOAD), change=st.lists(changes(), min_size=1, max_size=3))
def test_damaged_gzip(
    bodies: list[list[tuple[object, ...]]], change: list[Change], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A gzip file with changed bytes is refused, or what it holds is accounted for."""
    packed = [gzip.compress(HEADER + delimited(rows, "\n"), mtime=0) for rows in bodies]
    contents = dict.fromkeys(_changed(content, change) for content in packed)
    files = {named(1, f"f{number}"): content for number, content in enumerate(contents)}
    shop = loaded_beside(tmp_path_factory.mktemp("fuzz"), feed(), files, neighbour_of(feed()))
    assert outcomes(shop).keys() > files.keys()


@UNHURRIED
@given(
    rows=st.lists(st.tuples(TEXTS, st.integers(-5, 99)), min_size=1, max_size=8).map(tuple),
    change=st.lists(st.lists(changes(), min_size=1, max_size=3), min_size=1, max_size=FILES_A_LOAD),
)
def test_damaged_parquet(
    rows: tuple[tuple[str, int], ...], change: list[list[Change]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A Parquet file with changed bytes is refused, or every row that its footer tells is accounted for."""
    contract = feed(source=SourceFormat(FileFormat.PARQUET))
    folder = tmp_path_factory.mktemp("fuzz")
    whole = parquet(rows, str(folder))
    contents = dict.fromkeys(_changed(whole, applied) for applied in change)
    files = {named(1, f"f{number}"): content for number, content in enumerate(contents)}
    shop = loaded_beside(folder / "shop", contract, files, parquet((("neighbour", 7),), str(folder)))
    assert outcomes(shop).keys() > files.keys()

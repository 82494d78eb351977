"""Records inside of JSON documents."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import Feed, FileFormat, Required, SourceFormat
from orchestration_project.errors import FileRefused
from orchestration_project.formats import json_documents as module
from orchestration_project.formats.json_documents import write_records
from orchestration_project_tests.formats.files import records
from orchestration_project_tests.ingest.shop import Shop, column, feed, named

PATH = ("data", "items")
TEXTS = st.text(st.sampled_from('a\\"[]{},:\n\r ü'), max_size=6)
VALUES = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def contract(*path: str) -> Feed:
    """A contract whose records are at a path."""
    source = SourceFormat(FileFormat.JSON, records_path=path)
    return feed(column("id", "VARCHAR", Required()), column("n", "DECIMAL(9,2)"), source=source)


def lines(content: bytes, *path: str) -> list[bytes]:
    """The lines that are written of a file."""
    written = io.BytesIO()
    write_records(io.BytesIO(content), path, written, "in.json")
    return written.getvalue().splitlines()


@settings(max_examples=200, deadline=None)
@given(
    pages=st.lists(st.lists(VALUES, max_size=4), min_size=1, max_size=4),
    beside=st.dictionaries(TEXTS, VALUES, max_size=3),
    first=st.booleans(),
    indent=st.sampled_from([None, 1]),
    block=st.integers(1, 12),
)
def test_every_record_of_every_document_is_a_line(
    pages: list[list[object]], beside: dict[str, object], first: bool, indent: int | None, block: int
) -> None:
    """In the order of the file, whatever stands beside the records and wherever blocks end."""
    beside = {key: value for key, value in beside.items() if key not in PATH}
    content = ""
    for page in pages:
        inner = {**beside, "items": page} if first else {"items": page, **beside}
        outer = {**beside, "data": inner} if first else {"data": inner, **beside}
        content += json.dumps(outer, indent=indent, ensure_ascii=False) + "\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        patch.setattr(module, "FIRST_WINDOW", block)
        found = lines(content.encode(), *PATH)
    assert [json.loads(line) for line in found] == [record for page in pages for record in page]


@pytest.mark.parametrize(
    ("content", "path", "expected"),
    [
        pytest.param(b"[1, 2]\n[3]", (), [1, 2, 3], id="documents are arrays"),
        pytest.param(b'{"a":[1]}{"a":[2]}', ("a",), [1, 2], id="nothing between documents"),
        pytest.param(b'{"a":[]}\n{"a":[\n]}\n{"a":[1]}', ("a",), [1], id="pages without records"),
        pytest.param(b'{"\\u0061":[1]}', ("a",), [1], id="a key with an escape"),
        pytest.param(b'{"b":{"a":[7]},"a":[1],"c":[{"a":[7]}]}', ("a",), [1], id="the key elsewhere"),
        pytest.param(b'{"n":' + b"9" * 5000 + b',"a":[1]}', ("a",), [1], id="a very long number"),
    ],
)
def test_where_records_are(content: bytes, path: tuple[str, ...], expected: list[object]) -> None:
    """Only the array at the path has records, once a document."""
    assert [json.loads(line) for line in lines(content, *path)] == expected


@pytest.mark.parametrize(
    ("content", "rule", "told"),
    [
        pytest.param(b'{"data":{"items":[1]}}\n{"data":{}}', "missing_records", "document 2: there is no", id="no key"),
        pytest.param(b'{"data":{"items":{}}}', "missing_records", r"\$\.data\.items .*an object", id="an object"),
        pytest.param(b'{"data":null}', "missing_records", "null stands there", id="null"),
        pytest.param(b"5", "missing_records", "a number stands there", id="a number"),
        pytest.param(b'{"data":{"items":[1],"items":[]}}', "missing_records", "stands twice", id="twice"),
        pytest.param(b"<html>", "unreadable", "document 1, byte 0: no value", id="HTML"),
        pytest.param(b'{"data":{"items":[1]}', "unreadable", "byte 21: it ends too early", id="cut off outside"),
        pytest.param(b'{"data":{"items":[1', "unreadable", "does not end", id="cut off inside"),
        pytest.param(b'{"data" {"items":[1]}}', "unreadable", "a key and a colon", id="no colon"),
        pytest.param(b'{"data":{"items":[1]} "x":1}', "unreadable", "a comma or the end", id="no comma"),
        pytest.param(b'{"data":{"items":[1]},}', "unreadable", "a key and a colon", id="a comma too many"),
        pytest.param(b'{"x":,"data":{"items":[1]}}', "unreadable", "a value should", id="no value"),
        pytest.param(b'{"x":[1,],"data":{"items":[1]}}', "unreadable", "no value", id="no JSON beside"),
        pytest.param(b'{"x":{1:2},"data":{"items":[1]}}', "unreadable", "no value", id="no object beside"),
        pytest.param(b'{"x":"\\q","data":{"items":[1]}}', "unreadable", "no value", id="an escape that is none"),
        pytest.param(b'{"x":[1},"data":{"items":[1]}}', "unreadable", "ends with }", id="another bracket"),
    ],
)
def test_what_has_no_records(content: bytes, rule: str, told: str) -> None:
    """The file is refused, with the path or the byte, the number of the document, and what to do."""
    with pytest.raises(FileRefused, match=told) as caught:
        lines(content, *PATH)
    assert caught.value.rule == rule
    assert "eliver it" in str(caught.value)


def test_what_stands_beside_is_not_read_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text, or an element, that is too long for a record is refused also where it is none."""
    monkeypatch.setattr(module, "MAX_RECORD_BYTES", 20)
    monkeypatch.setattr(module, "BLOCK", 8)
    monkeypatch.setattr(module, "FIRST_WINDOW", 8)
    long = b"x" * 60
    assert lines(b'{"x":"' + long[:9] + b'","data":{"items":["' + long + b'"]}}', *PATH) == [b' "' + long + b'"']
    for beside in (b'"' + long + b'"', b'["' + long + b'"]'):
        with pytest.raises(FileRefused, match="more than 20 bytes"):
            lines(b'{"x":' + beside + b',"data":{"items":[1]}}', *PATH)


def test_records_have_numbers_over_the_file(tmp_path: Path) -> None:
    """Records are numbered from the first document to the last, and an element that is no object is a record."""
    content = '\ufeff{"data":{"items":[{"id":1.10,"n":1.50}, 3]}}\n{"data":{"items":[{"id":"b"}]}}'
    assert records(tmp_path, contract(*PATH), content) == {1: ("1.10", "1.50"), 2: "invalid_json", 3: ("b", None)}


def test_a_record_that_is_on_two_pages(tmp_path: Path) -> None:
    """The key decides: the later one is kept, the other one is in the rejects, which name the one that was kept."""
    shop = Shop(tmp_path, replace(contract("items"), primary_key=("id",)))
    shop.deliver(
        named(1), '{"items":[{"id":"a","n":1},{"id":"b","n":2}]}\n{"items":[{"id":"b","n":2},{"id":"c","n":3}]}'
    )
    shop.load()
    assert shop.cleaned("id") == ["a", "b", "c"]
    assert shop.rejected() == {2: [f"id: duplicate_key (kept: {named(1)} row 3)"]}


def test_a_reject_is_repaired(tmp_path: Path) -> None:
    """Its repair file is CSV, whatever the feed's own files are."""
    shop = Shop(tmp_path, contract("items"))
    shop.deliver(named(1), '{"items":[{"id":"a","n":"x"},{"id":"b","n":2}]}')
    shop.load()
    (reject,) = shop.table("rejected")
    shop.deliver("2024-01-01.repair.csv", f"id,n,_reject_id\na,1.50,{reject['_reject_id']}\n")
    shop.load()
    assert shop.cleaned("id") == ["a", "b"]


def test_a_file_with_many_pages_is_a_file(tmp_path: Path) -> None:
    """Its records load beside a file that is refused, and come in again when the contract finds others."""
    shop = Shop(tmp_path, contract(*PATH))
    shop.deliver(
        named(1), '{"data":{"items":[{"id":"a","n":1}]},"more":[{"id":"x"}]}\n{"data":{"items":[]},"more":[]}\n'
    )
    shop.deliver(named(2), '{"data":{"items":[{"id":"b"}]}}\n<html>')
    shop.load()
    assert shop.cleaned("id") == ["a"]
    assert shop.quarantine()[named(2)]["rule"] == "unreadable"
    shop.feed = contract("more")
    shop.load()
    assert shop.cleaned("id") == ["x"]

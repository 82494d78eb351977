"""JSON values are exact, and what is no JSON text is named as that."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, read
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("input")

JSON = SourceFormat(FileFormat.JSON)
TEXT = feed(column("id"), source=JSON)


@pytest.mark.found("JSON numbers lost the zeros at their ends in text columns: the keys 2.10 and 2.1 were one.")
def test_numbers_for_text_columns_and_keys(tmp_path: Path) -> None:
    """A text column has the number as it is written; for a number its zeros say nothing."""
    contract = feed(column("id"), column("v", "DECIMAL(9,2)"), primary_key=("id",), source=JSON)
    ids = ["2.10", "2.1", "2.0", "0.00001", "-3.500", "-0", "1e3", '"2.100"', "7"]
    shop = read(tmp_path, "".join(f'{{"v":1.50,"id": {number}}}\n' for number in ids), contract)
    assert shop.cleaned("id", "v") == [(number.strip('"'), Decimal("1.50")) for number in ids]


@pytest.mark.found("Numbers inside of other JSON values became strings, or lost the zeros at their ends.")
def test_numbers_inside_of_other_values(tmp_path: Path) -> None:
    """They are the numbers that were delivered; what only looks like them stays as it is."""
    nested = r'{"a":[1.10,-0,1e5,12345678901234567890.5],"s":"1.10","u":"\"\\u00001\""}'
    text = r'"\\u00001"'
    content = f'{{"id": {nested}, "x": {{"y": 1.0e7}}}}\n{{"id": {json.dumps(text)}, "x": 1e5}}\n'
    shop = read(tmp_path, content, TEXT)
    rows = shop.table("cleaned")
    assert [row["id"] for row in rows] == [nested, text]
    assert [row["_rescued"] for row in rows] == ['{"x":{"y":1.0e7}}', '{"x":1e5}']


@pytest.mark.found("A key with an escape in it hid its number, which then lost its zeros.")
def test_a_key_that_is_written_with_escapes(tmp_path: Path) -> None:
    """A key is what its escapes say, here too."""
    shop = read(tmp_path, '{"\\u0069d":2.10}\n{"id":2.1}\n', feed(column("id"), primary_key=("id",), source=JSON))
    assert shop.cleaned("id") == ["2.10", "2.1"]


@pytest.mark.found("A NUL in a JSON text was left out silently, where CSV says nul_byte.")
def test_a_nul_in_a_text(tmp_path: Path) -> None:
    """The record is rejected as one of CSV is; a backslash before a u is no NUL."""
    lines = [r'{"id":"a\u0000"}', r'{"id":"a\\u0000"}', r'{"id":"a\\\u0000"}', r'{"id":"\u0000"}', r'{"\u0000":"x"}']
    shop = read(tmp_path, "\n".join(lines) + "\n", TEXT)
    assert shop.cleaned("id") == ["a\\u0000"]
    assert shop.rejected() == {number: ["_raw_line: nul_byte"] for number in (1, 3, 4, 5)}
    assert [row["_raw_line"] for row in shop.table("rejected")] == [lines[0], *lines[2:]]
    tried(len(lines))


@pytest.mark.parametrize("array", [False, True], ids=["lines", "array"])
@pytest.mark.found("A control character in a line of JSON became too_many_columns, and one at its end was left out.")
def test_a_control_character(array: bool, tmp_path: Path) -> None:
    """JSON forbids it, so the record is no JSON; those beside it load."""
    shop = Shop(tmp_path, TEXT)
    wrong = {}
    for number in sorted({*range(32)} - {*b"\t\n\r"}):
        control = chr(number)
        broken = [f'{{"id":"b{control}"}}', f'{{"id":"b"}}{control}', control]
        lines = ['{"id":"a"}', *broken, '{"id":"c"}']
        shop.deliver(named(number + 1), f"[{','.join(lines)}]" if array else "\n".join(lines) + "\n")
        wrong[named(number + 1)] = [line.replace("\0", "\u2400") for line in broken]
        tried()
    shop.load()
    assert shop.cleaned("id") == ["a", "c"] * len(wrong)
    rejects = shop.rows("SELECT _file, _raw_line, _reasons FROM rejected_f ORDER BY _file, _row")
    assert {row["_reasons"][0] for row in rejects} == {"_raw_line: invalid_json"}
    texts = [row["_raw_line"].strip(" ").replace("\0", "\u2400") for row in rejects]
    assert texts == [line for name in sorted(wrong) for line in wrong[name]]


def test_all_control_characters_together(tmp_path: Path) -> None:
    """Then none is left that could keep lines whole, and the file is refused."""
    shop = read(tmp_path, '{"id":"a"}\n' + "".join(map(chr, range(32))) + "\n", TEXT)
    assert shop.quarantine()["s_2024-01-01.csv"]["rule"] == "unreadable"


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


@settings(max_examples=effort(8, 300), deadline=None)
@given(texts=st.lists(NUMBERS, min_size=1, max_size=40))
def test_every_number_is_kept_as_it_is_written(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """In a column of text, alone or in a list, whatever else stands in the object."""
    lines = "".join(f'{{"x":[{text}],"id":{text},"n":[{text},"{text}"]}}\n' for text in texts)
    shop = read(tmp_path_factory.mktemp("numbers"), lines, feed(column("id"), column("n"), source=JSON))
    assert shop.cleaned("id", "n") == [(text, f'[{text},"{text}"]') for text in texts]

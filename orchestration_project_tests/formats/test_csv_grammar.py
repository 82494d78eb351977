"""Which records are well-formed, and what their cells are."""

import mmap
import tempfile

import pytest

from orchestration_project.formats import csv_grammar as module
from orchestration_project.formats.csv_grammar import Grammar, what_is_wrong


def record_at(content: bytes, position: int = 0) -> bytes | None:
    """The well-formed record that begins at a position."""
    with tempfile.TemporaryFile() as stream:
        stream.write(content)
        stream.flush()
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            match = Grammar(",", '"').record_at(data, position)
            return match[1] if match else None


@pytest.mark.parametrize(
    ("content", "record"),
    [
        pytest.param(b"a,1\nb,2\n", b"a,1", id="up to the line end"),
        pytest.param(b"a,1\rb,2", b"a,1", id="up to a CR"),
        pytest.param(b'"x\r\ny",1\r\nb', b'"x\r\ny",1', id="a line end in quotes"),
        pytest.param(b"6'2\"N 7'1\"W,1\n", b"6'2\"N 7'1\"W,1", id="a pair of quotes in a bare cell"),
        pytest.param(b"\na", b"", id="blank"),
        pytest.param(b'5" pipe,1\n', None, id="a quote in a bare cell"),
        pytest.param(b'cup"large, blue",x\n', None, id="a delimiter between the quotes of two bare cells"),
        pytest.param(b' "a",1\n', None, id="a blank before a quote"),
        pytest.param(b'"a"x,1\n', None, id="text beside a closed quote"),
        pytest.param(b'"a,1\nb,2\n', None, id="a quote that is never closed"),
    ],
)
def test_a_well_formed_record(content: bytes, record: bytes | None) -> None:
    """A record ends at a line end outside of quotes; one whose quotes are broken is not well-formed."""
    assert record_at(content) == record


def test_a_record_that_is_too_long_is_not_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quote left open is looked for no further than a record may be long."""
    monkeypatch.setattr(module, "MAX_RECORD_BYTES", 6)
    assert record_at(b'"aaaaaaaaa",1\n') is None
    assert record_at(b"a,1\nb,2\n") == b"a,1"


@pytest.mark.parametrize(
    ("delimiter", "quote", "record", "cells"),
    [
        pytest.param(",", '"', 'a,"x ""y"" z",1', ["a", 'x "y" z', "1"], id="doubled quotes"),
        pytest.param(",", '"', "a,,", ["a", "", ""], id="empty cells"),
        pytest.param(",", '"', "", [""], id="nothing"),
        pytest.param("¦", '"', 'ä¦"b¦c"', ["ä", "b¦c"], id="a delimiter beyond ASCII"),
        pytest.param(";", "'", "'a;b';\"c\"", ["a;b", '"c"'], id="another quote"),
    ],
)
def test_the_cells_of_a_record(delimiter: str, quote: str, record: str, cells: list[str]) -> None:
    """Cells are split at delimiters outside of quotes, and quotes around them are taken away."""
    assert Grammar(delimiter, quote).cells(record.encode()) == cells


@pytest.mark.parametrize(
    ("raw", "code"), [(b'"a"x', "bad_quoting"), (b"a\0", "nul_byte"), (b"aaaaaaaaa", "record_too_long")]
)
def test_what_is_wrong_with_a_record(raw: bytes, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason begins with its code."""
    monkeypatch.setattr(module, "MAX_RECORD_BYTES", 8)
    assert what_is_wrong(raw).split(":")[0] == code

"""How lines of fixed width are cut, where their header is, and fillers for bytes."""

from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Feed, FileFormat, SourceFormat
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project.errors import FileRefused
from orchestration_project.formats.fixed_lines import FILLER, Layout, find_names, layout_of, with_fillers
from orchestration_project_tests.ingest.shop import column, feed


def contract(width: int | None = None) -> Feed:
    """Columns at 5-8 and 1-2, which the files call Amount and Id or No."""
    columns = (
        column("amount", "INTEGER", source="Amount", span=Span(5, 4)),
        column("id", source="Id", aliases=("No",), span=Span(1, 2)),
    )
    return feed(*columns, source=SourceFormat(FileFormat.FIXED_WIDTH, fixed=FixedWidth(width, header_line=True)))


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        pytest.param(None, [Span(3, 2)], id="to the last column"),
        pytest.param(8, [Span(3, 2)], id="the same in words"),
        pytest.param(11, [Span(3, 2), Span(9, 3)], id="with a filler"),
    ],
)
def test_gaps(width: int | None, expected: list[Span]) -> None:
    """The characters of no column are known, behind the last one, too."""
    spans = {"amount": Span(5, 4), "id": Span(1, 2)}
    assert layout_of(contract(width)) == Layout(spans, tuple(expected), width or 8, trimmed=False)


@pytest.mark.parametrize(
    ("head", "line", "length"),
    [
        pytest.param("Id  Amou\nx", 1, 9, id="cut"),
        pytest.param("no  AMOU\r\nx", 1, 10, id="another name"),
        pytest.param("Report\n\nId  Amou\nx", 3, 17, id="below titles"),
        pytest.param("Id  Amou\n==  ====\nx", 1, 18, id="underlined"),
        pytest.param("Id  Amou\n==  === \nx", 1, 9, id="not quite"),
        pytest.param("Id  Amou", 1, 8, id="alone"),
    ],
)
def test_headers(head: str, line: int, length: int) -> None:
    """The header is found by names in their places."""
    header = find_names(contract(), head)
    assert (header.line, header.length, header.positions) == (line, length, {"amount": 0, "id": 1})


@pytest.mark.parametrize(
    ("head", "rule", "words"),
    [
        pytest.param("", "no_header", "headerLine", id="nothing"),
        pytest.param("17  1200\n", "no_header", "headerLine", id="records"),
        pytest.param("x\nId  Pric\n", "missing_column", "in line 2 lacks Amount in its place", id="another column"),
        pytest.param("Id Amou\n", "missing_column", "lacks Amount", id="moved"),
    ],
)
def test_no_headers(head: str, rule: str, words: str) -> None:
    """What is lacking is named, and where it was looked for."""
    with pytest.raises(FileRefused, match=words) as error:
        find_names(contract(), head)
    assert error.value.rule == rule


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        pytest.param("cp1252", "aé\r\n", id="one byte"),
        pytest.param("utf-8", f"aé{FILLER}\r\n", id="UTF-8"),
        pytest.param("gb18030", f"aé{FILLER}\r\n", id="GB 18030"),
        pytest.param("utf-16-le", f"a{FILLER}é{FILLER}\r{FILLER}\n{FILLER}", id="UTF-16"),
    ],
)
def test_fillers(encoding: str, expected: str, tmp_path: Path) -> None:
    """A filler stands for each further byte that a character has in the encoding of the file."""
    source = tmp_path / "source"
    source.write_bytes("aé\r\n".encode())
    assert with_fillers(source, encoding, "f", tmp_path / "target").read_bytes().decode() == expected

"""Counting records by blocks of any size."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.formats import csv_scanner as module
from orchestration_project.formats.csv_scanner import Scan, scan

PIECES = st.sampled_from(["a", "b", ",", '"', '""', "\n", "\r\n", "\r", "\0", '",', ',"', "ü"])


def scanned(folder: Path, content: bytes, block: int = 1 << 20) -> tuple[Scan, str]:
    """What the scanner finds, and what it writes of blank records."""
    (folder / "in.csv").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch, (folder / "in.csv").open("rb") as stream:
        patch.setattr(module, "BLOCK", block)
        found = scan(stream, ",", '"', folder / "skipped.csv")
    return found, (folder / "skipped.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", [1, 3, 1000])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", Scan(), id="nothing"),
        pytest.param(
            b'a,1\n\n"x\ny",2\n', Scan(count=3, skipped=1, longest=7), id="a blank line, a line end in quotes"
        ),
        pytest.param(b"a,1\r\nb,2", Scan(count=2, longest=4, line_end="\r\n"), id="CR LF, no final line end"),
        pytest.param(b'a,1\n"x"y,2\n', Scan(count=2, longest=6, regular=False), id="text beside a closed quote"),
        pytest.param(b'a,1\n"b,2\n', Scan(count=2, longest=5, regular=False), id="an open quote"),
        pytest.param(b"a\0,1\n", Scan(count=1, longest=4, regular=False), id="NUL"),
        pytest.param(
            b"a,1\r\nb,2\n", Scan(2, 0, 4, regular=False, uniform=False, line_end="\r\n"), id="mixed line ends"
        ),
        pytest.param(b"a,1\rb,2\r", Scan(1, 0, 8, regular=False, uniform=False), id="CR only"),
    ],
)
def test_what_is_found(content: bytes, expected: Scan, block: int, tmp_path: Path) -> None:
    """The records are counted, and a text that DuckDB would split wrong is irregular, wherever blocks end."""
    assert scanned(tmp_path, content, block)[0] == expected


def test_blank_records_are_written_with_their_numbers(tmp_path: Path) -> None:
    """A line end in quotes begins no record, so it is no blank one either."""
    assert scanned(tmp_path, b'\na,1\n\n"x\n\ny",2\n\n')[1] == "records\n1,,\n3,,\n5,,\n"


@settings(max_examples=200, deadline=None)
@given(text=st.lists(PIECES, max_size=40).map("".join), block=st.integers(1, 12))
def test_blocks_of_any_size_find_the_same(text: str, block: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is found in a file does not depend on where its blocks end."""
    folder = tmp_path_factory.mktemp("scan")
    assert scanned(folder, text.encode(), block) == scanned(folder, text.encode())

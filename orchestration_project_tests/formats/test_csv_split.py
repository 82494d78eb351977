"""Taking broken records out by blocks against reading record by record."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.formats import csv_split as module
from orchestration_project.formats.csv_scanner import Grammar, scan
from orchestration_project.formats.csv_split import excise

PIECES = st.sampled_from(["a", "b", ",", '"', '""', "\n", "\n", "\0", ' "', '",', ',"', "ü", '5" pipe'])
TEXTS = st.lists(PIECES, max_size=40).map("".join)


def expected(data: bytes) -> tuple[list[bytes], list[tuple[int, bytes | None]]]:
    """The kept bytes and the gaps, empty lines and broken records with their numbers, record by record."""
    grammar, position, number = Grammar(",", '"'), 0, 0
    kept: list[bytes] = []
    gaps: list[tuple[int, bytes | None]] = []
    while position < len(data):
        number += 1
        match = grammar.record.match(data, position)
        good = match is not None and b"\0" not in match[1]
        match = match if good else grammar.line.match(data, position)
        assert match is not None
        if good:
            kept.append(match[0])
            gaps += [(number, None)] if not match[1] else []
        else:
            gaps.append((number, match[1]))
        position = match.end()
    return kept, gaps


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, block=st.integers(1, 12), windows=st.booleans())
def test_blocks_of_any_size_find_what_reading_record_by_record_finds(
    text: str, block: int, windows: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is kept, what is broken and every number are the same as when each record is read by itself."""
    data = (text.replace("\n", "\r\n") if windows else text).encode()
    if not data:
        return
    folder = tmp_path_factory.mktemp("excise")
    source, good, gaps = folder / "in.csv", folder / "good.csv", folder / "gaps.csv"
    source.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        result = excise(source, 0, ",", '"', good, gaps)
    kept, left_out = expected(data)
    assert good.read_bytes() == b"".join(kept)
    assert sorted((int(number), raw) for number, raw, _ in _rows(gaps)) == [
        (number, raw.decode().replace("\0", "\u2400") if raw else "") for number, raw in left_out
    ]
    broken = sum(raw is not None for _, raw in left_out)
    assert (result.count, result.gaps) == (len(kept) + broken, len(left_out))


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))[1:]


@settings(max_examples=200, deadline=None)
@given(cells=st.lists(st.lists(st.text(alphabet='ab,"\n ', max_size=5), min_size=2, max_size=2), max_size=12))
def test_a_file_that_a_csv_writer_made_is_regular_and_loses_nothing(
    cells: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Well-formed records, quoted line ends included, are counted right and none is taken out."""
    folder = tmp_path_factory.mktemp("excise")
    source = folder / "in.csv"
    with source.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(cells)
    with source.open("rb") as stream:
        found = scan(stream, ",", '"', folder / "gaps.csv")
    assert (found.count, found.gaps, found.regular) == (len(cells), 0, True)
    if cells:
        result = excise(source, 0, ",", '"', folder / "good.csv", folder / "gaps.csv")
        assert (result.count, result.gaps) == (len(cells), 0)
        assert (folder / "good.csv").read_bytes() == source.read_bytes()

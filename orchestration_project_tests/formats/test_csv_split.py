"""Splitting what DuckDB would split wrong: by blocks, and record by record."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.formats import csv_grammar
from orchestration_project.formats import csv_split as module
from orchestration_project.formats.csv_grammar import Grammar
from orchestration_project.formats.csv_scanner import scan
from orchestration_project.formats.csv_split import Split, split_records, take_out_broken

PIECES = st.sampled_from(
    ["a", "b", ",", '"', '""', "\n", "\n", "\0", ' "', '",', ',"', "ü", '5" pipe', ",,\n", ',""\n']
)
WIDTH = 2
TEXTS = st.lists(PIECES, max_size=40).map("".join)


def expected(data: bytes) -> tuple[list[bytes], list[tuple[int, bytes | None]]]:
    """The kept bytes and the skipped records, blank and broken ones with their numbers, record by record."""
    grammar, position, number = Grammar(",", '"'), 0, 0
    fitting = [cells for cells in _splittable(data, grammar) if len(cells) >= WIDTH and not any(cells[WIDTH:])]
    most = min((len(cells) for cells in fitting if any(cell.strip() for cell in cells)), default=WIDTH)
    kept: list[bytes] = []
    skipped: list[tuple[int, bytes | None]] = []
    while position < len(data):
        number += 1
        match = grammar.record.match(data, position)
        cells = grammar.cells(match[1]) if match is not None else []
        whole = match is not None and b"\0" not in match[1]
        shifted = whole and len(cells) > most and not any(cells[WIDTH:]) and any(cell.strip() for cell in cells)
        good = whole and not shifted
        match = match or grammar.line.match(data, position)
        assert match is not None
        if good:
            kept.append(match[0])
            skipped += [(number, None)] if not match[1] else []
        else:
            skipped.append((number, match[1]))
        position = match.end()
    return kept, skipped


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, block=st.integers(1, 12), windows=st.booleans())
def test_blocks_of_any_size_find_what_reading_record_by_record_finds(
    text: str, block: int, windows: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is kept, what is broken and every number are the same as when each record is read by itself."""
    data = (text.replace("\n", "\r\n") if windows else text).encode()
    if not data:
        return
    folder = tmp_path_factory.mktemp("split")
    source, good, skipped = folder / "in.csv", folder / "good.csv", folder / "skipped.csv"
    source.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        result = take_out_broken(source, 0, WIDTH, ",", '"', good, skipped)
    kept, left_out = expected(data)
    assert good.read_bytes() == b"".join(kept)
    assert sorted((int(number), raw) for number, raw, _ in _rows(skipped)) == [
        (number, raw.decode().replace("\0", "\u2400") if raw else "") for number, raw in left_out
    ]
    broken = sum(raw is not None for _, raw in left_out)
    assert (result.count, result.skipped) == (len(kept) + broken, len(left_out))


def _splittable(data: bytes, grammar: Grammar) -> Iterator[list[str]]:
    """The cells of each well-formed record."""
    position = 0
    while position < len(data):
        if match := grammar.record.match(data, position):
            yield grammar.cells(match[1])
        position = (match or grammar.line.match(data, position)).end()  # type: ignore[union-attr]


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))[1:]


@settings(max_examples=200, deadline=None)
@given(cells=st.lists(st.lists(st.text(alphabet='ab,"\n ', max_size=5), min_size=2, max_size=2), max_size=12))
def test_a_file_that_a_csv_writer_made_is_regular_and_loses_nothing(
    cells: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Well-formed records, quoted line ends included, are counted right and none is taken out."""
    folder = tmp_path_factory.mktemp("split")
    source = folder / "in.csv"
    with source.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(cells)
    with source.open("rb") as stream:
        found = scan(stream, ",", '"', folder / "skipped.csv")
    assert (found.count, found.skipped, found.regular) == (len(cells), 0, True)
    if cells:
        result = take_out_broken(source, 0, 2, ",", '"', folder / "good.csv", folder / "skipped.csv")
        assert (result.count, result.skipped) == (len(cells), 0)
        assert (folder / "good.csv").read_bytes() == source.read_bytes()


IRREGULAR = b'a,1\n"a"x,1\n\n"x\ny",2\nlonely\n'


def test_broken_and_blank_records_are_written_beside_the_good_ones(tmp_path: Path) -> None:
    """By blocks only what has broken quotes is taken out, and all other bytes are kept; ragged lines are DuckDB's."""
    (tmp_path / "in.csv").write_bytes(IRREGULAR)
    good, skipped = tmp_path / "good.csv", tmp_path / "skipped.csv"
    assert take_out_broken(tmp_path / "in.csv", 0, 2, ",", '"', good, skipped) == Split(count=5, skipped=2, longest=8)
    assert good.read_bytes() == b'a,1\n\n"x\ny",2\nlonely\n'
    wrong = "bad_quoting: a quote is not closed, or something stands beside a closed quote, or before an opening one"
    assert _rows(skipped) == [["2", '"a"x,1', wrong], ["3", "", ""]]


def test_record_by_record_ragged_lines_are_taken_out_too(tmp_path: Path) -> None:
    """Any line ends are read, and what is written is plain CSV in which every record has its width."""
    (tmp_path / "in.csv").write_bytes(IRREGULAR.replace(b"a,1\n", b"a,1\r", 1))
    good, skipped = tmp_path / "good.csv", tmp_path / "skipped.csv"
    found = split_records(tmp_path / "in.csv", 0, 2, ",", '"', good, skipped)
    assert (found.count, found.skipped) == (5, 3)
    assert good.read_text(encoding="utf-8") == 'records\n"a","1"\n\n"x\ny","2"\n'
    assert [(number, error.split(":")[0]) for number, _, error in _rows(skipped)] == [
        ("2", "bad_quoting"),
        ("3", ""),
        ("5", "too_few_columns"),
    ]


def test_a_record_that_is_too_long_may_have_any_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken out, also where the part of it that is kept ends in the middle of a character."""
    monkeypatch.setattr(csv_grammar, "MAX_RECORD_BYTES", 6)
    (tmp_path / "in.csv").write_bytes("aaaaaaé,1\nb,2\n".encode())
    skipped = tmp_path / "skipped.csv"
    found = split_records(tmp_path / "in.csv", 0, 2, ",", '"', tmp_path / "good.csv", skipped)
    assert (found.count, found.skipped) == (2, 1)
    assert [(number, raw, error.split(":")[0]) for number, raw, error in _rows(skipped)] == [
        ("1", "aaaaaa", "record_too_long")
    ]

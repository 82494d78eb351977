"""Fixed width files: against an independent reader, by characters and by bytes, and every kind of damage."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import Column, Feed, FileFormat, Parsing, Required, SourceFormat
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project.ingest.fingerprints import version_of
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, options, read
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.hostile import outcomes

pytestmark = pytest.mark.promise("input")

COLUMNS = (
    column("id", "VARCHAR", Required(), source="Article", span=Span(1, 4)),
    column("n", "DECIMAL(9,2)", source="Price", span=Span(7, 6)),
    column("note", span=Span(13, 5)),
)
GOOD = "a1      2.50new  \n"


def fixed(*columns: Column, encoding: str | None = None, **layout: object) -> Feed:
    """A contract of fixed width files; without columns it has `id` at 1-4, a gap, `n` at 7-12 and `note` at 13-17."""
    source = SourceFormat(FileFormat.FIXED_WIDTH, encoding=encoding, fixed=FixedWidth(**layout))  # type: ignore[arg-type]
    return feed(*(columns or COLUMNS), source=source)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(GOOD, ("a1", "2.50", "new"), id="numbers at the right, texts at the left"),
        pytest.param("  a10000002.5  new\n", "too_long", id="one character too many"),
        pytest.param("a1      2.50new \n", "too_short", id="one character too few"),
        pytest.param("a1     2.50new  \n", "too_short", id="a character lost in the middle"),
        pytest.param("  a1  002.50  new\n", ("a1", "002.50", "new"), id="zeros in front, padding at the other side"),
        pytest.param("äöü€    2.50日本  \n", "too_short", id="characters, not bytes: one is missing"),
        pytest.param("äöü€    2.50日本   \n", ("äöü€", "2.50", "日本"), id="characters, not bytes"),
        pytest.param("a1" + " " * 10 + "new  \n", ("a1", None, "new"), id="nothing but padding"),
        pytest.param("a1    2.50new", "too_short", id="no line end, too short"),
        pytest.param(GOOD[:-1], ("a1", "2.50", "new"), id="no line end"),
        pytest.param("a1\0     2.50new  \n", "nul_byte", id="NUL"),
        pytest.param("\n", (), id="empty line"),
        pytest.param("   \t\n", (), id="blanks, fewer than a line has"),
        pytest.param(" " * 99 + "\n", (), id="blanks, more than a line has"),
        pytest.param('"a1"    2.50a,b""\n', ('"a1"', "2.50", 'a,b""'), id="quotes and delimiters are data"),
        pytest.param(
            "a\x01b\x02    2.50\x0b\x0c\u2028\x851\n", ("a\x01b\x02", "2.50", "\x0b\x0c\u2028\x851"), id="controls"
        ),
        pytest.param("\ufeffa1     2.50new  \n", "too_short", id="a mark is no character of the line"),
    ],
)
def test_what_a_line_is(content: str, expected: object, tmp_path: Path) -> None:
    """Its values without their padding, a blank record, or rejected with the reason."""
    tried()
    shop = read(tmp_path, content, fixed())
    assert shop.records() == {1: expected}
    if isinstance(expected, str):
        raw = shop.table("raw")[0]["_raw_line"]
        assert raw == content.rstrip("\n").removeprefix("\ufeff").replace("\0", "\u2400")
        assert shop.rejected() == {1: [f"_raw_line: {expected}"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "mixed"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "cp037", "utf-16-le"])
def test_line_ends_and_encodings(end: str, encoding: str, tmp_path: Path) -> None:
    """Records keep their numbers whatever their lines end with, and are cut by characters in any encoding."""
    tried()
    lines = ["é1      2.50new  ", "", "short", "b2    -00.50old  "]
    ends = ["\r\n", "\n", "\r", "\n"] if end == "mixed" else [end] * 4
    content = "".join(line + stop for line, stop in zip(lines, ends, strict=True)).encode(encoding)
    declared = encoding if encoding in ("cp1252", "cp037", "utf-16-le") else None
    shop = read(tmp_path, content, fixed(encoding=declared))
    assert shop.records() == {1: ("é1", "2.50", "new"), 2: (), 3: "too_short", 4: ("b2", "-00.50", "old")}
    assert shop.cleaned("id", "n") == [("é1", Decimal("2.50")), ("b2", Decimal("-0.50"))]


def test_what_stands_beside_the_columns_is_kept(tmp_path: Path) -> None:
    """Characters of no column are rescued, under their places; blanks are none."""
    shop = read(tmp_path, "a1  xy  2.50new  !\nb2      2.50new   \nc3  é   2.50     ?\n", fixed(record_width=18))
    found = [row["_rescued"] for row in shop.table("raw")]
    assert found == ['{"5-6":"xy","18":"!"}', None, '{"5-6":"é ","18":"?"}']


def test_trimmed_lines(tmp_path: Path) -> None:
    """Where lines may lack blanks at their end, what is missing is empty; a longer line still is none."""
    contract = fixed(trimmed_lines=True)
    shop = read(tmp_path, "a1      2.50\na2\n   x\na3      2.50newer \na4      2.50newer\n", contract)
    assert shop.records() == {
        1: ("a1", "2.50", None),
        2: ("a2", None, None),
        3: ("x", None, None),
        4: "too_long",
        5: ("a4", "2.50", "newer"),
    }


def test_padding_may_be_data(tmp_path: Path) -> None:
    """With `trim: false` a text keeps all blanks of its place; and the contract's change reads files again."""
    contract = fixed(*COLUMNS[:2], replace(COLUMNS[2], parsing=Parsing(trim=False)))
    shop = read(tmp_path, "a1      2.50 x   \nb2      2.50     \n", contract)
    assert shop.cleaned("note") == [" x   ", "     "]
    shop.feed = fixed()
    shop.load()
    assert shop.cleaned("note") == ["x", None]


HEADER = "Arti   Pricenote \n"
"""Each name in its column's place, one of them cut."""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("Arti  Price note \n" + GOOD, (1, 0, 0), id="names in their places, one cut"),
        pytest.param("ARTI   price NOTE\n" + GOOD, (1, 0, 0), id="in other letters"),
        pytest.param("Report\n\nArti   Pricenote\n" + GOOD, (1, 0, 0), id="below a title"),
        pytest.param(f"{HEADER}----  -----------\n" + GOOD, (1, 0, 0), id="underlined"),
        pytest.param(f"{HEADER}-     -     -    \n", (0, 1, 0), id="dashes that do not fill their places"),
        pytest.param(f"{HEADER}{GOOD}{HEADER}{GOOD}", (2, 1, 0), id="twice"),
        pytest.param(f"{HEADER}{GOOD}ARTI  Price  note\n{GOOD}", (2, 1, 0), id="again, in other letters"),
        pytest.param(HEADER, (0, 0, 0), id="alone"),
        pytest.param(GOOD, "no_header", id="none"),
        pytest.param("Arti  note  Price\n" + GOOD, "missing_column", id="in other places"),
        pytest.param("Arti        note \n" + GOOD, "missing_column", id="one is missing"),
        pytest.param("\n" * 100 + HEADER, "no_header", id="too far down"),
    ],
)
def test_header_lines(content: str, expected: object, tmp_path: Path) -> None:
    """A header is the line with each column's name in its place; without one the first record would be lost."""
    tried()
    shop = read(tmp_path, content, fixed(header_line=True))
    assert outcomes(shop) == {named(1): expected}


@pytest.mark.parametrize(
    ("encoding", "content", "expected"),
    [
        pytest.param(None, "äb     2.50€  \n", ("äb", "2.50", "€"), id="UTF-8"),
        pytest.param(None, "äb      2.50€    \n", "too_long", id="UTF-8, padded by characters"),
        pytest.param(None, "ab€   2.50new  \n", "torn_character", id="a character that begins in one column"),
        pytest.param(None, "a1     2.50new  \n", "too_short", id="too short"),
        pytest.param("cp932", "東京    2.50ﾆﾎﾝ  \n", ("東京", "2.50", "ﾆﾎﾝ"), id="full and half width"),
        pytest.param("cp932", "a東b    2.50日本 \n", ("a東b", "2.50", "日本"), id="Shift_JIS"),
        pytest.param("euc_jp", "東京    2.50ﾆﾎ \n", ("東京", "2.50", "ﾆﾎ"), id="half width letters of two bytes"),
        pytest.param("gb18030", "中国    2.50茅台 \n", ("中国", "2.50", "茅台"), id="GB 18030"),
        pytest.param("gb18030", "\U00020000    2.50new  \n", ("\U00020000", "2.50", "new"), id="four bytes"),
        pytest.param("cp1252", "äöü     2.50€    \n", ("äöü", "2.50", "€"), id="one byte"),
    ],
)
def test_counted_bytes(encoding: str | None, content: str, expected: object, tmp_path: Path) -> None:
    """Positions may count the bytes that the file has; a character in two columns is named."""
    tried()
    shop = read(tmp_path, content.encode(encoding or "utf-8"), fixed(encoding=encoding, count_bytes=True))
    assert shop.records() == {1: expected}
    if isinstance(expected, str):
        assert shop.table("raw")[0]["_raw_line"] == content.rstrip("\n")


def test_a_file_with_our_filler_is_refused(tmp_path: Path) -> None:
    """The character that stands for bytes is kept apart from data; where characters are counted it is data."""
    content = "a\ufdd0      2.50new  \n"
    assert read(tmp_path / "bytes", content, fixed(count_bytes=True)).quarantine()[named(1)]["rule"] == "unreadable"
    assert read(tmp_path / "characters", content, fixed()).cleaned("id") == ["a\ufdd0"]


def test_a_header_in_bytes(tmp_path: Path) -> None:
    """A name that has more bytes than its place is cut there, too."""
    columns = (
        column("id", "VARCHAR", Required(), source="商品番号", span=Span(1, 4)),
        column("n", "INTEGER", source="数量", span=Span(5, 5)),
    )
    content = "商品 数量\n東京   17\n".encode("cp932")
    shop = read(tmp_path, content, fixed(*columns, encoding="cp932", header_line=True, count_bytes=True))
    assert shop.cleaned("id", "n") == [("東京", 17)]


LETTERS = st.sampled_from(" ab1.-é日😀\u00a0ﾆ\x01\"',;|\t")
BYTES_OF = {None: "utf-8", "cp932": "cp932", "gb18030": "gb18030"}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Span], list[str]]:
    """Places of columns, and lines of different lengths."""
    spans, begin = [], 1
    for _ in range(draw(st.integers(1, 6))):
        begin += draw(st.integers(0, 3))
        spans.append(Span(begin, draw(st.integers(1, 9))))
        begin = spans[-1].end + 1
    length = begin - 1
    lines = draw(st.lists(st.text(LETTERS, min_size=length, max_size=length), min_size=1, max_size=8))
    return spans, lines


def texts_of(spans: Sequence[Span], **layout: object) -> Feed:
    """A contract of texts at these places."""
    columns = (column(f"c{place}", span=span, parsing=Parsing(trim=False)) for place, span in enumerate(spans))
    return fixed(*columns, **layout)  # type: ignore[arg-type]


@settings(max_examples=effort(15, 400), deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables())
def test_an_independent_reader_reads_the_same(
    table: tuple[list[Span], list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each value is what pandas cuts out of the same lines, in any order of columns."""
    spans, lines = table
    tried(len(lines))
    folder = tmp_path_factory.mktemp("fixed")
    shop = read(folder, "\n".join(lines) + "\n", texts_of(spans))
    # A delimiter that is nowhere keeps pandas from taking blanks for padding.
    expected = pd.read_fwf(
        shop.settings.archive("f") / shop.archive()[0],
        colspecs=[(span.position - 1, span.end) for span in spans],
        header=None,
        dtype=str,
        keep_default_na=False,
        delimiter="\x02",
        encoding="utf-8",
        skip_blank_lines=False,
    )
    rows = shop.rows(f"SELECT {names_of(spans)} FROM raw_f ORDER BY _row")
    found = [[value or "" for value in row.values()] for row in rows]
    assert found == expected.to_numpy().tolist()


def names_of(spans: Sequence[Span]) -> str:
    """The columns of a contract of texts."""
    return ", ".join(f"c{place}" for place in range(len(spans)))


@settings(max_examples=effort(15, 400), deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(), declared=st.sampled_from([None, "cp932", "gb18030"]))
def test_bytes_are_cut_as_bytes(
    table: tuple[list[Span], list[str]], declared: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each value is what a slice of the line's bytes decodes to; where one does not decode, the record is rejected."""
    spans, lines = table
    codec = BYTES_OF[declared]
    rows = [line.encode(codec, "ignore") for line in lines]
    tried(len(rows))
    contract = texts_of(spans, encoding=declared, count_bytes=True)
    shop = read(tmp_path_factory.mktemp("bytes"), b"\n".join(rows) + b"\n", contract)
    for number, row in enumerate(rows, start=1):
        assert shop.records()[number] == cut_bytes(row, spans, codec), (row, spans)


def cut_bytes(row: bytes, spans: Sequence[Span], codec: str) -> object:
    """What becomes of a line: its values, or why it has none."""
    width = spans[-1].end
    text = row.decode(codec)
    if not text.strip(" \t\u00a0"):
        return ()
    if len(row) != width:
        return "too_short" if len(row) < width else "too_long"
    begins, place = {0}, 0
    for letter in text:
        place += len(letter.encode(codec))
        begins.add(place)
    if any(edge not in begins for span in spans for edge in (span.position - 1, span.end)):
        return "torn_character"
    return tuple(row[span.position - 1 : span.end].decode(codec) for span in spans)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(fixed(record_width=18), id="recordWidth"),
        pytest.param(fixed(header_line=True), id="headerLine"),
        pytest.param(fixed(trimmed_lines=True), id="trimmedLines"),
        pytest.param(fixed(count_bytes=True), id="countBytes"),
        pytest.param(fixed(*COLUMNS[:2], replace(COLUMNS[2], span=Span(13, 4))), id="width"),
        pytest.param(fixed(*COLUMNS[:2], replace(COLUMNS[2], parsing=Parsing(trim=False))), id="trim"),
    ],
)
def test_another_layout_is_another_contract(changed: Feed) -> None:
    """What decides how lines are cut decides rows, so batches are validated again when it changes."""
    assert version_of(changed, options()) != version_of(fixed(), options())


def test_a_new_layout_reads_the_archive_again(tmp_path: Path) -> None:
    """The tables are those of the new contract, from the archived files."""
    shop = read(tmp_path, GOOD, fixed())
    shop.feed = fixed(COLUMNS[0], COLUMNS[1], replace(COLUMNS[2], span=Span(13, 2)), record_width=17)
    shop.load()
    assert shop.cleaned("id", "n", "note") == [("a1", Decimal("2.50"), "ne")]


def test_rejects_are_repaired_as_csv(tmp_path: Path) -> None:
    """A repair file of fixed width rejects is the same CSV as of any feed."""
    shop = Shop(tmp_path, fixed())
    shop.deliver(named(1), GOOD + "a2        x12345\na3      x.yznew  \n")
    shop.load()
    rejects = {row["_row"]: row["_reject_id"] for row in shop.table("rejected")}
    content = "Article,Price,note,_reject_id\n" + "".join(f"r{row},1.5,n,{key}\n" for row, key in rejects.items())
    shop.deliver(f"{named(1)[2:-4]}.repair.csv", content)
    shop.load()
    assert sorted(shop.cleaned("id", "n")) == [
        ("a1", Decimal("2.50")),
        ("r2", Decimal("1.50")),
        ("r3", Decimal("1.50")),
    ]

"""Delimited files whose records shift, whose header is damaged or oddly written, or that are put together."""

import json
import time
from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Required, SourceFormat
from orchestration_project.formats import header as header_module
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, read
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.hostile import outcomes

pytestmark = pytest.mark.promise("input")

TEXT = feed(column("sku", "VARCHAR", Required()), column("title"), column("shade"), column("remark"))
"""A contract of text alone: no type tells that a value stands in the wrong column."""
HEADER = "sku,title,shade,remark\n"
GOOD = "g,pot,blue,r\n"
POT = ("g", "pot", "blue", "r")

Told = dict[int, tuple[str | None, ...] | str]


def told(folder: Path, content: str | bytes) -> Told:
    """What a load makes of each record of a file."""
    tried()
    return read(folder, content, TEXT).records()


@pytest.mark.found("A record with an empty field too many at its end was loaded with its values shifted.")
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(GOOD + "s,,pot,blue,\n", {1: POT, 2: "too_many_columns"}, id="after a good one"),
        pytest.param("s,,pot,blue,\n" + GOOD, {1: "too_many_columns", 2: POT}, id="before a good one"),
        pytest.param(GOOD + "s,,pot,blue,", {1: POT, 2: "too_many_columns"}, id="at the end of the file"),
        pytest.param(GOOD + 's,,pot,blue,""\n', {1: POT, 2: "too_many_columns"}, id="quoted nothing"),
        pytest.param(GOOD + "s,,pot,,\n", {1: POT, 2: "too_many_columns"}, id="the last column empty, too"),
        pytest.param(GOOD + 's,,"a,b",blue,,,\n', {1: POT, 2: "too_many_columns"}, id="several"),
        pytest.param(GOOD + 's,"a,b",blue,\n', {1: POT, 2: ("s", "a,b", "blue", None)}, id="a delimiter in quotes"),
        pytest.param(GOOD + ",,,,,\n", {1: POT, 2: ()}, id="nothing but empty fields"),
        pytest.param("g,pot,blue,r,\nh,,,,\n", {1: POT, 2: ("h", None, None, None)}, id="one in every record"),
        pytest.param("g,pot,blue,r,\ns,,pot,blue,,\n", {1: POT, 2: "too_many_columns"}, id="one more than in all"),
        pytest.param("g,pot,blue,r,,\nTotal 1\n", {1: POT, 2: "too_few_columns"}, id="in every one but the footer"),
        pytest.param(
            'g,pot,blue,r,\n"x"y,1,2,3\ns,,pot,blue,,\n',
            {1: POT, 2: "bad_quoting", 3: "too_many_columns"},
            id="one more than in all, beside a broken quote",
        ),
    ],
)
def test_a_shifted_record_is_rejected(content: str, expected: Told, end: str, tmp_path: Path) -> None:
    """Empty fields beyond the header's count for nothing only where all records that fit it have them."""
    assert told(tmp_path, (HEADER + content).replace("\n", end)) == expected


@pytest.mark.found(
    "A record with an empty field too many was found or not, depending on where it stood in a large file."
)
def test_a_shifted_record_is_found_anywhere_in_a_large_file(tmp_path: Path) -> None:
    """Records around the ends of the scanner's blocks are looked at like all others."""
    record = 'k{:07},"a, b",blue,\n'
    lines = [record.format(number) for number in range(600_000)]
    shifted = {1, 222_222, 599_999}
    for number in shifted:
        lines[number] = lines[number].replace("blue", ",blue")
    shop = read(tmp_path, HEADER + "".join(lines), TEXT)
    tried(len(lines))
    assert shop.rejected() == {number + 1: ["_raw_line: too_many_columns"] for number in shifted}
    assert shop.ledger("records", "cleaned", "rejected") == [(600_000, 599_997, 3)]


@pytest.mark.found("A quote inside of an unquoted field hid that a delimiter was data: the rest of the record shifted.")
@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param('s,pot"tall, red",x', "bad_quoting", id="over a delimiter"),
        pytest.param('s,pot,"tall" red,x', "bad_quoting", id="text behind a quoted field"),
        pytest.param('s,12" pan,red,x', "bad_quoting", id="an inch mark"),
        pytest.param('s, "pot", red,x', "bad_quoting", id="a blank before a quoted field"),
        pytest.param('s,"pot" ,red,x', "bad_quoting", id="a blank behind a quoted field"),
        pytest.param('s,a "fine" pot,red,x', ("s", 'a "fine" pot', "red", "x"), id="a pair within a field"),
        pytest.param('s, "a, b",red', "bad_quoting", id="a blank before a quoted field with a delimiter"),
    ],
)
def test_a_quote_within_a_field(record: str, expected: object, tmp_path: Path) -> None:
    """Quotes are around a field, or in pairs within it; any others might have been meant to hold a delimiter."""
    assert told(tmp_path, f"{HEADER}{GOOD}{record}\n{GOOD}") == {1: POT, 2: expected, 3: POT}


def refused(folder: Path, content: str | bytes, source: SourceFormat | None = None) -> tuple[str, int | None, str]:
    """Rule, line and message of a refused file, beside which a good one has loaded."""
    shop = Shop(folder, feed(*TEXT.columns, source=source))
    shop.deliver(named(1, "bad"), content)
    shop.deliver(named(2, "good"), (HEADER + GOOD).encode())
    shop.load()
    tried()
    assert outcomes(shop)[named(2, "good")] == (1, 0, 0)
    note = shop.quarantine()[named(1, "bad")]
    return note["rule"], note["line"], note["reason"]


@pytest.mark.found(
    "A header with a broken quote lost a column, whose values were loaded under the name of another one."
)
@pytest.mark.parametrize(
    "header",
    [
        pytest.param('sku,"title,"shade",remark', id="a quote that is closed too late"),
        pytest.param('sku,title",shade,remark', id="a quote in a bare name"),
        pytest.param('sku,title,shade,"remark', id="a quote that is never closed"),
        pytest.param('sku,"title" (de),shade,remark', id="text behind a quoted name"),
    ],
)
def test_a_header_with_broken_quotes_refuses_the_file(header: str, tmp_path: Path) -> None:
    """Where the names of a header begin and end has to be sure."""
    rule, line, reason = refused(tmp_path, f"Report\n{header}\n{GOOD}")
    assert (rule, line) == ("bad_quoting", 2)
    assert "header in line 2" in reason


@pytest.mark.found("A NUL byte in a name of the header stopped the whole load.")
@pytest.mark.parametrize(
    "header", ["sku,ti\0tle,shade,remark", "sku,title,shade,remark,x\0", "sku\0,title,shade,remark"]
)
def test_a_header_with_a_nul_byte_refuses_the_file(header: str, tmp_path: Path) -> None:
    """It costs its own file, also where the column is none of the contract's."""
    rule, line, _ = refused(tmp_path, f"{header}\n{GOOD}")
    assert (rule, line) == ("nul_byte", 1)


@pytest.mark.found("A header of 100,000 columns took minutes and gigabytes.")
def test_a_header_with_too_many_columns_refuses_the_file(tmp_path: Path) -> None:
    """As many as are allowed load; one more costs its own file, in no time."""
    wide = ",".join(f"x{number}" for number in range(header_module.MAX_COLUMNS - 4))
    began = time.monotonic()
    rule, line, reason = refused(tmp_path / "a", f"sku,title,shade,remark,{wide},y\n")
    assert (rule, line) == ("unreadable", 1)
    assert f"{header_module.MAX_COLUMNS:,}" in reason
    assert refused(tmp_path / "b", f"sku,title,shade,remark,{',' * 100_000}\n")[0] == "unreadable"
    assert refused(tmp_path / "c", f"sku,title,shade,remark,{'y' * header_module.HEAD_BYTES}\n")[0] == "unreadable"
    assert time.monotonic() - began < 60
    assert outcomes(read(tmp_path / "d", f"sku,title,shade,remark,{wide}\n", TEXT)) == {named(1): (0, 0, 0)}


NAMED = feed(column("sku", "VARCHAR", Required()), column("size", source="Größe"), column("unit", source="unit price"))


@pytest.mark.found("Names that look like the contract's were not recognised, for a blank or a letter in another form.")
@pytest.mark.parametrize(
    "header",
    [
        pytest.param('sku, "Größe", "unit price"', id="padding before quotes"),
        pytest.param('"sku" ,"Größe"\t, "unit price" ', id="padding on both sides of quotes"),
        pytest.param("sku,Gro\u0308ße,unit price", id="accents apart"),
        pytest.param("\u00a0sku,Größe\u00a0,unit\u00a0price", id="no-break spaces"),
        pytest.param("\u200bsku,Grö\u200bße,unit price\u2060", id="characters without a width"),
        pytest.param("sku,GRÖSSE,Unit\u2009Price", id="capitals, a thin space"),
        pytest.param('\ufeff\ufeff"sku",Größe,unit price', id="byte order marks before quotes"),
    ],
)
def test_a_header_is_recognised_as_it_is_seen(header: str, tmp_path: Path) -> None:
    """Names are compared without what is not seen."""
    assert read(tmp_path, f"{header}\n7,42,1\n", NAMED).records() == {1: ("7", "42", "1")}


@pytest.mark.found("A name that stands twice in a header was not noticed, when one of them had its accents apart.")
def test_a_column_twice_in_two_forms(tmp_path: Path) -> None:
    """Two names that are the same when seen are one column twice."""
    shop = read(tmp_path, "sku,Größe,Gro\u0308ße\n7,1,2\n", NAMED)
    assert shop.quarantine()[named(1)]["rule"] == "ambiguous_column"


@pytest.mark.found("Files put together with their byte order marks: each header but the first was a record of data.")
@pytest.mark.parametrize("name", ["sku", '"sku"', "SKU ", "\ufeffsku"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_files_put_together_with_their_marks(name: str, codec: str, tmp_path: Path) -> None:
    """The header of each of them is known as such, and no record is lost or refused for it."""
    text = f"\ufeff{HEADER}{GOOD}\ufeff{HEADER.replace('sku', name)}{GOOD}"
    content = text.encode() if codec == "utf-8" else text.encode("utf-16-le")
    assert told(tmp_path, content) == {1: POT, 2: "repeated_header", 3: POT}


@pytest.mark.found(
    "Files of dates and numbers put together with their byte order marks were refused: `several_tables`."
)
def test_typed_files_put_together_with_their_marks(tmp_path: Path) -> None:
    """A header within a file is no other table for the mark in front of it."""
    shop = read(tmp_path, "\ufeffid,n\na,1\n\ufeffid,n\nb,2\n")
    assert shop.rejected() == {2: ["_raw_line: repeated_header"]}
    assert shop.cleaned("id", "n") == [("a", 1), ("b", 2)]


@pytest.mark.found("A header that stood again with quotes in its first name, behind a mark, refused its file.")
@pytest.mark.parametrize(
    "again", ['say "hi",n', '"say ""hi""",n', "SAY 'hi',n"], ids=["bare", "in quotes", "in other quotes"]
)
def test_a_name_with_quotes_behind_a_mark(again: str, tmp_path: Path) -> None:
    """Behind a mark, quotes are no difference: where a quoted name begins can't be told there."""
    shop = read(
        tmp_path,
        f'"say ""hi""",n\na,1\n\ufeff{again}\nb,2\n',
        feed(column("id", source='say "hi"'), column("n", "INTEGER")),
    )
    assert shop.rejected() == {2: ["_raw_line: repeated_header"]}
    assert shop.cleaned("id", "n") == [("a", 1), ("b", 2)]


SIZES = feed(column("size", source="Größe"), column("price", "INTEGER", source="unit price"))


@pytest.mark.found("A header that stood again in another spelling of its names refused its file: `several_tables`.")
@pytest.mark.parametrize(
    "again",
    [
        pytest.param("Gro\u0308ße,unit price", id="accents apart"),
        pytest.param("Grö\u200bße,unit\u00a0price", id="not seen"),
        pytest.param("GRÖSSE,Unit Price", id="capitals"),
        pytest.param("\ufeffGro\u0308ße,unit\u2009price", id="behind a mark"),
    ],
)
def test_a_header_again_in_another_spelling(again: str, tmp_path: Path) -> None:
    """Names are the same in the header and below it, whichever of the spellings comes first."""
    for folder, first, second in (("a", "Größe,unit price", again), ("b", again, "Größe,unit price")):
        shop = read(tmp_path / folder, f"{first}\nXL,1\n{second}\nÉté,2\n", SIZES)
        assert shop.rejected() == {2: ["_raw_line: repeated_header"]}


@pytest.mark.found("The header of another table went unnoticed where its names have an ß, or accents apart.")
@pytest.mark.parametrize("name", ["Größe", "GRÖSSE", "Gro\u0308ße", "grö\u200bße\u00a0"])
def test_another_table_in_another_spelling(name: str, tmp_path: Path) -> None:
    """The names of a second header count in every spelling that the first may have."""
    shop = read(tmp_path, f"Größe,unit price\nXL,1\nunit price,{name}\n1,XL\n", SIZES)
    assert shop.quarantine()[named(1)]["rule"] == "several_tables"


def test_names_of_any_text_are_rescued(tmp_path: Path) -> None:
    """A name that the contract does not know is kept as it is, whatever characters it has."""
    names = ["a'b", "x\\", "$1", "{y}", "🛒", "é;--", "\x01", "%s", "'"]
    header = ",".join(["sku,title,shade,remark", *names])
    shop = read(tmp_path, f"{header}\n{GOOD.strip()},{','.join(map(str, range(len(names))))}\n", TEXT)
    (row,) = shop.table("cleaned")
    assert json.loads(row["_rescued"]) == {name: str(number) for number, name in enumerate(names)}

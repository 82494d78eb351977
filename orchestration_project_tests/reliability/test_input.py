"""Files as they should not be, each beside good ones: what is cleaned, rejected, blank and refused is told exactly."""

import codecs
import gzip
import io
import zipfile
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import zstandard

from orchestration_project.contracts.feed import Feed, FileFormat, SourceFormat
from orchestration_project.settings import Settings
from orchestration_project_tests.ingest.shop import Shop, feed, named
from orchestration_project_tests.reliability.hostile import FileOutcome, loaded_beside, neighbour_of, outcomes

pytestmark = pytest.mark.promise("input")

CSV, JSON = feed(), feed(source=SourceFormat(FileFormat.JSON))
INSIDE = feed(source=SourceFormat(FileFormat.JSON, records_path=("d", "r")))
TEXT = "id,n\nä,1\nb,2\n"
LINES = b"id,n\na,1\nb,2\n"
ZSTD = zstandard.ZstdCompressor()


@cache
def in_encoding(encoding: str) -> Feed:
    return feed(source=SourceFormat(encoding=encoding))


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("s.csv"), content)
    return stream.getvalue()


CASES = [
    pytest.param(CSV, codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), (2, 0, 0), id="UTF-16 LE"),
    pytest.param(CSV, codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), (2, 0, 0), id="UTF-16 BE"),
    pytest.param(CSV, TEXT.encode("utf-16-le"), "undecodable", id="UTF-16 without a mark"),
    pytest.param(CSV, LINES.decode().encode("utf-16-be"), "no_header", id="UTF-16 of ASCII without a mark"),
    pytest.param(CSV, codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")[:-1], "undecodable", id="half a character"),
    pytest.param(CSV, codecs.BOM_UTF8 * 2 + TEXT.encode(), (2, 0, 0), id="two byte order marks"),
    pytest.param(CSV, TEXT.encode() + codecs.BOM_UTF8 + b"c,3\n", (3, 0, 0), id="a mark in the middle is data"),
    pytest.param(CSV, TEXT.encode("latin-1"), "undecodable", id="Latin-1, undeclared"),
    pytest.param(in_encoding("iso8859-1"), TEXT.encode("latin-1"), (2, 0, 0), id="Latin-1, declared"),
    pytest.param(in_encoding("cp1252"), "id,n\n€,1\n".encode("cp1252"), (1, 0, 0), id="cp1252, declared"),
    pytest.param(in_encoding("cp1252"), b"id,n\n\x81,1\n", "undecodable", id="not in cp1252"),
    pytest.param(in_encoding("utf-16"), LINES, "undecodable", id="UTF-8 although UTF-16 is declared"),
    pytest.param(CSV, b"id,n\n\xed\xa0\x80,1\n", "undecodable", id="surrogate"),
    pytest.param(CSV, b"id,n\n\xc0\x80,1\n", "undecodable", id="overlong NUL"),
    pytest.param(CSV, b"\0" * 1000, "no_header", id="nothing but NUL bytes"),
    pytest.param(CSV, b"id,n\na,1\n" + b"\0" * 1000, (1, 1, 0), id="NUL bytes at the end, as after a crash"),
    pytest.param(CSV, b"id,n\n\0,1\na,\0\nb,2\n", (1, 2, 0), id="NUL bytes as fields"),
    pytest.param(CSV, b"id,n\ra,1\r\rb,2\r", (2, 0, 1), id="CR only"),
    pytest.param(CSV, b"id,n\r\r\na,1\r\r\nb,2\r\r\n", (2, 0, 3), id="CR CR LF"),
    pytest.param(CSV, b"id,n\n\ra,1\n\rb,2\n\r", (2, 0, 3), id="LF CR"),
    pytest.param(CSV, b"id,n\r\na,1\nb,2\rc,3", (3, 0, 0), id="every line end, and none at the end"),
    pytest.param(CSV, b"id,n\na,1\n\x1a", (1, 1, 0), id="end-of-file character of DOS"),
    pytest.param(CSV, b'id,n\n"a""b",1\n"""",2\n"""c""",3\n', (3, 0, 0), id="quotes in quotes"),
    pytest.param(CSV, b'id,n\n"a,b;c\td|e",1\n', (1, 0, 0), id="every delimiter in quotes"),
    pytest.param(CSV, b'id,n\n"a\n\r\n\rb",1\n', (1, 0, 0), id="every line end in quotes"),
    pytest.param(CSV, b'id,n\n"a,1\nb,2\nc,3\n', (2, 1, 0), id="unclosed quote"),
    pytest.param(CSV, b'id,n\na,"1\nb,2\nc,"3"\n', (2, 1, 0), id="unclosed quote that a later one closes"),
    pytest.param(CSV, b'id,n\na\\",1\n"b\\"",2\n"c",3\n', (1, 2, 0), id="backslash before quotes"),
    pytest.param(CSV, b"id,n\na\na,1,2,3\nb,2\n", (1, 2, 0), id="ragged, short and long"),
    pytest.param(CSV, b"id,n\na,1,\nb,2,\n", (2, 0, 0), id="delimiter at the end of every line but the header"),
    pytest.param(CSV, b"id,n\r\na,1,,\nb,2,\n", (1, 1, 0), id="empty fields too many, mixed line ends"),
    pytest.param(CSV, b"id,n\na,1,,x\nb,2,\n", (1, 1, 0), id="a field after empty ones"),
    pytest.param(CSV, b"id,n,\na,1,\nb,2,\n", (2, 0, 0), id="delimiter at the end of every line"),
    pytest.param(CSV, b"id,n,x,x\na,1,2,3\n", (1, 0, 0), id="unknown name twice"),
    pytest.param(CSV, b"id,n,n\na,1,2\n", "ambiguous_column", id="known name twice"),
    pytest.param(CSV, b"id,n,ID \na,1,2\n", "ambiguous_column", id="known name twice, in another spelling"),
    pytest.param(CSV, b"id,n\n", (0, 0, 0), id="header only"),
    pytest.param(CSV, b"", "empty_file", id="empty"),
    pytest.param(CSV, b" ", "no_header", id="a blank"),
    pytest.param(CSV, b"\n" * 1000, "no_header", id="nothing but line ends"),
    pytest.param(CSV, b"Report\n" * 99 + LINES, (2, 0, 0), id="long preamble"),
    pytest.param(CSV, b"Report\n" * 100 + LINES, "no_header", id="preamble that is too long"),
    pytest.param(CSV, b'"Sales, of\nthe day"\n' + LINES, (2, 0, 0), id="preamble with a line end in quotes"),
    pytest.param(CSV, b"id;n\na;1\nTotal;;;123\n", (1, 1, 0), id="footer with more fields"),
    pytest.param(CSV, b"id,n\na,1\n,1\n", (1, 1, 0), id="total line without a key"),
    pytest.param(CSV, LINES + b"\n2 rows selected.\n", (2, 1, 1), id="footer of a database client"),
    pytest.param(CSV, b"id,n\na,1\nid,n\nb,2\n", (2, 1, 0), id="header again"),
    pytest.param(CSV, b"id,n\na,1\n\nid,store\nb,2\n", "several_tables", id="another table of the same width"),
    pytest.param(CSV, b"id,n\na,1\nn,id\n2,b\n", "several_tables", id="columns that change places"),
    pytest.param(CSV, b"id,n\na,1\n\nday,id,store\nx,b,2\n", (1, 2, 1), id="another table of another width"),
    pytest.param(CSV, b"id\tn\na\t1\n", (1, 0, 0), id="tabs"),
    pytest.param(CSV, b"id:n\na:1\n", "no_header", id="a delimiter that is not known"),
    pytest.param(CSV, b'"id,n"\n"a,1"\n', "no_header", id="every line quoted as a whole"),
    pytest.param(CSV, b"id n\na 1\n", "no_header", id="columns by blanks"),
    pytest.param(CSV, gzip.compress(LINES), (2, 0, 0), id="gzip that is called .csv"),
    pytest.param(CSV, gzip.compress(gzip.compress(LINES)), "unsupported_format", id="gzip in gzip"),
    pytest.param(CSV, gzip.compress(LINES)[:-9], "unreadable", id="gzip cut off"),
    pytest.param(CSV, gzip.compress(LINES) + b"junk", "unreadable", id="gzip with something after its end"),
    pytest.param(CSV, gzip.compress(LINES) + b"\0" * 512, (2, 0, 0), id="gzip padded with NUL bytes"),
    pytest.param(CSV, ZSTD.compress(LINES * 99)[:-3], "unreadable", id="zstd cut off"),
    pytest.param(CSV, ZSTD.compress(LINES) + b"junk", "unreadable", id="zstd with something after its end"),
    pytest.param(CSV, ZSTD.compress(b""), "empty_file", id="zstd of nothing"),
    pytest.param(CSV, gzip.compress(zipped(LINES)), "unsupported_format", id="zip in gzip"),
    pytest.param(CSV, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "unsupported_format", id="PDF"),
    pytest.param(CSV, b"<html><body>id,n</body></html>\n", "unsupported_format", id="HTML of a failed download"),
    pytest.param(CSV, b'{"id":"a","n":1}\n', "no_header", id="JSON that is called .csv"),
    pytest.param(CSV, b"sep=;\nid;n\na;1\n", (1, 0, 0), id="separator line of a spreadsheet"),
    pytest.param(CSV, ("id,n\n" + "a," + "9" * 400 + "\n").encode(), (0, 1, 0), id="a number of 400 digits"),
    pytest.param(CSV, ("id,n," + ",".join(f"c{i}" for i in range(500)) + "\n").encode(), (0, 0, 0), id="wide"),
    pytest.param(JSON, LINES, (0, 3, 0), id="CSV that is called .json"),
    pytest.param(JSON, b'{\n"id":"a",\n"n":1\n}\n', (0, 4, 0), id="an object over many lines"),
    pytest.param(JSON, b'{"id":"a","n":1}{"id":"b","n":2}\n', (0, 1, 0), id="two objects in a line"),
    pytest.param(JSON, b'{"data":[{"id":"a","n":1}]}\n', "missing_column", id="records inside of an object"),
    pytest.param(JSON, b'[[{"id":"a","n":1}]]', (0, 1, 0), id="array in an array"),
    pytest.param(JSON, b'[{"id":"a","n":1},\n]', (1, 0, 1), id="comma before the end of an array"),
    pytest.param(JSON, b'[{"id":"a","n":1}', "unreadable", id="array without an end"),
    pytest.param(JSON, b'[{"id":"a","n":1}}', "unreadable", id="array that ends as an object"),
    pytest.param(JSON, b'[{"id":"a","n":1}]\n[{"id":"b","n":2}]\n', "unreadable", id="two arrays"),
    pytest.param(JSON, b'[{"id":"a,]}[{\\"","n":1}]', (1, 0, 0), id="brackets and quotes in a string"),
    pytest.param(JSON, b'[{"id":"a\nb","n":1},{"id":"c","n":3}]', (1, 1, 0), id="line end in a string of an array"),
    pytest.param(JSON, b'{"id":"a","n":1,"id":"b"}\n{"id":"c","n":3}\n', (1, 1, 0), id="key twice"),
    pytest.param(JSON, b'{"id":"a","n":1,"ID":"b"}\n{"id":"c","n":3}\n', (1, 1, 0), id="key in two spellings"),
    pytest.param(JSON, b'{"id":"a","n":1,"x":1,"x":2}\n', (0, 1, 0), id="unknown key twice"),
    pytest.param(JSON, b'{"id":"a\\u0000","n":1}\n{"id":"\\ud800","n":1}\n', (0, 2, 0), id="escapes of no character"),
    pytest.param(JSON, b'{"id":' + b"[" * 5000 + b"]" * 5000 + b',"n":1}\n', (1, 0, 0), id="deep nesting"),
    pytest.param(JSON, b"[" * 100_000, "unreadable", id="nothing but brackets"),
    pytest.param(JSON, b"", "empty_file", id="empty JSON"),
    pytest.param(JSON, b"null\n", (0, 1, 0), id="null"),
    pytest.param(INSIDE, b'{"d":{"r":[{"id":"a","n":1}]}}{"d":{"r":[2]}}\n', (1, 1, 0), id="two documents"),
    pytest.param(INSIDE, b'{"d":{"r":[{"id":"a","n":1},]}}\n', (1, 0, 1), id="comma at the end of a document's array"),
    pytest.param(INSIDE, b'{"d":{"r":[ ]},"r":[{"id":"z"}]}\n', (0, 0, 0), id="document without records"),
    pytest.param(INSIDE, b'{"d":{"r":[{"id":"a","n":1}]}', "unreadable", id="document without an end"),
    pytest.param(INSIDE, b'{"d":{"r":[{"id":"a","n":1}]}},', "unreadable", id="comma between documents"),
    pytest.param(INSIDE, b'{"t":"5"","d":{"r":[{"id":"a","n":1}]}}\n', "unreadable", id="quote beside the records"),
    pytest.param(INSIDE, b'{"t":{"x":"5" y"},"d":{"r":[{"id":"a"}]}}\n', "unreadable", id="quote in what is beside"),
    pytest.param(INSIDE, b'{"d":{"r":null}}\n', "missing_records", id="null for the records"),
    pytest.param(INSIDE, b'{"d":{"r":[{"id":"a","n":1}]}}\n{"d":{}}\n', "missing_records", id="a page without them"),
    pytest.param(INSIDE, b'{"d":{"r":[],"r":[{"id":"a"}]}}\n', "missing_records", id="records twice"),
    pytest.param(INSIDE, b'[{"id":"a","n":1}]\n', "missing_records", id="an array in their place"),
    pytest.param(INSIDE, b"\n \n", "unreadable", id="no document"),
]
NAMES = {str(case.id): named(1, f"case{number}") for number, case in enumerate(CASES)}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FileOutcome]:
    """What became of each file; the cases of a contract are loaded at once."""
    contents: dict[Feed, dict[str, bytes]] = defaultdict(dict)
    for case in CASES:
        contract, content, _ = case.values
        assert isinstance(contract, Feed)
        assert isinstance(content, bytes)
        contents[contract][NAMES[str(case.id)]] = content
    found: dict[str, FileOutcome] = {}
    for contract, files in contents.items():
        found |= outcomes(loaded_beside(tmp_path_factory.mktemp("shop"), contract, files, neighbour_of(contract)))
    return found


FOUND = {
    "another table of the same width": "What stood below another header was loaded as data of the first table.",
    "UTF-8 although UTF-16 is declared": "A file without a byte order mark stopped the load where UTF-16 is declared.",
    "empty fields too many, mixed line ends": "Empty fields too many were rejected or not, depending on line ends.",
}


@pytest.mark.parametrize(
    ("contract", "content", "expected"),
    [
        pytest.param(*case.values, id=case.id, marks=[pytest.mark.found(FOUND[case.id])] if case.id in FOUND else [])
        for case in CASES
    ],
)
def test_a_malformed_file_is_told_exactly(
    contract: Feed, content: bytes, expected: FileOutcome, told: dict[str, FileOutcome], request: pytest.FixtureRequest
) -> None:
    """Each malformed file loads or is refused as if it were alone, whatever lies beside it; a good one always loads."""
    assert told[NAMES[request.node.callspec.id]] == expected


@pytest.mark.found("Files that all had blank or broken records, many in one load, failed whenever they were loaded.")
def test_many_records_beside_gaps(tmp_path: Path) -> None:
    """However many records come in files that all have blank ones, each of them is read."""

    class Parallel(Shop):
        """DuckDB lost rows only when it had threads to spare."""

        @property
        def settings(self) -> Settings:
            return replace(super().settings, threads=2)

    shop, records = Parallel(tmp_path), 400_000
    shop.deliver(named(1), "id,n\n\n" + "".join(f"k{number},1\n" for number in range(records)))
    shop.load()
    assert shop.ledger("records", "blank_records", "cleaned") == [(records + 1, 1, records)]

"""Files by their bytes: other formats than those that are read, compressed ones, and damaged or unknown encodings."""

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.settings import Settings
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, read
from orchestration_project_tests.inspection.drafting.samples import drafted
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.hostile import outcomes

pytestmark = pytest.mark.promise("input")

LINES = b"id,n\na,1\nb,2\n"


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as written:
        for name in names:
            written.writestr(name, LINES)
    return stream.getvalue()


FOREIGN = {
    "xlsx": (archive("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"), "a spreadsheet (xlsx"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504, "OLE2"),
    "PDF": (b"%PDF-1.4\n1 0 obj\n", "a PDF"),
    "HTML": (b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html><head>", "HTML"),
    "HTML of a spreadsheet": (b'<?xml version="1.0"?>\n<HTML xmlns:x="y">\n<table><tr><td>id', "HTML"),
    "gzip in gzip": (gzip.compress(gzip.compress(LINES)), "compressed twice"),
    "zstd in gzip": (gzip.compress(zstandard.compress(LINES)), "compressed twice"),
    "bzip2 in xz": (lzma.compress(bz2.compress(LINES)), "compressed twice"),
    "xz in bzip2": (bz2.compress(lzma.compress(LINES)), "compressed twice"),
    "xlsx in gzip": (gzip.compress(archive("[Content_Types].xml", "xl/a.xml")), "a spreadsheet (xlsx"),
}


@pytest.mark.found("A spreadsheet, an archive, a PDF or a page of HTML was told to declare its encoding.")
@pytest.mark.parametrize("form", [FileFormat.CSV, FileFormat.JSON, FileFormat.PARQUET])
def test_other_formats_are_named(form: FileFormat, tmp_path: Path) -> None:
    """Each is refused under its own name, with what to do; whatever the contract's format and encoding are."""
    shop = Shop(tmp_path, feed(source=SourceFormat(form, encoding=None if form is FileFormat.PARQUET else "cp1252")))
    for number, (content, _) in enumerate(FOREIGN.values()):
        shop.deliver(named(1, f"f{number}"), content)
    shop.load()
    notes = shop.quarantine()
    for number, (name, (_, words)) in enumerate(FOREIGN.items()):
        tried()
        note = notes[named(1, f"f{number}")]
        assert (name, note["rule"]) == (name, "unsupported_format")
        assert words in note["reason"]
        assert "encoding" not in note["reason"]


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress], ids=["bzip2", "xz"])
def test_bzip2_and_xz(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """They are read under any name and in many parts; damaged, cut off, empty or inflating ones are refused."""
    whole = compress(LINES)
    contents = {
        "good": whole,
        "parts": whole + compress(b"c,3\n"),
        "damaged": whole[:-10] + b"\0\0" + whole[-8:],
        "cut": compress(LINES * 5000)[:-30],
        "rest": whole + b"rest",
        "empty": compress(b""),
        "bomb": compress(LINES + b"\n" * 10_000_000),
    }
    shop = Limited(tmp_path, feed())
    for name, content in contents.items():
        shop.deliver(named(1, name), content)
    shop.load()
    found = {name: note["rule"] for name, note in shop.quarantine().items()}
    assert found == {
        named(1, "damaged"): "unreadable",
        named(1, "cut"): "unreadable",
        named(1, "rest"): "unreadable",
        named(1, "empty"): "empty_file",
        named(1, "bomb"): "too_large",
    }
    assert shop.records(named(1, "parts")).keys() - shop.records(named(1, "good")).keys() == {3}
    tried()


class Limited(Shop):
    """A shop in which files may have a megabyte."""

    @property
    def settings(self) -> Settings:
        """The shop's settings with a low limit."""
        return replace(super().settings, max_file_bytes=1_000_000)


def test_xz_that_wants_too_much_memory(tmp_path: Path) -> None:
    """A file may ask for a gigabyte to be unpacked, and is refused; NULs behind a part are no fault."""
    greedy = bytearray(lzma.compress(LINES))
    end = 12 + 4 * greedy[12]
    # The size of the dictionary, as a power of two, and the checksum of the header that it stands in.
    greedy[16] = 36
    greedy[end : end + 4] = struct.pack("<I", zlib.crc32(greedy[12:end]))
    shop = Shop(tmp_path, feed())
    shop.deliver(named(1), bytes(greedy))
    shop.deliver(named(2), lzma.compress(LINES) + b"\0" * 8)
    shop.load()
    assert "emory" in shop.quarantine()[named(1)]["reason"]
    assert shop.records(named(2)).keys() == {1, 2}


def skippable(content: bytes, kind: int = 0) -> bytes:
    """A zstd frame without content of its own."""
    return struct.pack("<II", 0x184D2A50 + kind, len(content)) + content


@pytest.mark.found("Files as pzstd writes them, with skippable frames in front, were refused.")
def test_zstd_with_skippable_frames(tmp_path: Path) -> None:
    """Frames without content may stand anywhere."""
    first, second = zstandard.compress(LINES), zstandard.compress(b"c,3\n")
    size = struct.pack("<I", len(first))
    contents = {
        named(1): skippable(size) + first + skippable(size) + second,
        named(2): first + skippable(b"x" * 9999, 15) + second + skippable(b""),
        named(3): skippable(b"nothing else"),
        named(4): skippable(size) + first[:-3],
    }
    shop = Shop(tmp_path)
    for name, content in contents.items():
        shop.deliver(name, content)
        tried()
    shop.load()
    assert outcomes(shop) == {
        named(1): (3, 0, 0),
        named(2): (3, 0, 0),
        named(3): "empty_file",
        named(4): "unreadable",
    }


@pytest.mark.found("One wrong byte in a UTF-8 file made every letter beyond ASCII wrong, where cp1252 was declared.")
@pytest.mark.parametrize("encoding", ["cp1252", "iso8859-1", "mac_roman", "cp850"])
@pytest.mark.parametrize(
    ("lines", "line"),
    [
        pytest.param([b"id,n", "Köln,1".encode(), b"Z\xfcrich,2"], 3, id="one right, one wrong"),
        pytest.param([b"id,n", *["Ärger,1".encode()] * 500, b"\xff,2", "é,3".encode()], 502, id="in the middle"),
        pytest.param([b"id,n", *[f"{sign}{sign},1".encode() for sign in "😀€ẞ漢"], b"a\xc3,2"], 6, id="half a letter"),
    ],
)
def test_utf_8_with_wrong_bytes_is_refused(lines: list[bytes], line: int, encoding: str, tmp_path: Path) -> None:
    """Line and byte are told, and nothing is decoded as something else."""
    tried()
    content = b"\n".join(lines) + b"\n"
    shop = read(tmp_path, content, feed(source=SourceFormat(encoding=encoding)))
    note = shop.quarantine()[named(1)]
    with pytest.raises(UnicodeDecodeError) as error:
        content.decode()
    assert (note["rule"], note["line"], note["byte"]) == ("undecodable", line, error.value.start)
    assert "is UTF-8 but for 1 byte(s)" in note["reason"]
    assert shop.table("raw") == []


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        pytest.param("cp1252", "Grüße; „Spaß“ und Ärger à la carte", id="cp1252"),
        pytest.param("cp1252", "Ã¤", id="what UTF-8 looks like, beside other letters"),
        pytest.param("shift_jis", "東京の売上と商品", id="Shift_JIS"),
        pytest.param("gb18030", "联通公司的销售数据", id="GB 18030"),
        pytest.param("koi8-r", "Продажи за день", id="KOI8-R"),
        pytest.param("euc-kr", "서울 판매 자료", id="EUC-KR"),
    ],
)
def test_what_is_declared_is_decoded(encoding: str, text: str, tmp_path: Path) -> None:
    """A file in the declared encoding loads, though some of its bytes may be UTF-8 by chance."""
    filler = "ÖÄÜ" if encoding == "cp1252" else text[:2]
    content = f"id,n\n{text},1\n{filler},2\n".encode(encoding)
    shop = read(tmp_path, content, feed(source=SourceFormat(encoding=encoding)))
    assert shop.cleaned("id") == [text, filler]


@pytest.mark.parametrize("form", [FileFormat.CSV, FileFormat.JSON])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-32-be"])
def test_several_byte_order_marks(form: FileFormat, encoding: str, tmp_path: Path) -> None:
    """A file to which several programs each wrote a mark has its records."""
    text = {FileFormat.CSV: "id,n\na,1\n", FileFormat.JSON: '{"id": "a", "n": 1}\n'}[form]
    shop = Shop(tmp_path, feed(column("id"), column("n", "INTEGER"), source=SourceFormat(form)))
    shop.deliver(named(1), f"\ufeff\ufeff{text}".encode(encoding))
    shop.deliver(named(2), f"\ufeff\ufeff\ufeff{text}".encode(encoding))
    shop.load()
    assert outcomes(shop) == {named(1): (1, 0, 0), named(2): (1, 0, 0)}


@pytest.mark.found("A draft from Mac Roman or Shift_JIS samples declared cp1252 as if that were known: wrong letters.")
@pytest.mark.parametrize("encoding", ["mac_roman", "shift_jis", "cp1252", "iso8859-15", "cp437"])
def test_a_draft_says_that_it_cannot_tell_an_encoding(encoding: str, tmp_path: Path) -> None:
    """What is declared is marked as a guess that a load can't find wrong."""
    tried()
    letters = "東京" if encoding == "shift_jis" else "Élan Vögel"
    text = drafted(tmp_path, f"id,name\n1,{letters}\n2,b\n".encode(encoding)).text
    assert "check: the samples are not UTF-8; which encoding they have can't be told from their bytes" in text
    assert "wrong letters load without an error" in text


def test_a_draft_from_damaged_utf_8_names_the_byte(tmp_path: Path, data_dir: Path) -> None:
    """No encoding is guessed for it."""
    sample = tmp_path / "s_2024-01-01.csv"
    sample.write_bytes("id,name\n1,Köln\n2,Düren\n".encode() + b"3,\xff\n")
    result = CliRunner().invoke(main, ["new-feed", str(sample), "--name", "x", "--output", str(tmp_path / "out")])
    assert result.exit_code != 0
    assert "line 4" in " ".join(result.output.split())
    assert not isinstance(result.exception, UnicodeError)


@pytest.mark.found("`explain` and `new-feed` ended with a traceback where a header has a NUL byte.")
@pytest.mark.parametrize(
    "content", [b"id,it\0em\n1,2\n", b"id,item\0\n1,2\n", b'{"id":1,"it\\u0000em":2}\n', archive("a")]
)
def test_commands_print_no_traceback(content: bytes, tmp_path: Path, data_dir: Path) -> None:
    """They say what is wrong with the file, or take it, and that is all."""
    sample = tmp_path / "s_2024-01-01.csv"
    sample.write_bytes(content)
    for arguments in (
        ["explain", str(sample), "--feed", "sales"],
        ["explain", str(sample)],
        ["new-feed", str(sample), "--name", "x", "--output", str(tmp_path / "out")],
    ):
        tried()
        result = CliRunner().invoke(main, arguments)
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert "Traceback" not in result.output


@pytest.mark.found("A NUL in a name stopped a load: no literal of SQL could hold it.")
def test_literals_hold_any_text() -> None:
    """Text becomes a part of a statement without changing it, whatever it is."""
    import duckdb

    from orchestration_project.errors import WarehouseError
    from orchestration_project.warehouse.tables import ident, literal

    texts = ["", "\0", "a\0b\0", "'", "''\0'", "\\", "$1 $$", "--", "é漢😀", "\n\r\t\x1a", "{}%s", "/*", ";"]
    with duckdb.connect() as connection:
        for text in texts:
            assert connection.execute(f"SELECT {literal(text)}, upper({literal(text)}) = ''").fetchone() == (
                text,
                text == "",
            )
        for name in (text for text in texts if text and "\0" not in text):
            assert connection.execute(f"SELECT 1 AS {ident(name)}").description[0][0] == name
    with pytest.raises(WarehouseError, match="SQL can't write"):
        ident("a\0")
    with pytest.raises(WarehouseError, match="is no text"):
        literal("\ud800")


def test_a_json_key_with_a_nul_is_no_danger(tmp_path: Path) -> None:
    """The keys of objects come to SQL as they are."""
    contract = feed(column("id"), column("n", "INTEGER"), source=SourceFormat(FileFormat.JSON))
    shop = read(tmp_path, '{"id":"a","n":1,"x\\u0000y":2}\n', contract)
    assert shop.landing() == []

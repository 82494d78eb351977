"""Compression, encodings and names: what a file is before its records are looked at."""

import bz2
import codecs
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.errors import DiskFull, FileRefused
from orchestration_project.formats import decode, decompress
from orchestration_project.formats.decompress import kind_of
from orchestration_project_tests.formats.files import records
from orchestration_project_tests.ingest.shop import Shop, feed, named

TEXT = "id,n\nä,1\nb,2\n"
EXPECTED = {1: ("ä", "1"), 2: ("b", "2")}
ZSTD = zstandard.ZstdCompressor()


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        pytest.param(TEXT.encode(), None, id="UTF-8"),
        pytest.param(codecs.BOM_UTF8 + TEXT.encode(), None, id="UTF-8 with a byte order mark"),
        pytest.param(codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), None, id="UTF-16 LE"),
        pytest.param(codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), None, id="UTF-16 BE"),
        pytest.param(codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), None, id="UTF-32 LE"),
        pytest.param(TEXT.encode("utf-16-le"), "utf-16-le", id="UTF-16 declared, without a mark"),
        pytest.param(TEXT.encode("cp1252"), "cp1252", id="cp1252 declared"),
        pytest.param(TEXT.encode(), "cp1252", id="UTF-8 although cp1252 is declared"),
        pytest.param(gzip.compress(TEXT.encode()), None, id="gzip"),
        pytest.param(gzip.compress(TEXT[:8].encode()) + gzip.compress(TEXT[8:].encode()), None, id="two gzip members"),
        pytest.param(ZSTD.compress(TEXT.encode()), None, id="zstd"),
        pytest.param(ZSTD.compress(TEXT[:8].encode()) + ZSTD.compress(TEXT[8:].encode()), None, id="two zstd frames"),
        pytest.param(bz2.compress(TEXT[:8].encode()) + bz2.compress(TEXT[8:].encode()), None, id="two bzip2 parts"),
        pytest.param(lzma.compress(TEXT[:8].encode()) + lzma.compress(TEXT[8:].encode()), None, id="two xz parts"),
        pytest.param(gzip.compress(codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")), None, id="gzip over UTF-16"),
    ],
)
@pytest.mark.parametrize("block", [pytest.param(4, id="blocks of 4"), pytest.param(4 << 20, id="one block")])
def test_compression_and_encoding(
    content: bytes, encoding: str | None, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is read the same in every compression and encoding, wherever its blocks end."""
    monkeypatch.setattr(decode, "BLOCK", block)
    monkeypatch.setattr(decompress, "PIECE", block)
    assert records(tmp_path, feed(source=SourceFormat(encoding=encoding)), content) == EXPECTED


@pytest.mark.parametrize(
    ("content", "encoding", "rule", "line", "byte"),
    [
        pytest.param(TEXT.encode("cp1252"), None, "undecodable", 2, 5, id="cp1252, undeclared"),
        pytest.param(TEXT.encode("cp1252").replace(b"\n", b"\r"), None, "undecodable", 2, 5, id="line counted by CR"),
        pytest.param(b"id,n\r\na,1\r\n\xff,2\r\n", None, "undecodable", 3, 11, id="line counted by CR LF"),
        pytest.param(b"id,n\na,1\n\xc3", None, "undecodable", 3, 9, id="cut off in a character"),
        pytest.param(b"id,n\n\x81,1\n", "cp1252", "undecodable", 2, 5, id="not what is declared"),
        pytest.param(
            codecs.BOM_UTF16_LE + "id,n\n\u0a0a,1\n".encode("utf-16-le") + b"\x00\xd8",
            None,
            "undecodable",
            3,
            20,
            id="UTF-16",
        ),
        pytest.param(gzip.compress(TEXT.encode())[:-10], None, "unreadable", None, None, id="gzip cut off"),
        pytest.param(
            gzip.compress(TEXT.encode())[:-6] + b"\0\0" + gzip.compress(TEXT.encode())[-4:],
            None,
            "unreadable",
            None,
            None,
            id="gzip with a wrong checksum",
        ),
        pytest.param(b"\x1f\x8bhello", None, "unreadable", None, None, id="no gzip at all"),
        pytest.param(ZSTD.compress(TEXT.encode() * 99)[:-3], None, "unreadable", None, None, id="zstd cut off"),
        pytest.param(gzip.compress(b""), None, "empty_file", None, None, id="gzip of nothing"),
    ],
)
def test_refused(
    content: bytes, encoding: str | None, rule: str, line: int | None, byte: int | None, tmp_path: Path
) -> None:
    """A file that can't be decoded or decompressed is refused; line and byte of the first fault are named."""
    with pytest.raises(FileRefused) as caught:
        records(tmp_path, feed(source=SourceFormat(encoding=encoding)), content)
    assert (caught.value.rule, caught.value.line, caught.value.byte) == (rule, line, byte)


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        pytest.param(b"PAR1\x15\x04", FileFormat.PARQUET, id="Parquet"),
        pytest.param(b'{"id":1}', FileFormat.JSON, id="an object"),
        pytest.param(codecs.BOM_UTF8 + b' \n[{"id":1}]', FileFormat.JSON, id="an array after a mark and blanks"),
        pytest.param(b"id,n\n{1},[2]\n", FileFormat.CSV, id="brackets later on"),
        pytest.param(b"", FileFormat.CSV, id="nothing"),
    ],
)
def test_the_format_that_a_file_looks_like(beginning: bytes, expected: FileFormat) -> None:
    """The first bytes tell Parquet and JSON; anything else may be a delimited file."""
    assert kind_of(beginning) is expected


def test_a_full_disk_is_not_the_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk while a copy is written stops the load; the file stays in landing."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    shop = Shop(tmp_path)
    shop.deliver(named(1), gzip.compress(TEXT.encode()))
    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(DiskFull, match="has too little room"):
        shop.load()
    assert shop.landing() == [named(1)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("s*[a]?_2024-01-01{x}.csv", id="glob characters"),
        pytest.param('it\'s "it"; --_2024-01-01.csv', id="quotes"),
        pytest.param("two\nlines_2024-01-01.csv", id="newline"),
        pytest.param("☕_2024-01-01.csv", id="emoji"),
        pytest.param("-rf_2024-01-01.csv", id="leading dash"),
        pytest.param("back\\slash_2024-01-01.csv", id="backslash"),
        pytest.param("a=b_2024-01-01.csv", id="equals sign"),
        pytest.param("2024-01-01" + "x" * 245, id="255 bytes"),
        pytest.param("s_2024-01-01.csv.gz", id="an ending that lies"),
    ],
)
def test_names(name: str, tmp_path: Path) -> None:
    """A file may have any name; it is loaded, archived and found again under it."""
    shop = Shop(tmp_path)
    shop.deliver(name, TEXT)
    shop.load()
    assert shop.records(name) == EXPECTED
    assert shop.archive() == [f"2024-01-01/{name}"]
    tables = shop.tables()
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == tables


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A name with bytes that are no UTF-8 is written down with their codes."""
    shop = Shop(tmp_path)
    shop.deliver("caf\udce9_2024-01-01.csv", TEXT)
    shop.load()
    assert shop.records("caf\\xe9_2024-01-01.csv") == EXPECTED
    assert shop.landing() == []


def test_a_long_name_in_quarantine(tmp_path: Path) -> None:
    """The reason of a refused file finds its place beside it, however long the file's name is."""
    shop = Shop(tmp_path)
    for name in ("2024-01-01" + "x" * 245, "2024-01-01" + "é" * 100 + ".csv"):
        shop.deliver(name, "")
        shop.deliver(name, "")
    shop.load()
    assert sorted(note["file"] for note in shop.quarantine().values()) == sorted(
        ["2024-01-01" + "x" * 245, "2024-01-01" + "é" * 100 + ".csv"]
    )

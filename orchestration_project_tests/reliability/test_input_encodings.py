"""Encodings as declared: each that contracts accept, against Python's own codecs; damage, and what looks like UTF-8."""

import codecs
import encodings.aliases
import random
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.feed import SourceFormat
from orchestration_project.contracts.service import read_source
from orchestration_project.errors import FileRefused
from orchestration_project.formats import decode
from orchestration_project_tests.ingest.shop import feed, named, read
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("input")

REFUSED = {"utf_7", "hz", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_3"} | {
    "iso2022_jp_ext", "iso2022_kr", "mbcs", "rot_13", "base64_codec", "bz2_codec", "hex_codec", "quopri_codec",
    "uu_codec", "zlib_codec", "charmap", "idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "oem",
}  # fmt: skip
NAMED = sorted({*encodings.aliases.aliases.values(), "cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_t"})


def declared(name: str) -> tuple[SourceFormat, list[str]]:
    """What a contract that declares an encoding says, and what is wrong with it."""
    from open_data_contract_standard.model import Server

    place = Place()
    source, _ = read_source([Server(server="x", type="local", format="csv", encoding=name)], place)
    return source, [problem.message for problem in place.problems]


ACCEPTED = [name for name in NAMED if name not in REFUSED]
TRIED = [name for name in ACCEPTED if name not in ("utf_16", "utf_32")]


@cache
def letters_of(codec: str) -> str:
    """All characters of an encoding that it writes as it reads them, but for those that are part of CSV."""
    candidates = (chr(code) for code in (*range(32, 0xD800), *range(0xE000, 0x10000), 0x20000, 0x1F600))
    kept = []
    for letter in candidates:
        data = letter.encode(codec, "ignore")
        if data and data.decode(codec, "ignore") == letter and letter not in '"\ufeff':
            kept.append(letter)
    return "".join(kept)


@pytest.mark.parametrize("name", NAMED)
def test_which_encodings_are_accepted(name: str) -> None:
    """Every text encoding of Python that tells damage from text; the others are refused with what to do."""
    tried()
    source, problems = declared(name)
    if name in REFUSED:
        assert len(problems) == 1
        assert "UTF-8" in problems[0] or "allowed: the name of a text encoding" in problems[0]
    else:
        assert problems == []
        own = codecs.lookup(name).name
        assert source.encoding == (None if own in ("utf-8", "utf-8-sig", "ascii") else own)


@pytest.mark.parametrize("name", TRIED)
def test_a_file_comes_out_as_it_was_written(name: str, tmp_path: Path) -> None:
    """Letters of all kinds load as they are, also such as have a delimiter, a quote or a line end among their bytes."""
    tried()
    codec, letters = codecs.lookup(name).name, letters_of(name)
    inside = [letter for letter in letters if set(letter.encode(codec)) & set(b',;|\t"\n\r') and not letter.isascii()]
    dice = random.Random(name)  # noqa: S311 - chance, not secrets
    plain = [letter for letter in letters if letter not in ",\u00a0" and letter.isprintable() and not letter.isspace()]
    texts = ["".join(dice.choices(plain, k=12)) for _ in range(20)]
    texts += ["".join(inside[place : place + 8]) for place in range(0, min(len(inside), 400), 8)]
    content = "id,n\n" + "".join(f'"x{text}x",1\n' for text in texts)
    shop = read(tmp_path, content.encode(codec), feed(source=declared(name)[0]))
    assert shop.quarantine() == {}
    assert shop.cleaned("id") == [f"x{text}x" for text in texts]


DAMAGE = [
    ("shift_jis", b"\x93\x8c\x80,1\n", 2),
    ("cp932", b"\x93\x8c\x81\n,1\n", 2),
    ("euc_jp", b"\xc5\xec\xb5,1\n", 2),
    ("gb18030", b"\xd6\xd0\xff,1\n", 2),
    ("gbk", b"\xd6\xd0\x80\xff,1\n", 3),
    ("big5", b"\xa4\xa4\xff,1\n", 2),
    ("cp949", b"\xc7\xd1\xff,1\n", 2),
    ("euc_kr", b"\xc7\xd1\xb1,1\n", 2),
    ("iso8859_8", b"\xe0\xa1,1\n", 1),
    ("cp1252", b"\xe4\x81,1\n", 1),
    ("cp1253", b"\xe1\xd2,1\n", 1),
    ("utf-16-le", "東".encode("utf-16-le") + b"\x00\xd8,\x001\x00\n\x00", 2),
    ("utf-16-be", "東".encode("utf-16-be") + b"\xdc\x00\x00,\x001\x00\n", 2),
]


@pytest.mark.parametrize(("name", "line", "wrong"), DAMAGE, ids=[name for name, _, _ in DAMAGE])
def test_damage_is_named(name: str, line: bytes, wrong: int, tmp_path: Path) -> None:
    """A file with a byte that is no part of a letter is refused, with line and byte; and so is one that is cut off."""
    tried(2)
    codec = codecs.lookup(name).name
    before = "id,n\na,1\n\nb,2\n".encode(codec)
    note = read(tmp_path / "damaged", before + line, feed(source=declared(name)[0])).quarantine()[named(1)]
    assert (note["rule"], note["line"]) == ("undecodable", 5)
    with pytest.raises(UnicodeDecodeError) as error:
        (before + line).decode(codec)
    assert note["byte"] == error.value.start
    assert len(before) <= note["byte"] <= len(before) + wrong


@pytest.mark.found("A short list in GB 18030 or Shift_JIS whose bytes happen to be UTF-8 loaded with other letters.")
@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        pytest.param("gb18030", ["茅台"], id="Moutai in Chinese"),
        pytest.param("gbk", ["茅台", "酒"], id="beside bytes that are no UTF-8"),
        pytest.param("shift_jis", ["ﾂｱ", "ﾃｩ"], id="half width kana"),
        pytest.param("shift_jis", ["ﾐﾂｲ", "ﾂｱ"], id="half width kana beside bytes that are no UTF-8"),
        pytest.param("euc_kr", ["챕"], id="Korean"),
        pytest.param("big5", ["穢"], id="Chinese of Taiwan"),
        pytest.param("cp037", ["Bt", "Ast"], id="EBCDIC"),
    ],
)
def test_what_is_utf_8_by_chance(encoding: str, words: list[str], tmp_path: Path) -> None:
    """It is read as declared."""
    tried()
    content = "id,n\n" + "".join(f"{word},1\n" for word in words)
    shop = read(tmp_path, content.encode(encoding), feed(source=SourceFormat(encoding=encoding)))
    assert shop.cleaned("id") == words


@pytest.mark.parametrize("encoding", ["gb18030", "shift_jis", "euc_kr", "cp1252", "koi8-r"])
@pytest.mark.parametrize("text", ["東京", "서울", "€", "😀"])
def test_utf_8_where_something_else_is_declared(encoding: str, text: str, tmp_path: Path) -> None:
    """A letter of three or more bytes proves UTF-8, whatever the contract declares."""
    tried()
    shop = read(tmp_path, f"id,n\n{text},1\nÄ,2\n", feed(source=SourceFormat(encoding=encoding)))
    assert shop.cleaned("id") == [text, "Ä"]


def test_a_mark_in_gb_18030(tmp_path: Path) -> None:
    """It is no part of the text."""
    content = '\ufeff"id",n\n中国,1\n'.encode("gb18030")
    shop = read(tmp_path, content, feed(source=SourceFormat(encoding="gb18030")))
    assert shop.cleaned("id") == ["中国"]


@settings(max_examples=effort(60, 3000), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(TRIED),
    data=st.binary(max_size=40) | st.text(max_size=20).map(str.encode),
    words=st.lists(st.integers(0, 1 << 20), max_size=12),
    block=st.integers(1, 9),
)
def test_blocks_and_lines(
    name: str, data: bytes, words: list[int], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However a file is cut into blocks, its text and the byte of an error are those of the codec."""
    tried()
    codec, letters = codecs.lookup(name).name, letters_of(name)
    content = "".join(letters[word % len(letters)] for word in words).encode(codec) + data
    folder = tmp_path_factory.mktemp("blocks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "BLOCK", block)
        assert transcoded(folder, content, codec) == expected(content, codec)


def transcoded(folder: Path, content: bytes, codec: str) -> object:
    """What is made of some bytes: their text, or the byte of the error."""
    path = folder / "file"
    path.write_bytes(content)
    try:
        return decode._transcode(path, codec, 0, "file", folder).read_bytes().decode()
    except FileRefused as refused:
        return refused.byte


def expected(content: bytes, codec: str) -> object:
    """What Python makes of them at once."""
    try:
        return content.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return error.start

r"""A delivered text as UTF-8: by its byte order mark, else as strict UTF-8, else as the contract declares.

    \xef\xbb\xbfid,n...    the file itself, its text begins at byte 3
    \xff\xfei\x00d\x00...   a copy, made from UTF-16
    caf\xe9...             a copy, made from the declared cp1252; refused with line and byte where none is declared
    \xc3\xa4\xc3\xb6 \xe9...   refused, whatever is declared: it is UTF-8 but for a few bytes
    \xc3\xa9\xcc\xa8...       a copy, where gb18030 is declared: what looks like letters of UTF-8 is common Chinese
    \xc9\x84@\xf1...       a copy, where cp037 is declared: even its ASCII bytes are other letters

The whole file is decoded, never a sample: one wrong byte in the last line would else become a wrong value.
"""

import codecs
import io
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from orchestration_project.errors import FileRefused

BLOCK = 4 << 20
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    # That of UTF-16 is the beginning of this one, so this one is looked for first.
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# Python's "surrogateescape" turns the bytes 0x80 to 0xFF that it can't decode into these halves of pairs.
LAST_ASCII, FIRST_ESCAPED, LAST_ESCAPED = 0x7F, 0xDC80, 0xDCFF
LAST_OF_TWO_BYTES, FIRST_OF_THREE = 0x7FF, 0xE0
"""The last character that has two bytes in UTF-8, and the first byte of those that have more."""
MARK = "\ufeff"
NEED_A_MARK = ("utf-16", "utf-32")


def as_utf8(path: Path, encoding: str | None, name: str, work: Path) -> tuple[Path, int]:
    """The file as UTF-8, and the byte at which its text begins: the file itself if it is UTF-8, else a copy.

    Args:
        path: the file.
        encoding: what the contract declares.
        name: the file's logical name, for messages.
        work: a folder for the copy.

    Raises:
        FileRefused: a byte can't be decoded; with its line and its position.
    """
    with path.open("rb") as stream:
        beginning = stream.read(8)
    declared = codecs.lookup(encoding).name if encoding else None
    mark = next((mark for mark in BOMS if beginning.startswith(mark)), b"")
    # The mark says what these bytes are, whatever the contract expects. DuckDB passes over one mark, and over more in
    # front of some records: of a file that begins with several, it gets a copy with none.
    if mark and (BOMS[mark] != "utf-8" or beginning.startswith(2 * mark)):
        return _transcode(path, BOMS[mark], len(mark), name, work), 0
    if declared in NEED_A_MARK:
        raise FileRefused(
            "undecodable",
            f"{name!r} has no byte order mark, which {declared} needs; declare {declared}-le or {declared}-be",
            line=1,
            byte=0,
        )
    # Not tried as UTF-8 first: ASCII text in UTF-16 is valid UTF-8, with NUL bytes in between.
    if declared and not _has_ascii(declared):
        return _transcode(path, declared, 0, name, work), 0
    other = None if declared in ("utf-8", "ascii") else declared
    return _as_utf8_or_else(path, other, len(mark), name, work)


def _as_utf8_or_else(path: Path, declared: str | None, start: int, name: str, work: Path) -> tuple[Path, int]:
    """The same, of a file that may be UTF-8, with a mark of some bytes or none, or in another declared encoding."""
    # UTF-8 before what is declared: cp1252 and its like take nearly any bytes, so UTF-8 would be read as other letters
    # without an error. The other way round, an error is all but certain.
    try:
        _transcode_blocks(path, "utf-8", start, None)
    except _Undecodable as error:
        # With a mark it is UTF-8, whatever the contract declares, and damaged.
        if start or not declared:
            raise _undecodable(path, name, "UTF-8", error) from None
        # Once, one wrong byte in a UTF-8 file made every other letter beyond ASCII wrong where cp1252 was declared, and
        # all of it loaded.
        if wrong := _wrong_bytes(path, declared):
            raise _damaged(path, name, declared, wrong, error) from None
        return _transcode(path, declared, 0, name, work), 0
    if declared and not start and _is_multibyte(declared) and (text := _transcode_if_rather(path, declared, work)):
        return text, 0
    return path, start


@cache
def _has_ascii(encoding: str) -> bool:
    """Whether bytes of ASCII mean the same in an encoding: not in UTF-16, EBCDIC, nor where they have a yen sign."""
    ascii_bytes = bytes(range(LAST_ASCII + 1))
    return ascii_bytes.decode(encoding, "replace") == ascii_bytes.decode("ascii")


@cache
def _is_multibyte(encoding: str) -> bool:
    """Whether some bytes of an encoding are the beginning of a character, as in those of East Asia."""
    decoders = (codecs.getincrementaldecoder(encoding)("replace") for _ in range(256))
    return any(not decoder.decode(bytes([byte])) for byte, decoder in enumerate(decoders))


def _transcode_if_rather(path: Path, encoding: str, work: Path) -> Path | None:
    """A copy of a file that is UTF-8, but rather is in the multi-byte encoding that the contract declares; else None.

    Two of its bytes are a letter of UTF-8 by chance quite often: a price list with the one Chinese word for Moutai, a
    brand, loaded with an accented e in its place. Three are so hardly ever, and any text of East Asia has such letters.
    """
    highest = 0
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            highest = max(highest, int(np.frombuffer(block, dtype=np.uint8).max()))
    if not LAST_ASCII < highest < FIRST_OF_THREE:
        return None
    target = work / "utf-8"
    try:
        with target.open("wb") as writer:
            _transcode_blocks(path, encoding, 0, writer)
    except _Undecodable:
        return None
    return target


def encoding_of(path: Path, text: Path, declared: str | None) -> str:
    """The encoding that a file has, of which `as_utf8` made a text."""
    with path.open("rb") as stream:
        beginning = stream.read(4)
    mark = next((codec for mark, codec in BOMS.items() if beginning.startswith(mark)), None)
    return "utf-8" if text == path else mark or declared or "utf-8"


class _Undecodable(Exception):
    def __init__(self, byte: int, value: int) -> None:
        self.byte, self.value = byte, value


def _undecodable(path: Path, name: str, encoding: str, error: _Undecodable) -> FileRefused:
    line = _line_at(path, encoding, error.byte)
    return FileRefused(
        "undecodable",
        f"{name!r} is not {encoding}: byte {error.byte} (0x{error.value:02x}) in line {line} can't be decoded. Deliver"
        " it as UTF-8, or declare its encoding in the contract's server",
        line=line,
        byte=error.byte,
    )


def _damaged(path: Path, name: str, declared: str, wrong: int, error: _Undecodable) -> FileRefused:
    line = _line_at(path, "utf-8", error.byte)
    return FileRefused(
        "undecodable",
        f"{name!r} is UTF-8 but for {wrong:,} byte(s), of which the first is byte {error.byte} (0x{error.value:02x}) in"
        f" line {line}: read as {declared}, which the contract declares, every other letter beyond ASCII would be"
        " wrong. Correct these bytes, or deliver the whole file in one encoding",
        line=line,
        byte=error.byte,
    )


def _wrong_bytes(path: Path, declared: str) -> int:
    """How many bytes of a file are not UTF-8; 0 if it is hardly UTF-8 at all.

    It is, if at least as many characters beyond ASCII are in it as bytes that are no part of one: in other encodings
    such bytes hardly ever make a character of UTF-8 by chance. In multi-byte ones two of them do, so there those of
    three count.
    """
    last_by_chance = LAST_OF_TWO_BYTES if _is_multibyte(declared) else LAST_ASCII
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    characters = wrong = 0
    with path.open("rb") as stream:
        block = b"\n"
        while block:
            block = stream.read(BLOCK)
            text = decoder.decode(block, final=not block)
            codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
            # The decoder puts half a surrogate pair in the place of each byte that it can't decode.
            escaped = int(((codes >= FIRST_ESCAPED) & (codes <= LAST_ESCAPED)).sum())
            characters += int((codes > last_by_chance).sum()) - escaped
            wrong += escaped
    return wrong if characters >= wrong else 0


def _line_at(path: Path, encoding: str, byte: int) -> int:
    """The 1-based line in which a byte stands; any line end counts."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)("replace"), translate=True)
    # Read again only when a file is refused: to count lines in each file that is read would cost all of them.
    line, left = 1, byte
    with path.open("rb") as stream:
        while block := stream.read(min(BLOCK, left)):
            line += decoder.decode(block).count("\n")
            left -= len(block)
    return line + decoder.decode(b"", final=True).count("\n")


def _transcode(path: Path, encoding: str, start: int, name: str, work: Path) -> Path:
    target = work / "utf-8"
    try:
        with target.open("wb") as writer:
            _transcode_blocks(path, encoding, start, writer)
    except _Undecodable as error:
        raise _undecodable(path, name, encoding, error) from None
    return target


def _transcode_blocks(path: Path, encoding: str, start: int, writer: BinaryIO | None) -> None:
    """Write a file as UTF-8; without a writer, only prove that it can be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)()
    position = start
    with path.open("rb") as stream:
        stream.seek(start)
        block = b"\n"
        while block:
            block = stream.read(BLOCK)
            # Bytes of a character that the block before has only the beginning of.
            pending = len(decoder.getstate()[0])
            # Most of most files is ASCII, which is UTF-8 without a decoder having to prove it.
            if writer is None and not pending and block.isascii():
                position += len(block)
                continue
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                byte = position - pending + error.start
                raise _Undecodable(byte, error.object[error.start]) from None
            if writer is not None:
                # Byte order marks: in an encoding that has none of its own, such as GB 18030, and behind the first one
                # where several programs have each written theirs.
                writer.write((text.lstrip(MARK) if position == start else text).encode())
            position += len(block)

r"""A JSON array as one element a line, block by block: however large it is, only a block of it is in memory.

    [{"id": "a,b",\n "n": 1},\n 3]   ->    {"id": "a,b",  "n": 1}\n  3\n

Only quotes, escapes, brackets and commas are looked at. If an element is an object is found out when its line is read
(`json_files`). Each byte is replaced by one byte or kept, so that a block costs a few passes over an array of bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestration_project.errors import FileRefused

if TYPE_CHECKING:
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Positions = npt.NDArray[np.intp]

BLOCK = 1 << 20
QUOTE, BACKSLASH, COMMA, SPACE, LF, CR, VERTICAL_TAB = b'"\\, \n\r\x0b'
CLOSING_OF = {"[": ord("]"), "{": ord("}")}
STEPS = np.zeros(256, dtype=np.int8)
STEPS[list(b"[{")] = 1
STEPS[list(b"]}")] = -1
"""How much deeper a byte leads into brackets."""
NOTEWORTHY = STEPS != 0
NOTEWORTHY[[COMMA, LF, CR]] = True
"""The bytes that are looked at outside of strings."""
FILLED = np.ones(256, dtype=bool)
FILLED[list(b" \t\r\n")] = False
"""The bytes that are no white space."""


def write_elements(source: Path, offset: int, target: Path, name: str) -> None:
    """Write each element of a JSON array as a line.

    Args:
        source: a UTF-8 file.
        offset: where the array, or white space before it, begins.
        target: the file to write.
        name: the file's logical name, for messages.

    Raises:
        FileRefused: the array does not end, or something comes after its end.
    """
    # Not by DuckDB: it reads an array by taking it into memory as a whole.
    elements, more = Elements(), False
    with source.open("rb") as reader, target.open("wb") as writer:
        reader.seek(offset)
        while data := reader.read(BLOCK):
            writer.write(elements.lines(data))
            more = more or bool(FILLED[np.frombuffer(data, dtype=np.uint8)[elements.read :]].any())
    if fault := elements.fault or ("something stands after its end" if more else ""):
        raise FileRefused("unreadable", f"{name!r} is not a JSON array of objects: {fault}; deliver it again")
    # The line end in the place of the closing bracket would count as a blank record.
    if not elements.filled:
        target.write_bytes(b"")


class Elements:
    r"""The state between two blocks.

        block 1   [{"a": [1,       ->   _{"a": [1,         depth 3 afterwards
        block 2   2], "b": "x,     ->   2], "b": "x,       in a string afterwards
        block 3   y"},\n3]         ->   y"}\n_3\n          ended; _ is a space

    The members of an object are told apart in the same way.

    Args:
        opening: the bracket with which it begins, `[` or `{`.

    Attributes:
        ended: whether the bracket that closes the array was seen.
        read: how many bytes of the last block belong to the array; what stands behind them is not looked at.
        filled: whether anything stands in it.
    """

    def __init__(self, opening: str = "[") -> None:
        self.ended = self.filled = False
        self.read = 0
        self._closing, self._found = CLOSING_OF[opening], 0
        self._depth = 0
        # Whether the block before ended in a string, and with a backslash that escapes the next byte.
        self._inside = False
        self._escaped = False

    @property
    def fault(self) -> str:
        """What is wrong with the array; empty when nothing is."""
        if not self.ended:
            return "it does not end: a quote or a bracket is open"
        if self._found != self._closing:
            return f"it ends with {chr(self._found)} and not with {chr(self._closing)}"
        return ""

    def lines(self, data: bytes | memoryview) -> bytes:
        """A block with the array's brackets and commas replaced by line ends, and its line ends by blanks."""
        if self.ended:
            self.read = 0
            return b""
        values = np.frombuffer(data, dtype=np.uint8)
        self.read = len(values)
        quotes = self._quotes(values)
        places = np.flatnonzero(NOTEWORTHY[values])
        outside = (np.searchsorted(quotes, places) + self._inside) % 2 == 0
        self._inside = bool((len(quotes) + self._inside) % 2)
        written = values.copy()
        within = places[~outside]
        # A line end in a string is an error, and so is any other control character: the element stays wrong.
        written[within[np.isin(values[within], (LF, CR))]] = VERTICAL_TAB
        return self._split(values, written, places[outside])

    def _quotes(self, values: "Bytes") -> "Positions":
        r"""Where strings begin and end: the quotes that no backslash escapes.

        In a run of backslashes each second one is escaped by the one before. So only what follows a run of odd length
        is escaped itself: the quote in \" and in \\\", not the one in \\".
        """
        is_quote = values == QUOTE
        backslashes = np.flatnonzero(values == BACKSLASH)
        is_quote[0] &= not self._escaped
        if not len(backslashes):
            self._escaped = False
            return np.flatnonzero(is_quote)
        begins = np.append(True, np.diff(backslashes) > 1)
        runs = backslashes[begins]
        lengths = np.diff(np.append(np.flatnonzero(begins), len(backslashes)))
        after = runs + lengths
        # The first backslash of a block may itself be escaped by the last one of the block before.
        lengths[0] -= self._escaped and runs[0] == 0
        odd = lengths % 2 == 1
        self._escaped = bool(odd[-1] and after[-1] == len(values))
        escaped = after[odd & (after < len(values))]
        is_quote[escaped] = False
        return np.flatnonzero(is_quote)

    def _split(self, values: "Bytes", written: "Bytes", places: "Positions") -> bytes:
        """The block as it is written, from the places outside of strings at which something may have to be replaced."""
        kinds = values[places]
        steps = STEPS[kinds].astype(np.int64)
        depths = self._depth + np.cumsum(steps)
        first = self._depth == 0
        self._depth = int(depths[-1]) if len(depths) else self._depth
        written[places[(kinds == LF) | (kinds == CR)]] = SPACE
        written[places[(kinds == COMMA) & (depths == 1)]] = LF
        if first:
            written[places[(steps == 1) & (depths == 1)][:1]] = SPACE
        closing = places[(steps == -1) & (depths == 0)][:1]
        written[closing] = LF
        if len(closing):
            self.ended, self.read, self._found = True, int(closing[0]) + 1, int(values[closing[0]])
            written = written[: self.read]
        # A comma makes elements, even if nothing stands beside it: those of [,] are two blank records.
        self.filled = self.filled or len(closing) < (written == LF).sum() or bool(FILLED[written].any())
        return written.tobytes()

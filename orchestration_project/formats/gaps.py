"""The records that DuckDB leaves out, blank ones and broken ones, written down so that they get their places back."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.intp]

FIRST_LINE = b"records"
"""Stands in the first line of files that are written for DuckDB, which takes the end of that line for that of all."""
RAW_BYTES = 512 << 10
"""How much is kept of the text of a record that can't be split."""
PIECE = 64 << 10


class Gaps:
    """Writes down the records that DuckDB leaves out, as CSV of number, raw text and error (`code: message`).

    `count` is how many there are. A blank record has neither text nor error.
    """

    def __init__(self, stream: TextIO) -> None:
        self.count = 0
        self._stream = stream
        self._writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def blank(self, numbers: Positions) -> None:
        """Write down blank records."""
        self.count += len(numbers)
        for begin in range(0, len(numbers), PIECE):
            self._stream.writelines(f"{number},,\n" for number in numbers[begin : begin + PIECE].tolist())

    def broken(self, number: int, raw: bytes, error: str) -> None:
        """Write down a record that can't be split, with as much of its text as is kept."""
        self.count += 1
        text = raw[:RAW_BYTES].decode(errors="ignore").rstrip("\r\n").replace("\0", "\u2400")
        self._writer.writerow([number, text, error])


@contextmanager
def gaps_in(path: Path) -> Iterator[Gaps]:
    """Gaps that are written to a file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(FIRST_LINE.decode() + "\n")
        yield Gaps(stream)

"""Skipped records: those that DuckDB's reader leaves out, written down so that every record keeps its number.

DuckDB says nothing of blank records, and broken ones are taken out before it reads the file. Both are counted in the
bytes (`csv_scanner`, `csv_split`) and written here; `lines` puts them back.
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.intp]

FIRST_LINE = b"records"
"""The first line of each file that is written for DuckDB, which takes the end of this line for that of all lines."""
RAW_BYTES = 512 << 10
"""How much is kept of the text of a broken record: with every quote in it doubled, it is no long record to DuckDB."""
PIECE = 64 << 10


class SkippedRecords:
    r'''Writes skipped records as CSV: number, raw text, error (`code: message`). Blank ones have no text and no error.

        records
        3,,
        "7","""a""x,1","bad_quoting: ..."

    Attributes:
        count: how many were written.
    '''

    def __init__(self, stream: TextIO) -> None:
        self.count = 0
        self._stream = stream
        self._writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def add_blank(self, numbers: Positions) -> None:
        """Write down blank records."""
        self.count += len(numbers)
        # In pieces: of a block of nothing but line ends, all numbers at once would be four million Python objects.
        for begin in range(0, len(numbers), PIECE):
            self._stream.writelines(f"{number},,\n" for number in numbers[begin : begin + PIECE].tolist())

    def add_broken(self, number: int, raw: bytes, error: str) -> None:
        """Write down a record that can't be split, with the beginning of its text."""
        self.count += 1
        # The cut may go through a character.
        text = raw[:RAW_BYTES].decode(errors="ignore").rstrip("\r\n").replace("\0", "\u2400")
        self._writer.writerow([number, text, error])


@contextmanager
def skipped_in(path: Path) -> Iterator[SkippedRecords]:
    """Skipped records that are written to a file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(FIRST_LINE.decode() + "\n")
        yield SkippedRecords(stream)

"""Large samples: a very wide one and a very long one, and how long drafting may take.

Belongs here: making them. Does not belong here: running the command.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.data import days, make_sales

WIDE_COLUMNS, WIDE_RECORDS = 700, 1_000
LONG_RECORDS = 580_000  # 34 MB


@dataclass(frozen=True, slots=True)
class Large:
    """A large sample: in words, how it is written to a folder, its columns, and the seconds that a draft may take."""

    words: str
    write: Callable[[Path], Path]
    columns: int
    most_seconds: float


def wide(folder: Path) -> Path:
    """A survey or a table turned on its side: 700 columns of each kind, 1,000 records."""
    random = Random("wide")  # noqa: S311 - the same sample each time
    path = folder / "wide_2024-03-05.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(["record_id", *(f"answer_{number}" for number in range(1, WIDE_COLUMNS))]) + "\n")
        for record in range(WIDE_RECORDS):
            kinds = (
                str(random.randint(1, 900)),
                f"{random.randint(1, 99_999) / 100:.2f}",
                random.choice(("yes", "no")),
                f"2024-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
                random.choice(("red", "green", "blue")),
            )
            file.write(",".join([str(record), *(kinds[number % 5] for number in range(1, WIDE_COLUMNS))]) + "\n")
    return path


def long(folder: Path) -> Path:
    """Half a million sales of one day, 34 MB."""
    return make_sales(folder, days(1)[0], LONG_RECORDS)


LARGE: Mapping[str, Large] = {
    "wide": Large(f"{WIDE_COLUMNS} columns x {WIDE_RECORDS:,} records", wide, WIDE_COLUMNS, 2),
    "long": Large("34 MB", long, 7, 10),
}

"""Which batches share a file of the published copy: plain arithmetic, no I/O.

A file a day would be slow to open after years, and one file would have to be written anew each day. So the days of the
newest month and of the one before have a file each, and of older months all days are in one.

    batches                                 files
    2024-01-30, 2024-01-31                  2024-01
    2024-02-29                              2024-02-29
    2024-03-01 10:00, 2024-03-01 11:00      2024-03-01

A file's name has a digest of what is in it. So which files have to be written is told by looking which are missing.
"""

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from orchestration_project.hashes import digest_of

WHOLE, EMPTY, UNDATED = "all", "empty", "undated"
"""The keys of parts that are no span of time: of a table without batches, of one without rows, of rows without a batch.
"""
# Not the years before Christ, which DuckDB writes with a `(BC)` behind.
DATED = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?)?")
Contents = Mapping[str | None, int]
"""What stands for the rows of each batch, by the text of its start; None: rows that have no batch."""


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """A part of a table.

    Attributes:
        key: names it among the table's parts.
        first: the first day of its batches; None: it is no span of time.
        unit: how long the span is: `DAY` or `MONTH`.
        file: the path, relative to the folder of the copy.
    """

    key: str
    first: dt.date | None
    unit: str
    file: str


def parts_of(schema: str, table: str, columns: Mapping[str, str], contents: Contents) -> list[PlannedPart]:
    """The parts of a table, in order.

    Args:
        schema: the table's schema.
        table: its name.
        columns: its columns and types: with other ones, all of its files are other ones.
        contents: of its batches; for a table without batches, of all its rows under the key `all`.
    """
    grouped: dict[str, list[tuple[str | None, int]]] = defaultdict(list)
    recent = _first_recent_month(contents)
    for batch, content in sorted(contents.items(), key=lambda item: item[0] or ""):
        grouped[_key(batch, recent)].append((batch, content))
    return [
        PlannedPart(key, *_span(key), _file(schema, table, key, _digest(columns, held)))
        for key, held in (grouped or {EMPTY: []}).items()
    ]


def is_dated(contents: Contents) -> bool:
    """Whether all batches are days or hours that a calendar has."""
    return all(batch is None or DATED.fullmatch(batch) for batch in contents)


def _first_recent_month(contents: Contents) -> str:
    newest = max((batch for batch in contents if batch and DATED.fullmatch(batch)), default=None)
    if newest is None:
        return ""
    first = dt.date.fromisoformat(newest[:10]).replace(day=1)
    return str((first - dt.timedelta(days=1)).replace(day=1)) if first > dt.date.min else str(first)


def _key(batch: str | None, recent: str) -> str:
    if batch is None:
        return UNDATED
    if batch == WHOLE:
        return WHOLE
    return batch[:10] if batch >= recent else batch[:7]


def _span(key: str) -> tuple[dt.date | None, str]:
    # No end: that of a span may be a day that Python has not, though DuckDB has it.
    if key in (WHOLE, EMPTY, UNDATED):
        return None, ""
    if len(key) > len("2024-01"):
        return dt.date.fromisoformat(key), "DAY"
    return dt.date.fromisoformat(f"{key}-01"), "MONTH"


def _digest(columns: Mapping[str, str], held: list[tuple[str | None, int]]) -> str:
    text = json.dumps([list(columns.items()), held])
    return digest_of(text)


def _file(schema: str, table: str, key: str, digest: str) -> str:
    # Quoted: a table's name may be any text, and DuckDB takes `*` in a path for a pattern.
    return f"{quote(schema, safe='')}/{quote(table, safe='')}/{key}-{digest}.parquet"

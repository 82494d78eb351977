"""Delimited files: those that look alike in one scan, and again record by record where DuckDB counts wrong."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FilesUnfit
from orchestration_project.transforms.header import Header
from orchestration_project.transforms.lines import Dialect, insert_lines, read_lines, uneven
from orchestration_project.transforms.prepare import split_carefully
from orchestration_project.transforms.raw import ReadyFile, unreadable
from orchestration_project.warehouse.sql import ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def values_of(header: Header) -> dict[str, str]:
    """The raw table's values as SQL over the fields c0, c1, ... of a record."""
    values = {name: f"c{position}" for name, position in header.positions.items()}
    repeated = " AND ".join(
        f"lower(trim(c{position})) = lower(trim({literal(header.fields[position])}))"
        for position in header.positions.values()
    )
    if unexpected := _distinct(header.unexpected):
        pairs = ", ".join(f"{literal(name)}, {field}" for field, name in unexpected.items())
        present = f"coalesce({', '.join(unexpected)}) IS NOT NULL"
        values["_rescued"] = f"CASE WHEN {present} THEN json_object({pairs})::VARCHAR END"
    fields = ", ".join(ident(f"c{position}") for position in range(len(header.fields)))
    values["_raw_line"] = f"CASE WHEN {repeated} THEN concat_ws({literal(header.delimiter)}, {fields}) END"
    values["_parse_error"] = f"CASE WHEN {repeated} THEN 'repeated_header: the header line stands again' END"
    return values


def stage_delimited(
    connection: "DuckDBPyConnection",
    feed: Feed,
    files: Sequence[ReadyFile],
    values: Callable[[Header], dict[str, str]] = values_of,
) -> None:
    """Insert every record of delimited files into `raw_x`.

    Args:
        connection: inside a transaction.
        feed: the contract.
        files: what to read.
        values: gives the raw table's values as SQL over the fields of a record.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    again = [
        replace(file, prepared=split_carefully(feed, file.prepared, Path(mkdtemp(dir=file.work))))
        for file in _stage(connection, feed, files, values)
    ]
    if broken := _stage(connection, feed, again, values):
        what = "has records that can't be told apart reliably; deliver it as plain CSV"
        raise FilesUnfit({file.name: unreadable(file.name, what) for file in broken})


def _stage(
    connection: "DuckDBPyConnection",
    feed: Feed,
    files: Iterable[ReadyFile],
    values: Callable[[Header], dict[str, str]],
) -> list[ReadyFile]:
    """Stage files, one scan for all that look alike; returns those whose records did not add up."""
    groups: dict[tuple[tuple[str, ...], Dialect], list[ReadyFile]] = defaultdict(list)
    for file in files:
        header = _header(file)
        prepared = file.prepared
        dialect = Dialect(
            header.delimiter,
            prepared.quote,
            len(header.fields),
            prepared.line_end,
            prepared.skip,
            prepared.long_records,
        )
        groups[header.fields, dialect].append(file)
    failed: list[ReadyFile] = []
    for (_, dialect), alike in groups.items():
        read_lines(connection, alike, dialect)
        odd = uneven(connection, alike)
        insert_lines(connection, feed, alike, values(_header(alike[0])), odd)
        failed += [alike[index] for index in sorted(odd)]
    return failed


def _header(file: ReadyFile) -> Header:
    assert file.prepared.header is not None  # a delimited file is refused without one
    return file.prepared.header


def _distinct(unexpected: dict[int, str]) -> dict[str, str]:
    """Field and name of the unexpected columns; names that stand twice get the number of their field."""
    times = Counter(unexpected.values())
    return {
        f"c{position}": name if times[name] == 1 else f"{name}_{position + 1}" for position, name in unexpected.items()
    }

"""Delimited files: those that look alike in one scan, and again record by record where DuckDB counts wrong."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FilesUnfit
from orchestration_project.formats.fields import BLANKS, stripped
from orchestration_project.formats.header import Header
from orchestration_project.formats.lines import Dialect, insert_lines, read_lines, uneven
from orchestration_project.formats.prepare import split_carefully
from orchestration_project.formats.staging import ReadyFile, unreadable
from orchestration_project.warehouse.quoting import ident, literal
from orchestration_project.warehouse.tables import is_empty

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def values_of(header: Header) -> dict[str, str]:
    """The raw table's values as SQL over the fields c0, c1, ... of a record."""
    values = {name: f"c{position}" for name, position in header.positions.items()}
    if unexpected := _distinct(header.unexpected):
        pairs = ", ".join(f"{literal(name)}, {field}" for field, name in unexpected.items())
        present = f"coalesce({', '.join(unexpected)}) IS NOT NULL"
        values["_rescued"] = f"CASE WHEN {present} THEN json_object({pairs})::VARCHAR END"
    fields = ", ".join(ident(f"c{position}") for position in range(len(header.fields)))
    line, repeated = f"concat_ws({literal(header.delimiter)}, {fields})", _repeats(header)
    values["_raw_line"] = f"CASE WHEN {repeated} THEN {line} END"
    values["_parse_error"] = f"CASE WHEN {repeated} THEN 'repeated_header: the header line stands again' END"
    return values


def _repeats(header: Header) -> str:
    """A condition over the fields of a record that holds where the header stands again."""
    named = {f"c{position}": header.fields[position].strip(BLANKS) for position in header.positions.values()}
    return " AND ".join(
        f"strlen({stripped(field)}) = {len(name.encode())} AND lower({stripped(field)}) = lower({literal(name)})"
        for field, name in named.items()
    )


def stage_delimited(
    connection: "DuckDBPyConnection",
    feed: Feed,
    files: Sequence[ReadyFile],
    values: Callable[[Header], dict[str, str]] = values_of,
    last: bool = True,
) -> None:
    """Insert every record of delimited files into `_staged`.

    Args:
        connection: with `_staged` to insert into.
        feed: the contract.
        files: what to read.
        values: gives the raw table's values as SQL over the fields of a record.
        last: whether no lines will be read after these.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    again = [
        replace(file, prepared=split_carefully(feed, file.prepared, Path(mkdtemp(dir=file.work))))
        for file in _stage(connection, files, values, last)
    ]
    if broken := _stage(connection, again, values, last):
        what = "has records that can't be told apart reliably; deliver it as plain CSV"
        raise FilesUnfit({file.name: unreadable(file.name, what) for file in broken})


def _stage(
    connection: "DuckDBPyConnection",
    files: Iterable[ReadyFile],
    values: Callable[[Header], dict[str, str]],
    last: bool,
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
    # The largest group comes last: its records may stay where they are.
    for number, ((_, dialect), alike) in enumerate(sorted(groups.items(), key=_size), start=1):
        read_lines(connection, alike, dialect)
        odd = uneven(connection, alike)
        header = _header(alike[0])
        given = values(header)
        # Looking for such records is cheap, asking each of all records whether it is one is not.
        if is_empty(connection, f"_lines WHERE {_repeats(header)}"):
            given = {name: value for name, value in given.items() if name not in ("_raw_line", "_parse_error")}
        insert_lines(connection, alike, given, odd, stay=last and number == len(groups) and not failed)
        failed += [alike[index] for index in sorted(odd)]
    return failed


def _size(group: tuple[object, list[ReadyFile]]) -> int:
    return sum(file.prepared.records or 0 for file in group[1])


def _header(file: ReadyFile) -> Header:
    assert file.prepared.header is not None  # a delimited file is refused without one
    return file.prepared.header


def _distinct(unexpected: dict[int, str]) -> dict[str, str]:
    """Field and name of the unexpected columns; names that stand twice get the number of their field."""
    times = Counter(unexpected.values())
    return {
        f"c{position}": name if times[name] == 1 else f"{name}_{position + 1}" for position, name in unexpected.items()
    }

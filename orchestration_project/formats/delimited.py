"""Delimited files: those that look alike in one scan, and again record by record where DuckDB counts wrong.

    file with header "id;n;note", contract with columns id and n
    line 'a;1;new'   ->   id 'a', n '1', _rescued '{"note":"new"}'
    line 'ID;N;Note' ->   _raw_line 'ID;N;Note', _parse_error 'repeated_header: ...'

Where the header is, is found out in `header`; how lines are read and numbered, in `lines` and `numbering`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.contracts.ignored_rules import IgnoredPrefix
from orchestration_project.errors import FilesUnfit
from orchestration_project.formats.fields import BLANKS, as_name, as_names, stripped, unless_empty
from orchestration_project.formats.header import Header
from orchestration_project.formats.lines import Dialect, read_lines, uneven
from orchestration_project.formats.numbering import insert_lines
from orchestration_project.formats.prepare import split_carefully
from orchestration_project.formats.staging import ReadyFile, unreadable
from orchestration_project.warehouse.feed_tables import IGNORED
from orchestration_project.warehouse.tables import ident, is_empty, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BOM, QUOTES = "\ufeff", "\"'"
Values = Callable[[Header], dict[str, str]]
"""Gives the raw table's columns as SQL over the fields c0, c1, ... of a line."""


@dataclass(frozen=True, slots=True)
class _Alike:
    """Files with the same names in their headers and the same dialect: they are read in one scan."""

    header: Header
    dialect: Dialect
    files: list[ReadyFile]

    @property
    def records(self) -> int:
        """How many records they have together."""
        return sum(file.prepared.records or 0 for file in self.files)


def values_of(header: Header) -> dict[str, str]:
    """The raw table's columns as SQL over the fields c0, c1, ... of a line."""
    values = {name: f"c{position}" for name, position in header.positions.items()}
    if unexpected := _distinct(header.unexpected):
        pairs = ", ".join(f"{literal(name)}, {field}" for field, name in unexpected.items())
        present = f"coalesce({', '.join(unexpected)}) IS NOT NULL"
        values["_rescued"] = unless_empty(f"CASE WHEN {present} THEN json_object({pairs})::VARCHAR END")
    fields = ", ".join(ident(f"c{position}") for position in range(len(header.fields)))
    # DuckDB gives no text of a line that it could split, so it is put together again from the fields.
    line, repeated = f"concat_ws({literal(header.delimiter)}, {fields})", repeats(header)
    values["_raw_line"] = f"CASE WHEN {repeated} THEN {line} END"
    values["_parse_error"] = f"CASE WHEN {repeated} THEN 'repeated_header: the header line stands again' END"
    return values


def repeats(header: Header) -> str:
    """A condition over the fields of a line that holds where the header stands again, in any spelling of its names.

    In files that were put together it has the byte order mark of its own file in front.
    """
    names = {position: literal(header.fields[position]) for position in sorted(header.positions.values())}
    # A chain of CASEs: DuckDB evaluates a condition that stands twice in a query for every line. That way a load of a
    # million records took 13.7 s of CPU instead of 11.4.
    condition = _if_marked("c0", names.pop(0), "true") if 0 in names else "true"
    if names:
        # Hardly a line comes further than to the length of one field: not of the first one, which costs most.
        found = as_names(f"c{position}" for position in names)
        condition = f"CASE WHEN {found} = {as_names(names.values())} THEN {condition} ELSE false END"
        position, name = next(iter(names.items()))
        condition = _if(f"c{position}", name, condition)
    return condition


def _if(field: str, name: str, then: str) -> str:
    """A condition that holds for a name (SQL for its text), if another one does."""
    text, wanted = stripped(field), as_name(stripped(name))
    # A text in ASCII is the name in its own letters, or none.
    is_shorter_or_longer = f"strlen({text}) <> strlen({wanted}) AND strlen({text}) = length({text})"
    return f"CASE WHEN {is_shorter_or_longer} THEN false WHEN {as_name(text)} = {wanted} THEN {then} ELSE false END"


def _if_marked(field: str, name: str, then: str) -> str:
    """The same, for a name that may stand behind byte order marks; with these in front, quotes around it are data."""
    text, wanted = (_without_quotes(as_name(stripped(value))) for value in (field, name))
    is_marked = f"CASE WHEN {text} = {wanted} THEN {then} ELSE false END"
    return f"CASE WHEN prefix({field}, {literal(BOM)}) THEN {is_marked} ELSE {_if(field, name, then)} END"


def _without_quotes(text: str) -> str:
    """SQL for a text without quotes. A name has some of its own, and those in a quoted field are doubled."""
    for quote in QUOTES:
        text = f"replace({text}, {literal(quote)}, '')"
    return f"trim({text}, {literal(BLANKS)})"


def _distinct(unexpected: dict[int, str]) -> dict[str, str]:
    """Field and name of the unexpected columns; names that stand twice get the number of their field."""
    times = Counter(unexpected.values())
    return {
        f"c{position}": name if times[name] == 1 else f"{name}_{position + 1}" for position, name in unexpected.items()
    }


def stage_delimited(
    connection: "DuckDBPyConnection",
    feed: Feed,
    files: Sequence[ReadyFile],
    values: Values = values_of,
    last: bool = True,
) -> None:
    """Add every record of delimited files to `_staged`.

    Args:
        connection: with `_staged` to add to.
        feed: the contract.
        files: what to read.
        values: in the place of `values_of`.
        last: whether no lines will be read after these.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    values = _noting_prefixes(feed, values)
    # Where DuckDB read another number of records than the scanner counted, ours decides: the grammar splits the file
    # record by record, and DuckDB reads what is written anew.
    again = [
        replace(file, prepared=split_carefully(feed, file.prepared, Path(mkdtemp(dir=file.work))))
        for file in _stage(connection, files, values, last)
    ]
    if broken := _stage(connection, again, values, last):
        what = "has records that can't be separated reliably; deliver it as plain CSV"
        raise FilesUnfit({file.key: unreadable(file.name, what) for file in broken})


def _noting_prefixes(feed: Feed, values: Values) -> Values:
    """The same values, and `_ignored` of lines that begin as the contract says of those that are no data."""
    # Only here is it known which field a line begins with; a line that could not be split is there as a whole.
    cases = " ".join(
        f"WHEN starts_with({stripped('c0')}, {literal(rule.prefix)}) THEN {literal(rule.name)}"
        for rule in feed.ignored
        if isinstance(rule, IgnoredPrefix)
    )
    return (lambda header: values(header) | {IGNORED: f"CASE {cases} END"}) if cases else values


def _stage(connection: "DuckDBPyConnection", files: Iterable[ReadyFile], values: Values, last: bool) -> list[ReadyFile]:
    """Stage files, one scan for all that look alike; returns those whose records did not add up."""
    failed: list[ReadyFile] = []
    # The largest group comes last: its records may stay where they are.
    groups = sorted(_groups(files), key=lambda group: group.records)
    for number, group in enumerate(groups, start=1):
        lines = read_lines(connection, group.files, group.dialect)
        # Their records are not added: they are read again, and no record may arrive twice.
        odd = uneven(lines)
        given = values(group.header)
        # Looking for such records is cheap, asking each of all records whether it is one is not.
        if is_empty(connection, f"{lines.relation} WHERE {repeats(group.header)}"):
            given = {name: value for name, value in given.items() if name not in ("_raw_line", "_parse_error")}
        insert_lines(connection, lines, given, odd, stay=last and number == len(groups) and not failed)
        failed += [group.files[index] for index in sorted(odd)]
    return failed


def _groups(files: Iterable[ReadyFile]) -> list[_Alike]:
    groups: dict[tuple[tuple[str, ...], Dialect], _Alike] = {}
    for file in files:
        header, dialect = _header(file), _dialect(file)
        # By names as written, not by columns: `_rescued` and repeated headers are told by them, too.
        group = groups.setdefault((header.fields, dialect), _Alike(header, dialect, []))
        group.files.append(file)
    return list(groups.values())


def _dialect(file: ReadyFile) -> Dialect:
    header, prepared = _header(file), file.prepared
    return Dialect(
        header.delimiter,
        prepared.quote,
        len(header.fields),
        prepared.line_end,
        prepared.skip,
        prepared.long_records,
    )


def _header(file: ReadyFile) -> Header:
    assert file.prepared.header is not None  # a delimited file is refused without one
    return file.prepared.header

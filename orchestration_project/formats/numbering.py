"""Give lines the numbers that their records have in their files, and add them to `_staged`.

Reading the lines is in `lines`; what their fields mean is given by the caller, as SQL.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from orchestration_project.formats.lines import Lines, drop_lines
from orchestration_project.formats.staging import COPIED, show_staged
from orchestration_project.warehouse.tables import ident, literal, literals, types_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def insert_lines(
    connection: "DuckDBPyConnection",
    lines: Lines,
    values: Mapping[str, str],
    without: Collection[int] = (),
    stay: bool = False,
) -> None:
    """Number the records of files and add them to `_staged`.

    Args:
        connection: with `_staged` to add to.
        lines: what was read. It is used up, unless it stays.
        values: the raw table's columns as SQL over the relation of lines.
        without: indexes of files whose records are not added.
        stay: whether no lines will be read after these. They are not copied then, unless their numbers take a join.
    """
    added = {index for index in range(len(lines.files)) if index not in without}
    with_skipped = {index for index in added if lines.of_files[index].skipped}
    complete = added - with_skipped
    of_files = _of_files(connection, lines)
    listed = ", ".join(f"{value} AS {ident(name)}" for name, value in values.items())
    in_order = f"{of_files}, {_number_in_order(lines)} AS _row, {listed} FROM {lines.relation}"
    # A line's number depends on its rowid only then, so a view can give it, and nothing has to be copied. 10 M records
    # under a memory limit of 2 GB, where the copy went to disk, took 45 s with it and 36 s without.
    if stay and len(complete) == len(lines.files):
        show_staged(connection, f"SELECT rowid AS _nth, {in_order}")
        return
    # Files without skipped records are spared the join.
    if complete:
        _insert(connection, f"SELECT {in_order} WHERE {_among(lines, complete)}")
    if with_skipped:
        among = _among(lines, with_skipped)
        beside = f"SELECT {of_files}, number AS _row, {listed} FROM numbered WHERE {among}"
        _insert(connection, f"{lines_beside_skipped(lines)} {beside}")
        parts = "record AS _row, raw AS _raw_line, error AS _parse_error"
        _insert(connection, f"SELECT {of_files}, {parts} FROM {lines.skipped} WHERE {among}")
    drop_lines(connection)


def insert_numbered(connection: "DuckDBPyConnection", lines: Lines, number: str, values: Mapping[str, str]) -> None:
    """Add records that tell their numbers themselves to `_staged`; the lines are used up.

    Args:
        connection: with `_staged` to add to.
        lines: what was read.
        number: SQL for a record's number.
        values: the raw table's columns as SQL over the relation of lines.
    """
    listed = ", ".join(f"{value} AS {ident(name)}" for name, value in values.items())
    _insert(connection, f"SELECT {_of_files(connection, lines)}, {number} AS _row, {listed} FROM {lines.relation}")
    drop_lines(connection)


def _insert(connection: "DuckDBPyConnection", select: str) -> None:
    connection.execute(f"INSERT INTO {COPIED} BY NAME {select}")


def _number_in_order(lines: Lines) -> str:
    """The number of a line in a file of which no record was skipped."""
    starts = ("NULL" if found.first is None else str(found.first) for found in lines.of_files)
    return f"rowid - {_by_file(starts)} + 1"


def lines_beside_skipped(lines: Lines) -> str:
    """Named table expressions; the last, `numbered`, has the lines of files with skipped records, and their `number`.

    A line's number is its position among the lines of its file, raised by the skipped records before it. That sum
    changes only at skipped records. So there are as many `shifts` as there are runs of skipped records (and one at the
    beginning), and each line takes the last one that it has reached: a join with a small table, without a window or a
    sort over all lines.

        records    1 a    2 (skipped)    3 b    4, 5 (skipped)    6 c
        rowid      10                    11                       12
        steps      0 lines: 0 skipped, 1 line: 1 skipped, 2 lines: 3 skipped
        shifts     from rowid 10: -9, from 11: -8, from 12: -6
        number     1                     3                        6
    """
    # A list of the places of all lines, or a hash join with them, needed more than a small memory limit for one broken
    # quote in a large file.
    return f"""
        WITH starts AS (SELECT _f, min(rowid) AS first FROM {lines.relation} GROUP BY _f),
        skipped AS (
            SELECT _f, record, row_number() OVER (PARTITION BY _f ORDER BY record) AS nth FROM {lines.skipped}),
        steps AS (
            SELECT _f, record - nth AS lines_before, nth AS skipped_before FROM skipped
            -- The lines before the first skipped record.
            UNION ALL SELECT DISTINCT _f, 0, 0 FROM {lines.skipped}),
        -- Of a run of skipped records only the last step counts: no line stands between them.
        shifts AS (
            SELECT _f, first + lines_before AS reached, max(skipped_before) - first + 1 AS shift
            FROM steps JOIN starts USING (_f) GROUP BY _f, lines_before, first),
        numbered AS (
            SELECT lines.*, lines.rowid + shift AS number FROM {lines.relation} AS lines
            ASOF JOIN shifts ON lines._f = shifts._f AND lines.rowid >= reached)"""


def _of_files(connection: "DuckDBPyConnection", lines: Lines) -> str:
    """The columns that tell a record's file, and those that are told by it, as SQL over `_f`."""
    # As text, name and version took 47 bytes a record wherever it was copied or written to disk.
    batches = _by_file((literal(file.batch) for file in lines.files), types_of(connection, COPIED)["_batch_date"])
    names, versions = (
        _by_file(map(literal, of), _enumeration(of))
        for of in zip(*((file.name, file.version) for file in lines.files), strict=True)
    )
    given = "".join(f", {_given(lines, column)} AS {ident(column)}" for column in lines.files[0].prepared.given)
    return f"{batches} AS _batch_date, {names} AS _file, {versions} AS _file_version{given}"


def _given(lines: Lines, column: str) -> str:
    texts = (file.prepared.given[column] for file in lines.files)
    return _by_file(("NULL" if text is None else literal(text) for text in texts), "VARCHAR")


def _among(lines: Lines, these: Collection[int]) -> str:
    """A condition that holds for the records of some of the files."""
    return _by_file("true" if index in these else "false" for index in range(len(lines.files)))


def _by_file(values: Iterable[str], sql_type: str = "") -> str:
    """SQL for the value of a line's file.

    A list instead of a join with the files: for that DuckDB may put all lines into a hash table.
    """
    cast = f"::{sql_type}[]" if sql_type else ""
    return f"([{', '.join(values)}]{cast})[(_f + 1)::BIGINT]"


def _enumeration(values: Iterable[str]) -> str:
    """The type of texts of which there are few: wherever they are kept, each takes a byte or two."""
    return f"ENUM({literals(dict.fromkeys(values))})"

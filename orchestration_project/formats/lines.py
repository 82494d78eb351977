r"""Read text records, many files in one scan: what delimited files and JSON lines have in common.

DuckDB's reader does the splitting. It leaves out blank records and notes those that it can't split; both are put into
a relation beside the lines, with their numbers:

    file 0, data records        lines (_f, c0, c1)     skipped (_f, record, raw, error)
    1  a,1                      0  a  1                0  2  NULL     NULL
    2                           0  b  2                0  3  'lonely' 'too_few_columns: ...'
    3  lonely
    4  b,2

How the lines get their numbers is in `numbering`; what their fields mean, in `delimited` and `json_files`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.errors import FileKey, FileRefused, FilesUnfit
from orchestration_project.formats.csv_scanner import MAX_RECORD_BYTES
from orchestration_project.formats.fields import BLANKS
from orchestration_project.formats.staging import (
    LINES,
    READER_ERRORS,
    READER_SCANS,
    SKIPPED,
    ReadyFile,
    drop,
    unreadable,
)
from orchestration_project.warehouse.tables import literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ERROR_CODES = {
    "MISSING COLUMNS": "too_few_columns",
    "TOO MANY COLUMNS": "too_many_columns",
    "UNQUOTED VALUE": "bad_quoting",
    "LINE SIZE OVER MAXIMUM": "record_too_long",
    "INVALID ENCODING": "undecodable",
    "INVALID STATE": "bad_quoting",
}
"""DuckDB's types of errors, and the codes under which `_parse_error` has them."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How records are split.

    DuckDB takes the first line end, even one in quotes, for that of the file (and 1.5.5 can't be told that it is CR
    LF): so where fields are quoted an unquoted line is skipped. Files with different line ends are not read together.

    Attributes:
        delimiter: one character.
        quote: one character; empty when nothing is quoted.
        width: fields of a record.
        line_end: that of all lines.
        skip: lines before the first record.
        long_records: whether larger buffers than usual are needed.
    """

    delimiter: str
    quote: str
    width: int
    line_end: str = "\n"
    skip: int = 0
    long_records: bool = False


def dialect_of_lines(file: ReadyFile) -> Dialect:
    """How a file is read whose lines are not split."""
    prepared = file.prepared
    return Dialect(
        prepared.no_delimiter, quote="", width=1, line_end=prepared.line_end, long_records=prepared.long_records
    )


SKIPPED_DIALECT = Dialect(",", '"', width=3, skip=1)
"""How `SkippedRecords` writes."""


@dataclass(frozen=True, slots=True)
class FileLines:
    """What was read of one file.

    Attributes:
        first: rowid of its first line, which the others follow; None when it has no lines.
        lines: how many lines it has.
        skipped: how many of its records were skipped.
    """

    first: int | None = None
    lines: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Lines:
    """The records of some files, in two temporary tables of the session; the next `read_lines` replaces them.

    Attributes:
        files: what was read; `_f` in the relations is an index in it.
        of_files: what was read of each of the files.
        relation: name of the table of lines: `_f` UBIGINT and the fields `c0`, `c1`, ... VARCHAR. Its rowid follows the
            order of files and records, so a record's number in its file costs no window over the whole scan.
        skipped: name of the table of the other records: `_f` UBIGINT, `record` BIGINT (its number in the file from 1),
            `raw` and `error` VARCHAR (`code: message`), both NULL for a blank record.
    """

    files: tuple[ReadyFile, ...]
    of_files: tuple[FileLines, ...]
    relation: str = LINES
    skipped: str = SKIPPED


def read_lines(connection: "DuckDBPyConnection", files: Sequence[ReadyFile], dialect: Dialect) -> Lines:
    """Read files of one dialect.

    Raises:
        FilesUnfit: names the files that can't be read at all.
    """
    import duckdb

    drop_lines(connection)
    scan = _scan((file.path for file in files), dialect)
    # In a single column DuckDB gives blank lines as NULL; they are known already, as skipped records.
    condition = "WHERE c0 IS NOT NULL" if dialect.width == 1 else ""
    # DuckDB keeps the order of a scan where it inserts (its default), so rowids follow files and records.
    try:
        connection.execute(f"CREATE TEMP TABLE {LINES} AS SELECT file_index AS _f, * FROM {scan} {condition}")
    except duckdb.Error:
        # The scan stops at the first error: each file is tried by itself, so that all that are broken are named.
        if refused := _refused(connection, files, dialect):
            raise FilesUnfit(refused) from None
        raise
    _collect_skipped(connection, files, dialect)
    found = {index: FileLines(*counts) for index, *counts in connection.execute(_counts_by_file()).fetchall()}
    return Lines(tuple(files), tuple(found.get(index, FileLines()) for index in range(len(files))))


def drop_lines(connection: "DuckDBPyConnection") -> None:
    """Drop what was read last."""
    drop(connection, (LINES, SKIPPED, READER_ERRORS, READER_SCANS))


def uneven(lines: Lines) -> set[int]:
    """The indexes of the files of which more or fewer records were read than were counted in their bytes."""
    return {
        index
        for index, (file, found) in enumerate(zip(lines.files, lines.of_files, strict=True))
        if found.lines + found.skipped != file.prepared.records
    }


def _scan(paths: Iterable[str], dialect: Dialect) -> str:
    columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(dialect.width))
    # No limit to the errors that are noted, and no padding: a record with too few fields is broken, not a short one.
    return f"""read_csv([{literals(paths)}], {_explicit(dialect)}, columns = {{{columns}}},
        null_padding = false, store_rejects = true, rejects_limit = 0,
        rejects_table = {literal(READER_ERRORS)}, rejects_scan = {literal(READER_SCANS)})"""


def _explicit(dialect: Dialect) -> str:
    """Options that leave DuckDB nothing to guess from a sample or from a path."""
    delimiter, quote = literal(dialect.delimiter), literal(dialect.quote)
    # Not for all files: with buffers for 64 MB, every delimited file was refused where the memory limit was small.
    long = f", max_line_size = {MAX_RECORD_BYTES}, buffer_size = {MAX_RECORD_BYTES}" if dialect.long_records else ""
    return f"""auto_detect = false, header = false, delim = {delimiter}, quote = {quote}, escape = {quote},
        comment = '', skip = {dialect.skip}, strict_mode = true, encoding = 'utf-8', compression = 'none',
        hive_partitioning = false{long}"""


def _refused(
    connection: "DuckDBPyConnection", files: Sequence[ReadyFile], dialect: Dialect
) -> dict[FileKey, FileRefused]:
    """The refusals of the files that can't be read by themselves either, by key."""
    import duckdb

    found = {}
    for file in files:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {_scan([file.path], dialect)}")
        except duckdb.Error as error:
            found[file.key] = unreadable(file.name, "can't be read", error)
    return found


def _collect_skipped(connection: "DuckDBPyConnection", files: Sequence[ReadyFile], dialect: Dialect) -> None:
    """Make the table of skipped records: first those that were written down, then those that DuckDB could not split."""
    connection.execute(f"CREATE TEMP TABLE {SKIPPED} (_f UBIGINT, record BIGINT, raw VARCHAR, error VARCHAR)")
    written = {index: file.prepared.skipped for index, file in enumerate(files) if file.prepared.skipped is not None}
    if written:
        # Here, file_index counts the files that have skipped records only.
        connection.execute(
            f"""INSERT INTO {SKIPPED} SELECT {list(written)}[(file_index + 1)::BIGINT], record, raw, error
                FROM read_csv([{literals(map(str, written.values()))}], {_explicit(SKIPPED_DIALECT)},
                columns = {{'record': 'BIGINT', 'raw': 'VARCHAR', 'error': 'VARCHAR'}})"""
        )
    connection.execute(f"INSERT INTO {SKIPPED} {unsplit_records(dialect, [file.path for file in files])}")


def unsplit_records(dialect: Dialect, paths: Sequence[str]) -> str:
    """Query of the records that DuckDB could not split, numbered as in the file that was delivered.

    DuckDB counts the records of what it read, that is of the files `paths`, blank ones too. Those that were taken out
    of the file before (`csv_split`) it does not count, so their number is added: a record comes after as many of them
    as stand in the last of the `steps` that it is beyond.

        delivered: 1 'a,1'   2 '"b"x,1' (taken out)   3 'lonely'   4 'c,1'
        DuckDB:    1 'a,1'                            2 'lonely'   3 'c,1'        and an error at 2
        steps:     beyond 1 read record there is 1 that was taken out             so the error's record is 3

    A line of nothing but blanks, or of empty fields that are more or fewer than the header's, is an error for DuckDB,
    too; here it is a blank record.
    """
    codes = " ".join(f"WHEN {literal(kind)} THEN {literal(code)}" for kind, code in ERROR_CODES.items())
    return f"""
        -- DuckDB notes the path of a file, not which one it was of those that were read.
        WITH paths AS (SELECT unnest(range({len(paths)}))::UBIGINT AS _f, unnest([{literals(paths)}]) AS file_path),
        -- A record can have an error in several columns: the first one counts.
        failed AS (
            SELECT _f, line - {dialect.skip} AS position, trim(any_value(csv_line), chr(13) || chr(10)) AS text,
                CASE arg_min(error_type::VARCHAR, column_idx) {codes} ELSE 'unreadable' END || ': '
                || arg_min(error_message, column_idx) AS error
            FROM {READER_ERRORS} JOIN {READER_SCANS} USING (scan_id, file_id) JOIN paths USING (file_path)
            GROUP BY _f, line),
        -- Blank records are not taken out: their lines are still there to be counted.
        taken_out AS (
            SELECT _f, record, row_number() OVER (PARTITION BY _f ORDER BY record) AS nth
            FROM {SKIPPED} WHERE error IS NOT NULL),
        steps AS (SELECT _f, record - nth AS read_before, max(nth) AS taken_before FROM taken_out GROUP BY ALL)
        SELECT failed._f, position + coalesce(taken_before, 0) AS record,
            CASE WHEN NOT regexp_full_match(text, {literal(_no_values(dialect))}) THEN text END AS raw,
            CASE WHEN raw IS NOT NULL THEN failed.error END AS error
        FROM failed ASOF LEFT JOIN steps ON failed._f = steps._f AND position > read_before"""


def _no_values(dialect: Dialect) -> str:
    """The regular expression of records in which nothing stands."""
    if not dialect.quote:
        return f"[{BLANKS}]*"
    delimiter, quote = re.escape(dialect.delimiter), re.escape(dialect.quote)
    field = f"(?:[{BLANKS}]*|{quote}[{BLANKS}]*{quote})"
    return f"{field}(?:{delimiter}{field})*"


def _counts_by_file() -> str:
    """Query of the lines and skipped records of each file that has any."""
    return f"""
        WITH lines AS (SELECT _f, min(rowid) AS first, count(*) AS lines FROM {LINES} GROUP BY _f),
        skipped AS (SELECT _f, count(*) AS skipped FROM {SKIPPED} GROUP BY _f)
        -- A file may have lines only, or skipped records only.
        SELECT _f, first, coalesce(lines, 0), coalesce(skipped, 0) FROM lines FULL JOIN skipped USING (_f)"""

"""Read text records, many files at a time, and number them: what delimited files and JSON lines have in common.

DuckDB's reader does the splitting. Records that it can't split, and blank ones, which it leaves out, are put back in
their places: `_lines` holds the records in file order, `_gaps` those that are missing there, `_f` is a file's index.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.formats.csv_scanner import MAX_RECORD_BYTES
from orchestration_project.formats.fields import BLANKS
from orchestration_project.formats.staging import COPIED, ReadyFile, show_staged, unreadable
from orchestration_project.warehouse.quoting import ident, literal, literals
from orchestration_project.warehouse.tables import types_of

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
# rowid follows insertion order, so a record's place in its file costs no window over the whole scan.
FIRST_LINES = "SELECT _f, min(rowid) AS first, count(*) AS lines FROM _lines GROUP BY _f"
# What a line's rowid has to be raised by to give its number, from a `line` on: the gaps before it are not in _lines.
SHIFTS = f"""
    WITH numbered AS (SELECT _f, record, row_number() OVER (PARTITION BY _f ORDER BY record) AS nth FROM _gaps),
    steps AS (
        SELECT _f, record - nth AS before, nth AS missing FROM numbered
        UNION ALL SELECT DISTINCT _f, 0, 0 FROM _gaps)
    SELECT _f, first + before AS line, max(missing) - first + 1 AS shift
    FROM steps JOIN ({FIRST_LINES}) USING (_f) GROUP BY _f, before, first"""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How records are split.

    `quote` is empty when nothing is quoted; `skip` lines stand before the first record; `long_records` asks for larger
    buffers. DuckDB takes the first line
    end, even one in quotes, for that of the file (and 1.5.5 can't be told that it is CR LF): so where fields are quoted
    an unquoted line is skipped. Files with different line ends are not read together.
    """

    delimiter: str
    quote: str
    width: int
    line_end: str = "\n"
    skip: int = 0
    long_records: bool = False


OURS = Dialect(",", '"', width=3, skip=1)
"""How this package writes records down."""


def read_lines(connection: "DuckDBPyConnection", files: Sequence[ReadyFile], dialect: Dialect) -> None:
    """Read files of one dialect into `_lines` and `_gaps`.

    Raises:
        FilesUnfit: names the files that can't be read at all.
    """
    import duckdb

    drop(connection, "_lines", "_gaps", "_errors", "_scans")
    scan = _scan((file.path for file in files), dialect)
    # In a single column DuckDB gives blank lines as NULL; they are known already and have their place in _gaps.
    condition = "WHERE c0 IS NOT NULL" if dialect.width == 1 else ""
    try:
        connection.execute(f"CREATE TEMP TABLE _lines AS SELECT file_index AS _f, * FROM {scan} {condition}")
    except duckdb.Error:
        if faults := _faults(connection, files, dialect):
            raise FilesUnfit(faults) from None
        raise
    _collect_gaps(connection, files, dialect.skip)


def _scan(paths: Iterable[str], dialect: Dialect) -> str:
    columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(dialect.width))
    return f"""read_csv([{literals(paths)}], {_explicit(dialect)}, columns = {{{columns}}},
        null_padding = false, store_rejects = true, rejects_limit = 0, rejects_table = '_errors',
        rejects_scan = '_scans')"""


def _explicit(dialect: Dialect) -> str:
    """Options that leave DuckDB nothing to guess from a sample or from a path."""
    delimiter, quote = literal(dialect.delimiter), literal(dialect.quote)
    long = f", max_line_size = {MAX_RECORD_BYTES}, buffer_size = {MAX_RECORD_BYTES}" if dialect.long_records else ""
    return f"""auto_detect = false, header = false, delim = {delimiter}, quote = {quote}, escape = {quote},
        comment = '', skip = {dialect.skip}, strict_mode = true, encoding = 'utf-8', compression = 'none',
        hive_partitioning = false{long}"""


def _faults(connection: "DuckDBPyConnection", files: Sequence[ReadyFile], dialect: Dialect) -> dict[str, FileRefused]:
    """What is wrong with the files that can't be read by themselves."""
    import duckdb

    found = {}
    for file in files:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {_scan([file.path], dialect)}")
        except duckdb.Error as error:
            found[file.name] = unreadable(file.name, "can't be read", error)
    return found


def _collect_gaps(connection: "DuckDBPyConnection", files: Sequence[ReadyFile], skip: int) -> None:
    """Fill `_gaps`; the numbers are those of the file as it was delivered."""
    connection.execute("CREATE TEMP TABLE _gaps (_f UBIGINT, record BIGINT, raw VARCHAR, error VARCHAR)")
    gaps = {index: file.prepared.gaps for index, file in enumerate(files) if file.prepared.gaps is not None}
    if gaps:
        connection.execute(
            f"""INSERT INTO _gaps SELECT $files[(file_index + 1)::BIGINT], record, raw, error
                FROM read_csv([{literals(map(str, gaps.values()))}], {_explicit(OURS)},
                columns = {{'record': 'BIGINT', 'raw': 'VARCHAR', 'error': 'VARCHAR'}})""",
            {"files": list(gaps)},
        )
    connection.execute(f"INSERT INTO _gaps {_unsplit(skip)}", {"paths": [file.path for file in files]})


def _unsplit(skip: int) -> str:
    """Query of the records that DuckDB could not split.

    `line` counts the records of what DuckDB read, blank ones too; the broken ones in `_gaps` had been taken out before.
    """
    codes = " ".join(f"WHEN {literal(kind)} THEN {literal(code)}" for kind, code in ERROR_CODES.items())
    return f"""
        WITH paths AS (SELECT unnest(range(len($paths)))::UBIGINT AS _f, unnest($paths) AS file_path),
        found AS (
            SELECT _f, line - {skip} AS place, trim(any_value(csv_line), chr(13) || chr(10)) AS text,
                CASE arg_min(error_type::VARCHAR, column_idx) {codes} ELSE 'unreadable' END || ': '
                || arg_min(error_message, column_idx) AS error
            FROM _errors JOIN _scans USING (scan_id, file_id) JOIN paths USING (file_path) GROUP BY _f, line),
        taken AS (
            SELECT *, row_number() OVER (PARTITION BY _f ORDER BY record) AS nth FROM _gaps WHERE error IS NOT NULL),
        steps AS (SELECT _f, record - nth AS before, max(nth) AS missing FROM taken GROUP BY ALL)
        SELECT found._f, place + coalesce(missing, 0),
            CASE WHEN trim(text, {literal(BLANKS)}) <> '' THEN text END AS raw,
            CASE WHEN raw IS NOT NULL THEN error END
        FROM found ASOF LEFT JOIN steps ON found._f = steps._f AND place > before"""


def uneven(connection: "DuckDBPyConnection", files: Sequence[ReadyFile]) -> set[int]:
    """The indexes of the files of which more or fewer records were read than were counted in their bytes."""
    rows = connection.execute(
        "SELECT _f, count(*) FROM (SELECT _f FROM _lines UNION ALL SELECT _f FROM _gaps) GROUP BY _f"
    ).fetchall()
    counts = dict(rows)
    return {index for index, file in enumerate(files) if counts.get(index, 0) != file.prepared.records}


def insert_lines(
    connection: "DuckDBPyConnection",
    files: Sequence[ReadyFile],
    values: Mapping[str, str],
    left_out: Collection[int] = (),
    stay: bool = False,
) -> None:
    """Number the records of `_lines` and `_gaps` and add them to `_staged`.

    Args:
        connection: after `read_lines`.
        files: those that were read.
        values: the raw table's columns as SQL over `_lines`.
        left_out: indexes of files whose records are not added.
        stay: whether no lines will be read after these. They are not copied then, unless their numbers take a join.
    """
    first = {index: rowid for index, rowid, _ in connection.execute(FIRST_LINES).fetchall()}
    with_gaps = {index for (index,) in connection.execute("SELECT DISTINCT _f FROM _gaps").fetchall()} - {*left_out}
    without = {*range(len(files))} - with_gaps - {*left_out}
    listed = ", ".join(f"{value} AS {ident(name)}" for name, value in values.items())
    of_files = _of_files(connection, files)

    def insert(selected: str, these: Collection[int]) -> None:
        among = _by_file(("true" if index in these else "false") for index in range(len(files)))
        connection.execute(f"INSERT INTO {COPIED} BY NAME SELECT {of_files}, {selected} WHERE {among}")

    starts = _by_file(str(first.get(index, "NULL")) for index in range(len(files)))
    numbered = f"rowid - {starts} + 1 AS _row, {listed} FROM _lines"
    if stay and len(without) == len(files):
        show_staged(connection, f"SELECT rowid AS _nth, {of_files}, {numbered}")
        return
    if without:
        insert(numbered, without)
    if with_gaps:
        shifted = f"""SELECT _lines.*, _lines.rowid + shift AS number FROM _lines
            ASOF JOIN ({SHIFTS}) shifts ON _lines._f = shifts._f AND _lines.rowid >= line"""
        insert(f"number AS _row, {listed} FROM ({shifted})", with_gaps)
        insert("record AS _row, raw AS _raw_line, error AS _parse_error FROM _gaps", with_gaps)
    drop(connection, "_lines", "_gaps", "_errors", "_scans")


def _of_files(connection: "DuckDBPyConnection", files: Sequence[ReadyFile]) -> str:
    """The columns that tell a record's file, as SQL over `_f`."""
    batches = _by_file((literal(file.batch) for file in files), types_of(connection, COPIED)["_batch_date"])
    names, versions = (
        _by_file(map(literal, of), _enumeration(of))
        for of in zip(*((file.name, file.version) for file in files), strict=True)
    )
    return f"{batches} AS _batch_date, {names} AS _file, {versions} AS _file_version"


def _by_file(values: Iterable[str], sql_type: str = "") -> str:
    """SQL for the value of a line's file.

    A list instead of a join with the files: for that DuckDB may put all lines into a hash table.
    """
    cast = f"::{sql_type}[]" if sql_type else ""
    return f"([{', '.join(values)}]{cast})[(_f + 1)::BIGINT]"


def _enumeration(values: Iterable[str]) -> str:
    """The type of texts of which there are few: wherever they are kept, each takes a byte or two."""
    return f"ENUM({literals(dict.fromkeys(values))})"


def drop(connection: "DuckDBPyConnection", *tables: str) -> None:
    """Drop temporary tables, those that there are."""
    for table in tables:
        connection.execute(f"DROP TABLE IF EXISTS temp.{ident(table)}")

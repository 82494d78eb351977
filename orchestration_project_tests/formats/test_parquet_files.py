"""Parquet files: typed values as the text that a delimited file would have."""

from pathlib import Path

import duckdb
import pytest

from orchestration_project.contracts.date_formats import translate
from orchestration_project.contracts.feed import FileFormat, Parsing, Required, SourceFormat
from orchestration_project.formats.parquet_files import text_of
from orchestration_project_tests.ingest.shop import Shop, column, feed, named

PARQUET = SourceFormat(FileFormat.PARQUET)
CONTRACT = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER"), source=PARQUET)


def parquet(folder: Path, select: str) -> bytes:
    """The bytes of a Parquet file with the result of a query."""
    path = folder / "made.parquet"
    duckdb.sql(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


def test_rows_of_files_with_different_schemas(tmp_path: Path) -> None:
    """Files with other columns and types, and empty ones, are read in one load, each row with its number."""
    shop = Shop(tmp_path, CONTRACT)
    selects = [
        "SELECT 'a' AS id, 1 AS n WHERE false",
        "SELECT 'a' AS id, 1 AS n UNION ALL SELECT 'b', 2",
        "SELECT 3::DOUBLE AS N, 'c' AS ID, [1, 2] AS extra, NULL AS note",
        "SELECT 'd' AS id, 4 AS n UNION ALL SELECT NULL, NULL",
    ]
    for number, select in enumerate(selects, start=1):
        shop.deliver(named(number), parquet(tmp_path, select))
    shop.load()
    assert [shop.records(named(number)) for number in range(1, 5)] == [
        {},
        {1: ("a", "1"), 2: ("b", "2")},
        {1: ("c", "3.0")},
        {1: ("d", "4"), 2: ()},
    ]
    assert [row["_rescued"] for row in shop.table("raw") if row["id"] == "c"] == ['{"extra":[1,2],"note":null}']
    assert shop.cleaned("n") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("value", "sql_type", "expected"),
    [
        pytest.param("DATE '2024-02-01'", "TIMESTAMP", "01/02/2024 00:00", id="date"),
        pytest.param("TIMESTAMP '2024-02-01 10:30:00'", "TIMESTAMP", "01/02/2024 10:30", id="moment"),
        pytest.param("TIMESTAMP '2024-02-01 10:30:01'", "TIMESTAMP", "2024-02-01 10:30:01", id="finer than the format"),
        pytest.param("1.5::DOUBLE", "DOUBLE", "1,5", id="number"),
        pytest.param("1.5::DOUBLE", "VARCHAR", "1.5", id="number for a text"),
        pytest.param("[1, 2]", "VARCHAR", "[1,2]", id="list"),
        pytest.param("'1.5'", "DOUBLE", "1.5", id="text for a number"),
    ],
)
def test_a_typed_value_becomes_the_text_that_a_delimited_file_would_have(
    value: str, sql_type: str, expected: str
) -> None:
    """Dates in the declared format as far as it holds them, numbers with the declared decimal separator."""
    parsing = Parsing(date_format=translate("dd/MM/yyyy HH:mm", "timestamp").strptime, decimal_separator=",")
    typed = duckdb.sql(f"SELECT {value} AS v")
    text = text_of("v", str(typed.types[0]), column("v", sql_type, parsing=parsing))
    assert typed.project(text).fetchall() == [(expected,)]


@pytest.mark.parametrize(
    ("sql", "sql_type", "pattern", "expected"),
    [
        pytest.param("DATE '2024-02-01'", "DATE", "dd/MM/yyyy", "2024-02-01", id="date"),
        pytest.param("DATE '2024-02-01'", "DATE", "'{0}{a}'dd/MM/yyyy", "2024-02-01", id="braces in the pattern"),
        pytest.param(
            "TIMESTAMP '2024-02-01 10:30:00'", "TIMESTAMP", "dd/MM/yyyy HH:mm", "2024-02-01 10:30:00", id="timestamp"
        ),
        pytest.param(
            "DATE '2024-02-01'", "TIMESTAMP", "yyyy-MM-dd HH:mm:ss", "2024-02-01 00:00:00", id="date for a timestamp"
        ),
        pytest.param(
            "TIMESTAMP '2024-02-01 10:30:01'", "TIMESTAMP", "dd/MM/yyyy HH:mm", None, id="finer than the format"
        ),
        pytest.param(
            "TIMESTAMP '2024-02-01 10:30:00.5'", "TIMESTAMP", "yyyy-MM-dd HH:mm:ss", None, id="fraction of a second"
        ),
        pytest.param(
            "TIMESTAMP '2024-02-01 10:30:00.5'", "TIMESTAMP", None, "2024-02-01 10:30:00.500000", id="no format"
        ),
        pytest.param("TIME '10:30:00'", "TIME", "HH:mm", "10:30:00", id="time"),
        pytest.param("'01/02/2024'", "DATE", "dd/MM/yyyy", "2024-02-01", id="date as text"),
        pytest.param(
            "TIMESTAMPTZ '2024-02-01 10:30:00+02'", "TIMESTAMP", None, None, id="offset where none is declared"
        ),
        pytest.param("1.50::DECIMAL(9,2)", "DECIMAL(18,2)", None, "1.50", id="decimal"),
        pytest.param("true", "BOOLEAN", None, "True", id="boolean"),
        pytest.param("170141183460469231731687303715884105727::HUGEINT", "BIGINT", None, None, id="too large"),
        pytest.param("'NaN'::DOUBLE", "DOUBLE", None, None, id="NaN"),
    ],
)
def test_values(sql: str, sql_type: str, pattern: str | None, expected: str | None, tmp_path: Path) -> None:
    """A value keeps all of its meaning or is rejected for its type."""
    parsing = Parsing()
    if pattern:
        kind = "date" if sql_type == "DATE" else "time" if sql_type == "TIME" else "timestamp"
        form = translate(pattern, kind)  # type: ignore[arg-type]  # one of the three
        parsing = Parsing(date_format=form.strptime, date_width=form.width, date_regex=form.regex)
    shop = Shop(tmp_path, feed(column("v", sql_type, parsing=parsing), source=PARQUET))
    shop.deliver(named(1), parquet(tmp_path, f"SELECT {sql} AS v"))
    shop.load()
    assert [str(value) for value in shop.cleaned("v")] == ([] if expected is None else [expected])
    assert shop.rejected() == ({} if expected else {1: ["v: type"]})


def test_numbers_are_not_read_in_the_notation_of_text(tmp_path: Path) -> None:
    """A Parquet number has a decimal point, whatever the contract says of numbers in text; text has what it says."""
    parsing = Parsing(decimal_separator=",", thousands_separator=".")
    shop = Shop(tmp_path, feed(column("v", "DECIMAL(18,3)", parsing=parsing), source=PARQUET))
    shop.deliver(named(1), parquet(tmp_path, "SELECT 1.234 AS v"))
    shop.deliver(named(2), parquet(tmp_path, "SELECT '1.234' AS v"))
    shop.load()
    assert [str(value) for value in shop.cleaned("v")] == ["1.234", "1234.000"]


def test_broken_files_do_not_stop_the_others(tmp_path: Path) -> None:
    """No footer, damaged pages and a missing column each refuse their own file, and no value is told."""
    whole = parquet(tmp_path, "SELECT 'secret' || i AS id, i::INTEGER AS n FROM range(5000) t(i)")
    shop = Shop(tmp_path, CONTRACT)
    shop.deliver(named(1), whole[:-20])
    shop.deliver(named(2), whole[:4] + b"\xff" * 2000 + whole[2004:])
    shop.deliver(named(3), parquet(tmp_path, "SELECT 1 AS n"))
    shop.deliver(named(4), parquet(tmp_path, "SELECT 'd' AS id, 4 AS n"))
    shop.load()
    assert shop.cleaned("id", "n") == [("d", 4)]
    notes = shop.quarantine()
    assert {name: note["rule"] for name, note in notes.items()} == {
        named(1): "unreadable",
        named(2): "unreadable",
        named(3): "missing_column",
    }
    assert not any("secret" in note["reason"] for note in notes.values())


def test_folders_like_partitions_are_no_columns(tmp_path: Path) -> None:
    """A data folder whose path has `name=value` in it adds no column."""
    shop = Shop(tmp_path / "id=wrong" / "region=eu", CONTRACT)
    shop.folder.mkdir(parents=True)
    shop.deliver(named(1), parquet(tmp_path, "SELECT 'a' AS id, 1 AS n"))
    shop.load()
    assert [(row["id"], row["_rescued"]) for row in shop.table("raw")] == [("a", None)]


def loaded_beside_a_good_file(folder: Path, damaged: bytes) -> dict[str, str]:
    """What becomes of a damaged file while a good one is loaded: the reasons by name."""
    shop = Shop(folder, CONTRACT)
    shop.deliver(named(1), damaged)
    shop.deliver(named(2), parquet(folder, "SELECT 'good' AS id, 1 AS n"))
    shop.load()
    assert shop.cleaned("id") == ["good"]
    return {name: note["reason"] for name, note in shop.quarantine().items()}


@pytest.mark.promise("input")
@pytest.mark.found("for the error of one damaged Parquet file all files after it were refused")
def test_statistics_that_are_no_text(tmp_path: Path) -> None:
    """A footer that can't be understood is the fault of its file alone."""
    content = parquet(tmp_path, "SELECT 'zzzz' AS id, 1 AS n").replace(b"zzzz", b"\xff\xfe\xfd\xfc")
    reasons = loaded_beside_a_good_file(tmp_path, content)
    assert list(reasons) == [named(1)]
    assert "is not a readable Parquet file" in reasons[named(1)]


@pytest.mark.promise("input")
@pytest.mark.found("a Parquet file with fewer rows than its footer tells stopped the load of all files")
def test_a_footer_that_tells_of_more_rows(tmp_path: Path) -> None:
    """A file that holds fewer rows than it says is refused."""
    rows = "SELECT 'a' AS id, range AS n FROM range(77)"
    counted, more = b"\x9a\x01", b"\x9c\x01"  # 77 and 78 as the format writes them
    content = parquet(tmp_path, rows)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    place = content.index(counted, footer)
    reasons = loaded_beside_a_good_file(tmp_path, content[:place] + more + content[place + 2 :])
    assert "its footer tells of 78 rows, 77 are in it" in reasons[named(1)]

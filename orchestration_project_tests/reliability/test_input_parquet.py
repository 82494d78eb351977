"""Parquet files: values are exact or refused by the file's own schema, and small files stay small."""

from pathlib import Path

import duckdb
import pytest

from orchestration_project.contracts.feed import FileFormat, Parsing, SourceFormat
from orchestration_project.settings import Settings
from orchestration_project_tests.formats.test_parquet_files import parquet
from orchestration_project_tests.ingest.shop import Shop, column, feed, named
from orchestration_project_tests.ingest.test_values import formatted
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.hostile import outcomes

pytestmark = pytest.mark.promise("input")

PARQUET = SourceFormat(FileFormat.PARQUET)
OTHER = "SELECT 'other' AS id"


def loaded(folder: Path, content: bytes, *columns: object) -> Shop:
    """A shop that has loaded the file, and another one beside it."""
    shop = Shop(folder, feed(column("id"), *columns, source=PARQUET))  # type: ignore[arg-type]  # columns
    shop.deliver(named(1), content)
    shop.deliver(named(2), parquet(folder, OTHER))
    shop.load()
    assert outcomes(shop)[named(2)] == (1, 0, 0)
    return shop


@pytest.mark.found("Decimals of more than 38 digits were read as other prices.")
def test_decimals_of_too_many_digits(tmp_path: Path) -> None:
    """The file is refused, whether the contract knows the column or not."""
    content = parquet(tmp_path, "SELECT 'a' AS id, 1.10::DECIMAL(38,2) AS price")
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    # Thrift writes 38 as 0x4c, and the precision stands twice in the footer; 0x4e is 39.
    wider = content[:footer] + content[footer:].replace(b"\x4c", b"\x4e")
    shop = loaded(tmp_path, wider, column("price", "DECIMAL(18,2)"))
    assert outcomes(shop)[named(1)] == "inexact_type"
    assert "'price'" in shop.quarantine()[named(1)]["reason"]


@pytest.mark.found("Text that was not marked as UTF-8 was stored with escapes: a backslash became \\x5C.")
def test_text_that_is_not_marked_as_text(tmp_path: Path) -> None:
    """Bytes are the text that they spell."""
    select = r"SELECT encode(t) AS id, encode(t) AS more FROM (SELECT unnest(['Tür', 'a\b', '', NULL]) AS t)"
    shop = loaded(tmp_path, parquet(tmp_path, select))
    found = [(row["id"], row["_rescued"]) for row in shop.table("raw") if row["_file"] == named(1)]
    assert found == [("Tür", '{"more":"Tür"}'), ("a\\b", '{"more":"a\\\\b"}'), ("", None), (None, None)]


@pytest.mark.found("Bytes that are no UTF-8 were stored as escapes.")
def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """The file is refused, and the column is named."""
    shop = loaded(tmp_path, parquet(tmp_path, r"SELECT unnest(['ok'::BLOB, '\xFF'::BLOB]) AS id"))
    assert outcomes(shop)[named(1)] == "undecodable"
    assert "'id'" in shop.quarantine()[named(1)]["reason"]


@pytest.mark.found("Of two Parquet columns that differ by case one was taken silently.")
def test_columns_that_differ_by_case(tmp_path: Path) -> None:
    """For a column of the contract the file is refused; others are kept, each under its name."""
    content = parquet(tmp_path, "SELECT 'a' AS id, 'b' AS xd, 'c' AS yz, 'd' AS \"zz\"")
    shop = loaded(tmp_path, content.replace(b"xd", b"ID"))
    assert outcomes(shop)[named(1)] == "ambiguous_column"
    shop = loaded(tmp_path / "unknown", content.replace(b"zz", b"YZ"))
    assert shop.rows("SELECT _rescued FROM raw_f WHERE id = 'a'") == [{"_rescued": '{"xd":"b","yz":"c","YZ":"d"}'}]


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        pytest.param("unnest([1001.0, 7.0, -0.0, NULL]::DOUBLE[])", ["1001", "7", "0"], id="whole"),
        pytest.param("unnest([1.5, 9007199254740991]::DOUBLE[])", ["1.5", "9007199254740991"], id="exact"),
        pytest.param("unnest([1.0, 1e16]::DOUBLE[])", "inexact_type", id="too long"),
        pytest.param("16777216::FLOAT", "inexact_type", id="too long for a FLOAT"),
        pytest.param("12345678901234567::BIGINT", ["12345678901234567"], id="integer"),
    ],
)
@pytest.mark.found("Ids that a file holds as floats became '1001.0' and '1e+16'.")
def test_floats_for_a_text_column(select: str, expected: object, tmp_path: Path) -> None:
    """A whole number is written as one; where a float may have lost digits, the file is refused."""
    shop = loaded(tmp_path, parquet(tmp_path, f"SELECT {select} AS id"))
    found = [row["id"] for row in shop.table("cleaned") if row["_file"] == named(1)]
    assert (found or outcomes(shop)[named(1)]) == expected
    tried()


MOMENT = "TIMESTAMPTZ '2024-07-01 10:00:00+02'"


@pytest.mark.parametrize(
    ("value", "sql_type", "parsing", "expected"),
    [
        pytest.param(MOMENT, "TIMESTAMP", formatted("yyyy-MM-dd HH:mm:ss"), None, id="no zone in the contract"),
        pytest.param(MOMENT, "DATE", formatted("yyyy-MM-dd", "date"), None, id="a date in the contract"),
        pytest.param(MOMENT, "TIMESTAMPTZ", Parsing(has_timezone=True), "08:00:00+00", id="ISO"),
        pytest.param(MOMENT, "TIMESTAMPTZ", formatted("dd.MM.yyyy HH:mm xxx"), "08:00:00+00", id="offset"),
        pytest.param(MOMENT, "TIMESTAMPTZ", formatted("dd.MM.yyyy HH:mm xx"), "08:00:00+00", id="short offset"),
        pytest.param(MOMENT, "TIMESTAMPTZ", formatted("dd.MM.yyyy HH:mmX"), "08:00:00+00", id="letter"),
        pytest.param(MOMENT, "TIMESTAMPTZ", formatted("dd.MM.yyyy HH:mm VV"), "08:00:00+00", id="zone's name"),
        pytest.param(
            MOMENT,
            "TIMESTAMPTZ",
            formatted("dd.MM.yyyy HH:mm", default_timezone="Europe/Berlin"),
            "08:00:00+00",
            id="default zone",
        ),
        pytest.param(MOMENT, "TIMESTAMPTZ", formatted("dd.MM.yyyy HH:mm:ss.S"), "08:00:00+00", id="one digit"),
        pytest.param(
            "TIMESTAMPTZ '2024-10-27 00:30:00Z'",
            "TIMESTAMPTZ",
            Parsing(default_timezone="Europe/Berlin"),
            None,
            id="first of two equal hours of autumn",
        ),
        pytest.param(
            "TIMESTAMP '2024-07-01 10:00:00'", "TIMESTAMPTZ", Parsing(has_timezone=True), None, id="no zone in the file"
        ),
        pytest.param(
            "TIMESTAMP '2024-07-01 10:00:00'",
            "TIMESTAMPTZ",
            formatted("dd.MM.yyyy HH:mm xxx"),
            None,
            id="no zone in the file, format with an offset",
        ),
        pytest.param("TIMETZ '10:00:00+02'", "TIME", formatted("HH:mm", "time"), None, id="time with a zone"),
    ],
)
@pytest.mark.found("A moment with a zone became UTC wall time where the contract has a format.")
def test_moments_with_a_zone(value: str, sql_type: str, parsing: Parsing, expected: str | None, tmp_path: Path) -> None:
    """A moment is the same one in the table, or it is rejected for its type."""
    shop = loaded(tmp_path, parquet(tmp_path, f"SELECT {value} AS v"), column("v", sql_type, parsing=parsing))
    found = shop.rows(f"SELECT strftime(v::TIMESTAMPTZ, '%H:%M:%S%z') AS v FROM cleaned_f WHERE _file = '{named(1)}'")
    assert [row["v"] for row in found] == ([] if expected is None else [expected])
    assert shop.rejected() == ({1: ["v: type"]} if expected is None else {})
    tried()


class _SmallShop(Shop):
    """A shop that takes files of up to a million bytes."""

    @property
    def settings(self) -> Settings:
        """The settings."""
        return Settings(data_dir=self.folder, lock_timeout=0.2, threads=1, max_file_bytes=1_000_000)


LONG = "repeat('x', 10000)"


@pytest.mark.parametrize("parsing", [Parsing(), formatted("dd.MM.yyyy", "date")], ids=["ISO", "format"])
@pytest.mark.parametrize("unit", ["TIMESTAMP", "TIMESTAMP_MS", "TIMESTAMP_NS"])
def test_midnights_in_a_column_of_days(unit: str, parsing: Parsing, tmp_path: Path) -> None:
    """A midnight without a zone is its day, and no other moment is."""
    moments = "'2024-02-01 00:00:00'", "'2024-02-01 00:00:01'", "'1969-12-31 00:00:00'", "NULL"
    select = f"SELECT 'a' || row_number() OVER () AS id, v::{unit} AS v FROM (VALUES ({'), ('.join(moments)})) AS t(v)"
    shop = loaded(tmp_path, parquet(tmp_path, select), column("v", "DATE", parsing=parsing))
    found = shop.rows(f"SELECT id, v::VARCHAR AS v FROM cleaned_f WHERE _file = '{named(1)}' ORDER BY id")
    assert [(row["id"], row["v"]) for row in found] == [("a1", "2024-02-01"), ("a3", "1969-12-31"), ("a4", None)]
    assert [row["_reasons"] for row in shop.table("rejected")] == [["v: type"]]


@pytest.mark.parametrize(
    "select",
    [
        pytest.param(f"SELECT {LONG} AS id FROM range(1000)", id="text"),
        pytest.param(f"SELECT encode({LONG}) AS id FROM range(1000)", id="bytes"),
        pytest.param(f"SELECT 'a' AS id, [{LONG}] AS more FROM range(1000)", id="list"),
        pytest.param("SELECT NULL::BIGINT AS id FROM range(500000)", id="runs of numbers"),
        pytest.param(f"SELECT 'a' AS id, 1 AS {'n' * 1000} FROM range(1000)", id="long name"),
    ],
)
@pytest.mark.found("A Parquet file of 1,550 bytes wrote 4.5 GB where MAX_FILE_BYTES allowed 100 MB.")
def test_small_files_of_large_values(select: str, tmp_path: Path) -> None:
    """What a dictionary or a run holds once counts as often as it is a value."""
    shop = _SmallShop(tmp_path, feed(column("id"), source=PARQUET))
    shop.deliver(named(1), parquet(tmp_path, select))
    shop.deliver(named(2), parquet(tmp_path, OTHER))
    shop.load()
    assert outcomes(shop) == {named(1): "too_large", named(2): (1, 0, 0)}
    tried()


@pytest.mark.found("A Parquet file of 811 bytes took 86 seconds.")
def test_more_rows_than_bytes_allow(tmp_path: Path) -> None:
    """A file of a few hundred bytes with ten million rows is refused before a row is read."""
    path = tmp_path / "rows.parquet"
    select = "SELECT NULL::INTEGER AS id FROM range(10000000)"
    duckdb.sql(f"COPY ({select}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 10000000)")
    shop = loaded(tmp_path, path.read_bytes())
    assert outcomes(shop)[named(1)] == "too_large"
    assert "10,000,000 rows" in shop.quarantine()[named(1)]["reason"]

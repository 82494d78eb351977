"""Values as they should not be, and the files of csv_torture: every value that is cleaned is the one delivered."""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest
import zstandard

from orchestration_project.contracts.feed import Feed, FileFormat, Parsing, SourceFormat
from orchestration_project.settings import Settings
from orchestration_project_tests.formats.test_parquet_files import parquet
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, read
from orchestration_project_tests.ingest.test_values import formatted
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.hostile import TORTURE_FILES, outcomes

pytestmark = pytest.mark.promise("input")

JSON, PARQUET = SourceFormat(FileFormat.JSON), SourceFormat(FileFormat.PARQUET)
BERLIN = Parsing(default_timezone="Europe/Berlin")
DAY_FIRST, MONTH_FIRST = formatted("dd/MM/yyyy", "date"), formatted("MM/dd/yyyy", "date")


@pytest.mark.parametrize(
    ("sql_type", "parsing", "texts", "cleaned", "rejected"),
    [
        pytest.param(
            "DATE",
            DAY_FIRST,
            ["31/12/2024", "12/31/2024", "03/04/2024"],
            ["2024-12-31", "2024-04-03"],
            [2],
            id="day first",
        ),
        pytest.param(
            "DATE",
            MONTH_FIRST,
            ["31/12/2024", "12/31/2024", "03/04/2024"],
            ["2024-12-31", "2024-03-04"],
            [1],
            id="month first",
        ),
        pytest.param(
            "DATE",
            Parsing(),
            ["2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2024-02-30"],
            ["2024-02-29", "2000-02-29"],
            [2, 3, 5],
            id="29 February",
        ),
        pytest.param(
            "TIMESTAMPTZ",
            BERLIN,
            ["2024-03-31 01:59:59", "2024-03-31 02:30:00", "2024-03-31 03:00:00"],
            ["2024-03-31 00:59:59+00:00", "2024-03-31 01:00:00+00:00"],
            [2],
            id="an hour that clocks skip",
        ),
        pytest.param(
            "INTEGER",
            Parsing(),
            ["1e3", "1E0", "1000", "1000.0", "1000.5", "-0"],
            ["1000", "1000", "0"],
            [1, 2, 5],
            id="exponent for an integer",
        ),
        pytest.param(
            "DECIMAL(18,2)",
            Parsing(),
            ["1e3", "1.5e-1", "1e-3", "1e17", "-0.00"],
            ["1000.00", "0.15", "0.00"],
            [3, 4],
            id="exponent for a decimal",
        ),
        pytest.param(
            "DOUBLE",
            Parsing(),
            ["1e3", "NaN", "Infinity", "-inf", "1e999", "-0.0"],
            ["1000.0", "0.0"],
            [2, 3, 4, 5],
            id="doubles that are no numbers",
        ),
        pytest.param(
            "BIGINT",
            Parsing(),
            ["9223372036854775807", "9223372036854775808", "9" * 400],
            ["9223372036854775807"],
            [2, 3],
            id="huge integers",
        ),
    ],
)
def test_values_that_look_right(
    sql_type: str, parsing: Parsing, texts: list[str], cleaned: list[str], rejected: list[int], tmp_path: Path
) -> None:
    """A value is taken as the contract declares it or rejected for its type; none is bent until it fits."""
    shop = read(tmp_path, "v\n" + "".join(f"{text}\n" for text in texts), feed(column("v", sql_type, parsing=parsing)))
    found = shop.rows("SELECT v FROM cleaned_f ORDER BY _row")
    assert [str(row["v"]) for row in found] == cleaned
    assert shop.rejected() == {number: ["v: type"] for number in rejected}
    tried(len(texts))


@pytest.mark.parametrize("sql_type", ["INTEGER", "DOUBLE", "DECIMAL(9,2)"])
def test_negative_zero_is_the_same_key_as_zero(sql_type: str, tmp_path: Path) -> None:
    """0 and -0 are one key, whatever the type: the later record keeps it."""
    contract = feed(column("k", sql_type), column("n", "INTEGER"), primary_key=("k",))
    shop = read(tmp_path, "k,n\n0,1\n-0,2\n", contract)
    assert shop.cleaned("n") == [2]
    assert shop.rejected() == {1: [f"k: duplicate_key (kept: {named(1)} row 2)"]}


@pytest.mark.found("JSON numbers of more than 15 digits were rounded, and an exponent was written out.")
def test_json_numbers_keep_their_digits(tmp_path: Path) -> None:
    """A number in JSON arrives with all of its digits, in lines, in arrays, in nested values and in unknown keys."""
    contract = feed(column("id"), column("n", "DECIMAL(38,18)"), source=JSON)
    shop = Shop(tmp_path, contract)
    long = "12345678901234567.123456789012345678"
    record = f'{{"id":{{"x":{long}}},"n":{long},"extra":[{long},1.5,"{long}"]}}'
    shop.deliver(named(1), record + '\n{"id":"a","n":-1.5e-3}\n{"id":123456789012345678901234567890,"n":0.1}\n')
    shop.deliver(named(2), f"[{record}]")
    shop.load()
    assert shop.cleaned("id", "n") == [
        (f'{{"x":{long}}}', Decimal(long)),
        ("a", Decimal("-0.0015")),
        ("123456789012345678901234567890", Decimal("0.1")),
        (f'{{"x":{long}}}', Decimal(long)),
    ]
    assert shop.table("cleaned")[0]["_rescued"] == f'{{"extra":[{long},1.5,"{long}"]}}'


def test_json_words_for_no_number_are_rejected(tmp_path: Path) -> None:
    """NaN and Infinity, which some programs write, are no numbers and do not get into a sum."""
    shop = read(tmp_path, '{"v":NaN}\n{"v":-Infinity}\n{"v":1.5}\n', feed(column("v", "DOUBLE"), source=JSON))
    assert shop.cleaned("v") == [1.5]
    assert shop.rejected() == {1: ["v: type"], 2: ["v: type"]}


@pytest.mark.found("Of a key that stood twice in a JSON object the first value was taken silently.")
def test_a_json_key_that_stands_twice(tmp_path: Path) -> None:
    """The record is rejected as it was delivered, for it is unknown which value counts."""
    record = '{"id":"a","n":1,"id":"b"}'
    shop = read(tmp_path, record + '\n{"id":"c","n":2}\n', feed(source=JSON))
    assert [(row["_raw_line"], row["_reasons"]) for row in shop.table("rejected")] == [
        (record, ["_raw_line: ambiguous_key"])
    ]
    assert shop.cleaned("id") == ["c"]


@pytest.mark.found("Of two Parquet columns for one of the contract the first was taken silently.")
def test_a_parquet_column_in_two_spellings(tmp_path: Path) -> None:
    """The file is refused, as a delimited one is."""
    contract = feed(column("id", aliases=("key",)), source=PARQUET)
    shop = Shop(tmp_path, contract)
    shop.deliver(named(1), parquet(tmp_path, "SELECT 'a' AS id, 'b' AS key"))
    shop.load()
    assert outcomes(shop)[named(1)] == "ambiguous_column"


def test_parquet_whose_rows_can_be_counted_but_not_read(tmp_path: Path) -> None:
    """A footer that is whole does not help: the file is refused, and the one beside it loads."""
    shop = Shop(tmp_path, feed(source=PARQUET))
    whole = parquet(tmp_path, "SELECT 'secret' || i AS id, i::INTEGER AS n FROM range(5000) t(i)")
    shop.deliver(named(1), whole[:4] + b"\xff" * 2000 + whole[2004:])
    shop.deliver(named(2), parquet(tmp_path, "SELECT 'a' AS id, 1 AS n"))
    shop.load()
    assert tuple(outcomes(shop)[named(number)] for number in (1, 2)) == ("unreadable", (1, 0, 0))


class _SmallShop(Shop):
    """A shop that takes files of up to 1,000 bytes."""

    @property
    def settings(self) -> Settings:
        """The settings."""
        return Settings(data_dir=self.folder, lock_timeout=0.2, threads=1, max_file_bytes=1000)


ROWS = b"id,n\n" + b"a,1\n" * 1000


@pytest.mark.parametrize(
    ("contract", "content"),
    [
        pytest.param(feed(), ROWS, id="plain"),
        pytest.param(feed(), gzip.compress(ROWS), id="gzip"),
        pytest.param(feed(), zstandard.ZstdCompressor().compress(ROWS), id="zstd"),
        pytest.param(feed(), gzip.compress(bytes(100 << 20)), id="bomb"),
        pytest.param(feed(source=PARQUET), b"", id="Parquet"),
    ],
)
def test_a_file_that_is_too_large(contract: Feed, content: bytes, tmp_path: Path) -> None:
    """A file of more bytes than MAX_FILE_BYTES, decompressed, is refused, and no more than these are ever written."""
    many = "SELECT md5(i::VARCHAR) AS id, i::INTEGER AS n FROM range(1000) t(i)"
    shop = _SmallShop(tmp_path, contract)
    shop.deliver(named(1), content or parquet(tmp_path, many))
    shop.load()
    assert outcomes(shop)[named(1)] == "too_large"
    assert "MAX_FILE_BYTES" in shop.quarantine()[named(1)]["reason"]


@pytest.mark.parametrize(
    ("name", "contract", "expected"),
    [
        pytest.param(
            "strange.csv",
            feed(column("name"), column("since", "INTEGER"), source=SourceFormat(delimiter=";")),
            "no_header",
            id="strange",
        ),
        pytest.param(
            "uspop-null.csv",
            feed(column("city"), column("state"), column("population", "INTEGER"), column("latitude", "DOUBLE")),
            (97, 3, 0),
            id="a word for null that is not declared",
        ),
        pytest.param(
            "uspop.csv", feed(column("city"), column("population", "SMALLINT")), (82, 18, 0), id="numbers out of range"
        ),
    ],
)
def test_rust_csv(name: str, contract: Feed, expected: object, tmp_path: Path) -> None:
    """The files of rust-csv that need a contract of their own are told exactly."""
    path = TORTURE_FILES / "rust-csv" / name
    if not path.is_file():
        pytest.skip("rust-csv is not beside the checkout (../shared/data/csv_torture)")
    shop = read(tmp_path, path.read_bytes(), contract)
    assert outcomes(shop)[named(1)] == expected

"""Faults that the oracle found, each by its smallest file: they stay mended."""

import datetime as dt
from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Feed, FileFormat, Parsing, Required, SourceFormat
from orchestration_project_tests.ingest.shop import column, feed, named
from orchestration_project_tests.oracle.files import Delivery, File, stored
from orchestration_project_tests.oracle.oracle import Rows, outcome
from orchestration_project_tests.oracle.parquet_bytes import parquet_bytes
from orchestration_project_tests.oracle.test_oracle import comparable, loaded
from orchestration_project_tests.oracle.values import Cell, Contract, Number

pytestmark = pytest.mark.promise("input")

ITEMS = feed(column("id", "VARCHAR", Required()), column("item"), column("note"))
NUMBERS = feed(column("id"), column("n", "INTEGER"))
JSON, PARQUET = SourceFormat(FileFormat.JSON), SourceFormat(FileFormat.PARQUET)
ZONED = Parsing(has_timezone=True)
MOMENT = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)


def text(contract: Feed, content: str) -> tuple[Contract, File]:
    """A file of text."""
    return Contract(contract), File(content.encode())


def typed(
    sql_type: str, kind: str, value: object, cell: Cell, patterns: dict[str, str] | None = None, *more: str
) -> tuple[Contract, File]:
    """A Parquet file with one value in a column `v` (and in others, by their names)."""
    names = ("v", *more)
    content = parquet_bytes([stored(name, kind, [value]) for name in names])
    parsing = (
        Parsing(date_format="%d.%m.%Y %H:%M", date_regex=r"\d{2}.\d{2}.\d{4} \d{2}:\d{2}") if patterns else Parsing()
    )
    contract = feed(column("v", sql_type, parsing=parsing), source=PARQUET)
    rows = Rows(names, (dict.fromkeys(names, cell),), kind == "wide")
    return Contract(contract, patterns or {}), File(content, rows)


MENDED = {
    "shifted rows": text(ITEMS, "id,item,note\n1,cup,red\n2,,cup,\n"),
    "stray quotes": text(ITEMS, 'id,item,note\n1,cup"large, blue"\n'),
    "quotes in the header": text(ITEMS, 'id,"item,"note",x\n1,cup,red,y\n'),
    "NUL in the header": text(ITEMS, "id,item,note,x\0y\n1,cup,red,z\n"),
    "spellings of headers": text(ITEMS, 'id, "item",note\n1,cup,red\n'),
    "marks inside": text(ITEMS, "id,item,note\n1,cup,red\n\ufeffid,item,note\n"),
    "column names": text(feed(column("file")), "file\na\n"),
    "exponents": text(feed(column("v", "DECIMAL(38,2)")), "v\n3.133713371337133713371337e24\n"),
    "offsets": text(feed(column("v", "TIMESTAMPTZ", parsing=ZONED)), "v\n2024-07-01 12:00:00+99:99\n"),
    "negative zero": text(feed(column("v", "DOUBLE")), "v\n-0\n"),
    "plain bytes": typed("VARCHAR", "blob", "Käse", "Käse"),
    "binary numbers as text": typed("VARCHAR", "double", 1001.0, Number("1001.0", binary=True)),
    "zones of Parquet": typed("TIMESTAMP", "zoned", MOMENT, MOMENT, {"v": "dd.MM.yyyy HH:mm"}),
    "names that differ by case": typed("VARCHAR", "text", "a", "a", None, "V"),
    "minutes with an offset": text(feed(column("v", "TIMESTAMPTZ", parsing=ZONED)), "v\n2024-07-01 12:00Z\n"),
    "blanks before an offset": text(feed(column("v", "TIMESTAMPTZ", parsing=ZONED)), "v\n2024-07-01 12:00:00 Z\n"),
    "digits of JSON numbers": text(feed(column("v"), source=JSON), '{"v":1.10}\n'),
    "digits inside of JSON": text(feed(column("v"), source=JSON), '{"v":{"a":[1.10,-0,1e3,"\\"\\\\u0000"]}}\n'),
    "NUL in JSON": text(feed(column("v"), source=JSON), '{"v":"a\\u0000"}\n'),
    "controls in JSON": text(feed(column("v"), source=JSON), '{"v":"a\x01b"}\n'),
    "large binary numbers": typed("VARCHAR", "double", 1e16, Number("1e+16", binary=True)),
    "wide decimals": typed("DECIMAL(18,2)", "wide", 110, Number("1.10")),
    "blanks in other columns": text(NUMBERS, "id,n,x\n,, \n"),
    "short empty records": text(ITEMS, 'id,item,note\n""\n'),
}
"""What loads once said otherwise than the oracle, by the smallest files."""


@pytest.mark.found("of small files an oracle in plain Python said something else than a load, and the load was wrong")
@pytest.mark.parametrize("name", MENDED)
def test_mended(name: str, tmp_path: Path) -> None:
    """What was once a fault is none any more: load and oracle say the same."""
    contract, file = MENDED[name]
    found = loaded(tmp_path, Delivery(contract, (file,)))[named(1)]
    assert comparable(found) == comparable(outcome(contract, file.rows or file.content, named(1)))

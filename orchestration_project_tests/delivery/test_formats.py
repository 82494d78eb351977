"""Formats of delivered files: every value arrives as it is, and is read back by another way than it was written."""

import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from openpyxl.utils.escape import unescape

from orchestration_project.delivery import workbooks
from orchestration_project.delivery.file_formats import FORMATS, csv_figures, json_figures
from orchestration_project.delivery.model import Figures, Shape, differences, plan, same_sum
from orchestration_project.errors import DeliveryError

# Texts that programs take for something else than text.
TEXTS = ["=1+1", "@sum(A1)", "+49", "-1", "http://a.b", "007", " a\nb\t", 'say "x", y', "", "_x0041_", "ü€😀", "{=A1}"]
WIDE = "12345678901234567.89"
LARGEST = 9_223_372_036_854_775_807


def made(folder: Path, format: str, select: str) -> tuple[Shape, Path]:  # noqa: A002 - as in defs.yaml
    """A file of the rows of a SELECT, and their shape."""
    copied, path = folder / "copied.parquet", folder / f"made{FORMATS[format].ending}"
    duckdb.sql(f"COPY ({select}) TO '{copied}' (FORMAT parquet)")
    columns = {name: kind for name, kind, *_ in duckdb.sql(f"DESCRIBE {select}").fetchall()}
    totals = [name for name, kind in columns.items() if kind.startswith(("DECIMAL", "BIGINT", "DOUBLE", "INTEGER"))]
    shape = Shape("t", columns, None, totals)
    FORMATS[format].write(shape, copied, path)
    return shape, path


@pytest.mark.parametrize("format", FORMATS)
def test_sums_are_exact(tmp_path: Path, format: str) -> None:  # noqa: A002 - as in defs.yaml
    """Numbers beyond floating point are counted to the last digit, and NULL is not zero."""
    select = f"""SELECT {WIDE}::DECIMAL(38,2) AS wide, {LARGEST} AS large, 0.1::DOUBLE AS floating,
            NULL::DECIMAL(9,2) AS none, 'a' AS text
        UNION ALL SELECT 0.01, 1, 0.2, NULL, NULL"""
    shape, path = made(tmp_path, format, select)
    found = FORMATS[format].figures(shape, path)
    assert found.rows == 2
    assert (found.sums["wide"], found.sums["large"]) == (Decimal("12345678901234567.90"), LARGEST + 1)
    assert found.sums["none"] is None
    assert same_sum(found.sums["floating"], 0.3)


@pytest.mark.parametrize("format", FORMATS)
def test_texts_are_told_as_they_are(tmp_path: Path, format: str) -> None:  # noqa: A002 - as in defs.yaml
    """No text becomes a formula, a link, a number, or another text."""
    values = ", ".join(f"({number}, $t${text}$t$)" for number, text in enumerate(TEXTS))
    _, path = made(tmp_path, format, f"SELECT * FROM (VALUES {values}) AS v(n, text)")
    assert read(path) == dict(enumerate(TEXTS))


def read(path: Path) -> dict[int, Any]:
    """The texts of a file by their numbers."""
    match path.suffix:
        case ".xlsx":
            _, *rows = openpyxl.load_workbook(path).worksheets[0].iter_rows()
            assert all(cell.data_type != "f" and cell.hyperlink is None for row in rows for cell in row)
            # Excel reads `_x005F_` as an underscore, so `_x0041_` can be a text; openpyxl leaves that to its caller.
            return {int(str(number.value)): unescape(str(text.value)) for number, text in rows}
        case ".csv":
            types = "{'n': 'INTEGER', 'text': 'VARCHAR'}"
            source = f"read_csv('{path}', columns = {types}, allow_quoted_nulls = false, parallel = false)"
        case ".jsonl":
            source = f"read_json('{path}', columns = {{'n': 'INTEGER', 'text': 'VARCHAR'}})"
        case _:
            source = f"'{path}'"
    return dict(duckdb.sql(f"SELECT n, text FROM {source}").fetchall())


def test_a_workbook_has_cells_of_their_types(tmp_path: Path) -> None:
    """Numbers, dates, times and truth values are such cells; what Excel can't hold is text, to the last digit."""
    select = f"""SELECT 12.50::DECIMAL(18,2) AS price, true AS sold, DATE '2024-02-29' AS day,
        TIMESTAMP '2024-02-29 10:11:12.123' AS moment, {WIDE}::DECIMAL(38,2) AS wide, {LARGEST} AS large,
        TIMESTAMP '2024-02-29 10:11:12.123456' AS exact, DATE '1899-12-31' AS early,
        TIMESTAMPTZ '2024-02-29 10:11:12+00' AS zoned, ['a', 'b'] AS list, 1e300::DOUBLE AS huge"""
    _, path = made(tmp_path, "xlsx", select)
    head, row = openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True)
    found = dict(zip(map(str, head), row, strict=True))
    assert found["price"] == 12.5
    assert found["sold"] is True
    assert str(found["day"]) == "2024-02-29 00:00:00"
    assert str(found["moment"]) == "2024-02-29 10:11:12.123000"
    assert (found["wide"], found["large"]) == (WIDE, str(LARGEST))
    assert (found["exact"], found["early"]) == ("2024-02-29 10:11:12.123456", "1899-12-31")
    assert found["zoned"] == "2024-02-29 10:11:12+00:00"
    assert (found["list"], found["huge"]) == ("['a', 'b']", 1e300)


def test_what_does_not_fit_a_sheet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many rows or columns, or too long a text, refuse the part with the limit."""
    with pytest.raises(DeliveryError, match="a text of column x has 40000 characters"):
        made(tmp_path, "xlsx", "SELECT repeat('a', 40000) AS x")
    monkeypatch.setattr(workbooks, "MOST_ROWS", 3)
    made(tmp_path, "xlsx", "SELECT * FROM range(2)")
    with pytest.raises(DeliveryError, match="more rows than the 3 of a sheet"):
        made(tmp_path, "xlsx", "SELECT * FROM range(3)")
    monkeypatch.setattr(workbooks, "MOST_COLUMNS", 1)
    with pytest.raises(DeliveryError, match="2 columns, a sheet of Excel 1"):
        made(tmp_path, "xlsx", "SELECT 1 AS a, 2 AS b")


@pytest.mark.parametrize("format", ["parquet", "jsonl", "xlsx"])
def test_a_file_of_something_else_is_told(tmp_path: Path, format: str) -> None:  # noqa: A002 - as in defs.yaml
    """A file that is not what was written can't be read back, and no byte of it is quoted."""
    shape, path = made(tmp_path, format, "SELECT 1 AS n")
    path.write_bytes(b'"secret"\n')
    with pytest.raises(DeliveryError) as told:
        FORMATS[format].figures(shape, path)
    assert "secret" not in str(told.value)


def test_a_workbook_without_its_sheet_is_told(tmp_path: Path) -> None:
    """A workbook of somebody else has another layout, and is no reason to stop in the middle."""
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as book:
        book.writestr("other", "")
    with pytest.raises(DeliveryError, match="no workbook that was written here"):
        workbooks.workbook_figures(Shape("t", {"n": "BIGINT"}, None, ["n"]), tmp_path / "x.xlsx")


def test_a_cut_off_file_differs(tmp_path: Path) -> None:
    """Of a file that lacks its end, the rows that are there are counted."""
    for name, figures in (("csv", csv_figures), ("jsonl", json_figures)):
        shape, path = made(tmp_path, name, "SELECT range AS n FROM range(100)")
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-10]))
        assert figures(shape, path).rows == 90


def test_the_plan_is_what_differs() -> None:
    """What the target lacks or has otherwise is written, what it has too much is removed, in order."""
    todo = plan({"b": "1", "a": "2", "same": "3"}, {"same": "3", "a": "1", "old": "4"})
    assert (todo.write, todo.remove, todo.is_empty) == (["a", "b"], ["old"], False)
    assert plan({"a": "1"}, {"a": "1"}).is_empty


def test_differences_are_told_in_words() -> None:
    """Each part that is not the same is told with both sides."""
    here = {"a": Figures(1, {"n": 5}), "b": Figures(2, {"n": None}), "c": Figures(1), "same": Figures(1, {"n": 0.3})}
    there = {
        "a": Figures(2, {"n": 6}),
        "b": Figures(2, {"n": 0}),
        "d": Figures(4),
        "same": Figures(1, {"n": 0.1 + 0.2}),
    }
    assert differences(here, there) == {
        "a": "1 rows in the warehouse, 2 at the target; sum of n 5 in the warehouse, 6 at the target",
        "b": "sum of n None in the warehouse, 0 at the target",
        "c": "has 1 row(s) in the warehouse and is not at the target",
        "d": "has 4 row(s) at the target and is not in the warehouse",
    }

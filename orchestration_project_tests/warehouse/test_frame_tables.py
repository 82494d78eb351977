"""Frames into tables: what is read back is what was written, or the frame was refused and the table is as it was."""

import datetime as dt
import math
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from enum import StrEnum
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestration_project.errors import WarehouseError
from orchestration_project.warehouse.connection import transaction
from orchestration_project.warehouse.frame_tables import Place, write
from orchestration_project.warehouse.frame_values import load
from orchestration_project.warehouse.frames import columns_of_frame
from orchestration_project.warehouse.tables import columns_of
from orchestration_project_tests.reliability.evidence import effort

pytestmark = pytest.mark.promise("frames")

BERLIN = dt.timezone(dt.timedelta(hours=1))


at = dt.datetime.fromisoformat
"""A moment, with no time zone unless it names one."""


NANOSECONDS = pd.Series(["1970-01-01"], dtype="datetime64[ns]")
SECONDS = pd.Series(["1970-01-01"], dtype="datetime64[s]")
MILLISECONDS = pd.Series(["1970-01-01"], dtype="datetime64[ms]")


class Colour(StrEnum):
    """Text of a class of its own."""

    RED = "red"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def put(
    connection: duckdb.DuckDBPyConnection, day: int, values: Any, declared: str | None = None, column: str = "v"
) -> None:
    """Write a frame with a column as the partition of a day."""
    series = values if isinstance(values, pd.Series) else pd.Series(values)
    frame = pd.DataFrame({"day": [day] * len(series), column: series.reset_index(drop=True)})
    types = {"day": "BIGINT", column: declared} if declared else None
    with transaction(connection):
        write(connection, Place("t", "main", f"day = {day}"), columns_of_frame(frame), types)


def of_day(connection: duckdb.DuckDBPyConnection, day: int) -> list[Any]:
    """The values of a day, as DuckDB has them."""
    return [value for (value,) in connection.execute(f"SELECT v FROM t WHERE day = {day}").fetchall()]


def type_of(connection: duckdb.DuckDBPyConnection) -> str:
    return columns_of(connection, "t")["v"]


def is_same(written: Any, read: Any) -> bool:
    """Whether a value is what was written. NULL has many names in pandas, a day is its midnight, 10 is 10.0."""
    if isinstance(written, list | tuple | dict):
        return bool((list(written) if isinstance(written, tuple) else written) == read)
    if pd.isna(written):
        return bool(pd.isna(read))
    if isinstance(written, bool | np.bool_) or isinstance(read, bool):
        return type(read) is bool and bool(written) == read
    if isinstance(written, np.generic):
        return is_same(written.item(), read)
    if isinstance(written, dt.date) and isinstance(read, dt.date):
        return pd.Timestamp(written) == pd.Timestamp(read)
    return bool(written == read)


numbers = st.one_of(
    st.integers(-(2**130), 2**130),
    st.integers(-10, 10),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([10.5, 1e300, 2.0**53, 2**53 + 1, 2**63, -(2**63) - 1, 2**64 - 1, -0.0]),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**6), max_value=10**6),
    st.decimals(allow_nan=True, allow_infinity=True),
)
moments = st.one_of(
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.sampled_from([dt.UTC, BERLIN])),
    st.times(),
    st.timedeltas(),
    st.builds(pd.Timestamp, st.integers(0, 2**62)),
    st.builds(pd.Timedelta, st.integers(0, 2**62)),
)
texts = st.one_of(
    st.text(), st.sampled_from(["00123", "", "\x00", "\ud800", "nan", "1.10", "2024-01-01"]), st.sampled_from(Colour)
)
others = st.one_of(
    st.booleans(),
    st.binary(max_size=9),
    st.uuids(),
    st.lists(st.one_of(st.integers(0, 9), st.text(max_size=2)), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(0, 9), max_size=2),
)
cells = st.one_of(numbers, moments, texts, others)
DTYPES = ["int8", "Int64", "uint64", "float32", "Float64", "boolean", "string", "category", "datetime64[ns]"]


@st.composite
def columns(draw: st.DrawFn) -> "pd.Series[Any]":
    """A column of a frame: of one kind as a rule, of several at times, with gaps, as objects or in a type of pandas."""
    kinds = (st.integers(-300, 300), st.floats(), st.dates(), st.booleans(), numbers, moments, texts, others, cells)
    kind = draw(st.sampled_from(kinds))
    values = draw(st.lists(st.one_of(kind, kind, st.none()), max_size=5))
    if draw(st.booleans()):
        return pd.Series(values, dtype=object)
    try:
        with np.errstate(all="ignore"):
            return pd.Series(values, dtype=draw(st.sampled_from(DTYPES)))
    # An IndexError is pandas' own, of lists of one length as `boolean`.
    except (TypeError, ValueError, ArithmeticError, IndexError):
        return pd.Series(values, dtype=object)


@pytest.mark.found("the IO manager rounded, cut and cast values to the type that the first day had")
@settings(max_examples=effort(200, 3000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=columns(), second=columns())
@example(pd.Series([10, 20]), pd.Series([10.5, 20.99]))
@example(pd.Series([None, None], dtype=object), pd.Series(["00123"]))
@example(pd.Series([2**53 + 1, None], dtype="Int64"), pd.Series([1.0, None]))
@example(pd.Series([True]), pd.Series([5]))
@example(pd.Series([dt.date(2024, 1, 1)]), pd.Series([at("2024-01-01 13:00:00")]))
@example(pd.Series([Decimal("9.99")]), pd.Series([Decimal("1.9999")]))
def test_what_is_read_is_what_was_written(
    connection: duckdb.DuckDBPyConnection, first: "pd.Series[Any]", second: "pd.Series[Any]"
) -> None:
    """Of two days of any values, each is there unchanged, or was refused and changed nothing."""
    connection.execute("DROP TABLE IF EXISTS t")
    stored: dict[int, pd.Series[Any]] = {}
    for day, column in ((1, first), (2, second), (1, second)):
        with suppress(WarehouseError):
            put(connection, day, column)
            stored[day] = column
        for written_on, written in stored.items():
            loaded = load(connection, f"SELECT v FROM t WHERE day = {written_on}")["v"]
            # DuckDB gives Python no nanoseconds.
            read = list(loaded) if type_of(connection) == "TIMESTAMP_NS" else of_day(connection, written_on)
            assert len(read) == len(written)
            assert all(map(is_same, written, read)), (list(written), read)
            assert all(map(_is_loaded, read, loaded)), (read, list(loaded))


def _is_loaded(stored: Any, loaded: Any) -> bool:
    """Whether a frame has what is stored. A DECIMAL may be the float that is written with the same digits."""
    if isinstance(stored, Decimal):
        return Decimal(repr(loaded)) == stored if isinstance(loaded, float) else bool(loaded == stored)
    if isinstance(stored, list | dict):
        return bool(list(stored) == list(loaded))
    return is_same(stored, loaded) or (isinstance(loaded, np.generic | bytearray) and bool(stored == loaded))


@pytest.mark.parametrize(
    ("first", "later", "sql_type"),
    [
        pytest.param([None], ["a"], "VARCHAR", id="text after NULL"),
        pytest.param([], [dt.date(2024, 1, 1)], "DATE", id="dates after nothing"),
        pytest.param(pd.Series([], dtype="int64"), ["00123"], "VARCHAR", id="text after no integers"),
        pytest.param(["a"], [None], "VARCHAR", id="NULL after text"),
        pytest.param([1], pd.Series([], dtype="float64"), "BIGINT", id="nothing after integers"),
        pytest.param([1], [1.0, None], "BIGINT", id="whole floats after integers"),
        pytest.param([1.5], [2**53], "DOUBLE", id="integers after floats"),
        pytest.param(pd.Series([1], dtype="int32"), [2**40], "BIGINT", id="wider integers"),
        pytest.param(pd.Series([200], dtype="uint8"), [-1], "SMALLINT", id="signed after unsigned"),
        pytest.param([1], [2**64], "HUGEINT", id="integers of 128 bits"),
        pytest.param(pd.Series([1], dtype="uint64"), [2**63], "UBIGINT", id="unsigned as they are"),
        pytest.param([Decimal("9.99")], [Decimal("123456.7")], "DECIMAL(18,2)", id="larger decimals"),
        pytest.param([Decimal("9.99")], [5], "DECIMAL(18,2)", id="integers after decimals"),
        pytest.param([dt.date(2024, 1, 1)], [at("2024-01-02")], "DATE", id="a midnight after days"),
        pytest.param(
            pd.Series(["a"], dtype="category"), pd.Series(["b"], dtype="category"), "VARCHAR", id="categories"
        ),
        pytest.param([Colour.RED], ["blue"], "VARCHAR", id="a class of text"),
        pytest.param([uuid.UUID(int=1)], [None], "UUID", id="uuid"),
        pytest.param([[1, 2]], [np.array([3])], "INTEGER[]", id="lists"),
        pytest.param(SECONDS, MILLISECONDS, "TIMESTAMP_S", id="milliseconds after seconds"),
    ],
)
def test_a_later_day_fits(connection: duckdb.DuckDBPyConnection, first: Any, later: Any, sql_type: str) -> None:
    """An empty day decides nothing, integers widen, and equal values fit whatever their type is called."""
    put(connection, 1, first)
    put(connection, 2, later)
    assert type_of(connection) == sql_type
    for day, values in ((1, first), (2, later)):
        plain = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
        assert all(map(is_same, plain, of_day(connection, day)))


@pytest.mark.found("a time beyond the years of nanoseconds failed with an error of DuckDB's own, not a refusal")
@pytest.mark.parametrize(
    ("first", "later", "told"),
    [
        pytest.param([1], [1, 10.5], r"column v, row 2 .* no BIGINT: 10\.5 is DOUBLE.*column_schema", id="fraction"),
        pytest.param([1], ["00123"], r"no BIGINT: '00123' is VARCHAR", id="digits"),
        pytest.param([True], [5], r"no BOOLEAN: 5 is BIGINT", id="number as truth"),
        pytest.param([5], [True], r"no BIGINT: True is BOOLEAN", id="truth as number"),
        pytest.param(["a"], [5], r"no VARCHAR: 5 is BIGINT", id="number as text"),
        pytest.param([Decimal("9.99")], [Decimal("1.9999")], r"no DECIMAL\(18,2\): .*DECIMAL\(18,4\)", id="finer"),
        pytest.param([Decimal("9.99")], [1.5], r"no DECIMAL\(18,2\): 1\.5 is DOUBLE", id="float as decimal"),
        pytest.param([1.5], [2**53 + 1], r"no DOUBLE: 9007199254740993 is BIGINT", id="large integer as float"),
        pytest.param([dt.date(2024, 1, 1)], [at("2024-01-01 09:00:00")], "no DATE: ", id="time of day"),
        pytest.param([at("2024-01-01")], [dt.datetime(2024, 1, 1, tzinfo=BERLIN)], "WITH TIME ZONE", id="zone"),
        pytest.param([dt.datetime(2024, 1, 1, tzinfo=BERLIN)], [at("2024-01-01")], "TIMESTAMP_NS", id="no zone"),
        pytest.param([{"a": 1}], [{"a": 1, "b": "x"}], "STRUCT", id="another shape"),
        pytest.param(NANOSECONDS, [at("2263-01-01")], "no TIMESTAMP_NS: .* is TIMESTAMP", id="beyond nanoseconds"),
    ],
)
def test_a_later_day_is_refused(connection: duckdb.DuckDBPyConnection, first: Any, later: Any, told: str) -> None:
    """What would be changed is refused, with column, row, value and both types; the table stays as it was."""
    put(connection, 1, first)
    before = connection.execute("FROM t").fetchall(), type_of(connection)
    with pytest.raises(WarehouseError, match=told):
        put(connection, 2, later)
    assert (connection.execute("FROM t").fetchall(), type_of(connection)) == before


@pytest.mark.found(
    "mixed values and lone surrogates of a first day were stored otherwise, or refused without the column"
)
@pytest.mark.parametrize(
    ("values", "told"),
    [
        pytest.param([1, "a"], r"several kinds \(int, str\)", id="mixed"),
        pytest.param([*[1] * 3000, "A7"], "several kinds", id="mixed beyond any sample"),
        pytest.param([dt.date(2024, 1, 1), at("2024-01-01 05:00:00")], "several kinds", id="days and times"),
        pytest.param([True, 2], "several kinds", id="truth and numbers"),
        pytest.param(["a", "\ud800"], r"row 2 .*lone surrogate", id="surrogate"),
        pytest.param([["\ud800"]], "can't be stored unchanged", id="surrogate in a list"),
        pytest.param([[1, "a"]], "can't be stored unchanged", id="mixed list"),
        pytest.param([{"0": 1, "": "x"}], "can't be names in SQL", id="a key without a name"),
        pytest.param([{"a": 1}, {"b": "x"}], "can't be stored unchanged", id="mixed dictionaries"),
        pytest.param(pd.Series(pd.PeriodIndex(["2024-01"], freq="M")), "kind Period", id="period"),
        pytest.param([1j], "kind complex", id="complex"),
        pytest.param([{1, 2}], "kind set", id="set"),
        pytest.param([Decimal("1E+30"), Decimal("1E-10")], "31 digits before and 10 after", id="decimals too wide"),
        pytest.param([Decimal("Infinity")], "is no number", id="infinite decimal"),
        pytest.param([2**127], "larger than any integer", id="integer too large"),
        pytest.param([2**53 + 1, 0.5], "is no DOUBLE exactly", id="integer among floats"),
        pytest.param([dt.time(1, tzinfo=dt.UTC)], "time of day with a zone", id="time with zone"),
        pytest.param([dt.datetime(2024, 1, 1, tzinfo=BERLIN), at("2024-01-01")], "no time zone", id="some zones"),
        pytest.param([pd.Timestamp(1, tz="UTC")], "has nanoseconds", id="nanoseconds with zone"),
        pytest.param([pd.Timedelta(1)], "has nanoseconds", id="nanoseconds of a span"),
        pytest.param([dt.timedelta.max], "can't be stored", id="span too long"),
    ],
)
def test_a_first_day_is_refused(connection: duckdb.DuckDBPyConnection, values: Any, told: str) -> None:
    """What no column can hold is refused on the first day, and the database stays usable."""
    with pytest.raises(WarehouseError, match=told):
        put(connection, 1, pd.Series(values, dtype=values.dtype if isinstance(values, pd.Series) else object))
    assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


@pytest.mark.parametrize(
    "value", [pytest.param(2**127, id="ours"), pytest.param(np.datetime64("300000-01-01", "s"), id="a library's")]
)
def test_values_about_people_are_masked(value: object) -> None:
    """A refusal shows the value, whoever puts it into words, unless the column's name says that it is about people."""
    told = {}
    for name in ("quantity", "customer_id"):
        with pytest.raises(WarehouseError) as caught:
            columns_of_frame(pd.DataFrame({name: pd.Series([value], dtype=object)}))
        told[name] = str(caught.value)
        assert caught.value.__cause__ is None
    assert re.search(r"\d{5}", told["quantity"])
    assert not re.search(r"\d{5}", told["customer_id"])
    assert "***" in told["customer_id"]


@pytest.mark.found("columns named by numbers, twice or in two cases ended in an error that named no remedy")
@pytest.mark.parametrize(
    ("names", "told"),
    [
        pytest.param([0, 1], "no text, such as 0", id="integers"),
        pytest.param([("a", "x"), ("a", "y")], "no text", id="levels"),
        pytest.param(["x", "x"], "the same", id="twice"),
        pytest.param(["Qty", "qty"], "differ only by case", id="case"),
        pytest.param(["", "a"], "without a name", id="empty"),
        pytest.param(["a\x00", "b"], "can't be the name", id="NUL"),
        pytest.param(["\ud800", "b"], "can't be the name", id="surrogate"),
    ],
)
def test_names_that_no_table_has_are_refused(names: list[Any], told: str) -> None:
    """Column names that would be changed or collide are refused with what to do."""
    with pytest.raises(WarehouseError, match=told):
        columns_of_frame(pd.DataFrame([[1, 2]], columns=names))


def test_what_would_be_lost_is_refused() -> None:
    """A frame without columns makes no table; an index with a name holds data that would be lost."""
    with pytest.raises(WarehouseError, match="no columns"):
        columns_of_frame(pd.DataFrame())
    with pytest.raises(WarehouseError, match="index shop would be lost"):
        columns_of_frame(pd.DataFrame({"shop": ["a"], "v": [1]}).groupby("shop").sum())


def test_a_column_is_written_in_another_case(connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB would take it for the same column, pandas for another one."""
    put(connection, 1, [1], column="Qty")
    with pytest.raises(WarehouseError, match="column qty is Qty in the table"):
        put(connection, 2, [1], column="qty")


@pytest.mark.parametrize(
    ("values", "declared", "stored"),
    [
        pytest.param(["1.10", "1.1"], "DECIMAL(18,2)", [Decimal("1.10")] * 2, id="text"),
        pytest.param([19.99, 0.1], "DECIMAL(18,2)", [Decimal("19.99"), Decimal("0.10")], id="floats"),
        pytest.param([Decimal("0.1")], "DOUBLE", [0.1], id="decimals"),
        pytest.param(["2024-01-31"], "DATE", [dt.date(2024, 1, 31)], id="days"),
        pytest.param(
            ["2024-01-31", "2024-01-31T09:00:00.5"],
            "TIMESTAMP",
            [at("2024-01-31"), at("2024-01-31 09:00:00.5")],
            id="times",
        ),
        pytest.param(["true"], "BOOLEAN", [True], id="truth"),
        pytest.param(["7"], "INT", [7], id="another name of the type"),
    ],
)
def test_a_declared_type_is_taken(
    connection: duckdb.DuckDBPyConnection, values: list[Any], declared: str, stored: list[Any]
) -> None:
    """A declared type says what text and floats stand for, where they say the same."""
    put(connection, 1, values, declared)
    assert of_day(connection, 1) == stored


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        ([2.5], "INTEGER"),
        ([9.999], "DECIMAL(18,2)"),
        ([Decimal("9.999")], "DECIMAL(18,2)"),
        (["1.999"], "DECIMAL(18,2)"),
        (["00123"], "INTEGER"),
        (["1e3"], "DOUBLE"),
        (["31.01.2024"], "DATE"),
        (["2024-01-31 09:00:00"], "DATE"),
        ([5], "VARCHAR"),
        ([math.inf], "DECIMAL(18,2)"),
        (["x"], "NUMBER(5)"),
    ],
)
def test_a_declared_type_changes_no_value(
    connection: duckdb.DuckDBPyConnection, values: list[Any], declared: str
) -> None:
    """A declaration is no leave to round, cut or interpret."""
    with pytest.raises(WarehouseError, match="declared"):
        put(connection, 1, values, declared)


@pytest.mark.parametrize(
    ("sql_type", "value", "declared", "stays"),
    [
        ("BIGINT", "1", "VARCHAR", "1"),
        ("DECIMAL(3,2)", "9.99", "DECIMAL(18,2)", Decimal("9.99")),
        ("DOUBLE", "19.99", "DECIMAL(18,2)", Decimal("19.99")),
        ("VARCHAR", "'1.10'", "DECIMAL(18,2)", Decimal("1.10")),
        ("DECIMAL(18,2)", "9.99", "DECIMAL(18,1)", None),
        ("VARCHAR", "'00123'", "INTEGER", None),
        ("TIMESTAMP", "'2024-01-01 09:00:00'", "DATE", None),
        ("TIMESTAMP", "'2024-01-01 09:00:00'", "TIMESTAMPTZ", None),
        ("INTEGER", "5", "BOOLEAN", None),
    ],
)
def test_rows_that_are_there_take_a_declared_type(
    connection: duckdb.DuckDBPyConnection, sql_type: str, value: str, declared: str, stays: Any
) -> None:
    """A type that is declared later converts the table where no value changes, else the write is refused."""
    connection.execute(f"CREATE TABLE t AS SELECT 1::BIGINT AS day, {value}::{sql_type} AS v")
    before = of_day(connection, 1)
    if stays is None:
        with pytest.raises(WarehouseError, match="do not fit the declared type"):
            put(connection, 2, [None], declared)
        assert of_day(connection, 1) == before
    else:
        put(connection, 2, [None], declared)
        assert (of_day(connection, 1), of_day(connection, 2)) == ([stays], [None])


TABLES_0_1_0: list[tuple[str, str, Callable[[], Any], str]] = [
    ("INTEGER", "NULL", lambda: ["00123"], "VARCHAR"),
    ("ENUM('a', 'b')", "'a'", lambda: pd.Series(["c"], dtype="category"), "VARCHAR"),
    ("INTEGER", "7", lambda: [8], "INTEGER"),
    ("TIMESTAMP_NS", "'2024-01-01'", lambda: [at("2024-01-02")], "TIMESTAMP_NS"),
    ("DECIMAL(3,2)", "9.99", lambda: [Decimal("1.5")], "DECIMAL(3,2)"),
    ("INTEGER[]", "[1]", lambda: [[2]], "INTEGER[]"),
]


@pytest.mark.parametrize(("sql_type", "value", "later", "expected"), TABLES_0_1_0)
def test_tables_of_an_older_release_go_on(
    connection: duckdb.DuckDBPyConnection, sql_type: str, value: str, later: Callable[[], Any], expected: str
) -> None:
    """A table that release 0.1.0 made, whose types DuckDB chose, takes further days; its rows stay."""
    connection.execute(f"CREATE TABLE t AS SELECT 1::BIGINT AS day, {value}::{sql_type} AS v")
    before = of_day(connection, 1)
    put(connection, 2, later())
    assert (of_day(connection, 1), type_of(connection)) == (before, expected)
    assert all(map(is_same, later(), of_day(connection, 2)))


def test_large_numbers_are_loaded_exactly(connection: duckdb.DuckDBPyConnection) -> None:
    """Decimals are floats as long as these give them back; larger ones, and integers of any size, are exact."""
    connection.execute("CREATE TABLE t (small DECIMAL(38,2), large DECIMAL(38,2), huge HUGEINT, n BIGINT)")
    exact = [Decimal("19.99"), Decimal("123456789012345678.25"), 2**100 + 1, 2**53 + 1]
    connection.execute("INSERT INTO t VALUES ($1, $2, $3, $4), (NULL, NULL, NULL, NULL)", exact)
    frame = load(connection, "FROM t")
    assert frame.dtypes.astype(str).tolist() == ["float64", "object", "object", "Int64"]
    assert frame.iloc[0].tolist() == [19.99, *exact[1:]]
    assert frame.iloc[1].isna().all()

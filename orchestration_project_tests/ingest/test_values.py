"""From text to values: what each type accepts, shown by a load of delimited text."""

import datetime as dt
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.contracts.date_formats import translate
from orchestration_project.contracts.feed import (
    Bound,
    Column,
    Length,
    MultipleOf,
    OneOf,
    Parsing,
    Pattern,
    Required,
    Rule,
    TextFormat,
)
from orchestration_project.contracts.patterns import TEXT_FORMATS
from orchestration_project.formats.fields import BLANKS, stripped
from orchestration_project.ingest.conditions import broken
from orchestration_project.ingest.values import text_of, value_of
from orchestration_project_tests.ingest.shop import column, feed, read

D, at = Decimal, dt.datetime.fromisoformat
GERMAN = Parsing(decimal_separator=",", thousands_separator=".", currency_symbols=("€", "EUR"))
SWISS = Parsing(thousands_separator="'")
FRENCH = Parsing(decimal_separator=",", thousands_separator="\u202f")
DOLLARS = Parsing(thousands_separator=",", currency_symbols=("$",))


def value(sql_type: str, text: str | None, parsing: Parsing | None = None) -> object:
    """What a text is read as."""
    item = column("v", sql_type, parsing=parsing or Parsing())
    with duckdb.cursor() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        given = f"SELECT {text_of(item, '$1::VARCHAR')} AS t"
        row = connection.execute(f"SELECT {value_of(item, 't')} FROM ({given})", [text]).fetchone()
    assert row is not None
    return row[0]


def formatted(pattern: str, kind: str = "timestamp", **fields: object) -> Parsing:
    """How a column with a declared date format is parsed."""
    form = translate(pattern, kind)  # type: ignore[arg-type]  # one of the three kinds
    return Parsing(
        date_format=form.strptime,
        date_width=form.width,
        date_regex=form.regex,
        has_timezone=form.has_offset,
        utc_letter=form.utc_letter,
        **fields,  # type: ignore[arg-type]  # fields of Parsing
    )


@pytest.mark.parametrize(
    ("sql_type", "text", "expected"),
    [
        pytest.param("INTEGER", "12", 12, id="integer"),
        pytest.param("INTEGER", " 12\u00a0", 12, id="padding"),
        pytest.param("INTEGER", "-0012", -12, id="sign and leading zeros"),
        pytest.param("INTEGER", "+5", 5, id="plus"),
        pytest.param("INTEGER", "17850.0", 17850, id="integer written as a float"),
        pytest.param("INTEGER", "1.5", None, id="fraction"),
        pytest.param("INTEGER", "1_000", None, id="underscore"),
        pytest.param("INTEGER", "1,000", None, id="undeclared grouping"),
        pytest.param("INTEGER", "0x1F", None, id="hexadecimal"),
        pytest.param("INTEGER", "1e3", None, id="exponent"),
        pytest.param("INTEGER", "2147483648", None, id="out of range"),
        pytest.param("INTEGER", "١٢", None, id="other digits"),
        pytest.param("INTEGER", "true", None, id="word"),
        pytest.param("UTINYINT", "-1", None, id="negative unsigned"),
        pytest.param("BIGINT", "9007199254740993.0", 9007199254740993, id="beyond a double's precision"),
        pytest.param("DECIMAL(18,2)", "9.99", D("9.99"), id="decimal"),
        pytest.param("DECIMAL(18,2)", "9.5", D("9.50"), id="fewer decimals"),
        pytest.param("DECIMAL(18,2)", "9.990", D("9.99"), id="more zeros"),
        pytest.param("DECIMAL(18,2)", "9.999", None, id="more decimals"),
        pytest.param("DECIMAL(18,2)", ".5", D("0.50"), id="no digit before the point"),
        pytest.param("DECIMAL(18,2)", "5.", D("5.00"), id="no digit after the point"),
        pytest.param("DECIMAL(18,2)", "1.5e2", D("150.00"), id="exponent"),
        pytest.param("DECIMAL(18,2)", "1.005e0", None, id="exponent with more decimals"),
        pytest.param("DECIMAL(18,2)", "-0.0", D("0.00"), id="negative zero"),
        pytest.param("DECIMAL(4,2)", "100.00", None, id="too many digits"),
        pytest.param("DECIMAL(18,0)", ".5", None, id="fraction without a scale"),
        pytest.param("DECIMAL(18,0)", "5.0", D(5), id="whole without a scale"),
        pytest.param("DECIMAL(18,2)", "NaN", None, id="NaN"),
        pytest.param("DECIMAL(18,2)", "Infinity", None, id="infinity"),
        pytest.param("DECIMAL(18,2)", "1_0.5", None, id="underscore in a decimal"),
        pytest.param("DECIMAL(18,2)", "€5", None, id="undeclared currency"),
        pytest.param("DOUBLE", "1.5e3", 1500.0, id="double"),
        pytest.param("DOUBLE", "nan", None, id="double NaN"),
        pytest.param("DOUBLE", "-inf", None, id="double infinity"),
        pytest.param("DOUBLE", "1e999", None, id="double overflow"),
        pytest.param("FLOAT", "1e39", None, id="float overflow"),
        pytest.param("BOOLEAN", "Yes", True, id="yes"),
        pytest.param("BOOLEAN", "0", False, id="zero"),
        pytest.param("BOOLEAN", "2", None, id="no boolean"),
        pytest.param("BOOLEAN", "on", None, id="another word"),
        pytest.param("VARCHAR", " a b ", "a b", id="text"),
        pytest.param("VARCHAR", "  ", None, id="nothing"),
        pytest.param("DATE", "2024-02-29", dt.date(2024, 2, 29), id="leap day"),
        pytest.param("DATE", "2023-02-29", None, id="no leap day"),
        pytest.param("DATE", "2024-1-2", None, id="short month and day"),
        pytest.param("DATE", "20240102", None, id="no hyphens"),
        pytest.param("DATE", "2024-01-02 00:00:00", None, id="date with a time"),
        pytest.param("DATE", "infinity", None, id="infinite date"),
        pytest.param("DATE", "epoch", None, id="epoch"),
        pytest.param("DATE", "10000-01-01", None, id="five-digit year"),
        pytest.param("DATE", "0044-03-15 (BC)", None, id="before Christ"),
        pytest.param("TIMESTAMP", "2024-01-02 03:04:05", at("2024-01-02 03:04:05"), id="timestamp"),
        pytest.param("TIMESTAMP", "2024-01-02T03:04", at("2024-01-02 03:04"), id="T and minutes"),
        pytest.param("TIMESTAMP", "2024-01-02 03:04:05.25", at("2024-01-02 03:04:05.250000"), id="fraction"),
        pytest.param("TIMESTAMP", "2024-01-02", at("2024-01-02"), id="midnight"),
        pytest.param("TIMESTAMP", "2024-01-02 25:00:00", None, id="hour 25"),
        pytest.param("TIMESTAMP", "2024-01-02 24:00:00", None, id="hour 24"),
        pytest.param("TIMESTAMP", "2024-01-02 23:59:59", at("2024-01-02 23:59:59"), id="last second"),
        pytest.param("TIMESTAMP", "0000-01-02 00:00:00", None, id="year 0"),
        pytest.param("TIMESTAMP", "1000-01-02 00:00:00", at("1000-01-02 00:00:00"), id="year 1000"),
        pytest.param("TIMESTAMP", "2024-01-02 03:04:05Z", None, id="offset where none is declared"),
        pytest.param("TIMESTAMP", "infinity", None, id="infinite timestamp"),
        pytest.param("TIME", "03:04", dt.time(3, 4), id="time"),
        pytest.param("TIME", "3:4", None, id="short time"),
        pytest.param("TIME", "24:00", None, id="time beyond the day"),
    ],
)
def test_types(sql_type: str, text: str, expected: object) -> None:
    """A text is a value of a type only when it says exactly that value."""
    assert value(sql_type, text) == expected


@pytest.mark.parametrize(
    ("parsing", "text", "expected"),
    [
        pytest.param(GERMAN, "1.234,56", D("1234.56"), id="grouped"),
        pytest.param(GERMAN, "1234,5", D("1234.50"), id="ungrouped"),
        pytest.param(GERMAN, "-1.234.567", D(-1234567), id="several groups"),
        pytest.param(GERMAN, "12.34,56", None, id="group of two"),
        pytest.param(GERMAN, "1.2345", None, id="group of four"),
        pytest.param(GERMAN, "1,234.56", None, id="the other way round"),
        pytest.param(GERMAN, "1,2,3", None, id="two commas"),
        pytest.param(GERMAN, ".234,5", None, id="group without a beginning"),
        pytest.param(GERMAN, "€ 5,00", D(5), id="sign before"),
        pytest.param(GERMAN, "5,00 EUR", D(5), id="code after"),
        pytest.param(GERMAN, "-€5,00", D(-5), id="minus before the sign"),
        pytest.param(GERMAN, "€-5,00", D(-5), id="minus after the sign"),
        pytest.param(GERMAN, "1€5", None, id="sign in the middle"),
        pytest.param(GERMAN, "€5€", None, id="sign twice"),
        pytest.param(GERMAN, "€", None, id="nothing but the sign"),
        pytest.param(GERMAN, "$5", None, id="another sign"),
        pytest.param(SWISS, "1'234.50", D("1234.50"), id="apostrophe"),
        pytest.param(FRENCH, "1\u202f234,50", D("1234.50"), id="narrow space"),
        pytest.param(DOLLARS, "$1,234.50", D("1234.50"), id="dollars"),
        pytest.param(DOLLARS, "1,23", None, id="a decimal comma that is none"),
    ],
)
def test_notations(parsing: Parsing, text: str, expected: Decimal | None) -> None:
    """Numbers are read in the declared notation, and one with wrong grouping is none."""
    assert value("DECIMAL(18,2)", text, parsing) == expected


@pytest.mark.parametrize(
    ("sql_type", "parsing", "text", "expected"),
    [
        pytest.param("DATE", formatted("dd/MM/yyyy", "date"), "02/01/2024", dt.date(2024, 1, 2), id="day first"),
        pytest.param("DATE", formatted("dd/MM/yyyy", "date"), "2/1/2024", None, id="short fields"),
        pytest.param("DATE", formatted("dd/MM/yyyy", "date"), "31/02/2024", None, id="no such day"),
        pytest.param("DATE", formatted("dd/MM/yyyy", "date"), "02/13/2024", None, id="month 13"),
        pytest.param("DATE", formatted("dd/MM/yyyy", "date"), "2024-01-02", None, id="ISO where another is declared"),
        pytest.param("DATE", formatted("d/M/yyyy", "date"), "2/1/2024", dt.date(2024, 1, 2), id="variable width"),
        pytest.param("DATE", formatted("d/M/yyyy", "date"), "2/1/20", None, id="short year"),
        pytest.param("DATE", formatted("yyyy-MM-dd", "date"), "2024-01-02", dt.date(2024, 1, 2), id="ISO declared"),
        pytest.param("DATE", formatted("yyyy-MM-dd", "date"), "-infinity", None, id="infinite date"),
        pytest.param(
            "TIMESTAMP",
            formatted("yyyy-MM-dd HH:mm:ss"),
            "2024-01-02 03:04:05",
            at("2024-01-02 03:04:05"),
            id="ISO timestamp",
        ),
        pytest.param(
            "TIMESTAMP", formatted("yyyy-MM-dd HH:mm:ss"), "2024-01-02 03:04:05.5", None, id="undeclared fraction"
        ),
        pytest.param("TIMESTAMP", formatted("yyyy-MM-dd HH:mm:ss"), "2024-01-02T03:04:05", None, id="undeclared T"),
        pytest.param("TIMESTAMP", formatted("yyyy-MM-dd"), "2024-01-02", at("2024-01-02"), id="day as a timestamp"),
        pytest.param(
            "TIMESTAMP",
            formatted("dd.MM.yyyy h:mm a"),
            "02.01.2024 3:04 PM",
            at("2024-01-02 15:04"),
            id="half-day hours",
        ),
        pytest.param("TIME", formatted("HH:mm", "time"), "03:04", dt.time(3, 4), id="time"),
        pytest.param(
            "TIMESTAMPTZ",
            formatted("yyyy-MM-dd'T'HH:mm:ssXXX"),
            "2024-01-02T03:04:05+02:00",
            at("2024-01-02 01:04:05Z"),
            id="offset",
        ),
        pytest.param(
            "TIMESTAMPTZ",
            formatted("yyyy-MM-dd'T'HH:mm:ssXXX"),
            "2024-01-02T03:04:05Z",
            at("2024-01-02 03:04:05Z"),
            id="Z",
        ),
        pytest.param(
            "TIMESTAMP",
            formatted("yyyy-MM-dd'T'HH:mm:ssXXX"),
            "2024-01-02T03:04:05+02:00",
            at("2024-01-02 01:04:05"),
            id="offset, stored as UTC",
        ),
        pytest.param(
            "TIMESTAMPTZ",
            Parsing(has_timezone=True),
            "2024-01-02 03:04:05+0200",
            at("2024-01-02 01:04:05Z"),
            id="ISO offset",
        ),
        pytest.param("TIMESTAMPTZ", Parsing(has_timezone=True), "2024-01-02 03:04:05", None, id="offset missing"),
        pytest.param(
            "TIMESTAMPTZ",
            Parsing(default_timezone="Europe/Berlin"),
            "2024-07-02 03:04:05",
            at("2024-07-02 01:04:05Z"),
            id="summer time",
        ),
        pytest.param(
            "TIMESTAMPTZ",
            Parsing(default_timezone="Europe/Berlin"),
            "2024-03-31 02:30:00",
            None,
            id="a time that clocks skip",
        ),
    ],
)
def test_moments(sql_type: str, parsing: Parsing, text: str, expected: object) -> None:
    """Dates and times are read in the declared format only; the zone is the declared one."""
    assert value(sql_type, text, parsing) == expected


@pytest.mark.parametrize(
    ("parsing", "text", "expected"),
    [
        pytest.param(Parsing(null_words=("NULL", "n/a")), " n/a ", None, id="null word"),
        pytest.param(Parsing(null_words=("NULL",)), "null", "null", id="case counts"),
        pytest.param(Parsing(null_words=("NULL",)), "", None, id="empty beside null words"),
        pytest.param(Parsing(trim=False), " a ", " a ", id="no trim"),
        pytest.param(Parsing(trim=False), " ", " ", id="blank is text without trim"),
    ],
)
def test_missing_values(parsing: Parsing, text: str, expected: str | None) -> None:
    """Empty text and the contract's words for missing are NULL, after trimming if that is on."""
    assert value("VARCHAR", text, parsing) == expected


def test_no_trim_of_numbers() -> None:
    """Without trimming, a padded number is none."""
    assert value("INTEGER", " 12", Parsing(trim=False)) is None


@pytest.mark.parametrize(
    ("sql_type", "rule", "fine", "wrong"),
    [
        pytest.param("VARCHAR", Required(), "'a'", "NULL", id="required"),
        pytest.param("INTEGER", Bound("minimum", "1"), "1", "0", id="minimum"),
        pytest.param("INTEGER", Bound("exclusiveMinimum", "1"), "2", "1", id="exclusive minimum"),
        pytest.param("DECIMAL(18,2)", Bound("maximum", "9.99"), "9.99", "10.00", id="maximum"),
        pytest.param(
            "DECIMAL(18,2)", Bound("exclusiveMaximum", "9.995"), "9.99", "10.00", id="limit with more decimals"
        ),
        pytest.param("DATE", Bound("minimum", "2024-01-01"), "'2024-01-01'", "'2023-12-31'", id="date"),
        pytest.param(
            "TIMESTAMPTZ",
            Bound("maximum", "2024-01-01 00:00:00+00:00"),
            "'2024-01-01 01:00:00+01'",
            "'2024-01-01 00:00:01Z'",
            id="moment",
        ),
        pytest.param("INTEGER", MultipleOf("5"), "-10", "7", id="multiple"),
        pytest.param("DECIMAL(18,2)", MultipleOf("0.05"), "1.15", "1.16", id="decimal multiple"),
        pytest.param("DOUBLE", MultipleOf("0.1"), "0.3", "0.35", id="binary multiple"),
        pytest.param("VARCHAR", Length("minLength", 2), "'éé'", "'é'", id="shortest"),
        pytest.param("VARCHAR", Length("maxLength", 2), "'éé'", "'ééé'", id="longest"),
        pytest.param("VARCHAR", Pattern("b+"), "'abc'", "'acd'", id="pattern"),
        pytest.param("VARCHAR", Pattern("^[it's]+$"), "'it''s'", "'its!'", id="pattern with a quote"),
        pytest.param("VARCHAR", TextFormat("email", TEXT_FORMATS["email"]), "'a@b.co'", "'a@b'", id="format"),
        pytest.param("VARCHAR", OneOf(("a", "b'c")), "'b''c'", "'c'", id="enum"),
        pytest.param("DECIMAL(18,2)", OneOf(("1", "2.50")), "2.5", "2", id="enum of decimals"),
        pytest.param("BOOLEAN", OneOf(("true",)), "true", "false", id="enum of booleans"),
    ],
)
def test_rules(sql_type: str, rule: Rule, fine: str, wrong: str) -> None:
    """Each rule is broken by a value on the wrong side of it, kept by one on its edge, and says nothing of NULL."""
    item = Column("v", sql_type, "v")
    with duckdb.cursor() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(
            f"""SELECT coalesce({broken(rule, item)}, false)
                FROM (SELECT unnest([{fine}, {wrong}]::{sql_type}[]) AS v) UNION ALL
                SELECT coalesce({broken(rule, item)}, false) FROM (SELECT NULL::{sql_type} AS v)"""
        ).fetchall()
    assert [row[0] for row in rows] == [False, True, isinstance(rule, Required)]


def test_a_hostile_contract_is_quoted(tmp_path: Path) -> None:
    """Names and values of a contract are quoted wherever they become part of a statement."""
    evil = "x') ; DROP TABLE file_ledger; --"
    contract = feed(
        column(
            "id",
            "VARCHAR",
            OneOf((evil, "a")),
            source="i\"d'); --",
            aliases=(evil,),
            parsing=Parsing(null_words=(evil,)),
        ),
        column("n", "INTEGER"),
    )
    shop = read(tmp_path, '"i""d\'); --",n,"y\'); --"\na,1,z\n', contract)
    assert shop.cleaned("id", "_rescued") == [("a", '{"y\'); --":"z"}')]


PADDED = st.lists(st.text([*BLANKS, "a", "!", "\u00c4", "\u00a1", "\u2003", "\x1f"]) | st.none(), min_size=1)


@given(texts=PADDED)
def test_blanks_around_a_text_are_taken_off(texts: list[str | None]) -> None:
    """Exactly the blanks at both ends go, whatever stands beside them."""
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {stripped('t')} FROM (SELECT unnest($1::VARCHAR[]) AS t)", [texts]
        ).fetchall()
    assert found == [(None if text is None else text.strip(BLANKS),) for text in texts]


DIGITS = st.text("0123456789", max_size=45) | st.from_regex(r"0{0,40}[0-9]{0,3}0{0,40}", fullmatch=True)
NUMBERS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "-", "+"]),
        DIGITS,
        st.sampled_from(["", "."]),
        DIGITS,
        st.sampled_from(["", "e", "E"]),
        st.sampled_from(["", "-", "+"]),
        st.sampled_from(["", "0", "003", "9"]) | st.integers(0, 120).map(str),
    ),
)


@pytest.mark.promise("input")
@given(texts=st.lists(NUMBERS, min_size=1, max_size=50), digits=st.tuples(st.integers(1, 38), st.integers(0, 38)))
def test_a_decimal_is_exact_or_refused(texts: list[str], digits: tuple[int, int]) -> None:
    """Against Python's decimals: no text raises, and each is the number that it says, or none of the type."""
    precision, scale = digits[0], min(digits)
    item = column("v", f"DECIMAL({precision},{scale})")
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {value_of(item, 't')} FROM (SELECT unnest($1) AS t)", [texts]).fetchall()
    for text, (number,) in zip(texts, found, strict=True):
        expected = said(text, precision, scale)
        # Zero with an exponent of three digits is refused, too.
        assert number == expected or (number is None and expected == 0), text


def said(text: str, precision: int, scale: int) -> Decimal | None:
    """The number that a text says, if a DECIMAL can hold it."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    units = number.scaleb(scale, Context(prec=500))
    return number if units == units.to_integral_value() and abs(units) < 10**precision else None

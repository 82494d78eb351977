"""Strategies that draw contracts: columns of every type, hostile names, options, rules and keys."""

import datetime as dt
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from orchestration_project.contracts.date_formats import translate
from orchestration_project.contracts.feed import (
    Bound,
    Column,
    Feed,
    FileFormat,
    Length,
    MultipleOf,
    OneOf,
    Parsing,
    Pattern,
    Required,
    Rule,
    SourceFormat,
)
from orchestration_project.contracts.outside import FillDown, ValueFrom
from orchestration_project_tests.oracle.values import Contract

INTEGERS = [sign + name for sign in ("", "U") for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")]
DECIMALS = ["DECIMAL(4,2)", "DECIMAL(9,0)", "DECIMAL(18,2)", "DECIMAL(18,4)", "DECIMAL(38,2)", "DECIMAL(38,18)"]
MOMENTS = ["DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ"]
TYPES = ["VARCHAR"] * 6 + [*INTEGERS, "INTEGER", "BIGINT"] + DECIMALS + ["DOUBLE", "DOUBLE", "BOOLEAN"] + MOMENTS * 2
PLAIN_NAMES = "id n amount city day note ok sku price sold_at".split()
KEYWORDS = "select from where order group table user primary end case cast null true default all union values".split()
OWN_NAMES = """file version modified_at rows place kept reason first line shift record raw error keys exact fault number
    batch row at own among pool ages winners in_batch compared beaten placed listed texts origin c0 c1 count records
    feed status seen_at text found missing taken before nth key hash window name value reasons rejected cleaned new old
    changed later earlier rates broken worst times ledger published present loaded suspects given paths steps""".split()
HOSTILE_NAMES = [*KEYWORDS, *OWN_NAMES, "Rows", "FILE", "Id2", "SELECT", "x" * 63]
HEADERS = [
    "Größe",
    "STRASSE",
    "a b",
    "x;y",
    "x,y",
    'say "hi"',
    "it's",
    "№",
    "naïve",
    "価格",
    "😀",
    "*",
    "%s",
    "$1",
    "{}",
    "a\\b",
    "~/",
    "1",
]
PATTERNS = [r"^[A-Z]", r"\d+", "^a.*z$", "[aeiou]{2}", "(?i)x", "^.{0,5}$", r"^\S*$"]
NULL_WORDS = [(), (), (), ("-",), ("NULL", "n/a"), ("0", "none")]
NOTATIONS = [
    {},
    {},
    {},
    {"decimal_separator": ","},
    {"decimal_separator": ",", "thousands_separator": "."},
    {"thousands_separator": ","},
    {"thousands_separator": "'", "currency_symbols": ("CHF",)},
    {"decimal_separator": ",", "thousands_separator": "\u00a0", "currency_symbols": ("€", "EUR")},
    {"currency_symbols": ("$",)},
]
DATE_PATTERNS = [
    "dd.MM.yyyy",
    "d/M/yyyy",
    "MM/dd/yyyy",
    "yyyyMMdd",
    "dd-MMM-yyyy",
    "MMMM d, yyyy",
    "dd.MM.yy",
    "yyyy-MM-dd",
]
TIME_PATTERNS = ["HH:mm", "HHmmss", "h:mm a", "H:m:s", "HH:mm:ss.SSS"]
MOMENT_PATTERNS = [
    "yyyy-MM-dd HH:mm:ss",
    "dd.MM.yyyy HH:mm",
    "d/M/yyyy h:mm a",
    "yyyyMMddHHmmss",
    "yyyy-MM-dd'T'HH:mm:ss.SSS",
    "dd.MM.yyyy",
    "MM/dd/yyyy HH:mm:ss.S",
]
OFFSET_PATTERNS = [
    "yyyy-MM-dd'T'HH:mm:ssXXX",
    "yyyy-MM-dd HH:mm:ss Z",
    "dd.MM.yyyy HH:mm x",
    "yyyy-MM-dd HH:mm:ss.SSSSSSXX",
]
RECORDS_PATHS = [None, None, None, (), ("items",), ("data", "it's")]
ZONES = ["UTC", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]

COIN = st.sampled_from([False, False, True])
GIVEN: list[tuple[str, ValueFrom, tuple[Rule, ...]]] = [
    ("VARCHAR", ValueFrom("constant", "O'Neil"), (Required(),)),
    ("INTEGER", ValueFrom("fileName", r"-(\d\d)\."), (Bound("maximum", "2"),)),
    ("DATE", ValueFrom("fileName", r"_([-\d]+)"), (Required(),)),
    ("VARCHAR", ValueFrom("fileName", r"store(\d+)"), ()),
]
"""Type, origin and rules of columns that are not in the records. Files are called `s_2024-01-01.csv`."""

names = st.sampled_from(PLAIN_NAMES) | st.sampled_from(PLAIN_NAMES) | st.sampled_from(HOSTILE_NAMES)


@st.composite
def contracts(draw: st.DrawFn, file_format: FileFormat) -> Contract:
    """A contract for files of a format."""
    wanted = draw(st.lists(names, min_size=1, max_size=5, unique_by=str.lower))
    columns, patterns = list[Column](), dict[str, str]()
    taken = {name.casefold() for name in wanted}
    for name in wanted:
        column, pattern = draw(columns_called(name))
        headers = draw(st.lists(st.sampled_from(HEADERS), max_size=2, unique=True))
        free = [header for header in headers if header.casefold() not in taken]
        taken |= {header.casefold() for header in free}
        columns.append(replace(column, source=(free or [name])[0], aliases=tuple(free[1:])))
        if pattern:
            patterns[name] = pattern
    keyed = draw(st.lists(st.sampled_from(wanted), max_size=2, unique=True))
    columns = [with_key(column, keyed) for column in columns]
    columns = draw(with_outside(columns))
    source = SourceFormat(
        file_format, draw(st.sampled_from([None, None, ",", ";", "\t", "|"])), draw(st.sampled_from('"""\''))
    )
    if file_format is FileFormat.JSON:
        source = replace(source, records_path=draw(st.sampled_from(RECORDS_PATHS)))
    return Contract(Feed("f", "1.0.0", tuple(columns), source, tuple(keyed)), patterns)


@st.composite
def with_outside(draw: st.DrawFn, columns: list[Column]) -> list[Column]:
    """The columns, some of them filled down, and perhaps one that is told by the file's name or by the contract."""
    filled = draw(st.sets(st.sampled_from([column.name for column in columns]), max_size=2)) if draw(COIN) else set()
    # The oracle compares groups as texts.
    groups = [column.name for column in columns if column.name not in filled and column.sql_type == "VARCHAR"]
    found = [
        replace(column, fill_down=FillDown(draw(st.sampled_from([None, *groups])))) if column.name in filled else column
        for column in columns
    ]
    if draw(COIN):
        sql_type, value_from, rules = draw(st.sampled_from(GIVEN))
        found.append(Column("told", sql_type, "told elsewhere", rules=rules, value_from=value_from))
    return found


def with_key(column: Column, keyed: list[str]) -> Column:
    """A column of the key is required."""
    if column.name not in keyed or column.required:
        return column
    return replace(column, rules=(Required(), *column.rules))


@st.composite
def columns_called(draw: st.DrawFn, name: str) -> tuple[Column, str]:
    """A column with its type, options and rules, and its date pattern."""
    sql_type = draw(st.sampled_from(TYPES))
    parsing: dict[str, Any] = {"null_words": draw(st.sampled_from(NULL_WORDS))}
    pattern = ""
    if sql_type in MOMENTS:
        moment, pattern = draw(moment_parsing(sql_type))
        parsing |= moment
    elif sql_type == "VARCHAR":
        parsing["trim"] = draw(st.sampled_from([True, True, True, False]))
    elif sql_type != "BOOLEAN":
        parsing |= draw(st.sampled_from(NOTATIONS))
    rules: list[Rule] = [Required()] if draw(st.booleans()) else []
    if draw(st.integers(0, 2)) == 0:
        rules += draw(rules_for(sql_type))
    unique = draw(st.integers(0, 7)) == 7
    return Column(name, sql_type, name, rules=tuple(rules), unique=unique, parsing=Parsing(**parsing)), pattern


@st.composite
def moment_parsing(draw: st.DrawFn, sql_type: str) -> tuple[dict[str, Any], str]:
    """How a date or time is written: ISO 8601 or a pattern, and the zone of a time without an offset."""
    zoned = sql_type == "TIMESTAMPTZ"
    listed = {"DATE": DATE_PATTERNS, "TIME": TIME_PATTERNS}.get(sql_type, MOMENT_PATTERNS)
    pattern = draw(st.just("") | st.sampled_from(listed + OFFSET_PATTERNS * zoned))
    zone = draw(st.sampled_from(ZONES)) if zoned else "UTC"
    if not pattern:
        return {"has_timezone": zoned and draw(st.booleans()), "default_timezone": zone}, ""
    form = translate(pattern, {"DATE": "date", "TIME": "time"}.get(sql_type, "timestamp"))  # type: ignore[arg-type]
    return {
        "date_format": form.strptime,
        "date_width": form.width,
        "date_regex": form.regex,
        "has_timezone": form.has_offset,
        "utc_letter": form.utc_letter,
        "default_timezone": zone,
    }, pattern


@st.composite
def rules_for(draw: st.DrawFn, sql_type: str) -> list[Rule]:
    """One or two rules that fit a type."""
    if sql_type == "VARCHAR":
        choices: list[Rule] = [
            Length("minLength", draw(st.integers(1, 4))),
            Length("maxLength", draw(st.integers(1, 8))),
            Pattern(draw(st.sampled_from(PATTERNS))),
            OneOf(("a", "Ä", "O'Neil", "1.10")),
        ]
        return draw(st.lists(st.sampled_from(choices), min_size=1, max_size=2, unique_by=lambda rule: rule.rule))
    if sql_type == "BOOLEAN":
        return [OneOf(("true",))]
    low, high = limits_of(sql_type)
    bounds: list[Rule] = [
        Bound(draw(st.sampled_from(["minimum", "exclusiveMinimum"])), low),
        Bound(draw(st.sampled_from(["maximum", "exclusiveMaximum"])), high),
        OneOf((low, high)),
    ]
    if sql_type in INTEGERS or sql_type.startswith("DECIMAL"):
        bounds.append(MultipleOf("5"))
    return draw(st.lists(st.sampled_from(bounds), min_size=1, max_size=2, unique_by=lambda rule: rule.rule))


def limits_of(sql_type: str) -> tuple[str, str]:
    """Two values of a type, the smaller first, as contracts hold them."""
    low, high = dt.datetime(2024, 1, 2), dt.datetime(2024, 12, 31, 23, 59)  # noqa: DTZ001 - those of the type
    match sql_type:
        case "DATE":
            return low.date().isoformat(), high.date().isoformat()
        case "TIME":
            return "06:30:00", "22:00:00"
        case "TIMESTAMP":
            return low.isoformat(sep=" "), high.isoformat(sep=" ")
        case "TIMESTAMPTZ":
            return f"{low.isoformat(sep=' ')}+00:00", f"{high.isoformat(sep=' ')}+00:00"
        case _:
            return "0" if sql_type.startswith("U") else "0.5" if sql_type == "DOUBLE" else "1", "99"

"""Strategies that draw what stands in fields: values in their contract's notation, near misses, and anything else.

Each column gets a pool of a few texts, from which the fields of all files are taken: so keys meet, and draws are few.
"""

import datetime as dt
import json
from decimal import Decimal

from hypothesis import strategies as st

from orchestration_project.contracts.feed import Column, Parsing
from orchestration_project_tests.oracle.contracts import INTEGERS

NUMBERS = """0 1 -1 +5 007 42 100 127 128 255 256 -128 -129 32768 99.99 100.00 1.5 1.50 -0 -0.0 0.5 .5 5.
    1.005 1e3 1.5e2 1E-2 2.50e1 9.999 65536 2147483647 2147483648 9223372036854775807 9223372036854775808
    18446744073709551616 170141183460469231731687303715884105727 170141183460469231731687303715884105728
    99999999999999999999999999999999999.99 340282366920938463463374607431768211455 0.1 0.30000000000000004
    1e308 1e309 1e-320 17850.0 -3.0 1e-20 1.00000000000000000001e0 3.133713371337133713371337e24 1e22
    1234567.891 0.000000000000000001 1e-18 12345678901234567890.5 1_000 0x1F 1,5 1.2.3 NaN Infinity -inf 1e
    1.234,56 1,234.56 12,34 1'234 ١٢ ٣ - + . e5 1e+3 1e99999 --1 1-""".split()
DATES = """2024-02-29 2023-02-29 2024-01-02 2024-12-31 1999-12-31 0001-01-01 9999-12-31 10000-01-01 0000-01-01
    2024-1-2 20240102 2024-13-01 2024-00-10 2024-01-00 infinity epoch today 31.12.2024 12/31/2024 1/2/2024
    29.02.2023""".split()
TIMES = """00:00 23:59 23:59:59 12:30:15.5 12:30:15.123456 24:00:00 24:00 23:60 23:59:60 3:4 12
    12:30:15.1234567 0:0:0 1:05 12:30:15. noon""".split()
OFFSETS = [
    "Z",
    "+00:00",
    "+02:00",
    "-0530",
    "+14",
    " +01:00",
    "+99:99",
    "+24:00",
    "+05:60",
    "z",
    " UTC",
    "+1",
    "-12:00",
    "+14:00",
]
WORDS = ["true", "TRUE", "t", "Yes", "y", "1", "false", "F", "no", "N", "0", "2", "on", "truee", "ja"]
TEXTS = [
    "a",
    "b",
    "Z9",
    "Ä",
    "a\u0308",
    "O'Neil",
    "1.10",
    "1.1",
    "00123",
    "x" * 30,
    "a,b",
    "a;b",
    "a\tb",
    "a|b",
    'say "hi"',
    '"',
    '""',
    "'",
    "line\nbreak",
    "cr\r\nlf",
    "cr\ronly",
    "\\",
    "\\n",
    "{}",
    "[1]",
    "null",
    "NULL",
    "n/a",
    "-",
    "none",
    " pad ",
    "\u00a0nbsp\u00a0",
    "\u2003em",
    "id",
    "n",
    "\ufeff",
    "\u200b",
    "😀",
    "e\u0301",
    "-0",
    "1e3",
    "%s",
    "$1",
    "a\x01b",
    "a\x0bb",
    "a\x0cb",
    "a\x85b",
    "a\u2028b",
    "#x",
    "a b",
]
# Moments without a zone: which one they are in is up to the contract. The last one is skipped by Europe's clocks.
EARLIEST, LATEST, SKIPPED = map(dt.datetime.fromisoformat, ("1990-01-01", "2037-12-31", "2024-03-31 02:30"))
ANY_TEXT = st.text(st.sampled_from("ab01,;\"' \té\u00a0.-"), max_size=6)
NATIVE = [
    "1.10",
    "1.1",
    "0",
    "-0",
    "1",
    "42",
    "1e3",
    "1.5",
    "100000000000000000000.25",
    "true",
    "false",
    "null",
    '{"a": 1.10}',
    "[1, 2]",
    '"\\u0000"',
    '"\\u00e4"',
    "1E-2",
    "-1.50",
    "12345678901234567890",
]


def pools(column: Column, pattern: str) -> st.SearchStrategy[list[str]]:
    """Some texts for a column's fields."""
    good = good_texts(column, pattern)
    near = st.sampled_from(near_misses(column.sql_type))
    empty = st.sampled_from(["", " ", "\u00a0", *column.parsing.null_words])
    one = st.one_of(good, good, good, near, near, empty, st.sampled_from(TEXTS), ANY_TEXT)
    return st.lists(one, min_size=2, max_size=8, unique=True)


def near_misses(sql_type: str) -> list[str]:
    """Texts that are values of a type, or look like ones."""
    match sql_type:
        case "VARCHAR":
            return TEXTS
        case "BOOLEAN":
            return WORDS
        case "DATE":
            return DATES
        case "TIME":
            return TIMES
        case "TIMESTAMP" | "TIMESTAMPTZ":
            moments = [f"{day}{mark}{time}" for day in DATES[:8] for mark in " T" for time in TIMES[:9]]
            return [*DATES, *moments, *(moment + offset for moment in moments[:30] for offset in OFFSETS)]
        case _:
            return NUMBERS


def good_texts(column: Column, pattern: str) -> st.SearchStrategy[str]:
    """Values of a column as its contract says that they are written, some of them padded."""
    sql_type = column.sql_type
    if sql_type == "VARCHAR":
        return st.sampled_from(TEXTS)
    if sql_type == "BOOLEAN":
        return st.sampled_from(WORDS)
    if sql_type in INTEGERS:
        return st.integers(-3, 300).map(lambda value: notation(Decimal(value), column.parsing))
    if sql_type in ("DATE", "TIME") or sql_type.startswith("TIMESTAMP"):
        return moments().map(lambda moment: moment_text(moment, column, pattern))
    places = int(sql_type.rstrip(")").rpartition(",")[2]) if sql_type != "DOUBLE" else 3
    cents = st.integers(-(10**6), 10**6).map(
        lambda value: notation(Decimal(value).scaleb(-min(places, 2)), column.parsing)
    )
    return cents | cents.map(lambda text: f" {text}\u00a0")


def moments() -> st.SearchStrategy[dt.datetime]:
    """Moments of the years that have the time zones of today."""
    seconds = st.datetimes(EARLIEST, LATEST).map(lambda moment: moment.replace(microsecond=0, fold=0))
    return seconds | seconds.map(lambda moment: moment.replace(second=0)) | st.just(SKIPPED)


def notation(value: Decimal, parsing: Parsing) -> str:
    """A number with the separators and the currency of a contract."""
    text = f"{value:,f}" if parsing.thousands_separator else f"{value:f}"
    text = text.translate({ord(","): parsing.thousands_separator, ord("."): parsing.decimal_separator})
    return f"{text} {parsing.currency_symbols[0]}" if parsing.currency_symbols else text


def moment_text(moment: dt.datetime, column: Column, pattern: str) -> str:
    """A moment in a column's format."""
    if pattern:
        return by_pattern(moment, pattern)
    if column.sql_type == "DATE":
        return moment.date().isoformat()
    if column.sql_type == "TIME":
        return moment.time().isoformat()
    return moment.isoformat(sep=" ") + "+02:00" * column.parsing.has_timezone


def by_pattern(moment: dt.datetime, pattern: str) -> str:
    """A moment in one of the patterns that contracts are drawn with."""
    parts = {
        "yyyy": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S",
        "a": "%p", "SSSSSS": "%f", "SSS": "000", "XXX": "+02:00", "XX": "-0130", "Z": "+0000", "x": "-05",
    }  # fmt: skip
    single = {
        "d": moment.day,
        "M": moment.month,
        "H": moment.hour,
        "h": moment.hour % 12 or 12,
        "m": moment.minute,
        "s": moment.second,
        "S": 0,
    }
    text, place = "", 0
    while place < len(pattern):
        letters = pattern[place : place + len(pattern[place:]) - len(pattern[place:].lstrip(pattern[place]))]
        if letters in parts:
            text += moment.strftime(parts[letters])
        else:
            text += str(single.get(letters, letters)) if letters != "'" else ""
        place += len(letters)
    return text


def json_value(text: str, native: bool) -> str:
    """A field as JSON: the number or word that it is, or a string."""
    if native and text.isascii():
        try:
            json.loads(text, parse_constant=lambda _: 1 / 0)
        except (ValueError, ZeroDivisionError, RecursionError):
            pass
        else:
            return text.strip()
    return json.dumps(text, ensure_ascii=len(text) % 2 == 0)

"""From text to values, as SQL. Pure functions of the contract: nothing is run here. Its rules are in `conditions`.

A cast in DuckDB accepts more than a contract should: `1.5` becomes the integer 2, `1_000` is 1000, 9.999 is rounded to
10.00. So a value counts only when it is written back the same, or matches the form that its type allows.

No expression here may raise, whatever a text holds: it would stop the load of all files, and DuckDB's message quotes
the value.
"""

import re
from collections.abc import Sequence

from orchestration_project.contracts.date_formats import COLON_OFFSET, SHORT_OFFSET, YEAR
from orchestration_project.contracts.feed import (
    Column,
    Feed,
    Parsing,
)
from orchestration_project.formats.fields import BLANKS, INTEGER_TYPES, is_number, stripped
from orchestration_project.warehouse.feed_tables import IGNORED
from orchestration_project.warehouse.tables import ident, literal, literals

TRUE_WORDS = ("true", "t", "yes", "y", "1")
FALSE_WORDS = ("false", "f", "no", "n", "0")
# `1.00` says 1 exactly, `1.5` no integer.
INTEGER = r"[+-]?\d+(\.0*)?"
MINUS_ZERO = r"-0+(\.0*)?"
# `5.` and `.5` are numbers; `nan`, `inf` and `1_000`, which a cast reads, are none.
FLOAT = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
ZERO = r"[+-]?[0.]+([eE].*)?"
SCIENTIFIC = r"([+-]?)(\d+|\d*\.\d+|\d+\.)[eE]([+-]?0*\d{1,2})"
"""Sign, digits and exponent. A DECIMAL has 38 digits: an exponent of three would take more than it can hold."""
# The largest exponent of SCIENTIFIC: so many zeros on both sides leave room for the point to move.
SHIFTS = 99
FIRST_MOMENT, LAST_MOMENT = (
    f"TIMESTAMPTZ '{text}+00'" for text in ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")
)
# A cast takes 24:00 for the next midnight.
ISO_TIME = r"([01]\d|2[0-3]):\d{2}(:\d{2}(\.\d{1,6})?)?"
ISO_TIMESTAMP = YEAR + rf"-\d{{2}}-\d{{2}}([T ]{ISO_TIME})?"
ISO_OFFSET = rf"( ?(Z|{SHORT_OFFSET}|{COLON_OFFSET}))"
ISO_CAST = YEAR + rf"-\d{{2}}-\d{{2}}[T ]([01]\d|2[0-3]):\d{{2}}:\d{{2}}(\.\d{{1,6}})?(Z|{SHORT_OFFSET}|{COLON_OFFSET})"
"""What a cast to TIMESTAMPTZ reads of these: it wants seconds, and no blank before the offset."""
ISO_FORMATS = {("DATE", "%Y-%m-%d"): 10, ("TIMESTAMP", "%Y-%m-%d %H:%M:%S"): 19}
"""Declared formats that a cast reads, with the length of such texts."""


def filled(feed: Feed) -> str:
    """A condition over the raw table that holds for all records but blank ones, which are nothing but empty fields.

    As a filter DuckDB looks at the next operand of an OR only for the rows for which no earlier one holds; mostly the
    first field decides.
    """
    fields = [f"{stripped(ident(column.name))} <> ''" for column in feed.record_columns]
    return " OR ".join([*fields, "_rescued IS NOT NULL", "_parse_error IS NOT NULL"])


def is_data(feed: Feed) -> str:
    """A condition over the raw table that holds for all records but blank and ignored ones."""
    return f"({filled(feed)}) AND {IGNORED} IS NULL" if feed.ignored else filled(feed)


def blank(feed: Feed) -> str:
    """A condition over the raw table that holds for blank records.

    It begins with comparisons that DuckDB makes before it reads other columns, with a column that hardly any record
    lacks: a text of nothing but blanks begins with one.
    """
    # Not one that is filled down: most records of a file may lack it.
    needed = [column.name for column in feed.record_columns if column.required and not column.fill_down]
    column = ident((needed or [feed.record_columns[0].name])[0])
    return f"({column} IS NULL OR {column} < '!' OR {column} >= '\u00a0') AND NOT coalesce({filled(feed)}, false)"


def text_of(column: Column, raw: str) -> str:
    """The text that counts: without padding, NULL when empty or one of the contract's words for missing."""
    parsing = column.parsing
    text = stripped(raw) if parsing.trim else raw
    if parsing.null_words:
        return f"CASE WHEN {text} NOT IN ('', {literals(parsing.null_words)}) THEN {text} END"
    return f"nullif({text}, '')"


def value_of(column: Column, text: str) -> str:
    """The value of a source column: SQL over its text, NULL when the text does not have the declared form."""
    sql_type = column.sql_type
    if sql_type == "VARCHAR":
        return text
    if sql_type == "BOOLEAN":
        word = f"lower({text})"
        is_true, is_false = f"{word} IN ({literals(TRUE_WORDS)})", f"{word} IN ({literals(FALSE_WORDS)})"
        return f"CASE WHEN {is_true} THEN true WHEN {is_false} THEN false END"
    if is_number(sql_type):
        return _number(sql_type, text, column.parsing)
    if sql_type in ("DATE", "TIME") or sql_type.startswith("TIMESTAMP"):
        return _moment(sql_type, text, column.parsing)
    return f"TRY_CAST({text} AS {sql_type})"


def _number(sql_type: str, text: str, parsing: Parsing) -> str:
    plain, guard = _plain_number(text, parsing)
    value = f"TRY_CAST({plain} AS {sql_type})"
    if sql_type in INTEGER_TYPES:
        # DuckDB reads -0 as an unsigned number, but not -0.0.
        zero = f" WHEN {_matches(plain, MINUS_ZERO)} THEN 0" if sql_type.startswith("U") else ""
        cases = f"WHEN {value}::VARCHAR = {plain} THEN {value}{zero} WHEN {_matches(plain, INTEGER)} THEN {value}"
    elif sql_type in ("DOUBLE", "FLOAT"):
        # Of -0 the sign would stay, and of 1e-999 nothing.
        zero = f"CASE WHEN {_matches(plain, ZERO)} THEN 0 END"
        number = f"CASE WHEN {value} <> 0 THEN {value} ELSE {zero} END"
        cases = f"WHEN {_matches(plain, FLOAT)} AND isfinite({value}) THEN {number}"
    else:
        form = _decimal_form(sql_type)
        shifted = _without_exponent(plain)
        scientific = f"CASE WHEN {_matches(shifted, form)} THEN TRY_CAST({shifted} AS {sql_type}) END"
        cases = (
            f"WHEN {value}::VARCHAR = {plain} OR {_matches(plain, form)} THEN {value}"
            f" WHEN {_matches(plain, SCIENTIFIC)} THEN {scientific}"
        )
    return f"CASE {f'WHEN NOT {guard} THEN NULL' if guard else ''} {cases} END"


def _without_exponent(number: str) -> str:
    """SQL for a number of the form SCIENTIFIC with its point at its place: `1.25e1` -> `0012.500`, with more zeros.

    A cast to DECIMAL reads exponents wrongly in DuckDB 1.5.5: `0.00055e5` as DECIMAL(4,1) is 50.0.
    """
    # A list of one part, so that a lambda can use it several times and the text is matched once.
    parts = f"regexp_extract({number}, {literal(SCIENTIFIC)}, ['sign', 'mantissa', 'exponent'])"
    zeros = f"repeat('0', {SHIFTS})"
    # The digits of the mantissa between zeros. The point goes behind the zeros, the digits that stood before it, and
    # one more for each power of ten.
    digits = f"{zeros} || replace(part.mantissa, '.', '') || {zeros}"
    point = f"{SHIFTS} + length(split_part(part.mantissa, '.', 1)) + TRY_CAST(part.exponent AS BIGINT)"
    written = f"part.sign || left({digits}, {point}) || '.' || substr({digits}, {point} + 1)"
    return f"list_transform([{parts}], lambda part: {written})[1]"


def _decimal_form(sql_type: str) -> str:
    """What a DECIMAL may look like: no digit but 0 beyond its scale."""
    _, scale = digits_of(sql_type)
    return rf"[+-]?(\d+(\.\d{{0,{scale}}}0*)?" + (rf"|\.\d{{1,{scale}}}0*)" if scale else r"|\.0+)")


def _matches(text: str, regex: str) -> str:
    return f"regexp_full_match({text}, {literal(regex)})"


def _plain_number(text: str, parsing: Parsing) -> tuple[str, str | None]:
    """The number with a point and no grouping, and a condition that its grouping is right."""
    number = _without_currency(text, parsing.currency_symbols)
    thousands, decimal = parsing.thousands_separator, parsing.decimal_separator
    if not thousands and decimal == ".":
        return number, None
    # As code points: a separator may be `.` or another sign with a meaning in a regular expression.
    group, point = rf"\x{{{ord(thousands or ','):x}}}", rf"\x{{{ord(decimal):x}}}"
    # Groups of three or none: 1,23 where a comma groups is no 123.
    whole = rf"(\d{{1,3}}({group}\d{{3}})+|\d+)" if thousands else r"\d+"
    form = rf"[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
    plain = f"replace({number}, {literal(thousands)}, '')" if thousands else number
    return f"replace({plain}, {literal(decimal)}, '.')" if decimal != "." else plain, _matches(number, form)


def _without_currency(text: str, symbols: Sequence[str]) -> str:
    """The text without one of the symbols at its start (a sign may stand before it) or at its end."""
    if not symbols:
        return text
    # `-$ 5` -> `-5`, `5 EUR` -> `5`; only one of the symbols, so `$5$` is no number.
    blanks, symbol = f"[{BLANKS}]*", "|".join(re.escape(symbol) for symbol in symbols)
    found = rf"^([+-]?){blanks}(?:{symbol}){blanks}|{blanks}(?:{symbol})$"
    return rf"regexp_replace({text}, {literal(found)}, '\1')"


def _moment(sql_type: str, text: str, parsing: Parsing) -> str:
    value = _iso(sql_type, text, parsing) if parsing.date_format is None else _formatted(sql_type, text, parsing)
    if sql_type in ("DATE", "TIME"):
        return f"TRY_CAST({value} AS {sql_type})"
    zoned = sql_type in ("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")
    if parsing.has_timezone:
        moment = _in_years(f"TRY_CAST({value} AS TIMESTAMPTZ)")
        # A column without a zone holds moments in UTC: two offsets of one moment are then equal values, and equal keys.
        return moment if zoned else f"timezone('UTC', {moment})"
    naive = f"TRY_CAST({value} AS TIMESTAMP)"
    return _in_zone(naive, parsing.default_timezone) if zoned else naive


def _in_years(moment: str) -> str:
    """The moment, if it is in the years 1 to 9999 in UTC too: an offset may lead beyond them."""
    # Python's datetimes end there: whoever reads the table would fail, long after the load.
    return f"CASE WHEN {moment} BETWEEN {FIRST_MOMENT} AND {LAST_MOMENT} THEN {moment} END"


def _in_zone(naive: str, zone: str) -> str:
    """The moment at which clocks in a zone show a time; NULL for a time that they skip in spring."""
    moment = f"timezone({literal(zone)}, {naive})"
    if zone == "UTC":
        return moment
    # A skipped time becomes a moment too, an hour off; only the way back tells it.
    return _in_years(f"CASE WHEN timezone({literal(zone)}, {moment}) = {naive} THEN {moment} END")


def _formatted(sql_type: str, text: str, parsing: Parsing) -> str:
    """A moment in the declared format. Casts are several times faster than strptime, so the ISO formats go that way."""
    if length := ISO_FORMATS.get((sql_type, str(parsing.date_format))):
        return _written_back(sql_type, text, length)
    written = f"regexp_replace({text}, 'Z$', '+00:00')" if parsing.utc_letter else text
    parsed = f"try_strptime({written}, {literal(str(parsing.date_format))})"
    # strptime takes more than the format allows: other widths, blanks.
    return f"CASE WHEN {_matches(text, parsing.date_regex)} THEN {parsed} END" if parsing.date_regex else parsed


def _iso(sql_type: str, text: str, parsing: Parsing) -> str:
    if sql_type == "DATE":
        return _written_back("DATE", text, length=10)
    if not parsing.has_timezone:
        return f"CASE WHEN {_matches(text, ISO_TIME if sql_type == 'TIME' else ISO_TIMESTAMP)} THEN {text} END"
    complete = _matches(text, ISO_TIMESTAMP + ISO_OFFSET)
    # Mostly the text is what a cast reads; only the others are rewritten.
    return f"CASE WHEN {_matches(text, ISO_CAST)} THEN {text} WHEN {complete} THEN {_with_seconds(text)} END"


def _with_seconds(text: str) -> str:
    """SQL for a moment with an offset as a cast reads it: `2024-07-01 12:00 Z` -> `2024-07-01 12:00:00Z`."""
    minutes = rf"regexp_replace({text}, '^(.{{10}})[T ](\d\d:\d\d) ?([Z+-].*)$', '\1 \2:00\3')"
    days = rf"regexp_replace({minutes}, '^(.{{10}}) ?([Z+-].*)$', '\1 00:00:00\2')"
    return rf"regexp_replace({days}, ' ([Z+-])', '\1')"


def _written_back(sql_type: str, text: str, length: int) -> str:
    # The length keeps out years beyond 9999, fractions of seconds and `infinity`, which are written back the same.
    return f"CASE WHEN length({text}) = {length} AND TRY_CAST({text} AS {sql_type})::VARCHAR = {text} THEN {text} END"


def digits_of(sql_type: str) -> tuple[int, int]:
    """Precision and scale of a DECIMAL."""
    precision, scale = sql_type.removeprefix("DECIMAL(").rstrip(")").split(",")
    return int(precision), int(scale)

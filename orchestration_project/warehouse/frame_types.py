"""Which types of DuckDB can hold the same values, and the condition that tells where one can't.

Belongs here: types by themselves. What a table's columns become when a frame is written is in `frame_tables`.
"""

import re

INTEGERS = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
UNSIGNED = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64, "UHUGEINT": 128}
"""Bits of a number, without its sign."""
PLAIN_TIMES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
INTEGER_TYPE = re.compile(r"\bU?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)\b")
ALIKE = {("float", "integer"), ("integer", "float"), ("integer", "decimal"), ("date", "time"), ("time", "date")}
"""Kinds of a frame and a table that can hold the same values: 10.0 and 10, a day and its midnight."""
DECLARED_ALIKE = {("float", "decimal"), ("decimal", "float"), ("decimal", "integer")}
"""More of them where the type is declared: a float then means the number that it is written as."""


def kind_of(sql_type: str) -> str:
    """What values of a type are; types of one kind have the same values, as far as they hold them."""
    if sql_type.startswith("TIMESTAMP WITH"):
        return "moment"
    for start, kind in (
        ("TIMESTAMP", "time"),
        ("DECIMAL", "decimal"),
        ("ENUM", "text"),
        ("VARCHAR", "text"),
        ("FLOAT", "float"),
        ("DOUBLE", "float"),
        ("DATE", "date"),
    ):
        if sql_type.startswith(start) and not sql_type.endswith("]"):
            return kind
    return "integer" if INTEGER_TYPE.fullmatch(sql_type) else INTEGER_TYPE.sub("integer", sql_type)


def may_hold(kind: str, other: str, *, declared: bool) -> bool:
    """Whether values of one kind may be written to a column of another one, if they are the same there."""
    more = declared and ((kind, other) in DECLARED_ALIKE or kind == "text")
    return kind == other or (kind, other) in ALIKE or more


def cast(value: str, own: str, other: str, *, attempt: bool = False) -> str:
    """A value of one type in another; with `attempt`, NULL where the other can't hold it."""
    if own != other and {own, other} <= PLAIN_TIMES:
        # DuckDB 1.5.5 raises beyond the years of TIMESTAMP_NS, TRY_CAST or not, and has no cast from MS to S.
        value = f"CAST({value} AS VARCHAR)"
    return f"{'TRY_' if attempt else ''}CAST({value} AS {other})"


def changed(value: str, own: str, other: str) -> str:
    """A condition that is true where a value is not the same in another type."""
    there = cast(value, own, other, attempt=True)
    back = cast(there, other, own)
    if own != "VARCHAR" or kind_of(other) == "text":
        return f"({back} IS DISTINCT FROM {value})"
    # 1.1 and 1.10 are one number, 00123 is none; a midnight may be written as a day.
    if kind_of(other) == "time":
        value, back = f"replace({value}, 'T', ' ')", f"regexp_replace({back}, ' 00:00:00$', '')"
        value = f"regexp_replace({value}, ' 00:00:00$', '')"
    written, read = (f"rtrim(regexp_replace({text}, '(\\.\\d*?)0+$', '\\1'), '.')" for text in (value, back))
    return f"({written} IS DISTINCT FROM {read})"


def integer_type(had: str, least: int, most: int) -> str:
    """The integer type that holds what a column of type `had` may hold, and the numbers from `least` to `most`.

    It is `had` where that holds them, or where no type of DuckDB holds both.
    """
    bits = max((number if number >= 0 else -number - 1).bit_length() for number in (least, most))
    if had in UNSIGNED and least >= 0 and bits <= UNSIGNED[had]:
        return had
    needed = max(bits, INTEGERS.get(had, 0), UNSIGNED.get(had, 0))
    return next((sql_type for sql_type, held in INTEGERS.items() if held >= needed), had)

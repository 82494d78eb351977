"""SQL over the text of a field: blanks, and numbers in the notation that a contract declares."""

from orchestration_project.contracts.feed import Parsing
from orchestration_project.warehouse.tables import literal

BLANKS = " \t\r\n\u00a0"
"""Characters that count as padding: a field that has no others is empty."""
EMPTY_OBJECT = r'^\{(?:"(?:[^"\\]|\\.)*":(?:null|"(?:[ \x{a0}]|\\[trn])*"),?)*\}$'
"""JSON in which no field has a value."""
INTEGER_TYPES = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)


def stripped(text: str) -> str:
    """SQL for a text without blanks around it.

    DuckDB's trim by characters costs more than the conversion of a value, so it is left to the texts that need it.
    """
    blank = " OR ".join(f"suffix({text}, {literal(character)})" for character in BLANKS)
    # Of all characters but the no-break space, blanks and controls are those below the exclamation mark.
    padded = f"{text} < '!' OR prefix({text}, '\u00a0') OR {blank}"
    return f"CASE WHEN {padded} THEN trim({text}, {literal(BLANKS)}) ELSE {text} END"


def unless_empty(rescued: str) -> str:
    """SQL for the JSON object of a record's other columns; NULL when nothing but blanks stands in them."""
    # The expression stands once: DuckDB takes what stands twice out of the CASE that keeps it from broken lines.
    return f"nullif(regexp_replace({rescued}, {literal(EMPTY_OBJECT)}, ''), '')"


def is_number(sql_type: str) -> bool:
    """Whether a DuckDB type holds numbers."""
    return sql_type in INTEGER_TYPES or sql_type in ("DOUBLE", "FLOAT") or sql_type.startswith("DECIMAL")


def is_written_in_digits(sql_type: str) -> bool:
    """Whether every value of a DuckDB type is written with a digit, as every number, date and time is."""
    return is_number(sql_type) or sql_type in ("DATE", "TIME") or sql_type.startswith("TIMESTAMP")


def localised(plain: str, parsing: Parsing) -> str:
    """A number that the file itself holds as a number, as text in the notation that the contract declares for text."""
    if parsing.decimal_separator == ".":
        return plain
    return f"replace({plain}, '.', {literal(parsing.decimal_separator)})"

"""SQL over the text of a field: blanks, names of columns, and numbers in the notation that a contract declares."""

from collections.abc import Iterable

from orchestration_project.contracts.feed import Parsing
from orchestration_project.formats.header import SPACES, ZERO_WIDTH
from orchestration_project.warehouse.tables import literal

BLANKS = " \t\r\n\u00a0"
"""Characters that count as padding: a field that has no others is empty."""
# `{"x":null,"y":" \t"}` matches; `{"x":0}`, `{"x":{}}` and `{"x":"a"}` do not.
EMPTY_OBJECT = r'^\{(?:"(?:[^"\\]|\\.)*":(?:null|"(?:[ \x{a0}]|\\[trn])*"),?)*\}$'
"""JSON in which no field has a value."""
UNCOMPOSED = f"[{ZERO_WIDTH}{SPACES}\\p{{M}}\\x{{1100}}-\\x{{11ff}}]"
"""What a text may look the same without: what is not seen, and accents and parts of syllables that stand apart."""
UPPER, LOWER = {"İ": "i\u0307"}, {"ß": "ss", "ς": "\u03c3", "\u017f": "s"}
"""Letters that DuckDB's `lower` leaves otherwise than Python's `casefold`: to replace before it, and after it."""
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


def as_name(text: str) -> str:
    """SQL for a text as names of columns are compared, as `header.normalised` does it in Python.

    Composing costs twenty times as much as all else, so it is left to the texts that may need it.
    """
    # Before `lower`, which makes an İ a plain i.
    folded = text
    for letter, same in UPPER.items():
        folded = f"replace({folded}, {literal(letter)}, {literal(same)})"
    folded = f"lower({folded})"
    # After `lower`, which makes a capital ẞ the ß that is replaced here.
    for letter, same in LOWER.items():
        folded = f"replace({folded}, {literal(letter)}, {literal(same)})"
    seen = f"regexp_replace(regexp_replace({folded}, '[{SPACES}]', ' ', 'g'), '[{ZERO_WIDTH}]', '', 'g')"
    composed = f"nfc_normalize(trim({seen}, {literal(BLANKS)}))"
    beyond_ascii = f"CASE WHEN regexp_matches({text}, {literal(UNCOMPOSED)}) THEN {composed} ELSE {folded} END"
    # As many bytes as characters: ASCII, whose letters have one form each.
    return f"CASE WHEN strlen({text}) = length({text}) THEN lower({text}) ELSE {beyond_ascii} END"


def as_names(texts: Iterable[str]) -> str:
    """SQL for a list of texts as names of columns are compared, without the blanks around them.

    The SQL for a name stands once, however many texts there are: hundreds of it would take minutes to plan.
    """
    return f"list_transform([{', '.join(texts)}], lambda _text: {as_name(stripped('_text'))})"


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

"""SQL of a contract: what it may contain, and `transformLogic`, one scalar expression over a row.

The warehouse runs this SQL with the platform's rights, so nothing that reads files, settings or other tables may pass.
The tables are a pure function of the files, so nothing in `transformLogic` may depend on the clock or on chance. And a
contract alone bounds how long a text becomes: with a number from a row, a file could ask for any amount of memory.
What is allowed is listed as names of sqlglot's node classes. It fails closed: a node that is not listed is refused.

sqlglot (450 ms) is imported when the first SQL is read, so that importing this package stays cheap.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.errors import Place, did_you_mean, listed

if TYPE_CHECKING:
    from sqlglot import exp

# Names and no classes: sqlglot is imported late, and a class that one of its releases lacks allows nothing then.
_SYNTAX = """
    Column Identifier Literal Boolean Null Paren Case If Cast TryCast DataType DataTypeParam Interval
    Add Sub Mul Div IntDiv Mod Pow Neg DPipe BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitwiseLeftShift
    BitwiseRightShift And Or Not EQ NEQ GT GTE LT LTE Is Between In Like ILike SimilarTo Escape NullSafeEQ NullSafeNEQ
    AtTimeZone
"""
_FUNCTIONS = """
    Upper Lower Trim Length Left Right Substring Concat ConcatWs Replace Pad Reverse Repeat SplitPart StrPosition
    Contains StartsWith EndsWith RegexpReplace RegexpLike RegexpFullMatch RegexpExtract Translate Ascii Chr MD5 SHA2 Hex
    Abs Round Ceil Floor Trunc Sign Sqrt Ln Log Exp Greatest Least Coalesce Nullif IsNan IsInf
    DateDiff TimestampTrunc DateTrunc Extract Year Quarter Month Week Day Hour Minute Second DayOfWeek DayOfWeekIso
    DayOfYear Dayname Monthname LastDay TimeToUnix TimeToStr DateAdd Date DateFromParts TimestampFromParts
"""
# No table functions and no VALUES: a query reads the batch's rows and nothing else.
_QUERY_SYNTAX = """
    Select From Where Group Having Order Ordered Limit Offset Distinct Subquery With CTE TableAlias Table Join Alias
    Star Union Intersect Except Exists Window WindowSpec Qualify Filter Tuple
    Count CountIf Sum Avg Min Max Median Stddev StddevPop StddevSamp Variance VariancePop Quantile PercentileCont
    PercentileDisc WithinGroup AnyValue ApproxDistinct ArgMax ArgMin LogicalAnd LogicalOr RowNumber Rank DenseRank Lag
    Lead FirstValue LastValue CurrentDate CurrentTimestamp
"""
_CASTS = """
    TINYINT SMALLINT INT BIGINT INT128 UTINYINT USMALLINT UINT UBIGINT UINT128 DECIMAL FLOAT DOUBLE BOOLEAN TEXT VARCHAR
    DATE TIME TIMESTAMP TIMESTAMPTZ INTERVAL
"""
_NAMED = """
    prefix suffix strip_accents nfc_normalize date_part date_sub try_strptime strptime timezone isfinite printf bin
"""
# A bare word is a unit such as DAY below these; elsewhere it may be anything.
_UNIT_PARENTS = ("DateDiff", "TimestampTrunc", "DateTrunc", "Extract", "Interval", "DateAdd", "Window", "WindowSpec")

SCALAR = frozenset([*_SYNTAX.split(), *_FUNCTIONS.split()])
"""What may compute a value from one row."""

QUERY = SCALAR | frozenset(_QUERY_SYNTAX.split())
"""What a query over a batch may use. The result of a check, unlike a table, may depend on the clock."""

NAMED_FUNCTIONS = frozenset(_NAMED.split())
"""Functions that sqlglot has no class for."""

CAST_TYPES = frozenset(_CASTS.split())

MAX_DEPTH = 300
"""DuckDB's own limit is 1000, and what the platform wraps around an expression counts too."""

MAX_WIDTH = 999
"""To how many characters `lpad`, `rpad` and `printf` may fill a text, and how often `repeat` may repeat one."""

# A width that is taken from an argument, as in `%*d`, or has four digits and more, as in `%5000d`.
_TOO_WIDE = re.compile(r"%[^%a-zA-Z]*(\*|\d{4})")
# `lpad(code, greatest(length(code), 8), '0')` has a width of such parts.
_OF_A_WIDTH = frozenset({"Greatest", "Least", "Cast", "DataType", "Paren", "Length"})
# By the node that runs a regular expression: the argument with its options.
_OPTIONS_OF_PATTERN = {
    "RegexpLike": "flag",
    "RegexpFullMatch": "options",
    "RegexpExtract": "parameters",
    "RegexpReplace": "modifiers",
    "SimilarTo": "",
}


@dataclass(frozen=True, slots=True)
class Expression:
    """DuckDB SQL and the columns that it reads, both with the names as declared."""

    sql: str
    columns: tuple[str, ...]


def parse_expression(text: str, names: Sequence[str], place: Place) -> Expression | None:
    """The expression in `text` over columns called `names`; None after something was reported."""
    from sqlglot import exp

    before = len(place.problems)
    root = parse_statement(text, place)
    if root is None or not (check_nodes(root, SCALAR, place) and check_bounds(root, place)):
        return None
    # DuckDB's names have no case, but `Column.uses` is compared with the names as they are declared.
    declared = {name.casefold(): name for name in names}
    used: dict[str, None] = {}
    for column in root.find_all(exp.Column):
        name = declared.get(column.name.casefold())
        if column.table:
            place.problem(f"{column.sql(dialect='duckdb')}: write a column's name without a table")
        elif name is None:
            place.problem(f"unknown column {column.name!r}; columns: {listed(names)}{did_you_mean(column.name, names)}")
        else:
            used[name] = None
            column.this.set("this", name)
    remember_patterns(root, place)
    sql = write_statement(root, place)
    return Expression(sql, tuple(used)) if sql is not None and len(place.problems) == before else None


def parse_statement(text: str, place: Place) -> "exp.Expr | None":
    """The one statement or expression in a text; None after something was reported."""
    import sqlglot
    from sqlglot.errors import ParseError, SqlglotError

    try:
        # DuckDB's ~ matches the whole text, sqlglot writes it as regexp_matches, which searches.
        if any(
            token.text in ("~", "!~") and token.token_type.name != "STRING"
            for token in sqlglot.tokenize(text, read="duckdb")
        ):
            place.problem("the operator ~ is not supported; use regexp_matches or regexp_full_match")
            return None
        roots = sqlglot.parse(text, read="duckdb")
    except ParseError as error:
        detail = error.errors[0] if error.errors else {}
        place.problem(f"not valid SQL: {detail.get('description', error)} near {detail.get('highlight', '')!r}")
        return None
    except (SqlglotError, ValueError, RecursionError) as error:
        place.problem(f"not valid SQL: {error}")
        return None
    if len(roots) != 1 or roots[0] is None:
        place.problem("must be one SQL expression" if len(roots) > 1 else "is empty")
        return None
    return roots[0]


def write_statement(root: "exp.Expr", place: Place) -> str | None:
    """DuckDB SQL with every identifier quoted; None after something was reported."""
    from sqlglot.errors import ErrorLevel, SqlglotError

    try:
        # In quotes, since `order` may be a column. Unless told to raise, sqlglot only warns and writes something else.
        return root.sql(dialect="duckdb", identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, ValueError, RecursionError) as error:
        place.problem(f"can't be written as DuckDB SQL: {error}")
        return None


def remember_patterns(root: "exp.Expr", place: Place) -> None:
    """Hand the regular expressions in a statement to the engine: one that it can't compile would fail a whole load."""
    from sqlglot import exp

    for node in root.walk():
        # A pattern that comes from a column is unknown here; the engine compiles it row by row.
        options = _OPTIONS_OF_PATTERN.get(type(node).__name__)
        pattern = node.args.get("expression")
        if options is None or not isinstance(pattern, exp.Literal) or not pattern.is_string:
            continue
        # With the option l the pattern is plain text.
        if "l" not in getattr(node.args.get(options), "name", ""):
            place.pattern(pattern.name)


def check_nodes(root: "exp.Expr", allowed: frozenset[str], place: Place) -> bool:
    """Report each part of a statement that is not allowed; True when there is none."""
    before = len(place.problems)
    # One message a refused part: nothing below it is looked at.
    for node in root.walk(prune=lambda node: not _is_allowed(node, allowed)):
        if not _is_allowed(node, allowed):
            place.problem(_refusal(node))
    return len(place.problems) == before


def _is_allowed(node: "exp.Expr", allowed: frozenset[str]) -> bool:
    kind = type(node).__name__
    if kind == "Anonymous":
        return node.name.lower() in NAMED_FUNCTIONS
    if kind == "DataType":
        # sqlglot has renamed this enumeration between releases.
        return str(node.this).removeprefix("DType.").removeprefix("Type.") in CAST_TYPES and not node.args.get("nested")
    if kind == "Var":
        return type(node.parent).__name__ in _UNIT_PARENTS
    # sqlglot takes `a IN ()` and `()`, DuckDB does not: a load would fail.
    if kind in ("In", "Tuple") and not (node.expressions or node.args.get("query") or node.args.get("field")):
        return False
    return kind in allowed


def _refusal(node: "exp.Expr") -> str:
    from sqlglot import exp

    text = node.sql(dialect="duckdb", comments=False)
    text = text if len(text) <= 60 else f"{text[:60]}..."
    if isinstance(node, exp.AggFunc):
        return f"the aggregate {text} is not allowed; transformLogic computes a value from one row"
    if isinstance(node, exp.Window):
        return f"the window function {text} is not allowed; transformLogic computes a value from one row"
    if isinstance(node, exp.Query | exp.Subquery):
        return f"the query {text} is not allowed; transformLogic is one expression over the columns of this object"
    if isinstance(node, exp.DataType):
        return f"the type {text} is not allowed"
    if isinstance(node, exp.Func | exp.Anonymous):
        name = (node.name if type(node).__name__ == "Anonymous" else node.sql_name()).lower()
        known = [*NAMED_FUNCTIONS, *(item.lower() for item in _FUNCTIONS.split())]
        hint = did_you_mean(name, known, cutoff=0.8)
        return f"the function {name} is not allowed; only functions of nothing but their arguments are{hint}"
    return f"{text or type(node).__name__!r} is not allowed here"


def check_bounds(root: "exp.Expr", place: Place) -> bool:
    """Report what lets a statement be too deep, or a text too long; True when there is nothing of the kind."""
    from sqlglot import exp

    before = len(place.problems)
    depth = _depth(root)
    if depth > MAX_DEPTH:
        place.problem(f"is nested {depth} deep; at most {MAX_DEPTH} are allowed (a + b + c counts as 3)")
        return False
    # Three of them inside each other would make a text a thousand million times as long.
    for repeat in root.find_all(exp.Repeat):
        if not _is_small(repeat.args["times"]) or repeat.find_ancestor(exp.Repeat):
            place.problem(f"repeat: write how often as a number, at most {MAX_WIDTH}, and no repeat inside of another")
    for pad in root.find_all(exp.Pad):
        if not _is_width(pad.args["expression"]):
            place.problem(
                f"lpad, rpad: the width has to be a number, at most {MAX_WIDTH}, the length of a text, or the greatest"
                " or least of such"
            )
    for call in root.find_all(exp.Anonymous):
        if call.name.lower() == "printf" and not _is_format(call.expressions):
            place.problem(f"printf: the format has to be a text in quotes, widths at most {MAX_WIDTH}, without *")
    return len(place.problems) == before


def _depth(root: "exp.Expr") -> int:
    # Level by level: a recursive function would itself fail on what this has to find.
    depth, level = 0, [root]
    while level:
        depth, level = depth + 1, [child for node in level for child in node.iter_expressions()]
    return depth


def _is_small(node: "exp.Expr") -> bool:
    # Digits alone: not 1e9, and not -1, which is an operator and a number.
    digits = node.name if type(node).__name__ == "Literal" else ""
    return digits.isdecimal() and len(digits) <= len(str(MAX_WIDTH))


def _is_width(width: "exp.Expr") -> bool:
    # The length of a text is no more than what the file itself holds, whatever the text is.
    parts = width.walk(prune=lambda node: type(node).__name__ == "Length")
    return all(type(node).__name__ in _OF_A_WIDTH or _is_small(node) for node in parts)


def _is_format(arguments: "list[exp.Expr]") -> bool:
    return bool(arguments) and arguments[0].is_string and not _TOO_WIDE.search(arguments[0].name)

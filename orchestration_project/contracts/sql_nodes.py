"""Which SQL a contract may contain, as names of sqlglot's node classes. It fails closed: what is not listed is refused.

The warehouse runs this SQL with the platform's rights, so nothing that reads files, settings or other tables may
pass; and tables are a pure function of the files (DESIGN), so nothing in `transformLogic` may depend on the clock or
on chance.
"""

from typing import TYPE_CHECKING

from orchestration_project.contracts.errors import Place, did_you_mean

if TYPE_CHECKING:
    from sqlglot import exp

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
_UNIT_PARENTS = ("DateDiff", "TimestampTrunc", "DateTrunc", "Extract", "Interval", "DateAdd", "Window", "WindowSpec")

SCALAR = frozenset([*_SYNTAX.split(), *_FUNCTIONS.split()])
"""What one value of one row may be computed with."""

QUERY = SCALAR | frozenset(_QUERY_SYNTAX.split())
"""What a query over a batch may use; the verdict of a check, unlike a table, may look at the clock."""

NAMED_FUNCTIONS = frozenset(_NAMED.split())
"""Functions that sqlglot has no class for."""

CAST_TYPES = frozenset(_CASTS.split())


def check_nodes(root: "exp.Expr", allowed: frozenset[str], place: Place) -> bool:
    """Report each part of a statement that is not allowed; True when there is none."""
    before = len(place.problems)
    for node in root.walk(prune=lambda node: not _is_allowed(node, allowed)):
        if not _is_allowed(node, allowed):
            place.problem(_refusal(node))
    return len(place.problems) == before


def _is_allowed(node: "exp.Expr", allowed: frozenset[str]) -> bool:
    kind = type(node).__name__
    if kind == "Anonymous":
        return node.name.lower() in NAMED_FUNCTIONS
    if kind == "DataType":
        return str(node.this).removeprefix("DType.").removeprefix("Type.") in CAST_TYPES and not node.args.get("nested")
    if kind == "Var":
        return type(node.parent).__name__ in _UNIT_PARENTS
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

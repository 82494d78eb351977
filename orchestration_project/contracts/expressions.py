"""`transformLogic`: one scalar expression over a row, checked and written with every name quoted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.errors import Place, did_you_mean, listed
from orchestration_project.contracts.sql_bounds import check_bounds
from orchestration_project.contracts.sql_nodes import SCALAR, check_nodes

if TYPE_CHECKING:
    from sqlglot import exp


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
        return root.sql(dialect="duckdb", identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, ValueError, RecursionError) as error:
        place.problem(f"can't be written as DuckDB SQL: {error}")
        return None

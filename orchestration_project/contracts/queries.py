"""The `query` of a sql quality rule: one SELECT that reads the batch and nothing else."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.errors import Place, did_you_mean, listed
from orchestration_project.contracts.expressions import (
    QUERY,
    check_bounds,
    check_nodes,
    parse_statement,
    remember_patterns,
    write_statement,
)

if TYPE_CHECKING:
    from sqlglot import exp

TABLE = "{table}"
"""Stands for the batch's rows in a query that `parse_query` returns."""

PLATFORM_COLUMNS = ("_batch_date", "_file", "_file_version", "_row", "_rescued")
# Stands for `{table}` while sqlglot has the query: it takes no braces for a name.
_MARKER = "__rows_of_the_batch"
# `${table}` and `{schema}.{object}` are the table, `{property}` is the column, and any other `${...}` is a slip. Other
# braces are left alone, since patterns in a query have them: '[0-9]{1}'.
_PLACEHOLDER = re.compile(
    r"(?:\$?\{schema\}\.)?\$?\{(?P<table>table|object|model|schema)\}|\$?\{(?P<column>column|property|field)\}|\$\{(?P<other>[^}]*)\}",
    re.IGNORECASE,
)


def parse_query(
    text: str, tables: Sequence[str], columns: Sequence[str], column: str | None, place: Place
) -> str | None:
    """The query in `text` as DuckDB SQL over `{table}`; None after something was reported.

    Args:
        text: SQL with the standard's placeholders, or with one of `tables` written out.
        tables: names that the contract has for its object; the first is what the rows are called in the query.
        columns: names of the table's columns.
        column: what `{column}` and `{property}` stand for; None for a rule of the whole object.
        place: where to report.
    """
    from sqlglot import exp

    before = len(place.problems)
    root = parse_statement(_with_names(text, column, place), place)
    if root is None or len(place.problems) > before:
        return None
    if not (check_nodes(root, QUERY, place) and check_bounds(root, place)):
        return None
    if not isinstance(root, exp.Select):
        place.problem("must be one SELECT")
        return None
    if len(root.expressions) != 1 or root.is_star:
        place.problem("must return one number: SELECT one expression")
    _use_batch(root, tables, place)
    _check_form(root, place)
    _check_columns(root, columns, place)
    remember_patterns(root, place)
    sql = write_statement(root, place)
    return sql.replace(f'"{_MARKER}"', TABLE) if sql is not None and len(place.problems) == before else None


def _with_names(text: str, column: str | None, place: Place) -> str:
    """The query as SQL that parses: names in the place of its placeholders."""

    def name(match: re.Match[str]) -> str:
        if match["table"]:
            return _MARKER
        # Quoted here: a column may be called `order`.
        if match["column"] and column is not None:
            return '"' + column.replace('"', '""') + '"'
        if match["column"]:
            place.problem(
                f"{match[0]} has no meaning in a rule of the whole object; name the column or move the rule to it"
            )
        else:
            place.problem(f"{match[0]} is not supported; allowed: ${{table}}, ${{object}}, ${{column}}, ${{property}}")
        return _MARKER

    return _PLACEHOLDER.sub(name, text)


def _use_batch(root: "exp.Select", tables: Sequence[str], place: Place) -> None:
    """Point every table to the batch's rows or to an earlier part of the root's WITH; report all others."""
    from sqlglot import exp

    own = {_MARKER, *(name.casefold() for name in tables)}
    # sqlglot has renamed the argument between releases.
    with_ = root.args.get("with_") or root.args.get("with")
    parts = list(with_.expressions) if with_ else []
    if any(nested is not with_ for nested in root.find_all(exp.With)) or (with_ and with_.recursive):
        place.problem("WITH goes to the start of the query, without RECURSIVE")
    order = {part.alias.casefold(): index for index, part in enumerate(parts)}
    for table in list(root.find_all(exp.Table)):
        part = table.find_ancestor(exp.CTE)
        # A part of WITH sees the parts before it only; under a later name DuckDB would look for a table.
        visible = order.get(table.name.casefold(), len(parts))
        if not table.db and visible < (parts.index(part) if part else len(parts)):
            continue
        if table.db or not isinstance(table.this, exp.Identifier) or table.name.casefold() not in own:
            place.problem(f"may only read ${{table}}, not {table.sql(dialect='duckdb', comments=False)}")
            continue
        # The rows become a subquery, which has a name only by an alias: `sales.quantity` has to go on working.
        name = tables[0] if table.name == _MARKER else table.name
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
        table.this.set("this", _MARKER)
    for column in root.find_all(exp.Column):
        if column.table == _MARKER:
            column.set("table", exp.to_identifier(tables[0], quoted=True))


def _check_form(root: "exp.Select", place: Place) -> None:
    """Report forms that sqlglot parses, but would write back with another meaning."""
    from sqlglot import exp

    if any(_MARKER in literal.name for literal in root.find_all(exp.Literal)):
        place.problem("a placeholder may not stand inside a text in quotes")
    if any(name.name == _MARKER and not isinstance(name.parent, exp.Table) for name in root.find_all(exp.Identifier)):
        place.problem("${table} may only stand for a table")
    # `FROM FROM t` is written back as `FROM SELECT * FROM t`, which DuckDB can't parse.
    enclosing = exp.Subquery | exp.CTE | exp.SetOperation | exp.In | exp.Exists
    if any(query is not root and not isinstance(query.parent, enclosing) for query in root.find_all(exp.Select)):
        place.problem("a query inside the query has to stand in parentheses")


def _check_columns(root: "exp.Select", columns: Sequence[str], place: Place) -> None:
    """Report names that are neither columns of the table nor defined in the query."""
    from sqlglot import exp

    # DuckDB would tell a typing error when the check runs, after the load. All names that the query itself gives are
    # taken together: whether one is visible where it is used is left to DuckDB.
    known = {name.casefold() for name in (*columns, *PLATFORM_COLUMNS)}
    defined = {alias.alias.casefold() for alias in root.find_all(exp.Alias)}
    for aliases in root.find_all(exp.TableAlias):
        defined |= {aliases.name.casefold(), *(column.name.casefold() for column in aliases.columns)}
    for column in root.find_all(exp.Column):
        if column.name.casefold() not in known | defined and not column.is_star:
            place.problem(
                f"unknown column {column.name!r}; columns: {listed(columns)}{did_you_mean(column.name, columns)}"
            )

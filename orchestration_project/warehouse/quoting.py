"""Quoting: the only ways in which a name or a value becomes part of a statement."""

from collections.abc import Iterable


def ident(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def idents(names: Iterable[str]) -> str:
    """Names as a comma-separated list of quoted SQL identifiers."""
    return ", ".join(ident(name) for name in names)


def literal(value: str) -> str:
    """Text as a SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def literals(values: Iterable[str]) -> str:
    """Texts as a comma-separated list of SQL string literals."""
    return ", ".join(literal(value) for value in values)

"""Quoting: the only ways in which a name or a value becomes part of a statement."""

from collections.abc import Iterable

from orchestration_project.errors import WarehouseError


def ident(name: str) -> str:
    """A name as a quoted SQL identifier.

    Raises:
        WarehouseError: it has a character that no name in SQL can have.
    """
    if "\0" in name or not _is_unicode(name):
        raise WarehouseError(
            f"{name!r} can't be the name of a table or column: it has a character that SQL can't write"
        )
    return '"' + name.replace('"', '""') + '"'


def idents(names: Iterable[str]) -> str:
    """Names as a comma-separated list of quoted SQL identifiers."""
    return ", ".join(ident(name) for name in names)


def literal(value: str) -> str:
    """Text as a SQL string literal.

    Raises:
        WarehouseError: it has half a surrogate pair, which is no text for DuckDB.
    """
    if not _is_unicode(value):
        raise WarehouseError(f"{value!r} is no text: it has half of a character that takes two")
    # DuckDB's parser ends a statement at a NUL.
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def literals(values: Iterable[str]) -> str:
    """Texts as a comma-separated list of SQL string literals."""
    return ", ".join(literal(value) for value in values)

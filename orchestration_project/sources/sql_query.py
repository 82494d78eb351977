"""The parameters of a query, which stand in it as `:since`, `:batch_start` and `:batch_end`.

Their values are bound, and never become a part of the text. What looks like a parameter within a text, a quoted name, a
comment or a cast (`'at :since'`, `price::date`) is none.
"""

import re
from collections.abc import Callable

SINCE, START, END = "since", "batch_start", "batch_end"
PARAMETERS = (SINCE, START, END)
_NOT_CODE = (
    r"'(?:[^']|'')*'",
    r'"(?:[^"]|"")*"',
    r"--[^\n]*",
    r"/\*.*?\*/",
    r"\$(?P<tag>\w*)\$.*?\$(?P=tag)\$",
)
_FOUND = re.compile(rf"{'|'.join(_NOT_CODE)}|(?<![:\w]):(?P<parameter>{'|'.join(PARAMETERS)})\b", re.DOTALL)


def parameters_of(query: str) -> list[str]:
    """The parameters that a query has, each once, in the order in which they first stand in it."""
    return list(dict.fromkeys(found["parameter"] for found in _FOUND.finditer(query) if found["parameter"]))


def numbered(query: str) -> tuple[str, list[str]]:
    """The query as PostgreSQL takes it, with `$1` for its first parameter, and the parameters in that order."""
    names = parameters_of(query)
    return _replaced(query, lambda name: f"${names.index(name) + 1}"), names


def without_end(query: str) -> str:
    """The query without the semicolon that may end it: it becomes a part of a statement."""
    return query.rstrip().removesuffix(";")


def _replaced(query: str, marker: Callable[[str], str]) -> str:
    return _FOUND.sub(lambda found: marker(found["parameter"]) if found["parameter"] else found[0], query)

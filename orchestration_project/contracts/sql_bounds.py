"""How deep the SQL of a contract may be nested, and how long it may make a text.

A text's length is bounded by the contract alone: with a number from a row, a file could ask for any amount of memory.
"""

import re
from typing import TYPE_CHECKING

from orchestration_project.contracts.errors import Place

if TYPE_CHECKING:
    from sqlglot import exp

MAX_DEPTH = 300
"""DuckDB's own limit is 1000, and what the platform wraps around an expression counts too."""

MAX_WIDTH = 999
"""To how many characters `lpad`, `rpad` and `printf` may fill a text, and how often `repeat` may repeat one."""

_TOO_WIDE = re.compile(r"%[^%a-zA-Z]*(\*|\d{4})")
_OF_A_WIDTH = frozenset({"Greatest", "Least", "Cast", "DataType", "Paren", "Length"})


def check_bounds(root: "exp.Expr", place: Place) -> bool:
    """Report what lets a statement be too deep, or a text too long; True when there is nothing of the kind."""
    from sqlglot import exp

    before = len(place.problems)
    depth = _depth(root)
    if depth > MAX_DEPTH:
        place.problem(f"is nested {depth} deep; at most {MAX_DEPTH} are allowed (a + b + c counts as 3)")
        return False
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
    depth, level = 0, [root]
    while level:
        depth, level = depth + 1, [child for node in level for child in node.iter_expressions()]
    return depth


def _is_small(node: "exp.Expr") -> bool:
    digits = node.name if type(node).__name__ == "Literal" else ""
    return digits.isdecimal() and len(digits) <= len(str(MAX_WIDTH))


def _is_width(width: "exp.Expr") -> bool:
    parts = width.walk(prune=lambda node: type(node).__name__ == "Length")
    return all(type(node).__name__ in _OF_A_WIDTH or _is_small(node) for node in parts)


def _is_format(arguments: "list[exp.Expr]") -> bool:
    return bool(arguments) and arguments[0].is_string and not _TOO_WIDE.search(arguments[0].name)

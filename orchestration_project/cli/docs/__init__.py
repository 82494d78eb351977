"""Pages of docs/ that are made from the code, so that they cannot say anything else.

`python -m orchestration_project.cli.docs` writes them; a test compares them with what the code says. Here is the little
Markdown that they are made of.
"""

from collections.abc import Iterable, Sequence

NOTICE = "Made by `python -m orchestration_project.cli.docs` from the code; changes belong there."


def page(title: str, introduction: str, *blocks: str) -> str:
    """A whole page: its title, what it is, and its blocks with a blank line between."""
    return "\n\n".join([f"# {title}", f"{introduction} {NOTICE}", *(block for block in blocks if block)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; an empty text where there are no rows."""
    lines = [_row(row) for row in rows]
    return "\n".join([_row(head), "|---" * len(head) + "|", *lines]) if lines else ""


def _row(cells: Sequence[str]) -> str:
    # A pipe ends a cell, in code too; a line break ends the row.
    texts = (" ".join(cell.split()).replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(texts)} |"


def code(value: object) -> str:
    """A value as code; nothing for None and empty texts."""
    return "" if value is None or value == "" else f"`{value}`"


def codes(values: Iterable[object]) -> str:
    """Several values as code, with commas."""
    return ", ".join(code(value) for value in values)


def default(value: object) -> str:
    """The default of something that can be set, as code; nothing and empty ones are none."""
    if isinstance(value, list):
        return codes(value) or "none"
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return code("on" if value else "off")
    return code(f"{value:g}" if isinstance(value, float) else value)

"""Where the records of JSON documents are: in the one array of objects inside of them.

    {"data": {"items": [{"id": 1}, {"id": 2}], "n": 2}, "next": null}   ->   $.data.items

Belongs here: the path to it. Does not belong here: files whose lines or whose only array are the records (`layout`).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestration_project.contracts.service import keys_of_path

NOT_BLANK = re.compile(r"[^ \t\r\n]")
LOOKED_AT = 32 << 20
"""How many characters are parsed as a whole; of a longer file nobody says where its records are."""


def records_path(text: Path) -> tuple[str, ...] | None:
    """The keys that lead to the array of records in each document.

    Args:
        text: the file, in UTF-8.

    Returns:
        None where records are lines or one array, as far as one can tell: a document is a record, too, if there are
        several and each is a line. None also unless there is one array of objects, at one place of all documents.
    """
    with text.open(encoding="utf-8-sig", errors="replace") as stream:
        content = stream.read(LOOKED_AT + 1)
    if len(content) > LOOKED_AT:
        return None
    try:
        documents = list(_documents(content))
        if len(documents) > 1 and not any(spans_lines for _, spans_lines in documents):
            return None
        found = {path for document, _ in documents for path in _arrays(document, ())}
    except (ValueError, RecursionError):
        return None
    path = next(iter(found)) if len(found) == 1 else ()
    return path if path and keys_of_path(path_of(path)) == path else None


def path_of(keys: tuple[str, ...]) -> str:
    """Keys as a contract has them."""
    return "$" + "".join(f".{key}" if keys_of_path(f"$.{key}") else f"['{key}']" for key in keys)


def _documents(content: str) -> Iterator[tuple[Any, bool]]:
    """Each document, and whether it has more than one line."""
    decoder, at = json.JSONDecoder(), 0
    while start := NOT_BLANK.search(content, at):
        document, at = decoder.raw_decode(content, start.start())
        yield document, "\n" in content[start.start() : at]


def _arrays(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths to arrays of objects inside of objects."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _arrays(inner, (*path, key))
    elif isinstance(value, list) and value and all(isinstance(element, dict) for element in value):
        yield path

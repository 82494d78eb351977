r"""Columns whose values are not, or not always, in the records themselves: `valueFrom` and `fillDown` of a column.

    valueFrom: {fileName: 'store(\d+)'}        the group of a pattern in the file's name
    valueFrom: {preamble: 'Shop: (.+)'}        the group of a pattern in the lines above the header
    valueFrom: {constant: DE}                  always the same text
    valueFrom: {sheetName: true}               the name of the workbook's sheet
    fillDown: true                             an empty value is that of the record above
    fillDown: {within: order_id}               as far as order_id stays the same

Belongs here: what a contract may say. Where the texts are found is in `formats.given`, how values are filled down in
`ingest.fill_down`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orchestration_project.contracts.errors import Place, did_you_mean, excerpt, listed

ValueOrigin = Literal["fileName", "preamble", "constant", "sheetName"]
ORIGINS: tuple[ValueOrigin, ...] = ("fileName", "preamble", "constant", "sheetName")
WITHIN = "within"


@dataclass(frozen=True, slots=True)
class ValueFrom:
    """Where the value of a column comes from that is not in the records.

    `text` is a regular expression with one group (fileName, preamble), the value itself (constant), or empty.
    """

    origin: ValueOrigin
    text: str = ""


@dataclass(frozen=True, slots=True)
class FillDown:
    """An empty value is that of the record above it in its file; with `within`, while that column stays the same."""

    within: str | None = None


def read_value_from(value: Any, place: Place) -> ValueFrom | None:
    """Where a column's value comes from; None after something was reported."""
    if not isinstance(value, dict) or len(value) != 1:
        place.problem(f"found {excerpt(value)}; allowed: one of {listed(ORIGINS)} with its value")
        return None
    (name, told), here = next(iter(value.items())), place
    origin = next((item for item in ORIGINS if item == name), None)
    if origin is None:
        here.problem(f"found {excerpt(name)}; allowed: {listed(ORIGINS)}{did_you_mean(str(name), ORIGINS)}")
        return None
    here = place.key(origin)
    match origin:
        case "constant":
            return _constant(told, here)
        case "sheetName":
            if told is not True:
                here.problem(f"found {excerpt(told)}; allowed: true")
            return ValueFrom(origin)
        case _:
            return ValueFrom(origin, _pattern(told, here))


def _constant(told: Any, place: Place) -> ValueFrom:
    # A number would not be the text that was written: 007 is no 7.
    if not isinstance(told, str) or not told.strip():
        place.problem(f"found {excerpt(told)}; allowed: text (put it in quotes)")
    return ValueFrom("constant", str(told).strip())


def _pattern(told: Any, place: Place) -> str:
    if not isinstance(told, str):
        place.problem(f"found {excerpt(told)}; allowed: a regular expression with one group, e.g. 'store(\\d+)'")
        return ""
    try:
        groups = re.compile(told).groups
    except re.error as error:
        place.problem(f"found {excerpt(told)}, which is not a regular expression: {error}")
        return ""
    if groups != 1:
        place.problem(
            f"found {excerpt(told)}, which has {groups} groups; allowed: one, around what is the value: (?:...) groups"
            " without giving a value"
        )
    return told


def read_fill_down(value: Any, names: Sequence[str], place: Place) -> FillDown | None:
    """How a column is filled down; None if it is not, or after something was reported.

    Args:
        value: as written.
        names: of all columns of the contract.
        place: that of the value.
    """
    if isinstance(value, bool):
        return FillDown() if value else None
    if not isinstance(value, dict) or set(value) != {WITHIN}:
        place.problem(f"found {excerpt(value)}; allowed: true, false, or {WITHIN} with the name of a column")
        return None
    group = value[WITHIN]
    if group not in names:
        place.key(WITHIN).problem(f"found {excerpt(group)}; allowed: a column's name{did_you_mean(str(group), names)}")
        return None
    return FillDown(group)

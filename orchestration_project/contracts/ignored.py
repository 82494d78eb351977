"""`ignoredRecords` of a contract's object: which records are no data, and the totals that they are used for.

    - {name: totals, condition: "sku IS NULL AND label = 'Total'", controlTotal: {column: amount, severity: error}}
    - {name: signature, last: 2}
    - {name: comments, prefix: '#'}

Belongs here: reading and refusing. What the rules are is in `ignored_rules`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestration_project.contracts.errors import Place, did_you_mean, excerpt, listed
from orchestration_project.contracts.expressions import parse_expression
from orchestration_project.contracts.feed import Column, FileFormat
from orchestration_project.contracts.ignored_rules import (
    ControlTotal,
    IgnoredLast,
    IgnoredPrefix,
    IgnoredRule,
    IgnoredWhere,
)
from orchestration_project.contracts.quality import SEVERITIES

PROPERTY = "ignoredRecords"
KINDS = ("condition", "last", "prefix")
FIELDS = ("name", *KINDS, "controlTotal")
TOTAL_FIELDS = ("column", "severity")
RAW_LINE = "_raw_line"
"""What a condition calls the text of a record that could not be split."""
MOST_LAST = 1000
WIDEST = 28
"""Digits of a column that has a total: with more, a sum of very many records could be too large for 38 digits."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_WHOLE = re.compile(r"U?(TINYINT|SMALLINT|INTEGER|BIGINT)")
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?\d+\)")


def read_ignored(value: Any, place: Place, columns: Sequence[Column], source: FileFormat) -> tuple[IgnoredRule, ...]:
    """The rules that a list of mappings has; those with a problem are left out.

    Args:
        value: of the custom property.
        place: that of the value.
        columns: the contract's.
        source: how its files are written.
    """
    if not isinstance(value, list) or not value:
        place.problem(f"found {excerpt(value)}; allowed: a list of mappings with name and one of {listed(KINDS)}")
        return ()
    read = _Reader([column for column in columns if column.source is not None], source)
    found = [rule for index, item in enumerate(value) if (rule := read.rule(item, place.item(index))) is not None]
    names = [rule.name for rule in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        place.problem(f"several rules are called {listed(repeated)}")
    # The last record of a file is one only: with two counts it would be unclear which of them is meant.
    if sum(isinstance(rule, IgnoredLast) for rule in found) > 1:
        place.problem("only one rule may have last")
    totalled = [total.column for rule in found for total in rule.totals]
    if repeated := sorted({name for name in totalled if totalled.count(name) > 1}):
        place.problem(f"several control totals are of the column {listed(repeated)}")
    return tuple(found)


class _Reader:
    """Reads one rule after the other; what it needs to know of the contract is given once."""

    def __init__(self, columns: Sequence[Column], source: FileFormat) -> None:
        self._columns = {column.name: column for column in columns}
        self._source = source

    def rule(self, item: Any, place: Place) -> IgnoredRule | None:
        """One rule; None after something was reported."""
        before = len(place.problems)
        if not isinstance(item, Mapping):
            place.problem(f"found {excerpt(item)}; allowed: a mapping with name and one of {listed(KINDS)}")
            return None
        _check_names(item, FIELDS, place)
        name = item.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            place.key("name").problem(
                f"found {excerpt(name)}; allowed: a small letter, then small letters, digits and _ (48 at most)"
            )
            return None
        kinds = [kind for kind in KINDS if kind in item]
        if len(kinds) != 1:
            place.problem(f"needs exactly one of {listed(KINDS)}; found {listed(kinds) or 'none'}")
            return None
        totals = tuple(self._totals(item, kinds[0], place.key("controlTotal"))) if "controlTotal" in item else ()
        rule = self._of_kind(kinds[0], name, item[kinds[0]], totals, place.key(kinds[0]))
        return rule if len(place.problems) == before else None

    def _of_kind(
        self, kind: str, name: str, value: Any, totals: tuple[ControlTotal, ...], place: Place
    ) -> IgnoredRule | None:
        if kind == "condition":
            return self._where(name, value, totals, place)
        if kind == "last":
            return _last(name, value, totals, place)
        if self._source not in (FileFormat.CSV, FileFormat.JSON):
            place.problem(f"has no effect on {self._source} files, which have no lines; use a condition")
        if not isinstance(value, str) or not value.strip() or value != value.strip():
            place.problem(f"found {excerpt(value)}; allowed: a text in quotes, without blanks around it")
            return None
        return IgnoredPrefix(name, value)

    def _where(self, name: str, value: Any, totals: tuple[ControlTotal, ...], place: Place) -> IgnoredRule | None:
        if not isinstance(value, str):
            place.problem(f"found {excerpt(value)}; allowed: a SQL condition over the text of the columns")
            return None
        expression = parse_expression(value, [*self._columns, RAW_LINE], place)
        return IgnoredWhere(name, expression.sql, expression.columns, totals) if expression else None

    def _totals(self, item: Mapping[str, Any], kind: str, place: Place) -> Iterator[ControlTotal]:
        value = item["controlTotal"]
        if kind == "prefix" or (kind == "last" and item["last"] != 1):
            place.problem("needs a rule for one record of a file: a condition, or last: 1")
            return
        several = isinstance(value, list)
        for index, entry in enumerate(value if several else [value]):
            here = place.item(index) if several else place
            if not isinstance(entry, Mapping):
                here.problem(f"found {excerpt(entry)}; allowed: a mapping with column and severity")
                continue
            _check_names(entry, TOTAL_FIELDS, here)
            severity = entry.get("severity", "warning")
            if severity not in SEVERITIES:
                hint = did_you_mean(str(severity), SEVERITIES)
                here.key("severity").problem(f"found {excerpt(severity)}; allowed: {listed(SEVERITIES)}{hint}")
            if self._is_exact(entry.get("column"), here.key("column")):
                yield ControlTotal(entry["column"], severity == "error")

    def _is_exact(self, name: Any, place: Place) -> bool:
        """Whether a column's values can be added up without rounding; else that is reported."""
        column = self._columns.get(name) if isinstance(name, str) else None
        if column is None:
            hint = did_you_mean(str(name), self._columns)
            place.problem(f"unknown column {excerpt(name)}; read from the file: {listed(self._columns)}{hint}")
            return False
        digits = _DECIMAL.fullmatch(column.sql_type)
        if _WHOLE.fullmatch(column.sql_type) or (digits and int(digits[1]) <= WIDEST):
            return True
        place.problem(
            f"{name} is {column.sql_type}; a total is compared exactly: allowed are integers of up to 64 bits and"
            f" DECIMAL of at most {WIDEST} digits"
        )
        return False


def _last(name: str, value: Any, totals: tuple[ControlTotal, ...], place: Place) -> IgnoredRule | None:
    # True is an int to Python.
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_LAST:
        return IgnoredLast(name, value, totals)
    place.problem(f"found {excerpt(value)}; allowed: a number of records, 1 to {MOST_LAST:,}")
    return None


def _check_names(given: Mapping[Any, Any], allowed: Sequence[str], place: Place) -> None:
    for name in given:
        if name not in allowed:
            hint = did_you_mean(str(name), allowed)
            place.key(str(name)).problem(f"{excerpt(name)} is not known; allowed: {listed(allowed)}{hint}")

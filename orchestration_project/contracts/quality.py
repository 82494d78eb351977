"""Quality rules of the standard, of the object and of its properties: library metrics and sql."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from orchestration_project.contracts.errors import Place, did_you_mean, excerpt, listed
from orchestration_project.contracts.feed import Comparison, MetricRule, Operator, QualityRule, SqlRule
from orchestration_project.contracts.patterns import read_pattern
from orchestration_project.contracts.queries import parse_query
from orchestration_project.contracts.sql_types import Kind, Literals

if TYPE_CHECKING:
    from open_data_contract_standard.model import DataQuality

Metric = Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"]
METRICS: tuple[Metric, ...] = get_args(Metric)
OPERATORS: tuple[Operator, ...] = get_args(Operator)
SEVERITIES = ("error", "warning", "info")
ROW_UNITS, PERCENT_UNITS = ("rows", "row"), ("percent", "%")
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "missingValues": ("missingValues",),
    "invalidValues": ("validValues", "pattern"),
    "duplicateValues": ("properties",),
}


class QualityReader:
    """Turns an object's quality rules into ours. One reader reads all of an object, so that check names are unique."""

    def __init__(self, tables: Sequence[str], columns: Sequence[str], literals: dict[str, Literals]) -> None:
        """Start with the names of the object and its columns, and how each column without problems writes values."""
        self._tables = tables
        self._columns = columns
        self._literals = literals
        self._names: set[str] = set()

    def read(self, rules: "Sequence[DataQuality] | None", column: str | None, place: Place) -> Iterator[QualityRule]:
        """The rules of one property, or of the object when `column` is None; `place` is that of the list."""
        for index, rule in enumerate(rules or []):
            if read := self._rule(rule, column, place.item(index)):
                yield read

    def _rule(self, rule: "DataQuality", column: str | None, place: Place) -> QualityRule | None:
        before = len(place.problems)
        severity = (rule.severity or "warning").strip().casefold()
        if not _is_run(rule, severity, place):
            return None
        comparison = _comparison(rule, place)
        query = self._query(rule, column, place) if rule.type == "sql" else None
        arguments = self._arguments(rule, column, place) if rule.type != "sql" else {}
        if len(place.problems) > before or comparison is None:
            return None
        name = self._unique_name(rule, column)
        description = " ".join((rule.description or "").split())
        blocking = severity == "error"
        if query is not None:
            return SqlRule(name, query, comparison, blocking, description)
        return MetricRule(name, comparison=comparison, blocking=blocking, description=description, **arguments)

    def _query(self, rule: "DataQuality", column: str | None, place: Place) -> str | None:
        if not rule.query:
            place.problem("a sql rule needs a query")
            return None
        return parse_query(rule.query, self._tables, self._columns, column, place.key("query"))

    def _arguments(self, rule: "DataQuality", column: str | None, place: Place) -> dict[str, Any]:
        """The fields of a `MetricRule` that depend on its metric; empty or partial after something was reported."""
        metric = next((known for known in METRICS if known == rule.metric), None)
        if metric is None:
            place.key("metric").problem(f"found {excerpt(rule.metric)}; allowed: {listed(METRICS)}")
            return {}
        arguments = rule.arguments or {}
        _check_argument_names(arguments, metric, place.key("arguments"))
        found: dict[str, Any] = {"metric": metric, "percent": _percent(rule.unit, metric, place.key("unit"))}
        if metric == "rowCount":
            if column is not None:
                place.key("metric").problem("rowCount counts rows of the object: move it to the object's quality")
            return found
        if column is None and metric != "duplicateValues":
            place.key("metric").problem(f"{metric} looks at one column: move it to that property's quality")
            return found
        found["columns"] = (column,) if column is not None else self._several(arguments.get("properties"), place)
        if column is not None and "properties" in arguments:
            place.key("arguments", "properties").problem("only for duplicateValues of the object")
        # A column with problems has no literals; its problems were reported already.
        if column is not None and column in self._literals:
            found |= self._values(metric, arguments, self._literals[column], place.key("arguments"))
        return found

    def _several(self, names: Any, place: Place) -> tuple[str, ...]:
        here = place.key("arguments", "properties")
        # DuckDB's names have no case.
        declared = {name.casefold(): name for name in self._columns}
        if not isinstance(names, list) or not names:
            here.problem("duplicateValues of the object needs a list of its columns")
            return ()
        for index, name in enumerate(names):
            if str(name).casefold() not in declared:
                hint = did_you_mean(str(name), self._columns)
                here.item(index).problem(f"unknown column {excerpt(name)}; columns: {listed(self._columns)}{hint}")
        return tuple(
            dict.fromkeys(declared[str(name).casefold()] for name in names if str(name).casefold() in declared)
        )

    def _values(self, metric: str, arguments: dict[str, Any], literals: Literals, place: Place) -> dict[str, Any]:
        if metric == "missingValues":
            return {
                "missing_values": tuple(_missing(arguments.get("missingValues"), literals, place.key("missingValues")))
            }
        if metric != "invalidValues":
            return {}
        found: dict[str, Any] = {}
        if "validValues" in arguments:
            found["valid_values"] = tuple(_valid(arguments["validValues"], literals, place.key("validValues")))
        if "pattern" in arguments:
            found["pattern"] = _pattern(arguments["pattern"], literals, place.key("pattern"))
        if not found:
            place.problem("invalidValues needs validValues, pattern or both")
        return found

    def _unique_name(self, rule: "DataQuality", column: str | None) -> str:
        # `nullValues` of column `price` is the check price_null_values.
        metric = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rule.metric or "").lower() if rule.type != "sql" else "sql"
        wanted = rule.name or rule.id or (f"{column}_{metric}" if column else metric)
        # Dagster takes only these characters in a check's name, and no name twice.
        name = base = re.sub(r"[^A-Za-z0-9_]+", "_", wanted).strip("_") or metric
        number = 1
        while name.casefold() in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name.casefold())
        return name


def _is_run(rule: "DataQuality", severity: str, place: Place) -> bool:
    """Whether a rule makes a check; one that should and can't is reported, since it would pass silently."""
    kind = rule.type or "library"
    if kind == "text" or (kind == "custom" and severity == "info"):
        return False
    if kind == "custom":
        place.key("type").problem(
            f"custom rules (engine {rule.engine!r}) are not run; allowed: library, sql, or severity info"
        )
        return False
    # The standard's schema takes any word: a rule of severity `eror` would never block.
    if severity not in SEVERITIES:
        place.key("severity").problem(
            f"found {rule.severity!r}; allowed: {listed(SEVERITIES)}{did_you_mean(severity, SEVERITIES)}"
        )
    return True


def _check_argument_names(names: Iterable[str], metric: Metric, place: Place) -> None:
    # To the standard's schema they are just a mapping: `patern` beside validValues would silently test nothing.
    allowed = _ARGUMENTS.get(metric, ())
    choice = f"allowed: {listed(allowed)}" if allowed else "none is allowed"
    for name in names:
        if name not in allowed:
            place.key(name).problem(f"not an argument of {metric}; {choice}{did_you_mean(name, allowed)}")


def _comparison(rule: "DataQuality", place: Place) -> Comparison | None:
    given = [(operator, getattr(rule, operator)) for operator in OPERATORS if getattr(rule, operator) is not None]
    if len(given) != 1:
        place.problem(
            f"needs exactly one of {listed(OPERATORS)}; found {listed(operator for operator, _ in given) or 'none'}"
        )
        return None
    operator, value = given[0]
    limits = value if isinstance(value, list) else [value]
    try:
        numbers = tuple(_finite(limit) for limit in limits)
    except ValueError:
        place.key(operator).problem(f"found {excerpt(value)}; allowed: a number")
        return None
    # Nothing lies between 9 and 1: the check would fail for ever, and its negation never.
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        place.key(operator).problem(f"found {excerpt(value)}; the smaller limit goes first")
        return None
    return Comparison(operator, numbers)


def _finite(value: Any) -> float:
    # float() takes True for 1, and the text nan for a number.
    if isinstance(value, bool | str):
        raise ValueError("not a number")  # noqa: TRY004 - reported like a number that is too large
    try:
        return float(value)
    except (TypeError, OverflowError) as error:
        raise ValueError("not a number") from error


def _percent(unit: str | None, metric: str, place: Place) -> bool:
    word = (unit or "rows").strip().casefold()
    if word in PERCENT_UNITS and metric == "rowCount":
        place.problem("rowCount has nothing to be a percentage of; allowed: rows")
    elif word not in (*ROW_UNITS, *PERCENT_UNITS):
        place.problem(f"found {unit!r}; allowed: rows, percent{did_you_mean(word, ('rows', 'percent'))}")
    return word in PERCENT_UNITS


def _missing(values: Any, literals: Literals, place: Place) -> Iterator[str | None]:
    if not isinstance(values, list) or not values:
        place.problem("missingValues needs a list of the values that count as missing, e.g. [null, '', 'n/a']")
        return
    for index, value in enumerate(values):
        if value is None:
            yield None
        elif isinstance(value, dict | list):
            place.item(index).problem(f"found {excerpt(value)}; allowed: one value")
        else:
            try:
                yield literals.text(value)
            except ValueError as error:
                # A word such as n/a can't be in a column of numbers; a number in a text column is a slip.
                if not isinstance(value, str):
                    place.item(index).problem(str(error))


def _valid(values: Any, literals: Literals, place: Place) -> Iterator[str]:
    if not isinstance(values, list) or all(value is None for value in values):
        place.problem("validValues needs a list of the values that are valid")
        return
    for index, value in enumerate(values):
        if value is not None:
            try:
                yield literals.text(value)
            except ValueError as error:
                place.item(index).problem(str(error))


def _pattern(pattern: Any, literals: Literals, place: Place) -> str | None:
    if literals.type.kind is not Kind.TEXT:
        place.problem(f"a pattern tests text; the column is {literals.type.sql}")
        return None
    return read_pattern(pattern, place)

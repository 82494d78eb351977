"""SQL for the rules of a contract: for each column, the conditions that are true for a row which breaks one.

Belongs here: conditions over the values that `values` makes of the text. Rules over several rows are in `keys`.

No expression here may raise, whatever a value is: see `values`. So a value is compared with literals of its own type
only; DuckDB casts to a common type otherwise, and that cast fails for numbers which the common type can't hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from orchestration_project.contracts.feed import (
    Bound,
    Column,
    Length,
    MultipleOf,
    OneOf,
    Pattern,
    Required,
    Rule,
    TextFormat,
)
from orchestration_project.ingest.values import digits_of
from orchestration_project.warehouse.tables import ident, literal

OPERATORS = {"minimum": "<", "exclusiveMinimum": "<=", "maximum": ">", "exclusiveMaximum": ">="}
"""What a value is compared by that breaks a limit."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A SQL condition that is true for a row which breaks `reason` (`column: rule`)."""

    reason: str
    broken: str


def source_conditions(column: Column, text: str) -> Iterator[Condition]:
    """What a row can break in a source column: presence, type, and each rule on its value."""
    value = ident(column.name)
    if column.required:
        yield Condition(f"{column.name}: {Required.rule}", f"{text} IS NULL")
    if column.sql_type != "VARCHAR":
        # `values` gives NULL for a text that does not have the form of its type; a text that is missing gives NULL,
        # too.
        yield Condition(f"{column.name}: type", f"{text} IS NOT NULL AND {value} IS NULL")
    yield from value_conditions(column)


def value_conditions(column: Column) -> Iterator[Condition]:
    """What a value that is there can break."""
    for rule in column.rules:
        if not isinstance(rule, Required):
            yield Condition(f"{column.name}: {rule.rule}", broken(rule, column))


def broken(rule: Rule, column: Column) -> str:
    """A condition over the typed column that is true when the rule is broken (NULL or false when it is not)."""
    value = ident(column.name)
    if column.sql_type.startswith("DECIMAL") and isinstance(rule, Bound | MultipleOf | OneOf):
        return _broken_decimal(rule, value, column.sql_type)
    match rule:
        case Required():
            return f"{value} IS NULL"
        case Bound(rule=name, limit=limit):
            return f"{value} {OPERATORS[name]} {_typed(limit, column.sql_type)}"
        case MultipleOf(step=step) if column.sql_type in ("DOUBLE", "FLOAT"):
            # 0.3 % 0.1 is 0.09999999999999998: doubles have multiples of a tenth only nearly.
            return f"abs({value} / {step} - round({value} / {step})) > 1e-9"
        case MultipleOf(step=step):
            return f"{value} % {_typed(step, column.sql_type)} <> 0"
        case Length(rule=name, characters=characters):
            return f"length({value}) {'<' if name == 'minLength' else '>'} {characters}"
        case Pattern(regex=regex):
            # A pattern of the standard (ECMA-262) may match anywhere in the text, unless `^` and `$` hold it; a format
            # is about all of the text.
            return f"NOT regexp_matches({value}, {literal(regex)})"
        case TextFormat(regex=regex):
            return f"NOT regexp_full_match({value}, {literal(regex)})"
        case OneOf(values=values):
            return f"{value} NOT IN ({', '.join(_typed(allowed, column.sql_type) for allowed in values)})"


def _typed(text: str, sql_type: str) -> str:
    return f"CAST({literal(text)} AS {sql_type})"


def _broken_decimal(rule: Bound | MultipleOf | OneOf, value: str, sql_type: str) -> str:
    """A condition in which numbers that have more decimals than the column are replaced by ones that it can hold.

    Compared with the contract's own number, the first value of 36 digits stopped its feed: the cast to a common type
    failed.

    v DECIMAL(9,2)   minimum 0.001      ->   v < 0.01
                     multipleOf 0.003   ->   v % 0.03 <> 0
                     enum 1, 0.001      ->   v NOT IN (1.00)
    """
    precision, scale = digits_of(sql_type)

    def units(text: str) -> Fraction:
        return Fraction(text) * int(10**scale)

    def written(number: int) -> str:
        return _typed(format(Decimal(f"{number}e-{scale}"), "f"), sql_type)

    match rule:
        case Bound(rule=name, limit=limit):
            # Between the limit and the number that takes its place lies none that the column can hold, so the same
            # values break both.
            toward = ceil if name in ("minimum", "exclusiveMaximum") else floor
            return f"{value} {OPERATORS[name]} {written(toward(units(limit)))}"
        case MultipleOf(step=step):
            # The whole multiples of 3/10 are those of 3. Beyond the type's largest number, 0 is the only one.
            multiple = units(step).numerator
            return f"{value} % {written(multiple)} <> 0" if multiple < 10**precision else f"{value} <> 0"
        case OneOf(values=values):
            held = [written(number.numerator) for number in map(units, values) if number.denominator == 1]
            # A number with more decimals than the column is none of its values, so it can be left out of the list.
            return f"{value} NOT IN ({', '.join(held)})" if held else f"{value} IS NOT NULL"

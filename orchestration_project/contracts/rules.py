"""`logicalTypeOptions` and `enum` of a property as rules on its values, and the same rules in words.

Rules that no value can fulfil are problems: with them every record of a feed would be rejected. A rule's words end a
sentence about a column or a number.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

from orchestration_project.contracts.errors import Place, did_you_mean, excerpt, listed
from orchestration_project.contracts.feed import (
    Bound,
    Comparison,
    Length,
    MultipleOf,
    OneOf,
    Pattern,
    Required,
    Rule,
    TextFormat,
)
from orchestration_project.contracts.patterns import TEXT_FORMATS, UNTESTED_FORMATS, read_pattern
from orchestration_project.contracts.sql_types import (
    INTEGER_FORMATS,
    NUMBER_FORMATS,
    Comparable,
    Kind,
    Literals,
    SqlType,
)

_BOUND_WORDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
COMPARISONS = {
    "mustBe": "",
    "mustNotBe": "other than ",
    "mustBeGreaterThan": "more than ",
    "mustBeGreaterOrEqualTo": "at least ",
    "mustBeLessThan": "less than ",
    "mustBeLessOrEqualTo": "at most ",
    "mustBeBetween": "between ",
    "mustNotBeBetween": "not between ",
}


def rule_in_words(rule: Rule) -> str:
    """What a rule demands of a value, e.g. `is at least 1`."""
    # There is no default: mypy then finds a new kind of rule that has no words yet.
    match rule:
        case Required():
            return "is given"
        case Bound(rule=name, limit=limit):
            return f"is {_BOUND_WORDS[name]} {limit}"
        case MultipleOf(step=step):
            return f"is a multiple of {step}"
        case Length(rule=name, characters=characters):
            return f"has at {'least' if name == 'minLength' else 'most'} {characters} characters"
        case Pattern(regex=regex):
            return f"matches `{regex}`"
        case TextFormat(name=name):
            return f"is written as {name}"
        case OneOf(values=values):
            return f"is one of {', '.join(values)}"


def comparison_in_words(comparison: Comparison) -> str:
    """What a number has to be, e.g. `more than 0`."""
    return COMPARISONS[comparison.operator] + " and ".join(f"{limit:g}" for limit in comparison.limits)


LowerOrUpper = Literal["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"]
BOUNDS: tuple[LowerOrUpper, ...] = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_DATE = (*BOUNDS, "format")
OPTIONS: dict[Kind, tuple[str, ...]] = {
    Kind.TEXT: ("minLength", "maxLength", "pattern", "format"),
    Kind.INTEGER: (*BOUNDS, "multipleOf", "format"),
    Kind.DECIMAL: (*BOUNDS, "multipleOf", "format"),
    Kind.FLOAT: (*BOUNDS, "multipleOf", "format"),
    Kind.BOOLEAN: (),
    Kind.DATE: _DATE,
    Kind.TIME: (*_DATE, "timezone", "defaultTimezone"),
    Kind.TIMESTAMP: (*_DATE, "timezone", "defaultTimezone"),
}
_FORMAT_HINTS = {
    "date": "; use logicalType date",
    "date-time": "; use logicalType timestamp",
    "time": "; use logicalType time",
    "byte": "; binary text is not decoded",
    "binary": "; binary text is not decoded",
}


def read_rules(options: dict[str, Any], literals: Literals, place: Place) -> list[Rule]:
    """The rules that a column's `logicalTypeOptions` make; `place` is that of the options."""
    # The standard's schema goes by logicalType, which a property with a physicalType need not have.
    allowed = OPTIONS[literals.type.kind]
    for name in options:
        if name not in allowed:
            choice = f"allowed: {listed(allowed)}{did_you_mean(name, allowed)}" if allowed else "none is allowed"
            place.key(name).problem(f"not an option of a {literals.type.sql} column; {choice}")
    if literals.type.kind is Kind.TEXT:
        return list(_text_rules(options, literals.type, place))
    if literals.type.kind.is_number and "format" in options:
        _check_number_format(options["format"], place.key("format"))
    return [*_bounds(options, literals, place), *_multiple(options, literals, place)]


def read_enum(values: list[Any], literals: Literals, place: Place) -> list[Rule]:
    """The rule that an `enum` makes. A null in it has no effect, since only `required` forbids missing values."""
    # By their texts: 1 and "1" are one value of an integer column.
    texts: dict[str, None] = {}
    for index, value in enumerate(values):
        if value is not None:
            try:
                texts[literals.text(value)] = None
            except ValueError as error:
                place.item(index).key("value").problem(str(error))
    if all(value is None for value in values):
        place.problem("needs a value that is not null")
    return [OneOf(tuple(texts))] if texts else []


def _bounds(options: dict[str, Any], literals: Literals, place: Place) -> Iterator[Bound]:
    limits: dict[str, Comparable] = {}
    for name in BOUNDS:
        if name in options:
            try:
                limits[name], text = literals.read(options[name])
            except ValueError as error:
                place.key(name).problem(str(error))
            else:
                yield Bound(name, text)
    # The standard allows a minimum beside an exclusiveMinimum, so there may be two of each.
    lows = [(limits[name], name) for name in ("minimum", "exclusiveMinimum") if name in limits]
    highs = [(limits[name], name) for name in ("maximum", "exclusiveMaximum") if name in limits]
    for low, low_name in lows:
        for high, high_name in highs:
            if _is_empty(low, high, (low_name + high_name).count("exclusive"), literals.type.kind):
                place.problem(f"no value can fulfil {low_name} {low} and {high_name} {high}")


def _is_empty(low: Any, high: Any, exclusive: int, kind: Kind) -> bool:
    if kind is Kind.INTEGER:
        # There is no whole number between 1 and 2.
        return bool(low + exclusive > high)
    return bool(low > high or (low == high and exclusive))


def _multiple(options: dict[str, Any], literals: Literals, place: Place) -> Iterator[MultipleOf]:
    if "multipleOf" not in options or not literals.type.kind.is_number:
        return
    try:
        step, text = literals.read(options["multipleOf"])
    except ValueError as error:
        place.key("multipleOf").problem(str(error))
        return
    if not isinstance(step, Decimal) or step <= 0:
        place.key("multipleOf").problem(f"found {excerpt(options['multipleOf'])}; allowed: a number more than 0")
        return
    yield MultipleOf(text)


def _check_number_format(name: Any, place: Place) -> None:
    allowed = (*INTEGER_FORMATS, *NUMBER_FORMATS)
    if name not in allowed:
        place.problem(f"found {excerpt(name)}; allowed: {listed(allowed)}{did_you_mean(str(name), allowed)}")


def _text_rules(options: dict[str, Any], text_type: SqlType, place: Place) -> Iterator[Rule]:
    shortest = _length("minLength", options, place)
    longest = _length("maxLength", options, place)
    limits = [limit for limit in (longest, text_type.max_length) if limit is not None]
    if shortest is not None and limits and shortest > min(limits):
        place.problem(f"no text can have at least {shortest} and at most {min(limits)} characters")
    # Every text has at least 0 characters.
    if shortest:
        yield Length("minLength", shortest)
    if limits:
        yield Length("maxLength", min(limits))
    if "pattern" in options and (regex := read_pattern(options["pattern"], place.key("pattern"))) is not None:
        yield Pattern(regex)
    if "format" in options:
        yield from _text_format(options["format"], place.key("format"))
    if text_type.text_format:
        yield TextFormat(text_type.text_format, TEXT_FORMATS[text_type.text_format])


def _length(name: str, options: dict[str, Any], place: Place) -> int | None:
    value = options.get(name)
    if name not in options:
        return None
    # In Python True is an int.
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        place.key(name).problem(f"found {excerpt(value)}; allowed: a whole number from 0 on")
        return None
    return value


def _text_format(name: Any, place: Place) -> Iterator[Rule]:
    if name in UNTESTED_FORMATS:
        return
    if not isinstance(name, str) or name not in TEXT_FORMATS:
        hint = _FORMAT_HINTS.get(name, "") if isinstance(name, str) else ""
        close = did_you_mean(str(name), TEXT_FORMATS)
        place.problem(f"found {excerpt(name)}; allowed: {listed([*TEXT_FORMATS, *UNTESTED_FORMATS])}{hint or close}")
        return
    yield TextFormat(name, TEXT_FORMATS[name])

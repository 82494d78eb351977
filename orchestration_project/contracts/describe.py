"""Rules of a contract in words, for descriptions. Each text ends a sentence about a column or a number."""

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

BOUNDS = {
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
    match rule:
        case Required():
            return "is given"
        case Bound(rule=name, limit=limit):
            return f"is {BOUNDS[name]} {limit}"
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

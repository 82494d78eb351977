"""Whether DuckDB can run the regular expressions and conditions of a contract: it compiles them itself.

RE2, its engine, has no look-around and no back-references and limits repetitions. A pattern that it can't compile would
fail a whole load, so each is compiled when a feed is defined: `dg check defs` tells it, and no load starts with it.
duckdb is imported when the first pattern is compiled, so that a process that reads no contract does not wait for it.
"""

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.contracts.ignored_rules import IgnoredWhere
from orchestration_project.warehouse.tables import ident, literal

if TYPE_CHECKING:
    import duckdb

_REPEATS = "it repeats too much: counts go up to 1000, nested counts multiplied, the smaller count first"
# By the beginning of what RE2 says.
_EXPLANATIONS = {
    "invalid perl operator": "a group of a kind that DuckDB does not support",
    "bad repetition operator": "possessive quantifiers and multiple repeats are not supported by DuckDB",
    "invalid repetition size": _REPEATS,
    "pattern too large": _REPEATS,
}
# RE2 quotes the first characters of a group only; the pattern tells which of them it is.
_GROUPS = {
    "(?=": "lookahead (?=...)",
    "(?!": "negative lookahead (?!...)",
    "(?<=": "lookbehind (?<=...)",
    "(?<!": "negative lookbehind (?<!...)",
    "(?P=": "back-reference to a named group (?P=...)",
    "(?>": "atomic group (?>...)",
    "(?(": "conditional (?(...)",
    "(?#": "comment (?#...)",
    "(?<": "named group (?<...), which is written (?P<...) here",
}


def refused_patterns(patterns: Collection[str]) -> dict[str, str]:
    """Why DuckDB can't compile patterns, by pattern; empty when it compiles all of them."""
    # Nearly every contract is right, so one statement compiles all; only if it fails each is tried alone.
    if _refusal(patterns) is None:
        return {}
    refusals = {pattern: _refusal([pattern]) for pattern in patterns}
    return {pattern: _explained(pattern, said) for pattern, said in refusals.items() if said is not None}


def refused_conditions(feed: Feed) -> dict[str, str]:
    """Why DuckDB can't run the conditions of ignored records, by the rule's name; empty when it can."""
    import duckdb

    texts = ", ".join(f"''::VARCHAR AS {ident(name)}" for name in (*(c.name for c in feed.source_columns), "_raw_line"))
    found = {}
    for rule in feed.ignored:
        if not isinstance(rule, IgnoredWhere):
            continue
        try:
            described = _engine().cursor().execute(f"DESCRIBE SELECT ({rule.condition}) FROM (SELECT {texts})")
            kind = described.fetchall()[0][1]
        except duckdb.Error as error:
            # It speaks of the contract's own SQL; no value of a file is there yet.
            found[rule.name] = f"DuckDB can't run the condition: {str(error).partition(chr(10))[0]}"
        else:
            if kind != "BOOLEAN":
                found[rule.name] = f"the condition is a {kind}; it has to be true or false"
    return found


@cache
def _engine() -> "duckdb.DuckDBPyConnection":
    import duckdb

    # Opening one takes 10 to 30 ms, compiling patterns in it less than one; a process asks for each feed.
    return duckdb.connect(":memory:", config={"threads": 1})


def _refusal(patterns: Collection[str]) -> str | None:
    """What RE2 says of the first pattern that it can't compile."""
    import duckdb

    # Patterns are literals, as in a load. Binding them as parameters would also import pandas, which takes a second.
    calls = ", ".join(f"regexp_matches('', {literal(pattern)})" for pattern in patterns)
    try:
        _engine().cursor().execute(f"SELECT {calls}")
    except duckdb.Error as error:
        return str(error).partition("Error: ")[2].partition("\n")[0]
    return None


def _explained(pattern: str, said: str) -> str:
    """RE2's message after one that a contract's author understands, where it says little."""
    explanation = next((text for start, text in _EXPLANATIONS.items() if said.startswith(start)), None)
    if said.startswith("invalid perl operator"):
        group = next((name for opening, name in _GROUPS.items() if opening in pattern), None)
        explanation = f"not supported by DuckDB: {group}" if group else explanation
    return f"{explanation} ({said})" if explanation else said

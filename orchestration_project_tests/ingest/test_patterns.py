"""Regular expressions that DuckDB compiles, and why it refuses the others."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts import ContractError, load_feed
from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.expressions import parse_expression
from orchestration_project.contracts.queries import parse_query
from orchestration_project.ingest.patterns import refused_patterns


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param(r"(?=a)b", "not supported by DuckDB: lookahead", id="lookahead"),
        pytest.param(r"(?!a)b", "negative lookahead", id="negative lookahead"),
        pytest.param(r"(?<=a)b", "lookbehind", id="lookbehind"),
        pytest.param(r"(?<!a)b", "negative lookbehind", id="negative lookbehind"),
        pytest.param(r"(?P<x>a)(?P=x)", "named group", id="back-reference by name"),
        pytest.param(r"(?<x>a)", "named group (?<...), which is written (?P<...) here", id="named group"),
        pytest.param(r"(?>a)", "atomic group", id="atomic group"),
        pytest.param(r"(?|a)", "a group of a kind that DuckDB does not support", id="other group"),
        pytest.param(r"a++", "possessive", id="possessive quantifier"),
        pytest.param(r"a{1001}", "repeats too much", id="repetition"),
        pytest.param(r"(a{100}){11}", "repeats too much", id="nested repetition"),
        pytest.param(r"\p{L}{900}", "repeats too much", id="repeated Unicode class"),
        pytest.param(r"a{3,2}", "the smaller count first", id="counts in the wrong order"),
        pytest.param(r"\p{Foo}", r"invalid character class range: \p{Foo}", id="unknown Unicode class"),
        pytest.param(r"(", "missing )", id="open group"),
        pytest.param(r"a**", "multiple repeat", id="two quantifiers"),
        pytest.param(r"[z-a]", "invalid character class range: z-a", id="range"),
        pytest.param(r"'(", "missing )", id="quote"),
    ],
)
def test_refused(pattern: str, message: str) -> None:
    """The reason says what a contract's author wrote, and what DuckDB says of it."""
    assert message in refused_patterns([pattern])[pattern]


def test_each_refused_pattern_has_its_own_reason() -> None:
    """Patterns that compile are left out, also next to others that don't."""
    refused = refused_patterns(["a+", "(", "it's", "[z-a]", "("])
    assert refused == {"(": "missing ): (", "[z-a]": "invalid character class range: z-a"}
    assert refused_patterns(["a+", "it's"]) == {}


PARTS = [
    "a", "é", "(", ")", "(?:", "(?i:", "(?i)", "(?=", "[", "[^", "]", "-", "{2}", "{2,3}", "{1000}", "{10}",
    "*", "+", "?",
    "|", "^", "$", ".", r"\d", r"\p{L}", r"\pN", "\\", r"\b", r"\x41", "{", "}", ",", "&", r"\-", r"\_", " ",
    r"\S", ":", "\n", "'",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PARTS), max_size=8).map("".join), min_size=1, max_size=3))
def test_what_is_not_refused_runs(patterns: list[str]) -> None:
    """Every pattern runs on values or has a reason, whatever it is compiled together with."""
    refused = refused_patterns(patterns)
    assert all(refused.values())
    for pattern in patterns:
        query = "SELECT regexp_matches(x, $1), regexp_full_match(x, $1) FROM (VALUES ('ab'), (''), (NULL)) t(x)"
        if pattern not in refused:
            duckdb.execute(query, [pattern])
        else:
            with pytest.raises(duckdb.Error):
                duckdb.execute(query, [pattern])


def test_a_contract_names_every_pattern_that_can_t_be_compiled(tmp_path: Path) -> None:
    """Patterns of columns and of quality rules are told with their places, beside all other problems."""
    path = tmp_path / "f.odcs.yaml"
    path.write_text(
        """apiVersion: v3.1.0
kind: DataContract
id: x
version: "1"
status: active
schema:
  - name: f
    properties:
      - {name: a, physicalType: VARCHAR, logicalTypeOptions: {pattern: "(?=x)"}}
      - name: b
        physicalType: VARCHAR
        quality:
          - {metric: invalidValues, arguments: {pattern: "x++"}, mustBe: 0}
      - {name: c, physicalType: varchr}
""",
        encoding="utf-8",
    )
    with pytest.raises(ContractError) as raised:
        load_feed(path, refused_patterns=refused_patterns)
    assert [problem.split(": ")[0] for problem in map(str, raised.value.problems)] == [
        "schema[0].properties[2].physicalType",
        "schema[0].properties[0].logicalTypeOptions.pattern",
        "schema[0].properties[1].quality[0].arguments.pattern",
    ]
    assert str(raised.value.problems[1]).endswith(
        "column 'a': '(?=x)' can't be used as a regular expression: not supported by DuckDB: lookahead (?=...)"
        " (invalid perl operator: (?=)"
    )


@pytest.mark.parametrize(
    ("expression", "patterns"),
    [
        pytest.param("regexp_matches(a, '(?=x)', 'i')", ["(?=x)"], id="search"),
        pytest.param("regexp_full_match(a, 'it''s')", ["it's"], id="whole text"),
        pytest.param("CASE WHEN true THEN regexp_extract(a, '(x)', 1) END", ["(x)"], id="extract"),
        pytest.param("regexp_replace(a, '(', ')', 'g')", ["("], id="replace"),
        pytest.param("a SIMILAR TO 'x.'", ["x."], id="similar"),
        pytest.param("regexp_matches(a, '(', 'l')", [], id="plain text"),
        pytest.param("regexp_matches('(', a)", [], id="pattern from a row"),
        pytest.param("a LIKE '('", [], id="no regular expression"),
    ],
)
def test_patterns_in_sql_are_compiled_too(expression: str, patterns: list[str]) -> None:
    """What a transformLogic or a query searches for is a pattern of the contract like any other."""
    place = Place()
    assert parse_expression(expression, ["a"], place) is not None
    parse_query(f"SELECT count(*) FROM ${{table}} WHERE {expression} IS NULL", ["t"], ["a"], None, place)
    assert [regex for _, regex in place.patterns] == patterns * 2

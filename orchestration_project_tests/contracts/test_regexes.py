"""Which regular expressions are allowed."""

import ipaddress

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.regexes import TEXT_FORMATS, fault


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Za-z0-9_-]+$", r"ACC[0-9]{8}", r"^\d{1,3}(\.\d{2})?$", r"[^\p{L}\s]", r"(?i)abc", r"(?:a|b)*?", r"^$", "",
        r"[(*+]", r"[a&&b]", r"\x41\/\-", "ä+", r"a]", "(?s:.)",
    ],
)  # fmt: skip
def test_allowed(pattern: str) -> None:
    """Common patterns are allowed and DuckDB runs them."""
    assert fault(pattern) is None
    duckdb.execute("SELECT regexp_matches('x', ?)", [pattern])


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        pytest.param(r"(?=a)b", "lookahead", id="lookahead"),
        pytest.param(r"(?!a)b", "negative lookahead", id="negative lookahead"),
        pytest.param(r"(?<=a)b", "lookbehind", id="lookbehind"),
        pytest.param(r"(?<!a)b", "negative lookbehind", id="negative lookbehind"),
        pytest.param(r"(a)\1", r"back-reference \1", id="back-reference"),
        pytest.param(r"(?P<x>a)(?P=x)", "named group", id="named group"),
        pytest.param(r"(?>a)", "atomic group", id="atomic group"),
        pytest.param(r"a++", "possessive", id="possessive quantifier"),
        pytest.param(r"a{1001}", "repeats too much", id="repetition"),
        pytest.param(r"(a{100}){11}", "repeats too much", id="nested repetition"),
        pytest.param(r"\p{L}{900}", "repeats too much", id="repeated Unicode class"),
        pytest.param(r"\u00e9", r"'\\u' is not supported; write the character itself", id="Unicode escape"),
        pytest.param(r"a\Z", "use $", id="end of text"),
        pytest.param(r"[[:alpha:]]", "escape the bracket", id="POSIX class"),
        pytest.param(r"[]a]", "empty class", id="empty class"),
        pytest.param(r"a{,5}", "must be escaped", id="brace"),
        pytest.param(r"(", "missing )", id="open group"),
        pytest.param(r"a**", "multiple repeat", id="two quantifiers"),
        pytest.param(r"[z-a]", "bad character range", id="range"),
        pytest.param("a\\", "escape", id="lone backslash"),
        pytest.param(r"a(?i)b", "at the start", id="flags in the middle"),
        pytest.param("(" * 5000 + ")" * 5000, "too deeply nested", id="depth"),
    ],
)
def test_refused(pattern: str, told: str) -> None:
    assert told in (fault(pattern) or "")


PARTS = [
    "a", "é", "(", ")", "(?:", "(?i:", "(?i)", "(?=", "[", "[^", "]", "-", "{2}", "{2,3}", "{1000}", "{10}",
    "*", "+", "?",
    "|", "^", "$", ".", r"\d", r"\p{L}", r"\pN", "\\", r"\b", r"\x41", "{", "}", ",", "&", r"\-", r"\_", " ",
    r"\S", ":", "\n",
]  # fmt: skip


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_what_is_allowed_runs(pattern: str) -> None:
    """DuckDB compiles every pattern that is allowed."""
    if fault(pattern) is None:
        duckdb.execute("SELECT regexp_matches('ab', $1), regexp_full_match('ab', $1)", [pattern])


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        pytest.param("email", ["a@b.de", "a.b+c@x-y.co.uk"], ["a@b", "@b.de", "a b@c.de", "a@b..de"], id="email"),
        pytest.param(
            "uuid",
            ["53581432-6c55-4ba2-a65f-72344a91553a"],
            ["53581432", "53581432-6c55-4ba2-a65f-72344a91553g"],
            id="uuid",
        ),
        pytest.param("uri", ["https://a.b/c?d=e#f", "mailto:a@b.de"], ["a.b/c", "http://a b"], id="uri"),
        pytest.param("hostname", ["a", "a-1.example.com"], ["-a.com", "a..b", "a_b", ""], id="hostname"),
        pytest.param("ipv4", ["0.0.0.0", "255.1.20.3"], ["256.1.1.1", "1.1.1", "01.1.1.1"], id="ipv4"),  # noqa: S104
        pytest.param("ipv6", ["::", "::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"], ["1:2", ":::", "1::2::3"], id="ipv6"),
    ],
)
def test_text_formats(name: str, good: list[str], bad: list[str]) -> None:
    assert fault(TEXT_FORMATS[name]) is None
    for text in good + bad:
        matched = duckdb.execute("SELECT regexp_full_match(?, ?)", [text, TEXT_FORMATS[name]]).fetchone()
        assert matched == (text in good,), text


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["1", "abcd", ":", "::", "12345", "1.2.3.4"]), max_size=15).map("".join))
def test_ipv6_is_what_the_standard_library_says(text: str) -> None:
    """The expression for IPv6 agrees with Python's `ipaddress`."""
    try:
        ipaddress.IPv6Address(text)
        valid = True
    except ValueError:
        valid = False
    assert duckdb.execute("SELECT regexp_full_match(?, ?)", [text, TEXT_FORMATS["ipv6"]]).fetchone() == (valid,)

"""Which regular expressions are allowed because they mean in DuckDB what the standard says."""

import ipaddress
import re
import warnings

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.patterns import TEXT_FORMATS, read_pattern


def problem(pattern: object) -> str:
    """Why a pattern is refused before an engine sees it; nothing when it is not."""
    place = Place()
    assert (read_pattern(pattern, place) is None) == bool(place.problems)
    return "".join(map(str, place.problems))


ALLOWED = [
    r"^[A-Za-z0-9_-]+$", r"ACC[0-9]{8}", r"^\d{1,3}(\.\d{2})?$", r"[^\p{L}\s]", r"(?i)abc", r"(?:a|b)*?", r"^$", "",
    r"[(*+]", r"[a&&b]", r"\x41\/\-", "ä+", r"a]", "(?s:.)", "[:a]", "[^:]", r"[\[\]]", r"\pN", r"[a{]", r"[(?i)]",
]  # fmt: skip


@pytest.mark.parametrize("pattern", ALLOWED)
def test_allowed(pattern: str) -> None:
    """Common patterns are allowed and DuckDB runs them."""
    assert problem(pattern) == ""
    duckdb.execute("SELECT regexp_matches('x', ?)", [pattern])


def test_patterns_are_remembered_for_the_engine() -> None:
    """A pattern that is read is handed to whoever can compile it, with its place; a refused one is not."""
    place = Place()
    for index, pattern in enumerate(["a+", r"\A", "(?=a)"]):
        read_pattern(pattern, place.item(index))
    assert [(here.path, regex) for here, regex in place.patterns] == [("[0]", "a+"), ("[2]", "(?=a)")]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param(r"(a)\1", r"back-reference \1", id="back-reference"),
        pytest.param(r"(?<x>a)\k<x>", r"back-reference \k", id="back-reference by name"),
        pytest.param(r"\u00e9", r"'\\u' is not supported; write the character itself", id="Unicode escape"),
        pytest.param(r"\x{41}", r"the escape '\\x' is not supported", id="code point, which is a repeated x elsewhere"),
        pytest.param(r"a\Z", "use $", id="end of text"),
        pytest.param(r"\Aa", "use ^", id="start of text, which is the letter A elsewhere"),
        pytest.param(r"\Qa.\E", "is not supported", id="quotation"),
        pytest.param(r"\C", "is not supported", id="byte"),
        pytest.param(r"\a", "is not supported", id="bell"),
        pytest.param(r"[\b]", "is not supported", id="backspace"),
        pytest.param(r"\07", "is not supported", id="octal"),
        pytest.param(r"[[:alpha:]]", "escape the bracket", id="POSIX class"),
        pytest.param(r"[]a]", "empty class", id="empty class"),
        pytest.param(r"[^]a]", "empty class [^]", id="empty negated class"),
        pytest.param(r"a{,5}", "must be escaped", id="brace"),
        pytest.param("a\\", "escape", id="lone backslash"),
        pytest.param(r"a(?i)b", "at the start", id="flags in the middle"),
        pytest.param("(" * 5000 + ")" * 5000, "too deeply nested", id="depth"),
        pytest.param(1, "a regular expression in quotes", id="number"),
    ],
)
def test_refused(pattern: object, message: str) -> None:
    assert message in problem(pattern)


# Only characters on which Python, too, agrees with ECMA-262.
PARTS = [
    "a", "b", "(", ")", "(?:", "(?i)", "[", "[^", "]", "-", "{2}", "{2,3}", "{1000}", "*", "+", "?", "|", "^", "$", ".",
    r"\d", r"\w", r"\S", r"\b", r"\x41", "{", "}", ",", "&", r"\-", "1", r"\]", ":", "=",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join), st.text("ab1A-[](){},:=& ", max_size=6))
def test_what_is_allowed_means_the_same_elsewhere(pattern: str, text: str) -> None:
    """A pattern that is allowed, and that both engines compile, finds the same in DuckDB as in another engine."""
    if problem(pattern):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = re.search(pattern, text, re.ASCII) is not None
        (matched,) = duckdb.execute("SELECT regexp_matches($1, $2)", [text, pattern]).fetchall()
    except (re.error, duckdb.Error):
        return
    assert matched == (found,)


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
        pytest.param(
            "ipv6",
            ["1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8", "1:2:3:4:5::1.2.3.4", "::3:4:5:6:7:1.2.3.4"],
            ["1:2:3:4:5:6:7::8", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6::1.2.3.4"],
            id="ipv6 without one group",
        ),
    ],
)
def test_text_formats(name: str, good: list[str], bad: list[str]) -> None:
    assert problem(TEXT_FORMATS[name]) == ""
    for text in good + bad:
        matched = duckdb.execute("SELECT regexp_full_match(?, ?)", [text, TEXT_FORMATS[name]]).fetchone()
        assert matched == (text in good,), text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["1", "abcd", ":", "::", "12345", "1.2.3.4"]), max_size=15).map("".join))
def test_ipv6_is_what_the_standard_library_says(text: str) -> None:
    """The expression for IPv6 agrees with Python's `ipaddress`."""
    try:
        ipaddress.IPv6Address(text)
        valid = True
    except ValueError:
        valid = False
    assert duckdb.execute("SELECT regexp_full_match(?, ?)", [text, TEXT_FORMATS["ipv6"]]).fetchone() == (valid,)

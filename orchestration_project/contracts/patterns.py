r"""Regular expressions of a contract, and those of the standard's text formats.

The standard takes `pattern` from JSON schema, and so from ECMA-262. DuckDB runs it with RE2. Belongs here: what RE2
compiles without an error to something else than the author wrote. `\A` is the letter A in one and the start of the text
in the other, `[[:alpha:]]` is a set of punctuation and letters in one and any letter in the other. Such a pattern would
accept or reject records silently. Does not belong here: what RE2 can't compile. DuckDB itself tells that
(`orchestration_project.ingest.patterns`), since a list of ours would always lag behind the engine's.
"""

import re
from typing import Any

from orchestration_project.contracts.errors import Place, excerpt

# An escape, an opening bracket, flags, a repetition; else one character: `^\d{2}[a-z]` is ^, \d, {2}, [, a, -, z, ].
_PART = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|[pP]\{\^?\w+\}|[pP][A-Z]|.)|\[\^?|\(\?[A-Za-z-]+\)|\{\d+(?:,\d*)?\}|.", re.DOTALL
)
_SAME_ESCAPES = frozenset("dDwWsSbBnrtfv!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")
_ESCAPE_HINTS = {"A": "; use ^", "z": "; use $", "Z": "; use $", "u": "; write the character itself"}
_DEEPEST = 100

TEXT_FORMATS = {
    "email": r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$",
    "uuid": r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+$",
    "hostname": r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    "ipv4": r"^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$",
    "ipv6": "",
}
"""Each text format that is tested, as an anchored expression."""

UNTESTED_FORMATS = frozenset({"password"})
"""Formats that describe a text without limiting it."""


def _ipv6() -> str:
    """Eight groups, or fewer on both sides of one `::`; the last two may be an IPv4 address."""
    # `1:2::7:8` is of the form for two groups before the `::`. RE2 can't count the groups of both sides together, so
    # there is a form for each number of groups before it.
    group = "[0-9A-Fa-f]{1,4}"
    ipv4 = TEXT_FORMATS["ipv4"].strip("^$")
    tail = f"(?:{group}:{group}|{ipv4})"
    forms = [f"(?:{group}:){{6}}{tail}"]
    for before in range(8):
        left = f"(?:{group}(?::{group}){{0,{before - 1}}})?" if before else ""
        after = 7 - before
        right = [f"(?:{group}:){{0,{after - 2}}}{tail}"] if after >= 2 else []
        right += [f"{group}", ""] if after >= 1 else [""]
        forms.append(f"{left}::(?:{'|'.join(right)})")
    return f"^(?:{'|'.join(forms)})$"


TEXT_FORMATS["ipv6"] = _ipv6()


def read_pattern(value: Any, place: Place) -> str | None:
    """The regular expression that stands at `place`; None after something was reported there."""
    if not isinstance(value, str):
        place.problem(f"found {excerpt(value)}; allowed: a regular expression in quotes")
        return None
    try:
        _check_meaning(value)
    except ValueError as error:
        place.problem(unusable(value, str(error)))
        return None
    place.pattern(value)
    return value


def unusable(pattern: str, reason: str) -> str:
    """The message that a pattern can't be used."""
    return f"{pattern[:80]!r} can't be used as a regular expression: {reason}"


def _check_meaning(pattern: str) -> None:
    """Find what RE2 would read differently. Escapes fail closed: one that is not known to be the same is refused.

    Raises:
        ValueError: there is such a thing; the text names it and tells what to write instead.
    """
    depth, in_class = 0, False
    for match in _PART.finditer(pattern):
        part = match[0]
        if part[0] == "\\":
            _check_escape(part, in_class)
        elif in_class:
            _check_in_class(pattern, match.start())
            in_class = part != "]"
        elif part[0] == "[":
            in_class = True
            _check_class_start(pattern, match.start(), match.end())
        else:
            _check_plain(part, match.start())
            depth += (part == "(") - (part == ")")
            if depth > _DEEPEST:
                # RE2 takes any depth. A person does not write it, so it is the slip of a generator.
                raise ValueError(f"it is too deeply nested: at most {_DEEPEST} groups inside each other")


def _check_escape(part: str, in_class: bool) -> None:
    following = part[1:]
    # Inside of a class, \b is a backspace in ECMA-262, and RE2 knows neither \b nor \B there.
    if len(part) > 2 or (following in _SAME_ESCAPES and not (in_class and following in "bB")):
        return
    if following.isdigit() or following == "k":
        raise ValueError(f"the back-reference {part} is not supported by RE2, the engine that tests it")
    raise ValueError(f"the escape {part!r} is not supported{_ESCAPE_HINTS.get(following, '')}")


def _check_in_class(pattern: str, start: int) -> None:
    if pattern.startswith(("[:", "[.", "[="), start):
        opening = pattern[start : start + 2]
        raise ValueError(f"{opening!r} in a character class is not supported; escape the bracket: \\[")


def _check_class_start(pattern: str, start: int, end: int) -> None:
    """Refuse a class that `]` closes at once: empty in ECMA-262; in RE2 the bracket is its first member."""
    if pattern.startswith("]", end):
        raise ValueError(f"the empty class {pattern[start:end]}] is not supported; escape the bracket: \\]")


def _check_plain(part: str, start: int) -> None:
    if part.startswith("(?") and start > 0:
        raise ValueError(f"{part!r} is not supported; flags (?i) (?m) (?s) go at the start")
    if part in "{}":
        # `a{,5}` is up to five times for some engines, and these very characters for others.
        raise ValueError(f"a brace that is not a repetition like {{2,5}} must be escaped: \\{part}")

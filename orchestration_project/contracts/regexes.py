r"""Regular expressions: which ones DuckDB's engine (RE2) can run, and those of the standard's text formats.

RE2 has no look-around and no back-references, and a pattern that it can't compile fails a whole load, so each is
checked when the contract is read. The check fails closed: a construct that is not known to work is refused by name.
What is left is judged by Python's `re`, which for these constructs agrees with RE2 on what is well formed.
"""

import re
import warnings
from collections.abc import Iterator

_CLASS_ESCAPES = "dDwWsS"
_CHARACTER_ESCAPES = "nrtfv"
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")
_GROUPS = {
    "(?=": "lookahead (?=...)",
    "(?!": "negative lookahead (?!...)",
    "(?<=": "lookbehind (?<=...)",
    "(?<!": "negative lookbehind (?<!...)",
    "(?P=": "back-reference (?P=...)",
    "(?>": "atomic group (?>...)",
    "(?(": "conditional (?(...)",
    "(?#": "comment (?#...)",
    "(?P<": "named group (?P<...)",
    "(?<": "named group (?<...)",
}
_MOST_REPEATS = 1000
# RE2 gives up on a compiled pattern of a few hundred thousand instructions; a Unicode class is some hundred of them.
_LARGEST = 20_000
_SIZES = {r"\p": 100, r"\P": 100}
_QUANTIFIER = re.compile(r"(?:[*+?]|\{(\d+)(?:,(\d*))?\})")
_UNICODE_CLASS = re.compile(r"\\[pP](?:\{(\^?[A-Za-z_]+)\}|([A-Z]))")
_UNICODE_NAMES = frozenset(
    "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P S Sc Z Zs Latin Greek Cyrillic Han Arabic Hebrew".split()
)

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
    group = "[0-9A-Fa-f]{1,4}"
    ipv4 = TEXT_FORMATS["ipv4"].strip("^$")
    tail = f"(?:{group}:{group}|{ipv4})"
    forms = [f"(?:{group}:){{6}}{tail}"]
    for before in range(7):
        left = f"(?:{group}(?::{group}){{0,{before - 1}}})?" if before else ""
        after = 6 - before
        right = [f"(?:{group}:){{0,{after - 2}}}{tail}"] if after >= 2 else []
        right += [f"{group}", ""] if after >= 1 else [""]
        forms.append(f"{left}::(?:{'|'.join(right)})")
    return f"^(?:{'|'.join(forms)})$"


TEXT_FORMATS["ipv6"] = _ipv6()


def fault(pattern: str) -> str | None:
    """Why a pattern can't be used, or None when RE2 runs it."""
    try:
        tokens = list(_tokens(pattern))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile("".join("\\w" if token[:2] in _SIZES else token for token in tokens))
    except (ValueError, re.error) as error:
        return f"{pattern[:80]!r} can't be used as a regular expression: {error}"
    except (RecursionError, OverflowError):
        return f"{pattern[:80]!r} is too deeply nested for a regular expression"
    return _size_fault(tokens, pattern)


def _tokens(pattern: str) -> Iterator[str]:
    """The pattern's parts. Brackets, parentheses and quantifiers that stand for themselves come escaped."""
    at, in_class = 0, False
    while at < len(pattern):
        if pattern[at] == "\\":
            token = written = _escape(pattern, at, in_class)
        elif in_class:
            written = pattern[at]
            if pattern.startswith(("[:", "[.", "[="), at):
                raise ValueError(
                    f"{pattern[at : at + 2]!r} in a character class is not supported; escape the bracket: \\["
                )
            in_class = written != "]"
            token = f"\\{written}" if written in "[(){}*+?" else written
        elif pattern[at] == "[":
            in_class = True
            token = written = "[^" if pattern.startswith("[^", at) else "["
            if pattern.startswith("]", at + len(written)):
                raise ValueError(f"the empty class {written}] is not supported; escape the bracket: \\]")
        else:
            written = _plain(pattern, at)
            token = "\\]" if written == "]" else written
        at += len(written)
        yield token


def _plain(pattern: str, at: int) -> str:
    """The token outside of a character class that starts at `at`: a group's opening, a quantifier or one character."""
    if pattern.startswith("(?", at):
        if flags := re.match(r"\(\?[ims]*:", pattern[at:]):
            return flags[0]
        for opening, name in _GROUPS.items():
            if pattern.startswith(opening, at):
                raise ValueError(f"{name} is not supported by RE2, the engine that tests it")
        if (flags := re.match(r"\(\?[ims]+\)", pattern[at:])) and at == 0:
            return flags[0]
        raise ValueError(f"{pattern[at : at + 4]!r} is not supported; flags (?i) (?m) (?s) go at the start")
    if quantifier := _QUANTIFIER.match(pattern, at):
        if pattern.startswith("+", quantifier.end()):
            raise ValueError(
                f"the possessive quantifier {quantifier[0]}+ is not supported by RE2, the engine that tests it"
            )
        return quantifier[0]
    if pattern[at] in "{}":
        raise ValueError(f"a brace that is not a repetition like {{2,5}} must be escaped: \\{pattern[at]}")
    return pattern[at]


def _escape(pattern: str, at: int, in_class: bool) -> str:
    """The escape that starts at `at`."""
    following = pattern[at + 1 : at + 2]
    if following and (
        following in _CLASS_ESCAPES + _CHARACTER_ESCAPES
        or following in _PUNCTUATION
        or following in "bB" * (not in_class)
    ):
        return pattern[at : at + 2]
    if following == "x" and (code := re.match(r"\\x[0-9A-Fa-f]{2}", pattern[at:])):
        return code[0]
    if unicode_class := _UNICODE_CLASS.match(pattern, at):
        name = (unicode_class[1] or unicode_class[2]).removeprefix("^")
        if name in _UNICODE_NAMES:
            return unicode_class[0]
    if following.isdigit() or following == "k":
        raise ValueError(f"the back-reference \\{following} is not supported by RE2, the engine that tests it")
    hints = {"A": "; use ^", "z": "; use $", "Z": "; use $", "u": "; write the character itself"}
    raise ValueError(f"the escape {pattern[at : at + 2]!r} is not supported{hints.get(following, '')}")


def _size_fault(tokens: list[str], pattern: str) -> str | None:
    """Why the repetitions of a well-formed pattern are more than RE2 takes: counts multiply where they nest."""
    groups: list[tuple[int, int]] = []
    size, repeats = 0, 1  # of the group that is open
    last_size, last_repeats = 0, 1  # of what a quantifier would repeat
    for token in tokens:
        if token.startswith(("(", "[")):
            groups.append((size, repeats))
            size, repeats, last_size, last_repeats = 0, 1, 0, 1
        elif token in (")", "]"):
            last_size, last_repeats = size, repeats
            size, repeats = groups.pop()
            size += last_size
        elif quantifier := _QUANTIFIER.fullmatch(token):
            count = max(int(quantifier[1] or 1), int(quantifier[2] or 0))
            size += last_size * (count - 1)
            last_repeats *= max(count, 1)
        else:
            last_size, last_repeats = _SIZES.get(token[:2], 1), 1
            size += last_size
        repeats = max(repeats, last_repeats)
        if repeats > _MOST_REPEATS or size > _LARGEST:
            return f"{pattern[:80]!r} repeats too much for RE2: at most {_MOST_REPEATS} times, nested counts multiplied"
    return None

"""JDK DateTimeFormatter patterns, which the standard uses for `format`, as DuckDB strptime patterns.

Only what means the same in both is translated; every other letter is refused by name. strptime is laxer than a JDK
pattern (it takes `20` for `yyyy` and blanks around the text), so each format also carries a regular expression for
the texts that it allows.

| JDK                       | strptime        | remark                                                              |
|---------------------------|-----------------|---------------------------------------------------------------------|
| `yyyy`, `uuuu`, `y`, `u`  | `%Y`            | four digits                                                         |
| `yy`, `uu`                | `%y`            | 69 to 99 are 1969 to 1999, as in strptime (the JDK's are 2069 to 2099) |
| `M`, `MM`, `MMM`, `MMMM`  | `%-m` `%m` `%b` `%B` | month names are English                                        |
| `d`, `dd`                 | `%-d`, `%d`     |                                                                     |
| `H`, `HH`, `h`, `hh`      | `%-H` `%H` `%-I` `%I` | `h` needs `a`                                                 |
| `a`                       | `%p`            | AM or PM                                                            |
| `m`, `mm`, `s`, `ss`      | `%-M` `%M` `%-S` `%S` |                                                               |
| `S` to `SSSSSSSSS`        | `%g` `%f` `%n`  | as many digits as letters                                           |
| `X` `XX` `XXX`, `x` ..., `Z`, `ZZZZZ` | `%z` | at the end; `Z` in the text means UTC for `X` and `ZZZZZ`           |
| `z`, `VV`                 | `%Z`            | at the end; a zone's name, e.g. `Europe/Berlin` or `CET`            |
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Literal

from orchestration_project.contracts.errors import listed

_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|([^A-Za-z'])")
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_SHORT_OFFSET, _OFFSET, _COLON_OFFSET = r"[+-]\d{2}(\d{2})?", r"[+-]\d{4}", r"[+-]\d{2}:\d{2}"

_FIELDS: dict[str, tuple[str, str, int | None, str]] = {
    # JDK letters: what they stand for, strptime, width when it is fixed, regular expression
    **dict.fromkeys(("y", "u", "yyyy", "uuuu"), ("year", "%Y", 4, r"\d{4}")),
    **dict.fromkeys(("yy", "uu"), ("year", "%y", 2, r"\d{2}")),
    "M": ("month", "%-m", None, r"\d{1,2}"),
    "MM": ("month", "%m", 2, r"\d{2}"),
    "MMM": ("month", "%b", 3, f"(?i:{'|'.join(name[:3] for name in _MONTHS.split('|'))})"),
    "MMMM": ("month", "%B", None, f"(?i:{_MONTHS})"),
    "d": ("day", "%-d", None, r"\d{1,2}"),
    "dd": ("day", "%d", 2, r"\d{2}"),
    "H": ("hour", "%-H", None, r"\d{1,2}"),
    "HH": ("hour", "%H", 2, r"\d{2}"),
    "h": ("half-day hour", "%-I", None, r"\d{1,2}"),
    "hh": ("half-day hour", "%I", 2, r"\d{2}"),
    "a": ("half of the day", "%p", 2, "(?i:[AP]M)"),
    "m": ("minute", "%-M", None, r"\d{1,2}"),
    "mm": ("minute", "%M", 2, r"\d{2}"),
    "s": ("second", "%-S", None, r"\d{1,2}"),
    "ss": ("second", "%S", 2, r"\d{2}"),
    **{"S" * n: ("fraction", "%g" if n <= 3 else "%f" if n <= 6 else "%n", n, rf"\d{{{n}}}") for n in range(1, 10)},
    "X": ("offset", "%z", None, f"(Z|{_SHORT_OFFSET})"),
    "XX": ("offset", "%z", None, f"(Z|{_OFFSET})"),
    "XXX": ("offset", "%z", None, f"(Z|{_COLON_OFFSET})"),
    "ZZZZZ": ("offset", "%z", None, f"(Z|{_COLON_OFFSET})"),
    "x": ("offset", "%z", None, _SHORT_OFFSET),
    "xx": ("offset", "%z", 5, _OFFSET),
    "xxx": ("offset", "%z", 6, _COLON_OFFSET),
    **dict.fromkeys(("Z", "ZZ", "ZZZ"), ("offset", "%z", 5, _OFFSET)),
    **dict.fromkeys(("z", "zz", "zzz", "VV"), ("offset", "%Z", None, r"[A-Za-z0-9_+\-/]+")),
}
_SIMILAR = {
    "Y": "y (year)",
    "D": "d (day of the month)",
    "k": "H (hour 0-23)",
    "K": "h (hour 1-12)",
    "n": "S (fraction)",
    "L": "M",
}
_NEEDED = {"date": ("year", "month", "day"), "timestamp": ("year", "month", "day"), "time": ("hour",)}
_NOT_IN = {"date": ("offset",), "timestamp": (), "time": ("year", "month", "day", "offset")}


@dataclass(frozen=True, slots=True)
class DateFormat:
    """A JDK pattern in DuckDB's terms.

    `width` is the number of characters when every field has a fixed one, `regex` matches exactly the texts that the
    pattern describes, `has_offset` tells whether they carry an offset or a zone, `utc_letter` whether that may be the
    letter Z.
    """

    strptime: str
    width: int | None
    regex: str
    has_offset: bool = False
    utc_letter: bool = False

    def parse(self, text: str) -> dt.datetime | None:
        """The moment in a text, None when it does not have the format (or names a zone)."""
        if not re.fullmatch(self.regex, text, re.ASCII) or "%Z" in self.strptime or "%n" in self.strptime:
            return None
        pattern = re.sub(
            r"%(%|-?[A-Za-z])", lambda match: {"%g": "%f"}.get(match[0], match[0].replace("-", "")), self.strptime
        )
        try:
            return dt.datetime.strptime(text, pattern)  # noqa: DTZ007 - without an offset in the text there is none to know
        except ValueError:
            return None


def translate(pattern: str, kind: Literal["date", "timestamp", "time"]) -> DateFormat:
    """The DuckDB form of a JDK pattern for a date, a timestamp or a time.

    Raises:
        ValueError: the pattern says something that strptime can't, lacks a field or has one twice.
    """
    fields: list[str] = []
    strptime, regex, width, end = "", "", 0, 0
    fixed = True
    for match in _TOKEN.finditer(pattern):
        if match.start() != end:
            break
        end = match.end()
        if match[2]:
            field, directive, size, form = _field(match[0])
            fields.append(field)
            if field == "offset" and end != len(pattern):
                raise ValueError(f"{match[0]!r} must be the last field of the format {pattern!r}")
        else:
            literal = (match[1].replace("''", "'") or "'") if match[1] is not None else match[3]
            directive, size, form = literal.replace("%", "%%"), len(literal), re.escape(literal)
            _check_literal(literal, pattern)
        strptime += directive
        regex += form
        width, fixed = width + (size or 0), fixed and size is not None
    if end != len(pattern):
        raise ValueError(f"the format {pattern!r} has a quote ' without its pair")
    _check_fields(fields, pattern, kind)
    return DateFormat(strptime, width if fixed else None, regex, "offset" in fields, "(Z|" in regex)


def _field(letters: str) -> tuple[str, str, int | None, str]:
    if letters in _FIELDS:
        return _FIELDS[letters]
    same = [known for known in _FIELDS if known[0] == letters[0]]
    if same:
        raise ValueError(f"{letters!r} is not supported in a date format; allowed: {listed(same)}")
    hint = f"; did you mean {_SIMILAR[letters[0]]}?" if letters[0] in _SIMILAR else ""
    allowed = listed(dict.fromkeys(known[0] for known in _FIELDS))
    raise ValueError(f"the letter {letters[0]!r} is not supported in a date format; allowed: {allowed}{hint}")


def _check_literal(literal: str, pattern: str) -> None:
    if any(character in "[]{}#" for character in literal) and f"'{literal}'" not in pattern:
        raise ValueError(
            f"{literal!r} is reserved in a date format (optional parts are not supported); quote it: '{literal}'"
        )


def _check_fields(fields: list[str], pattern: str, kind: Literal["date", "timestamp", "time"]) -> None:
    hour = "half-day hour" if "half-day hour" in fields else "hour"
    finer = [name for name in (hour, "minute", "second", "fraction") if name in fields]
    if doubled := [field for field in dict.fromkeys(fields) if fields.count(field) > 1]:
        raise ValueError(f"the format {pattern!r} has the {listed(doubled)} more than once")
    if {"hour", "half-day hour"} <= set(fields):
        raise ValueError(f"the format {pattern!r} has both H and h")
    if ("half-day hour" in fields) != ("half of the day" in fields):
        raise ValueError(f"the format {pattern!r}: h (hour 1-12) and a (AM or PM) go together; H is the hour 0-23")
    if finer != [hour, "minute", "second", "fraction"][: len(finer)]:
        raise ValueError(f"the format {pattern!r} has a {finer[-1]} but no {_missing(hour, finer)}")
    needed = [hour if field == "hour" else field for field in _NEEDED[kind]]
    if missing := [field for field in needed if field not in fields]:
        raise ValueError(f"the format {pattern!r} lacks the {listed(missing)}, which a {kind} needs")
    if unwanted := [field for field in _NOT_IN[kind] if field in fields]:
        raise ValueError(f"the format {pattern!r} has a {listed(unwanted)}, which a {kind} does not have")


def _missing(hour: str, finer: list[str]) -> str:
    return next(name for name in (hour, "minute", "second", "fraction") if name not in finer)

"""JDK DateTimeFormatter patterns, which the standard uses for `format`, as DuckDB strptime patterns.

Only what means the same in both is translated; every other letter is refused by name. strptime is laxer than a JDK
pattern (it takes `20` for `yyyy` and blanks around the text), so each format also has a regular expression for the
texts that it allows.

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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from orchestration_project.contracts.errors import listed

# A quoted text, a run of one letter, or another character: `dd.MM.yyyy 'at' HH` is dd, ., MM, ., yyyy, a blank, 'at',
# a blank, HH. In a quoted text '' stands for one quote.
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|([^A-Za-z'])")
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
# Up to 18 hours, as in the JDK. strptime and casts take +99:99, too, and make another day of it.
_HOURS = "(?:0[0-9]|1[0-7])"
SHORT_OFFSET = f"[+-](?:{_HOURS}(?:[0-5][0-9])?|18(?:00)?)"
OFFSET = f"[+-](?:{_HOURS}[0-5][0-9]|1800)"
COLON_OFFSET = f"[+-](?:{_HOURS}:[0-5][0-9]|18:00)"
# Neither Python nor the standard has a year 0.
YEAR = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"


def _fraction(digits: int) -> str:
    # A timestamp has microseconds: what is finer would be lost.
    return rf"\d{{{min(digits, 6)}}}" + "0" * (digits - 6)


class _Part(NamedTuple):
    """A part of a pattern. `field` is empty for literal text, `width` None when the part has no fixed width."""

    field: str
    strptime: str
    width: int | None
    regex: str


_FIELDS: dict[str, _Part] = {
    **dict.fromkeys(("y", "u", "yyyy", "uuuu"), _Part("year", "%Y", 4, YEAR)),
    **dict.fromkeys(("yy", "uu"), _Part("year", "%y", 2, r"\d{2}")),
    "M": _Part("month", "%-m", None, r"\d{1,2}"),
    "MM": _Part("month", "%m", 2, r"\d{2}"),
    "MMM": _Part("month", "%b", 3, f"(?i:{'|'.join(name[:3] for name in _MONTHS.split('|'))})"),
    "MMMM": _Part("month", "%B", None, f"(?i:{_MONTHS})"),
    "d": _Part("day", "%-d", None, r"\d{1,2}"),
    "dd": _Part("day", "%d", 2, r"\d{2}"),
    "H": _Part("hour", "%-H", None, r"\d{1,2}"),
    "HH": _Part("hour", "%H", 2, r"\d{2}"),
    "h": _Part("half-day hour", "%-I", None, r"\d{1,2}"),
    "hh": _Part("half-day hour", "%I", 2, r"\d{2}"),
    "a": _Part("half of the day", "%p", 2, "(?i:[AP]M)"),
    "m": _Part("minute", "%-M", None, r"\d{1,2}"),
    "mm": _Part("minute", "%M", 2, r"\d{2}"),
    "s": _Part("second", "%-S", None, r"\d{1,2}"),
    "ss": _Part("second", "%S", 2, r"\d{2}"),
    **{"S" * n: _Part("fraction", "%g" if n <= 3 else "%f" if n <= 6 else "%n", n, _fraction(n)) for n in range(1, 10)},
    "X": _Part("offset", "%z", None, f"(Z|{SHORT_OFFSET})"),
    "XX": _Part("offset", "%z", None, f"(Z|{OFFSET})"),
    "XXX": _Part("offset", "%z", None, f"(Z|{COLON_OFFSET})"),
    "ZZZZZ": _Part("offset", "%z", None, f"(Z|{COLON_OFFSET})"),
    "x": _Part("offset", "%z", None, SHORT_OFFSET),
    "xx": _Part("offset", "%z", 5, OFFSET),
    "xxx": _Part("offset", "%z", 6, COLON_OFFSET),
    **dict.fromkeys(("Z", "ZZ", "ZZZ"), _Part("offset", "%z", 5, OFFSET)),
    **dict.fromkeys(("z", "zz", "zzz", "VV"), _Part("offset", "%Z", None, r"[A-Za-z0-9_+\-/]+")),
}
# Letters that the JDK has for something else than most people mean. `YYYY` is the year of the week: it is wrong only
# around New Year, so nobody notices in a test.
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
        # The expression first: strptime is lax in Python too, and takes 2024-3-7 for %Y-%m-%d. It has neither names of
        # zones nor nanoseconds.
        if not re.fullmatch(self.regex, text, re.ASCII) or "%Z" in self.strptime or "%n" in self.strptime:
            return None
        # Python has no %g and no %-d. Its %f takes 1 to 6 digits and its %d also one; the expression has counted them.
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
        ValueError: strptime can't do what the pattern says, or the pattern lacks a field or has one twice.
    """
    parts = list(_parts(pattern))
    fields = [part.field for part in parts if part.field]
    _check_fields(fields, pattern, kind)
    widths = [part.width for part in parts if part.width is not None]
    regex = "".join(part.regex for part in parts)
    return DateFormat(
        strptime="".join(part.strptime for part in parts),
        width=sum(widths) if len(widths) == len(parts) else None,
        regex=regex,
        has_offset="offset" in fields,
        # Only offsets with the letters X and ZZZZZ begin like this.
        utc_letter="(Z|" in regex,
    )


def _parts(pattern: str) -> Iterator[_Part]:
    end = 0
    for match in _TOKEN.finditer(pattern):
        if match.start() != end:
            break
        end = match.end()
        if match[2]:
            part = _field(match[0])
            # Most offsets and zones have no fixed length: what stands behind one could be a part of it.
            if part.field == "offset" and end != len(pattern):
                raise ValueError(f"{match[0]!r} must be the last field of the format {pattern!r}")
            yield part
        else:
            literal = (match[1].replace("''", "'") or "'") if match[1] is not None else match[3]
            _check_literal(literal, pattern)
            yield _Part("", literal.replace("%", "%%"), len(literal), re.escape(literal))
    if end != len(pattern):
        raise ValueError(f"the format {pattern!r} has a quote ' without its pair")


def _field(letters: str) -> _Part:
    if letters in _FIELDS:
        return _FIELDS[letters]
    same = [known for known in _FIELDS if known[0] == letters[0]]
    if same:
        raise ValueError(f"{letters!r} is not supported in a date format; allowed: {listed(same)}")
    hint = f"; did you mean {_SIMILAR[letters[0]]}?" if letters[0] in _SIMILAR else ""
    allowed = listed(dict.fromkeys(known[0] for known in _FIELDS))
    raise ValueError(f"the letter {letters[0]!r} is not supported in a date format; allowed: {allowed}{hint}")


def _check_literal(literal: str, pattern: str) -> None:
    # The JDK reserves these marks; [ and ] enclose optional parts, which strptime does not have.
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

r"""What the cells of a workbook hold, as text: numbers, dates, times, escapes. Pure functions; no file is read here.

    '1.1000000000000001'               ->  '1.1'              the shortest text of the same double
    '12345678901234567890'             ->  all of its digits  no double has them, so they are no noise
    '45000.5', format 'yyyy-mm-dd hh'  ->  2023-03-15 12:00:00
    '45000.5', format '0.00'           ->  '45000.5'

A value that is not text has a mark in front: the contract's notation of dates and decimals is not known here. A mark is
a control character. Text that begins with one gets the mark of texts.
"""

import datetime as dt
import re
from contextlib import suppress
from decimal import Decimal
from enum import StrEnum

# XML can't hold these characters but by an escape, so hardly a text of a cell begins with one.
DATE, MOMENT, TIME, NUMBER, TEXT, FAULT = "\1\2\3\4\5\6"
"""The marks. `FAULT` stands before an error of the workbook, such as `#DIV/0!`."""
MARKS = frozenset({DATE, MOMENT, TIME, NUMBER, TEXT, FAULT})

# Three digits of exponent are enough for every double. `1e999999999`, written out, would be a text of a gigabyte.
_STORED = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_CERTAIN_DIGITS = 15
"""So many digits every double keeps."""
_DIGITS_OF_DOUBLES = (16, 17)
"""So many are written by programs that write all that a double has; the last ones are its noise."""
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)?(?:(?(day)[T ])(?P<time>\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,20}))?)?", re.ASCII
)
_DURATION = re.compile(
    r"P(?:(?P<d>\d{1,9})D)?(?:T(?:(?P<h>\d{1,9})H)?(?:(?P<m>\d{1,9})M)?(?:(?P<s>\d{1,9})(?:[.,](?P<f>\d{1,20}))?S)?)?",
    re.ASCII,
)
_SURROGATES = range(0xD800, 0xE000)
_MS_A_DAY = 86_400_000
_LAST_DAY = dt.date(9999, 12, 31)
_DAYS = 10_000_000
"""More than there are up to the year 9999; a double may be too large for any count of milliseconds."""
_LEAP_DAY = 60
"""The serial of 29 February 1900, a day that never was: later serials are one too large."""


class Shown(StrEnum):
    """What a number format shows of a number: a number, or a date or time that the number counts the days of."""

    NUMBER = "number"
    DATE = "date"
    MOMENT = "moment"
    TIME = "time"
    ELAPSED = "elapsed"
    BY_VALUE = "by value"


_BUILTIN: dict[int, Shown] = (
    dict.fromkeys(range(14, 18), Shown.DATE)
    | dict.fromkeys((*range(18, 22), 45, 47), Shown.TIME)
    | {22: Shown.MOMENT, 46: Shown.ELAPSED}
    # In these the language of whoever wrote the file decides whether a date or a time is shown.
    | dict.fromkeys((*range(27, 37), *range(50, 59), *range(71, 82)), Shown.BY_VALUE)
)
# What a format shows as it stands: words in quotes, escaped and padding characters, colours, languages, exponents.
# `[Red]"day" d\d` -> ` d`. The brackets of `[h]` stay, since they count hours.
_LITERAL = re.compile(r'"[^"]*"?|\\.|[_*].|\[(?![hms]+\])[^\]]*\]|[eE][+-]|AM/PM|A/P', re.IGNORECASE | re.DOTALL)
_ELAPSED = re.compile(r"\[[hms]+\]", re.IGNORECASE)


def shown_by(number: int, code: str | None) -> Shown:
    """What a number format shows.

    Args:
        number: of the format; those below 164 are the same in all workbooks, unless they have a code.
        code: the format's own, such as `dd/mm/yyyy`; None if it has none.
    """
    if code is None:
        return _BUILTIN.get(number, Shown.NUMBER)
    # A semicolon in quotes ends no section, so where there are quotes their words go first.
    # The first section is that of the positive numbers, and dates are such.
    letters = _LITERAL.sub("", code.split(";")[0] if '"' not in code else _LITERAL.sub("", code).split(";")[0])
    if _ELAPSED.search(letters):
        return Shown.ELAPSED
    found = {letter for letter in letters.casefold() if letter in "ymdhs"}
    has_time = bool(found & {"h", "s"})
    # Beside hours or seconds, m is minutes, unless there is a day or a year too.
    has_date = bool(found & {"y", "d"}) or found == {"m"}
    if has_date:
        return Shown.MOMENT if has_time else Shown.DATE
    return Shown.TIME if has_time else Shown.NUMBER


def number_text(stored: str) -> str:
    """The digits of a number that a file stores, without exponent.

    Raises:
        ValueError: it is no number.
    """
    # Most numbers are such, and are spared the decimals.
    if len(stored) <= _CERTAIN_DIGITS and stored.isascii() and stored.isdigit() and stored[0] != "0":
        return stored
    if not _STORED.fullmatch(stored):
        raise ValueError("what a number cell holds is no number")
    exact = Decimal(stored)
    digits = len(exact.as_tuple().digits)
    # 17 digits stand for a double only if that double, written with as many, has the same ones. If not, some program
    # wrote a number of its own that long, an article number, say: then each digit counts.
    if digits in _DIGITS_OF_DOUBLES:
        double = float(stored)
        if Decimal(f"{double:.{digits}g}") == exact:
            exact = Decimal(repr(double))
    text = f"{exact:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if exact == 0 else text


def serial_text(stored: str, shown: Shown, from_1904: bool) -> str:
    """The marked text of a number that is shown as a date or time; of one that is none, what it is instead.

    Times are to the millisecond: a double holds no more of the days of this century, and none is shown.

    Args:
        stored: the number of days.
        shown: what its format shows.
        from_1904: whether days are counted from 1904, else from 1900.

    Raises:
        ValueError: it is no number.
    """
    number = number_text(stored)
    if number.startswith("-"):
        return NUMBER + number
    if float(stored) > _DAYS:
        return NUMBER + number
    days, rest = divmod(round(float(stored) * _MS_A_DAY), _MS_A_DAY)
    time = _time(rest)
    # No type of a column has times of a day and more, so this is text: no mark stands before it.
    if shown is Shown.ELAPSED and days:
        return f"{days * 24 + rest // 3_600_000}{time[2:]}"
    # Day 0 is the first of 1904, but none of 1900.
    if (shown in (Shown.TIME, Shown.ELAPSED) and not days) or (not from_1904 and not days and rest):
        return TIME + time
    day = _day(days, from_1904)
    if day is None:
        return NUMBER + number
    whole_day = shown is Shown.DATE or (shown is Shown.BY_VALUE and not rest)
    mark, text = (DATE, day) if whole_day and not rest else (MOMENT, f"{day} {time}")
    # With a mark, these would be cast to dates, and a day that never was becomes NULL: a value would be gone without a
    # word. As text it breaks the type.
    return text if days in (0, _LEAP_DAY) and not from_1904 else mark + text


def _time(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:03}" if fraction else text


def _day(days: int, from_1904: bool) -> str | None:
    """ISO text of a day, also of the two that never were; None for one after the year 9999."""
    if not from_1904 and days in (0, _LEAP_DAY):
        return "1900-02-29" if days else "1900-01-00"
    # Serial 61 is 1 March 1900, the 60th day of that year: from there on, the day that never was is taken off.
    first = dt.date(1904, 1, 1) if from_1904 else dt.date(1899, 12, 31 if days < _LEAP_DAY else 30)
    return (first + dt.timedelta(days)).isoformat() if days <= (_LAST_DAY - first).days else None


def iso_text(stored: str) -> str:
    """The marked text of a date or time that is stored as ISO 8601, to the millisecond; as it stands if it is none."""
    # One with a zone is none of these: as text it is read by the format that the contract declares.
    found = _ISO.fullmatch(stored)
    if not found or not (found["day"] or found["time"]):
        return marked_text(stored)
    # With a mark a day that never was would become NULL, and a value be gone without a word.
    with suppress(ValueError, OverflowError):
        mark = (MOMENT if found["time"] else DATE) if found["day"] else TIME
        moment = dt.datetime.fromisoformat(f"{found['day'] or '2000-01-01'} {found['time'] or '00:00:00'}")
        later = moment + dt.timedelta(milliseconds=round(Decimal(f"0.{found['fraction'] or 0}") * 1000))
        # The last moments of a day are those of the next one, but a time has none.
        if mark != TIME or later.date() == moment.date():
            day, time = (
                later.date().isoformat(),
                later.time().isoformat("milliseconds" if later.microsecond else "auto"),
            )
            return mark + {DATE: day, TIME: time, MOMENT: f"{day} {time}"}[mark]
    return marked_text(stored)


def duration_text(stored: str) -> str:
    """The marked text of a time that is stored as an ISO 8601 duration; as it stands if it is none, or negative.

    `PT12H30M00S` is a time of day. One of a day and more is text without a mark, such as `36:00:00`.
    """
    found = _DURATION.fullmatch(stored)
    if not found or not any(found.groups()):
        return marked_text(stored)
    days, hours, minutes, seconds = (int(found[name] or 0) for name in ("d", "h", "m", "s"))
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    days, rest = divmod(whole * 1000 + round(Decimal(f"0.{found['f'] or 0}") * 1000), _MS_A_DAY)
    time = _time(rest)
    return f"{days * 24 + rest // 3_600_000}{time[2:]}" if days else TIME + time


def marked_text(text: str) -> str:
    """A text, marked if it could be taken for another value."""
    return TEXT + text if text[:1] in MARKS and text else text


def plain(value: str) -> str:
    """A value without its mark."""
    return value[1:] if value[:1] in MARKS and value else value


def unescaped(text: str) -> str:
    r"""A text with the characters that XML can't hold: `_x000D_` is a carriage return."""
    return _ESCAPE.sub(_character, text) if "_x" in text else text


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    # Half a surrogate pair is no character: it could not be written as UTF-8.
    return match[0] if code in _SURROGATES else chr(code)

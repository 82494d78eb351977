r"""The moment that a file's name tells, by the named groups of a feed's pattern: year, month, day, hour, offset.

    sales_2024-02-01.csv      (?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})    1 February 2024
    Umsatz März 24.csv        (?P<month>\w+) (?P<year>\d{2})                     1 March 2024

Belongs here: what a group's text means. Which batch a moment falls into is decided in `batches`.
"""

import datetime as dt
import re
import unicodedata

GROUPS = ("year", "month", "day", "hour")
OFFSET = "offset"
CENTURY = 2000
"""That of years of two digits: no feed begins before it."""
_MONTHS = """
    january jan januar janvier janv enero ene gennaio gen januari
    february feb februar fevrier fevr fev febrero febbraio februari
    march mar marz maerz mrz mars marzo maart mrt
    april apr avril avr abril abr aprile
    may mai mayo maggio mag mei
    june jun juni juin junio giugno giu
    july jul juli juillet juil julio luglio lug
    august aug aout agosto ago augustus
    september sep sept septembre septiembre settembre set
    october oct oktober okt octobre octubre ottobre ott
    november nov novembre noviembre
    december dec dezember dez decembre diciembre dic dicembre
"""
MONTHS = {word: number for number, line in enumerate(_MONTHS.strip().splitlines(), 1) for word in line.split()}
"""Number of a month by its names in English, German, French, Spanish, Italian and Dutch, without accents."""


def start_of(found: re.Match[str] | None, by_year: bool = False) -> dt.datetime:
    """The moment from the date groups of a match.

    Args:
        found: the match.
        by_year: whether the year alone is enough.

    Raises:
        KeyError: there is no match, or its expression lacks a group.
        TypeError: a group took no part in the match.
        ValueError: there is no such moment, or no month of that name.
    """
    # A group that took no part is None, which int refuses: without its hour, a name would mean midnight.
    texts = {group: found[group] for group in GROUPS if group in found.re.groupindex} if found else {}
    month = _month(texts["month"]) if "month" in texts or not by_year else 1
    return dt.datetime(_year(texts["year"]), month, int(texts.get("day", "1")), int(texts.get("hour", "0")))  # noqa: DTZ001 - local


def _year(text: str) -> int:
    return int(text) + (CENTURY if len(text) == len("24") else 0)


def _month(text: str) -> int:
    if text.isdecimal():
        return int(text)
    plain = "".join(letter for letter in unicodedata.normalize("NFD", text.casefold()) if letter.isalpha())
    if plain not in MONTHS:
        raise ValueError(f"{text!r} is no month")
    return MONTHS[plain]


def moment_of(found: re.Match[str] | None) -> dt.datetime | None:
    """The moment from the date groups of a match, if it has an offset.

    Raises:
        KeyError, TypeError, ValueError: as `start_of`, or there is no such offset.
    """
    if not found or OFFSET not in found.re.groupindex or found[OFFSET] is None:
        return None
    return start_of(found).replace(tzinfo=dt.datetime.strptime(found[OFFSET], "%z").tzinfo)

"""Seeded texts, amounts and moments that samples are made of. No person is real: names are words of a list.

Belongs here: what several generators use. Does not belong here: the form of an export.
"""

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

FIRST_DAY = dt.date(2024, 3, 5)
ARTICLES = (
    "Espresso beans 1 kg",
    "Teapot, blue",
    "Linen towel",
    "Bread knife",
    'Cake tin 26"',
    "Olive oil 0.5 l",
    "Candle set",
    "Wool blanket",
    "Paper lamp",
    "Salt mill",
    "Apron, striped",
    "Cutting board",
)
GIVEN, FAMILY = ("Avo", "Bex", "Cai", "Dov", "Eno", "Fay"), ("Ambertree", "Brookfield", "Copperhill", "Dunmoor")
CITIES = ("Lakeview", "Northport", "Eastham", "Riverton")
STREETS = ("Mill Lane", "High Street", "Station Road", "Elm Court")


@dataclass(frozen=True, slots=True)
class Sample:
    """A file: its name, its bytes, and the day that its name tells; None if it tells none."""

    name: str
    content: bytes
    day: dt.date | None = FIRST_DAY


def delimited(records: Iterable[Sequence[object]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    """Records as a delimited file with CRLF, as most exports have it."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(records)
    return text.getvalue().encode(encoding)


def amount(random: Random, low: int = 100, high: int = 19_999) -> Decimal:
    """An amount of money with two decimals, between limits in cents."""
    return Decimal(random.randint(low, high)).scaleb(-2)


def comma(value: Decimal, thousands: str = "") -> str:
    """A number with a decimal comma."""
    return f"{value:,}".translate({ord("."): ",", ord(","): thousands})


def moment(random: Random, day: dt.date = FIRST_DAY) -> dt.datetime:
    """A time of a day at which shops are open, without a zone."""
    return dt.datetime.combine(day, dt.time(random.randint(8, 19), random.randint(0, 59), random.randint(0, 59)))


def person(random: Random) -> str:
    """The name of nobody."""
    return f"{random.choice(GIVEN)} {random.choice(FAMILY)}"


def mail(random: Random) -> str:
    """A mail address that can't exist: the domain is reserved for examples."""
    return f"{random.choice(GIVEN)}.{random.choice(FAMILY)}{random.randint(1, 99)}@example.org".lower()


def street(random: Random) -> str:
    """A street with a number."""
    return f"{random.randint(1, 199)} {random.choice(STREETS)}"


def token(random: Random, length: int, prefix: str = "") -> str:
    """An identifier of letters and digits, with a letter at its beginning."""
    letters = "abcdefghijkmnpqrstuvwxyz"
    return prefix + random.choice(letters) + "".join(random.choices(letters + "23456789", k=length - 1))


def maybe(random: Random, value: object, share: float = 0.7) -> object:
    """The value, or nothing."""
    return value if random.random() < share else ""

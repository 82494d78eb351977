"""Guesses at columns: their names, and which are about people; and batches from file names. Pure functions."""

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from orchestration_project.contracts.columns import is_about_people

LONGEST = 60  # a contract allows 63 characters: the rest is room for `_2`
# Without separators any eight digits could be a date, so the year is limited.
DATES = (
    (r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>\d{4})_(?P<month>\d{2})_(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>\d{4})\.(?P<month>\d{2})\.(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<day>\d{2})[-_.](?P<month>\d{2})[-_.](?P<year>\d{4})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>\d{4})[-_](?P<month>\d{2})(?!\d)", "monthly"),
    (r"(?<!\d)(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?!\d)", "monthly"),
)

# `a.b@shop.org`; `+49 30 123456`, `(030) 123-456`; `10.0.0.1`. Few numbers of orders begin so.
MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
PHONE = re.compile(r"(\+|00|\()\d[\d ()/.-]{6,}")
IP_ADDRESS = re.compile(r"(\d{1,3}\.){3}\d{1,3}")
PERSONAL_FORMS = {"mail addresses": MAIL, "phone numbers": PHONE, "IP addresses": IP_ADDRESS}
PARTY = re.compile(r"(bill|ship|deliver|recipient|buyer|sender|rechnungs?|liefer)[a-z]*_")
AT_AN_ADDRESS = re.compile(
    r"_(name|company|firma|street|address|addr|line|house|zip|postal|postcode|city|town|ort|phone)"
)
"""`shipping_city` is a part of somebody's address, `city` may be that of a shop."""
OF_A_THING = re.compile(
    r"(^|_)(line_?item|lineitem|discount|coupon|tax|payment|method|device|register|location|warehouse|variant|option"
    r"|service|marketplace|price|point|plan|shelf|unit|collection|gateway|file|event|tender|report|terminal)(_|$)"
)
STAFF = re.compile(
    r"(^|_)(cashier|staff|salesperson|seller_name|kassierer|kassiererin|verkaeufer|mitarbeiter)(_|$)"
    r"|^(created|sold|served|updated|cancelled|paid|assigned|signed|approved)_(by|to)$"
)
PERSONAL_SHARE = 0.5
"""Share of a column's values that have to look like it."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How file names tell their batch, and the earliest day of the samples; `pattern` is None if they tell none."""

    pattern: str | None
    cadence: str
    first: dt.date


def column_names(headers: Sequence[str]) -> list[str]:
    """A name for each column in small letters, digits and `_`, as a contract allows them, each used once."""
    taken: set[str] = {"rowid"}  # every DuckDB table has a hidden column of that name
    names = []
    for number, header in enumerate(headers, start=1):
        name = _snake(header) or f"column_{number}"
        name = free = name if name[0].isalpha() else f"c_{name}"
        further = 2
        while free in taken:
            free, further = f"{name}_{further}", further + 1
        taken.add(free)
        names.append(free)
    return names


def _snake(header: str) -> str:
    # `orderID` and `Order ID` become order_id, `HTTPCode` http_code, `Menü` menu; nothing is left of `商品`.
    plain = unicodedata.normalize("NFKD", header).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    return re.sub(r"[^a-z0-9]+", "_", parted.casefold()).strip("_")[:LONGEST].rstrip("_")


def naming_of(names: Sequence[str], modified: Sequence[dt.datetime]) -> Naming:
    """How the names of sample files tell their batch: the first form of a date that all of them have.

    Args:
        names: of the files.
        modified: when each of them was last modified.
    """
    # All names, since a number that looks like a date stands in one of them by chance.
    for pattern, cadence in DATES:
        days = [_day(pattern, name) for name in names]
        found = [day for day in days if day is not None]
        if found and len(found) == len(days):
            return Naming(pattern, cadence, min(found))
    return Naming(None, "daily", min(moment.date() for moment in modified))


def _day(pattern: str, name: str) -> dt.date | None:
    found = re.search(pattern, name)
    if found is None:
        return None
    try:
        return dt.date(int(found["year"]), int(found["month"]), int(found.groupdict().get("day") or 1))
    except ValueError:
        return None


def personal_because(name: str, values: Sequence[str]) -> str | None:
    """Why a column is likely to be about people; None if nothing indicates it.

    Args:
        name: the column's name, in snake case.
        values: some of its values.
    """
    party = PARTY.search(name) is not None and AT_AN_ADDRESS.search(name) is not None
    # `lineitem_name` is the name of a thing, `lineitem_email` is not.
    thing = OF_A_THING.search(name) is not None and name.endswith("name") and not party
    if (is_about_people(name) and not thing) or party or STAFF.search(name):
        return "its name"
    for what, form in PERSONAL_FORMS.items():
        if values and sum(form.fullmatch(value.strip()) is not None for value in values) >= PERSONAL_SHARE * len(
            values
        ):
            return f"values that look like {what}"
    return None

"""Columns that are likely to be about people: told by their names, and by what values look like. Pure functions."""

import re
from collections.abc import Sequence

WORDS = frozenset(
    "mail email phone telephone tel mobile cell fax birth birthday birthdate dob ssn iban bic passport"
    " address addr street zip zipcode postal postcode postleitzahl plz strasse telefon geburtsdatum kunde kundennr"
    " surname firstname lastname fullname vorname nachname username login ip customer client household member person"
    " patient employee contact recipient cardholder".split()
)
THINGS = frozenset(
    "product item article store shop branch category brand company file column country city region state channel sheet"
    " table event department vendor supplier campaign store".split()
)
"""What else has a name, but is no person."""
MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
PHONE = re.compile(r"(\+|00|\()\d[\d ()/.-]{6,}")
ADDRESS_OF_A_MACHINE = re.compile(r"(\d{1,3}\.){3}\d{1,3}")
LOOKS = {"mail addresses": MAIL, "phone numbers": PHONE, "IP addresses": ADDRESS_OF_A_MACHINE}
SHARE = 0.5


def personal_because(name: str, values: Sequence[str]) -> str | None:
    """Why a column is likely to be about people; None if nothing tells so.

    Args:
        name: the column's, in snake case.
        values: some of its values.
    """
    words = name.split("_")
    if WORDS & set(words):
        return "its name"
    if "name" in words and not THINGS & set(words) and words != ["name"]:
        return "its name"
    for what, form in LOOKS.items():
        if values and sum(form.fullmatch(value.strip()) is not None for value in values) >= SHARE * len(values):
            return f"values that look like {what}"
    return None

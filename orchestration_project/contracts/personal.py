"""Which columns are likely to be about people, by their names alone; a contract that classifies them knows better."""

import re

PERSONAL_WORDS = frozenset(
    "mail email phone telephone tel mobile cell fax birth birthday birthdate dob ssn iban bic passport"
    " address addr street zip zipcode postal postcode postleitzahl plz strasse telefon geburtsdatum kunde kundennr"
    " surname firstname lastname fullname vorname nachname username login ip customer client household member person"
    " patient employee contact recipient cardholder".split()
)
THING_WORDS = frozenset(
    "product item article store shop branch category brand company file column country city region state channel sheet"
    " table event department vendor supplier campaign store".split()
)
"""What has a name, but is no person."""
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def is_about_people(name: str) -> bool:
    """Whether a column's name says that it is about people: `customer_email`, `CustomerEmail`, `name of buyer`."""
    words = [word.lower() for word in WORD.findall(name)]
    has_name = "name" in words and not THING_WORDS & {*words} and words != ["name"]
    return has_name or bool(PERSONAL_WORDS & {*words})

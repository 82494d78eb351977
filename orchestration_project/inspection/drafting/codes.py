"""Digits that are no numbers: codes, ids and days, as names of columns and forms of values tell. Pure functions."""

import re
from collections.abc import Collection, Iterable

IS_ID = re.compile(r"(^|_)(id|no|nr|number|num|key|code|sku|upc|ean)($|_)|(id|nr|nummer)$")
IS_DAY = re.compile(r"(^|_)(date|day|datum|tag|dt)($|_)|(date|datum|_on|_at)$")
IS_CODE = re.compile(
    r"(^|_)(zip|zipcode|postal|postcode|postal_?code|plz|postleitzahl|cap|cep|sku|upc|ean|gtin|isbn|barcode|asin|mpn"
    r"|phone\d?|telephone|tel|telefon|mobile|cell|fax|iban|bic|vat_id|tax_id|ssn|konto|gegenkonto|account_no"
    r"|account_number|bu_schl(u|ue)ssel|suffix|last4|last_4|postnr|kost\d)($|_)|(postcode|zipcode|barcode)$"
)
"""Names of columns with codes: digits that nobody adds up, and that may begin with a zero some day."""


def is_code(values: Collection[str]) -> bool:
    """Whether values are numbers to dial or to scan: `+4930123456`, or all with the check digit of a barcode."""
    return any(re.fullmatch(r"\+\d{7,}", value) for value in values) or all(map(_has_check_digit, values))


def _has_check_digit(value: str) -> bool:
    if len(value) not in (8, 12, 13, 14) or not (value.isascii() and value.isdigit()):
        return False
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(value)))
    return weighted % 10 == 0


def without_year(values: Iterable[str]) -> bool:
    """Whether values may be a day and a month without a year: `1503`."""
    return all(re.fullmatch(r"\d{3,4}", value) for value in values)

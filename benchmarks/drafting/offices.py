"""Exports of book-keeping and of spreadsheets.

Belongs here: DATEV, Google Sheets. Does not belong here: the right contracts.
"""

import datetime as dt
from decimal import Decimal
from random import Random

from benchmarks.drafting.values import ARTICLES, CITIES, FIRST_DAY, Sample, amount, comma, delimited, maybe, moment

DATEV = """Umsatz (ohne Soll/Haben-Kz)|Soll/Haben-Kennzeichen|WKZ Umsatz|Kurs|Basis-Umsatz|WKZ Basis-Umsatz|Konto
Gegenkonto (ohne BU-Schlüssel)|BU-Schlüssel|Belegdatum|Belegfeld 1|Belegfeld 2|Skonto|Buchungstext|Postensperre
Diverse Adressnummer|Geschäftspartnerbank|Sachverhalt|Zinssperre|Beleglink"""
MONTH = FIRST_DAY.replace(day=1)


def datev_bookings(random: Random) -> list[Sample]:
    """DATEV's batch of bookings: a line about the file, then the header; cp1252, semicolons, decimal commas.

    The day of a booking is day and month without a year, such as 0503. Texts are in quotes, numbers are not.
    After https://developer.datev.de/datev/platform/de/dtvf/formate/buchungsstapel and
    https://developer.datev.de/portal/de/dtvf/formate/header.
    """
    about = '"EXTF";700;21;"Buchungsstapel";13;20240402081512000;;"RE";"";"";29098;55003;20240101;4;'
    about += '20240301;20240331;"Umsätze März";"";1;0;0;"EUR";;"";;;"03";;;"";""'
    lines = [about, ";".join(DATEV.replace("\n", "|").split("|"))]
    lines += [_booking(random, 8_000 + number) for number in range(260)]
    content = ("\r\n".join(lines) + "\r\n").encode("cp1252")
    return [Sample("EXTF_Buchungsstapel_202403.csv", content, MONTH)]


def _booking(random: Random, number: int) -> str:
    day = moment(random, MONTH + dt.timedelta(days=random.randint(0, 30)))
    text = f'"{random.choice(["Tageslosung", "Erlöse 19 %", "Bürobedarf"])}"'
    key = maybe(random, f'"{random.choice([9, 93, 401]):04}"', 0.4)
    parts = [comma(amount(random)), f'"{random.choice("SH")}"', '"EUR"', "", "", "", random.choice([1000, 1200, 1600])]
    parts += [random.choice([8400, 8300, 4930]), key, f"{day:%d%m}", f'"RE{number}"', '""', "", text]
    return ";".join(map(str, [*parts, "", '""', "", "", "", '""']))


def google_sheet(random: Random) -> list[Sample]:
    """A sheet downloaded from Google Sheets: values as they are shown, errors as words, empty columns at the right.

    Days are month/day/year without zeros in front, amounts have a dollar sign and commas, flags are TRUE and FALSE.
    After https://blog.sheetgo.com/google-sheets-features/google-sheets-data-formats-guide/.
    """
    header = ["Date", "Product", "Region", "Units", "Unit price", "Revenue", "Margin", "Promoted", "Comment", "", ""]
    records: list[list[object]] = []
    for number in range(220):
        day = FIRST_DAY + dt.timedelta(days=number % 40)
        price, units = amount(random, 500, 90_000), random.randint(1, 40)
        margin = "#DIV/0!" if number % 55 == 5 else f"{Decimal(random.randint(50, 450)) / 10}%"
        records.append(
            [
                *[f"{day.month}/{day.day}/{day.year}", random.choice(ARTICLES), random.choice(CITIES)],
                *[units, f"${price:,.2f}", "#N/A" if number % 37 == 3 else f"${price * units:,.2f}", margin],
                *[random.choice(["TRUE", "FALSE"]), maybe(random, "checked", 0.3), "", ""],
            ]
        )
    blank = [[""] * len(header)] * 5
    return [Sample("Sales 2024-03-05 - Sheet1.csv", delimited([header, *records, *blank]))]


PRICES = (
    "Art.-Nr.",
    "EAN",
    "Bezeichnung",
    "Warengruppe",
    "EK netto",
    "UVP brutto",
    "MwSt",
    "VE",
    "Bestand",
    "Gültig ab",
)


def price_list(random: Random) -> list[Sample]:
    """A supplier's price list: two lines above the header, decimal commas, a missing stock as a dash, cp1252."""
    records: list[list[object]] = []
    for number in range(320):
        price = amount(random, 90, 40_000)
        line: list[object] = [f"{70_000 + number * 7}-{number % 9}", 4_000_000_000_000 + random.randint(0, 10**11)]
        line += [f"{random.choice(ARTICLES)} Größe {number}", random.choice(["Küche", "Haus"]), comma(price)]
        line += [comma(price * 2), random.choice(["19%", "7%"]), random.choice([1, 6, 12])]
        records.append([*line, "-" if number % 9 == 0 else random.randint(0, 4000), "01.04.2024"])
    head = "Preisliste Frühjahr\r\nAlle Preise in EUR;;;;;;;;;\r\n".encode("cp1252")
    content = head + delimited([PRICES, *records], ";", "cp1252")
    return [Sample("Preisliste.csv", content, None)]

"""Exports of tills and of card readers, in the forms that their documentation describes.

Belongs here: Square, Lightspeed, SumUp, and a German till of no maker's name. Does not belong here: right contracts.
"""

import datetime as dt
from decimal import Decimal
from random import Random

from benchmarks.drafting.values import (
    ARTICLES,
    FIRST_DAY,
    Sample,
    amount,
    comma,
    delimited,
    mail,
    maybe,
    moment,
    person,
    token,
)

SQUARE = (
    "Date,Time,Time Zone,Category,Item,Qty,Price Point Name,SKU,Modifiers Applied,Gross Sales,Discounts,Net Sales,Tax,"
    "Transaction ID,Payment ID,Device Name,Notes,Details,Event Type,Location,Dining Option,Customer ID,Customer Name,"
    "Customer Reference ID,Unit,Count,Itemization Type,Commission,Employee,Channel,PAN Suffix"
)


def square_items(random: Random) -> list[Sample]:
    """Square's items detail: amounts with a dollar sign, the sign of a refund before it, quantities such as 1.0.

    After https://squareup.com/help/us/en/article/5530 and https://skills.sh/openaccountant/skills/square-import.
    """
    records = [record for _ in range(110) for record in _square_sale(random)]
    return [Sample("items-2024-03-05.csv", delimited([SQUARE.split(","), *records]))]


def _square_sale(random: Random) -> list[list[object]]:
    at, sale, payment = moment(random), token(random, 22), token(random, 22)
    refund = random.random() < 0.06
    customer: list[object] = [token(random, 26).upper(), person(random)] if random.random() < 0.4 else ["", ""]
    device, employee, suffix = (
        random.choice(["Counter 1", "Counter 2"]),
        person(random),
        f"{random.randint(0, 9999):04}",
    )
    return [
        [
            *[at.date(), at.time(), "Eastern Time (US & Canada)", maybe(random, "Kitchen"), random.choice(ARTICLES)],
            *[f"{random.randint(1, 4)}.0", "Regular", f"{random.randint(1, 60):05}", maybe(random, "Gift wrap", 0.1)],
            *_square_amounts(random, refund),
            *[sale, payment, device, maybe(random, "no bag", 0.1), f"https://example.org/sales/{sale}"],
            *["Refund" if refund else "Payment", "Main Street", maybe(random, "To Go", 0.3), *customer, ""],
            *["ea", random.randint(1, 4), "Physical Good", "", employee, "Point of Sale", suffix],
        ]
        for _ in range(random.randint(1, 4))
    ]


def _square_amounts(random: Random, refund: bool) -> list[str]:
    gross, sign = amount(random, 100, 180_000), "-" if refund else ""
    discount = amount(random, 0, 90) if random.random() < 0.2 else Decimal("0.00")
    tax = (gross * 8 / 100).quantize(Decimal("0.01"))
    return [
        f"{sign}${gross:,.2f}",
        f"{'' if refund or not discount else '-'}${discount:,.2f}",
        f"{sign}${gross - discount:,.2f}",
        f"{sign}${tax:,.2f}",
    ]


LIGHTSPEED = (
    "ID,Type,Creation Date,Finalized Date,Account,Created By,Paid To,Device,Item SKU,Item,Quantity,Unit Price,Discount,"
    "Amount,Tax,Payment Method,Reference,Covers"
)


def lightspeed_transactions(random: Random) -> list[Sample]:
    """Lightspeed's transactions: times as day/month/year without seconds, voids with negative amounts.

    After https://k-series-support.lightspeedhq.com/hc/en-us/articles/4403189403675.
    """
    records: list[list[object]] = []
    for number in range(1, 281):
        at = moment(random, FIRST_DAY + dt.timedelta(days=10 + number // 20))
        sold, pieces = amount(random), random.randint(1, 4)
        void = random.random() < 0.05
        records.append(
            [
                *[f"A{77_000 + number // 2}.{number % 2}", "VOID" if void else "SALE", f"{at:%d/%m/%Y %H:%M}"],
                *[f"{at:%d/%m/%Y %H:%M}" if not void else "", f"Table {number % 14}", person(random)],
                *[person(random), f"Till {number % 3}", f"{random.randint(1, 40):04}", random.choice(ARTICLES), pieces],
                *[sold, "0.00", sold * pieces * (-1 if void else 1), amount(random, 10, 90)],
                *["" if void else random.choice(["Cash", "Visa"]), maybe(random, token(random, 8), 0.3)],
                *[random.randint(1, 6)],
            ]
        )
    return [Sample("transactions_2024-03.csv", delimited([LIGHTSPEED.split(","), *records]), FIRST_DAY.replace(day=1))]


SUMUP = """E-Mail|Datum|Transaktions-ID|Transaktionstyp|Status|Kartentyp|Letzte 4 Ziffern|Verarbeitet als
Zahlungsmethode|Eingabemethode|Autorisierungscode|Beschreibung|Betrag inkl. MwSt.|Trinkgeldbetrag|Gebühr|Auszahlung
Auszahlungsdatum|Auszahlungs-ID|Referenz"""


def sumup_transactions(random: Random) -> list[Sample]:
    """SumUp's transactions as its German dashboard writes them: decimal point, authorisation codes with zeros in front.

    After https://github.com/ursjoss/lola-sumup and https://www.banana.ch/apps/doc/en/node/9811.
    """
    records: list[list[object]] = []
    staff = mail(random)
    for _ in range(240):
        at, paid, card = moment(random), amount(random), random.random() < 0.7
        fee = (paid * Decimal("0.0139")).quantize(Decimal("0.01"))
        kind: list[object] = [random.choice(["Visa", "Mastercard"]), f"{random.randint(0, 9999):04}"]
        records.append(
            [
                *[staff, f"{at:%d.%m.%Y, %H:%M}", token(random, 10, "T").upper(), "Verkauf", "Erfolgreich"],
                *[*(kind if card else ["", ""]), "Kredit" if card else "", "Karte" if card else "Bar"],
                *["Kontaktlos" if card else "", f"{random.randint(0, 999999):06}" if card else ""],
                *[maybe(random, random.choice(ARTICLES)), paid, "0.00", fee if card else "0.00"],
                *[paid - fee if card else "0.00", f"{at + dt.timedelta(days=2):%d.%m.%Y}" if card else ""],
                *[random.randint(10**7, 10**8) if card else "", ""],
            ]
        )
    header = SUMUP.replace("\n", "|").split("|")
    return [Sample("umsaetze-2024-03-05.csv", delimited([header, *records]))]


NARROW = "\u202f"
TILL = ("BonNr", "Datum", "Uhrzeit", "Artikelnr", "Bezeichnung", "Menge", "Betrag", "Kassierer")


def till_with_totals(random: Random) -> list[Sample]:
    """A till's days as it writes them in German: preamble, decimal commas, cp1252, and a line of totals at the end."""
    return [
        _till_day(random, FIRST_DAY + dt.timedelta(days=number), f"kasse_{FIRST_DAY + dt.timedelta(days=number)}.csv")
        for number in range(2)
    ]


FRENCH = ("N° ticket", "Date", "Heure", "Code article", "Libellé", "Qté", "Prix unitaire", "Montant TTC", "Vendeur")


def french_till(random: Random) -> list[Sample]:
    """A till's month in French: amounts with a euro sign and narrow no-break spaces, a line of totals at the end."""
    records: list[list[object]] = []
    pieces, total = 0, Decimal(0)
    for number in range(210):
        at = moment(random, FIRST_DAY + dt.timedelta(days=number % 24))
        count, price = random.randint(1, 3), amount(random, 100, 150_000)
        pieces, total = pieces + count, total + count * price
        line: list[object] = [f"T{9_000 + number // 2}", f"{at:%d/%m/%Y}", f"{at:%Hh%M}", f"{random.randint(1, 40):04}"]
        line += ["Thé glacé", count, f"{comma(price, NARROW)}\u00a0€", f"{comma(count * price, NARROW)}\u00a0€"]
        records.append([*line, person(random)])
    end = ["Total général", "", "", "", "", pieces, "", f"{comma(total, NARROW)}\u00a0€", ""]
    content = b"\xef\xbb\xbf" + delimited([FRENCH, *records, end], ";")
    return [Sample("ventes_2024-03.csv", content, FIRST_DAY.replace(day=1))]


def two_stores(random: Random) -> list[Sample]:
    """Two stores that each count their receipts from 1; only the names of the files tell them apart."""
    return [_till_day(random, FIRST_DAY, f"store{store}_{FIRST_DAY}.csv", footer=False) for store in (13, 14)]


def _till_day(random: Random, day: dt.date, name: str, footer: bool = True) -> Sample:
    records: list[list[object]] = []
    pieces, total = 0, Decimal(0)
    for number in range(1, 181):
        count, paid = random.randint(1, 3), amount(random, 100, 250_000)
        pieces, total = pieces + count, total + paid
        article = f"{ARTICLES.index(random.choice(ARTICLES)) + 40:05}"
        at = moment(random, day)
        records.append(
            [number, f"{at:%d.%m.%Y}", f"{at:%H:%M}", article, "Käsekuchen", count, comma(paid, "."), "Kasse 1"]
        )
    end = [["Gesamt", "", "", "", "", pieces, comma(total, "."), ""]] if footer else []
    head = f"Tagesjournal vom {day:%d.%m.%Y}\r\n\r\n".encode("cp1252")
    return Sample(name, head + delimited([TILL, *records, *end], ";", "cp1252"), day)

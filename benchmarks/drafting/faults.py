"""Samples with one fault or one doubt each, of those that real exports have.

Belongs here: what drafts were found to be wrong about, and what no sample can tell. Does not belong here: the forms of
known programs.
"""

import datetime as dt
from random import Random

from benchmarks.drafting.values import ARTICLES, FIRST_DAY, Sample, amount, comma, delimited, maybe, moment, token

ROWS = 240
SETTLED = ["Receipt", "Article", "Units", "Amount"]


def ragged_records(random: Random) -> list[Sample]:
    """A program that does not quote: an article with a comma in it makes a record of one field too many."""
    names = [name for name in ARTICLES if "," not in name and '"' not in name]
    lines = ["receipt_no,article,units,amount"]
    for number in range(1, ROWS + 1):
        name = "Teapot, blue" if number % 30 == 7 else random.choice(names)
        lines.append(f"{number},{name},{random.randint(1, 5)},{amount(random)}")
    return [Sample("ragged_2024-03-05.csv", ("\n".join(lines) + "\n").encode())]


def leading_zeros(random: Random) -> list[Sample]:
    """Codes of digits: some with a zero in front in the samples, some only by their names likely to get one.

    `drawer` has codes such as 012.3: as a number it would lose the zero.
    """
    header = ["order_id", "sku", "ean", "postal_code", "phone", "drawer", "plu"]
    records = [
        [
            f"R{number:05}",
            random.randint(10_000, 99_999),
            f"{random.randint(4 * 10**12, 5 * 10**12)}",
            random.randint(10_000, 99_999),
            f"49{random.randint(10**8, 10**9)}",
            f"{random.randint(1, 99):03}.{random.randint(0, 9)}",
            f"{random.randint(1, 99):04}" if number > ROWS - 4 else random.randint(1_000, 9_999),
        ]
        for number in range(1, ROWS + 1)
    ]
    return [Sample("codes_2024-03-05.csv", delimited([header, *records]))]


def flags(random: Random) -> list[Sample]:
    """Two values in a column: some are truth values, some are codes of which there are only two so far.

    Nearly all values of `shelf` are 0, which some readers take for false: then the shelf `a` is none.
    """
    pairs = {"is_gift": "yes no", "is_paid": "true false", "is_late": "Y N", "size": "S N"}
    pairs |= {"returned": "1 0", "grade": "t x"}
    records = [
        [number, *(random.choice(words.split()) for words in pairs.values()), "a" if number % 40 == 0 else "0"]
        for number in range(1001, 1001 + ROWS)
    ]
    return [Sample("flags_2024-03-05.csv", delimited([["order_id", *pairs, "shelf"], *records]))]


def moments(random: Random) -> list[Sample]:
    """Days and times in the forms that programs write: with Z, with an offset, with two digits of a year, in words."""
    forms = {
        "created_at": "%Y-%m-%dT%H:%M:%SZ",
        "paid_at": "%Y-%m-%dT%H:%M:%S+01:00",
        "shipped_at": "%Y-%m-%d %H:%M:%S.000",
        "booked_on": "%d-%m-%y",
        "valued_on": "%d-%b-%Y",
        "printed_on": "%d %B %Y",
        "due_on": "%b %d, %Y",
        "sold_on": "%Y%m%d",
    }
    records = []
    for number in range(1, ROWS + 1):
        at = moment(random, FIRST_DAY + dt.timedelta(days=number % 90))
        records.append([f"M{number:04}", *(at.strftime(form) for form in forms.values())])
    return [Sample("moments_2024-03-05.csv", delimited([["move_no", *forms], *records]))]


def three_decimals(random: Random) -> list[Sample]:
    """Amounts such as 1.234 and 1,234: thousands, or three decimals? No value of these samples tells."""
    digits = [(random.randint(1, 9), random.randint(100, 999)) for _ in range(ROWS)]
    records = [[f"L{number}", f"{a}.{b}", f"{b % 9 + 1},{a}{b % 89 + 10}"] for number, (a, b) in enumerate(digits)]
    return [Sample("litres_2024-03-05.csv", delimited([["lot_no", "litres", "grams"], *records], ";"))]


def wide_preamble(random: Random) -> list[Sample]:
    """A report whose lines above the header have as many fields as the table: a spreadsheet was saved as CSV."""
    head = [["Sales report", "", "", ""], ["Shop:", "Main Street", "", ""], ["From", "2024-03-01", "to", "2024-03-05"]]
    return [Sample("report_2024-03-05.csv", delimited([*head, [""] * 4, SETTLED, *_lines(random)]))]


def trailing_commas(random: Random) -> list[Sample]:
    """A header that ends with commas, and records that do as well: the program knows of columns without a name."""
    records = [[*line, "", "", "", "", "", ""] for line in _lines(random)]
    return [Sample("commas_2024-03-05.csv", delimited([[*SETTLED, "", "", "", "", "", ""], *records]))]


def year_headers(random: Random) -> list[Sample]:
    """A table with a column for each year: its header is mostly numbers."""
    header = ["Article", *map(str, range(2016, 2025))]
    records = [[f"{name} {size}", *(amount(random) for _ in range(9))] for name in ARTICLES for size in range(20)]
    return [Sample("years_2024-03-05.csv", delimited([header, *records]))]


def _lines(random: Random) -> list[list[object]]:
    return [[f"R-{number}", random.choice(ARTICLES), random.randint(1, 9), amount(random)] for number in range(1, ROWS)]


def null_words(random: Random) -> list[Sample]:
    """Words for "no value" among numbers, days and texts, such as a spreadsheet or a person writes."""
    records = [
        [
            f"N{number:04}",
            "ERROR" if number % 23 == 0 else random.randint(1, 9),
            "UNKNOWN" if number % 19 == 0 else amount(random),
            "N/A" if number % 17 == 0 else FIRST_DAY + dt.timedelta(days=number % 60),
            "-" if number % 13 == 0 else amount(random),
            random.choice(["Cash", "Card", "UNKNOWN"]),
        ]
        for number in range(1, ROWS + 1)
    ]
    header = ["Transaction ID", "Quantity", "Price", "Delivered on", "Discount", "Payment Method"]
    return [Sample("words_2024-03-05.csv", delimited([header, *records]))]


def day_or_month(random: Random) -> list[Sample]:
    """Days of the first twelve of a month only: which of both numbers is the month?"""
    records = [
        [f"B{number:04}", f"{random.randint(1, 12):02}/{random.randint(1, 12):02}/2024", amount(random)]
        for number in range(1, ROWS + 1)
    ]
    return [Sample("unclear_2024-03-05.csv", delimited([["booking_no", "booked", "amount"], *records]))]


def few_records(random: Random) -> list[Sample]:
    """Twelve records: nearly everything is unique in them."""
    records = [[7000 + number, token(random, 6), amount(random)] for number in range(12)]
    return [Sample("few_2024-03-05.csv", delimited([["order_id", "voucher", "amount"], *records]))]


def mac_letters(random: Random) -> list[Sample]:
    """Letters of an old Mac: in cp1252 the same bytes are other letters, and nothing fails."""
    records = [[f"A{number}", "Käse", comma(amount(random))] for number in range(ROWS)]
    content = delimited([["Artikel", "Name", "Preis"], *records], ";", "mac_roman")
    return [Sample("mac_2024-03-05.csv", content)]


def japanese_letters(random: Random) -> list[Sample]:
    """Shift_JIS, whose bytes are letters of cp1252 or of latin-1, too."""
    records = [[f"A{number}", "紅茶 カップ", amount(random), maybe(random, "店舗")] for number in range(ROWS)]
    return [Sample("uriage_2024-03-05.csv", delimited([["code", "name", "price", "store"], *records], ",", "cp932"))]


def one_column(random: Random) -> list[Sample]:
    """A list rather than a table."""
    return [Sample("list_2024-03-05.csv", delimited([["article"], *([random.choice(ARTICLES)] for _ in range(ROWS))]))]


def no_records(_: Random) -> list[Sample]:
    """A header and nothing below it."""
    return [Sample("empty_2024-03-05.csv", delimited([SETTLED]))]


def no_header(random: Random) -> list[Sample]:
    """Records without a header."""
    return [Sample("bare_2024-03-05.csv", delimited(_lines(random)))]

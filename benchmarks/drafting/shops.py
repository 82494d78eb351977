"""Exports of web shops and what pays for them, in the forms that their documentation describes.

Belongs here: Shopify, WooCommerce, Amazon, Stripe. Does not belong here: the right contracts.
"""

import datetime as dt
from decimal import Decimal
from random import Random

from benchmarks.drafting.values import (
    ARTICLES,
    CITIES,
    FIRST_DAY,
    Sample,
    amount,
    delimited,
    mail,
    maybe,
    moment,
    person,
    street,
    token,
)

ORDERS = 120
SHOPIFY = """Name|Email|Financial Status|Paid at|Fulfillment Status|Fulfilled at|Accepts Marketing|Currency|Subtotal
Shipping|Taxes|Total|Discount Code|Discount Amount|Shipping Method|Created at|Lineitem quantity|Lineitem name
Lineitem price|Lineitem compare at price|Lineitem sku|Lineitem requires shipping|Lineitem taxable
Lineitem fulfillment status|Billing Name|Billing Street|Billing Address1|Billing Company|Billing City|Billing Zip
Billing Province|Billing Country|Billing Phone|Notes|Cancelled at|Payment Method|Refunded Amount|Vendor
Id|Tags|Risk Level|Source|Lineitem discount|Tax 1 Name|Tax 1 Value"""


def shopify_orders(random: Random) -> list[Sample]:
    """Shopify's export of orders: a record for each item, and what belongs to the order on its first record only.

    Times have an offset, postal codes an apostrophe in front, flags are true or false; there is no number of a line.
    After https://docs.xbp.app/docs/development/integrations/shopify/order-format and
    https://www.webtoffee.com/shopify-orders-available-columns-for-export-and-import/.
    """
    records = [record for number in range(1001, 1001 + ORDERS) for record in _shopify_order(random, number)]
    return [Sample("orders_export_2024-03-05.csv", delimited([_headers(SHOPIFY), *records]))]


def _headers(text: str) -> list[str]:
    return text.replace("\n", "|").split("|")


def _shopify_order(random: Random, number: int) -> list[list[object]]:
    created, name, road = moment(random), person(random), street(random)
    paid = random.random() < 0.9
    total, tax = amount(random, 2000), amount(random, 100, 900)
    code = maybe(random, "SPRING10", 0.2)
    order: list[object] = ["paid" if paid else "pending", f"{created} +0100" if paid else ""]
    order += ["fulfilled" if paid else "unfulfilled", f"{created + dt.timedelta(days=1)} +0100" if paid else ""]
    order += [random.choice(["yes", "no"]), "EUR", total - tax, "0.00", tax, total, code]
    order += [amount(random, 100, 500) if code else "0.00", "Standard"]
    zip_code = f"'{random.randint(1000, 99999):05}"
    address = [name, road, road, maybe(random, "Harbour Supplies", 0.2), random.choice(CITIES), zip_code, "", "FR"]
    address += [f"+3361082{random.randint(1000, 9999)}"]
    rest: list[object] = [maybe(random, "Leave at the door", 0.1), ""]
    ends: list[object] = [5_900_000_000_000 + number * 32_768, maybe(random, "wholesale", 0.2), "Low", "web"]
    buyer, records = mail(random), []
    for line in range(random.randint(1, 4)):
        first = line == 0
        item = [random.randint(1, 3), random.choice(ARTICLES), amount(random), "", f"SKU-{random.randint(1, 12):03}"]
        flags = ["true", random.choice(["true", "false"]), "fulfilled" if paid else "pending"]
        blank = [""] * len(order)
        records.append(
            [
                *[f"#{number}", buyer, *(order if first else blank), f"{created} +0100", *item, *flags],
                *(address if first else [""] * len(address)),
                *(rest if first else ["", ""]),
                *(["Shopify Payments", "0.00"] if first else ["", ""]),
                *["House of Articles", *(ends if first else [""] * 4), "0.00"],
                *(["VAT 20%", tax] if first else ["", ""]),
            ]
        )
    return records


WOOCOMMERCE = """order_id|order_number|order_date|paid_date|status|shipping_total|shipping_tax_total|fee_total
tax_total|discount_total|order_total|order_currency|payment_method|payment_method_title|transaction_id
customer_ip_address|customer_user_agent|customer_id|customer_email|billing_first_name|billing_last_name
billing_address_1|billing_postcode|billing_city|billing_country|billing_phone|customer_note|line_items"""


def woocommerce_orders(random: Random) -> list[Sample]:
    """WooCommerce's orders, a record for each, its items packed into one field; optional amounts are 0, not empty.

    After https://woocommerce.com/document/import-and-export-of-woocommerce-orders/.
    """
    records = []
    for number in range(4801, 4801 + 2 * ORDERS):
        at = moment(random)
        paid = random.random() < 0.8
        given, _, family = person(random).partition(" ")
        items = "; ".join(f"name:{random.choice(ARTICLES)}|qty:{random.randint(1, 3)}" for _ in range(2))
        records.append(
            [
                *[number, number, at, at + dt.timedelta(minutes=3) if paid else ""],
                *["completed" if paid else "pending", amount(random, 0, 900), "0.95", "0.00", amount(random, 90, 990)],
                *["0.00", amount(random, 2000), "EUR", "stripe", "Credit card"],
                *[token(random, 24, "ch_") if paid else "", f"192.0.2.{random.randint(1, 254)}", "Mozilla/5.0 (X11)"],
                *[random.randint(0, 400), mail(random), given, family, street(random)],
                *[f"{random.randint(1000, 99999):05}", random.choice(CITIES), "DE"],
                *[f"030{random.randint(100000, 999999)}", maybe(random, "Ring twice", 0.2), items],
            ]
        )
    return [Sample("orders-2024-03-05.csv", delimited([_headers(WOOCOMMERCE), *records]))]


AMAZON = """settlement-id|settlement-start-date|settlement-end-date|deposit-date|total-amount|currency
transaction-type|order-id|merchant-order-id|adjustment-id|shipment-id|marketplace-name|amount-type
amount-description|amount|fulfillment-id|posted-date|posted-date-time|order-item-code|merchant-order-item-id
merchant-adjustment-item-id|sku|quantity-purchased"""


def amazon_settlement(random: Random) -> list[Sample]:
    """Amazon's settlement, flat file V2: tab separated; the first record is the sum, all others are its parts.

    After https://developer-docs.amazon.com/sp-api/docs/report-type-values-settlement.
    """
    posted = [part for _ in range(90) for part in _postings(random)]
    total: object = sum(paid for _, paid in posted)
    head: list[object] = ["18204411022", "2024-02-20 07:12:33 UTC", "2024-03-05 07:12:33 UTC"]
    head += ["2024-03-07 07:12:33 UTC", total, "EUR"]
    records: list[list[object]] = [[*head, *[""] * 17], *(record for record, _ in posted)]
    content = delimited([_headers(AMAZON), *records], delimiter="\t")
    return [Sample("18204411022_settlement.txt", content, None)]


def _postings(random: Random) -> list[tuple[list[object], Decimal]]:
    """What is posted for an order: the price, its tax, the commission."""
    refund = random.random() < 0.1
    at = moment(random, FIRST_DAY - dt.timedelta(days=random.randint(1, 13)))
    order = f"{random.randint(100, 999)}-{random.randint(0, 9999999):07}-{random.randint(0, 9999999):07}"
    start: list[object] = ["18204411022", "", "", "", "", "", "Refund" if refund else "Order", order, ""]
    start += [token(random, 8) if refund else "", token(random, 9, "D"), "Amazon.de"]
    end: list[object] = ["AFN", at.date(), f"{at} UTC", random.randint(10**13, 10**14), "", ""]
    end += [f"0{random.randint(1000, 1011)}"]
    found = []
    for kind, what, sign in (("ItemPrice", "Principal", 1), ("ItemPrice", "Tax", 1), ("ItemFees", "Commission", -1)):
        paid = amount(random) * sign * (-1 if refund else 1)
        found.append(([*start, kind, what, paid, *end, random.randint(1, 3) if what == "Principal" else ""], paid))
    return found


STRIPE = """id|Description|Seller Message|Created date (UTC)|Amount|Amount Refunded|Currency|Converted Amount
Converted Amount Refunded|Fee|Taxes On Fee|Converted Currency|Mode|Status|Statement Descriptor|Customer ID
Customer Description|Customer Email|Captured|Card ID|Card Last4|Card Brand|Card Funding|Card Exp Month|Card Exp Year
Card Name|Card Address Zip|Card Issue Country|Card CVC Status|Disputed Amount|Invoice ID|Transfer"""


def stripe_payments(random: Random) -> list[Sample]:
    """Stripe's payments, as its dashboard exports them; the last four digits of a card may begin with 0.

    After https://docs.cello.so/guides/attribution/stripe-reports and
    https://docs.stripe.com/get-started/data-migrations/export-file-formats.
    """
    records = []
    for _ in range(260):
        paid = random.random() < 0.93
        total = amount(random, 500)
        customer = token(random, 14, "cus_")
        records.append(
            [
                *[token(random, 24, "ch_"), maybe(random, "Order 1088"), "Payment complete." if paid else "Declined"],
                *[moment(random), total, "0.00", "eur", total, "0.00", amount(random, 30, 200) if paid else "0.00"],
                *["0.00", "eur", "Live", "Paid" if paid else "Failed", maybe(random, "HOUSE OF ARTICLES")],
                *[customer, maybe(random, "regular", 0.2), mail(random), "true" if paid else "false"],
                *[token(random, 24, "card_"), f"{random.randint(0, 9999):04}", random.choice(["Visa", "MasterCard"])],
                *["credit", random.randint(1, 12), random.randint(2024, 2029), person(random)],
                *[maybe(random, f"{random.randint(1000, 99999):05}"), "DE", "pass", "0.00"],
                *[maybe(random, token(random, 24, "in_"), 0.2), ""],
            ]
        )
    return [Sample("unified_payments_2024-03-05.csv", delimited([_headers(STRIPE), *records]))]


PAYPAL = """Date|Time|TimeZone|Name|Type|Status|Currency|Gross|Fee|Net|From Email Address|To Email Address
Transaction ID|Shipping Address|Address Status|Item Title|Item ID|Shipping and Handling Amount|Sales Tax
Invoice Number|Reference Txn ID|Quantity|Receipt ID|Balance|Contact Phone Number|Subject|Country Code"""


def paypal_activity(random: Random) -> list[Sample]:
    """PayPal's activity: payments and fees, amounts with commas, days as month/day/year, a mark at the beginning.

    After https://developer.paypal.com/reports/reference/changed-fields.
    """
    records: list[list[object]] = []
    balance = Decimal("120.00")
    for _ in range(230):
        at = moment(random, FIRST_DAY + dt.timedelta(days=random.randint(8, 24)))
        gross, refund = amount(random, 500, 220_000), random.random() < 0.08
        gross, fee = (-gross, Decimal("0.00")) if refund else (gross, -(gross / 30).quantize(Decimal("0.01")))
        balance += gross + fee
        line: list[object] = [f"{at:%m/%d/%Y}", at.time(), "PST", person(random)]
        line += ["Payment Refund" if refund else "Express Checkout Payment", "Completed", "USD"]
        line += [f"{gross:,}", f"{fee:,}", f"{gross + fee:,}", "shop@example.org", mail(random)]
        line += [token(random, 17).upper(), f"{street(random)}, {random.choice(CITIES)}", "Confirmed"]
        line += [random.choice(ARTICLES), f"{random.randint(1, 60):03}", "0.00", "0.00", maybe(random, "INV-9", 0.3)]
        line += [token(random, 17).upper() if refund else "", random.randint(1, 4), "", f"{balance:,}"]
        records.append([*line, maybe(random, f"20255501{random.randint(10, 99)}"), maybe(random, "Order"), "US"])
    content = b"\xef\xbb\xbf" + delimited([_headers(PAYPAL), *records])
    return [Sample("Download_2024-03.csv", content, FIRST_DAY.replace(day=1))]

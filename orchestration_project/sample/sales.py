"""A day of sales, made by column, and its records as text."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestration_project.sample.random_numbers import IntArray, RandomNumbers

STORES = [f"ST{number:02d}" for number in range(1, 13)]
CHANNELS = ["store"] * 6 + ["online"] * 3 + ["marketplace"] * 2 + ["phone"]
CUSTOMERS = [f"C{number:05d}" for number in range(1, 5001)] + [""] * 2000
QUANTITIES = np.array([1] * 10 + [2] * 5 + [3] * 2 + [4, 6, 10], dtype=np.int64)
PERCENT_PAID = np.array([100] * 15 + [95, 90, 90, 80, 75], dtype=np.int64)
OPENS, CLOSES = 8 * 3600, 22 * 3600
CLOCK = [f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}" for second in range(OPENS, CLOSES)]


@dataclass(frozen=True, slots=True)
class SalesDay:
    """The records of a day, by column; whole numbers: positions in the lists above, cents, seconds after opening."""

    day: dt.date
    order: IntArray
    line: IntArray
    product: IntArray
    customer: IntArray
    store: IntArray
    channel: IntArray
    quantity: IntArray
    cents: IntArray
    second: IntArray

    def lines(self, start: int, stop: int) -> list[str]:
        """The records from position `start` up to `stop` as they stand in the file."""
        bought = (self.order, self.line, self.product, self.quantity, self.cents)
        where = (self.customer, self.store, self.channel, self.second)
        order_prefix, date = f"S{self.day:%Y%m%d}-", f"{self.day:%Y-%m-%d}"
        return [
            f"{order_prefix}{order:06d},{line},{product},{CUSTOMERS[customer]},{STORES[store]},{CHANNELS[channel]},"
            f"{quantity},{cents // 100}.{cents % 100:02d},{date} {CLOCK[second]}"
            for order, line, product, quantity, cents, customer, store, channel, second in zip(
                *(column[start:stop].tolist() for column in bought + where), strict=True
            )
        ]

    def fields(self, position: int) -> list[str]:
        """One record, split."""
        return self.lines(position, position + 1)[0].split(",")


def sales_day(day: dt.date, rows: int, list_cents: Sequence[int], numbers: RandomNumbers) -> SalesDay:
    """A day's records, ordered by time.

    Args:
        day: the day.
        rows: how many.
        list_cents: the list prices of the products 1, 2, ...
        numbers: where chance comes from.
    """
    # Four records in ten begin an order; the others are further lines of the order before them.
    begins = numbers.below(10, rows) < 4
    begins[0] = True
    starts = np.flatnonzero(begins)
    order = np.cumsum(begins, dtype=np.int64)
    # The smaller of two numbers: the first products of the catalogue sell best.
    product = np.minimum(numbers.below(len(list_cents), rows), numbers.below(len(list_cents), rows))
    paid = PERCENT_PAID[numbers.below(len(PERCENT_PAID), rows)]

    def of_order(limit: int) -> IntArray:
        return numbers.below(limit, len(starts))[order - 1]

    return SalesDay(
        day=day,
        order=order,
        line=np.arange(rows, dtype=np.int64) - starts[order - 1] + 1,
        product=product + 1,
        customer=of_order(len(CUSTOMERS)),
        store=of_order(len(STORES)),
        channel=of_order(len(CHANNELS)),
        quantity=QUANTITIES[numbers.below(len(QUANTITIES), rows)],
        cents=np.array(list_cents, dtype=np.int64)[product] * paid // 100,
        second=np.sort(numbers.below(CLOSES - OPENS, len(starts)))[order - 1],
    )

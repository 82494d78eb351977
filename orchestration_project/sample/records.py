"""The sample's records: a made-up catalogue of eight categories, and days of sales, made by column.

Random whole numbers are the same on every platform and with every version of numpy: it guarantees the raw bits of its
generators for ever, but not what `Generator.integers` and its like make of them.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from orchestration_project.sample.defects import Defect

IntArray = npt.NDArray[np.int64]


class RandomNumbers:
    """A stream of random numbers; the same seeds give the same stream."""

    def __init__(self, *seeds: int) -> None:
        self._bits = np.random.PCG64(list(seeds))

    def below(self, limit: int, count: int) -> IntArray:
        """`count` numbers from 0 to `limit` - 1."""
        # The remainder of 64 bits prefers small numbers by less than one in 10^14: for a sample that is even.
        return (self._raw(count) % limit).astype(np.int64)

    def shuffled(self, count: int) -> IntArray:
        """The numbers from 0 to `count` - 1 in random order."""
        # A stable sort is one algorithm on every platform; the others may order equal numbers as they like.
        return np.argsort(self._raw(count), kind="stable").astype(np.int64)

    def _raw(self, count: int) -> npt.NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(count), dtype=np.uint64)


STYLES = ("Nordic", "Classic", "Travel", "Compact", "Organic", "Premium", "Urban", "Heritage", "Outdoor", "Everyday")
GOODS = {
    "Kitchen": ("Chef's Knife", "Cutting Board", "Espresso Cup", "Cast Iron Pan", "Spice Rack"),
    "Garden": ("Watering Can", "Pruning Shears", "Plant Pot", "Bird Feeder", "Hammock"),
    "Office": ("Desk Lamp", "Notebook", "Fountain Pen", "Monitor Stand", "Paper Tray"),
    "Sports": ("Yoga Mat", "Water Bottle", "Skipping Rope", "Gym Bag", "Head Torch"),
    "Toys": ("Wooden Train", "Puzzle", "Building Blocks", "Kite", "Card Game"),
    "Bath": ("Bath Towel", "Soap Dish", "Bathrobe", "Mirror", "Hand Cream"),
    "Electronics": ("Phone Charger", "Headphones", "Alarm Clock", "Power Bank", "USB Cable"),
    "Books": ("Cookbook", "Road Atlas", "Field Guide", "Sketchbook", "Poetry Reader"),
}
PRICE_LIMITS = (2500, 3500)
"""Cents at which a price category ends; the first two products cost exactly that."""
CHEAPEST, DEAREST = 4, 60


@dataclass(frozen=True, slots=True)
class Product:
    """An entry of the catalogue, its price in cents."""

    number: int
    name: str | None
    category: str
    cents: int

    def as_json(self) -> dict[str, object]:
        """The entry as it stands in the file."""
        return {"product_id": self.number, "name": self.name, "category": self.category, "list_price": self.cents / 100}


def catalogue(count: int, seed: int) -> list[Product]:
    """Products 1 to `count`, without a defect."""
    # The catalogue, each day and each choice of defects have a stream of their own: one more day changes none before.
    numbers = RandomNumbers(seed, 0)
    whole = numbers.below(DEAREST - CHEAPEST, count) + CHEAPEST
    odd = numbers.below(3, count)
    prices = (whole * 100 + (49, 95, 99)[int(part)] for whole, part in zip(whole.tolist(), odd.tolist(), strict=True))
    return [_product(index, cents) for index, cents in enumerate(prices)]


def _product(index: int, cents: int) -> Product:
    category = list(GOODS)[index % len(GOODS)]
    turn = index // len(GOODS)
    goods = GOODS[category]
    # The style moves on with every product and again with every round, so that names repeat as late as they can.
    style = STYLES[(index + turn // len(goods)) % len(STYLES)]
    edition = index // (len(GOODS) * len(goods) * len(STYLES))
    name = f"{style} {goods[turn % len(goods)]}" + (f" {edition + 1}" if edition else "")
    return Product(index + 1, name, category, PRICE_LIMITS[index] if index < len(PRICE_LIMITS) else cents)


def catalogue_defects(
    products: Sequence[Product], kinds: Sequence[Defect]
) -> tuple[list[Product], dict[Defect, tuple[int, ...]]]:
    """The catalogue with one defect of each kind, and the 1-based numbers of the records concerned.

    Products without a name or price are additional ones: no sale refers to them.
    """
    entries = list(products)
    injected: dict[Defect, tuple[int, ...]] = {}
    if Defect.STALE_PRODUCT in kinds:
        last = entries[-1]
        # In front of the product itself, because the later record of a key counts.
        entries.insert(len(products) - 1, replace(last, name=f"{last.name} (old)", cents=last.cents + 1000))
        injected[Defect.STALE_PRODUCT] = (len(products),)
    if Defect.NAMELESS_PRODUCT in kinds:
        entries.append(Product(len(products) + 1, None, "Garden", 1999))
        injected[Defect.NAMELESS_PRODUCT] = (len(entries),)
    if Defect.FREE_PRODUCT in kinds:
        entries.append(Product(len(products) + 2, "Gift Card", "Office", 0))
        injected[Defect.FREE_PRODUCT] = (len(entries),)
    return entries, injected


# Chances are written as lists: what stands six times of twelve is chosen half of the time.
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
        # Whole columns as Python lists: numbers that are read from an array one by one are slow.
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

    # One number an order, repeated for its lines: they share customer, store and channel.
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
        # In whole cents, rounded down: a float would not be exact, and the price would have to be rounded when written.
        cents=np.array(list_cents, dtype=np.int64)[product] * paid // 100,
        second=np.sort(numbers.below(CLOSES - OPENS, len(starts)))[order - 1],
    )

"""The sample's catalogue: made-up products of eight categories."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestration_project.sample.defects import Defect
from orchestration_project.sample.random_numbers import RandomNumbers

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
        entries.insert(len(products) - 1, replace(last, name=f"{last.name} (old)", cents=last.cents + 1000))
        injected[Defect.STALE_PRODUCT] = (len(products),)
    if Defect.NAMELESS_PRODUCT in kinds:
        entries.append(Product(len(products) + 1, None, "Garden", 1999))
        injected[Defect.NAMELESS_PRODUCT] = (len(entries),)
    if Defect.FREE_PRODUCT in kinds:
        entries.append(Product(len(products) + 2, "Gift Card", "Office", 0))
        injected[Defect.FREE_PRODUCT] = (len(entries),)
    return entries, injected

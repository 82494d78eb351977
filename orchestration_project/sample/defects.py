"""What to generate, with which defects, and what the platform is expected to say about each of them."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SALES_HEADER = (
    "order_id",
    "order_line",
    "product_id",
    "customer_id",
    "store_id",
    "channel",
    "quantity",
    "unit_price",
    "sold_at",
)


class Defect(StrEnum):
    """A kind of defect."""

    MISSING_PRODUCT = "missing_product"
    UNKNOWN_PRODUCT = "unknown_product"
    TEXT_QUANTITY = "text_quantity"
    FRACTIONAL_QUANTITY = "fractional_quantity"
    ZERO_QUANTITY = "zero_quantity"
    NEGATIVE_QUANTITY = "negative_quantity"
    PRECISE_PRICE = "precise_price"
    NEGATIVE_PRICE = "negative_price"
    UNKNOWN_CHANNEL = "unknown_channel"
    IMPOSSIBLE_DATE = "impossible_date"
    SEVERAL_RULES = "several_rules"
    DUPLICATE_KEY = "duplicate_key"
    REPEATED_KEY = "repeated_key"
    SHORT_LINE = "short_line"
    LONG_LINE = "long_line"
    STRAY_QUOTE = "stray_quote"
    REPEATED_HEADER = "repeated_header"
    BLANK_LINE = "blank_line"
    EMPTY_FIELDS = "empty_fields"
    NAMELESS_PRODUCT = "nameless_product"
    FREE_PRODUCT = "free_product"
    STALE_PRODUCT = "stale_product"

    @property
    def reasons(self) -> tuple[str, ...]:
        """The beginnings of the reasons for which the record must be rejected; none when it must not."""
        return REASONS.get(self, ())

    @property
    def blank(self) -> bool:
        """Whether the record must be counted as blank."""
        return self in (Defect.BLANK_LINE, Defect.EMPTY_FIELDS)

    @property
    def meaning(self) -> str:
        """What is wrong, in words."""
        return MEANINGS[self]


MEANINGS: Mapping[Defect, str] = {
    Defect.MISSING_PRODUCT: "no product",
    Defect.UNKNOWN_PRODUCT: "a product that the catalogue does not have; the record is good",
    Defect.TEXT_QUANTITY: "the quantity is a word",
    Defect.FRACTIONAL_QUANTITY: "one and a half pieces",
    Defect.ZERO_QUANTITY: "no pieces",
    Defect.NEGATIVE_QUANTITY: "a negative quantity",
    Defect.PRECISE_PRICE: "a price with three decimals",
    Defect.NEGATIVE_PRICE: "a negative price",
    Defect.UNKNOWN_CHANNEL: "a channel that does not exist",
    Defect.IMPOSSIBLE_DATE: "a day that does not exist",
    Defect.SEVERAL_RULES: "three fields are wrong at once",
    Defect.DUPLICATE_KEY: "the next record has the same key; the later one counts",
    Defect.REPEATED_KEY: "the key of a record of the day before; the earlier day counts",
    Defect.SHORT_LINE: "the line breaks off",
    Defect.LONG_LINE: "a comma inside a field that is not quoted",
    Defect.STRAY_QUOTE: "a quote that is never closed",
    Defect.REPEATED_HEADER: "the header stands again",
    Defect.BLANK_LINE: "an empty line",
    Defect.EMPTY_FIELDS: "nothing but commas",
    Defect.NAMELESS_PRODUCT: "a product without a name",
    Defect.FREE_PRODUCT: "a product that costs nothing",
    Defect.STALE_PRODUCT: "the next record is the same product; the later one counts",
}

# Beginnings only: what follows (which record was kept, which value it was) depends on the rest of the file.
REASONS: Mapping[Defect, tuple[str, ...]] = {
    Defect.MISSING_PRODUCT: ("product_id: required",),
    Defect.TEXT_QUANTITY: ("quantity: type",),
    Defect.FRACTIONAL_QUANTITY: ("quantity: type",),
    Defect.ZERO_QUANTITY: ("quantity: minimum",),
    Defect.NEGATIVE_QUANTITY: ("quantity: minimum",),
    Defect.PRECISE_PRICE: ("unit_price: type",),
    Defect.NEGATIVE_PRICE: ("unit_price: minimum",),
    Defect.UNKNOWN_CHANNEL: ("channel: enum",),
    Defect.IMPOSSIBLE_DATE: ("sold_at: type",),
    Defect.SEVERAL_RULES: ("product_id: required", "channel: enum", "quantity: minimum"),
    Defect.DUPLICATE_KEY: ("order_id, order_line: duplicate_key",),
    Defect.REPEATED_KEY: ("order_id, order_line: duplicate_key",),
    Defect.SHORT_LINE: ("_raw_line: too_few_columns",),
    Defect.LONG_LINE: ("_raw_line: too_many_columns",),
    Defect.STRAY_QUOTE: ("_raw_line: bad_quoting",),
    Defect.REPEATED_HEADER: ("_raw_line: repeated_header",),
    Defect.NAMELESS_PRODUCT: ("name: required",),
    Defect.FREE_PRODUCT: ("list_price: exclusiveMinimum",),
    Defect.STALE_PRODUCT: ("product_id: duplicate_key",),
}

# LONG_LINE and STRAY_QUOTE work because records are written without quoting: the value brings a comma or a quote along.
WRONG_VALUES: Mapping[Defect, Mapping[str, str]] = {
    Defect.MISSING_PRODUCT: {"product_id": ""},
    Defect.TEXT_QUANTITY: {"quantity": "two"},
    Defect.FRACTIONAL_QUANTITY: {"quantity": "1.5"},
    Defect.ZERO_QUANTITY: {"quantity": "0"},
    Defect.NEGATIVE_QUANTITY: {"quantity": "-1"},
    Defect.PRECISE_PRICE: {"unit_price": "9.999"},
    Defect.NEGATIVE_PRICE: {"unit_price": "-4.99"},
    Defect.UNKNOWN_CHANNEL: {"channel": "carrier pigeon"},
    Defect.IMPOSSIBLE_DATE: {"sold_at": "2024-13-45 10:00:00"},
    Defect.SEVERAL_RULES: {"product_id": "", "channel": "fax", "quantity": "-3"},
    Defect.LONG_LINE: {"store_id": "ST03, upper floor"},
    Defect.STRAY_QUOTE: {"customer_id": '"C00001'},
}

CATALOGUE_DEFECTS = (Defect.NAMELESS_PRODUCT, Defect.FREE_PRODUCT, Defect.STALE_PRODUCT)
SALES_DEFECTS = tuple(kind for kind in Defect if kind not in CATALOGUE_DEFECTS)


def damaged(kind: Defect, fields: list[str], key: list[str], unknown_product: int) -> list[str]:
    """A sales record with a defect.

    Args:
        kind: the defect.
        fields: the record without it.
        key: order_id and order_line of another record.
        unknown_product: a product_id that the catalogue does not have.
    """
    match kind:
        case Defect.DUPLICATE_KEY | Defect.REPEATED_KEY:
            return [*key, *fields[2:]]
        case Defect.UNKNOWN_PRODUCT:
            return [*fields[:2], str(unknown_product), *fields[3:]]
        case Defect.SHORT_LINE:
            return fields[:6]
        case Defect.REPEATED_HEADER:
            return list(SALES_HEADER)
        case Defect.BLANK_LINE:
            return []
        case Defect.EMPTY_FIELDS:
            return [""] * len(SALES_HEADER)
        case _:
            wrong = WRONG_VALUES[kind]
            return [wrong.get(name, value) for name, value in zip(SALES_HEADER, fields, strict=True)]


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """What to generate.

    Attributes:
        days: number of sales files, one a day.
        rows: records in each of them, defective ones included, the header not.
        first_day: the day of the first file and of the catalogue.
        products: products without a defect in the catalogue.
        defect_rate: share of the records that are damaged, at most a half.
        defects: the kinds that take turns.
        seed: another seed gives other files.
    """

    days: int = 7
    rows: int = 200
    first_day: dt.date = dt.date(2024, 1, 15)
    products: int = 40
    defect_rate: float = 0.03
    defects: tuple[Defect, ...] = tuple(Defect)
    seed: int = 7

    def __post_init__(self) -> None:
        """Refuse what cannot be generated."""
        if self.days < 0 or self.rows < 1 or self.products < 1 or self.seed < 0:
            raise ValueError(f"days and seed must be at least 0, rows and products at least 1: {self}")
        # Every second record at most: the one before has to be sound, because it lends its key.
        if not 0 <= self.defect_rate <= 0.5:
            raise ValueError(f"defect_rate must be from 0 to 0.5, not {self.defect_rate}")


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A generated file and all that is wrong with it.

    Attributes:
        feed: name of the feed it is for.
        name: file name.
        day: the day it is for.
        records: records after the header, blank ones included.
        injected: for each kind of defect the records concerned, by their 1-based number in file order. Of two records
            with the same key the one that must lose is named.
    """

    feed: str
    name: str
    day: dt.date
    records: int
    injected: Mapping[Defect, tuple[int, ...]] = field(default_factory=dict)

    @property
    def rejected(self) -> dict[int, tuple[str, ...]]:
        """The records that must be rejected, each with the beginnings of its reasons."""
        return {number: kind.reasons for kind, numbers in self.injected.items() if kind.reasons for number in numbers}

    @property
    def blank(self) -> int:
        """How many records are blank."""
        return sum(len(numbers) for kind, numbers in self.injected.items() if kind.blank)

    @property
    def cleaned(self) -> int:
        """How many records must be accepted."""
        return self.records - self.blank - len(self.rejected)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All generated files."""

    files: tuple[SampleFile, ...]

    def of(self, feed: str) -> tuple[SampleFile, ...]:
        """The files of one feed, oldest first."""
        return tuple(file for file in self.files if file.feed == feed)

    @property
    def injected(self) -> Counter[Defect]:
        """How often each kind of defect was injected."""
        found: Counter[Defect] = Counter()
        for file in self.files:
            found.update({kind: len(numbers) for kind, numbers in file.injected.items()})
        return found

"""The corpus: sets of samples with a right contract each, and how many edits a draft of a set may need.

Belongs here: which sets there are. Does not belong here: how samples are made, and how a draft is scored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.drafting import faults, offices, shops, tills
from benchmarks.drafting.values import Sample

CONTRACTS = Path(__file__).parent / "contracts"


@dataclass(frozen=True, slots=True)
class SampleSet:
    """Samples of one feed, and what a draft of them is held to.

    Attributes:
        make: makes the samples; the same ones for the same random numbers.
        most_edits: how many edits its draft may need. It only ever goes down: a test holds it.
        cadence: how often such files come.
        rejected: how many records of the samples the right contract rejects.
        refusal: for samples that no feed can be drafted from, the pattern that the reason has to match; else empty.
    """

    make: Callable[[Random], list[Sample]]
    most_edits: int
    cadence: str = "daily"
    rejected: int = 0
    refusal: str = ""

    @property
    def name(self) -> str:
        """The set's name, which is the feed's, too."""
        return self.make.__name__

    @property
    def contract(self) -> Path:
        """The right contract; there is none for samples that have to be refused."""
        return CONTRACTS / f"{self.name}.odcs.yaml"

    def samples(self) -> list[Sample]:
        """The samples, the same each time."""
        return self.make(Random(self.name))  # noqa: S311 - the same samples each time


_SETS = (
    SampleSet(shops.shopify_orders, 0),
    SampleSet(shops.woocommerce_orders, 0),
    SampleSet(shops.amazon_settlement, 0),
    SampleSet(shops.stripe_payments, 0),
    SampleSet(tills.square_items, 0),
    SampleSet(tills.lightspeed_transactions, 0, cadence="monthly"),
    SampleSet(tills.sumup_transactions, 0),
    SampleSet(tills.till_with_totals, 0),
    SampleSet(tills.two_stores, 0),
    SampleSet(offices.datev_bookings, 0, cadence="monthly"),
    SampleSet(tills.french_till, 1, cadence="monthly"),
    SampleSet(shops.paypal_activity, 2, cadence="monthly"),
    SampleSet(offices.price_list, 0),
    SampleSet(offices.google_sheet, 0),
    SampleSet(faults.ragged_records, 0, rejected=8),
    SampleSet(faults.leading_zeros, 0),
    SampleSet(faults.flags, 0),
    SampleSet(faults.moments, 0),
    SampleSet(faults.three_decimals, 0),
    SampleSet(faults.wide_preamble, 0),
    SampleSet(faults.trailing_commas, 0),
    SampleSet(faults.year_headers, 0),
    SampleSet(faults.null_words, 0),
    SampleSet(faults.day_or_month, 0),
    SampleSet(faults.few_records, 0),
    SampleSet(faults.mac_letters, 0),
    SampleSet(faults.japanese_letters, 0),
    SampleSet(faults.one_column, 0, refusal="(one|single) column"),
    SampleSet(faults.no_records, 0, refusal="no records"),
    SampleSet(faults.no_header, 0, refusal="header"),
)
SETS: Mapping[str, SampleSet] = {item.name: item for item in _SETS}

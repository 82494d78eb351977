"""What the checks of a feed look at in one run, and the form of what they say.

Belongs here: the subject, whose parts are measured once for all checks, and the result. When a check passes, and its
words, are in the modules beside this one.
"""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from orchestration_project.components.feed_metadata import Metadata
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.inspection import rule_checks
from orchestration_project.inspection.expectations import DeliveryState, Expectation, expectations
from orchestration_project.inspection.quarantine import quarantine_of
from orchestration_project.inspection.status_model import QuarantinedFile
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import discover
from orchestration_project.warehouse import history_days, ledger_batches, ledger_queries

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


# No slots: `cached_property` keeps what it has measured in the instance's __dict__. It measures when it is first asked,
# so a run of one selected check does not pay for all others.
@dataclass(frozen=True)
class Subject:
    """What the checks of one run look at. What several checks need is measured once.

    Attributes:
        connection: to the warehouse.
        settings: where quarantine is.
        spec: the feed.
        rules: the checks that the contract's rules give.
        keys: partition keys of the batches; None for a snapshot.
        asked: those that the run asks for, loaded or not.
        loaded: those of all batches that have files, in order.
        run_id: the run.
        now: the present moment.
    """

    connection: "DuckDBPyConnection"
    settings: Settings
    spec: FeedSpec
    rules: tuple[rule_checks.RuleCheck, ...]
    keys: list[str] | None
    asked: Collection[str]
    loaded: Sequence[str]
    run_id: str
    now: dt.datetime

    @cached_property
    def batches(self) -> list[Batch] | None:
        """The batches; None for a snapshot."""
        return None if self.keys is None else [self.spec.options.batching.from_key(key) for key in self.keys]

    @property
    def raw_keys(self) -> list[str] | None:
        """The batches as the raw table has them: it keeps earlier snapshots for a history, which are checked there."""
        return list(self.loaded[-1:]) if self.spec.options.history else self.keys

    @cached_property
    def in_raw(self) -> Sequence[str]:
        """Partition keys of all batches that the raw table has, in order."""
        if not self.spec.options.history:
            return self.loaded
        return [*history_days.noted_days(self.connection, self.spec.name)]

    @property
    def raw_batches(self) -> list[Batch] | None:
        """The same as values of `_batch_date`."""
        keys = self.raw_keys
        return None if keys is None else [self.spec.options.batching.from_key(key) for key in keys]

    @cached_property
    def findings(self) -> Mapping[str, rule_checks.RuleFinding]:
        """How often each rule was broken, by name of its check."""
        return rule_checks.measure_rules(self.connection, self.spec.feed, self.rules, self.batches)

    @cached_property
    def files(self) -> list[rule_checks.Balance]:
        """The records of each file, counted in the file and in the tables."""
        return rule_checks.balances(self.connection, self.spec.feed, self.raw_batches, self.raw_keys)

    @cached_property
    def quarantined(self) -> list[QuarantinedFile]:
        """The files in quarantine."""
        source = self.spec.configured
        # Mostly there is none, and then neither the reasons beside the files nor the ledger are read.
        if not discover(self.settings.quarantine(source.name)):
            return []
        return quarantine_of(self.settings, source, ledger_queries.kept_entries(self.connection, source.name))

    @cached_property
    def delivered(self) -> set[Batch]:
        """All batches of the feed with an accepted file."""
        # Not `loaded`: a repair file brings rows for a batch, but it is no delivery of it.
        batching = self.spec.options.batching
        return {batching.from_key(key) for key in ledger_batches.delivered_batches(self.connection, self.spec.name)}

    @cached_property
    def first_load(self) -> dt.datetime | None:
        """When the first file of the feed was loaded."""
        return ledger_batches.first_load(self.connection, self.spec.name)

    @cached_property
    def expectations(self) -> list[Expectation]:
        """What became of the batches that the run asks for; of a run that names none, of the newest."""
        asked = sorted(self.asked) or self.keys or []
        return expectations(self.spec.configured, asked, self.delivered, self.first_load, self.now)

    def expected(self, state: DeliveryState) -> list[Expectation]:
        """The run's batches that are in a state, such as missing."""
        return [item for item in self.expectations if item.state is state]

    @property
    def only_refused(self) -> list[str]:
        """The batches of a run that has loaded none, because their files were refused."""
        # Where anything is loaded, checks are about that; refused files have a check of their own.
        refused = {item.batch for item in self.quarantined if not item.replaced}
        return [] if self.keys is None or self.keys else sorted(refused & set(self.asked))

    @property
    def rejected(self) -> int:
        """How many records are rejected."""
        return sum(item.counted.rejected for item in self.files)

    @property
    def records(self) -> int:
        """How many records are cleaned or rejected."""
        return self.rejected + sum(item.counted.cleaned for item in self.files)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check says, without its name: what is expected, what was found, and the numbers and rows behind it."""

    passed: bool
    severity: dg.AssetCheckSeverity
    description: str
    expected: str
    found: str
    metadata: Metadata = field(default_factory=dict)


Check = Callable[[Subject], CheckResult]

NOTHING_LOADED = CheckResult(False, WARN, "Nothing has been loaded yet.", "a batch", "none")
"""What every check says before the first load."""


def not_refused(check: Check) -> Check:
    """A check of loaded batches which, if all files of a run were refused, does not pass and says so."""

    def checked(subject: Subject) -> CheckResult:
        return refused_only(subject) or check(subject)

    return checked


def refused_only(subject: Subject) -> CheckResult | None:
    """What is to be said of a run that has loaded nothing, because all files were refused; None for any other run."""
    if not (refused := subject.only_refused):
        return None
    told = f"Nothing is loaded of {', '.join(refused)}: what was delivered is in quarantine/{subject.spec.name}."
    return CheckResult(False, WARN, told, "a file that is accepted", "refused files only")

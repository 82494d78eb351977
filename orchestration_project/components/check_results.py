"""The result of each check of a feed on the batches of one run, with the numbers and rows that explain it.

Belongs here: when a check passes, its severity, its words and its metadata. What is measured is in
`inspection.rule_checks` and `inspection.quality`; which checks there are is in `feed_checks`.

A rule of the contract has two ways to fail. As a warning: records were rejected for it. As an error: rows in the
cleaned table break it, which only a write from outside can cause.
"""

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from orchestration_project.components.feed_metadata import Cell, Metadata, table
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.contracts.feed import MetricRule, QualityRule
from orchestration_project.contracts.rules import comparison_in_words
from orchestration_project.ingest.fingerprints import version_of
from orchestration_project.inspection import quality, rule_checks
from orchestration_project.inspection.deliveries import overlaps, vanished_columns
from orchestration_project.inspection.findings import OTHERWISE, load_again, withdrawal
from orchestration_project.inspection.quarantine import quarantine_of
from orchestration_project.inspection.status_model import QuarantinedFile
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import discover
from orchestration_project.warehouse import ledger_queries

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TRAILING_BATCHES = 7
MIN_TRAILING_BATCHES = 3
VANISHED_BATCHES = 30
PARTS_OF_RECORDS = ("cleaned", "rejected", "blank", "open", "repaired", "waived")
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


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

    @cached_property
    def findings(self) -> Mapping[str, rule_checks.RuleFinding]:
        """How often each rule was broken, by name of its check."""
        return rule_checks.measure_rules(self.connection, self.spec.feed, self.rules, self.batches)

    @cached_property
    def files(self) -> list[rule_checks.Balance]:
        """The records of each file, counted in the file and in the tables."""
        return rule_checks.balances(self.connection, self.spec.feed, self.batches, self.keys)

    @cached_property
    def quarantined(self) -> list[QuarantinedFile]:
        """The files in quarantine."""
        source = self.spec.configured
        if not discover(self.settings.quarantine(source.name)):
            return []
        return quarantine_of(self.settings, source, ledger_queries.kept_entries(self.connection, source.name))

    @property
    def only_refused(self) -> list[str]:
        """The batches of a run that has loaded none, because their files were refused."""
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

ABOUT_THE_FEED = ("files_accepted", "newest_batch")
"""The checks that are not about the batches of a run."""
NOTHING_LOADED = CheckResult(False, WARN, "Nothing has been loaded yet.", "a batch", "none")


def run(name: str, check: Check, subject: Subject | None) -> CheckResult:
    """The result of a check by its name; None as subject stands for the time before the first load.

    A batch whose files were all refused has nothing that a check could look at. It is not right for that.
    """
    if subject is None:
        return NOTHING_LOADED
    if name not in ABOUT_THE_FEED and (refused := subject.only_refused):
        told = f"Nothing is loaded of {', '.join(refused)}: what was delivered is in quarantine/{subject.spec.name}."
        return CheckResult(False, WARN, told, "a file that is accepted", "refused files only")
    return check(subject)


def rule_check(rule: rule_checks.RuleCheck) -> Check:
    """The check of one rule of the contract."""

    def check(subject: Subject) -> CheckResult:
        finding = subject.findings[rule.name]
        metadata: Metadata = {
            "rejected_records": dg.MetadataValue.int(finding.rejected),
            "published_rows_breaking_it": dg.MetadataValue.int(finding.published),
        }
        passed, severity, description = True, WARN, "No record broke the rule."
        found = f"{finding.rejected} rejected records, {finding.published} published rows that break it"
        if finding.rejected:
            rows = rule_checks.sample_rejected(
                subject.connection, subject.spec.feed, rule.reasons, rule.columns, subject.batches
            )
            metadata |= {"share": dg.MetadataValue.float(finding.rejected / subject.records), "sample": table(rows)}
            where = subject.spec.rejected.to_user_string()
            passed, description = False, f"Records that broke the rule and are in {where}: {finding.rejected}."
        if finding.published:
            passed, severity = False, ERROR
            description = f"{finding.published} published rows break the rule: the table was written to from outside."
        return CheckResult(passed, severity, description, rule.description, found, metadata)

    return check


def quality_check(rule: QualityRule) -> Check:
    """The check of one quality metric or query of the contract, batch by batch."""
    percent = isinstance(rule, MetricRule) and rule.percent
    expected = comparison_in_words(rule.comparison) + (" percent" if percent else "")

    def check(subject: Subject) -> CheckResult:
        measured = quality.measure_quality(subject.connection, subject.spec.feed, rule, subject.batches)
        failed = [item for item in measured if not item.passed]
        metadata: Metadata = {
            "batches": dg.MetadataValue.int(len(measured)),
            "failed_batches": dg.MetadataValue.int(len(failed)),
        }
        if measured:
            metadata["by_batch"] = table(
                [{"batch": str(item.batch or "all"), "found": item.value} for item in failed or measured]
            )
        description = (
            f"Batches that are not {expected}: {len(failed)} of {len(measured)}." if failed else f"All {expected}."
        )
        severity = ERROR if rule.blocking else WARN
        return CheckResult(not failed, severity, description, expected, _range_of(measured), metadata)

    return check


def _range_of(measured: Sequence[quality.Measured]) -> str:
    """The measured numbers in words: the smallest and the largest of several."""
    values = sorted(item.value for item in measured if item.value is not None)
    if not values:
        return "no number"
    ends = dict.fromkeys(f"{value:g}" for value in (values[0], values[-1]))
    return " to ".join(ends)


def accounting(subject: Subject) -> CheckResult:
    """Whether each record of each file is cleaned, rejected or blank."""
    files = subject.files
    uneven = [item for item in files if not item.even]
    totals = {"files": len(files), "records": sum(item.records for item in files)} | {
        part: sum(getattr(item.counted, part) for item in files) for part in PARTS_OF_RECORDS
    }
    metadata: Metadata = {name: dg.MetadataValue.int(total) for name, total in totals.items()}
    if files:
        metadata["by_file"] = table([_file_row(item) for item in uneven or files])
    counted = (
        f"Files that do not balance: {len(uneven)} of {len(files)}." if uneven else f"All files balance: {len(files)}."
    )
    expected = "of every file: records in the file = records in raw = cleaned + rejected + blank"
    return CheckResult(not uneven, ERROR, counted, expected, counted, metadata)


def _file_row(item: rule_checks.Balance) -> dict[str, Cell]:
    row: dict[str, Cell] = {"file": item.counted.file, "records in file": item.records, "in raw": item.counted.records}
    return row | {part: getattr(item.counted, part) for part in PARTS_OF_RECORDS}


def reject_rate(subject: Subject) -> CheckResult:
    """Whether the share of records that break a rule is within the feed's limit.

    Keys do not count, as they don't for `max_reject_rate`: what repeats is told by the reasons.
    """
    duplicates, records = sum(item.counted.duplicates for item in subject.files), subject.records
    rejected = subject.rejected - duplicates
    rate, limit = rejected / records if records else 0.0, subject.spec.monitoring.warn_reject_rate
    metadata: Metadata = {
        "reject_rate": dg.MetadataValue.float(rate),
        "limit": dg.MetadataValue.float(limit),
        "rejected": dg.MetadataValue.int(subject.rejected),
        "duplicates": dg.MetadataValue.int(duplicates),
    }
    description = f"{rejected} of {records} records break a rule ({rate:.2%}; expected at most {limit:.2%})."
    return CheckResult(rate <= limit, WARN, description, f"at most {limit:.2%}", f"{rate:.2%}", metadata)


def files_accepted(subject: Subject) -> CheckResult:
    """Whether no refusal stands, of this run or of one before: refused and not replaced by an accepted file."""
    names = {item.file for item in subject.quarantined}
    by_run = ledger_queries.refused_files(subject.connection, subject.spec.name, subject.run_id)
    refused = [(item.file, f"{item.rule}: {item.reason}") for item in subject.quarantined if not item.replaced]
    # One that could not be moved to quarantine was refused all the same.
    refused += [(file, reason) for file, reason in by_run if file not in names]
    metadata: Metadata = {"refused_files": dg.MetadataValue.int(len(refused))}
    description = "No refused file waits for somebody."
    if refused:
        metadata["files"] = table([{"file": file, "reason": reason} for file, reason in refused])
        description = (
            f"{len(refused)} file(s) were refused and not replaced: quarantine/{subject.spec.name}. Deliver them"
            " corrected, or delete them there with their reasons."
        )
    return CheckResult(not refused, ERROR, description, "no refused file", f"{len(refused)} refused files", metadata)


def unexpected_columns(subject: Subject) -> CheckResult:
    """Whether files have only columns that the contract knows."""
    found = rule_checks.unexpected_columns(subject.connection, subject.spec.feed, subject.batches)
    expected, more = "the contract's columns", f"{len(found)} more"
    if not found:
        return CheckResult(True, WARN, "None.", expected, more)
    columns = table([{"column": name, "records": records} for name, records in found.items()])
    description = f"{len(found)} column(s) that the contract does not know; their values are in _rescued."
    return CheckResult(False, WARN, description, expected, more, {"columns": columns})


def validated(subject: Subject) -> CheckResult:
    """Whether all batches were validated by the present contract."""
    spec = subject.spec
    version = version_of(spec.feed, spec.options)
    batches = ledger_queries.validated_otherwise(subject.connection, spec.name, version)
    metadata: Metadata = {"batches": dg.MetadataValue.int(len(batches))}
    description = "All batches were validated by the present contract."
    if batches:
        command = load_again(spec.configured, batches)
        metadata |= {"command": dg.MetadataValue.text(command), "by_batch": table([{"batch": key} for key in batches])}
        description = f"{OTHERWISE.format(len(batches))}."
    return CheckResult(not batches, WARN, description, "no batch by another contract", f"{len(batches)}", metadata)


def missing_columns(subject: Subject) -> CheckResult:
    """Whether the files still have each column of the contract that they had."""
    batching = subject.spec.options.batching
    loaded = [batching.from_key(key) for key in subject.loaded]
    found = vanished_columns(subject.connection, subject.spec.feed, subject.batches, loaded, VANISHED_BATCHES)
    expected, lacking = "the contract's columns", f"{len({name for _, name in found})} without any value"
    if not found:
        return CheckResult(True, WARN, "None.", expected, lacking)
    rows = [{"batch": "all" if batch is None else batching.key(batch), "column": name} for batch, name in found]
    names = ", ".join(sorted({name for _, name in found}))
    description = f"No record has a value for {names}: the files may have lost the column(s), or renamed them."
    return CheckResult(False, WARN, description, expected, lacking, {"columns": table(rows)})


def repeated_bytes(subject: Subject) -> CheckResult:
    """Whether no file has the bytes of another batch's: it may be a copy under a wrong date."""
    feed = subject.spec.name
    files = ledger_queries.loaded_files(subject.connection, feed, subject.keys)
    found = ledger_queries.repetitions(subject.connection, feed, files)
    expected, repeated = "bytes of their own in each batch", f"{len(found)} repeated files"
    if not found:
        return CheckResult(True, WARN, "None.", expected, repeated)
    first, rows = found[0], [asdict(item) for item in found]
    description = (
        f"{len(found)} file(s) have the bytes of another batch's file, such as {first.file!r} of {first.batch} and"
        f" {first.other_file!r} of {first.other_batch}. If one has a wrong date, take it back, such as by"
        f" `{withdrawal(feed, first.file, first.batch)}`; if that is as it should be, set repeated_bytes: load in"
        " defs.yaml."
    )
    return CheckResult(False, WARN, description, expected, repeated, {"files": table(rows)})


def repeated_records(subject: Subject) -> CheckResult:
    """Whether no undated file holds most of what the batch before it has: its name may be meant to replace that."""
    batching, keys = subject.spec.options.batching, subject.keys or []
    before = {key: subject.loaded[index - 1] for key in keys if (index := bisect_left(subject.loaded, key))}
    pairs = {batching.from_key(key): batching.from_key(earlier) for key, earlier in before.items()}
    found = overlaps(subject.connection, subject.spec.feed, pairs)
    expected, repeated = "at most half of a file's records in the batch before", f"{len(found)} files with more"
    if not found:
        return CheckResult(True, WARN, "None.", expected, repeated)
    rows: list[dict[str, Cell]] = [
        {
            "batch": batching.key(item.batch),
            "file": item.file,
            "records": item.records,
            "repeated": item.repeated,
            "other_batch": batching.key(item.before),
            "other_file": item.other_file,
        }
        for item in found
    ]
    first = rows[0]
    description = (
        f"{len(found)} file(s) repeat most of the batch before, such as {first['file']!r} of {first['batch']} that has"
        f" {first['repeated']} of {first['records']} records from {first['other_file']!r} of {first['other_batch']}."
        " If it was meant to replace that file, take that one back by"
        f" `{withdrawal(subject.spec.name, found[0].other_file, batching.key(found[0].before))}`, or set"
        " undated: replace in defs.yaml and rebuild the feed."
    )
    return CheckResult(False, WARN, description, expected, repeated, {"files": table(rows)})


def newest_batch(subject: Subject) -> CheckResult:
    """Whether the batch after the newest one is not overdue."""
    spec, batching = subject.spec, subject.spec.options.batching
    if spec.feed.latency is None:
        return CheckResult(True, WARN, "The contract sets no latency.", "no latency is set", "nothing to check")
    loaded = subject.loaded
    if not loaded:
        return NOTHING_LOADED
    deadline = batching.next_due(batching.from_key(loaded[-1]), spec.feed.latency)
    late = subject.now > deadline
    metadata: Metadata = {
        "newest_batch": dg.MetadataValue.text(loaded[-1]),
        "next_batch_due": dg.MetadataValue.timestamp(deadline.astimezone(dt.UTC)),
    }
    description = f"Newest batch: {loaded[-1]}; the next one {'was' if late else 'is'} due {deadline:%F %T %Z}."
    expected = f"the batch after {loaded[-1]} by {deadline:%F %T %Z}"
    return CheckResult(not late, WARN, description, expected, f"{loaded[-1]} at {subject.now:%F %T %Z}", metadata)


def volume(subject: Subject) -> CheckResult:
    """Whether each batch is about as large as the batches before it."""
    tolerance = subject.spec.monitoring.volume_tolerance
    sizes = ledger_queries.batch_sizes(subject.connection, subject.spec.name)
    unusual = _unusual_sizes(sizes, subject.keys or [], tolerance)
    metadata: Metadata = {"odd_batches": dg.MetadataValue.int(len(unusual))}
    expected = f"at most {tolerance:g} times larger or smaller than the mean of the {TRAILING_BATCHES} before"
    found, description = f"{len(unusual)} batches that are not", "As usual."
    if unusual:
        metadata["batches"] = table(unusual)
        description = f"{len(unusual)} batch(es) are not {expected}."
    return CheckResult(not unusual, WARN, description, expected, found, metadata)


def _unusual_sizes(sizes: Mapping[str, int], keys: Sequence[str], tolerance: float) -> list[dict[str, Cell]]:
    """The batches that are much larger or smaller than the mean of those before them, if these are enough for a mean.

    Args:
        sizes: records by partition key, of all loaded batches.
        keys: the batches to check.
        tolerance: how many times larger or smaller a batch may be.
    """
    loaded = sorted(sizes)
    unusual: list[dict[str, Cell]] = []
    for key in keys:
        index = bisect_left(loaded, key)
        trailing = [sizes[earlier] for earlier in loaded[max(0, index - TRAILING_BATCHES) : index]]
        mean = sum(trailing) / len(trailing) if trailing else 0.0
        if len(trailing) >= MIN_TRAILING_BATCHES and not mean / tolerance <= sizes[key] <= mean * tolerance:
            unusual.append({"batch": key, "records": sizes[key], "mean of the batches before": round(mean, 1)})
    return unusual

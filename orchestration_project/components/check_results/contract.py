"""What the checks say of a feed's records: the rules of the contract, the accounts, the share of rejects.

A rule of the contract has two ways to fail. As a warning: records were rejected for it. As an error: rows in the
cleaned table break it, which only a write from outside can cause. What is measured is in `inspection.rule_checks` and
`inspection.quality`.
"""

from collections.abc import Sequence

import dagster as dg

from orchestration_project.components.check_results.subject import (
    ERROR,
    WARN,
    Check,
    CheckResult,
    Subject,
    refused_only,
)
from orchestration_project.components.feed_metadata import Cell, Metadata, table
from orchestration_project.contracts.feed import MetricRule, QualityRule
from orchestration_project.contracts.rules import comparison_in_words
from orchestration_project.inspection import quality, rule_checks
from orchestration_project.inspection.expectations import DeliveryState, in_short
from orchestration_project.inspection.findings import OTHERWISE, load_again
from orchestration_project.inspection.validated import validated_by_another

PARTS_OF_RECORDS = ("cleaned", "rejected", "blank", "ignored", "open", "repaired", "waived")


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
            # Never a division by zero: whatever was rejected is counted among the records.
            metadata |= {"share": dg.MetadataValue.float(finding.rejected / subject.records), "sample": table(rows)}
            where = subject.spec.rejected.to_user_string()
            passed, description = False, f"Records that broke the rule and are in {where}: {finding.rejected}."
        # This outweighs the rejects. They are what the rule is for; published rows that break it can't come from a
        # load.
        if finding.published:
            passed, severity = False, ERROR
            description = f"{finding.published} published rows break the rule: the table was written to from outside."
        return CheckResult(passed, severity, description, rule.description, found, metadata)

    return check


def quality_check(rule: QualityRule) -> Check:
    """The check of one quality metric or query of the contract, batch by batch.

    A batch that is expected, due and not there has 0 rows for a rule about the row count.
    """
    percent = isinstance(rule, MetricRule) and rule.percent
    expected = comparison_in_words(rule.comparison) + (" percent" if percent else "")

    def check(subject: Subject) -> CheckResult:
        # A refused file is none. If its batch is due, a rule about the row count measures 0 rows and may stop what is
        # downstream; to say only that everything was refused would be milder than a day on which nothing came.
        absent = _absent(rule, subject)
        if not absent and (refused := refused_only(subject)):
            return refused
        measured = [*quality.measure_quality(subject.connection, subject.spec.feed, rule, subject.batches), *absent]
        failed = [item for item in measured if not item.passed]
        metadata: Metadata = {
            "batches": dg.MetadataValue.int(len(measured)),
            "failed_batches": dg.MetadataValue.int(len(failed)),
        }
        if measured:
            metadata["by_batch"] = table(
                # Those that failed, if any did: the table is cut, and the one that matters might be below the cut.
                [{"batch": str(item.batch or "all"), "found": item.value} for item in failed or measured]
            )
        description = " ".join([_outcome(expected, measured, failed), *_told_of_absent(rule, subject)])
        severity = ERROR if rule.blocking else WARN
        return CheckResult(not failed, severity, description, expected, _range_of(measured), metadata)

    return check


def _outcome(expected: str, measured: Sequence[quality.Measured], failed: Sequence[quality.Measured]) -> str:
    if failed:
        return f"Batches that are not {expected}: {len(failed)} of {len(measured)}."
    return f"All {expected}." if measured else "No batch to measure."


def _absent(rule: QualityRule, subject: Subject) -> list[quality.Measured]:
    """The batches that should be there and are not, as a rule about the row count measures them."""
    if not quality.counts_rows(rule) or subject.spec.options.snapshot:
        return []
    batching, measured = subject.spec.options.batching, subject.keys or ()  # a repair file alone is measured as well
    missing = [
        batching.from_key(item.key) for item in subject.expected(DeliveryState.MISSING) if item.key not in measured
    ]
    return quality.measure_absent(rule, missing)


def _told_of_absent(rule: QualityRule, subject: Subject) -> list[str]:
    """What a rule about the row count says of batches without a file: which are missing, and why others are not."""
    if not quality.counts_rows(rule) or subject.spec.options.snapshot:
        return []
    states = (DeliveryState.MISSING, DeliveryState.WAITING, DeliveryState.NOT_EXPECTED)
    return [f"{in_short(found)}." for state in states if (found := subject.expected(state))]


def _range_of(measured: Sequence[quality.Measured]) -> str:
    """The measured numbers in words: the smallest and the largest of several."""
    values = sorted(item.value for item in measured if item.value is not None)
    if not values:
        return "no number"
    ends = dict.fromkeys(f"{value:g}" for value in (values[0], values[-1]))
    return " to ".join(ends)


def accounting(subject: Subject) -> CheckResult:
    """Whether each record of each file is cleaned, rejected, blank or ignored."""
    files = subject.files
    uneven = [item for item in files if not item.even]
    # `records` were counted in the bytes, by line ends and quotes; all other numbers by SQL in the tables. Counts from
    # one source would agree however wrong they are.
    totals = {"files": len(files), "records": sum(item.records for item in files)} | {
        part: sum(getattr(item.counted, part) for item in files) for part in PARTS_OF_RECORDS
    }
    metadata: Metadata = {name: dg.MetadataValue.int(total) for name, total in totals.items()}
    if files:
        metadata["by_file"] = table([_file_row(item) for item in uneven or files])
    counted = (
        f"Files that do not balance: {len(uneven)} of {len(files)}." if uneven else f"All files balance: {len(files)}."
    )
    expected = "of every file: records in the file = records in raw = cleaned + rejected + blank + ignored"
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


def validated(subject: Subject) -> CheckResult:
    """Whether all batches were validated by the present contract."""
    spec = subject.spec
    batches = validated_by_another(subject.connection, spec.configured)
    metadata: Metadata = {"batches": dg.MetadataValue.int(len(batches))}
    description = "All batches were validated by the present contract."
    if batches:
        # They stay as they are until somebody loads them again. Only a contract that makes other values of the same
        # text makes all batches anew, before its first use.
        command = load_again(spec.configured, batches)
        metadata |= {"command": dg.MetadataValue.text(command), "by_batch": table([{"batch": key} for key in batches])}
        description = f"{OTHERWISE.format(len(batches))}."
    return CheckResult(not batches, WARN, description, "no batch by another contract", f"{len(batches)}", metadata)

"""What the checks say of a feed's files: refused ones, their columns, bytes and records that repeat.

What is compared across batches is measured in `inspection.comparison`.
"""

from bisect import bisect_left
from dataclasses import asdict

import dagster as dg

from orchestration_project.components.check_results.subject import ERROR, WARN, CheckResult, Subject
from orchestration_project.components.feed_metadata import Cell, Metadata, table
from orchestration_project.inspection import rule_checks
from orchestration_project.inspection.comparison import overlaps, vanished_columns
from orchestration_project.inspection.findings import withdrawal
from orchestration_project.warehouse import ledger_queries

VANISHED_BATCHES = 30


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


def missing_columns(subject: Subject) -> CheckResult:
    """Whether the files still have each column of the contract that they had."""
    batching = subject.spec.options.batching
    loaded = [batching.from_key(key) for key in subject.loaded]
    found = vanished_columns(subject.connection, subject.spec.feed, batching, subject.batches, loaded, VANISHED_BATCHES)
    expected, lacking = "the contract's columns", f"{len({item.column for item in found})} without any value"
    if not found:
        return CheckResult(True, WARN, "None.", expected, lacking)
    rows = [
        {"batch": "all" if it.batch is None else batching.key(it.batch), "file": it.file, "column": it.column}
        for it in found
    ]
    names, files = ", ".join(sorted({it.column for it in found})), len({(it.batch, it.file) for it in found})
    description = f"{files} file(s) have no value for {names}: they may have lost the column(s), or renamed them."
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

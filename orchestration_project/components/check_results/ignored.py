"""What the checks say of the records that a contract ignores, and of the totals that such records are used for."""

import dagster as dg

from orchestration_project.components.check_results.subject import ERROR, WARN, CheckResult, Subject
from orchestration_project.components.feed_metadata import Cell, Metadata, table
from orchestration_project.ingest.control_totals import Reconciled, reconcile
from orchestration_project.inspection.rule_checks import Balance, sample_ignored
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import batch_filter, ident


def ignored_records(subject: Subject) -> CheckResult:
    """Whether no file has more ignored records than records that are data: a condition may hold for too many."""
    files = [item for item in subject.files if item.counted.ignored]
    odd = [item for item in files if item.counted.ignored > _data(item)]
    found = sample_ignored(subject.connection, subject.spec.feed, subject.batches)
    total = sum(item.counted.ignored for item in files)
    metadata: Metadata = {"ignored": dg.MetadataValue.int(total)}
    by_rule: list[dict[str, Cell]] = [{"rule": rule, "records": records} for rule, (records, _) in found.items()]
    metadata["by_rule"] = table(by_rule)
    if sample := [{"rule": rule, **row} for rule, (_, rows) in found.items() for row in rows]:
        metadata["sample"] = table(sample)
    if files:
        metadata["by_file"] = table([_file_row(item) for item in odd or files])
    description = f"Records that the contract ignores: {total}, in {len(files)} file(s)."
    if odd:
        description += f" In {len(odd)} of them they are more than the others: see if a rule holds for too many."
    return CheckResult(
        not odd, WARN, description, "fewer ignored records than others in each file", f"{total}", metadata
    )


def _file_row(item: Balance) -> dict[str, Cell]:
    counted = item.counted
    return {"file": counted.file, "records": item.records, "ignored": counted.ignored, "data": _data(item)}


def _data(item: Balance) -> int:
    return item.counted.cleaned + item.counted.rejected


def control_totals(subject: Subject) -> CheckResult:
    """Whether the records of each loaded file add up to what its totals record says.

    A file that a load refused for it is not loaded. One that was loaded before the contract said so stays, and is told
    here.
    """
    feed = subject.spec.feed
    relation = f"{ident(raw_table(feed))} WHERE {batch_filter(subject.batches)}"
    files = [(str(item.counted.batch), item.counted.file, item.counted.version) for item in subject.files]
    found = reconcile(subject.connection, feed, relation, files)
    wrong = [(file, total) for (_, file, _), totals in found.items() for total in totals if not total.matches]
    metadata: Metadata = {"files": dg.MetadataValue.int(len(found))}
    if wrong:
        metadata["by_file"] = table([_total_row(file, total) for file, total in wrong])
    severity = ERROR if any(total.blocking for _, total in wrong) else WARN
    description = f"Totals that do not match: {len(wrong)}." if wrong else f"All totals match: {len(found)} file(s)."
    if wrong:
        file, total = wrong[0]
        description += f" {file!r}: {total.told}."
    return CheckResult(not wrong, severity, description, "sum of the records = total", f"{len(wrong)} others", metadata)


def _total_row(file: str, total: Reconciled) -> dict[str, Cell]:
    # Text: a number of Dagster's tables is a float, which would round.
    row: dict[str, Cell] = {"file": file, "column": total.column, "totals records": total.lines}
    return row | {"unreadable": total.unreadable, "found": total.told}

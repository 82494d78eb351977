"""What the checks say of a feed's deliveries: batches that are missing, late or unusually large, and their files.

Of files: which were refused, which columns they lack or have too many, and what bytes and records they repeat. Which
batches are expected is in `storage.calendar`, what became of them in `inspection.expectations`, and what is usual, or
compared across batches, in `inspection.comparison`.
"""

import datetime as dt
import shlex
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict

import dagster as dg

from orchestration_project.components.check_results.subject import (
    ERROR,
    NOTHING_LOADED,
    WARN,
    CheckResult,
    Subject,
    refused_only,
)
from orchestration_project.components.feed_metadata import Cell, Metadata, table
from orchestration_project.inspection import rule_checks
from orchestration_project.inspection.comparison import (
    ENOUGH,
    TRAILING,
    Volume,
    compared_with,
    overlaps,
    vanished_columns,
    volumes,
)
from orchestration_project.inspection.expectations import (
    DeliveryState,
    Expectation,
    Freshness,
    Standing,
    in_short,
    standing,
)
from orchestration_project.inspection.findings import withdrawal
from orchestration_project.storage.batches import Cadence
from orchestration_project.storage.withdrawals import withdrawals
from orchestration_project.warehouse import ledger_batches, ledger_queries

FILES_NAMED = 3
VANISHED_BATCHES = 30
JUST_NOW = dt.timedelta(days=1)
COMPARED_WITH = {
    Cadence.HOURLY: f"the same hour of the same weekday in the {TRAILING} weeks before",
    Cadence.DAILY: f"the same weekday in the {TRAILING} weeks before",
    Cadence.WEEKLY: f"the {TRAILING} weeks before",
    Cadence.MONTHLY: f"the {TRAILING} months before",
    Cadence.YEARLY: f"the {TRAILING} years before",
}


def delivered(subject: Subject) -> CheckResult:
    """Whether each batch of the run that is expected and due has an accepted file."""
    # A day without any file once ended as a green run: there was nothing to check.
    found, missing = subject.expectations, subject.expected(DeliveryState.MISSING)
    if not missing and (refused := refused_only(subject)):
        return refused
    expected = "an accepted file for each batch that is expected and due"
    if subject.spec.options.calendar is None:
        told = "Nothing is expected: neither `deliveries` in defs.yaml nor the contract's service levels say when."
        return CheckResult(True, ERROR, told, expected, "no deliveries declared")
    metadata: Metadata = {"missing_batches": dg.MetadataValue.int(len(missing))}
    if found:
        metadata["by_batch"] = table([_row(item) for item in missing or found])
    if missing:
        more = f" {len(missing) - 1} more batch(es) are missing." if len(missing) > 1 else ""
        description = f"{missing[0]}, and {_what_came(subject, missing[0])}.{more}"
    else:
        # One line for each kind, so that a day that passes without a file says why: Sunday, holiday, not due yet.
        kinds = [subject.expected(state) for state in DeliveryState]
        description = " ".join(f"{in_short(items)}." for items in kinds if items) or "No batch was due yet."
    return CheckResult(not missing, ERROR, description, expected, f"{len(missing)} missing batches", metadata)


def _row(item: Expectation) -> dict[str, Cell]:
    due = f"{item.due:%F %R %Z}" if item.due else ""
    return {"batch": item.key, "state": item.state.value, "due": due, "why_not_expected": item.why_not}


def _what_came(subject: Subject, item: Expectation) -> str:
    """What came of a batch that has no accepted file: nothing, or refused files."""
    refused = [file for file in subject.quarantined if file.batch == item.key and not file.replaced]
    if not refused:
        return "nothing came"
    named = ", ".join(f"{file.file!r} ({file.rule})" for file in refused[:FILES_NAMED])
    more = f" and {len(refused) - FILES_NAMED} more" if len(refused) > FILES_NAMED else ""
    return f"only refused files came: {named}{more}; they are in quarantine/{subject.spec.name}"


def newest_batch(subject: Subject) -> CheckResult:
    """Whether no batch of the feed is late: by its calendar, or else by the contract's latency."""
    spec = subject.spec
    stands = standing(spec.configured, subject.delivered, subject.first_load, subject.now)
    if stands.freshness is Freshness.NO_LATENCY:
        told = "Neither `deliveries` in defs.yaml nor the contract's service levels say when batches are due."
        return CheckResult(True, WARN, told, "nothing is said", "nothing to check")
    # A warehouse that was just made is no late delivery: that it is empty is what every check says then.
    if stands.freshness is Freshness.NOTHING_LOADED:
        return NOTHING_LOADED
    newest = spec.options.batching.key(max(subject.delivered)) if subject.delivered else "none"
    metadata: Metadata = {"newest_batch": dg.MetadataValue.text(newest)}
    if stands.due:
        metadata["next_batch_due"] = dg.MetadataValue.timestamp(stands.due.astimezone(dt.UTC))
    late, (expected, told) = stands.freshness is Freshness.LATE, _in_words(subject, stands)
    found = f"{newest} at {subject.now:%F %T %Z}"
    return CheckResult(not late, WARN, f"Newest batch: {newest}; {told}.", expected, found, metadata)


def _in_words(subject: Subject, stands: Standing) -> tuple[str, str]:
    """What is expected of the feed, and how it stands."""
    if stands.due is None:
        return "no batch", "no other one is expected"
    due = f"{stands.due:%F %T %Z}"
    missing = [subject.spec.options.batching.key(batch) for batch in stands.missing]
    if missing:
        more = f" and {len(missing) - 1} more did not come" if len(missing) > 1 else " did not come"
        return f"{missing[0]} by {due}", f"{missing[0]}, due {due},{more}"
    if stands.freshness is Freshness.LATE:
        return f"the next batch by {due}", f"the next one was due {due}"
    past = "those after it were due before the feed's first load here; " if stands.freshness is Freshness.PAST else ""
    return f"the next batch by {due}", f"{past}the next one is due {due}"


def volume(subject: Subject) -> CheckResult:
    """Whether each batch is about as large as the batches that it is compared with."""
    batching, factor = subject.spec.options.batching, subject.spec.monitoring.volume_tolerance
    keys = subject.keys or []
    others = {other for key in keys for other in compared_with(batching, batching.from_key(key))}
    # From the ledger, which has a row for each file: the batches of eight weeks would be a scan of the table. The sizes
    # of all batches are asked for at once.
    sizes = ledger_batches.batch_sizes(subject.connection, subject.spec.name, {*keys, *others})
    found = volumes(batching, keys, sizes, factor)
    odd = [item for item in found if not item.usual]
    metadata: Metadata = {"odd_batches": dg.MetadataValue.int(len(odd))}
    expected = f"about as many records as {COMPARED_WITH[batching.cadence]}; {factor:g} times more or less is usual"
    if found:
        metadata["batches"] = table([_sizes(item) for item in odd or found])
    description = f"{len(odd)} batch(es) have an unusual number of records." if odd else _as_usual(found)
    return CheckResult(not odd, WARN, description, expected, f"{len(odd)} batches with other numbers", metadata)


def _sizes(item: Volume) -> dict[str, Cell]:
    row: dict[str, Cell] = {"batch": item.key, "records": item.records}
    if item.limits is None:
        return row | {"median before": None, "from": None, "to": None}
    middle, smallest, largest = item.limits.median, item.limits.smallest, item.limits.largest
    return row | {"median before": round(middle, 1), "from": round(smallest, 1), "to": round(largest, 1)}


def _as_usual(found: Sequence[Volume]) -> str:
    if not found:
        return "No batch to compare."
    learning = [item.key for item in found if item.limits is None]
    if not learning:
        return "As usual."
    which = learning[0] if len(learning) == 1 else f"{len(learning)} batches"
    usual = f"As usual: {len(found) - len(learning)}. " if len(found) > len(learning) else ""
    return f"{usual}Learning: {which} can't be compared yet with {ENOUGH} or more earlier ones."


def files_accepted(subject: Subject) -> CheckResult:
    """Whether no refusal stands, of this run or of one before: refused and not replaced by an accepted file."""
    # Refusals of earlier runs count, too. When each run looked only at its own, the next day's clean run turned the
    # check green, and the file stayed in quarantine unseen.
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


def zip_members(subject: Subject) -> CheckResult:
    """Whether no file went because a newer version of its zip archive lacks it: it may have been forgotten."""
    recently = subject.now - JUST_NOW
    gone = [
        item
        for item in withdrawals(subject.settings.archive(subject.spec.name))
        # An archive may lack files of other batches than those that a run is about.
        if item.note.lacking and (item.key in subject.asked or item.note.withdrawn_at >= recently)
    ]
    expected, found = "every file that the archive before it had", f"{len(gone)} files that it lacks"
    if not gone:
        return CheckResult(True, WARN, "None is missing.", expected, found)
    first, feed = gone[0], subject.spec.name
    again = f"orchestration-project withdraw {feed} {shlex.quote(first.note.file)} --batch {first.key} --undo"
    description = (
        f"{len(gone)} file(s) do not count any more, since the newer version of their zip archive lacks them, such as"
        f" {first.note.file!r} of {first.key}. If that is wrong, deliver the whole archive again, or let the file count"
        f" again by `{again}`."
    )
    rows: list[dict[str, Cell]] = [{"batch": item.key, "file": item.note.file} for item in gone]
    return CheckResult(False, WARN, description, expected, found, {"files": table(rows)})


def unexpected_columns(subject: Subject) -> CheckResult:
    """Whether files have only columns that the contract knows."""
    found = rule_checks.unexpected_columns(subject.connection, subject.spec.feed, subject.raw_batches)
    expected, more = "the contract's columns", f"{len(found)} more"
    if not found:
        return CheckResult(True, WARN, "None.", expected, more)
    columns = table([{"column": name, "records": records} for name, records in found.items()])
    description = f"{len(found)} column(s) that the contract does not know; their values are in _rescued."
    return CheckResult(False, WARN, description, expected, more, {"columns": columns})


def missing_columns(subject: Subject) -> CheckResult:
    """Whether the files still have each column of the contract that they had."""
    batching = subject.spec.options.batching
    loaded = [batching.from_key(key) for key in subject.in_raw]
    # File by file: of several files of a batch one lost a column, and the others, which still had it, hid that.
    found = vanished_columns(
        subject.connection, subject.spec.feed, batching, subject.raw_batches, loaded, VANISHED_BATCHES
    )
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
    # A price list that did not change and a copy under a wrong date look the same. Only a person can tell, so both are
    # loaded, the check names the two files, and says what to do in either case.
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
    # The batch before is the last one with files, not yesterday: nothing comes on Sundays. Of index 0 there is none.
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

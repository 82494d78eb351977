"""A feed's asset checks: which there are, and the op that evaluates them.

One op evaluates all of them, so that the contract's rules share one scan of each table. What a check says is in
`check_results`.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from orchestration_project.components.check_results import contract, deliveries, history, ignored
from orchestration_project.components.check_results.subject import (
    NOTHING_LOADED,
    Check,
    CheckResult,
    Subject,
    not_refused,
)
from orchestration_project.components.check_states import note_results
from orchestration_project.components.feed_metadata import compared
from orchestration_project.components.feed_spec import POOL, FeedSpec
from orchestration_project.components.resources import Platform
from orchestration_project.ingest.control_totals import totals_of
from orchestration_project.inspection.rule_checks import RuleCheck, rule_checks
from orchestration_project.settings import Settings
from orchestration_project.warehouse import ledger_batches
from orchestration_project.warehouse.connection import reading
from orchestration_project.warehouse.feed_tables import cleaned_table
from orchestration_project.warehouse.tables import exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ABOUT_ALL = ("files_accepted", "newest_batch", "validated")
"""The checks whose result is about all batches of the feed, whatever the run is for."""


def build_feed_checks(spec: FeedSpec) -> dg.AssetChecksDefinition:
    """All checks of a feed, as one op.

    Raises:
        DagsterInvalidDefinitionError: a quality rule of the contract has the name of another check.
    """
    rules = rule_checks(spec.feed)
    _require_own_names(spec, rules)
    checks = _checks(spec, rules)

    @dg.multi_asset_check(
        name=f"check_{spec.name}",
        specs=[*_contract_specs(spec, rules), *_platform_specs(spec)],
        can_subset=True,
        pool=POOL,
        description=f"Checks the loaded batches of the feed {spec.name}.",
    )
    def check_feed(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
        run, results = context.run, dict[tuple[str, str], dg.AssetCheckResult]()
        # What the run asks for, also if none of it is loaded: a missing day fails for that day, and its note must say
        # so.
        batches = spec.keys_of_run(run.tags) or set()
        try:
            with reading(platform.warehouse, f"checks of {spec.name}, run {run.run_id}") as connection:
                subject = _subject(connection, platform.settings, spec, rules, run)
                batches = batches or set((subject and subject.keys) or ())
                for key in sorted(context.selected_asset_check_keys):
                    result = _result(key, checks[key](subject) if subject else NOTHING_LOADED)
                    results[key.asset_key.to_user_string(), key.name] = result
                    yield result
        finally:  # a check that can't be evaluated ends the run; what the others said still counts
            note_results(context, platform, results, batches, ABOUT_ALL)

    return check_feed


def _require_own_names(spec: FeedSpec, rules: Sequence[RuleCheck]) -> None:
    # Checks are told apart by asset and name. Of two with one name on `cleaned_x` one would be lost, and nobody would
    # notice.
    taken = {"accounting", "validated", *(rule.name for rule in rules)}
    if clashes := [item.name for item in spec.feed.quality if item.name in taken]:
        raise dg.DagsterInvalidDefinitionError(
            f"contract of {spec.name}: the quality rule(s) {', '.join(clashes)} have the names of checks that are made"
            " from its other rules or for every feed; give them other names"
        )


def _checks(spec: FeedSpec, rules: Sequence[RuleCheck]) -> Mapping[dg.AssetCheckKey, Check]:
    of_loaded = {(spec.cleaned, rule.name): contract.rule_check(rule) for rule in rules} | {
        (spec.cleaned, "accounting"): contract.accounting,
        (spec.cleaned, "validated"): contract.validated,
        (spec.raw, "unexpected_columns"): deliveries.unexpected_columns,
        (spec.raw, "missing_columns"): deliveries.missing_columns,
        (spec.raw, "volume"): deliveries.volume,
        (spec.rejected, "reject_rate"): contract.reject_rate,
    }
    if spec.options.repeated_bytes == "warn":
        of_loaded[spec.raw, "repeated_bytes"] = deliveries.repeated_bytes
    if spec.options.undated_deliveries:
        of_loaded[spec.raw, "repeated_records"] = deliveries.repeated_records
    if spec.options.history:
        of_loaded[spec.history, "history_matches"] = history.history_matches
        of_loaded[spec.history, "usual_changes"] = history.usual_changes
    if spec.feed.ignored:
        of_loaded[spec.raw, "ignored_records"] = ignored.ignored_records
    if totals_of(spec.feed):
        of_loaded[spec.raw, "control_totals"] = ignored.control_totals
    # These say more than that all files were refused.
    others: dict[tuple[dg.AssetKey, str], Check] = {
        (spec.raw, "files_accepted"): deliveries.files_accepted,
        (spec.raw, "zip_members"): deliveries.zip_members,
        (spec.raw, "delivered"): deliveries.delivered,
        (spec.raw, "newest_batch"): deliveries.newest_batch,
    } | {(spec.cleaned, rule.name): contract.quality_check(rule) for rule in spec.feed.quality}
    checks = {identity: not_refused(check) for identity, check in of_loaded.items()} | others
    return {dg.AssetCheckKey(*identity): check for identity, check in checks.items()}


def _contract_specs(spec: FeedSpec, rules: Sequence[RuleCheck]) -> Iterator[dg.AssetCheckSpec]:
    # Blocking, though rejects only warn: a warning blocks nothing in Dagster. An error means that the published table
    # was written to from outside, and nothing may be computed from it.
    for rule in rules:
        yield dg.AssetCheckSpec(rule.name, asset=spec.cleaned, description=rule.description, blocking=True)
    for item in spec.feed.quality:
        yield dg.AssetCheckSpec(
            item.name,
            asset=spec.cleaned,
            description=item.description or f"{item.name}, as the contract has it.",
            blocking=item.blocking,
        )


def _platform_specs(spec: FeedSpec) -> Iterator[dg.AssetCheckSpec]:
    yield dg.AssetCheckSpec(
        "accounting",
        asset=spec.cleaned,
        additional_deps=[spec.raw, spec.rejected],
        description="Every record of every file is cleaned, rejected, blank or ignored, exactly once; files and tables"
        " are counted separately.",
        blocking=True,
    )
    if spec.options.history:
        yield dg.AssetCheckSpec(
            "history_matches",
            asset=spec.history,
            additional_deps=[spec.cleaned],
            description="The history has the records of each day's snapshot, no more and no fewer; its versions are"
            " counted again, day by day.",
            blocking=True,
        )
    # None of these blocks. Whether a missing day stops the marts is for the contract to say: by a rule about the row
    # count, which measures 0 rows then.
    told = [
        (spec.cleaned, "validated", "All loaded batches were validated by the present contract."),
        (spec.rejected, "reject_rate", "Few records break a rule of the contract."),
        (spec.raw, "files_accepted", "No file is in quarantine that was not replaced by an accepted one."),
        (spec.raw, "zip_members", "No newer version of a zip archive lacks files of the one before it."),
        (spec.raw, "unexpected_columns", "Files have no columns that the contract does not know."),
        (spec.raw, "missing_columns", "No column of the contract has vanished from the files."),
        (spec.raw, "delivered", "Each batch of the run that is expected and due has an accepted file."),
        (spec.raw, "newest_batch", "No batch of the feed is late."),
        (spec.raw, "volume", "A batch is about as large as comparable ones before it."),
    ]
    if spec.options.repeated_bytes == "warn":
        told.append((spec.raw, "repeated_bytes", "No file has the same bytes as the file of another batch."))
    if spec.options.undated_deliveries:
        told.append((spec.raw, "repeated_records", "No file repeats most of the batch before it."))
    if spec.options.history:
        told.append((spec.history, "usual_changes", "Few keys are gone since the snapshot before, few numbers moved."))
    if spec.feed.ignored:
        told.append((spec.raw, "ignored_records", "Most records of each file are data, not ignored by the contract."))
    if totals_of(spec.feed):
        told.append((spec.raw, "control_totals", "The records of each file add up to the total that the file tells."))
    for asset, name, description in told:
        yield dg.AssetCheckSpec(name, asset=asset, description=description)


def _subject(
    connection: "DuckDBPyConnection",
    settings: Settings,
    spec: FeedSpec,
    rules: Sequence[RuleCheck],
    run: dg.DagsterRun,
) -> Subject | None:
    """What the checks look at; None before the first load.

    The batches are those of the run that have files, or the newest one if the run names none. Without any file of a
    snapshot feed there is nothing to check: an empty table says nothing about a delivery.
    """
    if not exists(connection, cleaned_table(spec.feed)):
        return None
    loaded = ledger_batches.loaded_batches(connection, spec.name)
    asked = spec.keys_of_run(run.tags)
    # A run for a day of delivery is about all batches of the files that came then, however far back they are.
    told = ledger_batches.batches_delivered(connection, spec.name, asked) if asked and spec.feed.division else set()
    keys = loaded[-1:] if asked is None else sorted((asked | told) & set(loaded))
    # None stands for all rows of the table: the batch of a snapshot is the day of its file, and no run asks for one.
    everything = spec.options.snapshot and loaded
    now = dt.datetime.now(dt.UTC)
    measured = None if everything else keys
    return Subject(connection, settings, spec, tuple(rules), measured, asked or set(), loaded, run.run_id, now)


def _result(key: dg.AssetCheckKey, result: CheckResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=compared(result.expected, result.found) | result.metadata,
    )

"""Note the results of asset checks, so that alarms know of them without asking the warehouse.

Whoever evaluates a check passes its result through `noted`. That is one place for all checks of feeds and marts, and a
project's own checks may use it too:

    @dg.asset_check(asset="top_products")
    def has_ten_rows(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        return noted(context, platform, "top_products", "has_ten_rows", dg.AssetCheckResult(passed=...))
"""

import datetime as dt
from collections.abc import Collection

import dagster as dg

from orchestration_project.components.resources import Platform
from orchestration_project.storage.feed_state import CheckState, record_checks

AnyContext = dg.AssetCheckExecutionContext | dg.AssetExecutionContext


def noted(
    context: AnyContext,
    platform: Platform,
    asset: str,
    name: str,
    result: dg.AssetCheckResult,
    batches: Collection[str] = (),
) -> dg.AssetCheckResult:
    """Note the result of a check; returns it.

    Args:
        context: of the check, or of the asset that brings it.
        platform: where notes are kept.
        asset: the key of the asset, as text.
        name: the check's name.
        result: what it says.
        batches: the partition keys that it is about; none: it is about the table as a whole.
    """
    note_results(context, platform, {(asset, name): result}, batches)
    return result


def note_results(
    context: AnyContext,
    platform: Platform,
    results: dict[tuple[str, str], dg.AssetCheckResult],
    batches: Collection[str] = (),
    about_all: Collection[str] = (),
) -> None:
    """Note the results of several checks at once.

    Args:
        context: of the op that evaluates them.
        platform: where notes are kept.
        results: by asset and name.
        batches: the partition keys that they are about; none: they are about the tables as a whole.
        about_all: the names of checks that are about the tables as a whole in any case.
    """
    run_id, now = context.run.run_id, dt.datetime.now(dt.UTC)
    states = [
        CheckState(
            asset,
            name,
            bool(result.passed),
            result.severity.value.lower(),
            result.description or "",
            # A result about one batch leaves the failures of others standing; one about the table as a whole replaces
            # all.
            () if name in about_all else tuple(sorted(batches)),
            run_id,
            now,
        )
        for (asset, name), result in results.items()
    ]
    # It warns of what can't be written and goes on: a full disk must not fail a check of rows that are right.
    record_checks(platform.settings, states, context.log.warning)

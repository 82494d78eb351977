"""Which judged records hold: repairs and keys are compared, across batches as far as the feed looks back."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.keys import changed_later, find_losers, keys_of
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.repairs import judge_repairs, no_places, place_published
from orchestration_project.ingest.validate import judge
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.tables import batch_filter

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def compare(
    connection: "DuckDBPyConnection",
    feed: Feed,
    options: FeedOptions,
    batches: list[Batch] | None,
    log: Callable[[str], None],
) -> list[Batch] | None:
    """Finish `_judged` and fill `_losers`: what is wrong with records because of other records.

    Args:
        connection: inside a transaction, `_judged` filled with the batches.
        feed: the contract.
        options: how the feed is run.
        batches: the batches, in order; None for a snapshot.
        log: takes a line of progress.

    Returns:
        The batches that `_judged` holds now: those, and the later ones that share keys with what changed in them.
    """
    reach = options.key_look_back if keys_of(feed) else dt.timedelta()
    window = reach.total_seconds()
    repaired = set(map(options.batching.from_key, ledger_queries.repaired_batches(connection, feed.name)))
    no_places(connection)
    if batches is None:
        if repaired:
            judge_repairs(connection, feed, None, [], window, None)
        find_losers(connection, feed, None, [], window)
        return None
    fresh, near = batches, list[Batch]()
    while fresh:
        near = _within_reach(connection, feed, options, batches, reach)
        if own := [batch for batch in fresh if batch in repaired]:
            judge_repairs(connection, feed, batches, near, window, own)
        later = [batch for batch in near if batch > batches[0]]
        affected = changed_later(connection, feed, batches, later) if later else []
        if affected:
            log(f"{feed.name}: {len(affected)} later batch(es) share keys with what changed")
            judge(connection, feed, batch_filter(affected), more=True)
            batches = sorted([*batches, *affected])
        # What changed before a batch can change only the verdict on its repairs, and so what comes after it.
        fresh = [batch for batch in affected if batch in repaired]
    others = sorted(set(near) - set(batches))
    place_published(connection, feed, [batch for batch in others if batch in repaired])
    find_losers(connection, feed, batches, others, window)
    return batches


def _within_reach(
    connection: "DuckDBPyConnection", feed: Feed, options: FeedOptions, batches: Sequence[Batch], reach: dt.timedelta
) -> list[Batch]:
    """Other batches that may share keys with some: those as far before or after them as the feed looks back."""
    if not reach:
        return []
    batching = options.batching
    first, last = batching.key(batches[0] - reach), batching.key(batches[-1] + reach)
    published = map(batching.from_key, ledger_queries.loaded_batches(connection, feed.name, first, last))
    return sorted({found for found in published if batches[0] - reach <= found <= batches[-1] + reach} - {*batches})

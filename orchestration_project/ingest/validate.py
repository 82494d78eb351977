"""The stage that validates: one pass gives every record its values and every rule of the contract that it breaks.

Records are checked each by itself here. Which of several with one key counts is decided in `deduplicate.py`, what
corrects what in `repairs.py`. The SQL of single values is in `values.py`, that of rules in `conditions.py`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed, Required
from orchestration_project.failpoints import Point, reached
from orchestration_project.formats.staging import show
from orchestration_project.hashes import digest_of
from orchestration_project.ingest.conditions import Condition, source_conditions, value_conditions
from orchestration_project.ingest.divide import division_conditions
from orchestration_project.ingest.fill_down import conditions as fill_down_conditions
from orchestration_project.ingest.fill_down import filled_columns, needed, text_name
from orchestration_project.ingest.fill_down import steps as fill_down_steps
from orchestration_project.ingest.history import days_to_validate
from orchestration_project.ingest.model import Staged, Validated
from orchestration_project.ingest.refusals import refusals
from orchestration_project.ingest.relations import PARTS, RECORDS, RECORDS_HERE, REMOVED, VALIDATED, VALIDATED_HERE
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.values import is_data, text_of, value_of
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import PLATFORM_COLUMNS, raw_table
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.tables import batch_filter, ident, idents, is_empty, literal, types_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PLATFORM = ("_rid", *PLATFORM_COLUMNS, "_rescued")


def validate(session: Session, staged: Staged) -> Validated:
    """Validate the records that come in, and those that are there already in the batches that are published anew.

    Args:
        session: outside of a transaction, so that DuckDB reads with all its threads.
        staged: what was read.
    """
    # Removals count: a batch of which all files go has to lose its published rows.
    batches = _touched(session, staged)
    # Where nothing is published, only what is new is looked at: it may be refused.
    new = _batches_of(session, staged.plan.loads, PARTS)
    condition = batch_filter(batches) if session.request.publish else batch_filter(new)
    with session.timed("validated") as done:
        show_records(session.connection, session.feed, staged, condition)
        source = _show_here(session, staged, condition) if staged.apart else RECORDS
        # Of a first load in shards nothing is left to validate; to plan it for 1,314 batches took 5 seconds.
        chosen = "false" if staged.apart and is_empty(session.connection, source) else condition
        select = validated_select(session.feed, chosen, source)
        session.connection.execute(f"CREATE OR REPLACE TEMP TABLE {VALIDATED_HERE} AS {select}")
        count = _show_validated(session, staged)
        done(count)
    # Asked before anything is written, so that a refusal costs no rollback and the files that fit go on.
    reached(Point.VALIDATED)
    return Validated(staged, batches, count, refusals(session, staged, VALIDATED, RECORDS))


def _touched(session: Session, staged: Staged) -> list[Batch] | None:
    """The batches asked for and those whose files changed, in order; None for a snapshot without a history."""
    plan, asked = staged.plan, session.request.batches
    if asked is None:
        if not session.options.history:
            return None
        asked = days_to_validate(session, plan)
    return sorted({*asked, *_batches_of(session, plan.loads, PARTS), *_batches_of(session, plan.removals, REMOVED)})


def _batches_of(session: Session, entries: Iterable[Entry], divided: str) -> set[Batch]:
    """The batches of files; where files are divided, those of the relation `divided`, too."""
    found = {session.batching.from_key(entry.batch) for entry in entries}
    if session.feed.division:
        rows = session.connection.execute(f"SELECT DISTINCT _batch_date FROM {divided}").fetchall()
        found |= {batch for (batch,) in rows}
    return found


def validate_more(session: Session, validated: Validated, batches: Sequence[Batch]) -> Validated:
    """Validate further batches, beside those that were validated before."""
    feed, staged, condition = session.feed, validated.staged, batch_filter(batches)
    # What is validated already may be anywhere in the raw table.
    show_records(session.connection, feed, staged, "true")
    source = _show_here(session, staged, "true") if staged.apart else RECORDS
    # Made anew: the files of the records that are there may be an enumeration, which has no place for others.
    session.connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {VALIDATED_HERE} AS
            FROM {VALIDATED_HERE} UNION ALL BY NAME {validated_select(feed, condition, source)}"""
    )
    count = _show_validated(session, staged)
    known = validated.batches or []
    return Validated(staged, sorted({*known, *batches}), count, validated.refusals)


def show_records(connection: "DuckDBPyConnection", feed: Feed, staged: Staged, condition: str) -> None:
    """Make the view `_records`: what `raw_x` will hold, before it does, with a number `_rid` for each record.

    These are the staged records, and those that `raw_x` has now but for those of the files that go, as far as
    `condition` holds for them.
    """
    # A view, not a table: a copy of all text costs more than to read it again for the few rejects.
    show(connection, RECORDS, [f"FROM {staged.relation}", _kept(connection, feed, staged, condition)])


def _kept(connection: "DuckDBPyConnection", feed: Feed, staged: Staged, condition: str) -> str:
    """Query of the records that `raw_x` has and keeps."""
    kept = f"SELECT rowid AS _rid, * FROM {ident(raw_table(feed))} WHERE {condition}"
    if is_empty(connection, staged.removed):
        return kept
    return f"FROM ({kept}) ANTI JOIN {staged.removed} USING (_batch_date, _file, _file_version)"


def _show_here(session: Session, staged: Staged, condition: str) -> str:
    """The relation of those records of `_records` that no shard has validated."""
    read_here = [f"FROM {staged.apart.here}"] if staged.apart else []
    kept = _kept(session.connection, session.feed, staged, condition)
    show(session.connection, RECORDS_HERE, [*read_here, kept])
    return RECORDS_HERE


def _show_validated(session: Session, staged: Staged) -> int:
    """Make the view `_validated`: what this session validated and what shards did; returns how many records it has."""
    connection, sides = session.connection, [f"FROM {VALIDATED_HERE}"]
    if staged.apart:
        from orchestration_project.ingest.shard_parts import as_written

        # The table made here has the types: a Parquet file lacks some of them.
        sides.append(f"SELECT {as_written(types_of(connection, VALIDATED_HERE))} FROM {staged.apart.validated}")
    show(connection, VALIDATED, sides)
    row = connection.execute(f"SELECT count(*) FROM {VALIDATED}").fetchone()
    return int(row[0]) if row else 0


def validated_select(feed: Feed, condition: str, source: str = RECORDS) -> str:
    """Query of the validated records: platform columns, the contract's columns as values, and `_reasons`.

    Each step of the query adds columns to the one before: first the texts that count, then values, then what is
    computed from them, one column at a time, since a computed column may use the ones before it. DuckDB makes one
    projection of it. Example, for a contract of `n INTEGER` with a minimum of 1:

        n = '7'   ->  n = 7,     _reasons = NULL
        n = '0'   ->  n = 0,     _reasons = ['n: minimum']
        n = 'x'   ->  n = NULL,  _reasons = ['n: type']

    Args:
        feed: the contract.
        condition: which records; it is about their batches.
        source: relation of the records' text.
    """
    texts = {column.name: f"_t{index}" for index, column in enumerate(feed.source_columns)}
    text_columns = [f"{text_of(column, ident(column.name))} AS {texts[column.name]}" for column in feed.source_columns]
    read = ", ".join([*needed(feed), *text_columns])
    values = [f"{value_of(column, texts[column.name])} AS {ident(column.name)}" for column in feed.source_columns]
    steps = [
        f"_filled AS (SELECT * FROM {source} WHERE {condition} AND ({is_data(feed)}))",
        f"_texts AS (SELECT {idents(PLATFORM)}, _parse_error, {read} FROM _filled)",
        *(filling := fill_down_steps(feed, texts, "_texts")),
        f"_values AS (SELECT *, {', '.join(values)} FROM {'_down' if filling else '_texts'})",
    ]
    last = "_values"
    for number, column in enumerate(feed.derived_columns):
        # TRY: an expression may overflow, or cast what is none, for one record, which must not end the load of all.
        step = f"_computed{number}"
        steps.append(f"{step} AS (SELECT *, TRY({_computed(column)}) AS {ident(column.name)} FROM {last})")
        last = step
    filled_texts = [text_name(feed, column) for column in filled_columns(feed)]
    names = idents([*PLATFORM, *(column.name for column in feed.columns), *filled_texts])
    reasons = _reasons(feed, list(_conditions(feed, texts)))
    return f"(WITH {', '.join(steps)} SELECT {names}, {reasons} AS _reasons FROM {last})"


def validation_of(feed: Feed) -> str:
    """Identifies what decides values and reasons: another contract or engine may make other rows of equal records."""
    # The query's own text stands for all that a contract decides. So a blank more in it makes every batch look as if it
    # had been validated by another contract: comments of these queries stand in Python. The engine counts, too: another
    # release of DuckDB may cast or compare otherwise.
    import duckdb

    return digest_of(f"{duckdb.__version__}: {validated_select(feed, 'true')}")


def _computed(column: Column) -> str:
    return f"CAST(({column.expression}) AS {column.sql_type})"


def _conditions(feed: Feed, texts: dict[str, str]) -> Iterator[Condition]:
    for column in feed.source_columns:
        yield from source_conditions(column, texts[column.name])
    yield from fill_down_conditions(feed, texts)
    yield from division_conditions(feed)
    for column in feed.derived_columns:
        # NULL in the place of a value that can't be computed or does not fit would be a guess.
        failed = f"{ident(column.name)} IS NULL AND TRY(({_computed(column)}) IS NULL) IS NULL"
        yield Condition(f"{column.name}: type", failed)
        yield from value_conditions(column)


def _reasons(feed: Feed, conditions: list[Condition]) -> str:
    """SQL for a record's reasons: a list, or NULL."""
    lacking = [
        Condition(f"{column.name}: {Required.rule}", f"{ident(column.name)} IS NULL")
        for column in feed.derived_columns
        if column.required
    ]
    # A computed value that is missing because something else is wrong is no violation of its own.
    return (
        "CASE WHEN _parse_error IS NOT NULL THEN ['_raw_line: ' || split_part(_parse_error, ':', 1)]"
        f" {_listed(conditions)} {_listed(lacking)} END"
    )


def _listed(conditions: list[Condition]) -> str:
    """WHEN clause that gives the reasons of the conditions that hold, if any does."""
    if not conditions:
        return ""
    # The list is built only for the few records that break something; for the others one boolean is all the work.
    any_broken = " OR ".join(f"({item.broken})" for item in conditions)
    reasons = ", ".join(f"CASE WHEN {item.broken} THEN {literal(item.reason)} END" for item in conditions)
    return f"WHEN {any_broken} THEN list_filter([{reasons}], lambda _reason: _reason IS NOT NULL)"

"""`SqlTable`: a mart as a Dagster component. One SELECT in a file and one `defs.yaml` make a table.

Belongs here: what `defs.yaml` may say, and what that means among the other components: the columns of the inputs, and
whose batches the mart has. Nothing here asks a warehouse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import dagster as dg
from pydantic import Field, PrivateAttr

from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.project import with_platform
from orchestration_project.components.proofs import ProvenTable
from orchestration_project.components.sql_table_assets import MartSpec, build_asset, build_check, proof_of
from orchestration_project.contracts.errors import did_you_mean
from orchestration_project.inspection.findings import Proof
from orchestration_project.warehouse.feed_tables import cleaned_layout, history_layout, raw_layout, rejected_layout
from orchestration_project.warehouse.mart_definition import Mart, MartError, Reconciliation, compile_select
from orchestration_project.warehouse.tables import BATCH, Columns


class Totals(dg.Model, dg.Resolvable):
    """Totals of the table that have to equal sums over one of its inputs."""

    input: Annotated[str, Field(description="The input that is added up again.")]
    totals: Annotated[
        dict[str, str],
        Field(
            min_length=1,
            description="For each column that is compared, the column of the input, or expression over its rows, whose"
            " sum it has to be, within each value of the key's columns that the input has too.",
        ),
    ]
    check: Annotated[
        str | None, Field(description="Name of the check; without it `matches_`, followed by the input's name.")
    ] = None


class SqlTable(ProvenTable, dg.Model, dg.Resolvable):
    """A table that one SELECT makes of other tables, batch by batch where an input has batches.

    Makes the asset, named like the file of the SELECT, and the blocking check that its totals are those of an input.
    Batches that are out of date are made again in any run.
    """

    query: Annotated[
        str,
        dg.Resolver(lambda context, path: str(context.resolve_source_relative_path(path)), model_field_type=str),
        Field(description="Path of the file with one SELECT, relative to this file. Its name is the table's name."),
    ]
    inputs: Annotated[
        list[str], Field(min_length=1, description="The tables that the SELECT reads; they are assets of these names.")
    ]
    description: Annotated[str, Field(description="What the table holds.")]
    key: Annotated[list[str], Field(description="The columns that tell rows apart; none of them is ever empty.")]
    batches_of: Annotated[
        str | None,
        Field(
            description="The input whose batches are the table's partitions; the SELECT takes over its `_batch_date`,"
            " and sees the rows of the batches that are made. Without it the table is made as a whole."
        ),
    ] = None
    columns: Annotated[dict[str, str] | None, Field(description="What each column means.")] = None
    nullable: Annotated[Sequence[str], Field(description="The columns that may be empty.")] = ()
    reconcile: Annotated[
        Totals | None,
        Field(
            description="Totals that a blocking check compares with an input: `input`; `totals`, which names for each"
            " column the input's column, or expression, whose sum it has to be; and `check`, the check's name, which is"
            " `matches_` and the input without it."
        ),
    ] = None
    chart: Annotated[
        str | None, Field(description="The column whose totals of the newest days are shown with each run.")
    ] = None
    input_columns: Annotated[
        dict[str, dict[str, str]] | None,
        Field(description="Columns and types of inputs that are made in Python. Those of feeds and marts are known."),
    ] = None
    group: Annotated[str, Field(description="The asset's group.")] = "marts"
    kinds: Annotated[Sequence[str], Field(description="The asset's kinds.")] = ("duckdb", "sql")
    owners: Annotated[Sequence[str], Field(description="Owners: mail addresses, or `team:` and a name.")] = ()
    _spec: MartSpec | None = PrivateAttr(default=None)
    _under_way: bool = PrivateAttr(default=False)

    @property
    def name(self) -> str:
        """The table's name."""
        return Path(self.query).stem

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The mart's definitions."""
        spec = self.spec(context.component_tree)
        checks = [build_check(spec)] if self.reconcile else []
        return with_platform(dg.Definitions(assets=[build_asset(spec)], asset_checks=checks))

    def proof(self, tree: dg.ComponentTree) -> Proof:
        """How the table is proven: its totals, added up again over all batches."""
        return proof_of(self.spec(tree))

    def mart(self, tree: dg.ComponentTree) -> Mart:
        """The mart that the SELECT makes."""
        return self.spec(tree).mart

    def spec(self, tree: dg.ComponentTree) -> MartSpec:
        """The mart; its SELECT is compiled once.

        Raises:
            DagsterInvalidDefinitionError: an attribute or the SELECT can't be used.
        """
        if self._spec is None:
            # A mart asks its inputs for their columns, and these may be marts that ask theirs. A circle would never
            # end.
            if self._under_way:
                raise self._refused("it is made from itself, through its inputs")
            self._under_way = True
            try:
                self._spec = self._made(_known_tables(tree, self.inputs, self.input_columns or {}))
            except _UnknownInput as error:
                raise self._refused(str(error)) from None
            finally:
                self._under_way = False
        return self._spec

    def _made(self, known: Mapping[str, "_Table"]) -> MartSpec:
        inputs = {name: known[name].columns for name in self.inputs}
        try:
            # Now, against the columns that components declare: a mistake in the SELECT shows at `dg check defs`, and a
            # warehouse is not needed.
            query, columns = compile_select(Path(self.query).read_text(encoding="utf-8"), inputs)
        except MartError as error:
            raise self._refused(f"{Path(self.query).name}: {error}") from error
        self._require_columns(columns, inputs)
        feed = self._feed(known, columns)
        totals = self.reconcile
        mart = Mart(
            self.name,
            query,
            inputs,
            columns,
            self.key,
            self.batches_of,
            frozenset(name for name in self.inputs if known[name].listed),
            Reconciliation(totals.input, totals.totals) if totals else None,
        )
        return MartSpec(
            mart,
            feed,
            Path(self.query),
            self.description,
            self.columns or {},
            frozenset(self.nullable),
            (totals.check if totals else None) or f"matches_{totals.input if totals else ''}",
            self.chart,
            self.group,
            frozenset(self.kinds),
            self.owners,
        )

    def _require_columns(self, columns: Columns, inputs: Mapping[str, Columns]) -> None:
        """Make sure that what the attributes name is there."""
        totals = list(self.reconcile.totals) if self.reconcile else []
        chart = [self.chart] if self.chart else []
        for name in [*self.key, *(self.columns or ()), *self.nullable, *totals, *chart]:
            if name not in columns:
                raise self._refused(f"the SELECT gives no column {name!r}{did_you_mean(name, columns)}")
        if both := [name for name in self.nullable if name in self.key]:
            raise self._refused(f"{', '.join(both)} can't be empty: the key tells rows apart")
        if self.reconcile and self.reconcile.input not in inputs:
            raise self._refused(f"{self.reconcile.input!r} is none of the inputs, so it can't be reconciled")

    def _feed(self, known: Mapping[str, "_Table"], columns: Columns) -> FeedSpec | None:
        """The feed whose batches the mart has."""
        if self.batches_of is None:
            if self.chart:
                raise self._refused("a chart shows the newest days, so it needs batches_of")
            return None
        table = known.get(self.batches_of)
        if table is None or table.feed is None:
            raise self._refused(f"batches_of: {self.batches_of!r} is no input that has batches")
        if BATCH not in self.key or columns[BATCH] != table.columns[BATCH]:
            raise self._refused(f"a table with batches has {BATCH} of the input batches_of in its query and its key")
        # The check compares batch by batch, and only this input is known to have the same batches.
        if self.reconcile and self.reconcile.input != self.batches_of:
            raise self._refused(f"totals of batches are reconciled with {self.batches_of}, whose batches they are")
        return table.feed

    def _refused(self, what: str) -> dg.DagsterInvalidDefinitionError:
        return dg.DagsterInvalidDefinitionError(f"table {self.name}: {what}")


def sql_table(tree: dg.ComponentTree, name: str) -> MartSpec:
    """The mart of a name, for definitions in Python that build upon it.

    Raises:
        DagsterInvalidDefinitionError: there is none.
    """
    found = _sql_tables(tree)
    if name not in found:
        raise dg.DagsterInvalidDefinitionError(f"there is no SqlTable {name!r}{did_you_mean(name, found)}")
    return found[name].spec(tree)


def _sql_tables(tree: dg.ComponentTree) -> dict[str, SqlTable]:
    return {table.name: table for table in tree.get_all_components(of_type=SqlTable)}


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that may be an input: its columns, the feed whose batches it has, whether these are listed."""

    columns: Columns
    feed: FeedSpec | None = None
    listed: bool = False


class _UnknownInput(Exception):
    """No component makes an input; the message names it."""


def _known_tables(tree: dg.ComponentTree, names: Sequence[str], declared: Mapping[str, Columns]) -> dict[str, _Table]:
    """The tables of some names, which components make or `declared` describes.

    Raises:
        _UnknownInput: there is no such table.
    """
    known = {name: table for spec in feeds_of(tree) for name, table in _tables_of(spec).items()}
    known |= {name: _Table(columns) for name, columns in declared.items()}
    # Looked up by name, not loaded: only the marts among the inputs are compiled, or all of them would form a circle.
    sql_tables = _sql_tables(tree)
    found = {}
    for name in names:
        if name in known:
            found[name] = known[name]
        elif name in sql_tables:
            spec = sql_tables[name].spec(tree)
            found[name] = _Table(spec.mart.columns, spec.feed)
        else:
            hint = did_you_mean(name, known | sql_tables)
            raise _UnknownInput(
                f"no component makes the input {name!r}; the columns of a table that is made in Python stand in"
                f" input_columns{hint}"
            )
    return found


def _tables_of(spec: FeedSpec) -> dict[str, _Table]:
    batch_type, feed = spec.options.batching.sql_type, None if spec.options.snapshot else spec
    history = {spec.history.to_user_string(): _Table(history_layout(spec.feed))} if spec.options.history else {}
    return history | {
        spec.raw.to_user_string(): _Table(raw_layout(spec.feed, batch_type), feed),
        # Loads note the rows and the content of each batch of the cleaned table. Of the others they don't.
        spec.cleaned.to_user_string(): _Table(cleaned_layout(spec.feed, batch_type), feed, listed=True),
        spec.rejected.to_user_string(): _Table(rejected_layout(spec.feed, batch_type), feed),
    }

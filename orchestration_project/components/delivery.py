"""`Delivery`: tables of the warehouse go to where they are used, as a Dagster component.

Belongs here: what `defs.yaml` may say. The assets that it makes are in `delivery_assets`; the work is in `delivery`.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import Field

from orchestration_project.components.delivered_tables import Catalogue, catalogue_of
from orchestration_project.components.delivery_assets import DeliverySpec, build_asset, build_check
from orchestration_project.components.delivery_runs import build_job, build_sensor
from orchestration_project.components.project import with_platform
from orchestration_project.contracts.errors import did_you_mean
from orchestration_project.delivery.source import Personal

Treatment = Literal["left_out", "hashed", "delivered"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


class Delivery(dg.Component, dg.Model, dg.Resolvable):
    """Tables that are delivered to a folder, an object store or a database, and compared there with the warehouse.

    Makes an asset for each table, with a blocking check that rows and sums agree as read back from the target; the job
    `deliver_x`, and the sensor `deliver_x_sensor`, which starts it when a table was materialized.
    """

    name: Annotated[str, Field(description="Name of the delivery: letters, digits and `_`. The assets' keys have it.")]
    tables: Annotated[list[str], Field(min_length=1, description="The tables, which are assets of these names.")]
    target: Annotated[
        str,
        Field(
            repr=False,  # it may hold a password
            description="Where to: a folder (a relative one is below `$DATA_DIR/deliveries`), or an URL: `file://`, `s3://`,"
            " `gs://`, `az://`. `env:NAME` is the URL that an environment variable of that name holds; so is"
            " `{{ env.NAME }}`, if it is set when definitions load.",
        ),
    ]
    format: Annotated[
        str | None, Field(description="Format of files: `parquet` (the default), `csv`, `jsonl`, `xlsx`.")
    ] = None
    options: Annotated[
        dict[str, Any] | None, Field(description="What else the kind of target understands; files need nothing.")
    ] = None
    by_batch: Annotated[
        bool,
        Field(
            description="Whether a table with batches is delivered batch by batch; else as a whole, which is delivered"
            " anew at each change."
        ),
    ] = True
    personal: Annotated[
        Treatment,
        Field(
            description="What becomes of personal columns, by the contract's classification: `left_out`, `hashed` with"
            " the key in `DELIVERY_HASH_KEY`, or `delivered`."
        ),
    ] = "left_out"
    columns: Annotated[
        dict[str, Treatment] | None,
        Field(description="The same for single columns, by name, whatever their classification."),
    ] = None
    retries: Annotated[
        int, Field(ge=0, description="How often a delivery is tried again in its run, if the target does not answer.")
    ] = 2
    retry_seconds: Annotated[float, Field(ge=0, description="Pause before it, doubled each time.")] = 30.0
    group: Annotated[str, Field(description="The assets' group.")] = "delivery"
    owners: Annotated[Sequence[str], Field(description="Owners: mail addresses, or `team:` and a name.")] = ()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The delivery's definitions."""
        catalogue = catalogue_of(context.component_tree)
        self._require_names(catalogue)
        specs = [self._spec(catalogue, table) for table in dict.fromkeys(self.tables)]
        self._require_one_calendar(specs)
        job = build_job(self.name, specs)
        return with_platform(
            dg.Definitions(
                assets=[build_asset(spec) for spec in specs],
                asset_checks=[build_check(spec) for spec in specs],
                jobs=[job],
                sensors=[build_sensor(self.name, specs, job)],
            )
        )

    def _spec(self, catalogue: Catalogue, table: str) -> DeliverySpec:
        return DeliverySpec(
            self.name,
            catalogue,
            catalogue.table(table),
            self.target,
            self.format or "",
            self.options or {},
            self.by_batch,
            Personal(self.personal),
            {name: Personal(how) for name, how in (self.columns or {}).items()},
            self.retries,
            self.retry_seconds,
            self.group,
            self.owners,
        )

    def _require_names(self, catalogue: Catalogue) -> None:
        if not NAME.fullmatch(self.name):
            raise self._refused("the name has other characters than letters, digits and _")
        known = [catalogue.table(table).columns for table in self.tables]
        names = {column for columns in known for column in columns or ()}
        for column in self.columns or ():
            # A typing error would deliver a column that was to be left out.
            if None not in known and column not in names:
                raise self._refused(f"columns: no table has a column {column!r}{did_you_mean(column, names)}")

    def _require_one_calendar(self, specs: Sequence[DeliverySpec]) -> None:
        # A run of Dagster is for partitions of one kind.
        partitions = {spec.table.feed.partitions_def for spec in specs if spec.table.feed}
        if len(partitions) > 1:
            feeds = sorted({spec.table.feed.name for spec in specs if spec.table.feed})
            raise self._refused(
                f"the batches of {', '.join(feeds)} are of different calendars; make a delivery for the tables of each"
            )

    def _refused(self, what: str) -> dg.DagsterInvalidDefinitionError:
        return dg.DagsterInvalidDefinitionError(f"delivery {self.name}: {what}")

"""Column lineage as metadata of a materialization."""

import dagster as dg

from orchestration_project.components.feed_metadata import Metadata, table
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.lineage import Lineage, published_lineage, raw_lineage
from orchestration_project.warehouse.feed_tables import cleaned_layout, rejected_layout


def lineage_metadata(lineage: Lineage) -> Metadata:
    """The lineage as Dagster reads it, and as a table: the open-source UI draws none from the former."""
    deps = {
        column: [dg.TableColumnDep(dg.AssetKey(origin.table), origin.column) for origin in origins]
        for column, origins in lineage.items()
    }
    rows = [
        {"column": column, "made from": ", ".join(f"{origin.table}.{origin.column}" for origin in origins)}
        for column, origins in lineage.items()
    ]
    return {
        "dagster/column_lineage": dg.MetadataValue.column_lineage(dg.TableColumnLineage(deps)),
        "columns_made_from": table(rows),
    }


def lineage_of(spec: FeedSpec, key: dg.AssetKey) -> Lineage:
    """The column lineage of one of the feed's tables."""
    batch_type = spec.options.batching.sql_type
    if key == spec.raw:
        return raw_lineage(spec.feed, spec.landing.to_user_string())
    layout = cleaned_layout if key == spec.cleaned else rejected_layout
    return published_lineage(spec.feed, layout(spec.feed, batch_type))

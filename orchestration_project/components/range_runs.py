"""What lets assets of any author take part in runs over a range of partitions."""

import dagster as dg
from dagster_shared.record import replace


def made_once_a_run(definitions: dg.Definitions) -> dg.Definitions:
    """The definitions, with the backfill policy `single_run` for unpartitioned assets that name none.

    Without partitions one run makes an asset once in any case, but `dagster asset materialize --partition-range`
    refuses a selection in which an asset does not say so.
    """
    return replace(definitions, assets=[_made_once(asset) for asset in definitions.assets or ()])


def _made_once(asset: object) -> object:
    if isinstance(asset, dg.AssetsDefinition) and asset.partitions_def is None and asset.backfill_policy is None:
        return asset.with_attributes(backfill_policy=dg.BackfillPolicy.single_run())
    return asset

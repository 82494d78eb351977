"""Assets and checks that do nothing: what Dagster itself takes for as many as the sales of the project have."""

import dagster as dg

ASSETS, CHECKS = 5, 41
DAILY = dg.DailyPartitionsDefinition("2010-01-01")


def _asset(number: int) -> dg.AssetsDefinition:
    @dg.asset(name=f"asset_{number}", partitions_def=DAILY)
    def empty() -> None:
        """Nothing."""

    return empty


def _check(number: int) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset="asset_0", name=f"check_{number}")
    def empty() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return empty


assets_only = dg.Definitions([_asset(number) for number in range(ASSETS)], executor=dg.in_process_executor)
with_checks = dg.Definitions.merge(
    assets_only, dg.Definitions(asset_checks=[_check(number) for number in range(CHECKS)])
)

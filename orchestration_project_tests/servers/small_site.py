"""As few definitions as let every mutation of Dagster's schema have something to change. A webserver loads it."""

import dagster as dg

tills = dg.DynamicPartitionsDefinition(name="tills")


@dg.asset
def stock() -> None:
    """An asset without partitions."""


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["north", "south"]))
def prices() -> None:
    """An asset with partitions."""


@dg.asset(partitions_def=tills)
def receipts() -> None:
    """An asset whose partitions are added and deleted."""


@dg.asset_check(asset=stock)
def counted() -> dg.AssetCheckResult:
    """A check."""
    return dg.AssetCheckResult(passed=True)


stock_job = dg.define_asset_job("stock_job", selection=[stock])


@dg.sensor(job=stock_job)
def stock_sensor() -> dg.SkipReason:
    """A sensor that is off."""
    return dg.SkipReason("nothing to do")


defs = dg.Definitions(
    assets=[stock, prices, receipts],
    asset_checks=[counted],
    jobs=[stock_job],
    sensors=[stock_sensor],
    schedules=[dg.ScheduleDefinition(name="stock_schedule", job=stock_job, cron_schedule="0 5 * * *")],
)

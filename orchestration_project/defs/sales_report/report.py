"""`sales_report`: the marts and every feed's accounts as one HTML file."""

import datetime as dt
from collections.abc import Callable, Sequence

import dagster as dg

from orchestration_project.components import pictures
from orchestration_project.components.feed_spec import POOL, FeedSpec
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.number_formats import money, whole
from orchestration_project.components.resources import Platform
from orchestration_project.defs.product_marts import aggregate
from orchestration_project.defs.sales_report.model import Report
from orchestration_project.defs.sales_report.page import render
from orchestration_project.defs.sales_report.read import read_report
from orchestration_project.defs.sales_report.shelf import put
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.warehouse.faults import clear_faults

OWNERS = ["team:sales_data"]


@dg.definitions
def delivery(context: dg.ComponentLoadContext) -> dg.Definitions:
    """The report about the marts and all feeds."""
    return dg.Definitions(assets=[build_report(feeds_of(context.component_tree))])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def build_report(feeds: Sequence[FeedSpec], clock: Callable[[], dt.datetime] = _now) -> dg.AssetsDefinition:
    """The asset `sales_report`.

    Args:
        feeds: whose accounts it shows.
        clock: tells the moment of the report, with a time zone.
    """
    tables = [key for spec in feeds for key in (spec.cleaned, spec.rejected)]

    @dg.asset(
        deps=[*tables, aggregate.DAILY, aggregate.PRODUCTS],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
        group_name="delivery",
        kinds={"html", "duckdb"},
        owners=OWNERS,
        description="The marts and the accounts of every feed as one page that needs no network:"
        " `$DATA_DIR/reports/index.html`, and a dated copy for each newest batch day.",
    )
    def sales_report(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        settings, purpose = platform.settings, f"sales_report, run {context.run.run_id}"
        sources = [ConfiguredFeed(spec.feed, spec.options) for spec in feeds]
        with platform.warehouse.transaction(purpose) as connection:
            report = read_report(connection, sources, clock())
        page = render(report)
        with clear_faults(settings.database, purpose, settings.reports):
            path = put(settings.reports, page, report.sales.last if report.sales else None)
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(path),
                "link": dg.MetadataValue.url(path.as_uri()),
                "bytes": len(page.encode()),
                "files": report.file_count,
                "open_rejects": sum(feed.accounts.open for feed in report.feeds),
                "summary": dg.MetadataValue.md(_summary(report)),
            }
        )

    return sales_report


def _summary(report: Report) -> str:
    sales = report.sales
    if sales is None:
        return "Nothing has been sold yet."
    told = (
        f"**{money(sales.total.revenue)}** revenue, {whole(sales.total.units)} units of {whole(sales.total.products)}"
        f" products, {sales.first} to {sales.last}."
    )
    return f"{told}\n\n{pictures.revenue(sales.stretches, sales.unit.value).markdown}"

"""`sales_report`: the marts and every feed's accounts as one HTML file, and where it is kept.

The newest report is `index.html`; there is one for each newest batch day that there was, too. A report that is made
again, because files came late or rejects were repaired, replaces that of its day: it tells the same days better. A
reader who has the old one open keeps it; nobody ever sees half of one.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg

from orchestration_project.components.charts import whole
from orchestration_project.components.feed_spec import POOL, FeedSpec
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.resources import Platform
from orchestration_project.defs.sales_report import NEWEST
from orchestration_project.defs.sales_report.model import Report
from orchestration_project.defs.sales_report.page import money, render, revenue_chart
from orchestration_project.defs.sales_report.sales import DAILY, MARTS, PRODUCTS, read_feed, read_files, read_sales
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.storage.archive import write_whole
from orchestration_project.warehouse.connection import Warehouse, reading
from orchestration_project.warehouse.ledger import stand_in

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
        deps=[*tables, DAILY, PRODUCTS],
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
        report = read_report(platform.warehouse, purpose, sources, clock())
        page = render(report)
        # A full or read-only disk is told as that, with the folder, and is a fault for which the run is tried again.
        with platform.warehouse.clear_faults(purpose, settings.reports):
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


def read_report(warehouse: Warehouse, purpose: str, sources: Sequence[ConfiguredFeed], now: dt.datetime) -> Report:
    """All that the report says, from one state of the warehouse. Nothing is written to it.

    Args:
        warehouse: what is told of; it may lack tables, or not be there at all, before the first load.
        purpose: what the reader does, shown to whoever waits.
        sources: the feeds, in the order in which they are shown.
        now: the moment of the report, with a time zone.
    """
    with reading(warehouse, purpose, MARTS) as connection:
        # Before the first load there is no ledger, and the report says that there is nothing.
        stand_in(connection)
        files, file_count = read_files(connection)
        return Report(
            generated_at=now,
            sales=read_sales(connection),
            feeds=[read_feed(connection, source, now) for source in sources],
            files=files,
            file_count=file_count,
        )


def _summary(report: Report) -> str:
    sales = report.sales
    if sales is None:
        return "Nothing has been sold yet."
    told = (
        f"**{money(sales.total.revenue)}** revenue, {whole(sales.total.units)} units of {whole(sales.total.products)}"
        f" products, {sales.first} to {sales.last}."
    )
    return f"{told}\n\n{revenue_chart(sales.stretches, sales.unit.value).markdown}"


def put(folder: Path, page: str, day: dt.date | None) -> Path:
    """Write a report.

    Args:
        folder: where to; it is made where it is missing.
        page: the HTML.
        day: the newest batch day that it tells of; without any there is no dated copy.

    Returns:
        The path of the newest report.
    """
    content = page.encode()
    # The dated copy first: should the disk be full after it, the index still leads to the last whole report.
    if day:
        write_whole(folder / f"sales_report_{day}.html", content, replacing=True)
    write_whole(folder / NEWEST, content, replacing=True)
    return folder / NEWEST

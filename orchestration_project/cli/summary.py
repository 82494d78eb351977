"""`summary`, with which `make run` ends: what came in, what was refused and why, what sold best, and where to look."""

import datetime as dt
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import new_table, printable
from orchestration_project.warehouse.file_batches import placed
from orchestration_project.warehouse.ledger import BATCH_DATE, ignored_of
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.tables import exists, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from rich.console import Console
    from rich.table import Table

    from orchestration_project.settings import Settings

# Named, not imported: who has feeds of their own deletes the shop's folders, and this command still counts theirs.
PRODUCTS = "product_warehouse"
REPORT = "index.html"

BATCHES_SHOWN = 14
REASONS_SHOWN = 2
PRODUCTS_SHOWN = 5
COUNTS = {
    "rows in": "records",
    "cleaned": "cleaned",
    "blank": "blank_records",
    "ignored": "ignored",
    "rejected": "rejected",
    "open": "rejected - repaired - waived - attempts",
    "repaired": "repaired",
    "waived": "waived",
}
SHOWN_IF_ANY = ("ignored", "repaired", "waived")
"""With them the table is wider than 80 columns, and mostly they are empty."""


@click.command()
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    metavar="MOMENT",
    help="Also tell what came in since this moment (UTC), or that nothing did; written 2024-01-15T06:00:00Z.",
)
def summary(since: dt.datetime | None) -> None:
    """Print what the warehouse holds: files, records, what was rejected and why, the top products.

    Example: orchestration-project summary --since 2024-01-15T06:00:00Z
    """
    from rich.console import Console

    from orchestration_project.settings import Settings

    render_summary(Console(), Settings.from_env(), since.replace(tzinfo=dt.UTC) if since else None)


def render_summary(console: "Console", settings: "Settings", since: dt.datetime | None = None) -> None:
    """Print the summary.

    Args:
        console: where to.
        settings: where the warehouse is.
        since: tell whether anything came in since that moment (with a time zone).
    """
    from rich.console import Group
    from rich.panel import Panel

    from orchestration_project.warehouse.connection import Warehouse

    warehouse = Warehouse.from_settings(settings)
    if not warehouse.exists():
        where = printable(warehouse.where)
        console.print(f"There is no warehouse at {where} yet; `make run` builds one from the sample.")
        return
    with warehouse.connection("summary") as connection:
        if not exists(connection, LEDGER):
            console.print("The warehouse has no files yet.")
            return
        # From the ledger, not from the definitions: what was loaded is told, also of a feed that was removed since.
        feeds = [feed for (feed,) in connection.execute(f"SELECT DISTINCT feed FROM {LEDGER} ORDER BY 1").fetchall()]
        tables = [_batches(connection, feed) for feed in feeds]
        if exists(connection, PRODUCTS):
            tables.append(_top_products(connection))
        news = _news(connection, since) if since else []
    console.print(Group(*tables))
    console.print(
        Panel(
            "\n".join(
                [
                    *news,
                    f"Warehouse  {printable(warehouse.where)}",
                    *_report(settings),
                    "UI         http://127.0.0.1:3000 after `make dev`",
                ]
            ),
            expand=False,
        )
    )


def _report(settings: "Settings") -> list[str]:
    path = settings.reports / REPORT
    return [f"Report     {printable(path)}"] if path.is_file() else []


def _batches(connection: "DuckDBPyConnection", feed: str) -> "Table":
    # Of loaded versions only: the records of one that was replaced are not in the tables any more. A refused file has
    # no counts, and is counted itself.
    # Who only reads can't add a column to a ledger of an older release.
    sources = COUNTS | {"ignored": ignored_of(connection)}
    sums = ", ".join(f"coalesce(sum({count}) FILTER (status = 'loaded'), 0)::BIGINT" for count in sources.values())
    rows = connection.execute(
        f"""SELECT batch, count(*) FILTER (status = 'quarantined'), {sums}
            FROM {placed(connection)} WHERE feed = $1 GROUP BY 1 ORDER BY 1 DESC LIMIT {BATCHES_SHOWN}""",
        [feed],
    ).fetchall()
    batches = [(batch, refused, dict(zip(COUNTS, counts, strict=True))) for batch, refused, *counts in reversed(rows)]
    shown = [name for name in COUNTS if name not in SHOWN_IF_ANY or any(counts[name] for *_, counts in batches)]
    reasons = _reasons(connection, feed)
    table = new_table(feed)
    table.add_column("batch", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right")
    table.add_column("rejected because")
    for batch, refused, counts in batches:
        why = [printable(reason) for reason in reasons.get(batch, [])]
        why += [f"[red]{refused} file(s) in quarantine[/red]"] if refused else []
        table.add_row(printable(batch or "none"), *(f"{counts[name]:,}" for name in shown), ", ".join(why))
    return table


def _reasons(connection: "DuckDBPyConnection", feed: str) -> dict[str, list[str]]:
    """The most frequent reasons of each batch, by partition key."""
    from orchestration_project.ingest.counts import RULE_OF_REASON

    rejected = f"rejected_{feed}"
    if not exists(connection, rejected):
        return {}
    # Rejects have a `_batch_date`, the rows above partition keys. The ledger has both, so none is made of the other
    # here: that went wrong for the second of two hours with one name, in autumn. What a reason says of its one record,
    # such as `(kept: a.csv row 7)` after `order_id: duplicate_key`, is taken away before reasons are counted.
    rows = connection.execute(
        f"""WITH ledger AS (
                SELECT {BATCH_DATE} AS _batch_date, file AS _file, version AS _file_version, batch AS _batch
                FROM {placed(connection)} WHERE feed = $1),
            broken AS (
                SELECT _batch, unnest(_reasons) AS _reason
                FROM {ident(rejected)} JOIN ledger USING (_batch_date, _file, _file_version))
            SELECT _batch, {RULE_OF_REASON} AS rule, count(*) FROM broken GROUP BY ALL ORDER BY 1, 3 DESC, 2""",
        [feed],
    ).fetchall()
    found: dict[str, list[str]] = {}
    for batch, rule, count in rows:
        listed = found.setdefault(batch, [])
        listed.append(f"{rule} {count}" if len(listed) < REASONS_SHOWN else "")
    return {batch: _shortened(listed) for batch, listed in found.items()}


def _shortened(listed: list[str]) -> list[str]:
    more = len(listed) - REASONS_SHOWN
    return listed[:REASONS_SHOWN] + ([f"{more} more"] if more > 0 else [])


def _top_products(connection: "DuckDBPyConnection") -> "Table":
    rows = connection.execute(
        f"""SELECT product_id, product_code, name, category, price_category, units_sold, revenue FROM {PRODUCTS}
            ORDER BY revenue DESC, product_id LIMIT {PRODUCTS_SHOWN}"""
    ).fetchall()
    table = new_table("top products")
    for name in ("product", "code", "name", "category", "price"):
        table.add_column(name)
    table.add_column("units", justify="right")
    table.add_column("revenue", justify="right")
    for product, code, name, category, price, units, revenue in rows:
        table.add_row(
            printable(product),
            printable(code or "-"),
            printable(name or "not in the catalogue"),
            printable(category or "-"),
            printable(price or "-"),
            f"{units:,}",
            f"{revenue:,}",
        )
    return table


def _news(connection: "DuckDBPyConnection", since: dt.datetime) -> list[str]:
    # By when a load saw a file: `make run` gives the moment at which it began, and tells what that run brought.
    counts = dict(
        connection.execute(
            f"SELECT status, count(*) FROM {LEDGER} WHERE seen_at >= $1 GROUP BY 1",
            [since.astimezone(dt.UTC).replace(tzinfo=None)],
        ).fetchall()
    )
    if not counts:
        return ["Nothing new: every file was known already, so the tables are unchanged"]
    return ["New files  " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))]

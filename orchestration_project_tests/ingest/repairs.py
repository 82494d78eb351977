"""Rejects of a shop, exported, corrected and waived in a line each."""

import csv
import datetime as dt
import io
from pathlib import Path

from orchestration_project.ingest.session import ensure_feed_tables
from orchestration_project.rejects.export import Exported, export_rejects
from orchestration_project.rejects.waive import Choice, Waived, waive
from orchestration_project.storage.batches import Batch
from orchestration_project_tests.ingest.shop import NOW, Shop, day

Cells = dict[str, str]


def repair_name(number: int = 1, attempt: int = 1) -> str:
    """The name of a repair file for the n-th day."""
    return f"{day(number)}.repair.csv" if attempt == 1 else f"{day(number)}.{attempt}.repair.csv"


def reject(shop: Shop, file: str, row: int) -> str:
    """The id of the reject that a record is."""
    found = {(item["_file"], item["_row"]): str(item["_reject_id"]) for item in shop.table("rejected")}
    return found[file, row]


def resolved(shop: Shop) -> dict[tuple[str, int], str | None]:
    """By whom each reject, given by file and record, is closed."""
    return {(item["_file"], item["_row"]): item["_resolved_by"] for item in shop.table("rejected")}


def export(shop: Shop, folder: Path, *batches: Batch) -> list[Exported]:
    """Export open rejects."""
    with shop.warehouse.connection("test") as connection:
        ensure_feed_tables(connection, shop.feed, shop.options.batching)
        return export_rejects(connection, shop.settings, shop.feed, shop.options.batching, batches, folder)


def cells(path: Path) -> list[Cells]:
    """The rows of an exported file, as a spreadsheet shows them."""
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def as_csv(rows: list[Cells]) -> str:
    """Rows as a spreadsheet saves them."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def let_be(
    shop: Shop, *ids: str, batch: Batch | None = None, reason: str | None = None, who: str = "Ada", why: str = "test"
) -> Waived:
    """Waive rejects."""
    with shop.warehouse.connection("test") as connection:
        ensure_feed_tables(connection, shop.feed, shop.options.batching)
        choice = Choice(ids, batch, reason)
        at = NOW - dt.timedelta(minutes=1)
        return waive(connection, shop.settings, shop.feed, shop.options, choice, who, why, at, shop.told.append)

"""Many sales files for a running deployment, and the proof that each of them is there once."""

import os
import time
from collections.abc import Sequence
from typing import Protocol

import dagster as dg

from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.components.sales_files import sale, sales


class Site(Protocol):
    """Where files are delivered to: whatever has the settings, the warehouse and the history of a deployment."""

    @property
    def settings(self) -> Settings:
        """The settings that its runs see."""
        ...

    @property
    def warehouse(self) -> Warehouse:
        """Its warehouse."""
        ...

    def runs(self, *statuses: dg.DagsterRunStatus) -> Sequence[dg.DagsterRun]:
        """Its runs, the newest first."""
        ...


def deliver(site: Site, files: int, rows: int, days: int, first: int = 0) -> None:
    """Put settled sales files in landing, numbered from `first`, over days; no record is in two of them."""
    landing = site.settings.landing("sales")
    landing.mkdir(parents=True, exist_ok=True)
    settled = time.time() - 3600
    for number in range(first, first + files):
        day = f"2024-01-{number % days + 1:02}"
        lines = [sale(f"A{number}-{row}", day=day) for row in range(rows)]
        path = landing / f"sales_{day}_{number:05}.csv"
        path.write_text(sales(*lines), encoding="utf-8")
        os.utime(path, (settled, settled))


def is_worked_off(site: Site) -> bool:
    """Whether landing is empty, every run has ended and the last one well: one that was killed is started again."""
    runs = site.runs()
    ended = bool(runs) and all(run.is_finished for run in runs) and runs[0].is_success
    return ended and not any(site.settings.landing("sales").iterdir())


def hold_all_once(site: Site, files: int, rows: int) -> None:
    """Every file is in the archive, in the ledger and in the tables once, every record of it accounted for."""
    with site.warehouse.connection("test") as connection:
        records, orders = connection.execute("SELECT count(*), count(DISTINCT order_id) FROM cleaned_sales").fetchall()[
            0
        ]
        raw = connection.execute("SELECT count(*) FROM raw_sales").fetchall()[0][0]
        balanced = "status = 'loaded' AND records = $rows AND records = cleaned + rejected + blank_records"
        ledger = connection.execute(
            f"SELECT count(*), count(DISTINCT file), count(*) FILTER ({balanced}) FROM file_ledger", {"rows": rows}
        ).fetchall()[0]
        published = connection.execute("SELECT sum(orders) FROM product_daily_sales").fetchall()[0][0]
    assert records == orders == raw == published == files * rows
    assert ledger == (files, files, files)
    assert len(list(site.settings.archive("sales").glob("20*/**/*.csv"))) == files

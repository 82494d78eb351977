"""Divided files against the oracle: each record has the values, the reasons and the batch that the oracle tells."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given

from orchestration_project.contracts.division import Division, division_problem
from orchestration_project.contracts.feed import FileFormat
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.ingest.shop import Shop, named, options
from orchestration_project_tests.oracle.divided import batch_of
from orchestration_project_tests.oracle.files import Delivery, deliveries
from orchestration_project_tests.oracle.loads import thorough, told_by, work_folder
from orchestration_project_tests.oracle.oracle import Cleaned, Outcome, outcome
from orchestration_project_tests.oracle.test_oracle import tells_the_same
from orchestration_project_tests.reliability.evidence import tried

pytestmark = pytest.mark.promise("input")

START, DELIVERED = dt.date(1970, 1, 5), dt.date(2024, 2, 1)
UNITS = {"day": Cadence.DAILY, "week": Cadence.WEEKLY, "month": Cadence.MONTHLY}
STARTS = {"day": START, "week": START, "month": dt.date(1970, 1, 1)}


def divisions(delivery: Delivery) -> Iterator[Division]:
    """A way to divide the files, if the contract has a column for it: each contract one of days, weeks and months."""
    feed = delivery.contract.feed
    for place, column in enumerate(feed.record_columns):
        if division_problem(feed, column.name) is None:
            unit = [*UNITS][(place + len(feed.columns)) % 3]
            yield Division(column.name, unit, STARTS[unit], "Europe/Berlin")
            return


def delivered(division: Division) -> dt.date:
    """The batch of the day on which a shop delivers."""
    found = batch_of(division, {division.column: DELIVERED}, dt.date.max)
    assert found is not None
    return found


def loaded(
    folder: Path, delivery: Delivery, division: Division
) -> tuple[dict[str, Outcome], dict[tuple[str, int], Any]]:
    """What a load makes of each file, and the batch of each record."""
    batching = Batching(UNITS[division.unit], division.start, timezone=ZoneInfo(division.timezone))
    run = options(batching=batching, key_look_back=dt.timedelta(), by_name=True, division=division)
    names = [named(number) for number in range(1, len(delivery.files) + 1)]
    told: dict[str, Outcome] = {}
    batches = {}
    # One after the other: files of one feed share batches, and with them keys.
    for name, file in zip(names, delivery.files, strict=True):
        shop = Shop(folder / name, delivery.contract.feed, run)
        shop.deliver(name, file.content)
        shop.load()
        tried()
        told |= told_by(shop, delivery.contract.feed, [name])
        for row in shop.rows("SELECT _row, _batch_date FROM raw_f"):
            batches[name, row["_row"]] = row["_batch_date"]
    return told, batches


def hold(folder: Path, delivery: Delivery) -> None:
    """Make sure that a load says of each file, and of each record's batch, what the oracle says."""
    division = next(divisions(delivery), None)
    assume(division is not None)
    assert division is not None
    contract = replace(delivery.contract, feed=replace(delivery.contract.feed, division=division))
    found, batches = loaded(folder, delivery, division)
    for name, file in zip(found, delivery.files, strict=True):
        expected = outcome(contract, file.rows or file.content, name, {}, delivered(division))
        assert tells_the_same(found[name], expected), (found[name], expected, division, file)
        for place, told in (expected if isinstance(expected, dict) else {}).items():
            if isinstance(told, Cleaned):
                assert batches[name, place] == batch_of(division, told.values, delivered(division))


THOROUGH = thorough(3)


@THOROUGH
@given(delivery=deliveries(FileFormat.CSV, most=3))
def test_delimited(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Delimited files."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.JSON, most=3))
def test_json(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """JSON files."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.PARQUET, most=3))
def test_parquet(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Parquet files."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)

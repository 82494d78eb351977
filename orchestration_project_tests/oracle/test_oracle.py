"""Loads against the oracle: drawn files of drawn contracts give the same values, reasons and refusals, cell by cell."""

import datetime as dt
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from orchestration_project.contracts.feed import FileFormat
from orchestration_project_tests.ingest.shop import Shop, named, options
from orchestration_project_tests.oracle.files import Delivery, deliveries
from orchestration_project_tests.oracle.oracle import BLANK, IGNORED, Cleaned, Outcome, Rejected, outcome
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("input")


def loaded(folder: Path, delivery: Delivery) -> dict[str, Outcome]:
    """What a load makes of each file, each for a day of its own, so that none has to do with another."""
    shop = Shop(folder, delivery.contract.feed, options(key_look_back=dt.timedelta()))
    names = [named(number) for number in range(1, len(delivery.files) + 1)]
    for name, file in zip(names, delivery.files, strict=True):
        shop.deliver(name, file.content)
        tried()
    shop.load()
    assert shop.landing() == []
    notes = shop.quarantine()
    told: dict[str, Any] = {name: notes[name]["rule"] if name in notes else {} for name in names}
    rule = "_ignored" if delivery.contract.feed.ignored else "NULL AS _ignored"
    for row in shop.rows(f"SELECT _file, _row, {rule} FROM raw_f"):
        told[row["_file"]][row["_row"]] = IGNORED.format(row["_ignored"]) if row["_ignored"] else BLANK
    columns = [column.name for column in delivery.contract.feed.columns]
    for row in shop.rows("FROM cleaned_f"):
        told[row["_file"]][row["_row"]] = Cleaned({name: row[name] for name in columns})
    for row in shop.rows("FROM rejected_f"):
        told[row["_file"]][row["_row"]] = Rejected(tuple(sorted(row["_reasons"])))
    return told


def comparable(told: Outcome) -> object:
    """An outcome in which values of different types, or decimals of another scale, are different."""
    if isinstance(told, str):
        return told
    return {
        place: {name: exact(value) for name, value in record.values.items()} if isinstance(record, Cleaned) else record
        for place, record in sorted(told.items())
    }


def exact(value: object) -> str:
    """A value with its type."""
    if isinstance(value, dt.datetime) and value.tzinfo:
        value = value.astimezone(dt.UTC).replace(tzinfo=dt.UTC)
    return f"{type(value).__name__} {str(value) if isinstance(value, Decimal) else repr(value)}"


BROKEN, HEADERS = {"nul_byte", "bad_quoting"}, {"nul_byte", "bad_quoting", "no_header", "missing_column"}


def tells_the_same(found: Outcome, expected: Outcome) -> bool:
    """Whether both say the same; of a file whose header is broken, whether both refuse it for its header.

    Which of its lines was meant to be the header, nobody can tell.
    """
    if isinstance(found, str) and isinstance(expected, str) and {found, expected} & BROKEN:
        return {found, expected} <= HEADERS
    return comparable(found) == comparable(expected)


def hold(folder: Path, delivery: Delivery) -> None:
    """Make sure that a load says of each file what the oracle says."""
    found = loaded(folder, delivery)
    for name, file in zip(found, delivery.files, strict=True):
        expected = outcome(delivery.contract, file.rows or file.content, name, delivery.meanings)
        assert tells_the_same(found[name], expected), (
            comparable(found[name]),
            comparable(expected),
            delivery.contract,
            file,
        )
    # Each has a warehouse: those of the long form had 12 GB, and filled the disk.
    shutil.rmtree(folder)


THOROUGH = settings(
    max_examples=effort(12, 300),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@THOROUGH
@given(delivery=deliveries(FileFormat.CSV, most=12))
def test_delimited(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Delimited files."""
    hold(tmp_path_factory.mktemp("oracle"), delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.JSON, most=12))
def test_json(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """JSON files."""
    hold(tmp_path_factory.mktemp("oracle"), delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.FIXED_WIDTH, most=12))
def test_fixed_width(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fixed width files."""
    hold(tmp_path_factory.mktemp("oracle"), delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.PARQUET, most=12))
def test_parquet(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Parquet files."""
    hold(tmp_path_factory.mktemp("oracle"), delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.CSV, most=12, with_ignored=True))
def test_ignored_in_delimited(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Delimited files of which some records are no data: the last ones, comments, those of a condition."""
    hold(tmp_path_factory.mktemp("oracle"), delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.JSON, most=12, with_ignored=True))
def test_ignored_in_json(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same of JSON files."""
    hold(tmp_path_factory.mktemp("oracle"), delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.PARQUET, most=12, with_ignored=True))
def test_ignored_in_parquet(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same of Parquet files."""
    hold(tmp_path_factory.mktemp("oracle"), delivery)

"""Loads against the oracle: drawn files of drawn contracts give the same values, reasons and refusals, cell by cell."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given

from orchestration_project.contracts.feed import FileFormat
from orchestration_project_tests.ingest.shop import Shop, named, options
from orchestration_project_tests.oracle.files import Delivery, deliveries
from orchestration_project_tests.oracle.loads import thorough, told_by, work_folder
from orchestration_project_tests.oracle.oracle import Cleaned, Outcome, outcome
from orchestration_project_tests.reliability.evidence import tried

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
    return told_by(shop, delivery.contract.feed, names)


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


THOROUGH = thorough(12)


@THOROUGH
@given(delivery=deliveries(FileFormat.CSV, most=12))
def test_delimited(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Delimited files."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.JSON, most=12))
def test_json(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """JSON files."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.FIXED_WIDTH, most=12))
def test_fixed_width(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fixed width files."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.PARQUET, most=12))
def test_parquet(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Parquet files."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.CSV, most=12, with_ignored=True))
def test_ignored_in_delimited(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Delimited files of which some records are no data: the last ones, comments, those of a condition."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.JSON, most=12, with_ignored=True))
def test_ignored_in_json(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same of JSON files."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)


@THOROUGH
@given(delivery=deliveries(FileFormat.PARQUET, most=12, with_ignored=True))
def test_ignored_in_parquet(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same of Parquet files."""
    with work_folder(tmp_path_factory) as folder:
        hold(folder, delivery)

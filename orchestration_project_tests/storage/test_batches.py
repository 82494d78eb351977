"""Which batch a file is for."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.errors import FileRefused
from orchestration_project.storage.batches import Batch, Batching, Cadence, is_repair
from orchestration_project.storage.files import FoundFile

START = dt.date(2000, 1, 1)
HOUR_START = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - batches are in the feed's own time
DAILY = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})")
FIRST = re.compile(r"^(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})")
WORDS = re.compile(r"(?P<month>[^\d\s]+) (?P<year>\d{4}|\d{2})")
YEARLY = re.compile(r"(?P<year>\d{4})")
MONTHLY = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})")
HOURLY = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(T(?P<hour>\d{2}))?")
MODIFIED = dt.datetime(2024, 3, 31, 23, 30, tzinfo=dt.UTC)


def batching(cadence: Cadence, **fields: object) -> Batching:
    """How files fall into batches, from 2000 on."""
    start: Batch = HOUR_START if cadence is Cadence.HOURLY else START
    return Batching(cadence, start, **fields)  # type: ignore[arg-type]  # fields of Batching


@pytest.mark.parametrize(
    ("cadence", "pattern", "name", "key"),
    [
        pytest.param(Cadence.DAILY, DAILY, "s_2024-02-29.csv", "2024-02-29", id="daily"),
        pytest.param(Cadence.WEEKLY, DAILY, "s_2024-02-29.csv", "2024-02-26", id="weekly, from Monday on"),
        pytest.param(Cadence.MONTHLY, MONTHLY, "s_2024-02.csv", "2024-02-01", id="monthly"),
        pytest.param(Cadence.MONTHLY, DAILY, "s_2024-02-29.csv", "2024-02-01", id="monthly by a day"),
        pytest.param(Cadence.HOURLY, HOURLY, "s_20240229T07.csv", "2024-02-29-07:00", id="hourly"),
        pytest.param(Cadence.MONTHLY, DAILY, "2024-02-01_until_2024-02-29.csv", "2024-02-01", id="two of one batch"),
        pytest.param(Cadence.DAILY, FIRST, "2024-02-01_until_2024-02-29.csv", "2024-02-01", id="the pattern decides"),
        pytest.param(Cadence.DAILY, DAILY, "2024-02-01_no_2024-99-12.csv", "2024-02-01", id="the other is no date"),
        pytest.param(Cadence.DAILY, DAILY, "2024-02-01_no_1024-01-12.csv", "2024-02-01", id="the other is too early"),
        pytest.param(Cadence.MONTHLY, WORDS, "Umsatz März 24.csv", "2024-03-01", id="a month's name, two digits"),
        pytest.param(Cadence.MONTHLY, WORDS, "sales SEPT. 2024.csv", "2024-09-01", id="a month's short name"),
        pytest.param(Cadence.MONTHLY, WORDS, "ventes de\u0301cembre 2019.csv", "2019-12-01", id="accents apart"),
        pytest.param(Cadence.YEARLY, YEARLY, "report 2024.csv", "2024-01-01", id="yearly"),
        pytest.param(Cadence.YEARLY, DAILY, "s_2024-02-29.csv", "2024-01-01", id="yearly by a day"),
    ],
)
def test_batches_by_name(cadence: Cadence, pattern: re.Pattern[str], name: str, key: str) -> None:
    """The date in a file's name tells its batch, and the batch its partition key and back."""
    rules = batching(cadence, pattern=pattern)
    batch = rules.batch_for(found(name))
    assert rules.key(batch) == key
    assert rules.from_key(key) == batch


@pytest.mark.parametrize(
    ("cadence", "name", "key"),
    [
        pytest.param(Cadence.DAILY, "2024-02-29.repair.csv", "2024-02-29", id="daily"),
        pytest.param(Cadence.DAILY, "2024-02-29.2023-01-01.v2.repair.csv.gz", "2024-02-29", id="with a word between"),
        pytest.param(Cadence.WEEKLY, "2024-02-29.REPAIR.CSV", "2024-02-26", id="weekly, in capitals"),
        pytest.param(Cadence.MONTHLY, "2024-02-01.repair.csv.zst", "2024-02-01", id="monthly"),
        pytest.param(Cadence.HOURLY, "2024-02-29-07.repair.csv", "2024-02-29-07:00", id="hourly"),
    ],
)
@pytest.mark.parametrize("pattern", [None, re.compile(r"of (?P<year>\d{4})")], ids=["no pattern", "another pattern"])
def test_batches_of_repair_files(cadence: Cadence, name: str, key: str, pattern: re.Pattern[str] | None) -> None:
    """A repair file's name begins with its batch, whatever the feed's pattern and its age."""
    rules = batching(cadence, pattern=pattern)
    batch = rules.batch_of(name, MODIFIED)
    assert (is_repair(name), rules.key(batch)) == (True, key)
    assert rules.batch_of(rules.repair_name(batch), MODIFIED) == batch
    assert rules.batch_of(rules.repair_name(batch, 7), MODIFIED) == batch


@pytest.mark.parametrize("name", ["2024-02-29.csv", "2024-02-29.repair.csv.bz2", "repair.csv", "2024-02-29_repair.csv"])
def test_other_files_are_no_repair_files(name: str) -> None:
    """Only a name that ends with `.repair.csv`, compressed or not, is that of one."""
    assert not is_repair(name)


@pytest.mark.parametrize(
    ("zone", "key"),
    [pytest.param("UTC", "2024-03-31", id="UTC"), pytest.param("Europe/Berlin", "2024-04-01", id="Berlin")],
)
def test_batches_by_age(zone: str, key: str) -> None:
    """Without a pattern, the local day of the last modification is the batch; with `undated_by_age` also beside one."""
    for rules in (
        batching(Cadence.DAILY, timezone=ZoneInfo(zone)),
        batching(Cadence.DAILY, timezone=ZoneInfo(zone), pattern=DAILY, undated_by_age=True),
    ):
        assert rules.key(rules.batch_of("sales.csv", MODIFIED)) == key


@pytest.mark.parametrize(
    ("cadence", "pattern", "name", "rule"),
    [
        pytest.param(Cadence.DAILY, DAILY, "sales.csv", "no_batch_in_name", id="no date"),
        pytest.param(Cadence.DAILY, DAILY, "s_2023-02-29.csv", "no_batch_in_name", id="no such day"),
        pytest.param(Cadence.HOURLY, HOURLY, "s_20240229.csv", "no_batch_in_name", id="a part that is missing"),
        pytest.param(Cadence.HOURLY, HOURLY, "s_20240229T24.csv", "no_batch_in_name", id="hour 24"),
        pytest.param(Cadence.DAILY, DAILY, "s_2024-02-29.repair.csv", "no_batch_in_name", id="repair: misplaced"),
        pytest.param(Cadence.DAILY, DAILY, "2024-02-29-07.repair.csv", "no_batch_in_name", id="repair: an hour"),
        pytest.param(Cadence.HOURLY, HOURLY, "2024-02-29.repair.csv", "no_batch_in_name", id="repair: no hour"),
        pytest.param(Cadence.DAILY, DAILY, "s_1999-12-31.csv", "batch_out_of_range", id="before the start"),
    ],
)
def test_refused_names(cadence: Cadence, pattern: re.Pattern[str], name: str, rule: str) -> None:
    """A name without a usable date is refused, and the message names the file."""
    with pytest.raises(FileRefused, match=re.escape(repr(name))) as caught:
        batching(cadence, pattern=pattern).batch_of(name, MODIFIED)
    assert caught.value.rule == rule


@given(moment=st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1)), cadence=st.sampled_from(Cadence))  # noqa: DTZ001
def test_batches_follow_each_other(moment: dt.datetime, cadence: Cadence) -> None:
    """Every moment lies in exactly one batch, which ends where the next one begins, and keys sort as batches do."""
    rules = batching(cadence)
    batch = rules.floor(moment)
    after = rules.after(batch)
    start, end = (dt.datetime.fromisoformat(str(item)) for item in (batch, after))
    assert start <= moment < end
    assert rules.floor(end - dt.timedelta(microseconds=1)) == batch
    assert rules.from_key(rules.key(batch)) == batch
    assert rules.key(batch) < rules.key(after)


def test_the_batch_under_way() -> None:
    """The current batch is that of the feed's own time zone."""
    assert batching(Cadence.DAILY, timezone=ZoneInfo("Asia/Tokyo")).current(MODIFIED) == dt.date(2024, 4, 1)


def found(name: str) -> FoundFile:
    """A file of that name."""
    return FoundFile(name, name, 1, int(MODIFIED.timestamp() * 1e9))


def test_a_name_that_tells_two_batches() -> None:
    """A new file with dates of two batches is refused with both; one that was accepted before keeps the first."""
    name, rules = "2024-02-01_2024-02-29.csv", batching(Cadence.DAILY, pattern=DAILY)
    with pytest.raises(FileRefused, match="2024-02-01 and 2024-02-29") as refused:
        rules.batch_for(found(name))
    assert refused.value.rule == "ambiguous_batch"
    assert rules.batch_of(name, MODIFIED) == dt.date(2024, 2, 1)


def test_a_word_that_is_no_month() -> None:
    """A name with such a word in a month's place tells no batch."""
    with pytest.raises(FileRefused) as refused:
        batching(Cadence.MONTHLY, pattern=WORDS).batch_of("sales Foo 24.csv", MODIFIED)
    assert refused.value.rule == "no_batch_in_name"


def test_years_follow_each_other() -> None:
    """A yearly batch ends with its year, and a moment falls into its own."""
    rules = batching(Cadence.YEARLY)
    assert rules.after(dt.date(2024, 1, 1)) == dt.date(2025, 1, 1)
    assert rules.current(MODIFIED) == dt.date(2024, 1, 1)

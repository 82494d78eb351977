"""Numbers as they are read on the page."""

import datetime as dt
from decimal import Decimal

import pytest

from orchestration_project.components.charts import percent, whole
from orchestration_project.components.pages.skeleton import moment, seconds, size
from orchestration_project.defs.sales_report.page import money


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(whole(1234567), "1,234,567", id="count"),
        pytest.param(money(Decimal("-1234.5")), "-1,234.50", id="amount"),
        pytest.param(money(Decimal()), "0.00", id="no amount"),
        pytest.param(percent(0.0123), "1.2%", id="share"),
        pytest.param(percent(0.00001), "<0.1%", id="a little is not nothing"),
        pytest.param(percent(0.0), "0.0%", id="nothing"),
        pytest.param(size(999), "999 B", id="bytes"),
        pytest.param(size(1000), "1.0 kB", id="kilobyte"),
        pytest.param(size(3_000_000_000), "3.0 GB", id="gigabytes"),
        pytest.param(size(5 * 10**16), "50,000.0 TB", id="more than there is"),
        pytest.param(size(-1500.4), "-1.5 kB", id="less than before"),
        pytest.param(seconds(1.25), "1.2 s", id="seconds"),
        pytest.param(seconds(60), "1 min", id="a minute"),
        pytest.param(seconds(185.9), "3 min 5 s", id="minutes"),
        pytest.param(seconds(3 * 3600 + 59), "3 h", id="hours"),
        pytest.param(seconds(90_000), "1 d 1 h", id="days"),
        pytest.param(moment(1705307400.0), "2024-01-15 08:30 UTC", id="seconds since the epoch"),
        pytest.param(moment(dt.datetime(2024, 1, 15, 8, 30)), "2024-01-15 08:30 UTC", id="of the warehouse"),  # noqa: DTZ001
        pytest.param(
            moment(dt.datetime(2024, 1, 15, 8, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))),
            "2024-01-15 06:30 UTC",
            id="of another zone",
        ),
    ],
)
def test_format(found: str, expected: str) -> None:
    """Each kind of number has one form."""
    assert found == expected


@pytest.mark.parametrize("written", [whole, money, percent, size, moment, seconds])
def test_what_is_not_known(written: object) -> None:
    """Nothing known is a dash in every form."""
    assert callable(written)
    assert written(None) == "-"

"""Values are exact or refused: what looks like a value of the declared type and is not quite one."""

from decimal import Decimal
from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Bound, MultipleOf, OneOf, Parsing, Rule
from orchestration_project_tests.ingest.shop import column, feed, read
from orchestration_project_tests.ingest.test_values import formatted
from orchestration_project_tests.reliability.evidence import tried

pytestmark = pytest.mark.promise("input")


@pytest.mark.found("A number with many digits and an exponent stopped its feed, and the log quoted it.")
def test_a_long_number_with_an_exponent(tmp_path: Path) -> None:
    """It is read to its last digit, or rejected for its type; the records beside it load."""
    texts = ["7.250125012501250125012501e24", "7.25e35", "7.25e36", "7.250125012501250125012501e21", "1.5"]
    contract = feed(column("v", "DECIMAL(38,2)", classification="personal", personal=True))
    shop = read(tmp_path, "v\n" + "".join(f"{text}\n" for text in texts), contract)
    exact = [Decimal(texts[0]), Decimal(texts[1]), Decimal("1.50")]
    assert shop.cleaned("v") == exact
    assert shop.rejected() == {3: ["v: type"], 4: ["v: type"]}


@pytest.mark.parametrize(
    ("sql_type", "texts", "cleaned"),
    [
        pytest.param("DECIMAL(9,2)", ["1e-20", "2.00000000000000000001e0", "2.50e0"], ["2.50"], id="digits beyond"),
        pytest.param("DECIMAL(4,1)", ["0.00047e5", "0.0047555e5"], ["47.0"], id="digits behind many zeros"),
        pytest.param("DECIMAL(38,38)", ["12345.6e-20"], ["1.2345600000000000000000E-16"], id="no whole part"),
        pytest.param("DOUBLE", ["-0", "-0.0e5", "1e-999", "2e-300"], ["0.0", "0.0", "2e-300"], id="doubles"),
        pytest.param("FLOAT", ["-0.0", "1e-60"], ["0.0"], id="floats"),
    ],
)
@pytest.mark.found("Numbers with an exponent were rounded: 1e-20 was 0.00, and -0 kept its sign as a double.")
def test_no_digit_is_lost(sql_type: str, texts: list[str], cleaned: list[str], tmp_path: Path) -> None:
    """A number is the one that the text says, or rejected for its type."""
    shop = read(tmp_path, "v\n" + "".join(f"{text}\n" for text in texts), feed(column("v", sql_type)))
    assert [str(value) for value in shop.cleaned("v")] == cleaned
    assert len(shop.rejected()) == len(texts) - len(cleaned)
    tried(len(texts))


@pytest.mark.parametrize(
    ("parsing", "beginning"),
    [
        pytest.param(Parsing(has_timezone=True), "2024-01-02 03:04:05", id="ISO"),
        pytest.param(formatted("dd.MM.yyyy HH:mm XXX"), "02.01.2024 03:04 ", id="declared"),
    ],
)
@pytest.mark.found("An offset of +99:99 was accepted and moved the moment by four days.")
def test_offsets_that_are_none(parsing: Parsing, beginning: str, tmp_path: Path) -> None:
    """An offset has up to 18 hours, and minutes up to 59."""
    offsets = ["+99:99", "+05:60", "+18:01", "-19:00", "+05:45", "-18:00"]
    content = "v\n" + "".join(f"{beginning}{offset}\n" for offset in offsets)
    shop = read(tmp_path, content, feed(column("v", "TIMESTAMPTZ", parsing=parsing)))
    assert shop.rejected() == {number: ["v: type"] for number in (1, 2, 3, 4)}
    tried(len(offsets))


@pytest.mark.found("Moments before year 1 and after year 9999 were taken, and digits beyond microseconds cut off.")
def test_moments_that_a_timestamp_can_not_hold(tmp_path: Path) -> None:
    """Years are 1 to 9999, in UTC too, and no part of a second is lost."""
    zoned = Parsing(has_timezone=True)
    contract = feed(
        column("plain", "TIMESTAMP"),
        column("zoned", "TIMESTAMPTZ", parsing=zoned),
        column("fine", "TIMESTAMP", parsing=formatted("yyyy-MM-dd HH:mm:ss.SSSSSSSSS")),
    )
    rows = [
        "0000-01-01 00:00:00,9999-12-31 23:00:00-05:00,2024-01-02 03:04:05.123456789",
        "0001-01-01 00:00:00,9999-12-31 23:00:00+05:00,2024-01-02 03:04:05.123456000",
        "2024-01-01 00:00:00,0001-01-01 00:00:00+05:00,2024-01-02 03:04:05.000000000",
    ]
    shop = read(tmp_path, "plain,zoned,fine\n" + "\n".join(rows) + "\n", contract)
    assert shop.rejected() == {1: ["plain: type", "zoned: type", "fine: type"], 3: ["zoned: type"]}
    tried(9)


@pytest.mark.parametrize(
    ("rule", "rejected"),
    [
        pytest.param(Bound("minimum", "0.001"), [1], id="minimum"),
        pytest.param(Bound("exclusiveMinimum", "0.009"), [1], id="exclusive minimum"),
        pytest.param(Bound("maximum", "0.019"), [3, 4], id="maximum"),
        pytest.param(Bound("exclusiveMaximum", "0.021"), [4], id="exclusive maximum"),
        pytest.param(MultipleOf("0.015"), [2, 3], id="multiple"),
        pytest.param(MultipleOf("0.0001"), [], id="multiple of a part"),
        pytest.param(OneOf(("0", "0.010", "0.011")), [3, 4], id="enum"),
        pytest.param(OneOf(("0.001",)), [1, 2, 3, 4], id="enum of nothing"),
    ],
)
@pytest.mark.found("A limit with more decimals than its column stopped a feed at its first number of 36 digits.")
def test_limits_with_more_decimals_than_the_column(rule: Rule, rejected: list[int], tmp_path: Path) -> None:
    """The limit means what it says, however large a number is."""
    texts = ["0", "0.01", "0.02", "9" * 35 + "8.01"]
    shop = read(tmp_path, "v\n" + "".join(f"{text}\n" for text in texts), feed(column("v", "DECIMAL(38,2)", rule)))
    assert sorted(shop.rejected()) == rejected
    tried(len(texts))

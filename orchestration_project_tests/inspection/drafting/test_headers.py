"""Which of the first records of a table is its header."""

import pytest

from orchestration_project.inspection.drafting.headers import header_among

DATA = [["A-1", "Mug", "12", "1.50"], ["A-2", "Cup", "7", "2.50"], ["A-3", "Pot", "1", "9.00"]]
NAMES = ["sku", "label", "units", "price"]


@pytest.mark.parametrize(
    ("above", "header", "records"),
    [
        pytest.param([], NAMES, DATA, id="the first record"),
        pytest.param([["Report", "", "", ""], [""] * 4], NAMES, DATA, id="titles as wide as the table"),
        pytest.param([["Shop", "Berlin", "EUR", ""]], NAMES, DATA, id="words nearly as wide as the table"),
        pytest.param([["From", "2024-03-01", "to", "2024-03-05"]], NAMES, DATA, id="a period as wide as the table"),
        pytest.param([], ["sku", "2022", "2023", "2024"], [[r[0], *r[2:], "3"] for r in DATA], id="years"),
        pytest.param([], NAMES, [["A-0", "Urn", "free", "none"], *DATA], id="a record without values"),
        pytest.param([], ["a", "x"], [["r", "1.5e-3"], ["s", "2.5"], ["t", "3.5"]], id="exponents"),
        pytest.param([], ["a", "at"], [["r", "2024-01-31T10:00:00Z"], ["s", "n"]], id="moments"),
        pytest.param([], ["a", "b"], [["x", "y"], ["z", "w"]], id="nothing but words"),
        pytest.param([], [*NAMES, "", "", "", "", ""], [[*r, "", "", "", "", ""] for r in DATA], id="trailing commas"),
    ],
)
def test_the_header_is_found(above: list[list[str]], header: list[str], records: list[list[str]]) -> None:
    """It stands above the values, whatever stands above it."""
    found = header_among([*above, header, *records])
    assert found is not None
    assert [name for name in found[1] if name] == [name for name in header if name]


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(DATA, id="records only"),
        pytest.param([*DATA, ["total", "of", "all", "things"], *DATA], id="words among records"),
        pytest.param([["A-1", "2022", "2023"], ["A-2", "2021", "2024"], ["A-3", "2020", "2022"]], id="years as values"),
        pytest.param([["1"], ["2"]], id="one column"),
        pytest.param([], id="nothing"),
    ],
)
def test_no_header_is_made_up(records: list[list[str]]) -> None:
    """Records are not taken for one."""
    assert header_among(records) is None

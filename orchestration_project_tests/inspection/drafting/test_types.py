"""The query that chooses a column's type: values in, for each type the number of values that it reads out."""

import duckdb
import pytest

from orchestration_project.inspection.drafting.types import TypeOption, options_with_scores


def scores(values: dict[str, int], *kinds: str) -> list[tuple[TypeOption, int]]:
    """The options that read any of some values, with how many; values have the number of their records."""
    options, query = options_with_scores(frozenset(kinds), (), False)
    with duckdb.connect() as connection:
        row = connection.execute(query, [[*values], [*values.values()]]).fetchone() or ()
    return [(option, score) for option, score in zip(options, row, strict=True) if score]


@pytest.mark.parametrize(
    ("values", "best", "score"),
    [
        pytest.param({"1": 2, "20": 3, "x": 1}, ("BIGINT", {}), 5, id="records are counted, not values"),
        pytest.param({"1.5": 1, "2": 1}, ("DECIMAL(38,12)", {}), 2, id="a decimal point"),
        pytest.param(
            {"1.234,5": 1, "2,25": 1},
            ("DECIMAL(38,12)", {"decimalSeparator": ",", "thousandsSeparator": "."}),
            2,
            id="a decimal comma and grouped thousands",
        ),
    ],
)
def test_values_give_the_number_that_each_type_reads(
    values: dict[str, int], best: tuple[str, dict[str, str]], score: int
) -> None:
    """The first option with the highest score is the type of the values."""
    found = scores(values, "integer", "number")
    option, highest = max(found, key=lambda item: item[1])
    assert ((option.physical, option.custom), highest) == (best, score)


def test_each_form_of_a_date_has_its_score() -> None:
    """Of an ambiguous date both forms are counted, of one with a day above 12 only one."""
    found = scores({"01/02/2024": 4, "31/01/2024": 1}, "date")
    assert {option.options["format"]: score for option, score in found} == {
        "dd/MM/yyyy": 5,
        "MM/dd/yyyy": 4,
        "d/M/yyyy": 5,
        "M/d/yyyy": 4,
    }

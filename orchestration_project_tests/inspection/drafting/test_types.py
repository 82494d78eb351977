"""The types that values have the form of, and how many values of many columns a type reads, by one query."""

from collections.abc import Sequence

import duckdb
import pytest

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.inspection.drafting.options import TypeOption, options_for
from orchestration_project.inspection.drafting.values import ColumnValues, Fit

INTEGER, DECIMAL = TypeOption("BIGINT", "integer"), TypeOption("DECIMAL(38,12)", "number")


@pytest.mark.parametrize(
    ("values", "forms"),
    [
        pytest.param(["01/02/2024"], ["dd/MM/yyyy", "MM/dd/yyyy", "d/M/yyyy", "M/d/yyyy"], id="ambiguous"),
        pytest.param(["31.01.24 9:05"], ["dd.MM.yy H:mm", "d.M.yy H:mm"], id="a short clock"),
        pytest.param(["Jan 5, 2024, 10:15 PM"], ["MMM d, yyyy, h:mm a"], id="a month by name"),
        pytest.param(["5 Jan 2024 9:05 UTC"], ["d MMM yyyy H:mm z"], id="a zone"),
        pytest.param(["2024-01-31T10:00:00Z"], [None], id="ISO 8601 needs no format"),
        pytest.param(["a", "b-c", ""], [], id="words"),
    ],
)
def test_forms_of_moments(values: list[str], forms: list[str | None]) -> None:
    """Only forms that a value has are tried; there are thousands."""
    found = options_for(values, comma_first=False)
    assert [option.options.get("format") for option in found if option.logical in ("date", "timestamp")] == forms


def values_of(*columns: Sequence[str | None]) -> ColumnValues:
    """Columns `c0`, `c1`, ... with the same number of records."""
    names = [f"c{number}" for number in range(len(columns))]
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE raw_f ({', '.join(f'{name} VARCHAR' for name in names)})")
    marks = ", ".join("?" * len(names))
    connection.executemany(f"INSERT INTO raw_f VALUES ({marks})", list(zip(*columns, strict=True)))
    feed = Feed("f", "0", tuple(Column(name, "VARCHAR", name) for name in names))
    return ColumnValues(connection, feed, names, 100)


def test_texts_of_columns() -> None:
    """Records and different values are counted; words for no value and lost zeros stand apart."""
    one, two = values_of(["1", " 1", "N/A", None], ["007", "a", "", "012.3"]).texts()
    assert (one.present, one.distinct, one.tried, one.words, one.zeros) == (3, 2, {"1": 2}, {"N/A": 1}, 0)
    assert (two.present, two.distinct, two.tried, two.words, two.zeros) == (3, 3, {"007": 1, "a": 1, "012.3": 1}, {}, 2)


def test_scores_and_fits_of_several_columns() -> None:
    """One query tells for several columns how many records a type reads, and how large numbers are."""
    values = values_of(["1", "20", "1.50", "x"], ["7", "7", "8", "9"])
    values.texts()
    assert values.scores(INTEGER, ["c0", "c1"]) == {"c0": 2, "c1": 4}
    assert values.fits(DECIMAL, ["c0"]) == {"c0": Fit(0, 1, 20, 1, 2, 0)}

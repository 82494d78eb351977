"""Comparisons in words; the words of rules are tested with the checks that they describe."""

from typing import get_args

import pytest

from orchestration_project.contracts.describe import COMPARISONS, comparison_in_words
from orchestration_project.contracts.feed import Comparison, Operator


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        pytest.param(Comparison("mustBe", (0,)), "0", id="equal"),
        pytest.param(Comparison("mustNotBe", (7,)), "other than 7", id="not equal"),
        pytest.param(Comparison("mustBeLessThan", (2.5,)), "less than 2.5", id="less"),
        pytest.param(Comparison("mustBeBetween", (1, 1_000)), "between 1 and 1000", id="between"),
    ],
)
def test_comparisons_in_words(comparison: Comparison, words: str) -> None:
    """A comparison reads as the end of a sentence, its limits without needless zeros."""
    assert comparison_in_words(comparison) == words


def test_every_operator_has_words() -> None:
    """No operator of the standard is left without words."""
    assert set(COMPARISONS) == set(get_args(Operator))

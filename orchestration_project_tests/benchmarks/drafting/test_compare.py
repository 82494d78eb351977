"""Which differences between a draft and the right contract are edits, and of which kind."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.drafting.compare import WHOLE, Draft, Right, comments_of, edits
from orchestration_project.contracts.feed import Column, Feed, FileFormat, Parsing, Required, SourceFormat
from orchestration_project.contracts.ignored_rules import IgnoredLast
from orchestration_project.contracts.outside import FillDown

TEXT = """\
# made of few records
      # check: sold is unique
      - name: sold  # check: or thousands
        physicalType: DATE
      - name: price
"""


def column(name: str = "sold", sql_type: str = "DATE", **more: Any) -> Column:
    return Column(name, sql_type, name.upper(), **more)


def feed(*columns: Column, **more: Any) -> Feed:
    return Feed("f", "1", columns or (column(),), **more)


def kinds(
    found: Feed, wanted: Feed, says: Mapping[str, Mapping[str, str]] | None = None, ignored: Sequence[int] = (0,)
) -> list[str]:
    right = Right(wanted, says or {}, "daily", [None], [0])
    return [edit.kind for edit in edits(Draft(found, TEXT, "daily", [None], ignored), right)]


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        pytest.param(feed(), feed(), [], id="alike"),
        pytest.param(feed(source=SourceFormat(encoding="cp1252")), feed(), ["file"], id="encoding"),
        pytest.param(feed(source=SourceFormat(FileFormat.JSON)), feed(), ["file"], id="file format"),
        pytest.param(feed(column(), column("more")), feed(), ["column"], id="a column too many"),
        pytest.param(feed(column("sold", "VARCHAR")), feed(), ["type"], id="kind of type"),
        pytest.param(feed(column("n", "INTEGER")), feed(column("n", "BIGINT")), ["type"], id="too narrow"),
        pytest.param(feed(column("n", "BIGINT")), feed(column("n", "INTEGER")), [], id="wider"),
        pytest.param(feed(column("n", "DECIMAL(18,2)")), feed(column("n", "DECIMAL(9,3)")), ["type"], id="scale"),
        pytest.param(feed(column("n", "DECIMAL(18,3)")), feed(column("n", "DECIMAL(9,2)")), [], id="larger scale"),
        pytest.param(feed(column(rules=(Required(),))), feed(), ["required"], id="required"),
        pytest.param(feed(column(personal=True)), feed(), ["personal"], id="personal"),
        pytest.param(feed(column(fill_down=FillDown())), feed(), ["value"], id="fill down"),
        pytest.param(feed(primary_key=("sold",)), feed(), ["key"], id="key"),
        pytest.param(feed(column(parsing=Parsing(date_format="%d"))), feed(), ["format"], id="form of dates"),
        pytest.param(feed(column(parsing=Parsing(null_words=("-",)))), feed(), ["words"], id="words"),
        pytest.param(
            feed(column("n", "INTEGER", parsing=Parsing(decimal_separator=",", thousands_separator="."))),
            feed(column("n", "INTEGER")),
            ["number", "number"],
            id="separators",
        ),
        pytest.param(
            feed(column("n", "VARCHAR", parsing=Parsing(decimal_separator=","))),
            feed(column("n", "VARCHAR")),
            [],
            id="separators of a text",
        ),
    ],
)
def test_a_difference_is_an_edit(found: Feed, wanted: Feed, expected: list[str]) -> None:
    """Each line that has to change is an edit of its kind; what does not matter to the right type is none."""
    assert kinds(found, wanted) == expected


def test_all_lines_of_a_missing_column_are_edits() -> None:
    """A column that the draft lacks has to be written: its name, its type, its rules."""
    wanted = feed(column(), column("price", "INTEGER", rules=(Required(),), personal=True))
    assert kinds(feed(), wanted) == ["column", "type", "required", "personal"]


def test_other_ignored_records_are_an_edit_for_each_rule() -> None:
    """The rules of both may be written otherwise, as long as they ignore as many records of each sample."""
    rules = feed(ignored=(IgnoredLast("total", 1),))
    assert kinds(rules, feed(), ignored=[1]) == ["ignored"]
    assert kinds(rules, feed(), ignored=[0]) == []


def test_a_refused_draft_is_compared_with_nothing() -> None:
    """Where there is no draft, everything has to be written, the defs.yaml too."""
    right = Right(replace(feed(), ignored=(IgnoredLast("total", 1),)), {}, "daily", [None], [1])
    found = [edit.kind for edit in edits(Draft(Feed("draft", "0", ())), right)]
    assert found == ["batch", "batch", "column", "type", "ignored"]


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        pytest.param({"sold": {"type": "thousands"}}, [], id="said"),
        pytest.param({"sold": {"type": "Thousands|unique"}}, [], id="case does not count"),
        pytest.param({"sold": {"type": "records"}}, ["unsaid"], id="said elsewhere"),
        pytest.param({WHOLE: {"key": "few records"}}, [], id="of the whole"),
        pytest.param({"sold": {"type": ""}}, [], id="either is right"),
    ],
)
def test_what_samples_cannot_tell(says: Mapping[str, Mapping[str, str]], expected: list[str]) -> None:
    """The draft may choose if it says so in a comment; then the choice itself is no edit."""
    found, wanted = feed(column("sold", "DECIMAL(18,3)"), primary_key=("sold",)), feed(primary_key=("sold",))
    kept = ["type"] if WHOLE in says else []
    assert kinds(found, wanted, says) == [*kept, *expected]


def test_comments_of_a_column() -> None:
    """They stand above its name, and on its lines up to the next column."""
    assert comments_of(TEXT, "sold").split() == "check: sold is unique check: or thousands".split()
    assert comments_of(TEXT, "price") == ""
    assert "made of few records" in comments_of(TEXT, None)

"""Properties as columns."""

from typing import Any

import pytest

from orchestration_project.contracts.columns import is_personal
from orchestration_project.contracts.feed import Column, Parsing, Required
from orchestration_project_tests.contracts.conftest import Load, Problems, contract, custom, text


def test_column(load: Load) -> None:
    """What a contract says about a column is what the column says."""
    prop = text(
        physicalName="A b", required=True, unique=True, description="What\n it is", classification="Restricted",
        synonyms=[{"synonym": "AA"}], **custom(aliases=["x", "a B", "aa"], nullValues="n/a, -", trim=False),
    )  # fmt: skip
    assert load(contract(prop)).columns == (
        Column(
            name="a", sql_type="VARCHAR", source="A b", aliases=("AA", "x"), rules=(Required(),), unique=True,
            parsing=Parsing(null_words=("n/a", "-"), trim=False), description="What it is",
            classification="Restricted", personal=True,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("classification", "personal"),
    [
        pytest.param("", False, id="none"),
        pytest.param("Public", False, id="public"),
        pytest.param("non-personal", False, id="non-personal"),
        pytest.param("internal", False, id="internal"),
        pytest.param("personal", True, id="personal"),
        pytest.param("PII", True, id="PII"),
        pytest.param("confidential", True, id="confidential"),
        pytest.param("persnal", True, id="unknown words are masked"),
    ],
)
def test_personal(classification: str, personal: bool) -> None:
    assert is_personal(classification) is personal


def test_derived_columns_follow_what_they_use(load: Load) -> None:
    """Source columns keep their places; derived ones share theirs in the order in which they can be computed."""
    feed = load(
        contract(
            text("c", transformLogic="B || 'c'"),
            text("a"),
            text("b", transformLogic="a || 'b'"),
            text("d", transformLogic="lower(a)"),
        )
    )
    assert [column.name for column in feed.columns] == ["b", "a", "c", "d"]
    assert [column.expression for column in feed.derived_columns] == ["\"a\" || 'b'", "\"b\" || 'c'", 'LOWER("a")']


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        pytest.param([text("1a")], "schema[0].properties[0].name: column '1a': allowed: a letter", id="digit first"),
        pytest.param([text("_file")], "allowed: a letter", id="platform's names"),
        pytest.param([text("a b")], "goes to physicalName", id="header as name"),
        pytest.param([text("a"), text("A")], "already that of properties[0]", id="name twice"),
        pytest.param([text("a"), text("b", physicalName=" A ")], "is also that of column 'a'", id="header twice"),
        pytest.param([text("a"), text("b", **custom(aliases="x,A"))], "is also that of column 'a'", id="alias twice"),
        pytest.param([text(physicalName=" ")], "is blank", id="blank header"),
        pytest.param([text(transformLogic="a || 'x'")], "in a circle", id="own value"),
        pytest.param(
            [text("x"), text("a", transformLogic="b"), text("b", transformLogic="a")],
            "the transformLogic of a, b use each other in a circle", id="circle",
        ),
        pytest.param([text(transformLogic="'x'")], "at least one column that is read from the file", id="only derived"),
        pytest.param(
            [text(), text("b", transformLogic="a", physicalName="B")], "computed, not read from the file", id="header"
        ),
        pytest.param([text("RowId")], "DuckDB's own name", id="rowid"),
        pytest.param([text(), text("b", transformLogic="a", unique=True)], "is not supported", id="unique derived"),
        pytest.param([text(), text("b", transformLogic="a", primaryKey=True)], "is not supported", id="derived key"),
        pytest.param([{"name": "a", "logicalType": "object", "properties": []}], "object is not supp", id="object"),
        pytest.param([text(items={"physicalType": "INT"})], "nested values are not supported", id="items"),
        pytest.param([text(semanticType="measure")], "measure is an aggregate", id="measure"),
        pytest.param([text(primaryKeyPosition=1)], "no effect without `primaryKey: true`", id="position of no key"),
        pytest.param(
            [text("a", primaryKey=True, primaryKeyPosition=1), text("b", primaryKey=True, primaryKeyPosition=1)],
            "the same primaryKeyPosition: 1, 1", id="position twice",
        ),
    ],
)  # fmt: skip
def test_refused(properties: list[dict[str, Any]], message: str, problems: Problems) -> None:
    assert any(message in problem for problem in problems(contract(*properties))), problems(contract(*properties))


def test_primary_key(load: Load) -> None:
    """Key columns are required and come by position, those without one last."""
    feed = load(
        contract(
            text("a", primaryKey=True),
            text("b", primaryKey=True, primaryKeyPosition=2, required=False),
            text("c", primaryKey=True, primaryKeyPosition=1),
            text("d"),
        )
    )
    assert feed.primary_key == ("c", "b", "a")
    assert [column.required for column in feed.columns] == [True, True, True, False]

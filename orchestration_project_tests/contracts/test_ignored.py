"""`ignoredRecords` of a contract: what is read, and what is refused with its place."""

from typing import Any

import pytest

from orchestration_project.contracts import load_feed
from orchestration_project.contracts.errors import ContractError
from orchestration_project.contracts.ignored_rules import ControlTotal, IgnoredLast, IgnoredPrefix, IgnoredWhere
from orchestration_project.ingest.patterns import refused_conditions
from orchestration_project_tests.contracts.conftest import Load, Problems, contract, custom, number, text

RULE = {"name": "totals", "condition": "a IS NULL"}


def ignoring(*rules: Any, file_format: str = "csv", value: Any = None) -> dict[str, Any]:
    """A contract of the columns `a`, `n`, `wide` and `d` that ignores records."""
    columns = [
        text(),
        number(),
        {"name": "wide", "physicalType": "DECIMAL(38,2)"},
        {"name": "d", "physicalType": "DOUBLE"},
        {"name": "twice", "physicalType": "DECIMAL(9,2)", "transformLogic": "n * 2"},
    ]
    server = {"server": "landing", "type": "local", "path": "landing", "format": file_format}
    document = contract(*columns, servers=[server])
    document["schema"][0] |= custom(ignoredRecords=list(rules) if value is None else value)
    return document


def test_rules_are_read(load: Load) -> None:
    """Each kind of rule, in the order of the contract, with columns as declared and quoted."""
    total = {"column": "n", "severity": "error"}
    found = load(
        ignoring(
            {"name": "totals", "condition": "A is null and _raw_line like 'T%'", "controlTotal": total},
            {"name": "last_one", "last": 1},
            {"name": "comments", "prefix": "#"},
        )
    ).ignored
    assert found == (
        IgnoredWhere(
            "totals", '"a" IS NULL AND "_raw_line" LIKE \'T%\'', ("a", "_raw_line"), (ControlTotal("n", True),)
        ),
        IgnoredLast("last_one", 1),
        IgnoredPrefix("comments", "#"),
    )


@pytest.mark.parametrize("severity", ["warning", "info", None])
def test_only_an_error_blocks(severity: str | None, load: Load) -> None:
    """Another severity than error, or none, loads and warns."""
    total = {"column": "n"} | ({"severity": severity} if severity else {})
    (rule,) = load(ignoring({"name": "end", "last": 1, "controlTotal": total})).ignored
    assert rule.totals == (ControlTotal("n", False),)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([{**RULE, "condition": "a = (SELECT 1)"}], "the query (SELECT 1) is not allowed", id="subquery"),
        pytest.param([{**RULE, "condition": "read_text('x') = a"}], "function read_text is not allowed", id="files"),
        pytest.param([{**RULE, "condition": "now() > a"}], "is not allowed", id="clock"),
        pytest.param([{**RULE, "condition": "a IS NULL; DROP TABLE x"}], "must be one SQL expression", id="statements"),
        pytest.param([{**RULE, "condition": "b IS NULL"}], "unknown column 'b'", id="column"),
        pytest.param([{**RULE, "condition": "twice IS NULL"}], "unknown column 'twice'", id="computed column"),
        pytest.param([{**RULE, "condition": True}], "found true; allowed: a SQL condition", id="no text"),
        pytest.param([{**RULE, "conditon": "x"}], "'conditon' is not known", id="slip"),
        pytest.param([{**RULE, "last": 1}], "needs exactly one of condition, last, prefix", id="two kinds"),
        pytest.param([{"name": "x"}], "needs exactly one of condition, last, prefix; found none", id="no kind"),
        pytest.param([RULE, RULE], "several rules are called totals", id="one name"),
        pytest.param([{**RULE, "name": "My Totals"}], "found 'My Totals'; allowed: a small letter", id="name"),
        pytest.param([{"name": "x", "last": 0}], "found 0; allowed: a number of records", id="none of the last"),
        pytest.param([{"name": "x", "last": True}], "found true; allowed: a number of records", id="true"),
        pytest.param([{"name": "x", "last": 1}, {"name": "y", "last": 2}], "only one rule may have last", id="lasts"),
        pytest.param([{"name": "x", "prefix": " #"}], "without blanks around it", id="blank before a prefix"),
        pytest.param(["totals"], "found 'totals'; allowed: a mapping", id="no mapping"),
        pytest.param(
            [{**RULE, "controlTotal": {"column": "d"}}], "d is DOUBLE; a total is compared exactly", id="float"
        ),
        pytest.param([{**RULE, "controlTotal": {"column": "wide"}}], "at most 28 digits", id="too many digits"),
        pytest.param([{**RULE, "controlTotal": {"column": "a"}}], "a is VARCHAR", id="total of texts"),
        pytest.param([{**RULE, "controlTotal": {"column": "twice"}}], "unknown column 'twice'", id="computed total"),
        pytest.param([{**RULE, "controlTotal": {"column": "n", "severity": "eror"}}], "found 'eror'", id="severity"),
        pytest.param([{**RULE, "controlTotal": {"colum": "n"}}], "did you mean 'column'?", id="slip in a total"),
        pytest.param(
            [{**RULE, "controlTotal": "n"}], "allowed: a mapping with column and severity", id="total as text"
        ),
        pytest.param(
            [{"name": "x", "last": 2, "controlTotal": {"column": "n"}}], "one record of a file", id="two records"
        ),
        pytest.param(
            [{"name": "x", "prefix": "#", "controlTotal": {"column": "n"}}], "one record of a file", id="comments"
        ),
        pytest.param(
            [
                {**RULE, "controlTotal": {"column": "n"}},
                {"name": "x", "last": 1, "controlTotal": {"column": "n"}},
            ],
            "several control totals are of the column n",
            id="two totals of a column",
        ),
    ],
)
def test_refused(rules: list[Any], expected: str, problems: Problems) -> None:
    """What can't be meant is told with its place."""
    found = problems(ignoring(*rules))
    assert any(expected in problem for problem in found), found
    assert all(problem.startswith("schema[0].customProperties[0].value") for problem in found)


@pytest.mark.parametrize("value", ["a IS NULL", [], {"name": "x"}, 1])
def test_no_list(value: Any, problems: Problems) -> None:
    """Anything but a list with rules is refused."""
    (problem,) = problems(ignoring(value=value))
    assert "allowed: a list of mappings with name and one of condition, last, prefix" in problem


@pytest.mark.parametrize("file_format", ["parquet", "xlsx"])
def test_files_without_lines_have_no_prefix(file_format: str, problems: Problems) -> None:
    """A prefix is refused where it would have no effect."""
    (problem,) = problems(ignoring({"name": "x", "prefix": "#"}, file_format=file_format))
    assert f"has no effect on {file_format} files" in problem


def test_it_belongs_to_an_object(problems: Problems) -> None:
    """On a column it would silently do nothing."""
    (problem,) = problems(contract(text(**custom(ignoredRecords=[RULE]))))
    assert "'ignoredRecords' has no effect here; it belongs to an object" in problem


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param("length(a)", "the condition is a BIGINT; it has to be true or false", id="a number"),
        pytest.param("a || 'x'", "the condition is a VARCHAR", id="a text"),
        pytest.param("a > INTERVAL 1 DAY", "DuckDB can't run the condition", id="types that are not compared"),
    ],
)
def test_duckdb_compiles_conditions(condition: str, expected: str, load: Load, tmp_path: Any) -> None:
    """What DuckDB would refuse in a load is told when definitions load."""
    load(ignoring({**RULE, "condition": condition}))
    with pytest.raises(ContractError, match="ignoredRecords 'totals'") as raised:
        load_feed(tmp_path / "f.odcs.yaml", refused_conditions=refused_conditions)
    assert expected in str(raised.value)
    load(ignoring(RULE))
    assert load_feed(tmp_path / "f.odcs.yaml", refused_conditions=refused_conditions).ignored

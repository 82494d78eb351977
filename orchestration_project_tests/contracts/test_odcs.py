"""Documents against the standard's schema."""

from pathlib import Path
from typing import Any

import pytest

from orchestration_project.contracts import ContractError, load_feed
from orchestration_project_tests.contracts.conftest import Load, Problems, contract

OPERATORS = (
    "mustBe, mustNotBe, mustBeGreaterThan, mustBeGreaterOrEqualTo, mustBeLessThan, mustBeLessOrEqualTo,"
    " mustBeBetween, mustNotBeBetween"
)


def column(**fields: Any) -> dict[str, Any]:
    return contract({"name": "a", "logicalType": "integer", **fields})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(contract(nme="x"), "'nme' is not a field of the standard here; did you mean 'name'?", id="field"),
        pytest.param(contract(version=1.0), "version: found 1.0; allowed: text (put it in quotes)", id="version"),
        pytest.param(contract(apiVersion="v2.2.2"), "apiVersion: 'v2.2.2' is not supported", id="old standard"),
        pytest.param(contract(kind="DataProduct"), "kind: found 'DataProduct'; allowed: DataContract", id="kind"),
        pytest.param(
            column(requird=True),
            "schema[0].properties[0]: column 'a': 'requird' is not a field of the standard here; did you mean 'req",
            id="nested field, which the model drops silently",
        ),
        pytest.param(
            column(required="yes"), "properties[0].required: column 'a': found 'yes'; allowed: true or", id="yes"
        ),
        pytest.param(
            column(logicalTypeOptions={"minimun": 1}),
            "logicalTypeOptions: column 'a': 'minimun' is not a field of the standard here; did you mean 'minimum'?",
            id="option",
        ),
        pytest.param(
            column(logicalTypeOptions={"minimum": "1"}),
            "logicalTypeOptions.minimum: column 'a': found '1'; allowed: a number",
            id="type of an option",
        ),
        pytest.param(column(logicalType="integr"), "did you mean 'integer'?", id="logical type"),
        pytest.param(
            column(quality=[{"metric": "nullValues"}]), f"needs exactly one of {OPERATORS}; found none", id="operator"
        ),
        pytest.param(
            column(quality=[{"metric": "nullValues", "mustBe": 0, "mustNotBe": 1}]), "found mustBe, mustNotBe", id="two"
        ),
        pytest.param(column(quality=[{"metric": "nullValues", "mustbe": 0}]), "'mustbe' is not a field", id="spelling"),
        pytest.param(
            column(quality=[{"metric": "nulls", "mustBe": 0}]), "metric: column 'a': found 'nulls'", id="metric"
        ),
        pytest.param(
            column(quality=[{"metric": "nullValues", "mustBeLessThan": "x"}]),
            "mustBeLessThan: column 'a': found 'x'; allowed: a number",
            id="limit",
        ),
        pytest.param(
            column(enum=[{"value": [1]}]), "enum[0].value: column 'a': found [1]; allowed: text or", id="enum"
        ),
        pytest.param(contract(team={"membrs": []}), "team: 'membrs' is not a field", id="branch of a choice"),
        pytest.param(
            contract(servers=[{"server": "x", "type": "local", "path": "x"}]),
            "servers[0]: format is missing",
            id="server",
        ),
        pytest.param("- a", "a contract is a mapping", id="no mapping"),
        pytest.param("a: 1\na: 2", "line 2: the key 'a' is already on line 1", id="duplicate key"),
    ],
)
def test_what_breaks_the_standard(document: Any, message: str, problems: Problems) -> None:
    assert any(message in problem for problem in problems(document)), problems(document)


def test_a_failed_branch_is_not_told_as_unknown_fields(problems: Problems) -> None:
    """One mistake is one problem: the fields of a rule that lacks its operator are not also called unknown."""
    assert len(problems(column(quality=[{"metric": "nullValues", "unit": "rows", "severity": "error"}]))) == 1


def test_several_problems_are_told_at_once(problems: Problems) -> None:
    """All that breaks the standard is told at once."""
    assert len(problems(contract({"name": "a", "x1": 1}, {"physicalType": "DATE"}, {"name": "b", "unique": 1}))) == 3


def test_no_logical_type_is_needed(load: Load) -> None:
    """A physicalType is enough, though the shipped schema would ask such a property for a `map`."""
    document = contract({"name": "a", "physicalType": "INTEGER", "logicalTypeOptions": {"minimum": 1}})
    assert load(document).columns[0].sql_type == "INTEGER"


@pytest.mark.parametrize(
    ("rule", "metric"),
    [
        pytest.param({"rule": "nullValues"}, "nullValues", id="same name"),
        pytest.param({"rule": "duplicateCount"}, "duplicateValues", id="duplicateCount"),
        pytest.param({"rule": "nullValues", "metric": "nullValues"}, "nullValues", id="both"),
    ],
)
def test_rule_is_what_metric_was_called(rule: dict[str, Any], metric: str, load: Load) -> None:
    document = column(quality=[{"type": "library", "mustBe": 0, **rule}])
    feed = load({**document, "apiVersion": "v3.0.2"})
    assert getattr(feed.quality[0], "metric", None) == metric


@pytest.mark.parametrize("version", ["v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0"])
def test_versions_of_the_standard(version: str, load: Load) -> None:
    """Every version from 3.0 on is read."""
    assert load(contract(apiVersion=version)).name == "f"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "can't be read: No such file", id="missing"),
        pytest.param(b"name: caf\xe9", "not UTF-8: byte 9 is 0xe9", id="latin-1"),
        pytest.param(b"\xef\xbb\xbfa: [", "not valid YAML", id="byte order mark"),
    ],
)
def test_unreadable_files(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContractError) as raised:
        load_feed(path)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)

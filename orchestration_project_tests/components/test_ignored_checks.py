"""What the checks of a feed say of records that its contract ignores, and of control totals."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException

from orchestration_project_tests.components.test_file_feed import CONTRACT, DATE, folder
from orchestration_project_tests.components.workbench import Workbench, evaluations, feeds, materializations, value

RULES = """
    customProperties:
      - property: ignoredRecords
        value:
          - {name: totals, condition: "meter = 'Total'", controlTotal: {column: kwh, severity: warning}}
          - {name: comments, prefix: '#'}
"""
DAY, NAME = "2024-03-01", "m_2024-03-01.csv"
OF_RAW = ("ignored_records", "control_totals")


@pytest.fixture
def meters(tmp_path: Path) -> Iterator[Workbench]:
    """A feed of meters that ignores records; which meter it is is personal."""
    contract = CONTRACT.replace("description: The meter.", "classification: confidential, description: The meter.")
    with feeds(meters=folder(contract + RULES, batch_pattern=DATE)) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, tmp_path, instance)


def test_what_is_right_passes(meters: Workbench) -> None:
    """The accounts have the ignored records; the sample shows the first of each rule, personal values masked."""
    meters.drop("meters", NAME, "meter,kwh\n# by hand\nM1,5\nM2,6\nTotal,11\n")
    result = meters.run(job="meters_job", first=DAY)
    found = evaluations(result)
    assert all(found[name].passed for name in (*OF_RAW, "accounting"))
    assert value(found["accounting"].metadata, "ignored") == 2
    assert value(found["ignored_records"].metadata, "by_rule") == [
        {"rule": "totals", "records": 1},
        {"rule": "comments", "records": 1},
    ]
    shown = value(found["ignored_records"].metadata, "sample")
    assert [(row["rule"], row["_row"], row["meter"], row["kwh"], row["_raw_line"]) for row in shown] == [
        ("totals", 4, "***", "11", ""),
        ("comments", 1, "", "", "***"),
    ]
    assert value(materializations(result, "raw_meters")[DAY].metadata, "ignored") == 2
    assert meters.query("SELECT records, cleaned, rejected, blank_records, ignored FROM file_ledger") == [
        (4, 2, 0, 0, 2)
    ]


def test_what_is_odd_warns(meters: Workbench) -> None:
    """Another total is told with both figures, and so is a file most of which is ignored; nothing is stopped."""
    meters.drop("meters", NAME, "meter,kwh\n#\n#\nM1,5\nTotal,6\n")
    result = meters.run(job="meters_job", first=DAY)
    found = evaluations(result)
    assert result.success
    assert [(found[name].passed, found[name].severity) for name in OF_RAW] == [(False, dg.AssetCheckSeverity.WARN)] * 2
    told = "control total of kwh: its total is 6; the 1 records add up to 5"
    assert told in str(found["control_totals"].description)
    assert value(found["control_totals"].metadata, "by_file") == [
        {"file": NAME, "column": "kwh", "totals records": 1, "unreadable": 0, "found": told}
    ]
    assert value(found["ignored_records"].metadata, "by_file") == [
        {"file": NAME, "records": 4, "ignored": 3, "data": 1}
    ]
    assert found["accounting"].passed


def test_other_feeds_have_no_such_checks() -> None:
    """A feed whose contract ignores nothing has neither check."""
    with feeds(meters=folder(batch_pattern=DATE)) as defs:
        checks = {key.name for key in defs.resolve_asset_graph().asset_check_keys}
    assert checks.isdisjoint(OF_RAW)


def test_a_condition_that_duckdb_refuses_is_told_when_definitions_load() -> None:
    """It fails there with the rule's name, not in a load."""
    wrong = folder(CONTRACT + RULES.replace("meter = 'Total'", "length(meter)"), batch_pattern=DATE)
    with pytest.raises(ComponentTreeException) as raised, feeds(meters=wrong):
        pass
    assert "ignoredRecords 'totals': the condition is a BIGINT" in str(raised.value.__cause__)

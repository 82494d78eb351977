"""The runbook, docs/operations.md: each thing that it says to do about an alarm is done, and the alarm is over."""

import re

import pytest

from orchestration_project.alerts.model import Kind
from orchestration_project_tests.components.actions import ACTIONS, Action
from orchestration_project_tests.components.alarming import Alarming
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.reliability import alarm_days

pytestmark = pytest.mark.promise("alerts")
ROW = re.compile(r"^\| `([a-z_]+)` +\|[^|]*\| *([^|]*?) *\|$", re.MULTILINE)
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        pytest.param(kind, action, id=f"{kind}: {words}")
        for kind, actions in ACTIONS.items()
        for words, action in actions.items()
    ],
)
def test_what_the_runbook_says_ends_the_alarm(alarming: Alarming, kind: Kind, action: Action) -> None:
    """Somebody does what the runbook says, by the commands and folders that it names, and is told that it is over."""
    act = action(alarming)
    alarming.tick()
    on = alarming.rows("SELECT id, what FROM alarms WHERE off_since IS NULL")
    of_kind = {name: what for name, what in on if name.partition(":")[0] == kind}
    assert of_kind
    act()
    told = "\n".join(alarming.tick())
    assert not of_kind.keys() & alarming.on
    assert [what for what in of_kind.values() if f"OVER  {what}" not in told] == []


def test_all_that_the_runbook_says_is_tried() -> None:
    """Each alternative of each row of the table is tried by a test, here or in a deployment, and none is left over."""
    text = (REPOSITORY / "docs/operations.md").read_text(encoding="utf-8").partition("## Alarms")[2].partition("## ")[0]
    said = {(kind, words) for kind, cell in ROW.findall(text) for words in LINK.sub(r"\1", cell).split("; or ")}
    tried = [*ACTIONS.items(), *alarm_days.ACTIONS.items()]
    assert said == {(kind, words) for kind, actions in tried for words in actions}
    assert {kind for kind, _ in said} == {*Kind}


def test_what_a_deployment_is_needed_for_is_done_there() -> None:
    """Each action of `alarm_days` is done on one of its days, on which the alarm that it is for is on."""
    days = [alarm_days.BAD_FILES, alarm_days.NOTHING_MOVES]
    done = {(name.partition(":")[0], mend) for day in days for name in day.expected for mend in day.mends}
    assert {(kind, action) for kind, actions in alarm_days.ACTIONS.items() for action in actions.values()} <= done

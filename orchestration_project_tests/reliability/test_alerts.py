"""Alarms as people get them: real files in a real `dagster dev`, and what arrives at a mail server and a webhook."""

from pathlib import Path

import pytest

from orchestration_project.alerts.model import Kind
from orchestration_project_tests.reliability.alarm_days import BAD_FILES, NOTHING_MOVES, Day
from orchestration_project_tests.reliability.alarmed_shop import (
    PATIENCE,
    alarms,
    over,
    shop,
    texts_of,
    told,
    told_the_same,
)
from orchestration_project_tests.reliability.evidence import tried

pytestmark = [
    pytest.mark.promise("alerts"),
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="the processes to kill are found in /proc"),
]

DAYS_AT_THE_SHOP = [pytest.param(BAD_FILES, id="bad files"), pytest.param(NOTHING_MOVES, id="nothing moves")]


@pytest.mark.parametrize("day", DAYS_AT_THE_SHOP)
def test_everybody_hears_once_and_when_it_is_over(tmp_path: Path, day: Day) -> None:
    """Alarms and their ends arrive once at each target; restarts repeat and lose none, a dead target delays none."""
    expected = [*day.expected]
    with shop(tmp_path, day.deliveries, day.settings) as told_shop:
        deployment, hook = told_shop.deployment, told_shop.hook
        told_shop.limits(day.limits)
        day.before(told_shop)
        deployment.start()
        day.provoke(told_shop)
        deployment.wait_until(lambda: {*expected} <= {*alarms(hook)}, PATIENCE)

        deployment.kill()
        told_shop.limits({**day.limits, **day.better})
        deployment.start()
        told_shop.evaluate()
        for mend in day.mends:
            mend(told_shop)
        deployment.wait_until(lambda: sum(over(hook).values()) >= len(expected), PATIENCE)
        told_shop.evaluate()

        assert alarms(hook) == dict.fromkeys(expected, 1)
        assert sum(over(hook).values()) == len(over(hook)) == len(expected)
        deployment.wait_until(lambda: told_the_same(told_shop), PATIENCE)
        of_products = [name for name in expected if name.endswith(":products")]
        assert told(texts_of(told_shop.product_hook), "ALARM") == dict.fromkeys(of_products, 1)
        # The target that never answers has delayed no evaluation. One that was killed counts as started.
        assert {*told_shop.ticks()} <= {"SKIPPED", "STARTED"}
        tried(len(expected))


def test_every_kind_is_provoked() -> None:
    """No kind of alarm is without somebody who has heard of it in a real deployment."""
    assert {name.partition(":")[0] for day in (BAD_FILES, NOTHING_MOVES) for name in day.expected} == {*Kind}

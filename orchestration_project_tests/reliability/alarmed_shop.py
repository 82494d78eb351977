"""A deployment whose alarms are told to real servers, and what arrived there.

A sender may be started by any tick and outlives `dagster dev`, so the last one is waited for at the end.
"""

import datetime as dt
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import dagster as dg
from filelock import FileLock

from orchestration_project_tests.alerts.servers import MailServer, Webhook, black_hole, mail_server, webhook
from orchestration_project_tests.components.workbench import copy_of_project
from orchestration_project_tests.reliability.deployment import Deployment, deployed
from orchestration_project_tests.reliability.evidence import effort

PATIENCE = effort(240, 600)
TODAY = dt.datetime.now(dt.UTC).date()
DAYS = [(TODAY - dt.timedelta(days=number)).isoformat() for number in range(30)]
"""Today, yesterday, ..."""
SALES = """\
type: orchestration_project.components.FileFeed
attributes:
  contract: sales.odcs.yaml
  batch_pattern: '(?P<year>\\d{{4}})-(?P<month>\\d{{2}})-(?P<day>\\d{{2}})'
  settle_seconds: 1
  sensor_interval_seconds: 5
  deliveries: {deliveries}
"""
LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "orchestration_project"}
SWITCH_ON = """
mutation SwitchOn($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) { __typename } }
"""
RE_EXECUTE = """
mutation ReExecute($parameters: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $parameters) { __typename }
}
"""
HEAD = re.compile(r"(ALARM|WORSE|STILL ON|OVER)  (.+)")
SILENCE = re.compile(r"  silence orchestration-project silence (?:'([^']+)'|(\S+)) ")


@dataclass
class Shop:
    """A deployment that watches itself closely, and those who are told.

    Attributes:
        deployment: the shop's own.
        mail, hook: who is told of all alarms.
        product_hook: who is told of those of the products.
        heartbeat: what is called at each tick.
        others: what others have open or running meanwhile; it ends with the shop.
        writer: a file in landing that somebody still writes to.
        holder: a process that has the warehouse.
    """

    deployment: Deployment
    mail: MailServer
    hook: Webhook
    product_hook: Webhook
    heartbeat: Webhook
    others: ExitStack
    writer: IO[str] | None = None
    holder: "subprocess.Popen[str] | None" = None

    def deliver(self, feed: str, name: str, text: str) -> None:
        """Put a settled file in landing."""
        path = self.deployment.settings.landing(feed) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{name}.part")
        beside.write_text(text, encoding="utf-8")
        beside.rename(path)

    def limits(self, limits: Mapping[str, float]) -> None:
        """Set the attributes of `Alerts`, for when the deployment is started the next time."""
        path = self.deployment.root / "orchestration_project/defs/operations/alerts/defs.yaml"
        attributes = {"interval_seconds": 5, "settle_seconds": 5, **limits}
        # JSON is YAML, too.
        component = {"type": "orchestration_project.components.Alerts", "attributes": attributes}
        path.write_text(json.dumps(component), encoding="utf-8")

    def switch_on(self, schedule: str) -> None:
        """Switch a schedule on, as the switch in the UI does."""
        answer = self._in_ui(SWITCH_ON, selector={**LOCATION, "scheduleName": schedule})
        assert answer["startSchedule"]["__typename"] == "ScheduleStateResult", answer

    def re_execute(self, run: dg.DagsterRun) -> None:
        """Start a run again, as the button in the UI does."""
        answer = self._in_ui(RE_EXECUTE, parameters={"parentRunId": run.run_id, "strategy": "ALL_STEPS"})
        assert answer["launchRunReexecution"]["__typename"] == "LaunchRunSuccess", answer

    def _in_ui(self, mutation: str, **variables: object) -> dict[str, Any]:
        self.deployment.wait_until(self._is_answered, PATIENCE)
        return self.deployment.ask(mutation, **variables)

    def _is_answered(self) -> bool:
        try:
            return bool(self.deployment.ask("{ version }"))
        except OSError:
            return False

    def ticks(self) -> list[str]:
        """How the evaluations of the alerts sensor ended."""
        history = self.deployment.history
        return [
            tick.status.value
            for state in history.all_instigator_state()
            if state.instigator_name == "alerts_sensor"
            for tick in history.get_ticks(state.instigator_origin_id, state.selector_id)
        ]

    def evaluate(self, times: int = 3) -> None:
        """Wait until the alerts sensor has looked again, several times."""
        before = len(self.ticks())
        self.deployment.wait_until(lambda: len(self.ticks()) >= before + times + 1, PATIENCE)

    def is_worked_off(self) -> bool:
        """Whether all runs have ended, and nothing is left in landing."""
        runs = self.deployment.runs()
        left = [path for path in self.deployment.settings.landing("sales").parent.glob("*/*") if path.is_file()]
        return bool(runs) and all(run.is_finished for run in runs) and not left

    def wait_until_worked_off(self) -> None:
        """Wait until all runs have ended, and nothing is left in landing."""
        self.deployment.wait_until(self.is_worked_off, PATIENCE)

    def verify(self) -> None:
        """Run the verification to its end."""
        before = len(self.deployment.runs())
        self.deployment.command("job", "launch", "--job", "verification_job")
        self.deployment.wait_until(lambda: len(self.deployment.runs()) > before and self.all_ended(), PATIENCE)

    def all_ended(self) -> bool:
        """Whether all runs have ended."""
        return all(run.is_finished for run in self.deployment.runs())


@contextmanager
def shop(folder: Path, deliveries: str, settings: Mapping[str, str]) -> Iterator[Shop]:
    """A shop that is not started yet; all of its processes are gone in the end.

    Args:
        folder: for all that it has.
        deliveries: when sales are expected, as in `defs.yaml`.
        settings: of the environment, beside those that say who is told.
    """
    root = folder / "project"
    copy_of_project(root)
    sales = root / "orchestration_project/defs/sales/defs.yaml"
    sales.write_text(SALES.format(deliveries=deliveries), encoding="utf-8")
    with ExitStack() as stack:
        mail = stack.enter_context(mail_server())
        hook, product_hook, heartbeat = (stack.enter_context(webhook()) for _ in range(3))
        hole = stack.enter_context(black_hole())
        trusted = folder / "authority.pem"
        trusted.write_bytes(mail.certificates)
        told = {
            "ALERT_URLS": f"{mail.url('ops@example.org')} {hook.url()} json://127.0.0.1:{hole}/"
            f" product_data={product_hook.url()}",
            "HEARTBEAT_URL": f"http://127.0.0.1:{heartbeat.port}/ping",
            "SSL_CERT_FILE": str(trusted),
        }
        deployment = stack.enter_context(deployed(folder / "deployment", root, {**told, **settings}))
        yield Shop(deployment, mail, hook, product_hook, heartbeat, stack)
        deployment.kill()
        with FileLock(deployment.settings.data_dir / "alarms.sender.lock", timeout=60):
            pass


def told(texts: Sequence[str], event: str) -> Counter[str]:
    """What some messages tell of an event: ids of alarms, or, where these are over, what was wrong, without numbers."""
    found: Counter[str] = Counter()
    for text in texts:
        head = ""
        for line in text.splitlines():
            if match := HEAD.fullmatch(line):
                head = match[1]
                if head == event == "OVER":
                    found[re.sub(r"[\d,]+", "N", match[2])] += 1
            elif head == event and (match := SILENCE.match(line)):
                found[match[1] or match[2]] += 1
    return found


def texts_of(hook: Webhook) -> list[str]:
    """The messages that arrived."""
    return [str(call["message"]) for call in hook.calls]


def told_the_same(shop: Shop) -> bool:
    """Whether mail and webhook have told the same."""
    return all(told(shop.mail.texts, event) == told(texts_of(shop.hook), event) for event in ("ALARM", "OVER"))


def alarms(hook: Webhook) -> dict[str, int]:
    """How often each alarm arrived; without the target that never answers, as it takes minutes to count as dead."""
    found = told(texts_of(hook), "ALARM")
    return {name: count for name, count in found.items() if not name.startswith("target_dead:json")}


def over(hook: Webhook) -> Counter[str]:
    """How often the end of each alarm arrived."""
    return told(texts_of(hook), "OVER")

"""Alarms as people get them: real files in a real `dagster dev`, and what arrives at a mail server and a webhook.

A sender may be started by any tick and outlives `dagster dev`, so the last one is waited for at the end.
"""

import datetime as dt
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from filelock import FileLock

from orchestration_project_tests.alerts.servers import MailServer, Webhook, black_hole, mail_server, webhook
from orchestration_project_tests.components.sales_files import HEADER, catalogue, sale, sales
from orchestration_project_tests.components.workbench import copy_of_project
from orchestration_project_tests.reliability.deployment import Deployment, deployed
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = [
    pytest.mark.promise("alerts"),
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="the processes to kill are found in /proc"),
]

PATIENCE = effort(240, 600)
FLOOD = effort(100, 1000)
TODAY = dt.datetime.now(dt.UTC).date()
DAYS = [(TODAY - dt.timedelta(days=number)).isoformat() for number in range(8)]
"""Today, yesterday, ..."""
SALES = f"""\
type: orchestration_project.components.FileFeed
attributes:
  contract: sales.odcs.yaml
  batch_pattern: '(?P<year>\\d{{4}})-(?P<month>\\d{{2}})-(?P<day>\\d{{2}})'
  settle_seconds: 1
  sensor_interval_seconds: 5
  deliveries: {{due: "24:00", since: "{DAYS[3]}"}}
"""
ALERTS = """\
type: orchestration_project.components.Alerts
attributes:
  interval_seconds: 5
  settle_seconds: 5
  reject_days: 0
  landing_hours: 24
  success_runs: 100
  free_gigabytes: {free}
"""
HEAD = re.compile(r"(ALARM|WORSE|STILL ON|OVER)  (.+)")
SILENCE = re.compile(r"  silence orchestration-project silence (?:'([^']+)'|(\S+)) ")


@dataclass
class Shop:
    """A deployment that watches itself closely, and those who are told."""

    deployment: Deployment
    mail: MailServer
    hook: Webhook
    product_hook: Webhook
    heartbeat: Webhook
    hole: int

    def deliver(self, feed: str, name: str, text: str) -> None:
        """Put a settled file in landing."""
        path = self.deployment.settings.landing(feed) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{name}.part")
        beside.write_text(text, encoding="utf-8")
        beside.rename(path)

    def free(self, gigabytes: int) -> None:
        """Set how much room disks are to have."""
        path = self.deployment.root / "orchestration_project/defs/operations/alerts/defs.yaml"
        path.write_text(ALERTS.format(free=gigabytes), encoding="utf-8")

    def ticks(self) -> list[str]:
        """How the evaluations of the alerts sensor ended."""
        with dg.DagsterInstance.from_config(str(self.deployment.home)) as instance:
            return [
                tick.status.value
                for state in instance.all_instigator_state()
                if state.instigator_name == "alerts_sensor"
                for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
            ]

    def evaluate(self, times: int = 3) -> None:
        """Wait until the alerts sensor has looked again, several times."""
        before = len(self.ticks())
        self.deployment.wait_until(lambda: len(self.ticks()) >= before + times + 1, PATIENCE)


@contextmanager
def shop(folder: Path) -> Iterator[Shop]:
    """A shop that is not started yet; all of its processes are gone in the end."""
    root = folder / "project"
    copy_of_project(root)
    (root / "orchestration_project/defs/sales/defs.yaml").write_text(SALES, encoding="utf-8")
    with ExitStack() as stack:
        mail = stack.enter_context(mail_server())
        hook, product_hook, heartbeat = (stack.enter_context(webhook()) for _ in range(3))
        hole = stack.enter_context(black_hole())
        trusted = folder / "authority.pem"
        trusted.write_bytes(mail.certificates)
        environment = {
            "ALERT_URLS": f"{mail.url('ops@example.org')} {hook.url()} json://127.0.0.1:{hole}/"
            f" product_data={product_hook.url()}",
            "HEARTBEAT_URL": f"http://127.0.0.1:{heartbeat.port}/ping",
            "SSL_CERT_FILE": str(trusted),
        }
        deployment = stack.enter_context(deployed(folder / "deployment", root, environment))
        yield Shop(deployment, mail, hook, product_hook, heartbeat, hole)
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


EXPECTED = [
    "automation_off:verification_weekly_schedule",
    "batch_missing:sales",
    "catalogue_shrank:products",
    "check_failed:cleaned_sales.not_empty",
    "disk_short:data",
    "file_quarantined:sales",
    "reject_rate:sales",
    "rejects_open:sales",
    "run_failed:sales_job",
    "target_dead:heartbeat 127.0.0.1",
    "verification",
]


def provoke(shop: Shop) -> None:
    """Deliver what a person has to act upon."""
    for number in range(FLOOD):
        shop.deliver("sales", f"sales_{DAYS[6]}_{number:04}.csv", f"nothing\nthat fits {number}\n")
    shop.deliver(
        "sales", f"sales_{DAYS[3]}.csv", sales(*(sale(f"A{n}", day=DAYS[3], quantity=n % 3) for n in range(9)))
    )
    shop.deliver("sales", f"sales_{DAYS[1]}.csv", f"{HEADER}\n")
    shop.deliver("products", f"products_{DAYS[2]}.json", products(20))
    shop.heartbeat.status = 500


def products(count: int) -> str:
    return catalogue(*((number, f"Thing {number}", "Things", 9.5) for number in range(1, count + 1)))


def is_worked_off(shop: Shop) -> bool:
    """Whether all runs have ended, and nothing is left in landing."""
    settings, runs = shop.deployment.settings, shop.deployment.runs()
    left = [*settings.landing("sales").iterdir(), *settings.landing("products").iterdir()]
    return bool(runs) and all(run.is_finished for run in runs) and not left


def verify(shop: Shop) -> None:
    """Run the verification."""
    before = len(shop.deployment.runs())
    shop.deployment.command("job", "launch", "--job", "verification_job")
    shop.deployment.wait_until(lambda: len(shop.deployment.runs()) > before and is_worked_off(shop), PATIENCE)


def mend(shop: Shop) -> None:
    """Do what the messages say."""
    settings = shop.deployment.settings
    for number in (3, 2, 1):
        lines = [sale(f"{'ABCD'[3 - number]}{n}", day=DAYS[number]) for n in range(9)]
        shop.deliver("sales", f"sales_{DAYS[number]}.csv", sales(*lines))
    shop.deliver("products", f"products_{DAYS[0]}.json", products(20))
    shutil.rmtree(settings.quarantine("sales"))
    (settings.archive("sales") / DAYS[3] / "stray.csv").unlink()
    shop.heartbeat.status = 200
    shop.deployment.command("schedule", "start", "verification_weekly_schedule")
    shop.deployment.wait_until(lambda: is_worked_off(shop), PATIENCE)
    verify(shop)


def test_everybody_hears_once_and_when_it_is_over(tmp_path: Path) -> None:
    """Alarms and their ends arrive once at each target; restarts repeat and lose none, a dead target delays none."""
    with shop(tmp_path) as told_shop:
        deployment, hook = told_shop.deployment, told_shop.hook
        told_shop.free(gigabytes=10**6)
        provoke(told_shop)
        deployment.start()
        deployment.wait_until(lambda: is_worked_off(told_shop), PATIENCE)
        told_shop.deliver("products", f"products_{DAYS[1]}.json", products(10))
        (deployment.settings.archive("sales") / DAYS[3] / "stray.csv").write_text("left by somebody", encoding="utf-8")
        deployment.command("schedule", "stop", "verification_weekly_schedule")
        verify(told_shop)
        deployment.wait_until(lambda: {*EXPECTED} <= {*alarms(hook)}, PATIENCE)

        deployment.kill()
        told_shop.free(gigabytes=0)
        deployment.start()
        told_shop.evaluate()
        mend(told_shop)
        deployment.wait_until(lambda: sum(over(hook).values()) >= len(EXPECTED), PATIENCE)
        told_shop.evaluate()

        assert alarms(hook) == dict.fromkeys(EXPECTED, 1)
        assert sum(over(hook).values()) == len(over(hook)) == len(EXPECTED)
        deployment.wait_until(lambda: told_the_same(told_shop), PATIENCE)
        assert told(texts_of(told_shop.product_hook), "ALARM") == {"catalogue_shrank:products": 1}
        # The target that never answers has delayed no evaluation. One that was killed counts as started.
        assert {*told_shop.ticks()} <= {"SKIPPED", "STARTED"}
        tried(len(EXPECTED))

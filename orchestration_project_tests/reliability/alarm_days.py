"""How each kind of alarm comes about in a deployment, and how it is mended as the runbook says.

Two days at the shop. On the first one files are bad or missing. On the second one nothing moves: the warehouse is held
by somebody, and files wait. What needs hours to come about, such as a feed's failed attempts, is in the history before.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project.alerts.model import Kind
from orchestration_project.publishing.lag import NOTE
from orchestration_project_tests.components.instigators import remember
from orchestration_project_tests.components.provocations import yesterday
from orchestration_project_tests.components.sales_files import HEADER, catalogue, sale, sales
from orchestration_project_tests.components.watch import Watch, spec_of
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, project
from orchestration_project_tests.reliability.alarmed_shop import DAYS, PATIENCE, Shop, texts_of
from orchestration_project_tests.reliability.contention import HOLD_LOCK, holder
from orchestration_project_tests.reliability.evidence import effort

FLOOD = effort(100, 1000)
UNTIL_GIVEN_UP = 20
"""Evaluations, a quarter of an hour apart, after which a sensor has given up a file that no run loads."""
Step = Callable[[Shop], None]


@dataclass(frozen=True)
class Day:
    """What happens at the shop, and what has to be told of it.

    Attributes:
        expected: the ids of the alarms.
        before: prepares what was there before the deployment starts.
        provoke: does the rest, while it runs.
        mends: what the runbook says, in this order.
        deliveries: when sales are expected.
        limits: attributes of `Alerts`.
        better: attributes that are others after the restart.
        settings: of the environment.
    """

    expected: Sequence[str]
    before: Step
    provoke: Step
    mends: Sequence[Step]
    deliveries: str
    limits: Mapping[str, float]
    better: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


def bad_files(shop: Shop) -> None:
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


def half_a_catalogue(shop: Shop) -> None:
    """Deliver it once the whole one is loaded; leave a file in the archive, and switch a schedule off."""
    shop.wait_until_worked_off()
    shop.deliver("products", f"products_{DAYS[1]}.json", products(10))
    stray(shop).write_text("left by somebody", encoding="utf-8")
    shop.deployment.command("schedule", "stop", "verification_weekly_schedule")
    shop.wait_until_worked_off()
    shop.verify()


def stray(shop: Shop) -> Path:
    return shop.deployment.settings.archive("sales") / DAYS[3] / "stray.csv"


def deliver(shop: Shop) -> None:
    """Deliver what is missing and what was bad, correctly."""
    for number in (3, 2, 1):
        lines = [sale(f"{'ABCD'[3 - number]}{n}", day=DAYS[number]) for n in range(9)]
        shop.deliver("sales", f"sales_{DAYS[number]}.csv", sales(*lines))
    shop.deliver("products", f"products_{DAYS[0]}.json", products(20))
    shop.wait_until_worked_off()


def delete_refused(shop: Shop) -> None:
    """Delete files and reasons in quarantine."""
    shutil.rmtree(shop.deployment.settings.quarantine("sales"))


def take_out(shop: Shop) -> None:
    """Do what the verification says: take the file out of the archive. Until then no load of its batch can read it."""
    stray(shop).unlink()


def verify_again(shop: Shop) -> None:
    """Verify again."""
    shop.verify()


def mend_service(shop: Shop) -> None:
    """Have the service behind the heartbeat answer."""
    shop.heartbeat.status = 200


def switch_on(shop: Shop) -> None:
    """Switch the schedule on in the UI."""
    shop.switch_on("verification_weekly_schedule")


BAD_FILES = Day(
    expected=[
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
    ],
    before=bad_files,
    provoke=half_a_catalogue,
    mends=[switch_on, mend_service, delete_refused, take_out, deliver, verify_again],
    deliveries=f'{{due: "24:00", since: "{DAYS[3]}"}}',
    limits={"free_gigabytes": 10**6, "reject_days": 0, "landing_hours": 24, "success_runs": 100},
    better={"free_gigabytes": 0},
)


def history(shop: Shop) -> None:
    """Have a past: yesterday products were loaded, since then nothing; one of nine verifications failed."""
    instance = shop.deployment.history
    bench = Workbench(project(), shop.deployment.settings.data_dir, instance)
    with pytest.MonkeyPatch.context() as patch, shop.deployment.warehouse.connection("a long query"):
        patch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0.1")
        assert not bench.run(job="verification_job", raise_on_error=False).success
    for _ in range(8):
        assert bench.run(job="verification_job").success
    yesterday(instance, "raw_products")
    given_up(shop, bench)


def given_up(shop: Shop, bench: Workbench) -> None:
    """Have a file in landing that the sensor has requested five runs for, in the six hours before."""
    watch = Watch(bench, spec_of("sales"), now=time.time() - 6 * 3600)
    watch.drop(waiting(shop).name, sale("A1", day=DAYS[20]))
    for _ in range(UNTIL_GIVEN_UP):
        watch.tick(900)
    remember(bench.instance, watch.cursor)


def waiting(shop: Shop) -> Path:
    """The file that is given up."""
    return shop.deployment.settings.landing("sales") / f"sales_{DAYS[20]}.csv"


def stuck(shop: Shop) -> None:
    """Have files that are not loaded, folders that can't be read, and somebody who holds the warehouse."""
    history(shop)
    settings = shop.deployment.settings
    # Somebody writes to a file and does not come to an end.
    path = settings.landing("sales") / f"sales_{DAYS[1]}.csv"
    shop.writer = shop.others.enter_context(path.open("w", encoding="utf-8"))
    shop.writer.write(sales(sale("B1", day=DAYS[1])))
    shop.writer.flush()
    unreadable(shop).mkdir(parents=True)
    # Nobody has published for three hours.
    note = settings.published / NOTE
    note.parent.mkdir()
    note.touch()
    os.utime(note, (time.time() - 3 * 3600,) * 2)
    shop.holder = shop.others.enter_context(holder(HOLD_LOCK, settings.database))


def unreadable(shop: Shop) -> Path:
    """A folder in the place of a file. Root, whom tests may run as, can enter any folder and read any file."""
    return shop.deployment.settings.archive("products") / ".taken" / f"{DAYS[1]}T12" / ".files.jsonl"


def verify_in_vain(shop: Shop) -> None:
    """Verify while the warehouse is held."""
    shop.verify()
    assert failed_verification(shop).is_failure


def failed_verification(shop: Shop) -> dg.DagsterRun:
    return next(run for run in shop.deployment.runs() if run.job_name == "verification_job")


def end_holder(shop: Shop) -> None:
    """End the process that has the warehouse; the message names it."""
    assert shop.holder
    assert any(f"process {shop.holder.pid}" in text for text in texts_of(shop.hook))
    shop.holder.kill()
    shop.holder.wait()


def give_access(shop: Shop) -> None:
    """Have the folders of the feed as they are to be."""
    shutil.rmtree(unreadable(shop).parent)


def move_away_and_back(shop: Shop) -> None:
    """Move the file away, until the sensor has seen that, and back."""
    path, away = waiting(shop), shop.deployment.folder / "away.csv"
    path.rename(away)
    shop.evaluate()
    away.rename(path)
    shop.deployment.wait_until(lambda: not path.exists() and shop.all_ended(), PATIENCE)


def end_writing(shop: Shop) -> None:
    """Have the writer come to an end."""
    assert shop.writer
    shop.writer.close()
    shop.wait_until_worked_off()


def re_execute(shop: Shop) -> None:
    """Re-execute the failed run in the UI."""
    runs = len(shop.deployment.runs())
    shop.re_execute(failed_verification(shop))
    shop.deployment.wait_until(lambda: len(shop.deployment.runs()) > runs and shop.all_ended(), PATIENCE)


def publish_copy(shop: Shop) -> None:
    """Run the command that publishes."""
    command = [sys.executable, "-m", "orchestration_project", "publish"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=shop.deployment.shell, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


NOTHING_MOVES = Day(
    expected=[
        "copy_behind",
        "file_given_up:sales",
        "landing_full:sales",
        "not_watched:products",
        "nothing_materialized",
        "run_failed:verification_job",
        "success_rate:verification_job",
        "warehouse_busy",
    ],
    before=stuck,
    provoke=verify_in_vain,
    mends=[end_holder, give_access, move_away_and_back, end_writing, re_execute, publish_copy],
    deliveries='{due: "24:00"}',
    limits={"free_gigabytes": 0, "landing_hours": 0.002, "busy_minutes": 0.25},
    settings={"WAREHOUSE_LOCK_TIMEOUT": "10", "PUBLISH": "on"},
)

ACTIONS: Mapping[Kind, Mapping[str, Step]] = {
    Kind.FILE_GIVEN_UP: {"see why these runs failed, mend that, move the file away and back": move_away_and_back},
    Kind.LANDING_FULL: {"`orchestration-project status FEED` says why: have its writer come to an end": end_writing},
    Kind.RUN_FAILED: {"mend what the error says, then re-execute the run in the UI": re_execute},
    Kind.AUTOMATION_OFF: {"switch it on in the UI": switch_on},
    Kind.SUCCESS_RATE: {"look in the UI at what they have in common, and mend that": re_execute},
    Kind.WAREHOUSE_BUSY: {"kill it": end_holder},
    Kind.NOT_WATCHED: {"give the platform access to them": give_access},
    Kind.TARGET_DEAD: {"`orchestration-project alert-test` says why: mend the service": mend_service},
}
"""What the runbook says, by kind and in its words; the rest is in `components.actions`."""

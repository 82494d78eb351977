"""What the runbook says to do about an alarm, each in the shop: provokes the alarm, and returns what somebody does.

Belongs here: actions that need neither the UI nor a daemon. The others are in `reliability.alarm_days`.
"""

import csv
import datetime as dt
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from orchestration_project.alerts import sender, services
from orchestration_project.alerts.model import Kind
from orchestration_project.cli.main import main
from orchestration_project.settings import Settings
from orchestration_project_tests.alerts.servers import unused_port, webhook
from orchestration_project_tests.components.alarming import HOUR, Alarming, day, sold
from orchestration_project_tests.components.instigators import remember
from orchestration_project_tests.components.provocations import (
    behind,
    busy,
    failed_check,
    idle,
    many_rejects,
    missing,
    old_rejects,
    quarantined,
    shrunk,
    unproven,
    waiting,
    yesterday,
)
from orchestration_project_tests.components.sales_files import HEADER
from orchestration_project_tests.components.watch import Watch, spec_of

GIGABYTE = 1_000_000_000
Action = Callable[[Alarming], Callable[[], object]]


def command(alarming: Alarming, *arguments: str, exit_code: int = 0) -> str:
    """What a command prints, as somebody types it."""
    with alarming.environment():
        result = CliRunner().invoke(main, arguments)
    assert result.exit_code == exit_code, result.output
    return result.output


def closed(alarming: Alarming) -> Callable[[], object]:
    expected: dict[str, Any] = {"days": "mon-sun", "due": "24:00"}
    without: dict[str, Any] = {**expected, "closed": [day(0)]}
    alarming.feeds[0] = spec_of("sales", deliveries=expected)
    missing(alarming)

    def close() -> None:
        alarming.feeds[0] = spec_of("sales", deliveries=without)

    return close


def deleted(alarming: Alarming) -> Callable[[], object]:
    quarantined(alarming)
    return lambda: shutil.rmtree(alarming.bench.data_dir / "quarantine" / "sales")


def work(alarming: Alarming) -> None:
    """Have the sensor look into landing, and what it requests run."""
    watch = Watch(alarming.bench, alarming.feeds[0], now=time.time() + HOUR.total_seconds())
    requests = watch.tick()
    assert requests
    for request in requests:
        assert watch.launch(request).success


def switched_off(alarming: Alarming) -> Callable[[], object]:
    """A file waits, since nobody asks for it; yesterday something was materialized."""
    waiting(alarming)
    yesterday(alarming.bench.instance, "raw_products")
    remember(alarming.bench.instance, running=False)

    def switch_on() -> None:
        remember(alarming.bench.instance)
        work(alarming)

    return switch_on


def hung(alarming: Alarming) -> Callable[[], object]:
    """A file waits for a run that does not come to an end; yesterday something was materialized."""
    waiting(alarming)
    yesterday(alarming.bench.instance, "raw_products")
    watch = Watch(alarming.bench, alarming.feeds[0], now=time.time() + HOUR.total_seconds())
    (request,) = watch.tick()
    job = alarming.bench.defs.resolve_job_def("sales_job")
    run = alarming.bench.instance.create_run_for_job(job, tags={"dagster/run_key": str(request.run_key)})

    def terminate() -> None:
        assert watch.tick() == []
        alarming.bench.instance.report_run_canceled(run)
        (again,) = watch.tick(900)
        assert watch.launch(again).success

    return terminate


def empty(alarming: Alarming) -> Callable[[], object]:
    alarming.bench.drop("sales", f"sales_{day(-1)}.csv", f"{HEADER}\n")
    assert not alarming.load("sales", -1, raise_on_error=False)

    def deliver_corrected() -> None:
        alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1))
        assert alarming.load("sales", -1)

    return deliver_corrected


def corrected(path: Path) -> str:
    """A repair file with right values."""
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows([row | {"quantity": "2"} for row in rows])
    return stream.getvalue()


def repair(alarming: Alarming) -> None:
    """Export rejects, correct them, and deliver them."""
    command(alarming, "export-rejects", "sales")
    (path,) = (alarming.bench.data_dir / "repairs" / "sales").iterdir()
    alarming.bench.drop("sales", path.name, corrected(path))
    assert alarming.load("sales", -1)


def repaired(alarming: Alarming) -> Callable[[], object]:
    many_rejects(alarming)
    return lambda: repair(alarming)


def repaired_late(alarming: Alarming) -> Callable[[], object]:
    old_rejects(alarming)
    return lambda: repair(alarming)


def waived(alarming: Alarming) -> Callable[[], object]:
    old_rejects(alarming)
    who = ("--by", "Ada", "--because", "test orders of the till's vendor")
    return lambda: command(alarming, "waive", "sales", *who, "--batch", day(-1), "--reason", "quantity: minimum")


def withdrawn(alarming: Alarming) -> Callable[[], object]:
    shrunk(alarming)
    return lambda: command(alarming, "withdraw", "products", f"products_{day(-2)}.json", "--reason", "half of it")


def materialize(alarming: Alarming, arguments: Sequence[str]) -> None:
    """What `dagster asset materialize` does, in this process."""
    options = dict(pairwise(arguments))
    first, _, last = options.get("--partition-range", options.get("--partition", "")).partition("...")
    alarming.bench.run(*options["--select"].split(","), first=first or None, last=last or None)


def lost(alarming: Alarming) -> Callable[[], object]:
    """The tables of a feed are gone."""
    unproven(alarming)()
    for table in ("raw_sales", "cleaned_sales", "rejected_sales"):
        alarming.bench.query(f"DROP TABLE {table}")
    alarming.bench.run("verification")

    def follow() -> None:
        findings = json.loads(command(alarming, "verify", "--json", exit_code=1))["findings"]
        for remedy in dict.fromkeys(str(finding["remedy"]) for finding in findings):
            program, *arguments = remedy.split()
            if program == "dagster":
                materialize(alarming, arguments)
            else:
                assert program == "orchestration-project"
                command(alarming, *arguments)
        alarming.bench.run(job="verification_job")

    return follow


def ballast(alarming: Alarming) -> Callable[[], object]:
    path = alarming.bench.data_dir / "ballast"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, GIGABYTE)
    # Others write to the disk meanwhile, so neither limit is close.
    free = shutil.disk_usage(path.parent).free
    alarming.attributes["free_gigabytes"] = (free + GIGABYTE // 2) / GIGABYTE
    return path.unlink


def wrong_url(alarming: Alarming) -> Callable[[], object]:
    """A target that nobody answers for has taken nothing three times."""
    alarming.urls = f"json://127.0.0.1:{unused_port()}"
    quarantined(alarming)
    alarming.tick()
    for minutes in (0, 2, 5):
        alarming.ahead = dt.timedelta(minutes=minutes)
        settings = Settings(data_dir=alarming.bench.data_dir, alert_urls=alarming.urls)
        sender.run(settings, services.send, lambda: alarming.now)
    assert "not taken: " in command(alarming, "alert-test", exit_code=1)

    def correct() -> None:
        alarming.urls = alarming.others.enter_context(webhook()).url()
        assert "not taken" not in command(alarming, "alert-test")

    return correct


def published_by_hand(alarming: Alarming) -> Callable[[], object]:
    behind(alarming)
    return lambda: command(alarming, "publish")


ACTIONS: Mapping[Kind, Mapping[str, Action]] = {
    Kind.BATCH_MISSING: {
        "have its file delivered": missing,
        "add the day to `closed` of `deliveries`, if nothing is to come on it": closed,
    },
    Kind.FILE_QUARANTINED: {
        "read the reason beside it, and deliver the corrected file under the same name": quarantined,
        "delete both: in quarantine": deleted,
    },
    Kind.LANDING_FULL: {"switch on the feed's sensor": switched_off, "terminate a hung run": hung},
    Kind.CHECK_FAILED: {
        "read its words in the UI, and deliver the corrected file": empty,
        "mend what else it says, and load the batch again": failed_check,
    },
    Kind.REJECT_RATE: {
        "repair them": repaired,
        "have the file delivered again, if it is its sender's fault": many_rejects,
    },
    Kind.REJECTS_OPEN: {"repair them": repaired_late, "waive them": waived},
    Kind.CATALOGUE_SHRANK: {"have it delivered again": shrunk, "withdraw it": withdrawn},
    Kind.VERIFICATION: {
        "run what `orchestration-project verify` prints for each finding, then the job `verification_job`": lost
    },
    Kind.DISK_SHORT: {"free space: a disk is full": ballast},
    Kind.NOTHING_MATERIALIZED: {
        "ask the senders, if no files come": idle,
        "switch on what is off": switched_off,
        "terminate a hung run that others wait for": hung,
    },
    Kind.WAREHOUSE_BUSY: {"the message names it: let it end": busy},
    Kind.COPY_BEHIND: {"`orchestration-project publish` publishes, or tells why it can't": published_by_hand},
    Kind.TARGET_DEAD: {"mend its URL": wrong_url},
}
"""By kind and by the words of the runbook."""

"""Kills: whatever dies at any step of a delivery, readers see the state before or after it, and the next one heals."""

import os
import shutil
import signal
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from orchestration_project.errors import ObjectStoreDown
from orchestration_project.failpoints import Delivery
from orchestration_project.storage import cloud_objects
from orchestration_project_tests.delivery.delivered import Outlet, correct_day, outlet, three_days
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.stops import acting
from orchestration_project_tests.reliability.victim import CONTEXT, killed, steps_of
from orchestration_project_tests.servers.s3 import S3Server

pytestmark = [pytest.mark.promise("crash"), pytest.mark.xdist_group("s3")]


def delivered(made: Outlet, environment: Mapping[str, str]) -> None:
    """Deliver in a process that may be another one, with its own environment."""
    os.environ.update(environment)  # noqa: TID251 - of a process that is about to die
    made.deliver()


def changed(folder: Path, url: str, format: str) -> Outlet:  # noqa: A002 - as in defs.yaml
    """Three days that were delivered, two of which have changed since."""
    made = outlet(three_days(folder), url, format)
    made.deliver()
    for number in (1, 2):
        correct_day(made.shop, number)
    return made


def chosen(steps: list[str]) -> list[int]:
    """The steps to die at: the last of each kind of point; under `make torture` every step."""
    last = {name: index for index, name in enumerate(steps) if name in {*Delivery}}
    return sorted({*last.values(), *range(0, len(steps), effort(len(steps), 1))})


@pytest.mark.parametrize("format", ["parquet", "xlsx"])
def test_a_kill_at_any_step(tmp_path: Path, format: str) -> None:  # noqa: A002 - as in defs.yaml
    """In a folder: the target has the state before or after the delivery, and the next one brings what is missing."""
    made = changed(tmp_path / "shop", str(tmp_path / "target"), format)
    before, after = made.rows(), made.expected()
    assert before != after
    shutil.copytree(tmp_path / "target", tmp_path / "undisturbed")
    steps = steps_of(partial(delivered, replace(made, url=str(tmp_path / "undisturbed")), {}), None)
    assert {*Delivery} <= {*steps}
    for fatal in chosen(steps):
        disturbed = replace(made, url=str(tmp_path / f"dies at {fatal}"))
        shutil.copytree(tmp_path / "target", disturbed.url)
        assert killed(partial(delivered, disturbed, {}), fatal), steps[fatal]
        assert disturbed.rows() in (before, after), f"killed at step {fatal}: {steps[fatal]}"
        disturbed.deliver()
        assert disturbed.rows() == after, f"killed at step {fatal}: {steps[fatal]}"
        assert not disturbed.compare().wrong
        shutil.rmtree(disturbed.url)
        tried()


def test_a_kill_on_the_way_to_an_object_store(tmp_path: Path, s3: str, s3_server: S3Server) -> None:
    """On a server: the same, at each kind of step."""
    old = three_days(tmp_path / "old")
    new = replace(old, folder=tmp_path / "new")
    shutil.copytree(old.folder, new.folder)
    correct_day(new, 2)
    for point in Delivery:
        made = outlet(old, f"{s3}/{point.name}")
        made.deliver()
        before, made = made.rows(), replace(made, shop=new)
        assert dies_at(point, made, s3_server.environment)
        assert made.rows() in (before, made.expected()), point
        made.deliver()
        assert made.rows() == made.expected(), point
        assert not made.compare().wrong
        tried()


def dies_at(point: Delivery, made: Outlet, environment: Mapping[str, str]) -> bool:
    """Deliver in another process, which is killed when it reaches a point; returns whether it lived to reach it."""
    process = CONTEXT.Process(target=_deliver_until, args=(point, made, environment))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def _deliver_until(point: Delivery, made: Outlet, environment: Mapping[str, str]) -> None:
    with acting(point, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        delivered(made, environment)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not ask again."""
    monkeypatch.setattr(cloud_objects, "RETRIES", 0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("point", [Delivery.WRITTEN, Delivery.COUNTS])
def test_a_server_that_is_gone(tmp_path: Path, s3: str, s3_server: S3Server, point: Delivery) -> None:
    """A server that dies on the way makes a fault that passes; when it is back, the target is whole and heals."""
    made = changed(tmp_path / "shop", s3, "parquet")
    before, after = made.rows(), made.expected()
    # Where all was delivered, what could not be removed goes with the next delivery.
    fault = nullcontext() if point is Delivery.COUNTS else pytest.raises(ObjectStoreDown, match="does not answer")
    with acting(point, s3_server.stop), fault:
        made.deliver()
    s3_server.start()
    assert made.rows() in (before, after)
    made.deliver()
    assert made.rows() == after
    assert not made.compare().wrong
    tried()


def test_a_server_that_hangs_for_a_while(tmp_path: Path, s3: str, s3_server: S3Server) -> None:
    """A server that answers late delays a delivery, and loads go on meanwhile."""
    made = changed(tmp_path / "shop", s3, "parquet")
    loaded: list[bool] = []

    def hang() -> None:
        s3_server.pause()
        # The warehouse is free: a load takes place while the server hangs.
        correct_day(made.shop, 3)
        loaded.append(True)
        threading.Timer(1, s3_server.resume).start()

    with acting(Delivery.PLANNED, hang):
        made.deliver()
    assert loaded
    assert made.compare().waiting == ["2024-01-03"]
    made.deliver()
    assert made.rows() == made.expected()
    tried()

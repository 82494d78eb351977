"""The launcher of a cluster: which queue a run goes to, when its worker is dead, how it is ended. Without a server."""

from collections.abc import Iterator, Set
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG

from orchestration_project.cli.main import main
from orchestration_project.components.celery_launcher import (
    ENOUGH_MISSES,
    RETURN_SECONDS,
    SAME_ROUND_SECONDS,
    CeleryLauncher,
    RollCall,
)
from orchestration_project.inspection.runs import FEED_TAG
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.reliability.deployment import free_port

pytestmark = pytest.mark.promise("crash")

NOW = SAME_ROUND_SECONDS + 1
"""Seconds until the next time that workers are asked."""


@dg.job
def nothing() -> None:
    """A job without ops."""


class Workers:
    """What workers say, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 0.0
        self.tasks: Set[str] | None = set()
        self.asked = 0

    def answer(self) -> Set[str] | None:
        """The tasks that they name; None: nobody can be asked."""
        self.asked += 1
        return self.tasks

    def clock(self) -> float:
        """The time in seconds."""
        return self.time


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def roll_call(workers: Workers) -> RollCall:
    return RollCall(workers.answer, workers.clock)


def missed(roll_call: RollCall, workers: Workers, rounds: int) -> list[int]:
    """What is counted for a task in some rounds."""
    counts = []
    for _ in range(rounds):
        counts.append(roll_call.missed("task"))
        workers.time += NOW
    return counts


def test_a_task_that_nobody_names_is_missed(roll_call: RollCall, workers: Workers) -> None:
    """Each answer without the task counts, and one with it begins anew."""
    assert missed(roll_call, workers, 2) == [1, 2]
    workers.tasks = {"task", "another"}
    assert missed(roll_call, workers, 1) == [0]
    workers.tasks = {"another"}
    assert missed(roll_call, workers, 3) == [1, 2, 3]


def test_runs_that_are_looked_at_together_share_an_answer(roll_call: RollCall, workers: Workers) -> None:
    """However many runs there are, workers are asked once a round, and a task is missed once a round."""
    assert [roll_call.missed(task) for task in ("task", "another", "task")] == [1, 1, 1]
    assert workers.asked == 1


def test_without_a_broker_nobody_is_missed(roll_call: RollCall, workers: Workers) -> None:
    """While nobody can be asked, and until workers had time to come back, no answer counts against a task."""
    assert missed(roll_call, workers, 2) == [1, 2]
    workers.tasks = None
    assert missed(roll_call, workers, 5) == [0] * 5
    workers.tasks = set()
    back = workers.time
    while workers.time < back + RETURN_SECONDS - NOW:
        assert missed(roll_call, workers, 1) == [0]
    workers.time = back + RETURN_SECONDS
    assert missed(roll_call, workers, 2) == [1, 2]


def test_a_task_that_was_not_looked_at_begins_anew(roll_call: RollCall, workers: Workers) -> None:
    """Misses are those of answers in a row: after rounds in which nobody asked for it, a task has none."""
    assert missed(roll_call, workers, 2) == [1, 2]
    for _ in range(2):
        roll_call.missed("another")
        workers.time += NOW
    assert missed(roll_call, workers, 1) == [1]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster with the launcher of the cluster's dagster.yaml, a queue for a feed, and a broker in memory."""
    config = yaml.safe_load((REPOSITORY / "deploy/cluster/dagster.yaml").read_text(encoding="utf-8"))
    launcher = config["run_launcher"]
    launcher["config"] |= {"broker": "memory://", "queues": {"large": "heavy"}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"run_launcher": launcher}), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def launched(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A run with tags that was handed to the broker."""
    origin = dg.reconstructable(nothing).get_python_origin()
    run = instance.create_run_for_job(nothing, tags=tags, job_code_origin=origin)
    instance.run_launcher.launch_run(LaunchRunContext(run, None))
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found


@pytest.mark.parametrize(
    ("tags", "queue"),
    [
        pytest.param({FEED_TAG: "large"}, "heavy", id="of a feed with a queue"),
        pytest.param({FEED_TAG: "small"}, "dagster", id="of another feed"),
        pytest.param({}, "dagster", id="of no feed"),
        pytest.param({FEED_TAG: "large", DAGSTER_CELERY_QUEUE_TAG: "own"}, "own", id="with a queue of its own"),
    ],
)
def test_the_queue_of_a_run(instance: dg.DagsterInstance, tags: dict[str, str], queue: str) -> None:
    """A run waits in the queue that it names itself, else in that of its feed, else in the default one."""
    run = launched(instance, **tags)
    launcher = instance.run_launcher
    assert isinstance(launcher, CeleryLauncher)
    with launcher.celery.connection_for_read() as connection:
        message = connection.default_channel.basic_get(queue, no_ack=True)
    assert message.headers["id"] == run.tags[DAGSTER_CELERY_TASK_ID_TAG]


def test_a_run_whose_worker_is_gone(instance: dg.DagsterInstance, workers: Workers) -> None:
    """It is alive while a worker names its task, and has failed once that was missing often enough."""
    run, launcher = launched(instance), instance.run_launcher
    assert isinstance(launcher, CeleryLauncher)
    launcher.roll_call = RollCall(workers.answer, workers.clock)
    workers.tasks = {run.tags[DAGSTER_CELERY_TASK_ID_TAG]}
    found = []
    for _ in range(ENOUGH_MISSES + 1):
        found.append(launcher.check_run_worker_health(run).status)
        workers.tasks = set()
        workers.time += NOW
    assert found == [WorkerStatus.RUNNING] * ENOUGH_MISSES + [WorkerStatus.FAILED]
    assert run.tags[DAGSTER_CELERY_TASK_ID_TAG] in str(launcher.get_run_worker_debug_info(run))


def test_a_broker_that_is_away_ends_no_run(instance: dg.DagsterInstance) -> None:
    """Where no broker listens, a run counts as alive, and nothing is raised."""
    launcher = CeleryLauncher("dagster", f"redis://127.0.0.1:{free_port()}/0")
    launcher.register_instance(instance)
    assert launcher.check_run_worker_health(launched(instance)).status is WorkerStatus.RUNNING


@pytest.mark.found("A run that was ended in the UI was taken for one that was killed, and started again.")
def test_a_run_that_is_ended_by_hand(instance: dg.DagsterInstance) -> None:
    """Dagster's history says that it is being canceled, before its process is asked to end; a finished run is left."""
    run = launched(instance)
    assert instance.run_launcher.terminate(run.run_id)
    ended = instance.get_run_by_id(run.run_id)
    assert ended
    assert ended.status is dg.DagsterRunStatus.CANCELING
    instance.report_run_canceled(ended)
    assert not instance.run_launcher.terminate(run.run_id)
    assert not instance.run_launcher.terminate("no such run")


@pytest.mark.parametrize(
    ("home", "said"),
    [
        pytest.param(False, "DAGSTER_HOME is not set", id="without a home"),
        pytest.param(True, "names the run launcher DefaultRunLauncher", id="with another launcher"),
    ],
)
def test_a_worker_says_what_it_lacks(home: bool, said: str, tmp_path: Path) -> None:
    """Without the cluster's dagster.yaml the command ends with what is missing."""
    done = CliRunner().invoke(main, ["worker"], env={"DAGSTER_HOME": str(tmp_path) if home else ""})
    assert done.exit_code == 2
    assert said in done.output

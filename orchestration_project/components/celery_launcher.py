"""Runs on several machines: a launcher that hands each run to a Celery worker, and notices when the worker is gone.

`deploy/cluster/dagster.yaml` names it; nothing else imports it, so one machine needs neither Celery nor Redis. It
extends Dagster's own launcher for Celery, which takes a task that was started for a run that goes on: after a kill of
the worker such a run stays "started" for ever, and its files wait as long.

Belongs here: what the launching side does and knows. Does not belong here: the worker (`celery_worker`).
"""

import time
from collections.abc import Callable, Mapping, Set
from math import inf
from typing import Any

import dagster as dg
from celery.exceptions import OperationalError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._serdes import ConfigurableClassData
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG

from orchestration_project.inspection.runs import FEED_TAG

ANSWER_SECONDS = 3.0
"""How long workers have to answer. It is waited for in full: nobody knows how many there are."""
ENOUGH_MISSES = 3
"""After so many answers in a row that lack a run's task, its worker is dead. One answer may get lost."""
SAME_ROUND_SECONDS = 5.0
"""Run monitoring looks at all runs one after another. They share an answer that is not older than this."""
RETURN_SECONDS = 45.0
"""How long workers may take to come back after the broker was away: Celery waits up to 30 s between two attempts."""
SETTINGS: Mapping[str, Any] = {
    # A run that a busy worker has fetched in advance waits for that worker, while others are idle.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    # Each run has a process of its own, as with the other launchers: it sees the installed code, and gives its memory
    # back when it ends.
    "worker_max_tasks_per_child": 1,
    # None: a worker never gives up a broker that is away. Its run goes on meanwhile.
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
    # A run that can't be handed over has failed. Half a minute covers a restart of the broker.
    "task_publish_retry_policy": {"max_retries": 15, "interval_start": 0, "interval_step": 0.5, "interval_max": 3},
    # What runs print is theirs: Celery would tell each line of it as a warning of its own.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
}


class CeleryLauncher(CeleryRunLauncher):
    """Hands runs to workers. A run is alive as long as a worker says that it works on it.

    That is asked of all workers at once, and not of the one that took the run: a name answers for whoever has it, also
    for a worker that was started later or left behind. There is no store of results: Dagster's history has them.

    Args:
        default_queue: where runs wait for a worker.
        broker: the URL of the broker.
        queues: the queue of a feed's runs, by feed. The tag `dagster-celery/queue` of a run is stronger.
        config_source: more settings of Celery.
        inst_data: Dagster's own.
    """

    def __init__(
        self,
        default_queue: str,
        broker: str | None = None,
        queues: Mapping[str, str] | None = None,
        config_source: Mapping[str, Any] | None = None,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        settings = {**SETTINGS, **(config_source or {})}
        super().__init__(default_queue, broker, None, None, settings, inst_data)
        self.queues = dict(queues or {})
        self.roll_call = RollCall(self._tasks_under_way)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The configuration that it takes."""
        stock: Any = super().config_type()
        queues = dg.Field({str: str}, is_required=False, description="The queue of a feed's runs, by feed.")
        return {"queues": queues, **{name: stock[name] for name in ("default_queue", "broker", "config_source")}}

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand a run to the broker, for the queue of its feed."""
        run = context.dagster_run
        queue = self.queues.get(run.tags.get(FEED_TAG, ""))
        if queue and DAGSTER_CELERY_QUEUE_TAG not in run.tags:
            self._instance.add_run_tags(run.run_id, {DAGSTER_CELERY_QUEUE_TAG: queue})
            context = context._replace(dagster_run=self._instance.get_run_by_id(run.run_id) or run)
        super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """Have the worker end a run; returns whether it was asked to."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        # The stock launcher says nothing, and a run that ends without a word is taken for one that was killed: it
        # would be started again.
        self._instance.report_run_canceling(run)
        return DAGSTER_CELERY_TASK_ID_TAG in run.tags and super().terminate(run_id)

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a started run goes on. While the broker is away nobody can tell, and it counts as alive."""
        missed = self.roll_call.missed(run.tags.get(DAGSTER_CELERY_TASK_ID_TAG, ""))
        if missed < ENOUGH_MISSES:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "no worker has the run any more: the one that had it is gone")

    def get_run_worker_debug_info(
        self,
        run: dg.DagsterRun,
        include_container_logs: bool | None = True,  # noqa: ARG002 - Dagster passes it
    ) -> str | None:
        """What an error about a run's worker tells beside the error."""
        queue = run.tags.get(DAGSTER_CELERY_QUEUE_TAG, self.default_queue)
        return f"Celery task {run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)} in queue {queue}"

    def _tasks_under_way(self) -> Set[str] | None:
        """The tasks that workers work on, by their ids; None: the broker can't be asked."""
        try:
            replies = self.celery.control.broadcast(
                "active", arguments={"safe": True}, reply=True, timeout=ANSWER_SECONDS
            )
        except (OperationalError, *self.celery.connection_for_write().connection_errors):
            return None
        answers = [tasks for reply in replies for tasks in reply.values()]
        # A worker that could not answer the question sends an error in the place of its tasks.
        return {task["id"] for tasks in answers if isinstance(tasks, list) for task in tasks}


class RollCall:
    """For how many answers in a row a task was missing, as far as the answers can be trusted.

    Args:
        ask: returns the ids of all tasks that are worked on; None: nobody could be asked.
        clock: returns seconds that only go forward.
    """

    def __init__(self, ask: Callable[[], Set[str] | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._asked_at, self._trusted_from = -inf, -inf
        self._answer: Set[str] | None = None
        self._missed: dict[str, int] = {}
        self._counted: set[str] = set()

    def missed(self, task: str) -> int:
        """How many answers in a row lacked a task. It asks, unless it has just done so."""
        self._call()
        if self._answer is None or self._asked_at < self._trusted_from or task in self._answer:
            self._missed.pop(task, None)
        elif task not in self._counted:
            self._counted.add(task)
            self._missed[task] = self._missed.get(task, 0) + 1
        return self._missed.get(task, 0)

    def _call(self) -> None:
        if self._clock() - self._asked_at < SAME_ROUND_SECONDS:
            return
        # A run that was not looked at since the answer before has ended.
        self._missed = {task: misses for task, misses in self._missed.items() if task in self._counted}
        self._answer, self._asked_at, self._counted = self._ask(), self._clock(), set()
        if self._answer is None:
            self._trusted_from = self._asked_at + RETURN_SECONDS

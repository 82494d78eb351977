"""Dagster's GraphQL API, as far as the platform asks it from outside of a run: a sensor's state, runs, a run to start.

The webserver answers it. It is the public way to start a run from another process: it checks the job, and the run goes
through the same queue as all others.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from orchestration_project.errors import PlatformError
from orchestration_project.inspection.runs import RUN_KEY, UNFINISHED

TIMEOUT_SECONDS = 30.0
PLACES = """{ repositoriesOrError { __typename ... on RepositoryConnection {
    nodes { name location { name } sensors { name } } } ... on PythonError { message } } }"""
SENSOR = """query Sensor($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { __typename
    ... on Sensor { sensorState { status typeSpecificData { ... on SensorData { lastCursor } } } }
    ... on PythonError { message } } }"""
RUNS = """query Runs($filter: RunsFilter!, $limit: Int) { runsOrError(filter: $filter, limit: $limit) { __typename
    ... on Runs { results { tags { key value } } } ... on PythonError { message } } }"""
LAUNCH = """mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } ... on InvalidSubsetError { message }
    ... on UnauthorizedError { message } ... on PresetNotFoundError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""


class DagsterSilent(PlatformError):
    """Dagster's webserver can't be asked, or answers with an error."""


@dataclass(frozen=True, slots=True)
class SensorState:
    """How a sensor is.

    Attributes:
        running: whether it is switched on.
        cursor: what it remembers; None: it has not been evaluated yet.
        repository: the names of its code location and repository, by which its job is asked for, too.
    """

    running: bool
    cursor: str | None
    repository: Mapping[str, str]


class DagsterApi:
    """The GraphQL API of a webserver at a URL, such as `http://127.0.0.1:3000`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._places: dict[str, Mapping[str, str]] = {}

    def sensor(self, name: str) -> SensorState | None:
        """The state of a sensor; None: no code location has it.

        Raises:
            DagsterSilent: nobody answers, or with an error.
        """
        # Where it is changes only with a reload, and then the sensor is not found at its old place.
        for known in (True, False):
            if not known or name not in self._places:
                self._places = self._sensors()
            if name not in self._places:
                return None
            place = self._places[name]
            answer = self._ask(SENSOR, {"selector": {**place, "sensorName": name}}, "sensorOrError")
            if answer["__typename"] == "Sensor":
                state = answer["sensorState"]
                data = state["typeSpecificData"] or {}
                return SensorState(state["status"] == "RUNNING", data.get("lastCursor"), place)
        return None

    def _sensors(self) -> dict[str, Mapping[str, str]]:
        """Where each sensor is."""
        answer = self._ask(PLACES, {}, "repositoriesOrError", "RepositoryConnection")
        return {
            sensor["name"]: {"repositoryLocationName": node["location"]["name"], "repositoryName": node["name"]}
            for node in answer["nodes"]
            for sensor in node["sensors"]
        }

    def runs_under_way(self, job: str) -> dict[str, Mapping[str, str]]:
        """The runs of a job that have not ended: the tags of each, by its run key.

        Raises:
            DagsterSilent: nobody answers, or with an error.
        """
        wanted = {"pipelineName": job, "statuses": [status.value for status in UNFINISHED]}
        runs = self._ask(RUNS, {"filter": wanted}, "runsOrError", "Runs")["results"]
        tags = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in runs]
        return {found[RUN_KEY]: found for found in tags if RUN_KEY in found}

    def has_run(self, run_key: str) -> bool:
        """Whether there is a run of a key, ended or not.

        Raises:
            DagsterSilent: nobody answers, or with an error.
        """
        wanted = {"tags": [{"key": RUN_KEY, "value": run_key}]}
        return bool(self._ask(RUNS, {"filter": wanted, "limit": 1}, "runsOrError", "Runs")["results"])

    def launch(self, repository: Mapping[str, str], job: str, tags: Mapping[str, str]) -> str:
        """Start a run; it goes through Dagster's queue.

        Args:
            repository: as `sensor` names it.
            job: the name of the job.
            tags: of the run; its partition is one of them.

        Returns:
            The id of the run.

        Raises:
            DagsterSilent: nobody answers, or with an error.
        """
        params = {
            "selector": {**repository, "jobName": job},
            "mode": "default",
            "runConfigData": "{}",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        return str(self._ask(LAUNCH, {"params": params}, "launchRun", "LaunchRunSuccess")["run"]["runId"])

    def _ask(self, query: str, variables: Mapping[str, object], field: str, expected: str = "") -> Any:
        """The answer's field; an answer of another type than the expected one is an error, if one is named."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self._url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310 - the user's own URL
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - see above
                answer = json.load(response)
        except (OSError, ValueError) as error:
            said = f" ({error.read(500).decode(errors='replace')})" if isinstance(error, HTTPError) else ""
            raise DagsterSilent(f"Dagster does not answer at {self._url}: {error}{said}") from error
        found = (answer.get("data") or {}).get(field) if isinstance(answer, dict) else None
        if not isinstance(found, dict) or (expected and found["__typename"] != expected):
            told = found or (answer.get("errors") if isinstance(answer, dict) else answer)
            raise DagsterSilent(f"Dagster at {self._url} answered: {json.dumps(told)[:500]}")
        return found

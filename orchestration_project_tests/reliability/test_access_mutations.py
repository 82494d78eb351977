"""Readers change nothing: every mutation of Dagster's schema, by every way that a webserver takes one."""

import hashlib
import json
import sqlite3
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dagster_graphql.schema import create_schema
from graphql import GraphQLEnumType, GraphQLField, GraphQLInputObjectType, GraphQLList, GraphQLNonNull

# Dagster's webserver brings it along.
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.servers.access import SMALL, Proxy, Site

pytestmark = [pytest.mark.promise("security"), pytest.mark.xdist_group("access")]

KNOWN: dict[str, Any] = {
    "repositoryName": "__repository__",
    "repositoryLocationName": SMALL,
    "locationName": SMALL,
    "pipelineName": "stock_job",
    "jobName": "stock_job",
    "sensorName": "stock_sensor",
    "scheduleName": "stock_schedule",
    "path": ["stock"],
    "assetSelection": [{"path": ["prices"]}],
    "partitionNames": ["north"],
    "partitionsDefName": "tills",
    "partitionKey": "a till",
    "partitionKeys": ["a till"],
    "checkName": "counted",
    "concurrencyKey": "a key",
}
"""What there is from the start, by the name of an argument or a field."""
INSTIGATORS = {"stopSensor": "sensor", "stopRunningSchedule": "schedule"}
REFUSALS = {"UnauthorizedError", "TerminateRunFailure", "PythonError", "refused"}
HARMLESS = {
    "setNuxSeen": "notes that the UI's welcome was shown",
    "logTelemetry": "would write a line for Dagster's makers, and telemetry is off",
}
"""The mutations that `--read-only` lets through."""


def mutations() -> Mapping[str, GraphQLField]:
    """All mutations of the schema."""
    kind = create_schema().graphql_schema.mutation_type
    assert kind
    fields: Mapping[str, GraphQLField] = kind.fields
    return fields


def value_of(kind: Any, name: str, known: Mapping[str, Any]) -> Any:
    """A value for an argument or a field: one that there is, else some value of its type."""
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if name in known:
        return known[name]
    if isinstance(inner, GraphQLList):
        return [value_of(inner.of_type, "", known)]
    if isinstance(inner, GraphQLInputObjectType):
        wanted = {key: field.type for key, field in inner.fields.items()}
        return {
            key: value_of(of, key, known)
            for key, of in wanted.items()
            if key in known or isinstance(of, GraphQLNonNull)
        }
    if isinstance(inner, GraphQLEnumType):
        return next(iter(inner.values))
    return {"Int": 1, "Float": 1.0, "Boolean": True}.get(inner.name, "x")


def document_of(name: str, field: GraphQLField, known: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A mutation as a document, with its variables."""
    if name in INSTIGATORS:
        known = {"id": known[INSTIGATORS[name]]}
    values = {
        key: value_of(argument.type, key, known)
        for key, argument in field.args.items()
        if name not in INSTIGATORS or key == "id"
    }
    if "reexecutionParams" in values:
        values.pop("executionParams", None)
    declared = ", ".join(f"${key}: {field.args[key].type}" for key in values)
    given = ", ".join(f"{key}: ${key}" for key in values)
    told = "" if "Boolean" in str(field.type) else " { __typename }"
    call = f"{name}({given})" if given else name
    return f"mutation {f'({declared})' if declared else ''} {{ {call}{told} }}", values


def history(home: Path) -> dict[str, str]:
    """A digest of each table of Dagster's history."""
    found = {}
    for file in sorted(home.rglob("*.db")):
        with closing(sqlite3.connect(file)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                rows = connection.execute(f'SELECT * FROM "{table}" ORDER BY rowid').fetchall()
                found[f"{file.name}:{table}"] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return found


@dataclass(frozen=True)
class Shop:
    """A site in which there is something to change.

    Attributes:
        proxy: the way to it.
        home: its history.
        known: what there is, by the name of an argument or a field.
    """

    proxy: Proxy
    home: Path
    known: Mapping[str, Any]


@pytest.fixture(scope="module")
def shop(site: Site) -> Shop:
    """A site that has a queued run and a backfill, which could be ended, deleted or repeated."""

    def result(name: str, told: str) -> dict[str, Any]:
        document, values = document_of(name, mutations()[name], KNOWN)
        asked = document.replace("__typename", told)
        found: dict[str, Any] = site.proxy.query(asked, site.proxy.cookie("ann"), values)["data"][name]
        return found

    run = result("launchRun", "... on LaunchRunSuccess { run { runId } }")["run"]["runId"]
    backfill = result("launchPartitionBackfill", "... on LaunchBackfillSuccess { backfillId }")["backfillId"]
    sensor = result("resetSensor", "... on Sensor { sensorState { id } }")["sensorState"]["id"]
    schedule = result("resetSchedule", "... on ScheduleStateResult { scheduleState { id } }")["scheduleState"]["id"]
    ids = {"runId": run, "runIds": [run], "parentRunId": run, "backfillId": backfill}
    return Shop(site.proxy, site.home, {**KNOWN, **ids, "sensor": sensor, "schedule": schedule})


def test_readers_execute_no_mutation(shop: Shop) -> None:
    """Each mutation that a reader posts is refused or fails, and none of them changes Dagster's history."""
    before = history(shop.home)
    cookie, kinds = shop.proxy.cookie("bob"), {}
    for name, field in mutations().items():
        tried()
        answer = shop.proxy.query(*_asked(name, field, cookie, shop.known))
        kinds[name] = _result(answer, name)
    done = {name for name, kind in kinds.items() if kind not in REFUSALS}
    # These two answer with a list, in which each run is refused.
    assert done - set(HARMLESS) == {"launchMultipleRuns", "terminateRuns"}
    # It looks for the backfill before it asks who may repeat it, and here is none by that name.
    failed = {name for name, kind in kinds.items() if kind == "PythonError"}
    assert failed - set(HARMLESS) == {"reexecutePartitionBackfill"}
    assert history(shop.home) == before


def test_operators_execute_what_readers_may_not(shop: Shop) -> None:
    """The same documents work for an operator, so what readers see is a refusal and no mistake of the request."""
    wanted = ("startSensor", "addDynamicPartition", "setConcurrencyLimit", "reportRunlessAssetEvents", "deleteRun")
    results = []
    for name in wanted:
        tried()
        answer = shop.proxy.query(*_asked(name, mutations()[name], shop.proxy.cookie("ann"), shop.known))
        results.append(_result(answer, name))
    expected = ["Sensor", "AddDynamicPartitionSuccess", "True", "ReportRunlessAssetEventsSuccess"]
    assert results == [*expected, "DeletePipelineRunSuccess"]


@pytest.mark.parametrize("endpoint", ["asset_materialization", "asset_observation", "asset_check"])
def test_readers_report_nothing(shop: Shop, endpoint: str) -> None:
    """The addresses by which programs report events take none from a reader, nor from a reader's program."""
    tried()
    path = f"/report_{endpoint}/stock?check_name=counted&passed=true"
    before = history(shop.home)
    assert shop.proxy.ask(path, "POST", Cookie=shop.proxy.cookie("bob")).status == 401
    assert history(shop.home) == before
    assert shop.proxy.ask(path, "POST", Cookie=shop.proxy.cookie("ann")).status == 200


@pytest.mark.parametrize("kind", ["application/graphql", "text/plain", "application/x-www-form-urlencoded"])
def test_no_other_form_of_a_request_is_a_way(shop: Shop, kind: str) -> None:
    """A mutation is refused as a body of another type, and in the address of a request with a body, as well."""
    tried()
    mutation = "mutation{setAutoMaterializePaused(paused:true)}"
    before, cookie = history(shop.home), shop.proxy.cookie("bob")
    for path in ("/graphql", f"/graphql?query={mutation}", f"//graphql?query={mutation}"):
        answer = shop.proxy.ask(path, "POST", mutation.encode(), Cookie=cookie, Content_Type=kind)
        assert b'{"setAutoMaterializePaused":true}' not in answer.body
    assert history(shop.home) == before


def test_a_websocket_needs_a_log_in_and_takes_no_mutation(shop: Shop) -> None:
    """Subscriptions work for who is logged in, mutations for nobody, and nobody else gets a websocket at all."""
    tried(4)
    with pytest.raises(InvalidStatus, match="401"):
        _socket_says(shop.proxy, None, "{ version }")
    with pytest.raises(InvalidStatus, match="403"):
        _socket_says(shop.proxy, "ann", "{ version }", "https://evil.example")
    before = history(shop.home)
    for name in ("ann", "bob"):
        told = _socket_says(shop.proxy, name, "mutation { setAutoMaterializePaused(paused: true) }")
        assert told["type"] == "error"
        told = _socket_says(shop.proxy, name, "subscription { locationStateChangeEvents { __typename } }", wait=False)
        assert told["type"] == "connection_ack"
    assert history(shop.home) == before


def _asked(name: str, field: GraphQLField, cookie: str, known: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    document, values = document_of(name, field, known)
    return document, cookie, values


def _result(answer: Mapping[str, Any], name: str) -> str:
    """The type of a mutation's result; `refused` where it has no other type than a boolean for saying so."""
    data = (answer.get("data") or {}).get(name)
    if data is None:
        return "refused" if "UnauthorizedError" in str(answer["errors"]) else str(answer["errors"])
    return str(data["__typename"]) if isinstance(data, dict) else str(data)


def _socket_says(
    proxy: Proxy, name: str | None, document: str, origin: str | None = None, wait: bool = True
) -> dict[str, Any]:
    """What a websocket answers to an operation; or, without waiting for it, to the greeting."""
    tls: ssl.SSLContext = proxy.tls
    cookie = {"Cookie": proxy.cookie(name)} if name else {}
    opened = connect(
        f"wss://{proxy.host}/graphql",
        ssl=tls,
        subprotocols=[Subprotocol("graphql-ws")],
        additional_headers=cookie,
        origin=Origin(origin or proxy.url),
        open_timeout=120,
        proxy=None,
    )
    with opened as connection:
        connection.send(json.dumps({"type": "connection_init"}))
        greeting: dict[str, Any] = json.loads(connection.recv(120))
        connection.send(json.dumps({"type": "start", "id": "1", "payload": {"query": document}}))
        answer: dict[str, Any] = json.loads(connection.recv(120)) if wait else greeting
    return answer

"""The option by which tests use a lake instead of a DuckDB file, and the servers that lakes need.

`pytest --warehouse lake-sqlite` runs tests on a DuckLake with its catalog in SQLite and its files in a folder, and
`--warehouse lake-postgres` on one with its catalog in PostgreSQL and its files on S3. What a test says of the tables
then has to hold for them too.
"""

import os
from collections.abc import Iterator

import pytest

from orchestration_project_tests.servers.postgres import PostgresServer, postgres_server
from orchestration_project_tests.servers.s3 import BUCKET, S3Server, running
from orchestration_project_tests.servers.warehouses import CHOICE, FILE, POSTGRES, SERVER, SQLITE, STORE, kind


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--warehouse", choices=(FILE, SQLITE, POSTGRES), default=FILE, help="kind of warehouse")


def pytest_configure(config: pytest.Config) -> None:
    """Tell processes that tests start which kind it is."""
    os.environ[CHOICE] = config.getoption("--warehouse")  # noqa: TID251 - the environment itself is what is prepared


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip on a lake what is about the DuckDB file itself."""
    for item in items:
        if kind() != FILE and (mark := item.get_closest_marker("of_a_file")):
            item.add_marker(pytest.mark.skip(reason=f"about the DuckDB file itself: {mark.args[0]}"))


Servers = tuple[PostgresServer, S3Server]


@pytest.fixture(scope="session")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with postgres_server() as database, running(tmp_path_factory.mktemp("lakes")) as store:
        yield database, store


@pytest.fixture
def lake_servers(_servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Servers:
    """A PostgreSQL server for catalogs and an S3 server for files, with what their clients need in the environment."""
    _tell(_servers, monkeypatch)
    return _servers


@pytest.fixture
def lake_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of lake that this test and the processes that it starts use; a parameter may name it."""
    chosen = str(getattr(request, "param", SQLITE))
    if chosen == POSTGRES:
        request.getfixturevalue("lake_servers")
    monkeypatch.setenv(CHOICE, chosen)
    return chosen


@pytest.fixture(autouse=True, scope="session")
def _servers_of_all(request: pytest.FixtureRequest) -> Iterator[None]:
    """The servers that the lakes of all tests need, if they need any."""
    with pytest.MonkeyPatch.context() as patch:
        if kind() == POSTGRES:
            _tell(request.getfixturevalue("_servers"), patch)
        yield


def _tell(servers: Servers, patch: pytest.MonkeyPatch) -> None:
    database, store = servers
    told = {SERVER: database.url("{}"), STORE: f"s3://{BUCKET}"} | store.environment
    for name, value in told.items():
        patch.setenv(name, value)

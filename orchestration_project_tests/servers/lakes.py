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


@pytest.fixture(autouse=True, scope="session")
def _lake_servers(request: pytest.FixtureRequest) -> None:
    """The servers that the lakes of all tests need, if they need any."""
    if kind() == POSTGRES:
        request.getfixturevalue("lake_servers")


@pytest.fixture(scope="session")
def lake_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, S3Server]]:
    """A PostgreSQL server for catalogs and an S3 server for files, with what their clients need in the environment."""
    with (
        postgres_server() as database,
        running(tmp_path_factory.mktemp("lakes")) as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(SERVER, database.url("{}"))
        patch.setenv(STORE, f"s3://{BUCKET}")
        for name, value in store.environment.items():
            patch.setenv(name, value)
        yield database, store

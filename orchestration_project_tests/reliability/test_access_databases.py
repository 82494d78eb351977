"""Roles in PostgreSQL: who reads deliveries or a lake's catalog changes nothing, and can't stop who writes them."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg
import pytest

from orchestration_project.delivery.postgres import PostgresTarget
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.delivery.parts import SALES, Staging, contents, deliver
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.servers.postgres import PASSWORD, PostgresServer

pytestmark = pytest.mark.promise("security")

SCRIPTS = REPOSITORY / "deploy/access/postgres"
EXTENSIONS = ("ducklake", "postgres_scanner")


def prepared(postgres: PostgresServer, script: str, **logins: str) -> Callable[[str], str]:
    """A database with the roles of a script, and logins in them; returns the URL of a login."""
    database = postgres.new_database()
    with psycopg.connect(postgres.url(database), autocommit=True) as connection:
        for _ in range(2):  # It may be run again.
            connection.execute((SCRIPTS / script).read_bytes())
        for login, role in {**logins, "stranger": ""}.items():
            name = f"{database}_{login}"
            member = f" IN ROLE {role}" if role else ""
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'{member}".encode())
            if role.endswith("_writer"):
                connection.execute(f"ALTER ROLE {name} SET role = {role}".encode())
    return lambda login: postgres.url(database, f"{database}_{login}")


def refused(url: str, *statements: str) -> list[str]:
    """The statements that a user may not execute."""
    found = []
    for statement in statements:
        tried()
        with psycopg.connect(url, autocommit=True) as connection:
            try:
                connection.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                found.append(statement)
    return found


def test_who_reads_deliveries_reads_them_and_nothing_else(postgres: PostgresServer, tmp_path: Path) -> None:
    """With the roles of deploy/access a delivery works, its reader reads it, and may change and make nothing."""
    url = prepared(postgres, "deliveries.sql", platform="delivery_writer", dashboard="warehouse_reader")
    target, day = PostgresTarget(url("platform"), reader="warehouse_reader"), Staging(tmp_path).day("2024-01-15", "1")
    deliver(target, day)
    assert target.delivered(SALES.table) == contents(day)
    with psycopg.connect(url("dashboard")) as connection:
        assert connection.execute("SELECT count(*) FROM warehouse.sales").fetchone() == (3,)
    changes = (
        *("DELETE FROM warehouse.sales", "UPDATE warehouse.sales SET quantity = 0", "TRUNCATE warehouse.sales"),
        *(
            "INSERT INTO warehouse.sales (order_id) VALUES ('x')",
            "DROP TABLE warehouse.sales",
            "CREATE TEMP TABLE t (i int)",
        ),
        *("CREATE TABLE warehouse.own (i int)", "CREATE TABLE public.own (i int)", "CREATE SCHEMA own"),
        *("SET ROLE delivery_writer", "CREATE ROLE own", "SELECT * FROM pg_authid", "COPY warehouse.sales TO '/tmp/x'"),
    )
    assert refused(url("dashboard"), *changes) == list(changes)
    others = ("CREATE ROLE own", "CREATE TABLE public.own (i int)", "COPY warehouse.sales TO '/tmp/x'")
    assert refused(url("platform"), *others) == list(others)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url("stranger"))


def test_who_reads_a_lake_reads_it_and_stops_nobody(postgres: PostgresServer, tmp_path: Path) -> None:
    """A reader of the catalog reads tables that the writer makes later, changes nothing, and takes no writer's lock."""
    url = prepared(postgres, "lake.sql", platform="lake_writer", analyst="lake_reader")
    with _lake(url("platform"), tmp_path) as lake:
        lake.execute("CREATE TABLE lake.sales AS SELECT 1 AS quantity")
    with _lake(url("platform"), tmp_path) as lake:
        lake.execute("CREATE TABLE lake.later AS SELECT i FROM range(1000) AS numbers(i)")
        lake.execute("INSERT INTO lake.sales VALUES (2)")
    with _lake(url("analyst"), tmp_path, "READ_ONLY") as lake:
        assert lake.execute("SELECT sum(quantity) FROM lake.sales").fetchall() == [(3,)]
        assert lake.execute("SELECT count(*) FROM lake.later").fetchall() == [(1000,)]
    with _lake(url("analyst"), tmp_path) as lake, pytest.raises(duckdb.Error, match="permission denied"):
        lake.execute("INSERT INTO lake.sales VALUES (3)")
    changes = (
        *(
            "DELETE FROM ducklake_data_file",
            "UPDATE ducklake_table SET table_name = 'x'",
            "DROP TABLE ducklake_snapshot",
        ),
        *("CREATE TABLE own (i int)", "CREATE TEMP TABLE own (i int)", "SET ROLE lake_writer"),
        *("SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_xact_lock(1)", "SELECT pg_advisory_lock_shared(1, 2)"),
    )
    assert refused(url("analyst"), *changes) == list(changes)
    assert refused(url("platform"), "SELECT pg_advisory_lock(1)") == []
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url("stranger"))


def _words(url: str) -> str:
    parameters = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(url).items()}
    return psycopg.conninfo.make_conninfo(**parameters)


def _lake(url: str, data: Path, *options: str) -> duckdb.DuckDBPyConnection:
    """A connection that has a lake attached, with the extensions of the installed wheels."""
    connection = duckdb.connect(config={"secret_directory": str(data / "none")})
    for name in EXTENSIONS:
        folder = Path(__import__(f"duckdb_extension_{name}").__path__[0])
        connection.execute(f"LOAD '{folder}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'")
    where = _words(url).replace("'", "''")
    listed = ", ".join((f"DATA_PATH '{data}/data/'", *options))
    connection.execute(f"ATTACH 'ducklake:postgres:{where}' AS lake ({listed})")
    return connection

"""Where a test's warehouse is: a DuckDB file, as is the default, or a lake, by the option that `lakes` adds."""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import duckdb
import psycopg

from orchestration_project.settings import Settings
from orchestration_project.storage.objects import open_objects
from orchestration_project.warehouse.connection import Warehouse

FILE, SQLITE, POSTGRES = "file", "lake-sqlite", "lake-postgres"
CHOICE, SERVER, STORE = "TESTS_WAREHOUSE", "TESTS_LAKE_SERVER", "TESTS_LAKE_STORE"
"""Variables of the environment, so that processes which tests start use the same kind."""


def kind() -> str:
    """The kind of warehouse that the tests use."""
    return os.environ.get(CHOICE, FILE)  # noqa: TID251 - no setting of the package


def place(folder: Path, chosen: str | None = None) -> tuple[str, str]:
    """WAREHOUSE_URL and WAREHOUSE_DATA of a test's warehouse; both empty for a file.

    Args:
        folder: the test's data folder; another one has another warehouse.
        chosen: the kind, if the test does not use that of the option.
    """
    used = chosen or kind()
    if used == FILE:
        return "", ""
    if used == SQLITE:
        return f"ducklake:sqlite:///{folder}/lake.sqlite", f"{folder}/lake"
    name = f"lake_{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    server, store = os.environ[SERVER], os.environ[STORE]  # noqa: TID251 - no settings of the package
    _make_database(server, name)
    return f"ducklake:{server.format(name)}", f"{store}/{name}"


@contextmanager
def connected(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to an empty warehouse: to a lake in the folder, or to a database in memory instead of a file."""
    if kind() == FILE:
        with duckdb.connect() as connection:
            yield connection
        return
    url, data = place(folder)
    settings = Settings(data_dir=folder, warehouse_url=url, warehouse_data=data)
    with Warehouse.from_settings(settings).connection("test") as connection:
        yield connection


@cache
def _make_database(server: str, name: str) -> None:
    with psycopg.connect(server.format("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(f"CREATE DATABASE {name}".encode())


def copied_folder(source: Path, target: Path) -> Path:
    """Copy a data folder and its warehouse, of whatever kind that is: what is done to the one does not touch the other.

    Returns:
        The copy's folder.
    """
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    moved = f"UPDATE ducklake_metadata SET value = '{place(target)[1]}/' WHERE key = 'data_path'"
    if kind() == SQLITE and (target / "lake.sqlite").exists():
        with closing(sqlite3.connect(target / "lake.sqlite")) as catalog, catalog:
            catalog.execute(moved)
    if kind() == POSTGRES:
        (old, old_data), (new, new_data) = ([part.rpartition("/") for part in place(at)] for at in (source, target))
        server = os.environ[SERVER]  # noqa: TID251 - no setting of the package
        with psycopg.connect(server.format("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {new[2]}".encode())
            connection.execute(f"CREATE DATABASE {new[2]} TEMPLATE {old[2]}".encode())
        with psycopg.connect(server.format(new[2])) as connection:
            if connection.execute("SELECT to_regclass('ducklake_metadata') IS NOT NULL").fetchone() == (True,):
                connection.execute(moved.encode())
        store = open_objects(old_data[0])
        for found in list(store.list(old_data[2])):
            store.put(f"{new_data[2]}{found.key.removeprefix(old_data[2])}", store.get(found.key))
    return target

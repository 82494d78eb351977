"""`warehouse.duckdb` of the published copy: views over its files, named as the tables are in the warehouse.

    CREATE VIEW main.cleaned_till AS SELECT id, n FROM read_parquet(
        [coalesce(getvariable('published_path'), '/srv/data/published') || '/main/cleaned_till/2024-01-15-....parquet'])

Paths are absolute: DuckDB looks for relative ones in the reader's working folder. A reader who finds the folder in
another place says so with `SET VARIABLE published_path`.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from orchestration_project.publishing.files import read_expression
from orchestration_project.publishing.manifest import VIEWS, Manifest, Table
from orchestration_project.warehouse.tables import ident, literal

VARIABLE = "published_path"
STATE = "_published"
"""The schema of the table `state`: which state the file shows. No table of the warehouse has a place in it."""


def make_views(folder: Path, manifest: Manifest) -> Path:
    """Make the file with the views of a state, under another name; returns its path.

    Args:
        folder: where the copy is for this process.
        manifest: the state, whose files are there.
    """
    import duckdb

    new = folder / f".{VIEWS}.new"
    new.unlink(missing_ok=True)
    # In the oldest format: drivers of DuckDB that are older than the platform's read it, too.
    with closing(duckdb.connect(str(new))) as connection:
        # CREATE VIEW looks into the files, and the place where readers find them may not exist here.
        connection.execute(f"SET VARIABLE {VARIABLE} = {literal(str(folder))}")
        connection.execute("BEGIN")
        for statement in _statements(manifest):
            connection.execute(statement)
        connection.execute("COMMIT")
    # Nobody writes to it: with a connection that could, DuckDB would shut all other readers out.
    new.chmod(0o444)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    return new


def _statements(manifest: Manifest) -> Iterator[str]:
    for schema in dict.fromkeys([STATE, *(table.schema for table in manifest.tables)]):
        yield f"CREATE SCHEMA IF NOT EXISTS {ident(schema)}"
    yield (
        f"CREATE TABLE {STATE}.state AS SELECT {manifest.number}::BIGINT AS number,"
        f" make_timestamp({int(manifest.published_at * 1e6)}) AS published_at"
    )
    for table in manifest.tables:
        yield _view(table, manifest.path)


def _view(table: Table, path: str) -> str:
    columns = ", ".join(read_expression(name, sql_type) for name, sql_type in table.columns.items())
    # Written out file by file: a lambda in its place has another syntax in DuckDB before 1.3.
    prefix = f"coalesce(getvariable('{VARIABLE}'), {literal(path)})"
    files = ", ".join(f"{prefix} || {literal(f'/{part.file}')}" for part in table.parts.values())
    return (
        f"CREATE VIEW {ident(table.schema)}.{ident(table.name)} AS"
        f" SELECT {columns} FROM read_parquet([{files}], hive_partitioning = false)"
    )

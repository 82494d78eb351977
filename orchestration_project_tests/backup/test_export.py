"""The warehouse as Parquet files and back: every type, every constraint, every row."""

from pathlib import Path

import pytest

from orchestration_project.backup.export import (
    ddl_of,
    export_part,
    import_part,
    state_of,
    tables_of,
)
from orchestration_project.warehouse.connection import Warehouse, transaction
from orchestration_project.warehouse.duckdb_file import DuckdbFile

SCHEMA = """
    CREATE SCHEMA s;
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE SEQUENCE ids START 5;
    CREATE TABLE parents (
        id INTEGER PRIMARY KEY, mood mood DEFAULT 'good', wide HUGEINT, name VARCHAR NOT NULL CHECK (length(name) > 0),
        number INTEGER DEFAULT nextval('ids'), next INTEGER GENERATED ALWAYS AS (id + 1));
    CREATE TABLE "chil dren" (parent INTEGER REFERENCES parents (id), "a ""b" DECIMAL(38, 0)[]);
    CREATE TABLE s."By day" (_batch_date DATE, n INTEGER);
    CREATE TABLE by_hour (_batch_date TIMESTAMP, n INTEGER);
    CREATE VIEW seen AS SELECT * FROM parents;
    CREATE INDEX names ON parents (name);
    CREATE MACRO more(x) AS x + 1;
    COMMENT ON TABLE parents IS 'it''s;

a "comment"';
    COMMENT ON COLUMN parents.id IS 'the key';
    INSERT INTO parents (id, wide, name) VALUES (1, 170141183460469231731687303715884105727, E'x;\\n'), (2, -1, 'ü');
    INSERT INTO "chil dren" VALUES (1, [1, NULL, 99999999999999999999999999999999999999]);
    INSERT INTO s."By day" VALUES ('2024-01-01', 1), (NULL, 2), ('2024-01-02', 3), ('2024-01-01', NULL);
    INSERT INTO by_hour VALUES ('2024-01-01 02:00:01', 1);
    CREATE TABLE everything AS SELECT * EXCLUDE ("union") FROM test_all_types();
    CREATE TABLE odd AS
        FROM (VALUES (DATE 'infinity', TIMESTAMP '-infinity', 'nan'::DOUBLE, '-0.0'::DOUBLE, chr(0))) t(a, b, c, d, e);
"""


@pytest.fixture
def made(tmp_path: Path) -> Warehouse:
    """A warehouse with all that DuckDB has."""
    warehouse = DuckdbFile(tmp_path / "one.duckdb", threads=1)
    with warehouse.connection("test") as connection:
        connection.execute(SCHEMA)
    return warehouse


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_everything_comes_back(made: Warehouse, tmp_path: Path) -> None:
    """Types, constraints, defaults, sequences, views, macros, indexes, comments and rows are what they were."""
    work = folder(tmp_path / "work")
    with made.connection("test", [work], read_only=True) as connection:
        ddl = ddl_of(connection, folder(work / "ddl"))
        with transaction(connection):
            states = [state_of(connection, *names) for names in tables_of(connection)]
            parts = [(state, batch) for state in states for batch in state.contents]
            for number, (state, batch) in enumerate(parts):
                export_part(connection, state, batch, work / f"{number}.parquet")
    other = DuckdbFile(tmp_path / "two.duckdb", threads=1)
    with other.connection("test", [work]) as connection:
        connection.execute(ddl)
        for number, (state, _) in enumerate(parts):
            import_part(connection, state.schema, state.name, state.columns, work / f"{number}.parquet")
        found = [state_of(connection, *names) for names in tables_of(connection)]
        assert {state.full_name: state for state in found} == {state.full_name: state for state in states}
        assert ddl_of(connection, folder(work / "again")) == ddl
        assert connection.execute("SELECT next, number, more(id) FROM seen ORDER BY id").fetchall() == [
            (2, 5, 2),
            (3, 6, 3),
        ]
        assert connection.execute("SELECT nextval('ids')").fetchone() == (7,)


def test_rows_are_told_apart_by_batch(made: Warehouse) -> None:
    """A table with batches has a part for each, one for rows without a batch; the order of rows does not matter."""
    with made.connection("test") as connection:
        before = state_of(connection, "s", "By day")
        assert {batch: content.rows for batch, content in before.contents.items()} == {
            None: 1,
            "2024-01-01": 2,
            "2024-01-02": 1,
        }
        assert list(state_of(connection, "main", "by_hour").contents) == ["2024-01-01 02:00:01"]
        connection.execute("""CREATE OR REPLACE TABLE s."By day" AS FROM s."By day" ORDER BY n DESC""")
        assert state_of(connection, "s", "By day") == before
        connection.execute("""UPDATE s."By day" SET n = 4 WHERE n = 3""")
        after = state_of(connection, "s", "By day").contents
        assert {batch for batch in after if after[batch] != before.contents[batch]} == {"2024-01-02"}

"""What a statement can reach, whatever got into it: DuckDB is shut, and a contract's SQL only computes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.expressions import parse_expression
from orchestration_project.contracts.queries import parse_query
from orchestration_project.setting_values import SettingsError
from orchestration_project.settings import Settings
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.reliability.evidence import tried

pytestmark = pytest.mark.promise("security")

PACKAGE = Path(__file__).parents[2] / "orchestration_project"
REFUSALS = (
    duckdb.PermissionException,
    duckdb.InvalidInputException,
    duckdb.CatalogException,
    duckdb.BinderException,
    duckdb.IOException,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `in`, which a step may use, with links that lead out of it, and a folder `out` with a secret."""
    place = tmp_path_factory.mktemp("place")
    for name in ("in", "out"):
        (place / name).mkdir()
        (place / name / "a.csv").write_text("a,b\n1,secret\n", encoding="utf-8")
        duckdb.sql("SELECT 1 AS a").write_parquet(str(place / name / "a.parquet"))
    (place / "in" / "link.csv").symlink_to(place / "out" / "a.csv")
    (place / "in" / "folder").symlink_to(place / "out")
    (place / "way").symlink_to(place / "in")
    return place


@pytest.fixture(scope="module")
def connection(place: Path) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection of a step that asked for the folder `in`, by way of a link."""
    warehouse = DuckdbFile(place / "warehouse.duckdb", lock_timeout=1, threads=1, memory_limit="60MB")
    with warehouse.connection("test", [place / "way", place / "not there yet"]) as opened:
        yield opened


@pytest.mark.found("A statement could read any file of the machine, write files and load extensions.")
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{place}/out/a.csv')",
        "SELECT * FROM read_csv('{place}/in/../out/a.csv')",
        "SELECT * FROM read_csv('{place}/in/link.csv')",
        "SELECT * FROM read_csv('{place}/in/folder/a.csv')",
        "SELECT * FROM read_csv(['{place}/in/a.csv', '{place}/out/a.csv'])",
        "SELECT * FROM read_text('{place}/out/*')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_json('{place}/out/a.csv')",
        "SELECT * FROM read_json_objects('{place}/out/a.csv')",
        "SELECT * FROM read_parquet('{place}/out/a.parquet')",
        "SELECT * FROM parquet_metadata('{place}/out/a.parquet')",
        "SELECT * FROM sniff_csv('{place}/out/a.csv')",
        "SELECT * FROM glob('{place}/out/*')",
        "SELECT * FROM glob('/etc/*')",
        "FROM '{place}/out/a.csv'",
        "SELECT * FROM query('FROM read_text(''/etc/passwd'')')",
        "SELECT * FROM read_csv('https://localhost:1/a.csv')",
        "SELECT * FROM read_csv('s3://bucket/a.csv')",
        "COPY (SELECT 1) TO '{place}/out/new.csv'",
        "COPY (SELECT 1) TO '{place}/in/folder/new.csv'",
        "COPY t FROM '{place}/out/a.csv'",
        "EXPORT DATABASE '{place}/out/export'",
        "IMPORT DATABASE '{place}/out/export'",
        "ATTACH '{place}/out/new.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '{place}/in/a.csv'",
        "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
        "SELECT getenv('HOME')",
        "SET enable_external_access = true",
        "SET GLOBAL enable_external_access = true",
        "PRAGMA enable_external_access = true",
        "RESET enable_external_access",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "SET allowed_paths = ['/etc/passwd']",
        "SET autoinstall_known_extensions = true",
        "SET allow_unsigned_extensions = true",
        "SET python_enable_replacements = true",
        "SET memory_limit = '1TB'",
        "SET log_query_path = '{place}/out/log'",
        "PRAGMA profiling_output = '{place}/out/profile'",
        "FROM python_variable",
    ],
)
def test_a_statement_reaches_nothing_outside(
    statement: str, connection: duckdb.DuckDBPyConnection, place: Path
) -> None:
    """No statement reads or writes outside of the step's folders, loads anything, or opens what was shut."""
    python_variable = pd.DataFrame({"a": [1]})
    before = sorted((place / "out").rglob("*"))
    with pytest.raises(REFUSALS):
        connection.execute(statement.replace("{place}", str(place))).fetchall()
    assert sorted((place / "out").rglob("*")) == before
    assert len(python_variable) == 1


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SELECT * FROM read_csv('{place}/way/a.csv')", id="by the link"),
        pytest.param("SELECT * FROM read_csv('{place}/in/a.csv')", id="by the folder"),
        pytest.param("SELECT * FROM read_parquet('{place}/in/a.parquet')", id="Parquet"),
        pytest.param("SELECT json_extract('[1]', '$[0]')", id="JSON"),
        pytest.param("SELECT timezone('Europe/Berlin', TIMESTAMP '2024-01-01')", id="time zones"),
        pytest.param("SELECT count(DISTINCT md5(range::VARCHAR)) FROM range(1_500_000)", id="more than fits in memory"),
        pytest.param("CHECKPOINT", id="checkpoint"),
    ],
)
def test_what_a_step_needs_is_open(statement: str, connection: duckdb.DuckDBPyConnection, place: Path) -> None:
    """The step's folders can be read, JSON, Parquet and time zones need no download, and sorting may use the disk."""
    assert connection.execute(statement.replace("{place}", str(place))).fetchall() is not None


def test_other_steps_read_no_files(place: Path) -> None:
    """A connection for which no folder was asked reads not even the warehouse's own."""
    with (
        DuckdbFile(place / "other.duckdb", lock_timeout=1).connection("test") as shut,
        pytest.raises(duckdb.PermissionException),
    ):
        shut.execute(f"FROM read_csv('{place}/in/a.csv')")


def test_folders_may_be_links(tmp_path: Path) -> None:
    """DATA_DIR, landing and archive may be links to other disks; a file that is a link is left alone."""
    for name in ("real/landing", "real/archive", "drop", "old"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data").symlink_to(tmp_path / "real")
    (tmp_path / "real/landing/f").symlink_to(tmp_path / "drop")
    (tmp_path / "real/archive/f").symlink_to(tmp_path / "old")
    shop = Shop(tmp_path / "data")
    shop.deliver(named(1), "id,n\na,1\n")
    shop.deliver(named(2), "id,n\nb,2\n".encode("utf-16"))
    (tmp_path / "secret.csv").write_text("id,n\nsecret,3\n", encoding="utf-8")
    (tmp_path / "drop" / named(3)).symlink_to(tmp_path / "secret.csv")
    shop.load()
    shop.lose_warehouse()
    (tmp_path / "old" / "2024-01-03").mkdir()
    (tmp_path / "old" / "2024-01-03" / named(3)).symlink_to(tmp_path / "secret.csv")
    shop.load()
    assert shop.cleaned("id") == ["a", "b"]
    assert shop.landing() == [named(3)]


def functions() -> list[tuple[str, str, str | None]]:
    """Every function that DuckDB has: its name, its kind, and whether the same arguments always give the same value."""
    query = "SELECT DISTINCT function_name, function_type, stability FROM duckdb_functions() ORDER BY ALL"
    return duckdb.sql(query).fetchall()


def test_no_function_reads_more_than_its_arguments() -> None:
    """Of all functions that DuckDB has, a transformLogic may only call scalar ones whose value never changes."""
    allowed = set()
    for name in sorted({name for name, _, _ in functions()}):
        for arguments in ("", "a", "a, a", "a, 1, 'x'", "'%s', a"):
            tried()
            if parse_expression(f"{name}({arguments})", ["a"], Place()):
                allowed.add(name)
    kinds = {(kind, stability) for name, kind, stability in functions() if name in allowed}
    assert {"upper", "round", "regexp_replace"} <= allowed
    assert {kind for kind, _ in kinds} <= {"scalar", "macro", "aggregate"}
    assert {stability for kind, stability in kinds if kind == "scalar"} == {"CONSISTENT"}


ATTACKS = """
    query('select 1') | query_table('x') | duckdb_secrets() | getvariable('x') | pragma version | set threads = 1
    'a'; attach 'x' | [x for x in [a]] | list_transform([a], lambda x: getenv(x)) | {'x': a}.x | struct_pack(x := 1).*
    columns(*) | columns(lambda c: true) | coalesce(columns(*)) | cast(a as json) | a::mine | a::enum('a') | a::blob
    #1 | ? | $1 | pg_catalog.version() | main.upper(a) | system.main.read_text('x') | a.upper() | read_text('x').content
    values (1) | describe t | a = any(select 1) | unnest([1]) | range(1, 10) | try(error('x')) | pg_sleep(9)
    nextval('s') | setseed(0.5) | a collate de | a glob 'x' | a -> '$' | a[1] | e'\\x00'
    insert into t values (1) | update t set a = 1 | drop table t | create table x as from t | create macro m() as 1
    export database 'x' | install httpfs | load json | call pragma_version() | explain analyze select 1 | checkpoint
"""
ONLY_IN_QUERIES = """
    a.* | * | t.a | from t | table t | if(q > 1, (from t), 1) | a not in (from t) | exists(from t) | count(*) | sum(q)
    row_number() over (order by a) | sum(q) filter (where q > 1) | current_date | now() | _file | rowid
"""


def texts(listed: str) -> list[str]:
    return [text.strip() for text in re.split(r" \| |\n", listed) if text.strip()]


@pytest.mark.parametrize("text", [*texts(ATTACKS), *texts(ONLY_IN_QUERIES)])
def test_an_expression_computes_with_its_row_or_is_refused(text: str) -> None:
    """No transformLogic looks at other rows, other tables, settings, files, variables or the clock."""
    for wrapped in (text, f"coalesce({text}, 1)", f"case when {text} then 1 end"):
        tried()
        assert parse_expression(wrapped, ["a", "q"], Place()) is None


@pytest.mark.parametrize("text", texts(ATTACKS))
def test_a_query_computes_or_is_refused(text: str) -> None:
    """Nowhere in a quality rule's query does anything stand that does more than compute."""
    for query in (f"select max({text}) from {{table}}", f"select 1 from {{table}} where {text}", text):
        tried()
        assert parse_query(query, ["t"], ["a", "q"], None, Place()) is None


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('/etc/passwd')",
        "'/etc/passwd'",
        '"/etc/passwd"',
        "glob('*')",
        "query('select 1')",
        "query_table('other')",
        "duckdb_settings()",
        "information_schema.tables",
        "pg_catalog.pg_tables",
        "sqlite_master",
        "other",
        "main.t",
        "memory.main.t",
        "range(1000000000000)",
        "(values (1))",
        "(delete from t returning *)",
        "(pivot t on a)",
        "(show tables)",
        "(describe t)",
        "{table}, lateral (select 1)",
        "{table} tablesample 10%",
        "{table} at (version => 1)",
        "{table} join read_text('x') on true",
    ],
)
def test_a_query_reads_nothing_but_its_batch(source: str) -> None:
    """A quality rule's query can name no other source than the batch's rows."""
    assert parse_query(f"select count(*) from {source}", ["t"], ["a"], None, Place()) is None


@pytest.mark.found("A number in a file could make transformLogic fill gigabytes of memory with one text.")
@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        pytest.param("repeat('x', 10000000000)", False, id="billions"),
        pytest.param("repeat('x', " + "9" * 5000 + ")", False, id="no number that Python reads"),
        pytest.param("repeat(a, q)", False, id="a number from the row"),
        pytest.param("repeat(repeat(a, 900), 900)", False, id="repeated repeats"),
        pytest.param("repeat(a, 3)", True, id="a small number"),
        pytest.param("lpad(a, q, '0')", False, id="a width from the row"),
        pytest.param("rpad(a, q * 100, '0')", False, id="a computed width"),
        pytest.param("lpad(a, greatest(3, length(a)), '0')", True, id="as long as the text at least"),
        pytest.param("printf(a, q)", False, id="a format from the row"),
        pytest.param("printf('%1000000000d', q)", False, id="a format's width"),
        pytest.param("printf('%.1000000000d', q)", False, id="a format's precision"),
        pytest.param("printf('%*d', q, q)", False, id="a format's width from the row"),
        pytest.param("printf('%05.2f %s', q, a)", True, id="a usual format"),
        pytest.param("levenshtein(a, a)", False, id="time that grows with the square"),
        pytest.param("+".join(["q"] * 5000), False, id="too many terms for DuckDB"),
        pytest.param("+".join(["q"] * 250), True, id="many terms"),
        pytest.param("abs(" * 400 + "q" + ")" * 400, False, id="too deep"),
    ],
)
def test_the_contract_bounds_memory(text: str, allowed: bool) -> None:
    """What a text grows to is written in the contract; a row cannot ask for more."""
    place = Place()
    assert (parse_expression(text, ["a", "q"], place) is not None) == allowed, place.problems


QUOTING = {"ident", "idents", "literal", "literals"}
HARMLESS = {
    "sql_type",  # one of the types that a contract may name
    "expression",  # parsed and written anew by contracts.expressions
    "broken",  # a condition that ingest.values made
    "IS_IN_RAW",  # a condition that warehouse.ledger has as a constant
    # Names of a session's relations, which formats.staging and ingest.relations have as constants, and of a table.
    *("relation", "records", "removed", "skipped", "changeable", "validated", "here", "TABLE"),
    "listed",  # a key's columns, quoted
    # Whole numbers: how many lines formats.delimited leaves out, how many values are tried, of a record, of a state, of
    # a shard and of how many, a time limit.
    *("skip", "_most_tried", "row", "number", "of", "seconds"),
    "CONTENT_TYPE",  # a constant of warehouse.published
    "columns_sql",  # what formats.parquet_files made
    "quoted",  # a table's whole name, as `tables.qualified` writes it
    "condition",  # of the partitions of a frame: quoted keys, and the asset author's own SQL
    "query",  # the SELECT of a mart: its author's own SQL, compiled as one SELECT
}


def test_no_field_reaches_sql_unquoted() -> None:
    """In every f-string of the package that is SQL, fields of objects stand inside a quoting function."""
    sql = re.compile(r"\b(SELECT|INSERT INTO|DELETE FROM|UPDATE|CREATE|ALTER|CASE WHEN|WHERE|JOIN)\b")
    loose = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) and sql.search(ast.unparse(node)):
                tried()
                loose += [f"{path.name}: {ast.unparse(field)}" for field in fields(node)]
    assert loose == []


def fields(text: ast.JoinedStr) -> Iterator[ast.Attribute]:
    """The attributes that stand in an f-string as they are."""
    waiting: list[ast.AST] = [value.value for value in text.values if isinstance(value, ast.FormattedValue)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Attribute):
            # What is written is the last name of a chain; the objects before it are not.
            if node.attr not in HARMLESS:
                yield node
        elif not isinstance(node, ast.Call):
            waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.found("An error about WAREHOUSE_URL showed the password in it.")
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://owner:hunter2@db/warehouse", id="in front of the host"),
        pytest.param("duckdb://owner:hunter2@/w", id="in a duckdb URL"),
        pytest.param("host=db password=hunter2", id="as words"),
        pytest.param("hunter2", id="alone"),
    ],
)
def test_a_password_in_the_settings_is_never_shown(url: str) -> None:
    """Neither the error about a WAREHOUSE_URL nor the settings themselves, printed, tell what is in it."""
    settings = Settings.from_env({"WAREHOUSE_URL": url})
    with pytest.raises(SettingsError) as caught:
        settings.database.exists()
    assert "hunter2" not in f"{caught.value!r}{settings!r}{settings}"


def test_the_ui_listens_on_this_machine_only() -> None:
    """`make dev` binds Dagster's UI, which knows no login, to 127.0.0.1."""
    makefile = (PACKAGE.parent / "Makefile").read_text(encoding="utf-8")
    starts = [line for line in makefile.splitlines() if re.search(r"/(dagster|dg) dev|dagster-webserver", line)]
    assert starts
    assert all("--host 127.0.0.1" in line for line in starts)

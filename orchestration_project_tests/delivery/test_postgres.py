"""Deliveries to PostgreSQL: exact rows, whole parts, the table's form, and who may read it."""

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from orchestration_project.delivery.model import WHOLE, Shape, StagedPart, differences
from orchestration_project.delivery.postgres import PostgresTarget
from orchestration_project.errors import DeliveryConflict, DeliveryError
from orchestration_project_tests.delivery.parts import SALES, Staging, contents, deliver, figures
from orchestration_project_tests.servers.postgres import PostgresServer

FIRST, SECOND, THIRD = "2024-01-15", "2024-01-16", "2024-01-17"


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.url(postgres.new_database())


@pytest.fixture
def target(url: str) -> PostgresTarget:
    return PostgresTarget(url)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path)


@pytest.fixture
def ask(url: str) -> Iterator[Any]:
    """Ask the database as its owner."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda query: connection.execute(query).fetchall()


def delivered(target: PostgresTarget, *parts: StagedPart, shape: Shape = SALES) -> bool:
    """Whether a target has exactly these parts: by what it says, and by what its table holds."""
    found = target.read_back(shape, None)
    return target.delivered(shape.table) == contents(*parts) and not differences(figures(*parts), found)


def test_parts_replace_parts(target: PostgresTarget, staging: Staging, ask: Any) -> None:
    """A correction changes exactly its day, a removed day goes, and the rest is not touched."""
    one, two, three = (staging.day(day, "1") for day in (FIRST, SECOND, THIRD))
    deliver(target, one, two, three)
    assert delivered(target, one, two, three)
    untouched = ask("SELECT ctid, xmin, * FROM warehouse.sales WHERE _batch_date = '2024-01-15'")
    corrected = staging.day(SECOND, "2", rows=5, price="2.00")
    deliver(target, corrected, remove=(THIRD,))
    assert delivered(target, one, corrected)
    assert ask("SELECT ctid, xmin, * FROM warehouse.sales WHERE _batch_date = '2024-01-15'") == untouched
    assert set(target.read_back(SALES, [SECOND])) == {SECOND}
    assert target.read_back(SALES, []) == {}


def test_nothing_is_there_yet(target: PostgresTarget) -> None:
    """Where nothing was delivered, the target says so, and is not changed by the question."""
    assert target.delivered("sales") == {}
    assert target.read_back(SALES, None) == {}


def test_a_table_without_batches(target: PostgresTarget, staging: Staging) -> None:
    """A table that is one part is replaced as a whole, and its key is its primary key."""
    shape = Shape("products", {"id": "BIGINT", "price": "DECIMAL(9,2)"}, None, ("price",), ("id",), frozenset({"id"}))
    first = staging.part(shape, WHOLE, "1", "SELECT i::BIGINT AS id, 1.5::DECIMAL(9,2) AS price FROM range(4) AS r(i)")
    deliver(target, first, shape=shape)
    second = staging.part(shape, WHOLE, "2", "SELECT 7::BIGINT AS id, NULL::DECIMAL(9,2) AS price")
    deliver(target, second, shape=shape)
    assert delivered(target, second, shape=shape)
    deliver(target, shape=shape, remove=(WHOLE,))
    assert delivered(target, shape=shape)


VALUES: dict[str, tuple[str, str, Any]] = {
    "large": ("DECIMAL(38,0)", "'99999999999999999999999999999999999999'", Decimal(10**38 - 1)),
    "money": (
        "DECIMAL(38,10)",
        "'-1234567890123456789012345678.0123456789'",
        Decimal("-1234567890123456789012345678.0123456789"),
    ),
    "whole": ("BIGINT", "-9223372036854775808", -(2**63)),
    "unsigned": ("UBIGINT", "18446744073709551615", Decimal(2**64 - 1)),
    "small": ("UTINYINT", "255", 255),
    "day": ("DATE", "'0001-01-01'", dt.date(1, 1, 1)),
    "moment": (
        "TIMESTAMP",
        "'9999-12-31 23:59:59.999999'",
        dt.datetime.fromisoformat("9999-12-31 23:59:59.999999"),
    ),
    "at": (
        "TIMESTAMP WITH TIME ZONE",
        "'2024-03-31 02:30:00.000001+02'",
        dt.datetime(2024, 3, 31, 0, 30, 0, 1, ZoneInfo("UTC")),
    ),
    "clock": ("TIME", "'23:59:59.999999'", dt.time(23, 59, 59, 999999)),
    "flag": ("BOOLEAN", "false", False),
    "text": ("VARCHAR", "'\\N, \"x\"\n\t'' \U0001f600'", '\\N, "x"\n\t\' \U0001f600'),
    "nothing": ("VARCHAR", "''", ""),
    "bytes": ("BLOB", r"'\x00\xFF\x5C'", b"\x00\xff\\"),
    "tenth": ("DOUBLE", "0.1", 0.1),
    "words": ("VARCHAR[]", "['a,b', NULL, '', '{\"x\"}']", ["a,b", None, "", '{"x"}']),
    "numbers": ("BIGINT[]", "[1, NULL, -3]", [1, None, -3]),
    "id": ("UUID", "'12345678-1234-5678-1234-567812345678'", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    "kind": ("ENUM('a', 'b')", "'b'", "b"),
}


def test_values_are_exact(target: PostgresTarget, staging: Staging, ask: Any) -> None:
    """The largest, smallest and oddest values of each type arrive as they are, and so does NULL."""
    shape = Shape("values", {name: sql_type for name, (sql_type, *_) in VALUES.items()}, totals=("large", "money"))
    row = ", ".join(f"({value})::{sql_type} AS {name}" for name, (sql_type, value, _) in VALUES.items())
    nulls = ", ".join(f"NULL::{sql_type} AS {name}" for name, (sql_type, *_) in VALUES.items())
    part = staging.part(shape, WHOLE, "1", f"SELECT {row} UNION ALL SELECT {nulls}")
    deliver(target, part, shape=shape)
    full, empty = ask("SELECT * FROM warehouse.values ORDER BY whole NULLS LAST")
    assert list(full) == [value for *_, value in VALUES.values()]
    assert set(empty) == {None}
    assert delivered(target, part, shape=shape)


def test_text_with_a_nul_fails_its_delivery_alone(target: PostgresTarget, staging: Staging) -> None:
    """PostgreSQL has no NUL: the delivery is refused with table, column and number of rows, nothing else changes."""
    one = staging.day(FIRST, "1")
    deliver(target, one)
    with pytest.raises(DeliveryError, match=r"^sales can't .* NUL character: column 'note' in 2 rows"):
        deliver(target, staging.day(SECOND, "1", note="CASE WHEN i < 3 THEN 'secret' || chr(0) END"))
    assert delivered(target, one)


def test_a_value_out_of_range_is_refused(target: PostgresTarget, staging: Staging) -> None:
    """A date before PostgreSQL's first one is refused with its type, and the value is not told."""
    shape = Shape("days", {"day": "DATE"})
    with pytest.raises(DeliveryError, match=r"refused the delivery: .* DATE \.\.\. DATE field"):
        deliver(target, staging.part(shape, WHOLE, "1", "SELECT DATE '6000-01-01 (BC)' AS day"), shape=shape)


@pytest.mark.parametrize(
    ("columns", "extra"),
    [
        pytest.param({"discount": "DECIMAL(9,2)"}, "0.5::DECIMAL(9,2) AS discount", id="a column more"),
        pytest.param({"note": "BIGINT"}, "7::BIGINT AS note", id="another type"),
        pytest.param({"note": None}, "", id="a column less"),
    ],
)
def test_another_form(
    target: PostgresTarget, staging: Staging, columns: dict[str, str | None], extra: str, ask: Any
) -> None:
    """A table whose columns are others now is made anew in one transaction, with all of its rows."""
    deliver(target, staging.day(FIRST, "1"), staging.day(SECOND, "1"))
    merged = {**SALES.columns, **columns}
    shape = replace(SALES, columns={name: sql_type for name, sql_type in merged.items() if sql_type})
    query = "SELECT DATE '{}' AS _batch_date, 'o' AS order_id, 1::BIGINT AS quantity, 2::DECIMAL(18,2) AS amount"
    kept = [extra] if "note" in columns else ["'n' AS note", extra]
    parts = [
        staging.part(shape, day, "2", ", ".join([query.format(day), *filter(None, kept)])) for day in (FIRST, SECOND)
    ]
    deliver(target, *parts, shape=shape)
    assert delivered(target, *parts, shape=shape)
    names = ask("SELECT attname FROM pg_attribute WHERE attrelid = 'warehouse.sales'::regclass AND attnum > 0")
    assert {name for (name,) in names} == set(shape.columns)
    assert ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'warehouse'") == [(2,)]


def test_a_table_that_was_altered_by_hand(target: PostgresTarget, staging: Staging, url: str) -> None:
    """It is refused with what to do; once it is dropped, all of it is delivered."""
    one = staging.day(FIRST, "1")
    deliver(target, one)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE warehouse.sales ADD COLUMN mine text")
        with pytest.raises(DeliveryError, match=r"columns of warehouse\.sales .* Drop the table"):
            deliver(target, staging.day(SECOND, "1"))
        connection.execute("DROP TABLE warehouse.sales")
    assert target.delivered("sales") == {}
    deliver(target, one)
    assert delivered(target, one)


def test_somebody_elses_table_is_left_alone(target: PostgresTarget, staging: Staging, url: str, ask: Any) -> None:
    """A table that no delivery made is refused, with its rows as they were."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA warehouse; CREATE TABLE warehouse.sales (mine text)")
        connection.execute("INSERT INTO warehouse.sales VALUES ('kept')")
    with pytest.raises(DeliveryError, match="that no delivery made"):
        deliver(target, staging.day(FIRST, "1"))
    assert ask("SELECT * FROM warehouse.sales") == [("kept",)]


def test_a_view_on_a_table_that_is_made_anew(target: PostgresTarget, staging: Staging, url: str) -> None:
    """A view stops the table from being made anew; the message says so, and what was delivered stays."""
    one = staging.day(FIRST, "1")
    deliver(target, one)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE VIEW public.mine AS SELECT * FROM warehouse.sales")
    shape = replace(SALES, columns={"_batch_date": "DATE"}, totals=(), key=(), required=frozenset())
    part = staging.part(shape, FIRST, "2", f"SELECT DATE '{FIRST}' AS _batch_date")
    with pytest.raises(DeliveryError, match=r"other objects depend on it.*drop the views"):
        deliver(target, part, shape=shape)
    assert delivered(target, one)


def test_a_plan_that_is_out_of_date(target: PostgresTarget, staging: Staging) -> None:
    """A delivery that was planned before another one's end does not mix with it."""
    one, two = staging.day(FIRST, "1"), staging.day(SECOND, "1")
    deliver(target, one)
    with pytest.raises(DeliveryConflict):
        target.deliver(SALES, {}, [staging.day(FIRST, "0")], [])
    target.deliver(SALES, contents(one), [two], [])
    assert delivered(target, one, two)


def test_readers_see_whole_states(target: PostgresTarget, staging: Staging, url: str) -> None:
    """A transaction that reads sees the old rows of all parts until a delivery is committed, and is not waited for."""
    one, two = staging.day(FIRST, "1"), staging.day(SECOND, "1")
    deliver(target, one, two)
    with psycopg.connect(url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        query = "SELECT count(*), sum(amount) FROM warehouse.sales"
        before = reader.execute(query).fetchone()
        deliver(target, staging.day(FIRST, "2", rows=9), remove=(SECOND,))
        assert reader.execute(query).fetchone() == before
        reader.commit()
        assert reader.execute(query).fetchone() == (9, Decimal("56.25"))


def test_keys_indexes_and_comments(target: PostgresTarget, staging: Staging, ask: Any) -> None:
    """The key is the primary key within a batch, and the contract's words are comments."""
    deliver(target, staging.day(FIRST, "1"), staging.day(SECOND, "1"))
    (index,) = ask("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'sales'")
    assert index[0] == "sales_key"
    assert index[1].startswith("CREATE UNIQUE INDEX sales_key ON warehouse.sales USING btree (_batch_date, order_id)")
    described = ask(
        "SELECT obj_description('warehouse.sales'::regclass), col_description('warehouse.sales'::regclass, attnum)"
        " FROM pg_attribute WHERE attrelid = 'warehouse.sales'::regclass AND attname = 'amount'"
    )
    assert described == [(SALES.description, SALES.descriptions["amount"])]
    shape = replace(SALES, table="loose", key=("note",))
    part = staging.part(shape, FIRST, "1", f"FROM '{staging.day(FIRST, '1').path}'")
    deliver(target, part, shape=shape)
    assert ask("SELECT indexname FROM pg_indexes WHERE tablename = 'loose'") == [("loose_part",)]


def test_a_role_that_reads(postgres: PostgresServer, staging: Staging) -> None:
    """A member of the reading role sees what was and will be delivered, and can change nothing."""
    database = postgres.new_database()
    target = PostgresTarget(postgres.url(database), schema="shop", reader=f"reader_of_{database}")
    deliver(target, staging.day(FIRST, "1"))
    with psycopg.connect(postgres.url(database), autocommit=True) as owner:
        owner.execute(f"CREATE ROLE dashboard_{database} LOGIN PASSWORD 'x' IN ROLE reader_of_{database}".encode())
    later = replace(SALES, table="later")
    deliver(target, staging.part(later, FIRST, "1", f"FROM '{staging.day(FIRST, '1').path}'"), shape=later)
    with psycopg.connect(postgres.url(database, f"dashboard_{database}", "x"), autocommit=True) as reader:
        for table, rows in (("sales", 3), ("later", 3), ("_deliveries", 2)):
            assert reader.execute(f"SELECT count(*) FROM shop.{table}".encode()).fetchone() == (rows,)
        for change in ("DELETE FROM shop.sales", "DROP TABLE shop.later", "CREATE TABLE shop.mine (x int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(change.encode())


def test_a_user_with_few_rights(postgres: PostgresServer, staging: Staging) -> None:
    """Who may make tables in a schema may deliver there; a role that reads is refused without the right to make it."""
    database = postgres.new_database()
    loader = f"loader_of_{database}"
    with psycopg.connect(postgres.url(database), autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {loader} LOGIN PASSWORD 'x'; CREATE SCHEMA own AUTHORIZATION {loader}".encode())
    url, part = postgres.url(database, loader, "x"), staging.day(FIRST, "1")
    with pytest.raises(DeliveryError, match="permission denied to create role"):
        deliver(PostgresTarget(url, "own", f"nobody_of_{database}"), part)
    deliver(PostgresTarget(url, "own"), part)
    assert delivered(PostgresTarget(url, "own"), part)
    with pytest.raises(DeliveryError, match="permission denied for database"):
        deliver(PostgresTarget(url, "another"), part)


def test_names_are_quoted(url: str, staging: Staging) -> None:
    """Names with blanks, quotes and capitals stay as they are."""
    shape = Shape('Sales "of" X', {"The Day": "DATE", 'a"b': "BIGINT"}, "The Day", ('a"b',))
    part = staging.part(shape, FIRST, "x", f'SELECT DATE \'{FIRST}\' AS "The Day", 3::BIGINT AS "a""b"')
    target = PostgresTarget(url, schema="The Schema; DROP")
    deliver(target, part, shape=shape)
    assert delivered(target, part, shape=shape)


def test_a_name_that_postgresql_would_cut(target: PostgresTarget) -> None:
    """A table's name of more than 63 bytes is refused, since PostgreSQL would cut it off."""
    with pytest.raises(DeliveryError, match="63 bytes"):
        target.read_back(replace(SALES, table="ä" * 32), None)

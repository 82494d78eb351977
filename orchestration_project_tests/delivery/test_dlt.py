"""Deliveries by dlt: to DuckDB, PostgreSQL and SQLite. The same parts, exact values, nothing outside of our folder."""

import datetime as dt
import gc
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import psycopg
import pytest

from orchestration_project.delivery.dlt_rows import hints_of
from orchestration_project.delivery.dlt_target import BROKEN, DltTarget
from orchestration_project.delivery.model import WHOLE, Shape, StagedPart, differences
from orchestration_project.delivery.targets import TargetConfig, open_target
from orchestration_project.errors import DeliveryConflict, DeliveryError, TargetDown
from orchestration_project.warehouse.tables import ident, idents
from orchestration_project_tests.delivery.parts import SALES, Staging, contents, deliver, figures
from orchestration_project_tests.reliability.deliverers import ended, started
from orchestration_project_tests.servers.postgres import PostgresServer

FIRST, SECOND = "2024-01-15", "2024-01-16"
# SQLite has no decimals.
CENTS = replace(SALES, columns={**SALES.columns, "amount": "BIGINT"})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder and a working directory that stay empty."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    yield folder
    # dlt leaves connections to be closed when they are collected, which is a warning that another test would get.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], DltTarget]:
    """Opens a target by dlt's name of the destination."""

    def open_it(destination: str) -> DltTarget:
        found = open_target(TargetConfig("test", f"dlt://{destination}/warehouse", work=tmp_path / "work"))
        assert isinstance(found, DltTarget)
        return found

    return open_it


@pytest.fixture
def to_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[str], DltTarget]) -> DltTarget:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "target.duckdb"))
    return opened("duckdb")


def delivered(target: DltTarget, *parts: StagedPart, shape: Shape = SALES) -> bool:
    """Whether a target has exactly these parts: by what it says, and by what its table holds."""
    found = target.read_back(shape, None)
    return target.delivered(shape.table) == contents(*parts) and not differences(figures(*parts), found)


@pytest.mark.parametrize("destination", ["duckdb", "postgres", "sqlalchemy"])
def test_parts_replace_parts(
    destination: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres: PostgresServer,
    opened: Callable[[str], DltTarget],
    staging: Staging,
    home: Path,
) -> None:
    """At each destination a correction changes its day, a removed day goes, and the home folder stays empty."""
    addresses = {
        "duckdb": str(tmp_path / "target.duckdb"),
        "postgres": postgres.url(postgres.new_database()),
        "sqlalchemy": f"sqlite:///{tmp_path}/target.db",
    }
    monkeypatch.setenv(f"DESTINATION__{destination.upper()}__CREDENTIALS", addresses[destination])
    target, shape = opened(destination), CENTS if destination == "sqlalchemy" else SALES
    price = "1" if shape is CENTS else "1.25"

    def day(name: str, content: str, rows: int) -> StagedPart:
        part = staging.day(name, content, rows=rows, price=price)
        query = f"SELECT * REPLACE (amount::{shape.columns['amount']} AS amount) FROM '{part.path}'"
        return staging.part(shape, name, f"{content}x", query)

    assert target.delivered("sales") == {}
    assert target.read_back(shape, None) == {}
    one, two, corrected = day(FIRST, "1", 3), day(SECOND, "1", 3), day(SECOND, "2", 5)
    deliver(target, one, two, shape=shape)
    assert delivered(target, one, two, shape=shape)
    deliver(target, corrected, shape=shape)
    assert delivered(target, one, corrected, shape=shape)
    assert set(target.read_back(shape, [SECOND])) == {SECOND}
    deliver(target, shape=shape, remove=(FIRST,))
    assert delivered(target, corrected, shape=shape)
    assert list(home.iterdir()) == []


def test_values_are_exact(to_duckdb: DltTarget, staging: Staging, tmp_path: Path) -> None:
    """Large numbers, amounts, days, moments with and without a zone, bytes and texts arrive as they are."""
    values = {
        "large": ("DECIMAL(38,0)", "'99999999999999999999999999999999999999'", Decimal(10**38 - 1)),
        "money": ("DECIMAL(18,4)", "'-12345678901234.0001'", Decimal("-12345678901234.0001")),
        "whole": ("BIGINT", "9223372036854775807", 2**63 - 1),
        "unsigned": ("UBIGINT", "18446744073709551615", Decimal(2**64 - 1)),
        "day": ("DATE", "'0001-01-01'", dt.date(1, 1, 1)),
        "moment": (
            "TIMESTAMP",
            "'2024-03-31 02:30:00.123456'",
            dt.datetime.fromisoformat("2024-03-31 02:30:00.123456"),
        ),
        "at": (
            "TIMESTAMP WITH TIME ZONE",
            "'2024-03-31 02:30:00.000001+02'",
            dt.datetime.fromisoformat("2024-03-31 00:30:00.000001+00:00"),
        ),
        "flag": ("BOOLEAN", "false", False),
        "note": ("VARCHAR", "'\\N \"x\" ''\n\U0001f600'", '\\N "x" \'\n\U0001f600'),
        "bytes": ("BLOB", r"'\x00\xFF'", b"\x00\xff"),
    }
    shape = Shape("exact", {name: sql_type for name, (sql_type, *_) in values.items()}, totals=("large", "money"))
    row = ", ".join(f"({value})::{sql_type} AS {ident(name)}" for name, (sql_type, value, _) in values.items())
    part = staging.part(shape, WHOLE, "1", f"SELECT {row}")
    deliver(to_duckdb, part, shape=shape)
    assert delivered(to_duckdb, part, shape=shape)
    with duckdb.connect(str(tmp_path / "target.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(f"SELECT {idents(values)} FROM warehouse.exact").fetchall()
    assert [list(row) for row in found] == [[value for *_, value in values.values()]]


def test_a_part_that_is_not_whole(to_duckdb: DltTarget, staging: Staging, tmp_path: Path) -> None:
    """Rows that somebody deleted, or that two deliveries left at once, are seen, and the part is written again."""
    one, two = staging.day(FIRST, "1"), staging.day(SECOND, "1")
    deliver(to_duckdb, one, two)
    with duckdb.connect(str(tmp_path / "target.duckdb")) as connection:
        connection.execute(f"DELETE FROM warehouse.sales WHERE _batch_date = '{FIRST}' AND quantity = 1")
        connection.execute(
            f"INSERT INTO warehouse.sales BY NAME SELECT * REPLACE ('0 1' AS _part_content)"
            f" FROM warehouse.sales WHERE _batch_date = '{SECOND}' LIMIT 1"
        )
    assert to_duckdb.delivered("sales") == {FIRST: BROKEN, SECOND: BROKEN}
    deliver(to_duckdb, one, two)
    assert delivered(to_duckdb, one, two)


def test_another_form(to_duckdb: DltTarget, staging: Staging) -> None:
    """A column more is added; another type is refused with what to do, and what was delivered stays."""
    one = staging.day(FIRST, "1")
    deliver(to_duckdb, one)
    wider = replace(SALES, columns={**SALES.columns, "discount": "DECIMAL(9,2)"})
    part = staging.part(wider, FIRST, "2", f"SELECT *, 0.5::DECIMAL(9,2) AS discount FROM '{one.path}'")
    deliver(to_duckdb, part, shape=wider)
    assert delivered(to_duckdb, part, shape=wider)
    other = replace(SALES, columns={**SALES.columns, "amount": "DECIMAL(18,4)"})
    with pytest.raises(DeliveryError, match=r"column 'amount' has another type .* dataset of another name"):
        deliver(to_duckdb, one, shape=other)
    assert delivered(to_duckdb, part, shape=wider)


def delivered_and_told(folder: Path, endpoint: str, part: StagedPart) -> None:
    """Deliver in a process of its own, in which dlt begins anew, and whose makers are somebody on this machine."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY_ENDPOINT"] = endpoint  # noqa: TID251 - of a process of its own
    os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = str(folder / "target.duckdb")  # noqa: TID251
    os.environ["HOME"] = str(folder / "home")  # noqa: TID251
    os.chdir(folder / "home")
    deliver(DltTarget("duckdb", "warehouse", folder / "work"), part)


@pytest.mark.promise("security")
@pytest.mark.found("dlt told its makers of each delivery, and wrote the rows of failed ones to the log")
def test_nobody_is_told(tmp_path: Path, staging: Staging) -> None:
    """A delivery sends nothing to dlt's makers."""
    asked: list[str] = []

    class Makers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Makers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            work = partial(
                delivered_and_told, tmp_path, f"http://127.0.0.1:{server.server_port}", staging.day(FIRST, "1")
            )
            assert ended(started(work)) == 0
        finally:
            server.shutdown()
            thread.join()
    assert asked == []


@pytest.mark.promise("security")
def test_no_value_of_a_row_is_logged(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    postgres: PostgresServer,
    opened: Callable[[str], DltTarget],
    staging: Staging,
) -> None:
    """What the destination says of a row that it refuses is neither in the error nor in a log."""
    url = postgres.url(postgres.new_database())
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    target = opened("postgres")
    deliver(target, staging.day(FIRST, "1"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE warehouse.sales ADD CONSTRAINT known CHECK (note = 'ok')")
    with pytest.raises(DeliveryError, match="CheckViolation") as refused:
        deliver(target, staging.day(FIRST, "2", note="'Ada Lovelace'"))
    told = capfd.readouterr()
    assert "Ada" not in f"{refused.value}{told.out}{told.err}"


def test_a_plan_that_is_out_of_date(to_duckdb: DltTarget, staging: Staging) -> None:
    """A delivery that was planned before another one's end is refused."""
    deliver(to_duckdb, staging.day(FIRST, "1"))
    with pytest.raises(DeliveryConflict):
        to_duckdb.deliver(SALES, {}, [staging.day(FIRST, "0")], [])


def test_what_a_destination_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[str], DltTarget], staging: Staging
) -> None:
    """Amounts are refused by SQLite, and all tables by a destination that can't replace parts."""
    monkeypatch.setenv("DESTINATION__SQLALCHEMY__CREDENTIALS", f"sqlite:///{tmp_path}/target.db")
    with pytest.raises(DeliveryError, match="SQLite has no exact decimals, so amount"):
        deliver(opened("sqlalchemy"), staging.day(FIRST, "1"))
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "files"))
    with pytest.raises(DeliveryError, match="can't replace parts of tables in filesystem; deliver files"):
        opened("filesystem").delivered("sales")


def test_a_dead_destination(monkeypatch: pytest.MonkeyPatch, opened: Callable[[str], DltTarget]) -> None:
    """It is an error that passes, without the password."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", "postgresql://loader:secret@127.0.0.1:9/shop")
    with pytest.raises(TargetDown, match="Connection refused") as refused:
        opened("postgres").delivered("sales")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"url": "dlt://loader:secret@snowflake/warehouse"}, id="a password"),
        pytest.param({"url": "dlt://snowflake"}, id="no dataset"),
        pytest.param({"url": "dlt://snowflake/ware?secret=1"}, id="parameters"),
        pytest.param({"url": "dlt://snowflake/warehouse", "format": "csv"}, id="a format"),
        pytest.param({"url": "dlt://snowflake/warehouse", "options": {"schema": "x"}}, id="an option"),
    ],
)
def test_what_a_target_may_say(config: dict[str, object]) -> None:
    """Anything but destination and dataset is refused, and not quoted."""
    with pytest.raises(DeliveryError, match=r"^delivery test: ") as refused:
        open_target(TargetConfig("test", **config))  # type: ignore[arg-type]  # each of the cases is right in itself
    assert "secret" not in str(refused.value)


def test_columns_that_dlt_would_change() -> None:
    """Names that dlt would write otherwise, and types without an exact one, are refused, all at once."""
    columns = {"id": "BIGINT", "The Day": "DATE", "a__b": "BIGINT", "_part": "VARCHAR", "tags": "VARCHAR[]"}
    with pytest.raises(DeliveryError) as refused:
        hints_of(Shape("sales", columns))
    assert all(repr(name) in str(refused.value) for name in columns if name != "id")
    assert "'id'" not in str(refused.value)

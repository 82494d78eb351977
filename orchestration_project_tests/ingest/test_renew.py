"""A contract that makes other values of the same text makes all batches anew; one that validates otherwise does not."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import Bound, Feed, OneOf, Parsing, Required, SourceFormat
from orchestration_project.errors import WarehouseError
from orchestration_project.failpoints import Point
from orchestration_project.ingest import renew
from orchestration_project.ingest.fingerprints import version_of
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.status import status_of
from orchestration_project.inspection.verify import verify
from orchestration_project.warehouse import ledger_batches
from orchestration_project.warehouse.tables import columns_of
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named, options
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.stops import dying

pytestmark = pytest.mark.promise("deliveries")

MONEY = feed(column("id", "VARCHAR", Required()), column("price", "DECIMAL(10,2)"), column("at", "TIMESTAMP"))


def retyped(contract: Feed, name: str, sql_type: str) -> Feed:
    """The contract with another type of a column."""
    return replace(
        contract,
        columns=tuple(replace(item, sql_type=sql_type) if item.name == name else item for item in contract.columns),
    )


def rebuilt(shop: Shop, folder: Path) -> dict[str, Any]:
    """The tables that the archive alone gives with the shop's contract."""
    other = replace(shop, folder=folder)
    archive = other.settings.archive(other.feed.name)
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.symlink_to(shop.settings.archive(shop.feed.name).resolve())
    if shop.options.snapshot or other.due():
        other.load()
    return other.tables()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Prices on three days."""
    shop = Shop(tmp_path / "shop", MONEY)
    shop.deliver(named(1), "id,price,at\na,1.25,2024-01-01 10:00:00\nb,0.05,2024-01-01 23:59:59\n")
    shop.deliver(named(2), "id,price,at\nc,2.35,2024-01-02 10:00:00\n")
    shop.deliver(named(3), "id,price,at\nd,7.00,2024-01-03 00:00:00\n")
    shop.load()
    return shop


@pytest.mark.found("a column's new type rewrote published values in place: 1.25 became 1.3, times of the day went")
@pytest.mark.parametrize(
    ("name", "sql_type"),
    [
        ("price", "DECIMAL(10,1)"),
        ("price", "INTEGER"),
        ("at", "DATE"),
        ("price", "VARCHAR"),
        ("price", "DECIMAL(12,2)"),
    ],
)
def test_a_new_type_validates_all_batches_again(name: str, sql_type: str, shop: Shop, tmp_path: Path) -> None:
    """Whatever batch is asked for, all of them are what the archive gives; the old type brings the old rows back."""
    before = shop.tables()
    shop.feed = retyped(MONEY, name, sql_type)
    report = shop.load(day(3))
    assert shop.tables() == rebuilt(shop, tmp_path / "rebuilt")
    assert report.batches == [day(1), day(2), day(3)]
    assert report.renewed is not None
    assert not report.renewed.raw
    shop.feed = MONEY
    shop.load(day(1))
    assert shop.tables() == before


@pytest.mark.found("a value that did not fit the new type stayed as the old one's rounded value, not in the rejects")
def test_values_that_do_not_fit_are_rejected(shop: Shop) -> None:
    """What is no exact value of the new type goes to the rejects with its text, in every batch."""
    shop.feed = retyped(MONEY, "price", "DECIMAL(10,1)")
    shop.load(day(3))
    assert shop.cleaned("id", "price") == [("d", Decimal("7.0"))]
    assert [(row["id"], row["price"], row["_reasons"]) for row in shop.table("rejected")] == [
        ("a", "1.25", ["price: type"]),
        ("b", "0.05", ["price: type"]),
        ("c", "2.35", ["price: type"]),
    ]
    assert shop.ledger("cleaned", "rejected") == [(0, 2), (0, 1), (1, 0)]


@pytest.mark.found("a renamed column left its old column behind, and NULL in a required one")
def test_a_renamed_column(shop: Shop, tmp_path: Path) -> None:
    """A new name is filled in all batches from the archive, and the old column is gone."""
    shop.feed = feed(
        column("id", "VARCHAR", Required()),
        column("amount", "DECIMAL(10,2)", Required(), source="price"),
        column("at", "TIMESTAMP"),
    )
    report = shop.load(day(1))
    assert shop.cleaned("id", "amount")[0] == ("a", Decimal("1.25"))
    assert [row["amount"] for row in shop.table("cleaned")].count(None) == 0
    with shop.warehouse.connection("test") as connection:
        assert all("price" not in columns_of(connection, f"{table}_f") for table in ("raw", "cleaned", "rejected"))
    assert shop.tables() == rebuilt(shop, tmp_path / "rebuilt")
    assert report.renewed is not None
    assert report.renewed.raw


@pytest.mark.found("a dropped column stayed in the tables with the values of old batches")
def test_a_dropped_column(shop: Shop, tmp_path: Path) -> None:
    """A column that the contract loses goes, its texts are unexpected ones."""
    shop.feed = feed(column("id", "VARCHAR", Required()), column("price", "DECIMAL(10,2)"))
    shop.load(day(2))
    assert shop.tables() == rebuilt(shop, tmp_path / "rebuilt")
    assert [row["_rescued"] is None for row in shop.table("cleaned")] == [False] * 4


CHANGES: dict[str, Callable[[Feed], Feed]] = {
    "null words": lambda old: replace(
        old, columns=tuple(replace(item, parsing=Parsing(null_words=("7.00",))) for item in old.columns)
    ),
    "computed column": lambda old: replace(
        old, columns=(*old.columns, column("double", "DECIMAL(12,2)", expression='"price" * 2'))
    ),
    "primary key": lambda old: replace(old, primary_key=("price",)),
    "unique": lambda old: replace(
        old, columns=tuple(replace(item, unique=item.name == "price") for item in old.columns)
    ),
    "delimiter": lambda old: replace(old, source=SourceFormat(delimiter=",")),
}


@pytest.mark.found("a changed expression, key or way to parse counted for the batches alone that were loaded again")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_all_that_makes_other_values(change: Callable[[Feed], Feed], shop: Shop, tmp_path: Path) -> None:
    """Parsing, computing, keys and format make all batches anew."""
    shop.feed = change(shop.feed)
    shop.load(day(2))
    assert shop.tables() == rebuilt(shop, tmp_path / "rebuilt")
    with shop.warehouse.connection("test") as connection:
        version = version_of(shop.feed, shop.options)
        assert ledger_batches.validated_otherwise(connection, "f", version) == []


def test_the_look_back(tmp_path: Path) -> None:
    """Another look-back finds other duplicates in all batches."""
    shop = Shop(tmp_path / "shop", replace(feed(), primary_key=("id",)))
    for number in (1, 3, 6):
        shop.deliver(named(number), f"id,n\na,{number}\n")
    for reach, expected in ((7, 1), (0, 3), (2, 2)):
        shop.options = options(key_look_back=dt.timedelta(days=reach))
        shop.load(day(6))
        shop.load()
        assert len(shop.table("cleaned")) == expected
        assert shop.tables() == rebuilt(shop, tmp_path / f"rebuilt{reach}")


def test_what_changes_no_row_makes_nothing_anew(shop: Shop) -> None:
    """Words and versions for people, and the order of columns, leave the tables as they are."""
    tables = shop.tables()
    shop.feed = replace(
        MONEY,
        version="2.0.0",
        description="other words",
        columns=tuple(replace(item, description="?") for item in MONEY.columns),
    )
    assert shop.load(day(1)).renewed is None
    assert shop.tables() == tables


def test_other_rules_leave_old_batches_as_they_are(shop: Shop, tmp_path: Path) -> None:
    """Batches that were validated by other rules are named, and are right when they are loaded again."""
    rules = (column("id", "VARCHAR", Required(), OneOf(("a", "b", "c"))), *MONEY.columns[1:])
    shop.feed = replace(MONEY, columns=rules)
    assert shop.load(day(3)).renewed is None
    assert shop.cleaned("id") == ["a", "b", "c"]

    def otherwise() -> list[str]:
        with shop.warehouse.connection("test") as connection:
            return ledger_batches.validated_otherwise(connection, "f", version_of(shop.feed, shop.options))

    assert otherwise() == [str(day(1)), str(day(2))]
    shop.load(day(1), day(2))
    assert otherwise() == []
    assert shop.tables() == rebuilt(shop, tmp_path / "rebuilt")


@pytest.mark.found("batches that were validated by an earlier contract looked like all others")
def test_batches_by_other_rules_are_told(shop: Shop) -> None:
    """`status` and `verify` tell how many there are and the command for them; nothing is wrong with them."""
    shop.feed = replace(MONEY, columns=(column("id", "VARCHAR", Required(), OneOf(("a", "d"))), *MONEY.columns[1:]))
    shop.load(day(3))
    source = ConfiguredFeed(shop.feed, shop.options)
    told, verified = status_of(shop.settings, [source], ["f"], NOW), verify(shop.warehouse, shop.settings, [source])
    assert told.notes == verified.notes
    (note,) = told.notes
    assert note.startswith("f: 2 batch(es) were validated by another contract")
    assert note.endswith("--select raw_f,cleaned_f,rejected_f --partition-range 2024-01-01...2024-01-02")
    assert verified.proven
    assert told.problems == []


@pytest.mark.found("old batches were cast where their files did not fit the new contract, or kept their old rows")
def test_files_that_do_not_fit_change_nothing(shop: Shop) -> None:
    """One error names all archived files that the contract refuses; tables stay, and new files wait in landing."""
    tables, ledger = shop.tables(), shop.rows("FROM file_ledger ORDER BY file")
    shop.feed = replace(MONEY, columns=(*MONEY.columns, column("till", "VARCHAR", Required())))
    shop.deliver(named(4), "id,price,at,till\ne,1.00,2024-01-04 10:00:00,t1\n")
    for _ in range(2):
        with pytest.raises(WarehouseError, match=r"3 file.*2024-01-01.*lacks till.*2024-01-02.*2024-01-03") as caught:
            shop.load(day(4))
        assert "wait in landing" in str(caught.value)
        assert shop.landing() == [named(4)]
        assert shop.rows("FROM file_ledger ORDER BY file") == ledger
    shop.feed = MONEY
    assert shop.tables() == tables
    assert shop.rows("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%.new'") == []


def test_files_that_break_the_limit_now_change_nothing(shop: Shop) -> None:
    """A type by which too many records of an old file would be rejected is refused, unless the limit allows it."""
    tables = shop.tables()
    shop.options = options(max_reject_rate=0.5)
    shop.feed = retyped(MONEY, "price", "INTEGER")
    with pytest.raises(WarehouseError, match=r"2 file.*max_reject_rate 0\.5 allows: price: type"):
        shop.load(day(3))
    assert shop.tables() == tables
    shop.options = options(max_reject_rate=1.0)
    shop.load(day(3))
    assert shop.cleaned("id") == ["d"]


@pytest.mark.parametrize("damage", ["missing", "other bytes"])
def test_a_lost_file_of_the_archive_is_named(damage: str, shop: Shop) -> None:
    """A contract that needs the files again says which of them the archive does not have any more."""
    path = shop.settings.archive("f") / str(day(2)) / named(2)
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("something else")
    tables = shop.tables()
    shop.feed = replace(MONEY, columns=(*MONEY.columns, column("more")))
    with pytest.raises(WarehouseError, match=rf"1 file.*{named(2)}.*from the archive any more"):
        shop.load(day(1))
    shop.feed = MONEY
    assert shop.tables() == tables


@pytest.mark.parametrize("tampering", ["DELETE FROM raw_f WHERE id = 'a'", "INSERT INTO raw_f FROM raw_f LIMIT 1"])
def test_a_damaged_raw_table_is_not_a_source(tampering: str, shop: Shop, tmp_path: Path) -> None:
    """Where the raw table is not what the files say, these are read again."""
    shop.rows(tampering)
    shop.feed = retyped(MONEY, "price", "VARCHAR")
    shop.load(day(3))
    assert shop.tables() == rebuilt(shop, tmp_path / "rebuilt")


def test_a_warehouse_without_the_record_is_taken_as_it_is(shop: Shop, tmp_path: Path) -> None:
    """Equal columns and types need nothing made anew; other ones do."""
    for made_with, expected in ((MONEY, False), (retyped(MONEY, "at", "DATE"), True)):
        shop.rows("DROP TABLE feed_contracts")
        shop.rows("ALTER TABLE file_ledger DROP COLUMN validated_as")
        shop.feed = made_with
        assert (shop.load(day(1)).renewed is not None) == expected
        assert shop.tables() == rebuilt(shop, tmp_path / f"rebuilt {expected}")


@pytest.mark.parametrize("snapshot", [False, True])
def test_ranges_of_batches(snapshot: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Range by range the tables come out as at once, duplicates across ranges too."""
    monkeypatch.setattr(renew, "RECORDS_AT_ONCE", 3)
    contract = replace(feed(), primary_key=("id",))
    shop = Shop(tmp_path / "shop", contract, options(snapshot=snapshot))
    for number in range(1, 8):
        shop.deliver(named(number), f"id,n\nall,{number}\n{number},1\n{number // 2},2\nx{number},x\n")
    shop.load()
    shop.feed = retyped(contract, "n", "VARCHAR")
    shop.load(day(1))
    assert shop.tables() == rebuilt(shop, tmp_path / "rebuilt")


@pytest.mark.parametrize("point", [Point.RENEWING, Point.RENEWED, Point.PUBLISHED, Point.COUNTED, Point.REPLACED])
@pytest.mark.parametrize("way", ["retyped", "read otherwise"])
def test_a_renewal_that_dies_begins_again(point: Point, way: str, shop: Shop, tmp_path: Path) -> None:
    """Before the new tables take their place nothing has changed; the next load ends as an undisturbed one."""
    tables = shop.tables()
    shop.feed = retyped(MONEY, "price", "VARCHAR") if way == "retyped" else feed(*MONEY.columns, column("more"))
    with dying(point):
        shop.load(day(3))
    if point is not Point.REPLACED:
        assert shop.tables() == tables
    shop.load(day(3))
    assert shop.tables() == rebuilt(shop, tmp_path / "rebuilt")
    assert shop.rows("SELECT DISTINCT schema_name FROM duckdb_tables()") == [{"schema_name": "main"}]


LINES = st.lists(st.sampled_from(["a,1", "a,2", "b,1.5", "c,", "d,x", "", "e,7,8", "f,-1"]), min_size=1, max_size=4)
COLUMNS = st.sampled_from(
    [
        (column("id"), column("n", "INTEGER")),
        (column("id"), column("n", "DECIMAL(6,1)")),
        (column("id"), column("n")),
        (column("id"), column("count", "INTEGER", source="n")),
        (column("id"), column("n", "INTEGER"), column("more")),
        (column("id"), column("n", "INTEGER"), column("twice", "INTEGER", expression='"n" * 2')),
        (column("id"), column("n", "INTEGER", unique=True)),
        (column("id"),),
        (column("id", "VARCHAR", OneOf(("a", "b", "c"))), column("n", "INTEGER", Bound("minimum", "0"))),
        (column("id", "VARCHAR", Required()), column("n", "INTEGER")),
    ]
)
STEPS = st.lists(
    st.tuples(COLUMNS, st.booleans(), st.sampled_from([0, 1, 7]), st.integers(1, 4), LINES, st.integers(1, 4)),
    min_size=2,
    max_size=5,
)


@settings(max_examples=effort(8, 80), deadline=None)
@given(steps=STEPS, at_once=st.sampled_from([1, 4, 1000]))
def test_the_tables_are_a_function_of_files_and_contract(
    steps: list[tuple[Any, ...]], at_once: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Through any history of contracts and deliveries, the tables are what the archive gives with the last one."""
    tried()
    shop = Shop(tmp_path_factory.mktemp("shop"), options=options(key_look_back=dt.timedelta()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renew, "RECORDS_AT_ONCE", at_once)
        for columns, keyed, reach, number, lines, asked in steps:
            shop.feed = feed(*columns, primary_key=("id",) if keyed else ())
            shop.options = options(key_look_back=dt.timedelta(days=reach))
            shop.deliver(named(number), "\n".join(["id,n", *lines, ""]))
            shop.load(day(asked))
        shop.load(*(day(number) for number in range(1, 5)))
    assert shop.landing() == []
    assert shop.tables() == rebuilt(shop, tmp_path_factory.mktemp("other") / "rebuilt")

"""Records that are no data: which they are, where they are counted, and what they leave alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from orchestration_project.contracts.feed import FileFormat, Required, SourceFormat
from orchestration_project.contracts.ignored_rules import IgnoredLast, IgnoredPrefix, IgnoredRule, IgnoredWhere
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project.warehouse.tables import columns_of
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.ingest.repairs import as_csv, cells, export, reject, repair_name
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named, options

pytestmark = pytest.mark.promise("input")

TOTALS = IgnoredWhere("totals", '"id" IS NULL AND "label" = \'Total\'', ("id", "label"))
BROKEN_TOTALS = IgnoredWhere("totals", "STARTS_WITH(\"_raw_line\", 'Total;')", ("_raw_line",))
COMMENTS = IgnoredPrefix("comments", "#")
SIGNATURE = IgnoredLast("signature", 1)
ID, N, LABEL = column("id", "VARCHAR", Required()), column("n", "INTEGER"), column("label")


def shop_of(folder: Path, *rules: IgnoredRule, file_format: FileFormat = FileFormat.CSV) -> Shop:
    """A shop of the columns `id`, `n` and `label` that ignores records."""
    contract = feed(ID, N, LABEL, source=SourceFormat(file_format), primary_key=("id",), ignored=rules)
    return Shop(folder, contract, options())


def marks(shop: Shop) -> dict[int, str]:
    """The rule by which each ignored record is no data, by its number."""
    return {row["_row"]: row["_ignored"] for row in shop.table("raw") if row["_ignored"]}


def counted(shop: Shop) -> list[tuple[int, ...]]:
    """What became of the records of each file, by the ledger."""
    return shop.ledger("records", "cleaned", "rejected", "blank_records", "ignored")


def proven(shop: Shop) -> None:
    """Files, ledger and tables agree."""
    assert verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings == []


def test_each_kind(tmp_path: Path) -> None:
    """A condition, a prefix and the last record: all are in the raw table by name, none is cleaned or rejected."""
    shop = shop_of(tmp_path, TOTALS, COMMENTS, SIGNATURE)
    shop.deliver(
        named(1), "id,n,label\n# made by a till\na,1,x\n#b,2,with its columns\n\nc,x,y\n, 3 , Total \nby Ada\n\n,,\n"
    )
    shop.load()
    assert marks(shop) == {1: "comments", 3: "comments", 6: "totals", 7: "signature"}
    assert shop.cleaned("id") == ["a"]
    assert shop.rejected() == {5: ["n: type"]}
    assert counted(shop) == [(9, 1, 1, 3, 4)]
    proven(shop)


@pytest.mark.parametrize(
    ("file_format", "content"),
    [
        pytest.param(FileFormat.CSV, b"id;n;label\na;1;x\n;1;Total\nend;;\n", id="csv"),
        pytest.param(
            FileFormat.JSON, b'{"id":"a","n":1,"label":"x"}\n{"n":1,"label":"Total"}\n{"id":"end"}\n', id="json"
        ),
        pytest.param(
            FileFormat.XLSX,
            workbook({"s": [("id", "n", "label"), ("a", 1, "x"), (None, 1, "Total"), (), ("end",)]}),
            id="xlsx",
        ),
        pytest.param(FileFormat.PARQUET, b"", id="parquet"),
    ],
)
def test_every_format(file_format: FileFormat, content: bytes, tmp_path: Path) -> None:
    """Conditions and the last records work the same in each format."""
    shop = shop_of(tmp_path / "shop", TOTALS, SIGNATURE, file_format=file_format)
    if file_format is FileFormat.PARQUET:
        path, rows = tmp_path / "f.parquet", "('a', 1, 'x'), (NULL, 1, 'Total'), ('end', NULL, NULL)"
        duckdb.sql(f"SELECT * FROM (VALUES {rows}) r(id, n, label)").write_parquet(str(path))
        content = path.read_bytes()
    shop.deliver(named(1), content)
    shop.load()
    assert [*marks(shop).values()] == ["totals", "signature"]
    assert shop.cleaned("id", "n", "label") == [("a", 1, "x")]
    assert [(cleaned, rejected, ignored) for _, cleaned, rejected, _, ignored in counted(shop)] == [(1, 0, 2)]
    proven(shop)


def test_the_first_rule_counts(tmp_path: Path) -> None:
    """A record for which several rules hold has the name of the first one."""
    shop = shop_of(tmp_path, SIGNATURE, TOTALS)
    shop.deliver(named(1), "id,n,label\na,1,x\n,1,Total\n,1,Total\n")
    shop.load()
    assert marks(shop) == {2: "totals", 3: "signature"}


def test_a_broken_line_is_only_asked_for_its_text(tmp_path: Path) -> None:
    """A condition on missing values holds for no line that could not be split; one on `_raw_line` does."""
    without_id = IgnoredWhere("without_id", '"id" IS NULL', ("id",))
    shop = shop_of(tmp_path, without_id, BROKEN_TOTALS)
    shop.deliver(named(1), "id;n;label\na;1;x\n;2;y\nb;2\nTotal;3\n")
    shop.load()
    assert marks(shop) == {2: "without_id", 4: "totals"}
    assert shop.rejected() == {3: ["_raw_line: too_few_columns"]}


def test_a_condition_that_fails_for_a_text_does_not_hold(tmp_path: Path) -> None:
    """A cast that fails for one record ends no load."""
    shop = shop_of(tmp_path, IgnoredWhere("negative", 'CAST("n" AS INT) < 0', ("n",)))
    shop.deliver(named(1), "id,n,label\na,-1,x\nb,zz,y\nc,1,z\n")
    shop.load()
    assert marks(shop) == {1: "negative"}
    assert shop.rejected() == {2: ["n: type"]}


def test_no_rates_are_made_of_them(tmp_path: Path) -> None:
    """Files of ignored records and one data record are not refused for their reject rate; broken ones still are."""
    shop = shop_of(tmp_path, COMMENTS)
    shop.options = replace(shop.options, max_reject_rate=0.4)
    shop.deliver(named(1), "id,n,label\n" + "#\n" * 9 + "a,1,x\n")
    shop.deliver(named(2), "id,n,label\n" + "#\n" * 9 + "a,1,x\nb,x,y\n")
    shop.load()
    assert shop.ledger("status") == ["loaded", "quarantined"]


def test_fewer_records_than_the_last(tmp_path: Path) -> None:
    """A file shorter than its footer has no data; one without records has none to ignore."""
    shop = shop_of(tmp_path, IgnoredLast("end", 3))
    shop.deliver(named(1), "id,n,label\na,1,x\nb,2,y\n")
    shop.deliver(named(2), "id,n,label\n")
    shop.load()
    assert counted(shop) == [(2, 0, 0, 0, 2), (0, 0, 0, 0, 0)]
    proven(shop)


def test_no_record_of_a_repair_file_is_ignored(tmp_path: Path) -> None:
    """What somebody has corrected comes in, even if it is the last record or reads like a total."""
    shop = shop_of(tmp_path / "shop", TOTALS, SIGNATURE, COMMENTS)
    shop.deliver(named(1), "id,n,label\na,1,x\n#b,x,y\nc,x,y\nend,,\n")
    shop.load()
    (exported,) = export(shop, tmp_path / "out", day(1))
    (row,) = cells(exported.path)
    shop.deliver(repair_name(), as_csv([row | {"n": "3", "label": "Total", "id": "#c"}]))
    assert reject(shop, named(1), 3)
    shop.load()
    assert shop.cleaned("id", "n") == [("#c", 3), ("a", 1)]
    proven(shop)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rules: (*rules, COMMENTS), id="one more rule"),
        pytest.param(lambda _: (IgnoredLast("signature", 2),), id="another number"),
        pytest.param(lambda _: (), id="no rule any more"),
    ],
)
@pytest.mark.promise("deliveries")
def test_other_rules_validate_all_batches_again(
    change: Callable[[tuple[IgnoredRule, ...]], tuple[IgnoredRule, ...]], tmp_path: Path
) -> None:
    """With other rules the next load makes all batches anew: the tables are those of a shop that had them before."""
    shops = [shop_of(tmp_path / name, SIGNATURE) for name in ("changed", "always")]
    rules = change(shops[0].feed.ignored)
    shops[1].feed = replace(shops[1].feed, ignored=rules)
    for shop in shops:
        for number in (1, 2):
            shop.deliver(named(number), f"id,n,label\n#a{number},1,x\nb{number},1,y\nc{number},1,z\n", number)
        shop.load()
    shops[0].feed = replace(shops[0].feed, ignored=rules)
    shops[0].load(day(2))
    assert shops[0].tables() == shops[1].tables()
    assert counted(shops[0]) == counted(shops[1])
    proven(shops[0])


def test_a_replaced_version_keeps_its_count(tmp_path: Path) -> None:
    """What was counted of a version that another one replaced stays in the ledger."""
    shop = shop_of(tmp_path, COMMENTS)
    shop.deliver(named(1), "id,n,label\n#\na,1,x\n")
    shop.load()
    shop.deliver(named(1), "id,n,label\n#\n#\na,1,x\n")
    shop.load()
    assert shop.ledger("status", "records", "ignored") == [("superseded", 2, 1), ("loaded", 3, 2)]


def test_a_ledger_of_before_gets_the_column(tmp_path: Path) -> None:
    """`verify` reads a ledger without the column; the next load adds it."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\na,1\n")
    shop.load()
    shop.rows("ALTER TABLE file_ledger DROP COLUMN ignored")
    proven(shop)
    shop.deliver(named(2), "id,n\nb,1\n")
    shop.load()
    with shop.warehouse.connection("test") as connection:
        assert columns_of(connection, "file_ledger")["ignored"] == "BIGINT"
    assert shop.ledger("ignored") == [0, 0]
    proven(shop)


def test_verify_finds_a_wrong_count(tmp_path: Path) -> None:
    """A count that somebody changed, and a record that somebody published though it is ignored."""
    shop = shop_of(tmp_path, COMMENTS)
    shop.deliver(named(1), "id,n,label\n#\na,1,x\n")
    shop.load()
    shop.rows("UPDATE file_ledger SET ignored = 0")
    (finding,) = verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings
    assert (finding.expected, finding.found) == (
        "2 records: 1 cleaned, 0 rejected, 0 blank, 0 ignored",
        "2 records: 1 cleaned, 0 rejected, 0 blank, 1 ignored",
    )
    shop.rows("UPDATE file_ledger SET ignored = 1")
    shop.rows("UPDATE raw_f SET _ignored = 'comments' WHERE _row = 2")
    (finding,) = verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings
    assert "though they are blank or ignored" in finding.what

"""Columns of a contract may have any name that it allows: also those of SQL, and those that our own queries use."""

import ast
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

import orchestration_project
from orchestration_project.cli import summary
from orchestration_project.contracts.feed import Feed, Required
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.drafting.draft import draft
from orchestration_project.inspection.explain import explain, found_file
from orchestration_project.inspection.rule_checks import measure_rules, rule_checks, sample_rejected
from orchestration_project.inspection.verify import verify
from orchestration_project.warehouse import ledger, published, waivers
from orchestration_project_tests.ingest.repairs import as_csv, cells, export, let_be, reject, resolved
from orchestration_project_tests.ingest.shop import NOW, Shop, column, named, options
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("input")

ENGINE = Path(orchestration_project.__file__).parent
SHOP = ENGINE / "defs"
IS_SQL = re.compile(r"\b(SELECT|FROM|WITH|JOIN|WHERE|OVER|lambda)\b")
WORD = re.compile(r"\b[a-z][a-z0-9_]{0,62}\b")
GIVEN = re.compile(r"\bAS ([a-z]\w*)|\b([a-z]\w*) AS (?:NOT )?(?:MATERIALIZED )?\(|\blambda ([a-z]\w*)|\) ([a-z]\w*) ")
"""What gets a name in a query: a column, a table, a named table expression, a parameter of a lambda."""
A_LOT, MANY = 300, 100
PARTS = effort(6, 12)
"""A key of all names at once would take minutes and gigabytes: so as many feeds share them."""


def words_of_our_sql() -> set[str]:
    """Every word in small letters in a text of the engine that looks like SQL: all names of columns and tables in it.

    They are found, not listed, so that a query that is written tomorrow is looked at, too.
    """
    paths = [path for path in ENGINE.rglob("*.py") if not path.is_relative_to(SHOP)]
    texts = (text for path in paths for text in _texts(path))
    return {word for text in texts if IS_SQL.search(text) for word in WORD.findall(text)}


def _texts(path: Path) -> Iterator[str]:
    """The texts of a module, but for docstrings; what is put into one leaves a gap."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield " ? ".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n\n" not in node.value:
            yield node.value


def all_names() -> list[str]:
    """DuckDB's keywords, the words of our queries and the columns of our tables, each once; DuckDB's have no case."""
    with duckdb.connect() as connection:
        keywords = {word for (word,) in connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()}
    columns = {*ledger.COLUMNS, *published.COLUMNS, *waivers.COLUMNS}
    found = {name.casefold() for name in keywords | columns | words_of_our_sql()}
    return sorted(name for name in found if re.fullmatch("[a-z][a-z0-9_]*", name) and name not in ("rowid", "amount_"))


def names_we_give() -> list[str]:
    """What our queries call columns, tables and parameters, and the columns of our tables."""
    texts = [text for path in ENGINE.rglob("*.py") for text in _texts(path) if IS_SQL.search(text)]
    given = {word for text in texts for words in GIVEN.findall(text) for word in words if word}
    columns = {*ledger.COLUMNS, *published.COLUMNS, *waivers.COLUMNS}
    return sorted((given | columns) & {*NAMES})


NAMES = all_names()
GIVEN_NAMES = names_we_give()


def contract(names: list[str]) -> Feed:
    """A contract whose columns have these names, all of them of one key, and a number."""
    columns = [column(name, "VARCHAR", Required()) for name in names]
    return Feed("f", "1.0.0", (*columns, column("amount_", "INTEGER")), primary_key=tuple(names))


def row(value: str, amount: str, names: list[str]) -> str:
    """A record that has one value in all columns."""
    return ",".join([value] * len(names) + [amount]) + "\n"


def test_the_names_are_found() -> None:
    """Names by which a feed was not loadable are among them."""
    assert len(NAMES) > A_LOT
    assert {"file", "version", "modified_at", "reason", "kept", "place", "ages", "rejected", "order"} <= {*NAMES}


@pytest.mark.found("A column named `file`, `version`, `modified_at`, `reason` or `records` made its feed unloadable.")
@pytest.mark.parametrize("part", range(PARTS))
def test_a_feed_with_columns_of_any_name(part: int, tmp_path: Path) -> None:
    """It is loaded, corrected, repaired, waived, verified and explained like any other."""
    names = GIVEN_NAMES[part::PARTS]
    tried(len(names))
    header = ",".join([*names, "amount_"]) + "\n"
    shop = Shop(tmp_path, contract(names), options(key_look_back=dt.timedelta(days=7)))
    good, bad = (row(value, "1", names) for value in ("a9", "b9"))
    shop.deliver(named(1), header + good + bad + good + row("c9", "x", names) + "\n")
    shop.deliver(named(2), header + bad + row("d9", "2", names) + header)
    shop.load()
    assert shop.cleaned(names[0], names[-1], "amount_") == [("b9", "b9", 1), ("a9", "a9", 1), ("d9", "d9", 2)]
    key = ", ".join(names)
    assert {(item["_file"], item["_row"]): item["_reasons"] for item in shop.table("rejected")} == {
        (named(1), 1): [f"{key}: duplicate_key (kept: {named(1)} row 3)"],
        (named(1), 4): ["amount_: type"],
        (named(2), 1): [f"{key}: duplicate_key (kept: {named(1)} row 2)"],
        (named(2), 3): ["_raw_line: repeated_header"],
    }
    _repair_and_waive(shop, tmp_path / "out")
    _inspect(shop)
    before = shop.tables()
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == before


def _repair_and_waive(shop: Shop, folder: Path) -> None:
    folder.mkdir()
    (first, _) = export(shop, folder)
    rows = cells(first.path)
    target = next(item for item in rows if item["amount_"] == "x")
    shop.deliver(first.path.name, as_csv([{**target, "amount_": "3"}, {**target, "amount_": "4"}]))
    shop.load()
    assert let_be(shop, reject(shop, named(2), 3)).new
    closed = resolved(shop)
    assert closed[named(1), 4] == first.path.name
    assert str(closed[named(2), 3]).startswith("waived by Ada")


def _inspect(shop: Shop) -> None:
    with shop.warehouse.connection("test") as connection:
        checks = rule_checks(shop.feed)
        assert measure_rules(connection, shop.feed, checks, None)["primary_key"].rejected == 2
        assert sample_rejected(connection, shop.feed, ["_raw_line"], [item.name for item in shop.feed.columns], None)
        assert summary._reasons(connection, "f")
    assert verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings == []
    file = found_file(next((shop.settings.archive("f")).rglob(named(2))))
    assert file
    explained = explain(shop.settings, shop.feed, shop.options, file, NOW)
    assert (explained.records, explained.cleaned, explained.rejected) == (3, 2, 1)


def test_columns_of_all_names(tmp_path: Path) -> None:
    """No keyword of DuckDB and no word of our queries is mistaken for one, where it is the name of a column."""
    for start in range(0, len(NAMES), MANY):
        names = NAMES[start : start + MANY]
        tried(len(names))
        shop = Shop(tmp_path / str(start), replace(contract(names), primary_key=()))
        header = ",".join([*names, "amount_"]) + "\n"
        shop.deliver(named(1), header + row("z9", "1", names) + row("y9", "x", names) + "\n")
        shop.load()
        assert shop.cleaned(*names, "amount_") == [(*["z9"] * len(names), 1)]
        assert shop.rejected() == {2: ["amount_: type"]}


def test_a_draft_with_columns_of_any_name(tmp_path: Path) -> None:
    """A feed is drafted from files whose headers have such names."""
    names = [*GIVEN_NAMES[:40], "c", "times", "tried", "select"]
    tried(len(names))
    sample = tmp_path / "sample_2024-01-01.csv"
    sample.write_text(",".join([*names, "amount_"]) + "\n" + row("a9", "1", names) + row("b9", "2", names))
    file = found_file(sample)
    assert file
    drafted = draft(Shop(tmp_path).settings, "drafted", [file])
    assert [(item.records, item.cleaned) for item in drafted.results] == [(2, 2)]

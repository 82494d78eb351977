"""Broken rules, samples, balances and unexpected columns, on tables that are filled by hand."""

import datetime as dt
from dataclasses import replace

import duckdb
import pytest

from orchestration_project.contracts.feed import (
    MASK,
    Bound,
    Column,
    Feed,
    Length,
    MultipleOf,
    OneOf,
    Pattern,
    Required,
    Rule,
    TextFormat,
)
from orchestration_project.ingest.counts import FileCount, nothing_of
from orchestration_project.inspection.rule_checks import (
    balances,
    masked,
    measure_rules,
    rule_checks,
    sample_rejected,
    unexpected_columns,
)
from orchestration_project_tests.inspection.orders import FEED, MONDAY, TUESDAY


def test_rules_are_counted_on_both_sides(connection: duckdb.DuckDBPyConnection) -> None:
    """Rejected records count for the rules in their reasons, published rows that break one are seen."""
    connection.execute("UPDATE cleaned_orders SET size = 0 WHERE id IN ('a', 'd')")
    found = measure_rules(connection, FEED, rule_checks(FEED), [MONDAY])
    counts = {name: (item.published, item.rejected) for name, item in found.items()}
    assert counts == {
        "records_readable": (0, 0),
        "id_required": (0, 0),
        "size_type": (0, 0),
        "size_minimum": (1, 1),
        "primary_key": (1, 1),
        "buyer_unique": (1, 0),
    }
    everywhere = measure_rules(connection, FEED, rule_checks(FEED), None)
    assert (everywhere["size_minimum"].published, everywhere["records_readable"].rejected) == (2, 1)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        pytest.param(Required(), "is given", id="required"),
        pytest.param(Bound("minimum", "1"), "is at least 1", id="minimum"),
        pytest.param(Bound("exclusiveMinimum", "0"), "is more than 0", id="exclusiveMinimum"),
        pytest.param(Bound("maximum", "9"), "is at most 9", id="maximum"),
        pytest.param(Bound("exclusiveMaximum", "2024-01-01"), "is less than 2024-01-01", id="exclusiveMaximum"),
        pytest.param(MultipleOf("0.05"), "is a multiple of 0.05", id="multipleOf"),
        pytest.param(Length("minLength", 2), "has at least 2 characters", id="minLength"),
        pytest.param(Length("maxLength", 8), "has at most 8 characters", id="maxLength"),
        pytest.param(Pattern("^a"), "matches `^a`", id="pattern"),
        pytest.param(TextFormat("email", ".*"), "is written as email", id="format"),
        pytest.param(OneOf(("Y", "N")), "is one of Y, N", id="enum"),
    ],
)
def test_rules_in_words(rule: Rule, words: str) -> None:
    """A check's description says in words what the rule asks for."""
    feed = Feed("orders", "1", (Column("code", "VARCHAR", "code", rules=(rule,)),))
    _, check = rule_checks(feed)
    assert (check.name, check.description) == (f"code_{rule.rule}", f"code {words} (contract: {rule.rule}).")


def test_rejected_samples_are_masked(connection: duckdb.DuckDBPyConnection) -> None:
    """Samples show where a record is, the values that a rule is about and every reason; personal ones stay hidden."""
    connection.execute("UPDATE rejected_orders SET _reasons = ['size: minimum', 'buyer: unique'] WHERE id = 'x'")
    rules = {rule.name: rule for rule in rule_checks(FEED)}

    def sampled(name: str, batches: list[dt.date] | None) -> list[dict[str, str | int | None]]:
        return sample_rejected(connection, FEED, rules[name].reasons, rules[name].columns, batches)

    where = {"_file": "f", "_row": 5, "_reasons": "size: minimum; buyer: unique"}
    assert sampled("size_minimum", [MONDAY]) == [where | {"size": None}]
    assert sampled("buyer_unique", [MONDAY]) == [where | {"buyer": MASK}]
    assert sampled("size_minimum", [TUESDAY]) == []
    (line,) = sampled("records_readable", None)
    assert line["_raw_line"] == MASK


def test_samples_of_a_computed_column_show_what_it_is_computed_from(connection: duckdb.DuckDBPyConnection) -> None:
    """A rejected record has no computed values, so those that they would come from are shown."""
    double = Column("double", "INTEGER", None, expression='"size" * 2', uses=("size",), rules=(Bound("maximum", "9"),))
    again = Column("again", "INTEGER", None, expression='"double"', uses=("double",), rules=(Bound("maximum", "9"),))
    rules = {rule.name: rule for rule in rule_checks(replace(FEED, columns=(*FEED.columns, double, again)))}
    assert {name: rules[name].columns for name in ("double_maximum", "again_maximum", "primary_key")} == {
        "double_maximum": ("size",),
        "again_maximum": ("size",),
        "primary_key": ("id",),
    }


def test_nothing_is_masked_without_personal_columns() -> None:
    """A contract that calls nothing personal hides nothing."""
    feed = Feed("orders", "1", (Column("id", "VARCHAR", "id"),))
    row: dict[str, str | int | None] = {"id": "a", "_raw_line": "a;b"}
    assert masked(feed, row) == row


def test_balances(connection: duckdb.DuckDBPyConnection) -> None:
    """The ledger's count of a file is held against raw and against both sides; files of one side only are uneven."""
    connection.execute("UPDATE cleaned_orders SET _file = 'g', _file_version = 'w' WHERE id = 'd'")
    connection.execute(
        """INSERT INTO raw_orders BY NAME
           SELECT 'x' AS id, _batch_date, _file, _file_version FROM cleaned_orders
           UNION ALL SELECT 'x', _batch_date, _file, _file_version FROM rejected_orders"""
    )
    connection.execute(
        """INSERT INTO file_ledger (feed, file, version, batch, status, records) VALUES
           ('orders', 'f', 'v', '2024-01-15', 'loaded', 5), ('orders', 'g', 'w', '2024-01-16', 'loaded', 3),
           ('orders', 'h', 'x', '2024-01-16', 'loaded', 1), ('orders', 'f', 'old', '2024-01-15', 'superseded', 9)"""
    )
    found = balances(connection, FEED, [MONDAY, TUESDAY], ["2024-01-15", "2024-01-16"])
    assert [(item.records, item.even, item.counted) for item in found] == [
        (5, True, FileCount(MONDAY, "f", "v", records=5, blank=0, cleaned=4, rejected=1)),
        (3, False, FileCount(TUESDAY, "g", "w", records=2, blank=0, cleaned=1, rejected=1)),
        (1, False, nothing_of("h", "x")),
    ]
    assert [item.counted.file for item in balances(connection, FEED, [MONDAY], ["2024-01-15"])] == ["f"]
    assert balances(connection, FEED, [], []) == []


def test_unexpected_columns(connection: duckdb.DuckDBPyConnection) -> None:
    """Rescued values are counted by column, the most frequent first."""
    connection.execute(
        """INSERT INTO raw_orders (_batch_date, _rescued) VALUES
           ('2024-01-15', '{"till": "7"}'), ('2024-01-15', '{"shop": "1", "till": "8"}'),
           ('2024-01-16', '{"other": ""}')"""
    )
    assert list(unexpected_columns(connection, FEED, [MONDAY]).items()) == [("till", 2), ("shop", 1)]

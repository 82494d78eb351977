"""The queries of sql quality rules."""

import duckdb
import pytest

from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.queries import TABLE, parse_query

COLUMNS = ("quantity", "unit_price")
ROWS = """(SELECT * FROM (VALUES (1, 2.0, DATE '2020-01-01'), (-2, NULL, DATE '2020-01-02'), (1, 3.0,
DATE '2020-01-03'))
r(quantity, unit_price, _batch_date))"""


@pytest.mark.parametrize(
    ("query", "value"),
    [
        pytest.param("SELECT COUNT(*) FROM ${table} WHERE ${column} < 0", 1, id="as the standard's schema writes it"),
        pytest.param("SELECT COUNT(*) FROM {object} WHERE {property} IS NULL", 0, id="as its documentation writes it"),
        pytest.param("select count(*) from Sales where sales.quantity < 0", 1, id="by the object's name"),
        pytest.param("select count(*) from tbl_1", 3, id="by its physical name"),
        pytest.param("select count(*) from {schema}.{table}", 3, id="with a schema"),
        pytest.param("select max({table}.quantity) from {table}", 1, id="qualified column"),
        pytest.param(
            "select count(*) from (select 1 from {table} group by quantity having count(*) > 1)", 1, id="subquery"
        ),
        pytest.param("with d as (select quantity q from {table}), e as (from d) select sum(q) from e", 0, id="with"),
        pytest.param("select count(*) from {table} a join {table} b on a.quantity = b.quantity", 5, id="join"),
        pytest.param("select count(*) filter (where unit_price is null) from {table}", 1, id="filter"),
        pytest.param(
            "select sum(s) from (select row_number() over (order by quantity) s from {table})", 6, id="window"
        ),
        pytest.param(
            "select count(*) from {table} where regexp_matches(quantity::varchar, '[0-9]{1}')", 3, id="braces"
        ),
        pytest.param("select max(_batch_date) > current_date from {table}", False, id="clock"),
    ],
)
def test_query(query: str, value: object) -> None:
    place = Place()
    sql = parse_query(query, ("sales", "tbl_1"), COLUMNS, "quantity", place)
    assert sql is not None, place.problems
    assert duckdb.execute(sql.replace(TABLE, ROWS)).fetchall() == [(value,)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param("delete from {table}", "not allowed", id="delete"),
        pytest.param("select 1 union select 2", "must be one SELECT", id="union"),
        pytest.param("select 1; select 2", "must be one SQL expression", id="two statements"),
        pytest.param("select * from {table}", "must return one number", id="star"),
        pytest.param("select 1, 2 from {table}", "must return one number", id="two values"),
        pytest.param("select count(*) from other", "may only read ${table}, not other", id="other table"),
        pytest.param("select count(*) from main.sales", "may only read ${table}", id="schema"),
        pytest.param("select count(*) from 'x.csv'", "may only read ${table}", id="file"),
        pytest.param("select count(*) from read_csv('x')", "the function read_csv", id="table function"),
        pytest.param("select count(*) from glob('*')", "the function glob", id="folder"),
        pytest.param("select getenv('HOME') from {table}", "the function getenv", id="environment"),
        pytest.param("select (with t as (select 1) select 1 from t) from t", "WITH goes to the start", id="inner with"),
        pytest.param("with a as (select 1 from b), b as (select 1) select 1 from a", "not b", id="later part"),
        pytest.param("with recursive a as (select 1 from a) select 1 from a", "without RECURSIVE", id="recursive"),
        pytest.param("select '{table}' from {table}", "inside a text", id="placeholder in a text"),
        pytest.param("select quantity as {table} from {table}", "may only stand for a table", id="table as a name"),
        pytest.param("select count(*) from from {table}", "has to stand in parentheses", id="FROM FROM"),
        pytest.param("select count(*) from ${foo}", "${foo} is not supported", id="unknown placeholder"),
        pytest.param("select quantiti from {table}", "did you mean 'quantity'?", id="unknown column"),
        pytest.param("select count( from {table}", "not valid SQL", id="syntax"),
    ],
)
def test_refused(query: str, message: str) -> None:
    place = Place()
    assert parse_query(query, ("sales",), COLUMNS, "quantity", place) is None
    assert any(message in str(problem) for problem in place.problems), place.problems


def test_a_rule_of_the_object_has_no_column() -> None:
    """`${column}` is refused where there is none."""
    place = Place()
    assert parse_query("select count(${column}) from ${table}", ("sales",), COLUMNS, None, place) is None
    assert "no meaning in a rule of the whole object" in str(place.problems[0])

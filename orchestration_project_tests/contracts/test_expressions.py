"""transformLogic: what is allowed, and that its normalised form computes the same."""

import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.expressions import parse_expression

ROW = """SELECT 3 AS quantity, 1.25::DECIMAL(18,2) AS unit_price, ' aBc-1 é' AS name,
TIMESTAMP '2020-02-03 04:05:06' AS ts,
DATE '2020-02-03' AS day, true AS known, 2.5::DOUBLE AS weight, 'x' AS "order", NULL::INTEGER AS nothing"""
COLUMNS = ("quantity", "unit_price", "name", "ts", "day", "known", "weight", "order", "nothing")

ALLOWED = """quantity * unit_price | quantity / 2 | quantity // 2 | quantity % 2 | quantity ** 2 | -quantity
unit_price / 3
upper(name) | lower(name) | trim(name) | ltrim(name) | rtrim(name) | trim(name, ' 1') | length(name) | left(name, 3)
right(name, 3) | substr(name, 2, 3) | substring(name from 2 for 2) | name || quantity | concat(name, quantity, 'x')
concat_ws('-', name, quantity) | replace(name, 'a', 'b') | lpad(name, 10, '0') | rpad(name, 10, '0') | reverse(name)
repeat(name, 2) | split_part(name, '-', 1) | strpos(name, 'B') | position('B' in name) | contains(name, 'B')
starts_with(name, 'a') | ends_with(name, 'a') | prefix(name, 'a') | translate(name, 'a', 'b') | strip_accents(name)
regexp_replace(name, '[^A-Za-z]', '', 'g') | regexp_replace(name, '[^A-Za-z]', '') | regexp_matches(name, 'a.')
regexp_full_match(name, 'a.') | regexp_extract(name, '(B)(c)', 1) | regexp_extract(name, 'B.') | ascii(name) | chr(65)
md5(name) | sha256(name) | hex(name) | abs(quantity) | round(unit_price, 1)
round(unit_price)
ceil(unit_price) | floor(unit_price) | trunc(unit_price) | sign(quantity) | sqrt(quantity) | ln(quantity)
log10(quantity)
log2(quantity) | exp(quantity) | power(quantity, 2) | mod(quantity, 2) | greatest(quantity, 2) | least(quantity, 2, 1)
coalesce(nothing, 0) | ifnull(nothing, 0) | nullif(quantity, 3) | if(known, 1, 2) | isnan(weight) | isfinite(weight)
case when quantity > 2 then 'a' else 'b' end | case quantity when 3 then 'x' end | cast(quantity as varchar)
quantity::decimal(18,2) | try_cast(name as integer) | date_diff('second', ts, ts) | datediff('day', day, ts)
date_sub('month', ts, ts) | date_part('year', ts) | extract(year from ts) | date_trunc('month', ts)
year(ts) | quarter(ts)
month(ts) | week(ts) | day(ts) | hour(ts) | minute(ts) | second(ts) | dayofweek(ts) | isodow(ts)
dayofyear(ts) | dayname(ts)
monthname(ts) | last_day(ts) | epoch(ts) | strftime(ts, '%Y-%m') | try_strptime(name, '%Y') | ts + interval 1 day
ts - interval '2 hours' | ts - ts | day + 1 | make_date(2020, 1, 2) | date '2020-01-01' | ts at time zone 'UTC'
quantity between 1 and 4 | quantity in (1, 2, 3) | quantity not in (1, 2) | name like '%a%' | name ilike '%A%'
name not like 'x%' | nothing is null | name is not null | known is true | known is distinct from true | not known
known and quantity > 2 or false | quantity = 3 | quantity <> 3 | quantity & 1 | "order" | "Quantity" | QUANTITY
printf('%d', quantity) | name similar to 'a.' | nothing + 1"""


@pytest.mark.parametrize("text", [text.strip() for text in re.split(r" \| |\n", ALLOWED)])
def test_normalised_sql_computes_the_same(text: str) -> None:
    """What is allowed runs in DuckDB, with the value and the type of the text as written."""
    place = Place()
    found = parse_expression(text, COLUMNS, place)
    assert found is not None, place.problems
    written = duckdb.execute(f"SELECT ({text}), typeof({text}) FROM ({ROW})").fetchall()
    assert duckdb.execute(f"SELECT ({found.sql}), typeof({found.sql}) FROM ({ROW})").fetchall() == written


def test_columns_are_quoted_and_named_as_declared() -> None:
    """Names are matched without regard to case, written as declared and in quotes, comments left out."""
    found = parse_expression("QUANTITY * Unit_Price /* net */", ("quantity", "unit_Price", "x"), Place())
    assert found is not None
    assert (found.sql, found.columns) == ('"quantity" * "unit_Price"', ("quantity", "unit_Price"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("getenv('HOME')", "the function getenv is not allowed", id="environment"),
        pytest.param("read_text('/etc/passwd')", "the function read_text", id="file"),
        pytest.param("current_setting('x')", "the function current_setting", id="setting"),
        pytest.param("nextval('s')", "the function nextval", id="sequence"),
        pytest.param("random()", "the function rand", id="chance"),
        pytest.param("uuid()", "the function uuid", id="random id"),
        pytest.param("now()", "the function now", id="clock"),
        pytest.param("current_date", "the function current_date", id="clock without parentheses"),
        pytest.param("(SELECT 1)", "the query (SELECT 1) is not allowed", id="subquery"),
        pytest.param("quantity IN (SELECT 1)", "the query", id="subquery in a list"),
        pytest.param("EXISTS (SELECT 1)", "not allowed", id="exists"),
        pytest.param("sum(quantity)", "the aggregate SUM(quantity) is not allowed", id="aggregate"),
        pytest.param("row_number() OVER ()", "the window function", id="window"),
        pytest.param("quantity; DROP TABLE x", "one SQL expression", id="two statements"),
        pytest.param("COPY x TO 'y'", "not allowed", id="copy"),
        pytest.param("ATTACH 'x'", "not allowed", id="attach"),
        pytest.param(
            "quantity + quantty", "unknown column 'quantty'; columns: quantity, a; did you mean", id="typing error"
        ),
        pytest.param("sales.quantity", "without a table", id="table"),
        pytest.param("upperr(a)", "did you mean 'upper'?", id="function's typing error"),
        pytest.param("a ~ 'x'", "the operator ~ is not supported", id="operator that sqlglot changes"),
        pytest.param("CAST(a AS STRUCT(b INT))", "the type STRUCT(b INT)", id="nested type"),
        pytest.param("[1, 2]", "not allowed", id="list"),
        pytest.param("a[1]", "not allowed", id="subscript"),
        pytest.param("$1", "not allowed", id="parameter"),
        pytest.param("*", "not allowed", id="star"),
        pytest.param("columns('a')", "the function columns", id="columns"),
        pytest.param("a AS b", "not allowed", id="alias"),
        pytest.param("'open", "not valid SQL", id="open quote"),
        pytest.param("a +", "not valid SQL", id="incomplete"),
        pytest.param("", "is empty", id="empty"),
        pytest.param("(" * 2000 + "a" + ")" * 2000, "not valid SQL", id="depth"),
    ],
)
def test_refused(text: str, message: str) -> None:
    place = Place("schema[0].properties[1].transformLogic")
    assert parse_expression(text, ("quantity", "a"), place) is None
    assert message in str(place.problems[0])


@given(st.text(alphabet="aq()+-*/'\"[]{},.;:$?~ \n1<>=|&@", max_size=25))
def test_every_text_is_an_expression_or_refused(text: str) -> None:
    """No text makes the reader raise."""
    place = Place()
    assert (parse_expression(text, ("a", "q"), place) is None) == bool(place.problems)

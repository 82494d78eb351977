"""Whole contracts: the project's own, the standard's examples, and damaged ones."""

import copy
import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration_project.contracts import ContractError, Feed, load_feed
from orchestration_project.contracts.feed import SqlRule
from orchestration_project_tests.contracts.conftest import Load, Problems, contract

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "data"
DEFS = REPOSITORY / "orchestration_project" / "defs"
SHIPPED = {
    "sales": DEFS / "sales/sales.odcs.yaml",
    "products": DEFS / "products/products.odcs.yaml",
    "online_retail": REPOSITORY / "examples/online_retail/online_retail.odcs.yaml",
    "nyc_taxi": REPOSITORY / "examples/nyc_taxi/nyc_taxi.odcs.yaml",
}
EXAMPLES = sorted((SHARED / "odcs/examples").rglob("*.odcs.yaml"))


def select(feed: Feed, values: str) -> str:
    """A query that gives the source columns these values (SQL), in order, and computes the derived ones."""
    names = ", ".join(f'"{column.name}"' for column in feed.source_columns)
    casts = ", ".join(
        f'CAST("{column.name}" AS {column.sql_type}) AS "{column.name}"' for column in feed.source_columns
    )
    query = f"SELECT {casts} FROM (VALUES {values}) r({names})"
    for column in feed.derived_columns:
        query = f'SELECT *, CAST({column.expression} AS {column.sql_type}) AS "{column.name}" FROM ({query})'
    return query


@pytest.mark.parametrize("name", SHIPPED)
def test_every_column_of_a_shipped_contract_is_described(name: str) -> None:
    """The project's contracts load, say what each column means, and who answers for them."""
    feed = load_feed(SHIPPED[name], name)
    assert feed.name == name
    assert [column.name for column in feed.columns if not column.description] == []
    assert feed.owners
    assert feed.description
    assert feed.latency is not None


def test_no_contract_is_forgotten() -> None:
    """The shipped contracts that are tested are those that there are."""
    found = {*DEFS.rglob("*.odcs.yaml"), *(REPOSITORY / "examples").rglob("*.odcs.yaml")}
    assert found >= set(SHIPPED.values())
    assert all(load_feed(path) for path in found)


@pytest.mark.parametrize("name", SHIPPED)
def test_sql_of_a_shipped_contract_runs(name: str) -> None:
    """Expressions and queries bind to the contract's own types."""
    feed = load_feed(SHIPPED[name])
    rows = f"({select(feed, '(' + ', '.join('NULL' for _ in feed.source_columns) + ')')})"
    for rule in feed.quality:
        if isinstance(rule, SqlRule):
            assert len(duckdb.execute(rule.query.replace("{table}", rows)).fetchall()) == 1
    assert duckdb.execute(f"FROM {rows}").fetchall()


def test_sales() -> None:
    """The sales contract is what the rest of the project builds on."""
    feed = load_feed(SHIPPED["sales"])
    assert [column.name for column in feed.columns] == [
        "order_id", "order_line", "product_id", "customer_id", "store_id", "channel", "quantity", "unit_price",
        "total_amount", "sold_at",
    ]  # fmt: skip
    assert feed.primary_key == ("order_id", "order_line")
    assert feed.personal_columns == {"customer_id"}
    assert feed.latency == feed.frequency == dt.timedelta(days=1)
    assert feed.version == "1.0.0"


@pytest.mark.parametrize(
    ("product", "code", "price_category"),
    [
        pytest.param("(7, 'x', 'Electronics', 24.99)", "ELE007", "Low", id="padded"),
        pytest.param("(1234, 'x', 'Home & Garden', 25)", "HOM1234", "Medium", id="long numbers are kept"),
        pytest.param("(42, 'x', '3D küche', 34.99)", "DKÜ042", "Medium", id="only letters"),
        pytest.param("(999, 'x', 'TV', 35)", "TV999", "High", id="short category"),
    ],
)
def test_product_code_and_price_category(product: str, code: str, price_category: str) -> None:
    feed = load_feed(SHIPPED["products"])
    query = f"SELECT product_code, price_category FROM ({select(feed, product)})"
    assert duckdb.execute(query).fetchall() == [(code, price_category)]


def test_document_level_fields(load: Load) -> None:
    """Version, title, description and tags are the document's, tags also the object's."""
    document = contract(name="Title", description={"purpose": "For\n this"}, tags=["x", "y"])
    document["schema"][0]["tags"] = ["y", "z"]
    feed = load(document)
    assert (feed.name, feed.version, feed.title, feed.description) == ("f", "1.2.3", "Title", "For this")
    assert feed.tags == ("x", "y", "z")


def two_objects() -> dict[str, Any]:
    document = contract()
    document["schema"].append({**document["schema"][0], "name": "g"})
    return document


def test_the_feed_s_name_picks_one_of_several_objects(load: Load) -> None:
    """A contract of several objects serves a feed of each name."""
    assert load(two_objects(), "g").name == "g"


@pytest.mark.parametrize(
    ("document", "name", "message"),
    [
        pytest.param(two_objects(), None, "a feed is one object; found 2: f, g", id="several"),
        pytest.param(contract(), "h", "no object is called 'h'; found f", id="other name"),
        pytest.param({**contract(), "schema": []}, None, "needs an object", id="none"),
        pytest.param({**contract(), "schema": [{"name": "f"}]}, None, "needs at least one column", id="no columns"),
        pytest.param({**contract(), "schema": [{"name": "F g"}]}, None, "schema[0].name: found 'F g'", id="name"),
    ],
)
def test_refused(document: dict[str, Any], name: str | None, message: str, problems: Problems) -> None:
    found = problems(document, name)
    assert any(message in problem for problem in found), found


def test_problems_of_all_parts_are_told_at_once(problems: Problems) -> None:
    """Servers, service levels, columns and quality: a contract's author sees all that is wrong in one go."""
    document = contract(
        {"name": "_a", "physicalType": "VARCHAR"},
        {"name": "b", "physicalType": "varchr"},
        {"name": "c", "physicalType": "INTEGER", "logicalTypeOptions": {"minimum": 2, "maximum": 1, "pattern": "x"}},
        {"name": "d", "physicalType": "VARCHAR", "transformLogic": "getenv('x')"},
        quality=[{"metric": "rowCount", "mustBe": 1, "unit": "percent"}],
        servers=[{"server": "x", "type": "local", "path": "x", "format": "xls"}],
        slaProperties=[{"property": "latency", "value": 1, "unit": "parsec"}],
    )
    paths = [problem.split(": ")[0] for problem in problems(document)]
    assert paths == [
        "servers[0].format",
        "slaProperties[0].unit",
        "schema[0].properties[0].name",
        "schema[0].properties[1].physicalType",
        "schema[0].properties[2].logicalTypeOptions.pattern",
        "schema[0].properties[2].logicalTypeOptions",
        "schema[0].properties[3].transformLogic",
        "schema[0].quality[0].unit",
    ]


@pytest.mark.skipif(not EXAMPLES, reason=f"the standard's examples are not at {SHARED / 'odcs/examples'}")
def test_examples_of_the_standard() -> None:
    """Each of the standard's examples, and each object in it, loads or is refused with a reason; none crashes."""
    outcomes = set()
    for path in EXAMPLES:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name in [None, *(item["name"] for item in document.get("schema", []))][:3]:
            outcomes.add(loads(path, name))
    assert outcomes == {True, False}


def loads(path: Path, name: str | None) -> bool:
    """Whether a contract loads; if it does not, it has a reason."""
    try:
        return bool(load_feed(path, name).columns)
    except ContractError as error:
        return not error.problems and pytest.fail(f"{path} is refused without a reason")


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


DOCUMENTS = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in SHIPPED.values()]
JUNK: list[Any] = [
    None, "", "x", 0, -1, 1.5, True, [], {}, [None], [{}], {"a": 1}, "quantity", "(", "yyyy", "VARCHAR",
    "array", "a'b\"c", 10**30,
    ["x", "x"], "${table}", "select 1 from sales", "{object}", {"property": "trim", "value": 1}, "error",
    "latency", "ß",
]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_contracts_never_crash(data: st.DataObject, problems: Problems) -> None:
    """Whatever is put at whatever place of a contract, it loads or is refused as a ContractError."""
    document = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from([place for place in places(document) if place]))
        node = document
        for key in path:
            node = node[key]
        action = data.draw(st.sampled_from(["replace", "remove", "misspell"]))
        if action == "replace":
            node[last] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
        else:
            value = node.pop(last)
            if action == "misspell" and isinstance(node, dict):
                node[f"{last}x"] = value
    for problem in problems(document):
        assert problem


def test_the_example_of_the_documentation_loads(load: Load) -> None:
    """The contract in docs/contracts.md is one that works."""
    text = (REPOSITORY / "docs/contracts.md").read_text(encoding="utf-8")
    feed = load(text.partition("```yaml\n")[2].partition("```")[0])
    assert (feed.name, feed.primary_key) == ("receipts", ("receipt_no",))
